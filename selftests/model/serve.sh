#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Requests of a served stream, and the last call of its function; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "all bytes are read, and the closer makes the last call" model_holds serve
check "the function closes the stream itself" model_holds serve -DCLOSES_ITSELF
check "another closes it at any time" model_holds serve -DCLOSES
for mistake in NO_LOOK LOOK_EARLY TWO; do
	check "rejects BROKEN_$mistake" model_fails serve "-DBROKEN_$mistake"
done
for mistake in NO_EXCHANGE BOTH STAYS_SERVED NO_CANCEL; do
	check "rejects BROKEN_$mistake" model_fails serve "-DBROKEN_$mistake" -DCLOSES
done
finish

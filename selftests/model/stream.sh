#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Events of streams, and the ends of what they name; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "a task reads all there is, but for what another takes" model_holds stream
check "and the stream is closed meanwhile" model_holds stream -DCLOSES
for mistake in NO_LOOK FORGET FLAG; do
	check "rejects BROKEN_$mistake" model_fails stream "-DBROKEN_$mistake"
done
for mistake in FREE_AT_ONCE DELETE_LATE; do
	check "rejects BROKEN_$mistake" model_fails stream "-DBROKEN_$mistake" -DCLOSES
done
finish

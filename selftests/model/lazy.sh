#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Slots that are cached; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "lazy" model_holds lazy
for mistake in LOOKS_FIRST DOES_NOT_LOOK TAKES_IT_FOR_ITS_OWN DOES_NOT_WAIT TOUCHES_AT_ONCE; do
	check "rejects BROKEN_$mistake" model_fails lazy "-DBROKEN_$mistake"
done
finish

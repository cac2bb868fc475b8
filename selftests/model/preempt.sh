#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Slots taken of those that do not come; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "preempt" model_holds preempt
for mistake in SIGNAL_BLOCKED_STAYS TAKES_BEFORE_THE_PERMIT COMES_BACK_ONCE FORGETS_THE_PERMIT GOES_ON_UNSEEN STOPS_BEFORE_THE_PERMIT TAKEN_FIRST STAYS_OVER CLOCK_READ_LATE CLOCK_NOT_COMPARED INSIDE_NOT_LOOKED_AT LOOKS_ONCE; do
	check "rejects BROKEN_$mistake" model_fails preempt "-DBROKEN_$mistake"
done
finish

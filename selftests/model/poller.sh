#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The role of the poller for events of streams; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "each idle slot has one who polls, and each permit ends its poll" model_holds poller
check "and where two tasks share a slot" model_holds poller -DSLOTS=1 -DROUNDS=2
for mistake in NO_NAME NO_KICK POLLS_LATE STAYS; do
	check "rejects BROKEN_$mistake" model_fails poller "-DBROKEN_$mistake"
done
check "rejects BROKEN_PASS_NO_LOOK" model_fails poller -DBROKEN_PASS_NO_LOOK -DSLOTS=1 -DROUNDS=2
finish

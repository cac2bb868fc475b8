#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Waits in several lists, which exactly one thing ends; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "two tasks, two channels, a clock" model_holds any
for mistake in LOOK_AGAIN LEFT_IN_LIST CLOCK_FORGETS; do
	check "rejects BROKEN_$mistake" model_fails any "-DBROKEN_$mistake"
done
finish

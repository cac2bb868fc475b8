#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who is woken to look at the cells; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "waker" model_holds waker
for mistake in NAMES_THE_STOPPED NAMES_TWICE WAKES_FIRST NOBODY_SLEEPS STAYS_NAMED DOES_NOT_HEAR; do
	check "rejects BROKEN_$mistake" model_fails waker "-DBROKEN_$mistake"
done
finish

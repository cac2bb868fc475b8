#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Workers that the kernel has parked are let go, and woken later; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "two that let go, a signal, and late wakes" model_holds parting
for mistake in LISTED_FIRST ALWAYS_LISTED UNLISTED_LAST NO_SECOND_LOOK; do
	check "rejects BROKEN_$mistake" model_fails parting "-DBROKEN_$mistake"
done
finish

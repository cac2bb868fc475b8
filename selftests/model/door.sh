#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Requests that are submitted without the lock; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "door: slots are opened" model_holds door -DOPENS
check "door: the tenant is removed" model_holds door -DREMOVES
for mistake in LOOKS_NOT LOOKS_FIRST TAKES_NOTHING TAKES_FIRST STAYS_OPEN OPENS_FIRST; do
	check "rejects BROKEN_$mistake" model_fails door -DOPENS "-DBROKEN_$mistake"
done
for mistake in COUNTS_NOTHING LEAVES_OPEN; do
	check "rejects BROKEN_$mistake" model_fails door -DREMOVES "-DBROKEN_$mistake"
done
finish

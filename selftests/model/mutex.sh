#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mutex that tasks which run may take before its waiters; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "mutex" model_holds mutex
for mistake in FORGETS_WAITERS STAYS_WAKING NEVER_STRICT; do
	check "mutex rejects BROKEN_$mistake" model_fails mutex "-DBROKEN_$mistake"
done
finish

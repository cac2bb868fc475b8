#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who tells of those that block where nothing else runs; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "idle" model_holds idle
for mistake in PAYS_FIRST STORES ONE_VALUE; do
	check "rejects BROKEN_$mistake" model_fails idle "-DBROKEN_$mistake"
done
finish

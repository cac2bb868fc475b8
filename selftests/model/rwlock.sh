#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A lock for readers and writers, some of whom give up; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "rwlock" model_holds rwlock
for mistake in FORGETS_READERS LETS_ONE_IN BARGES LEAVES_SILENTLY; do
	check "rwlock rejects BROKEN_$mistake" model_fails rwlock "-DBROKEN_$mistake"
done
finish

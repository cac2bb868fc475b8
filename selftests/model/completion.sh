#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Ends of requests, and the eventfd that says so; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "two that add, two that take" model_holds completion
check "and the queue goes with the last end" model_holds completion -DONE_TAKER
for mistake in READ_LATE LEFT_SILENT; do
	check "rejects BROKEN_$mistake" model_fails completion "-DBROKEN_$mistake"
done
check "rejects BROKEN_NO_REFERENCE" model_fails completion -DBROKEN_NO_REFERENCE -DONE_TAKER
finish

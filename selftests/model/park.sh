#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The park word, under total store order; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "park" model_holds park
for mistake in LOOKS_FIRST WAKES_FIRST TAKES_BY_STORE GIVES_UP_BY_STORE BELIEVES_THE_KERNEL \
	FORGETS_THE_WAKE TOUCHES_LATE GIVES_MEMORY_BACK; do
	check "rejects BROKEN_$mistake" model_fails park "-DBROKEN_$mistake"
done
finish

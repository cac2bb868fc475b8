#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ring, queue, deque and burst; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

try() {
	local model=$1 mistake
	shift
	check "$model" model_holds "$model"
	for mistake in "$@"; do
		check "$model rejects BROKEN_$mistake" model_fails "$model" "-DBROKEN_$mistake"
	done
}
try ring INDEX_FIRST NO_LAP READS_LATE
try queue CLAIMS_FIRST NO_HAZARD NO_RECHECK FREES_AT_ONCE
try deque READS_FIRST TWO_WORDS OVERWRITES
try burst LOOKS_AT_WAKES_LATE GIVES_UP_BY_STORE WAKES_ONLY CLEARS_THE_BIT_LATE \
	TAKES_WITHOUT_CAS OWN_WITHOUT_CAS TAKES_WITHOUT_LISTING
finish

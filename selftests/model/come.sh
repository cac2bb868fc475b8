#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Idle slots are filled one at a time; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "come" model_holds come
for mistake in SAYS_NOTHING LOOKS_AND_SAYS SAYS_ALONE LEAVES_UNSAID LOOKS_FIRST DOES_NOT_LOOK RESETS_LATER; do
	check "rejects BROKEN_$mistake" model_fails come "-DBROKEN_$mistake"
done
finish

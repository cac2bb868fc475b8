#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Blocking that is seen; each mistake must be found.
set -u
. "$TOP/selftests/tap.sh"
. "$TOP/selftests/model/model.sh"

check "detect" model_holds detect
for mistake in LOOKS_FIRST NO_BARRIER PLAIN_WANT TRUSTS_THE_BELL HEARS_LATE TRUSTS_WANT SLEEPS_OWING LOOKS_BEFORE; do
	check "rejects BROKEN_$mistake" model_fails detect "-DBROKEN_$mistake"
done
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What FUTEX_SWAP promises of fairness and bandwidth, where a matter of moments
# decides: in the patched kernel with its time counted in instructions, so that a busy
# host changes nothing.
set -u
. "$TOP/selftests/tap.sh"

counted() {
	"$TOP/tools/vm/run" --kernel plain --icount --timeout 400 --env SWAP_THROTTLES=300 -- "$O/selftests/futex/$1"
}
check "no thread runs in a group that is throttled" counted throttle
check "no process pays for what another has used" counted debt
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What FUTEX_SWAP promises of fairness and bandwidth, where a matter of moments
# decides, and what a switch costs: in the patched kernel with its time counted in
# instructions, so that a busy host changes nothing.
set -u
. "$TOP/selftests/tap.sh"

counted() {
	"$TOP/tools/vm/run" --kernel plain --icount --timeout 400 --env SWAP_THROTTLES=300 -- "$O/selftests/futex/$1"
}
# A switch by hand, a system call, a pipe, in this order; and a hand-over costs no more than sched_yield().
costs() {
	"$TOP/tools/vm/run" --kernel plain --icount --timeout 400 --out "$tap_dir" -- "$O/tools/baton/baton" bench switch --where vm-icount \
		--quick --case '@(fiber|null_syscall|pipe_pingpong|swap_pinned)' --json "$tap_dir/lines" || return
	python3 - "$tap_dir/lines" <<'PY'
import json, sys
by = {l["case"]: l for l in map(json.loads, open(sys.argv[1]))}
assert by["fiber"]["value"] < by["null_syscall"]["value"] < by["pipe_pingpong"]["value"], by
swap = by["swap_pinned"]
assert swap["unit"] == "insn" and swap["baseline"] == "sched_yield_normal" and 0.5 < swap["ratio"] <= 1.02, swap
PY
}
check "no thread runs in a group that is throttled" counted throttle
check "no process pays for what another has used" counted debt
check "what switches cost, in instructions" costs
finish

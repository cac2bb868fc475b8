#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A storm (selftests/bpf/storm) on the debug kernel's tracepoints, where a thread may stand still for 100 ms between any
# two instructions: `make vm-storm`. Not a test of `make test`, which has the storm on the debug kernel's hook and on the plain
# kernel's tracepoints (ACCEL, as bpf.sh): for some ten minutes the kernel checks the programs that are loaded.
# STORM_SECONDS in the environment (20), LOAD_WITH (tracepoints).
set -u
export TOP O=${O:-$TOP/build}
. "$TOP/selftests/tap.sh"
grep -q 'HAVE_BPF 1' "$O/config.h" || skip_all "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"

storm() {
	local seconds=${STORM_SECONDS:-20}
	ACCEL=tcg-single "$TOP/tools/vm/run" --kernel debug --timeout $((1500 + seconds)) --env "O=$O" --env "STORM_SECONDS=$seconds" \
		--env BATON_BACKEND=wakewait --env "LOAD_WITH=${LOAD_WITH:-tracepoints}" -- "$O/selftests/bpf/storm"
}
check "storm, wake and wait" storm
finish

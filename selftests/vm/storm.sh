#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A minute of selftests/bpf/storm on the debug kernel, where a thread may stand still
# for 100 ms between any two instructions. Not in the group debug: ACCEL, as bpf.sh.
set -u
. "$TOP/selftests/tap.sh"
grep -q 'HAVE_BPF 1' "$O/config.h" || skip_all "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"

storm() {
	ACCEL=tcg-single "$TOP/tools/vm/run" --kernel debug --timeout 1500 --env "O=$O" --env STORM_SECONDS=60 --env "BATON_BACKEND=$1" --env "LOAD_WITH=$2" -- \
		"$O/selftests/bpf/storm"
}
check "storm, swap" storm swap tracepoints
check "storm, wake and wait" storm wakewait tracepoints
check "storm, the kernel's hook" storm swap hook
finish

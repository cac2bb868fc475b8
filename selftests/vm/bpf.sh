#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The BPF tests on tracepoints in the patched kernel. Not among those of the group
# vm, which are on its hook: attaching to tracepoints, see ACCEL in tools/vm/run.
set -u
. "$TOP/selftests/tap.sh"
grep -q 'HAVE_BPF 1' "$O/config.h" || skip_all "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"

in_vm() {
	ACCEL=tcg-single "$TOP/tools/vm/run" --kernel plain --timeout 180 --env "O=$O" --env LOAD_WITH=tracepoints -- "$O/selftests/bpf/$1"
}
for t in places lost sched stacks storm; do
	check "$t, tracepoints" in_vm $t
done
finish

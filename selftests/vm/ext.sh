#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# FUTEX_SWAP while a sched_ext scheduler is loaded in the patched kernel. Not among
# the tests of the group vm: loading one patches the code that the other CPUs run,
# see ACCEL in tools/vm/run.
set -u
. "$TOP/selftests/tap.sh"
grep -q 'HAVE_BPF 1' "$O/config.h" || skip_all "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"

in_vm() {
	ACCEL=tcg-single "$TOP/tools/vm/run" --kernel plain --timeout 240 -- "$O/selftests/futex/ext"
}
check "hand-overs beside a sched_ext scheduler" in_vm
finish

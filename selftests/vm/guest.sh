#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Inside the VM: what tests and benchmarks may rely on.
set -u
. "$TOP/selftests/tap.sh"
[ -n "${BATON_VM:-}" ] || skip_all "not in the VM"

base=$(uname -r | cut -d. -f 1,2)
debug=
[ "${BATON_GROUP:-}" != debug ] || debug=y

# has_options FRAGMENT...: the kernel was really built with them, the last word on
# an option counts; an option of the series is there once a patch for this base adds it.
has_options() {
	local bad series
	series=$(sed -n 's/^+config \([A-Z_]*\)$/ CONFIG_\1 /p' "$TOP/kernel-patch/$base"/*.patch | tr -d '\n')
	bad=$(zcat /proc/config.gz | awk -v series="$series" '
		FILENAME == "-" { if (/^CONFIG/) has[$0] = 1; next }
		/^#/ { from_series = /^# series:/ }
		/^CONFIG/ {
			o = $0; sub(/=.*/, "", o)
			if (!from_series || index(series, " " o " "))
				v[o] = $0
		}
		END {
			for (o in v)
				if (v[o] ~ /=n$/ ? has[o "=y"] : !has[v[o]])
					print v[o]
		}' - "$@")
	expect [ -z "$bad" ]
}
has_the_options_of_the_snippet() { has_options "$TOP/Kconfig.snippet"; }
has_the_options_of_the_vm() {
	local f fragments=()
	for f in vm "vm-$base" ${debug:+debug "debug-$base"}; do
		[ ! -f "$TOP/tools/vm/$f.config" ] || fragments+=("$TOP/tools/vm/$f.config")
	done
	has_options "${fragments[@]}"
}
has_precise_clocks() {
	expect [ "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource | sed 's/-early//')" = tsc ]
	expect [ "$(grep -c 'hres_active *: 1' /proc/timer_list)" -eq "$(nproc)" ]
}
fstype() { stat -f -c %T "$1"; }
has_the_file_systems() {
	expect [ "$(fstype /)" = overlayfs ]
	for d in /tmp /run /dev/shm; do
		expect [ "$(fstype $d)" = tmpfs ]
	done
	expect [ "$(fstype /sys/fs/cgroup)" = cgroup2fs ]
	expect [ "$(fstype /sys/fs/bpf)" = bpf_fs ]
	expect [ -e /sys/kernel/debug/sched/features ]
	expect [ -e /sys/kernel/tracing/events/sched/sched_switch/id ]
	expect [ -s /sys/kernel/btf/vmlinux ]
}
has_cgroups() {
	local g=/sys/fs/cgroup/baton-test
	echo '+cpu +cpuset +pids' >/sys/fs/cgroup/cgroup.subtree_control || exit 1
	expect mkdir $g
	echo '5000 100000' >$g/cpu.max || exit 1
	expect [ -e $g/cpu.uclamp.min ]
	expect [ -e $g/cgroup.freeze ]
	expect rmdir $g
}
has_a_loopback() {
	expect [ $(($(cat /sys/class/net/lo/flags) & 1)) -eq 1 ]
}
can_unplug_a_cpu() {
	local n
	n=$(nproc)
	[ "$n" -gt 1 ] || exit 0
	echo 0 >/sys/devices/system/cpu/cpu1/online || exit 1
	expect [ "$(nproc)" -eq $((n - 1)) ]
	echo 1 >/sys/devices/system/cpu/cpu1/online || exit 1
	expect [ "$(nproc)" -eq "$n" ]
}
chooses_preemption() {
	local was
	was=$(sed 's/.*(\(.*\)).*/\1/' /sys/kernel/debug/sched/preempt)
	echo full >/sys/kernel/debug/sched/preempt || exit 1
	expect grep -q '(full)' /sys/kernel/debug/sched/preempt
	echo "$was" >/sys/kernel/debug/sched/preempt
}
has_namespaces() {
	expect unshare --pid --fork true
}
injects_futex_failures() { expect [ -e /sys/kernel/debug/fail_futex/probability ]; }
checks_locks() { expect [ -e /proc/lockdep_stats ]; }

for t in has_the_options_of_the_snippet has_the_options_of_the_vm has_precise_clocks has_the_file_systems \
	has_cgroups has_a_loopback can_unplug_a_cpu chooses_preemption has_namespaces; do
	check "$t" "$t"
done
if [ "${BATON_GROUP:-}" = debug ]; then
	check injects_futex_failures injects_futex_failures
	check checks_locks checks_locks
fi
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tools/vm/run and tools/vm/shell, from outside.
set -u
. "$TOP/selftests/tap.sh"
w=$tap_dir
export TMPDIR=$w/tmp
mkdir "$TMPDIR" "$w/out"
# The guest has a /tmp of its own, with this one directory of ours in it.
cd "$w" || exit 1
vm() { "$TOP/tools/vm/run" --timeout 150 "$@"; }
# Processes of this test's own runs: their directory is on QEMU's command line.
nothing_left() {
	local i
	for i in $(seq 50); do
		! pgrep -f "qemu-system.*$TMPDIR" >/dev/null && [ -z "$(ls "$TMPDIR")" ] && return 0
		sleep 0.1
	done
	pgrep -af "qemu-system.*$TMPDIR"
	ls "$TMPDIR"
	return 1
}

returns_the_status() {
	expect_rc 0 vm -- true
	expect_rc 7 vm -- sh -c 'exit 7'
	expect_rc 127 vm -- no-such-command
	expect_rc 137 vm -- bash -c 'kill -9 $$'
}
keeps_stdout_and_stderr_apart() {
	head -c 1000000 /dev/urandom >"$w/bytes"
	vm -- sh -c "cat $w/bytes; echo on stderr >/dev/stderr" >"$w/o" 2>"$w/e" || exit 1
	expect cmp "$w/bytes" "$w/o"
	expect [ "$(cat "$w/e")" = 'on stderr' ]
}
passes_arguments_and_environment() {
	set -- "it's" 'a  b' '' '$HOME' '*' $'tab\tnew\nline' '\\' '"'
	vm --env "ODD=it's \$1" -- bash -c 'printf "%s\0" "$@"; printf "%s" "$ODD"; pwd' x "$@" >"$w/o" || exit 1
	{ printf '%s\0' "$@"; printf '%s' "it's \$1"; pwd; } >"$w/want"
	expect cmp "$w/want" "$w/o"
	expect_rc 0 env NOT_FOR_THE_GUEST=1 "$TOP/tools/vm/run" -- env
	expect [ "$(cut -d= -f1 "$w/run" | sort | paste -sd' ')" = 'BATON_VM HOME PATH TERM' ]
}
writes_nothing_to_the_host() {
	echo host >"$w/file"
	expect_rc 0 vm -- sh -ec "
		grep -qx host '$w/file'
		echo guest >'$w/file'; echo guest >'$w/new'; rm -f '$w/bytes'
		echo guest >/tmp/baton-guest; echo guest >/etc/baton-guest; echo guest >/dev/shm/baton-guest
		cat '$w/file'"
	expect [ "$(cat "$w/run")" = guest ]
	expect [ "$(cat "$w/file")" = host ]
	for f in "$w/new" /tmp/baton-guest /etc/baton-guest /dev/shm/baton-guest; do
		expect [ ! -e "$f" ]
	done
}
returns_files_by_out() {
	echo in >"$w/out/in"
	expect_rc 0 vm --out "$w/out" -- sh -ec "cat '$w/out/in'; seq 100000 >'$w/out/seq'; mkdir '$w/out/d'"
	expect [ "$(cat "$w/run")" = in ]
	seq 100000 | cmp - "$w/out/seq" || exit 1
	expect [ -d "$w/out/d" ]
	expect_rc 125 vm --out "$w/no-such-directory" -- true
}
has_a_hard_timeout() {
	expect_rc 124 "$TOP/tools/vm/run" --timeout 6 -- sleep 100
	expect_says 'timed out after 6 s'
	expect nothing_left
}
fails_on_kernel_bugs() {
	expect_rc 125 vm -- sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at made/up.c:1" >/dev/kmsg; exit 0'
	expect_says 'the kernel reported a bug'
	expect_says 'made/up.c:1'
	expect_rc 3 vm --splats-ok -- sh -c 'echo "<4>WARNING: CPU: 0 PID: 1 at made/up.c:1" >/dev/kmsg; exit 3'
}
survives_a_panic() {
	expect_rc 125 vm -- sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
	expect_says 'Kernel panic'
	expect nothing_left
}
# died SIGNAL STATUS: a runner that gets SIGNAL ends with STATUS, and its VM with it.
died() {
	local pid rc=0
	setsid --wait env --default-signal=INT "$TOP/tools/vm/run" -- sh -c 'echo up; sleep 100' >"$w/o" 2>&1 &
	pid=$!
	until grep -q up "$w/o"; do
		sleep 0.2
		kill -0 $pid || exit 1
	done
	pid=$(pgrep -f "bash $TOP/tools/vm/run -- sh -c echo up" | head -n 1)
	kill "-$1" "$pid"
	wait %% || rc=$?
	expect [ "$rc" -eq "$2" ]
}
dies_of_ctrl_c() { died INT 130 && expect nothing_left; }
dies_of_term() { died TERM 143 && expect nothing_left; }
vm_dies_with_a_killed_runner() {
	died KILL 137
	rm -rf "$TMPDIR"/*
	expect nothing_left
}
has_as_many_cpus_as_asked() {
	expect_rc 0 vm --cpus 4 --append 'preempt=full' -- sh -c 'nproc; cat /proc/cmdline'
	expect_says '^4$'
	expect_says 'preempt=full'
}
# A guest that calibrates its clock on a busy host may run ten times too fast.
has_a_true_clock() {
	vm -- sh -c 'echo a; sleep 3; echo b' | while read -r line; do
		echo "$line ${EPOCHREALTIME/./}"
	done >"$w/times"
	local a b
	a=$(sed -n 's/^a //p' "$w/times") b=$(sed -n 's/^b //p' "$w/times")
	expect [ $((b - a)) -ge 2500000 ]
}
# A loop in the shell and the clock: the same number of instructions each time.
counts_instructions() {
	local loop='a=$EPOCHREALTIME; for ((i = 0; i < 3000; i++)); do :; done; b=$EPOCHREALTIME; echo $((${b/./} - ${a/./}))' x y
	x=$(vm --icount -- bash -c "$loop") && y=$(vm --icount -- bash -c "$loop") || exit 1
	echo "$x $y"
	expect [ $(((x - y) * 100 / x)) -eq 0 ]
}
# The tests' runner in the guest: a bug fails the test that met it, by name.
blames_the_test_that_met_the_bug() {
	mkdir -p "$w/out/t"
	printf '#!/bin/sh\necho 1..1\necho ok 1 - fine\n' >"$w/out/t/good"
	printf '#!/bin/sh\necho 1..1\necho "<4>BUG: made up" >/dev/kmsg\necho ok 1 - fine\n' >"$w/out/t/bad"
	chmod 755 "$w/out/t/good" "$w/out/t/bad"
	printf '%s 0\n' "$w/out/t/good" "$w/out/t/bad" "$w/out/t/good" >"$w/out/list"
	expect_rc 1 vm --splats-ok --out "$w/out" --env "BATON_LOGS=$w/out" -- "$TOP/selftests/run" --list "$w/out/list"
	expect_says '^FAIL  .*/t/bad'
	expect_says '^ok    .*/t/good'
	expect_says '^3 passed, 1 failed, 0 skipped'
	# The runner outside, which sees the same messages, fails as well.
	expect_rc 125 vm --out "$w/out" --env "BATON_LOGS=$w/out" -- "$TOP/selftests/run" --list "$w/out/list"
}
has_a_shell() {
	printf '%s\n' 'stty rows 33 cols 99' 'stty -a >before' "$TOP/tools/vm/shell" \
		'echo "status $?"' 'stty -a >after' >"$w/session"
	(until grep -q baton-vm o; do sleep 0.2; done; sleep 0.5; echo 'stty size; tty; echo $((6*7)); exit 3'; sleep 3) |
		timeout 100 script -qec "bash $w/session" /dev/null >o || { cat o; exit 1; }
	tr -d "\r" <o >run
	expect_says '33 99$'
	expect_says '/dev/hvc0'
	expect_says '^42$'
	expect_says '^status 0$'
	expect cmp before after
	expect nothing_left
}

for t in returns_the_status keeps_stdout_and_stderr_apart passes_arguments_and_environment \
	writes_nothing_to_the_host returns_files_by_out has_a_hard_timeout fails_on_kernel_bugs \
	survives_a_panic dies_of_ctrl_c dies_of_term vm_dies_with_a_killed_runner \
	has_as_many_cpus_as_asked has_a_true_clock counts_instructions blames_the_test_that_met_the_bug has_a_shell; do
	check "$t" "$t"
done
finish

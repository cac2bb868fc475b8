#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# selftests/run: tests that run beside another one. (What it does in a VM: vm/runner.)
set -u
. "$TOP/selftests/tap.sh"
w=$tap_dir
unset BATON_VM BATON_GROUP
export O=$w/build BATON_LOGS=$w/log
mkdir -p "$O/selftests/t"

# a_test NAME COMMANDS; a_line NAME [HOW]: its line in a list.
a_test() {
	printf '#!/bin/sh\necho 1..1\n%s\n' "$2" >"$O/selftests/t/$1"
	chmod 755 "$O/selftests/t/$1"
}
a_line() {
	echo "$O/selftests/t/$1 100 ${2:-}"
}
# Each ends only once the other one has begun.
meets() {
	printf '>%s/%s; until [ -e %s/%s ]; do sleep 0.1; done; echo ok 1' "$w" "$1" "$w" "$2"
}
a_test one 'echo ok 1'
a_test bad 'echo not ok 1; exit 1'
a_test left "$(meets left right)"
a_test right "$(meets right left)"

runs_beside() {
	{ a_line bad beside; a_line left beside; a_line one; a_line right single; a_line one; } >"$w/list"
	expect_rc 1 "$TOP/selftests/run" --list "$w/list"
	expect_says '^FAIL  t/bad'
	expect_says '^ok    t/left'
	expect_says '^ok    t/right'
	expect_says '^4 passed, 1 failed, 0 skipped'
}
# Without a single one, they run before the others.
runs_first() {
	a_test first ">$w/first; echo ok 1"
	a_test second "[ -e $w/first ] && echo ok 1"
	{ a_line bad beside; a_line second; a_line first beside; } >"$w/list"
	expect_rc 1 "$TOP/selftests/run" --list "$w/list"
	expect_says '^FAIL  t/bad'
	expect_says '^2 passed, 1 failed, 0 skipped'
}
runs_on_each_cpu() {
	rm -f "$w/left" "$w/right"
	{ a_line left beside; a_line right beside; a_line one; } >"$w/list"
	expect_rc 0 "$TOP/selftests/run" --list "$w/list"
	expect_says '^3 passed, 0 failed, 0 skipped'
}
# The one of those that took longest the last time.
longest_begins() {
	a_test short "[ -e $w/long_began ] && echo ok 1"
	a_test slow_one ">$w/long_began; echo ok 1"
	a_test slow_two "until [ -e $w/long_began ]; do sleep 0.1; done; echo ok 1"
	{ a_line short beside; a_line slow_two beside; a_line slow_one beside; } >"$w/list"
	mkdir -p "$w/log"
	printf 't/short 1\nt/slow_two 6\nt/slow_one 7\n' >"$w/log/seconds-host"
	# A machine with one CPU: two at once.
	expect_rc 0 taskset -c "$(taskset -cp $$ | sed 's/.*: *//; s/[,-].*//')" "$TOP/selftests/run" --list "$w/list"
	expect_says '^3 passed, 0 failed, 0 skipped'
	expect grep -q '^t/slow_one [0-9]$' "$w/log/seconds-host"
}
# Where the others are done, what is left to run beside them has all CPUs: these two meet only there.
has_all_cpus() {
	rm -f "$w/left" "$w/right"
	{ a_line left beside; a_line right beside; a_line one single; } >"$w/list"
	expect_rc 0 timeout 60 taskset -c "$two" "$TOP/selftests/run" --list "$w/list"
	expect_says '^3 passed, 0 failed, 0 skipped'
}
# A test that compares with the clock gets a second try, and the log of the first stays; others do not.
tries_the_clock_again() {
	a_test slow "[ -e $w/tried ] && echo ok 1 || { >$w/tried; echo not ok 1; exit 1; }"
	{ a_line slow clock; a_line bad clock; a_line bad; } >"$w/list"
	expect_rc 1 "$TOP/selftests/run" --list "$w/list"
	expect_says '^again t/slow'
	expect_says '^ok    t/slow'
	expect_says 'were run once more: t/slow t/bad$'
	expect_says '^1 passed, 2 failed, 0 skipped'
	expect [ "$(cat "$w/log/host-t-slow.log.first")" = "$(printf '1..1\nnot ok 1')" ]
}
# Tests run only where the pattern matches, those beside others, too.
takes_the_pattern() {
	{ a_line bad beside; a_line one beside; a_line right single; } >"$w/list"
	expect_rc 0 "$TOP/selftests/run" -k t/one --list "$w/list"
	expect_says '^1 passed, 0 failed, 0 skipped'
}
# A runner that is told to end takes what runs beside with it.
ends_with_it() {
	local pid rc=0
	a_test long "echo \$\$ >$w/new; mv $w/new $w/long; exec sleep 200"
	a_test last "until [ -e $w/long ] && [ -e $w/pid ]; do sleep 0.1; done; kill \$(cat $w/pid); echo ok 1"
	{ a_line long beside; a_line last single; } >"$w/list"
	"$TOP/selftests/run" --list "$w/list" & pid=$!
	echo $pid >"$w/new.pid"
	mv "$w/new.pid" "$w/pid"
	wait $pid || rc=$?
	expect [ "$rc" -eq 143 ]
	for _ in $(seq 300); do
		kill -0 "$(cat "$w/long")" 2>/dev/null || return 0
		sleep 0.1
	done
	exit 1
}
# No test is missed, whatever becomes of those that run there.
misses_none() {
	a_test kills "kill -9 \$(ps -o ppid= \$(ps -o ppid= \$\$)); echo ok 1"
	{ a_line kills beside; a_line one beside; a_line one single; } >"$w/list"
	expect_rc 1 "$TOP/selftests/run" --list "$w/list"
	expect_says '^FAIL  1 tests'
	expect_says '^2 passed, 1 failed, 0 skipped'
}
check runs_first runs_first
check takes_the_pattern takes_the_pattern
check longest_begins longest_begins
check tries_the_clock_again tries_the_clock_again
# With one CPU nothing runs beside another one.
if [ "$(nproc)" -gt 1 ]; then
	two=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[:2], sep=",")')
	check runs_beside runs_beside
	check has_all_cpus has_all_cpus
	check runs_on_each_cpu runs_on_each_cpu
	check ends_with_it ends_with_it
	check misses_none misses_none
fi
finish

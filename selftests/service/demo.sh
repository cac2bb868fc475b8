#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demo with short phases: all of its figures, its picture, and nothing left.
set -u
. "$TOP/selftests/tap.sh"
export DEMO_DIR=$tap_dir/demo

nothing_left() {
	expect [ -z "$(pgrep -f -- "$DEMO_DIR")" ]
}
# Each tenant was served in each phase that it was in.
all_served() {
	local n
	for n in paying:3 tolerant:2 batch:2 hostile:2; do
		[ "$(grep -Ec "^  ${n%:*} +[0-9,.]*[1-9]" "$tap_dir/run")" -eq "${n#*:}" ] || return 1
	done
}
table_and_picture() {
	local phase seconds
	# On a machine with other things to do, who bought least may need longer.
	for seconds in 2 6 18; do
		DEMO_SECONDS=$seconds expect_rc 0 "$TOP/tools/demo"
		! all_served || break
	done
	expect all_served
	for phase in 'the paying tenant alone' 'everybody, quotas off' 'everybody, quotas on'; do
		expect_says "^$phase\$"
	done
	expect_says "^With hostile neighbours the paying tenant's p99 is [0-9.]+ ms without quotas"
	expect [ "$(head -c 4 "$DEMO_DIR/demo.png" | tail -c 3)" = PNG ]
	expect [ "$(tail -n 2 "$DEMO_DIR/demo.svg" | grep -c '^</svg>$')" -eq 1 ]
	expect_rc 0 python3 -m json.tool "$DEMO_DIR/demo.json"
	nothing_left
}
interrupted() {
	env --default-signal=INT "$TOP/tools/demo" >"$tap_dir/run" 2>&1 &
	local pid=$!
	for _ in $(seq 300); do
		! grep -q 'alone' "$tap_dir/run" || break
		sleep 0.1
	done
	expect [ -n "$(pgrep -f -- "$DEMO_DIR")" ]
	sleep 1
	kill -INT "$pid"
	wait "$pid"
	expect [ $? -eq 130 ]
	nothing_left
}

check table_and_picture table_and_picture
check interrupted interrupted
finish

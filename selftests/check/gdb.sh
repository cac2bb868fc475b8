#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# gdb shows a parked thread's state, and finds the printer beside an installed
# library without being told.
set -u
. "$TOP/selftests/tap.sh"
command -v gdb >/dev/null || skip_all "mend: no gdb (Debian: apt-get install gdb)"
gdb -nx -batch -ex 'python print("ok")' 2>&1 | grep -q '^ok' || skip_all "this gdb has no python"
unset MAKEFLAGS MAKELEVEL
here=$O/selftests/check

# gdb_run PROGRAM ARG...: stopped where all are parked, then these commands.
gdb_run() {
	local prog=$1
	shift
	expect_rc 0 timeout 50 gdb -nx -batch -ex 'set debuginfod enabled off' "$@" \
		-ex 'break stopped_here' -ex run \
		-ex 'print *sleeper' -ex 'print *waiter' -ex 'print *full' -ex 'print *fresh' -ex 'print *gone' \
		-ex 'info parkers' "$prog"
}
says_all() {
	expect_says '\$1 = \{state = parked for ever, owner = thread [0-9]+ \(LWP [0-9]+\) "dreamer"\}'
	expect_says '\$2 = \{state = parked until 123456\.000000789 s \(CLOCK_MONOTONIC\), owner = thread'
	expect_says '\$3 = \{state = has a permit, owner = none yet\}'
	expect_says '\$4 = \{state = running, no permit, owner'
	expect_says '\$5 = \{state = destroyed'
	expect_says '^0x[0-9a-f]+  parked for ever  thread [0-9]+ \(LWP [0-9]+\) "dreamer"'
	expect [ "$(grep -c '^0x' "$tap_dir/run")" -eq 4 ]
}
sourced() {
	gdb_run "$here/gdb_park" -ex "source $TOP/tools/gdb/baton-gdb.py"
	says_all
}
found_where_it_is_installed() {
	local dest=$1
	shift
	expect make -C "$TOP" O="$O" PREFIX="$dest" "$@" install
	cc -D_GNU_SOURCE -g -I"$dest/include" -I"$TOP/lib/src" "$TOP/selftests/check/gdb_park.c" -o "$tap_dir/prog" \
		-L"$dest/lib" -Wl,-rpath,"$dest/lib" -lbaton -pthread || exit 1
	gdb_run "$tap_dir/prog" -iex "set auto-load scripts-directory $dest/auto-load" \
		-iex "set auto-load safe-path $dest"
	says_all
}
check sourced sourced
check "found beside the library" found_where_it_is_installed "$tap_dir/a"
check "found in gdb's directory" found_where_it_is_installed "$tap_dir/b" GDBDIR="$tap_dir/b/auto-load"
finish

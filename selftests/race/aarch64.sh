#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Parkers and the fiber switch, built for 64-bit Arm and run by qemu's user
# mode: the other machine's system calls and atomics, in this machine's order.
set -u
. "$TOP/selftests/tap.sh"
cc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64)
command -v $cc >/dev/null && [ -n "$qemu" ] ||
	skip_all "mend: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"

# No probe of this machine's holds for the other one.
: >"$tap_dir/config.h"

build() {
	$cc -O2 -static -std=gnu11 -pthread -D_GNU_SOURCE -I"$TOP/lib/include" -I"$TOP/lib/src" \
		-I"$TOP/selftests" -I"$tap_dir" -o "$tap_dir/$1" "${@:2}" "$TOP"/lib/src/*.c "$TOP"/lib/src/*/*.c
}
race() {
	build race "$TOP/selftests/race/park.c" || exit 1
	expect "$qemu" "$tap_dir/race"
}
fiber() {
	build baton "$TOP"/tools/baton/*.c || exit 1
	expect_rc 0 "$qemu" "$tap_dir/baton" bench switch --quick --rounds 1 --case fiber
	expect_says '^fiber +[0-9]'
}
check race race
check fiber fiber
finish

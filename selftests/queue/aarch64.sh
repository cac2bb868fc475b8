#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# aarch64.sh - the queue tests, built for 64-bit Arm and run by qemu's user mode.
# It is the other compiler's code for the other machine's atomics; qemu runs
# them on this machine's memory order.
set -u
. "$TOP/selftests/tap.sh"

cc=aarch64-linux-gnu-gcc
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64)
if ! command -v $cc >/dev/null || [ -z "$qemu" ]; then
	echo "1..0 # SKIP mend: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
	exit 4
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir" "$tap_dir"' EXIT

# No probe of this machine's holds for the other one.
: >"$dir/config.h"

build() {
	local name=$1
	shift
	$cc -O2 -static -std=gnu11 -Wall -Wextra -Wno-unused-parameter -pthread -D_GNU_SOURCE \
		-I"$TOP/lib/include" -I"$TOP/selftests" -I"$dir" "$@" -o "$dir/$name" \
		"$TOP/selftests/queue/${name%%-*}.c" "$TOP"/lib/src/*.c "$TOP"/lib/src/*/*.c
}
run() {
	"$qemu" "$dir/$1"
}

check "basic builds" build basic
check "basic" run basic
check "basic-inject builds" build basic-inject -DBTN_INJECT
check "basic-inject" run basic-inject
check "flood builds" build flood -DITEMS=60000
check "flood" run flood
# The outline atomics of plain ARMv8.0 above, the instructions of 8.1 here.
check "flood-lse builds" build flood-lse -DITEMS=60000 -march=armv8.1-a
check "flood-lse" run flood-lse
check "histories-inject builds" build histories-inject -DBTN_INJECT -DROUNDS=500
check "histories-inject" run histories-inject
finish

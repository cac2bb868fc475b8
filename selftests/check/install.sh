#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What `make install` installs is enough: every example builds against it
# through pkg-config, shared and static, as C and as C++, and runs; the tool
# runs; `make uninstall` leaves nothing behind.
set -u
. "$TOP/selftests/tap.sh"
unset MAKEFLAGS MAKELEVEL
dest=$tap_dir/dest
prefix=/opt/baton
export PKG_CONFIG_PATH=$dest$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
lib=$dest$prefix/lib

run_make() { make -C "$TOP" O="$O" DESTDIR="$dest" PREFIX="$prefix" "$@"; }

installs() {
	run_make install
	expect test -f "$lib/libbaton.a"
	expect test -e "$lib/libbaton.so.0"
	expect test -e "$dest$prefix/share/man/man3/baton_parker.3"
	expect "$dest$prefix/bin/baton" --version
}
soname_is_major() {
	expect_rc 0 readelf -d "$lib/libbaton.so"
	expect_says 'SONAME.*\[libbaton\.so\.0\]'
	# Nothing is left to whoever links it, and nothing is bound late.
	expect_says 'BIND_NOW|FLAGS.*NOW'
}
example() {
	local name=$1 cc=$2 how=$3 flags
	shift 3
	flags="$(pkg-config --cflags --libs $how baton) $*" || exit 1
	case $how in --static) flags="-static $flags" ;; esac
	# shellcheck disable=SC2086
	case $cc in
	cc) cc -std=c11 -pedantic -D_DEFAULT_SOURCE -Wall -Wextra -Werror "$TOP/lib/examples/$name.c" \
		-o "$tap_dir/example" $flags -pthread || exit 1 ;;
	c++) c++ -x c++ -std=c++17 -Wall -Wextra -Werror "$TOP/lib/examples/$name.c" -x none \
		-o "$tap_dir/example" $flags -pthread || exit 1 ;;
	esac
	LD_LIBRARY_PATH=$lib expect timeout 20 "$tap_dir/example"
}
# The program that the README shows, built as the README says.
readme_example() {
	sed -n '/^```c$/,/^```$/p' "$TOP/README.md" | sed '/^```/d' >"$tap_dir/turns.c"
	# shellcheck disable=SC2046
	cc -Wall -Wextra -Wno-unused-parameter -o "$tap_dir/turns" "$tap_dir/turns.c" \
		$(pkg-config --cflags --libs baton) -pthread || exit 1
	LD_LIBRARY_PATH=$lib expect_rc 0 timeout 20 "$tap_dir/turns"
	expect [ "$(paste -sd' ' "$tap_dir/run")" = "ping pong" ]
}
version_agrees() {
	expect_rc 0 pkg-config --modversion baton
	expect_says "^$(sed -n 's/^.define BATON_VERSION "\(.*\)"/\1/p' "$TOP/lib/include/baton/base.h")$"
}
uninstalls() {
	run_make uninstall
	expect_rc 0 find "$dest" -type f -o -type l
	expect test ! -s "$tap_dir/run"
}

check installs installs
check soname_is_major soname_is_major
check version_agrees version_agrees
for e in "$TOP"/lib/examples/*.c; do
	e=$(basename "$e" .c)
	check "example $e" example "$e" cc ''
done
check "example as C++" example baton_parker_switch_to c++ ''
check "example static" example baton_parker_switch_to cc --static
check "example inline" example baton_ring_push cc '' -DBATON_INLINE
check "example inline as C++" example baton_ring_push c++ '' -DBATON_INLINE
check readme_example readme_example
check uninstalls uninstalls
finish

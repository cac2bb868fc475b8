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
# A program of C++ on <baton/baton.hpp>, with all warnings and the sanitizers for memory.
cxx_example() {
	# shellcheck disable=SC2046
	"$2" -std=c++17 -pedantic -Wall -Wextra -Werror -fsanitize=address,undefined "$TOP/lib/examples/$1.cc" \
		-o "$tap_dir/example" $(pkg-config --cflags --libs baton) -pthread || exit 1
	LD_LIBRARY_PATH=$lib expect timeout 60 "$tap_dir/example"
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
# `man CALL` finds the page of every call that is exported.
man_of_each_call() {
	for call in $(sed -n 's/^[[:space:]]*\(baton_[a-z0-9_]*\);.*/\1/p' "$TOP/lib/baton.map"); do
		case $call in *_v[0-9]) continue ;; esac
		page=$dest$prefix/share/man/man3/$call.3
		expect test -s "$page"
		expect grep -q "$call" "$page"
	done
}
# An outsider's program that finds the library by CMake, shared and static.
cmake_finds_it() {
	command -v cmake >/dev/null || { echo "no cmake"; return 0; }
	unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
	make -C "$TOP" O="$O" DESTDIR= PREFIX="$tap_dir/prefix" install
	mkdir "$tap_dir/outsider"
	cp "$TOP/lib/examples/baton_parker_switch_to.c" "$tap_dir/outsider/p.c"
	cat >"$tap_dir/outsider/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.13)
project(outsider C)
find_package(baton 0.2 REQUIRED)
find_package(baton 99.0 QUIET)
if(baton_FOUND)
	message(FATAL_ERROR "version 99 was found")
endif()
add_executable(shared p.c)
target_link_libraries(shared baton::baton)
add_executable(static p.c)
target_link_libraries(static baton::static)
C
	expect_rc 0 cmake -S "$tap_dir/outsider" -B "$tap_dir/outsider/b" -DCMAKE_PREFIX_PATH="$tap_dir/prefix"
	expect_rc 0 cmake --build "$tap_dir/outsider/b"
	expect timeout 60 "$tap_dir/outsider/b/shared"
	expect timeout 60 "$tap_dir/outsider/b/static"
	make -C "$TOP" O="$O" DESTDIR= PREFIX="$tap_dir/prefix" uninstall
	expect_rc 0 find "$tap_dir/prefix" -type f -o -type l
	expect test ! -s "$tap_dir/run"
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
for cxx in g++ clang++; do
	command -v $cxx >/dev/null || continue
	check "example raii, $cxx" cxx_example raii $cxx
done
check "example as C++" example baton_parker_switch_to c++ ''
check "example static" example baton_parker_switch_to cc --static
check "example inline" example baton_ring_push cc '' -DBATON_INLINE
check "example inline as C++" example baton_ring_push c++ '' -DBATON_INLINE
check readme_example readme_example
check man_of_each_call man_of_each_call
check cmake_finds_it cmake_finds_it
check uninstalls uninstalls
finish

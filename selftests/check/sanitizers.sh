#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An outsider's program with every lock and wait, built with sanitizers, against the library as it is installed, which is not: no
# reports. ThreadSanitizer knows what each object orders because the library says so: where one is not said, it reports.
set -u
. "$TOP/selftests/tap.sh"
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -Wno-unused-parameter -pthread -I$TOP/lib/include"
source=$TOP/selftests/check/every_wait.c
export LD_LIBRARY_PATH=$O/lib

# build CC NAME [FLAG]...
build() {
	local cc=$1 name=$2
	shift 2
	# shellcheck disable=SC2086
	expect_rc 0 "$cc" $flags -o "$tap_dir/$name" "$source" "$@"
}
no_reports() {
	build "$1" a "$2" -L"$O/lib" -lbaton
	expect_rc 0 timeout 100 "$tap_dir/a"
	if grep -qE 'WARNING|ERROR|runtime error' "$tap_dir/run"; then
		cat "$tap_dir/run"
		exit 1
	fi
}
wraps() {
	build cc wrapped -DWRAPPED -fsanitize=thread "$O/lib/libbaton.a" -Wl,--wrap=__tsan_acquire
	expect_rc 0 timeout 100 "$tap_dir/wrapped" drop 0
}
reports_without() {
	expect_rc 66 timeout 100 "$tap_dir/wrapped" drop "$1"
	expect_says 'WARNING: ThreadSanitizer: data race'
}
under_valgrind() {
	build cc plain -L"$O/lib" -lbaton
	expect_rc 0 timeout 200 valgrind -q --error-exitcode=9 --leak-check=full "$tap_dir/plain"
	if grep -q '^==' "$tap_dir/run"; then
		cat "$tap_dir/run"
		exit 1
	fi
}

for cc in cc clang; do
	command -v $cc >/dev/null || continue
	check "$cc, thread" no_reports $cc -fsanitize=thread
	check "$cc, address and undefined" no_reports $cc -fsanitize=address,undefined
done
check "thread, the library says all" wraps
n=0
for object in mutex rwlock cond sem chan full-chan task wait_any parker request completion; do
	n=$((n + 1))
	check "thread, without $object" reports_without $n
done
if command -v valgrind >/dev/null; then
	check valgrind under_valgrind
fi
finish

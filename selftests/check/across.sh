#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs across releases. The library of the last release is built from git's history, and each example of both releases,
# with the headers and the library of its own. Then each runs with the other's library: those of the last release
# with this one's, and this one's with the last, where they use no new call. Where they do, the loader says
# which version it misses, before anything runs.
set -u
. "$TOP/selftests/tap.sh"
unset MAKEFLAGS MAKELEVEL

version=$(sed -n 's/^#define BATON_VERSION "\(.*\)"/\1/p' "$TOP/lib/include/baton/base.h")
last=$(cd "$TOP/lib/abi" && printf '%s\n' * | grep -vxF "$version" | sort -V | tail -1)

# The newest tree of git's history whose map has what the last release promised, and nothing more: the one before the map's next change.
promised() { sed -n 's/^symbol \(baton_[a-z0-9_]*\) .*/\1/p' "$TOP/lib/abi/$last" | sort; }
exported() { git -C "$TOP" show "$1:lib/baton.map" | sed -n 's/^[[:space:]]*\(baton_[a-z0-9_]*\);.*/\1/p' | sort; }
release=
next=HEAD
for c in $(git -C "$TOP" log --format=%H -- lib/baton.map 2>/dev/null); do
	if cmp -s <(promised) <(exported "$c"); then
		release=$next~1
		break
	fi
	next=$c
done
[ -n "$release" ] || skip_all "mend: the tree of $last is not in git's history here (git fetch --unshallow)"
old=$tap_dir/old
new=$TOP

old_builds() {
	mkdir "$old" || exit 1
	git -C "$TOP" archive "$release" | tar -x -C "$old" || exit 1
	expect_rc 0 env -u TOP -u O make -C "$old" -j2 O="$old/build" lib
	expect_rc 0 cc -I"$old/lib/include" -o "$tap_dir/v" "$old/lib/examples/baton_backend.c" -L"$old/build/lib" -lbaton -pthread
	LD_LIBRARY_PATH=$old/build/lib expect_rc 0 "$tap_dir/v"
	# Another version than this one, or nothing is compared.
	expect test "$(sed 's/^baton \([^ ]*\) .*/\1/' "$tap_dir/run")" != "$version"
}
# example ROOT LIBS NAME: built with what is ROOT's.
example() {
	expect_rc 0 cc -std=c11 -D_DEFAULT_SOURCE -I"$1/lib/include" -o "$tap_dir/$3" "$1/lib/examples/$3.c" -L"$2" -lbaton -pthread
}
runs_with_new() {
	example "$old" "$old/build/lib" "$1"
	LD_LIBRARY_PATH=$old/build/lib expect_rc 0 timeout 60 "$tap_dir/$1"
	LD_LIBRARY_PATH=$O/lib expect_rc 0 timeout 60 "$tap_dir/$1"
}
runs_with_old() {
	example "$new" "$O/lib" "$1"
	LD_LIBRARY_PATH=$O/lib expect_rc 0 timeout 60 "$tap_dir/$1"
	if objdump -p "$tap_dir/$1" | grep -q "BATON_${version%.*}$"; then
		LD_LIBRARY_PATH=$old/build/lib expect_rc 1 timeout 60 "$tap_dir/$1"
		expect_says "version .BATON_${version%.*}. not found"
	else
		LD_LIBRARY_PATH=$old/build/lib expect_rc 0 timeout 60 "$tap_dir/$1"
	fi
}

check old_builds old_builds
for e in "$old"/lib/examples/*.c; do
	e=$(basename "$e" .c)
	check "last release's $e" runs_with_new "$e"
done
for e in "$new"/lib/examples/*.c; do
	e=$(basename "$e" .c)
	check "this release's $e" runs_with_old "$e"
done
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The series' own kselftest, built as a kernel developer would, from the series'
# patch and the base's headers, and run in the patched kernel.
set -u
top=${TOP:-$(cd "$(dirname "$0")/../../.." && pwd)}
. "$top/selftests/tap.sh"

base=${BATON_KERNEL:-6.12}
tarball=$("$top/tools/vm/source" "$base" 2>/dev/null) || skip_all "mend: apt-get install linux-source-$base"

# On this machine's disk: the VM has a /tmp of its own.
work=$(mktemp -d "${O:-$top/build}/kselftest.XXXXXX")
trap 'rm -rf "$work" "$tap_dir"' EXIT
tests=tools/testing/selftests

build() {
	expect tar -C "$work" --strip-components=1 --wildcards -xf "$tarball" \
		"*/$tests/kselftest.h" "*/$tests/futex/*"
	sed 's/#.*//' "$top/kernel-patch/$base/series" | while read -r p; do
		GIT_CEILING_DIRECTORIES=$(dirname "$work") git -C "$work" apply --include="$tests/futex/*" "$top/kernel-patch/$base/$p" ||
			exit 1
	done
	cd "$work/$tests/futex/functional"
	expect gcc -O2 -Wall -Werror -pthread -I../include -I../.. -o futex_swap futex_swap.c
}
run() {
	expect_rc 0 "$top/tools/vm/run" --kernel plain --timeout 120 -- \
		"$work/$tests/futex/functional/futex_swap"
	expect_says '^# Totals: pass:1[02] fail:0'
}
check "the kselftest builds" build
check "the kselftest passes in the patched kernel" run
finish

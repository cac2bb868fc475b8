#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build-hook.sh DIR: the series' own kselftest of its block hook, built into DIR
# from the series' patches and the base's headers, as a kernel developer would.
# Without what it needs, DIR has no block_hook and a file `why`.
set -euo pipefail
out=$1
base=${BATON_KERNEL:-6.12}
tarball=$("$TOP/tools/vm/source" "$base" 2>/dev/null) || tarball=
tests=tools/testing/selftests

rm -rf "$out"
mkdir -p "$out/src"
no() {
	echo "$*" >"$out/why"
	exit 0
}
[ -r "$tarball" ] || no "mend: apt-get install linux-source-$base, and make again"
grep -qs "$tests/sched_block" "$TOP/kernel-patch/$base"/*.patch || no "the series for Linux $base has no block hook"
grep -q 'HAVE_BPF 1' "$O/config.h" || no "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"

tar -C "$out/src" --strip-components=1 --wildcards -xf "$tarball" "*/$tests/kselftest.h"
for p in $(sed 's/#.*//' "$TOP/kernel-patch/$base/series"); do
	GIT_CEILING_DIRECTORIES=$out git -C "$out/src" apply --include="$tests/sched_block/*" "$TOP/kernel-patch/$base/$p"
done
cd "$out/src/$tests/sched_block"
gcc -O2 -Wall -Werror -o "$out/block_hook" block_hook.c -lbpf -lelf -lz -pthread
for bad in '' $(sed -n 's/^BAD := //p' Makefile); do
	clang -O2 -g -target bpf -mcpu=v3 -Wall -Werror "-I/usr/include/$(gcc -print-multiarch)" \
		${bad:+-DBAD=$bad} -c -o "$out/$([ -z "$bad" ] && echo block_hook || echo "bad$bad").bpf.o" block_hook.bpf.c
done
rm -rf "$out/src"

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is installed is built with a guard before return addresses, checked library calls, nothing bound
# late and, on x86-64, what CET wants. Its marks are looked for in the objects: the linker leaves them out where
# the C library's start files have none, as Debian 12's.
set -u
. "$TOP/selftests/tap.sh"
grep -q '^HARDEN_CC := -fstack' "$O/config.mk" || skip_all "this compiler has no stack protector"

# Says what is missing in a program or a shared library.
lacks() {
	local file=$1
	readelf -lW "$file" | grep -q GNU_RELRO || echo "$file: no RELRO"
	readelf -dW "$file" | grep -q 'FLAGS.*NOW' || echo "$file: symbols are bound late"
	readelf -lW "$file" | grep -q 'GNU_STACK.* RW ' || echo "$file: its stack can be executed"
	readelf -hW "$file" | grep -q 'Type: *DYN' || echo "$file: not position-independent"
	readelf -sW --dyn-syms "$file" | grep -q '__stack_chk_fail' || echo "$file: no stack protector"
	readelf -sW --dyn-syms "$file" | grep -q '_chk@' || echo "$file: no _FORTIFY_SOURCE"
}
lacks_marks() {
	local file=$1 marks='IBT, SHSTK'
	# The service's fibers return on stacks that a shadow stack knows nothing of.
	[ "${file##*/}" != fiber.o ] || marks=IBT
	readelf -nW "$file" | grep -q "x86 feature.*$marks" || echo "$file: no marks for CET ($marks)"
}
hardened() {
	local found
	found=$(for f in "$O/lib/libbaton.so" "$O/service/batondb/batondb" "$O/service/mariadb/baton.so"; do
		[ ! -e "$f" ] || lacks "$f"
	done
	lacks "$O/tools/baton/baton"
	if grep -q 'HARDEN_CC.*cf-protection' "$O/config.mk"; then
		find "$O/lib/src" "$O/tools/baton" "$O/service" -name '*.o' -print 2>/dev/null | while read -r f; do lacks_marks "$f"; done
	fi)
	echo "$found"
	expect [ -z "$found" ]
}
# The check sees each of them missing.
can_fail() {
	cat >"$tap_dir/p.c" <<'C'
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) { char b[32]; strcpy(b, argv[0]); return puts(b) < 0; }
C
	cc -O2 -U_FORTIFY_SOURCE -fno-stack-protector -no-pie -Wl,-z,norelro,-z,lazy,-z,execstack \
		-o "$tap_dir/p" "$tap_dir/p.c" 2>/dev/null || exit 1
	expect_rc 0 lacks "$tap_dir/p"
	for what in 'no RELRO' 'bound late' 'can be executed' 'not position' 'no stack protector' 'no _FORTIFY_SOURCE'; do
		expect_says "$what"
	done
	printf 'int x;\n' | cc -x c -c -o "$tap_dir/p.o" - || exit 1
	expect_rc 0 lacks_marks "$tap_dir/p.o"
	expect_says 'no marks for CET'
}

check hardened hardened
check can_fail can_fail
finish

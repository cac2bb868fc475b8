#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The units of systemd: they are well-formed, confined, and what they allow is enough.
set -u
. "$TOP/selftests/tap.sh"
command -v systemd-analyze >/dev/null || skip_all "no systemd-analyze"
units="tools/baton/baton.service service/batondb/batondb.service"

unit_file() {
	# A program that is there, so that systemd-analyze says nothing about it.
	sed -e 's|@BINDIR@/[a-z]*|/bin/true|; s|@CONFDIR@|/etc|; /^Documentation=/d' "$TOP/$1" >"$tap_dir/${1##*/}"
	echo "$tap_dir/${1##*/}"
}
well_formed() {
	for u in $units; do
		expect_rc 0 systemd-analyze verify --man=no "$(unit_file "$u")"
		expect [ "$(grep -c "${u##*/}" "$tap_dir/run")" -eq 0 ]
	done
}
# The exposure, from 0 to 100, of what systemd knows to confine.
confined() {
	expect_rc 0 systemd-analyze security --offline=true --no-pager --threshold=20 "$(unit_file tools/baton/baton.service)"
	expect_rc 0 systemd-analyze security --offline=true --no-pager --threshold=35 "$(unit_file service/batondb/batondb.service)"
}
# The system calls of a program are among those of its unit's filter.
allowed_calls() {
	local line word verb
	grep '^SystemCallFilter=' "$1" | while IFS= read -r line; do
		line=${line#SystemCallFilter=} verb=+
		[ "${line#\~}" = "$line" ] || verb=- line=${line#\~}
		for word in $line; do expand_calls "$verb" "$word"; done
	done | awk '$1 == "+" { have[$2] = 1 } $1 == "-" { delete have[$2] } END { for (c in have) print c }'
}
expand_calls() {
	local name
	case $2 in
	@*) systemd-analyze --no-pager syscall-filter "$2" | sed -n 's/^ *\([@a-z0-9_-][@a-z0-9_-]*\)$/\1/p' | while read -r name; do
		[ "$name" = "$2" ] || expand_calls "$1" "$name"
	done ;;
	*) echo "$1 $2" ;;
	esac
}
calls_of_load() {
	command -v strace >/dev/null || { echo "no strace"; return 0; }
	[ "$(id -u)" -eq 0 ] && grep -q 'HAVE_BPF 1' "$O/config.h" && [ -r /sys/kernel/btf/vmlinux ] || return 0
	allowed_calls "$TOP/tools/baton/baton.service" | sort >"$tap_dir/allowed"
	expect grep -qx bpf "$tap_dir/allowed"
	expect [ "$(grep -cx 'mount\|ptrace\|setuid\|init_module' "$tap_dir/allowed")" -eq 0 ]
	mkdir "$tap_dir/fs" && mount -t bpf bpf "$tap_dir/fs" || return 0
	trap '"$O/tools/baton/baton" unload --pins "$tap_dir/fs/p" --socket "$tap_dir/sock" >/dev/null 2>&1; umount "$tap_dir/fs"' EXIT
	# As the unit: these capabilities, and no new privileges.
	setpriv --bounding-set=-all,+bpf,+perfmon --no-new-privs strace -f -qq -o "$tap_dir/trace" \
		"$O/tools/baton/baton" load --pins "$tap_dir/fs/p" --socket "$tap_dir/sock" 2>"$tap_dir/log" &
	until grep -q serving "$tap_dir/log"; do
		kill -0 $! || { cat "$tap_dir/log"; exit 1; }
		sleep 0.1
	done
	cc -I"$TOP/lib/include" -o "$tap_dir/example" "$TOP/lib/examples/baton_detect_stats.c" "$O/lib/libbaton.a" -pthread || exit 1
	BATON_DETECT_SOCKET=$tap_dir/sock expect_rc 0 "$tap_dir/example"
	expect_says '^seen by'
	expect_rc 0 "$O/tools/baton/baton" unload --pins "$tap_dir/fs/p" --socket "$tap_dir/sock"
	wait $!
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$tap_dir/trace" | sort -u >"$tap_dir/used"
	expect grep -qx bpf "$tap_dir/used"
	comm -23 "$tap_dir/used" "$tap_dir/allowed" >"$tap_dir/denied"
	expect_rc 0 cat "$tap_dir/denied"
	expect [ "$(tr '\n' ' ' <"$tap_dir/denied")" = "" ]
}

check well_formed well_formed
check confined confined
check calls_of_load calls_of_load
finish

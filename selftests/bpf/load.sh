#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# baton load, unload, status: what they say, to whom, and what is left behind.
set -u
. "$TOP/selftests/tap.sh"
baton=$O/tools/baton/baton
[ "$(id -u)" -eq 0 ] || skip_all "mend: run as root"
grep -q 'HAVE_BPF 1' "$O/config.h" || skip_all "mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)"
chmod 755 "$tap_dir"
mkdir "$tap_dir/fs" && mount -t bpf bpf "$tap_dir/fs" || skip_all "no BPF file system"
trap '"$baton" unload --pins "$pins" --socket "$sock" >/dev/null 2>&1; umount "$tap_dir/fs"; rm -rf "$tap_dir"' EXIT
pins=$tap_dir/fs/baton sock=$tap_dir/sock
version=$(sed -n "s/.*BATON_DETECT_VERSION[[:space:]]*//p" "$TOP/bpf/detect.h")
at=(--pins "$pins" --socket "$sock")

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; }
serve() {
	"$baton" load "${at[@]}" "$@" >"$tap_dir/log" 2>&1 &
	for _ in $(seq 100); do
		[ ! -S "$sock" ] || return 0
		sleep 0.1
	done
	cat "$tap_dir/log"
	exit 1
}

wrong_words() {
	expect_rc 2 "$baton" load --fast
	expect_says 'no option --fast'
	expect_rc 2 "$baton" load --pins
	expect_says '--pins wants a value'
	expect_rc 2 "$baton" load --allow no-such-user
	expect_says 'there is no user "no-such-user"'
	expect_rc 2 "$baton" load --allow @no-such-group
	expect_says 'there is no group "no-such-group"'
	expect_rc 2 "$baton" unload --allow all
	expect_rc 2 "$baton" load --with magic
	expect_says '--with magic: it is auto, hook or tracepoints'
	for verb in load unload status; do
		expect_rc 0 "$baton" $verb --help
		expect_says "^usage: baton $verb"
	done
}
no_capability() {
	expect_rc 1 nobody "$baton" load "${at[@]}"
	expect_says 'needs CAP_BPF and CAP_PERFMON, this process has neither; run it as root'
	expect_rc 1 setpriv --bounding-set=-perfmon,-sys_admin "$baton" load "${at[@]}"
	expect_says 'this process has only the first'
}
no_btf() {
	expect_rc 1 unshare -m sh -c "mount -t tmpfs tmpfs /sys/kernel/btf && exec '$baton' load ${at[*]}"
	expect_says 'no BTF .*CONFIG_DEBUG_INFO_BTF=y'
}
locked_down() {
	echo 'none integrity [confidentiality]' >"$tap_dir/lockdown"
	expect_rc 1 unshare -m sh -c "mount -t tmpfs tmpfs /sys/kernel/security && cp '$tap_dir/lockdown' /sys/kernel/security/ &&
		exec '$O/selftests/bpf/deny' '$baton' load ${at[*]}"
	expect_says 'the kernel is locked down .confidentiality.; boot with lockdown=none'
	expect test ! -e "$pins"
}
old_kernel() {
	expect_rc 1 setarch --uname-2.6 "$baton" load "${at[@]}"
	expect_says 'this kernel is 2\.6.*need Linux 6\.0'
}
hook=$(bpftool btf dump file /sys/kernel/btf/vmlinux 2>/dev/null | grep -c "STRUCT 'sched_block_ops'")
no_hook() {
	if [ "$hook" -eq 0 ]; then
		expect_rc 1 "$baton" load "${at[@]}" --with hook
		expect_says 'has no sched_block_ops'
		expect test ! -e "$pins"
		return
	fi
	expect_rc 0 "$baton" load "${at[@]}" --no-serve --with hook
	expect_rc 0 bpftool prog
	for name in blocked woke returns join; do expect_says "name baton_$name "; done
	expect_rc 0 "$baton" unload "${at[@]}"
}
no_bpf_fs() {
	mkdir "$tap_dir/plain"
	expect_rc 1 setpriv --bounding-set=-sys_admin "$baton" load --pins "$tap_dir/plain/p" --socket "$sock"
	expect_says 'is no BPF file system, and none can be mounted there'
	expect_rc 1 "$baton" unload --pins "$tap_dir/plain" --socket "$sock"
	expect_says 'not in a BPF file system: nothing of it was removed'
}
nothing_loaded() {
	expect_rc 1 "$baton" status "${at[@]}"
	expect_says 'not loaded'
	expect_rc 1 "$baton" unload "${at[@]}"
	expect_says 'nothing is loaded in'
}
names() {
	expect_rc 0 "$baton" load "${at[@]}" --no-serve --with tracepoints
	expect_rc 0 bpftool prog
	for name in switch wakeup exec join; do expect_says "name baton_$name "; done
	expect_rc 0 bpftool map
	for name in cells doorbells sessions workers; do expect_says "name baton_$name "; done
	expect_rc 1 "$baton" status "${at[@]}"
	expect_says 'programs  loaded, version'
	expect_says 'server    none'
	expect_rc 0 "$baton" unload "${at[@]}"
	expect test ! -e "$pins"
}
another_version() {
	expect_rc 0 "$baton" load "${at[@]}" --no-serve
	mv "$pins/version-$version" "$pins/version-77"
	expect_rc 1 "$baton" load "${at[@]}"
	expect_says 'another version of baton \(77, this one has '"$version"'\).*`baton unload` removes them'
	expect_rc 0 "$baton" unload "${at[@]}"
	expect test ! -e "$pins"
}
serves() {
	expect_rc 1 "$baton" status "${at[@]}" --json
	expect_says '^\{"loaded":false,"version":[0-9]+,"pins":"/.*/baton","socket":".*/sock","server":0,"sessions":\[\]\}$'
	serve
	expect_rc 0 "$baton" status "${at[@]}"
	expect_says 'sessions  none'
	expect_rc 0 "$baton" status "${at[@]}" --json
	expect_says '^\{"loaded":true,.*"server":[1-9][0-9]*,"sessions":\[\]\}$'
	expect_rc 1 "$baton" load "${at[@]}"
	expect_says 'another `baton load`, process [0-9]+, serves'
	expect_rc 0 "$baton" unload "${at[@]}"
	expect test ! -e "$pins" -a ! -e "$sock"
	expect grep -q 'no longer serving' "$tap_dir/log"
}
a_service() {
	serve
	cc -I"$TOP/lib/include" -o "$tap_dir/example" "$TOP/lib/examples/baton_detect_stats.c" "$O/lib/libbaton.a" -pthread || exit 1
	BATON_DETECT_SOCKET=$sock expect_rc 0 "$tap_dir/example"
	expect_says '^seen by (tracepoints|the kernel.s hook).*[1-9][0-9]* times'
	BATON_DETECT_SOCKET=$sock expect_rc 0 nobody "$tap_dir/example"
	expect_says 'not seen: this user is not allowed'
	expect_rc 0 "$baton" unload "${at[@]}"
	serve --allow 65534
	BATON_DETECT_SOCKET=$sock expect_rc 0 nobody "$tap_dir/example"
	expect_says '^seen by (tracepoints|the kernel.s hook)'
	expect_rc 0 "$baton" unload "${at[@]}"
	BATON_DETECT_SOCKET=$sock expect_rc 0 "$tap_dir/example"
	expect_says 'not seen: `baton load` does not run here'
}

# A process to do harm to, whose number stands where a server's once stood.
bystander() {
	sleep 10000 9<&- &
	victim=$!
	echo "$victim" >"$sock.lock"
	chmod 644 "$sock.lock"
	exec 9<"$sock.lock"
	nobody flock -x 9
	exec 8<"$sock.lock"
	trap 'kill -9 "$victim" 2>/dev/null' EXIT
	expect_rc 1 flock -n 8
}
# A file that another user can lock keeps no server from its work.
locks_of_others() {
	bystander
	serve
	expect_rc 1 nobody cat "$sock.owner"
	expect_rc 0 "$baton" status "${at[@]}"
	expect_says "^server    process [0-9]+, $sock"
	expect_rc 0 timeout 100 "$baton" unload "${at[@]}"
	expect kill -0 "$victim"
	# A file that others could have opened is no lock; the message says what to do.
	chmod 644 "$sock.owner"
	expect_rc 1 "$baton" load "${at[@]}"
	expect_says 'others could lock this file, which is user 0.s, of mode 644; remove it'
	expect_rc 1 "$baton" unload "${at[@]}"
	rm "$sock.owner"
	expect_rc 0 "$baton" unload "${at[@]}"
}
# A number in a file is no process: nobody is killed for it, and nobody waited for.
stale_number() {
	bystander
	echo "$victim" >"$sock.owner"
	chmod 600 "$sock.owner"
	expect_rc 0 "$baton" load "${at[@]}" --no-serve
	expect_rc 0 timeout 100 "$baton" unload "${at[@]}"
	expect kill -0 "$victim"
}
stopped_server() {
	serve
	expect_rc 0 "$baton" status "${at[@]}"
	kill -STOP $!
	expect_rc 0 timeout 100 "$baton" unload "${at[@]}"
	expect grep -q 'no longer serving' "$tap_dir/log"
}
# A server that does not end on SIGTERM is killed after the limit.
deaf_server() {
	expect_rc 2 "$baton" unload --timeout 0
	expect_says '--timeout 0: it is a number from 1 to 3600'
	python3 - "$sock.owner" >"$tap_dir/deaf" <<'PY' &
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.lockf(f, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(10000)
PY
	deaf=$!
	trap 'kill -9 "$deaf" 2>/dev/null' EXIT
	until grep -q locked "$tap_dir/deaf"; do sleep 0.1; done
	expect_rc 1 "$baton" load "${at[@]}"
	expect_says "another .baton load., process $deaf, serves"
	expect_rc 0 timeout 100 "$baton" unload "${at[@]}" --timeout 1
	expect_says "process $deaf did not end within 1 s of SIGTERM: SIGKILL"
	wait "$deaf"
	expect [ $? -eq 137 ]
}

for t in wrong_words no_capability no_btf locked_down old_kernel no_hook no_bpf_fs nothing_loaded names another_version serves a_service locks_of_others stale_number stopped_server deaf_server; do
	check $t $t
done
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An etcd with users and TLS, as baton fleet asks it.
set -u
. "$TOP/selftests/tap.sh"

for program in etcd etcdctl openssl; do
	command -v $program >/dev/null || skip_all "mend: no $program; apt-get install etcd-server etcd-client openssl"
done
baton="${O:-$TOP/build}/tools/baton/baton fleet"
ports=$(python3 -c 'import socket
s = [socket.socket() for i in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])')
url=https://127.0.0.1:${ports% *} peer=http://127.0.0.1:${ports#* }
d=$tap_dir/etcd
mkdir "$d"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$d/key" -out "$d/cert" -days 2 -subj /CN=localhost \
	-addext subjectAltName=IP:127.0.0.1 2>/dev/null
etcd --data-dir "$d/data" --listen-client-urls "$url" --advertise-client-urls "$url" --listen-peer-urls "$peer" \
	--initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" --cert-file "$d/cert" --key-file "$d/key" >"$d/log" 2>&1 &
server=$!
trap 'kill -9 $server; rm -rf "$tap_dir"' EXIT
ctl() {
	ETCDCTL_API=3 etcdctl --endpoints "$url" --cacert "$d/cert" "$@"
}
for _ in $(seq 100); do
	ctl get x >/dev/null 2>&1 && break
	sleep 0.2
done
{
	ctl user add root:toor && ctl user grant-role root root && ctl user add baton:secret && ctl role add baton &&
		ctl role grant-permission baton readwrite /baton/ /baton0 && ctl user grant-role baton baton && ctl auth enable
} >"$d/setup" 2>&1
tls="--etcd $url --cacert $d/cert"

refused() {
	expect_rc 1 $baton init 3 $tls
	expect_says 'user name is empty'
	expect_rc 1 $baton init 3 --user baton:wrong $tls
	expect_says 'as the user: .*authentication failed'
	expect_rc 2 $baton init 3 --user baton $tls
	expect_says 'NAME:PASSWORD'
	expect_rc 1 $baton init 3 --user baton:secret --etcd "$url"
	expect_says 'certificate'
}
served() {
	expect_rc 0 $baton init 3 --user baton:secret $tls
	expect_rc 1 $baton init 4 --user baton:secret $tls
	expect_says 'its places cannot change'
	BATON_ETCD_USER=baton:secret $baton agent --node x --capacity 2 --socket "$d/s" $tls 2>"$d/agent" &
	agent=$!
	trap 'kill -9 $agent' EXIT
	for _ in $(seq 200); do
		grep -q 'place 0, life 1' "$d/agent" && break
		sleep 0.2
	done
	expect_rc 0 $baton set red low=1 --user baton:secret $tls
	expect_rc 0 $baton show --user baton:secret $tls
	expect_says '^place 0: x, 2.000 CPUs, life 1$'
	expect_says '^red/low: 1.000 CPUs'
}

check "without a user, a password or a certificate: refused, and said" refused
check "with them: served" served
finish

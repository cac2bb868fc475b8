#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The HTTP server of lib/examples, asked by a client that is not this project's.
set -u
. "$TOP/selftests/tap.sh"
command -v curl >/dev/null || skip_all "mend: no curl (Debian: apt-get install curl)"
cc -I"$TOP/lib/include" -D_DEFAULT_SOURCE -o "$tap_dir/server" "$TOP/lib/examples/baton_stream_serve.c" "$O/lib/libbaton.a" -pthread ||
	skip_all "the example cannot be built"
head -c 3000001 /dev/urandom >"$tap_dir/file"

# begin [FILE]: a server, and its address in $url.
begin() {
	rm -f "$tap_dir/port"
	"$tap_dir/server" 0 "$@" >"$tap_dir/port" &
	server=$!
	trap 'kill $server' EXIT
	until [ -s "$tap_dir/port" ] 2>/dev/null; do
		kill -0 $server || exit 1
		sleep 0.05
	done
	url="http://127.0.0.1:$(cat "$tap_dir/port")/"
}
get() {
	expect_rc 0 curl -sS -m 60 --noproxy '*' "$@"
}

two_on_a_connection() {
	begin
	get -w '%{http_code} %{num_connects}\n' "$url" "$url"
	expect_says '^200 1$'
	expect_says '^200 0$'
	expect [ "$(grep -cx hello "$tap_dir/run")" -eq 2 ]
}
other_methods() {
	begin
	get -o /dev/null -w '%{http_code}' -X DELETE "$url"
	expect_says '^501$'
	# A head that does not fit ends the connection: 52 is an empty answer, 55 and 56 are a connection that was reset.
	curl -sS -m 60 --noproxy '*' -H "X: $(printf %5000s | tr ' ' x)" "$url"
	expect grep -qE '^5[256]$' <<<$?
	get "$url"
	expect_says '^hello$'
}
file_is_sent() {
	begin "$tap_dir/file"
	get -o "$tap_dir/got" "$url"
	expect cmp "$tap_dir/file" "$tap_dir/got"
	# The client goes in the middle, and the server stays.
	curl -sS -m 60 --noproxy '*' "$url" 2>"$tap_dir/err" | head -c 1000 >"$tap_dir/got"
	get -o "$tap_dir/got" "$url"
	expect cmp "$tap_dir/file" "$tap_dir/got"
}
many_at_once() {
	local i pids=()

	begin "$tap_dir/file"
	for i in $(seq 20); do
		curl -sS -m 60 --noproxy '*' -o "$tap_dir/got$i" "$url" "$url?again" -o "$tap_dir/again$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		expect wait "$i"
	done
	for i in $(seq 20); do
		expect cmp "$tap_dir/file" "$tap_dir/got$i"
		expect cmp "$tap_dir/file" "$tap_dir/again$i"
	done
}

check two_on_a_connection two_on_a_connection
check other_methods other_methods
check file_is_sent file_is_sent
check many_at_once many_at_once
finish

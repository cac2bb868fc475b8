#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz [SECONDS]: libFuzzer against a whole batondb (fuzz_client.c), from a corpus that
# is made from the other tests' statements. Without SECONDS a run of a fixed
# number of inputs from a fixed seed, as a test; with, a run of that long (FUZZ_SEED=N: from that seed), whose
# finds and corpus stay in $O/fuzz.
set -u
. "$TOP/selftests/tap.sh"
out=$O/fuzz
clang=${CLANG:-clang}
mkdir -p "$out/corpus" "$out/found"

echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return 0; }' >"$tap_dir/p.c"
"$clang" -fsanitize=fuzzer,address -o "$tap_dir/p" "$tap_dir/p.c" 2>/dev/null ||
	skip_all "mend: $clang has no libFuzzer (Debian: apt-get install clang libclang-rt-dev)"

build() {
	make -s -C "$TOP/service/batondb" -j"$(nproc)" O="$out" STAGE= PKG_CONFIG_PATH="$O/stage/lib/pkgconfig" TOP="$TOP" CC="$clang" HARDENING= \
		CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address -Dmain=batondb_main" LDFLAGS='-fsanitize=fuzzer,address' \
		MORE="$TOP/selftests/service/fuzz_client.c" PROGRAM=fuzz all
}
seeds() {
	rm -rf "$out/seeds" && mkdir -p "$out/seeds" && python3 "$TOP/selftests/service/seeds.py" "$out"
}
fuzz() {
	(cd "$out" && ASAN_OPTIONS=detect_stack_use_after_return=0 LD_LIBRARY_PATH=$O/stage/lib \
		"$out/service/batondb/fuzz" -seed="${FUZZ_SEED:-1}" -max_len=2000 -timeout=60 -rss_limit_mb=4096 -dict="$out/words" -artifact_prefix="$out/found/" \
		-print_final_stats=1 "$@")
}

if [ $# -gt 0 ] && [ "${1//[0-9]/}" = "" ]; then
	build && seeds && fuzz -max_total_time="$1" "$out/corpus" "$out/seeds"
	exit
fi
check builds build
check seeds seeds
# Each seed, then as many more.
short_run() {
	rm -rf "$out/short" && mkdir "$out/short"
	(expect_rc 0 fuzz -runs="${FUZZ_RUNS:-20000}" "$out/short" "$out/seeds") || {
		# The last thing said: a log's end is all that is seen of some.
		grep -aE 'ERROR|SUMMARY|^ +#[0-9] |^Base64' "$tap_dir/run" | head -20
		exit 1
	}
	expect_says "^Done ${FUZZ_RUNS:-20000} runs"
}
check short_run short_run
finish

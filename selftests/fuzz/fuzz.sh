#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz [SECONDS [NAME...]]: libFuzzer, with AddressSanitizer and UBSan, against each parser of what others write: NAME.c here,
# and batondb as a whole (../service/fuzz.sh, which gets half of the time). Without SECONDS a run of a fixed number
# of inputs from a fixed seed, as a test. With, a run of that long altogether, from a new seed (FUZZ_SEED=N: from that one); its
# corpus stays in $O/fuzz/NAME, and what it found in $O/fuzz/found. It ends with a line for each, and with 1 if it found something.
set -u
case ${1:-} in
-h | --help) sed -n '4,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;;
esac
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)} O=${O:-$TOP/build}
export TOP O
. "$TOP/selftests/tap.sh"
here=$TOP/selftests/fuzz out=$O/fuzz
clang=${CLANG:-clang}
all=(config page load scram web)
mkdir -p "$out/found"

echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return 0; }' >"$tap_dir/p.c"
"$clang" -fsanitize=fuzzer,address,undefined -o "$tap_dir/p" "$tap_dir/p.c" 2>/dev/null ||
	skip_all "mend: $clang has no libFuzzer (Debian: apt-get install clang libclang-rt-dev)"

sanitize='-O1 -g -fno-sanitize-recover=undefined -fsanitize=address,undefined,fuzzer'
# The library, once for all; and what of the command and of batondb each of them wants.
build_library() {
	mkdir -p "$out"
	cp "$O/config.mk" "$O/config.h" "$out/" && make -s -C "$TOP/lib" -j"$(nproc)" TOP="$TOP" O="$out" CC="$clang" HARDEN_CC= HARDEN_LD= \
		CFLAGS="$sanitize-no-link" "$out/lib/libbaton.a"
}
build_one() {
	local name=$1 flags="$sanitize -D_GNU_SOURCE -std=gnu11 -Wall -pthread -I$TOP/lib/include -I$TOP/lib/src -I$out"
	case $name in
	scram | web)
		make -s -C "$TOP/service/batondb" -j"$(nproc)" TOP="$TOP" O="$out" STAGE= PKG_CONFIG_PATH="$O/stage/lib/pkgconfig" CC="$clang" HARDENING= \
			CFLAGS="$sanitize-no-link -Dmain=batondb_main" LDFLAGS='-fsanitize=fuzzer,address,undefined' \
			OD="$out/parts" MORE="$here/$name.c" PROGRAM="$name" all && ln -sf "$out/parts/$name" "$out/run-$name" ;;
	page) # shellcheck disable=SC2086
		"$clang" $flags -o "$out/run-$name" "$here/$name.c" "$TOP/tools/baton/options.c" "$out/lib/libbaton.a" ;;
	*) # shellcheck disable=SC2086
		"$clang" $flags -o "$out/run-$name" "$here/$name.c" "$out/lib/libbaton.a" ;;
	esac
}
make_seeds() {
	rm -rf "$out/seeds-$1" && python3 "$here/seeds.py" "$1" "$out/seeds-$1"
}
run_one() {
	local name=$1
	shift
	(cd "$out" && LD_LIBRARY_PATH=$O/stage/lib ASAN_OPTIONS=detect_stack_use_after_return=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		"$out/run-$name" -max_len=2000 -timeout=600 -rss_limit_mb=4096 -dict="$out/seeds-$name.words" -artifact_prefix="$out/found/$name-" \
		-print_final_stats=1 "$@")
}

if [ $# -gt 0 ] && [ "${1//[0-9]/}" = "" ]; then
	seconds=$1 seed=${FUZZ_SEED:-$((RANDOM << 15 | RANDOM))} rc=0
	shift
	[ $# -gt 0 ] && names=("$@") || names=("${all[@]}" batondb)
	parts=0
	for name in "${names[@]}"; do
		[ "$name" = batondb ] && parts=$((parts + ${#all[@]})) || parts=$((parts + 1))
	done
	each=$((seconds / parts > 0 ? seconds / parts : 1))
	echo "fuzz: ${names[*]}: seed $seed (FUZZ_SEED=$seed begins from it again), $seconds s"
	[ "${names[*]}" = batondb ] || build_library || exit 1
	for name in "${names[@]}"; do
		log=$out/$name.log found=
		if [ "$name" = batondb ]; then
			FUZZ_SEED=$seed "$TOP/selftests/service/fuzz.sh" $((each * ${#all[@]})) >"$log" 2>&1 || found=y
		else
			mkdir -p "$out/$name"
			build_one "$name" && make_seeds "$name" || exit 1
			run_one "$name" -seed="$seed" -max_total_time="$each" "$out/$name" "$out/seeds-$name" >"$log" 2>&1 || found=y
		fi
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		if [ -z "$found" ]; then
			echo "fuzz: $name: ${runs:-0} inputs, nothing found"
		else
			rc=1
			grep -aE 'ERROR|SUMMARY|Test unit written|^ +#[0-9] ' "$log" | head -20
			echo "fuzz: $name: FOUND something; log: $log"
		fi
	done
	exit $rc
fi

# Each seed, then as many more.
short_run() {
	local name=$1 runs=${FUZZ_RUNS:-$2}
	build_one "$name" && make_seeds "$name" || exit 1
	rm -rf "$out/short-$name" && mkdir "$out/short-$name"
	(expect_rc 0 run_one "$name" -seed=1 -runs="$runs" "$out/short-$name" "$out/seeds-$name") || {
		# The last thing said: a log's end is all that is seen of some.
		grep -aE 'ERROR|SUMMARY|^ +#[0-9] |^Base64' "$tap_dir/run" | head -20
		exit 1
	}
	expect_says "^Done $runs runs"
	# An exchange that is right gets to its end.
	[ "$name" != scram ] || expect_says '^fuzz: let in [1-9]'
}
check builds build_library
check config short_run config 40000
check page short_run page 3000
check load short_run load 10000
check scram short_run scram 10000
check web short_run web 3000
finish

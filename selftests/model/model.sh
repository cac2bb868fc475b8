# SPDX-License-Identifier: GPL-2.0-or-later
#
# model.sh - for tests that run spin: source it after tap.sh. A model is right
# if a full search finds nothing; with -DBROKEN_* it must find something.
#
# A search is a program that spin writes and the compiler builds, which takes longer than most searches.
# The searches are built once, by `make` (MODEL_BUILD=y: built, and not run), and stay in $O/selftests/model/pan under the
# sum of their source, the compiler and its flags.
command -v spin >/dev/null || skip_all "mend: no spin (Debian: apt-get install spin)"

pans=$O/selftests/model/pan
compiler=$(cc --version | head -n 1)
mkdir -p "$pans"

# build_search OPTIMISE MODEL [-DX]...: sets pan to the program, and leaves the caller in a directory of its own.
build_search() {
	local flags="$1 -w -DSAFETY -DNOREDUCE" model=$2 w
	shift 2
	w=$(mktemp -d "$tap_dir/model.XXXXXX") && cd "$w" || exit 1
	cp "$TOP/selftests/model/$model.pml" . || exit 1
	spin -a "$@" "$model.pml" || exit 1
	pan=$pans/$model-$({ echo "$compiler $flags"; cat pan.?; } | sha256sum | cut -c1-24)
	[ ! -x "$pan" ] || return 0
	# shellcheck disable=SC2086
	cc $flags -o pan pan.c || exit 1
	# Nobody runs a half of it.
	mv pan "$pan.$BASHPID" && mv "$pan.$BASHPID" "$pan" || exit 1
}
# search OPTIMISE TABLE MODEL [-DX]...: 0 if a full search found nothing, 1 if it found an error. Anything else, a search
# cut short above all, ends the test. The table of states has 2^TABLE lists, which bounds no search; filling
# that of 2^24 with zeros, as pan does by default, takes longer than most searches for a mistake.
search() {
	local rc=0 table=$2
	build_search "$1" "${@:3}"
	[ -z "${MODEL_BUILD:-}" ] || exit 0
	"$pan" -m100000 "-w$table" >out 2>&1 || rc=$?
	cat out
	if [ "$rc" -ne 0 ] || grep -qE 'max search depth too small|out of memory|aborted' out; then
		exit 1
	fi
	grep -qE 'errors: 0$' out
}
# The search of a model that holds is long, one that finds a mistake is short.
model_holds() { expect search -O2 24 "$@"; }
model_fails() {
	if search -O0 18 "$@"; then
		echo "spin found nothing wrong with this"
		exit 1
	fi
	expect grep -qE 'invalid end state|assertion violated' out
}

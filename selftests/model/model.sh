# SPDX-License-Identifier: GPL-2.0-or-later
#
# model.sh - for tests that run spin: source it after tap.sh. A model is right
# if a full search finds nothing; with -DBROKEN_* it must find something.
command -v spin >/dev/null || skip_all "mend: no spin (Debian: apt-get install spin)"

# search MODEL [-DX]...: 0 if a full search found nothing, 1 if it found an
# error. Anything else, a search cut short above all, ends the test.
search() {
	local model=$1 w rc=0
	shift
	w=$(mktemp -d "$tap_dir/model.XXXXXX") && cd "$w" || exit 1
	cp "$TOP/selftests/model/$model.pml" . || exit 1
	spin -a "$@" "$model.pml" || exit 1
	cc -O0 -w -DSAFETY -DNOREDUCE -o pan pan.c || exit 1
	./pan -m100000 >out 2>&1 || rc=$?
	cat out
	if [ "$rc" -ne 0 ] || grep -qE 'max search depth too small|out of memory|aborted' out; then
		exit 1
	fi
	grep -qE 'errors: 0$' out
}
model_holds() { expect search "$@"; }
model_fails() {
	if search "$@"; then
		echo "spin found nothing wrong with this"
		exit 1
	fi
	expect grep -qE 'invalid end state|assertion violated' out
}

# SPDX-License-Identifier: GPL-2.0-or-later
#
# tap.sh - tap.h for shell tests: source it, call check for each test, end
# with finish. A test's output is shown only where it fails. `TEST NAME...` runs
# only those.
tap_n=0 tap_bad=0 tap_only=" $* "
tap_dir=$(mktemp -d)
trap 'rm -rf "$tap_dir"' EXIT

# check NAME COMMAND...: passes when COMMAND succeeds.
check() {
	local name=$1
	shift
	[ "$tap_only" = "  " ] || [[ $tap_only == *" $name "* ]] || return 0
	tap_n=$((tap_n + 1))
	if ("$@") >"$tap_dir/.out" 2>&1; then
		echo "ok $tap_n - $name"
	else
		echo "not ok $tap_n - $name"
		tail -n 40 "$tap_dir/.out" | sed 's/^/# /'
		tap_bad=1
	fi
}

# Inside a test: a failed expectation says what it was and ends the test.
expect() {
	"$@" || { echo "false: $*"; exit 1; }
}
# expect_rc N COMMAND...: the output goes to $tap_dir/run.
expect_rc() {
	local want=$1 rc=0
	shift
	"$@" >"$tap_dir/run" 2>&1 || rc=$?
	[ "$rc" -eq "$want" ] || { cat "$tap_dir/run"; echo "exit status $rc, not $want: $*"; exit 1; }
}
# expect_says PATTERN: in the output of the last expect_rc.
expect_says() {
	grep -qE -- "$1" "$tap_dir/run" || { cat "$tap_dir/run"; echo "does not say: $1"; exit 1; }
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}
finish() {
	echo "1..$tap_n"
	exit $tap_bad
}

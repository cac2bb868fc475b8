#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command `baton`, its benchmark's result lines, and the table.
set -u
. "$TOP/selftests/tap.sh"
baton=$O/tools/baton/baton

wrong_words() {
	expect_rc 2 "$baton"
	expect_says '^usage: baton VERB'
	expect_rc 2 "$baton" dance
	expect_says 'no verb "dance"'
	expect_rc 2 "$baton" bench
	expect_rc 2 "$baton" bench switch --fast
	expect_says 'no option --fast'
	expect_rc 2 "$baton" bench switch --rounds
	expect_says '--rounds wants a value'
	expect_rc 2 "$baton" bench switch --rounds 0
	expect_says 'from 1 to 1001'
	expect_rc 2 "$baton" bench switch --where here
	expect_rc 2 "$baton" bench switch --json /nowhere/file
	expect_says 'cannot write /nowhere/file'
}
help() {
	expect_rc 0 "$baton" --help
	expect_says '^  bench '
	expect_rc 0 "$baton" bench --help
	expect_says '^  switch '
	expect_rc 0 "$baton" bench switch --help
	expect_says '--case PATTERN'
}
# -h, --help, --version, an option that there is not, one without its value: the same for each verb.
common_options() {
	for verb in "config check" "config show" fleet load stacks stats status top trace unload "bench switch" "bench quota"; do
		for word in -h --help; do
			expect_rc 0 "$baton" $verb $word
			expect_says "^usage: baton $verb"
		done
		for word in -V --version; do
			expect_rc 0 "$baton" $verb $word
			expect_says '^baton [0-9]+\.[0-9]+\.[0-9]+$'
		done
		expect_rc 2 "$baton" $verb --dance
		expect_says "^baton $verb: no option --dance$"
		expect_says "^usage: baton $verb"
		expect_rc 2 "$baton" $verb -9
		expect_says "^baton $verb: no option -9$"
	done
	for verb in "fleet --etcd" "fleet --metrics" "top --prefix" "load --allow" "unload --timeout" "status --pins" "stacks --seconds" "top --delay" "trace --output" "bench switch --rounds"; do
		expect_rc 2 "$baton" $verb
		expect_says "^baton ${verb% *}: ${verb##* } wants a value$"
	done
	# A value may follow an equals sign, options other arguments, and -- ends them.
	expect_rc 2 "$baton" bench switch --rounds=0
	expect_says 'from 1 to 1001'
	expect_rc 1 "$baton" stats none --prometheus
	expect_rc 1 "$baton" stats -- --json
	expect_says '^baton stats: .*--json: No such file'
}
# The scripts that people call: -h and --help say what each one is for, and do nothing else.
help_of_scripts() {
	for script in kernel-patch/{apply,configs,update}.sh selftests/run selftests/fuzz/fuzz.sh tools/{bench,bench-table,demo,demo_fleet.py} \
		tools/build/{check-deb,chroot,deb,deps,matrix} tools/vm/{arm64,kernel,run,shell,source}; do
		name=${script##*/}
		for word in -h --help; do
			expect_rc 0 timeout 20 "$TOP/$script" $word
			expect_says "^${name%.sh}(\\.sh)?( .*)?: "
		done
	done
}
version() {
	expect_rc 0 "$baton" --version
	expect_says '^baton [0-9]+\.[0-9]+\.[0-9]+$'
	expect_says '^backend (swap|wakewait)$'
	BATON_BACKEND=wrong expect_rc 1 "$baton" --version
	expect_says 'no such backend'
}
# batondb has the same words, each by a letter and by a name.
batondb_options() {
	db=$O/service/batondb/batondb
	for word in -h --help; do
		expect_rc 0 "$db" $word
		expect_says '^usage: batondb '
		expect_says '-b, --backup DIR'
	done
	for word in -V --version; do
		expect_rc 0 "$db" $word
		expect_says '^batondb [0-9]+\.[0-9]+\.[0-9]+, baton '
	done
	for word in '-f /nowhere' '--config /nowhere' --config=/nowhere; do
		expect_rc 2 "$db" $word
		expect_says '^batondb: cannot read /nowhere$'
	done
	for word in '-p x' '--port x' '-c port=x' '--set port=x'; do
		expect_rc 2 "$db" $word
		expect_says '^batondb: command line:1: .*port'
	done
	for word in --dance -9 --data-dir --backup "-D"; do
		expect_rc 2 "$db" "$word"
		expect_says '^usage: batondb '
	done
}
# Every case has a line, with a value or with the reason why not. Which of two times is the longer is not asked: other tests run
# beside this one, and may hold up either.
result_lines() {
	expect_rc 0 "$baton" bench switch --quick --rounds 2 --json "$tap_dir/lines"
	expect_rc 0 python3 - "$tap_dir/lines" <<'PY'
import json, sys
want = """null_syscall sched_yield_normal sched_yield_fifo pipe_pingpong wakewait_pinned
    wakewait_pinned_nopreempt wakewait_unpinned swap_pinned swap_unpinned swap_unpinned_vs_wakewait
    swap_nice_vs_wakewait swap_cgroup_vs_wakewait swap_simple_pinned swap_simple_unpinned handover_direct lib_swap
    lib_wakewait fiber""".split()
lines = [json.loads(l) for l in open(sys.argv[1])]
by = {l["case"]: l for l in lines}
assert len(by) == len(lines), "a case twice"
assert by["machine"]["cpus"] >= 1 and by["machine"]["kernel"], by["machine"]
for c in want:
    l = by[c]
    assert l["bench"] == "switch" and l["where"] == "host", l
    if "skipped" in l:
        assert l["skipped"], l
        continue
    assert l["value"] > 0 and l["unit"] in ("ns", "%") and l["n"] == 2, l
    if "baseline" in l:
        assert l["ratio"] > 0 and "value" in by[l["baseline"]], l
for c in "null_syscall sched_yield_normal pipe_pingpong wakewait_pinned lib_wakewait".split():
    assert "value" in by[c], by[c]
assert by["lib_wakewait"]["baseline"] == "wakewait_pinned" and by["lib_swap"].get("baseline", "swap_pinned") == "swap_pinned"
PY
}
# A case brings the baselines it is measured against.
one_case() {
	expect_rc 0 "$baton" bench switch --quick --rounds 1 --case 'lib_wake*' --json -
	expect [ "$(grep -c '"case"' "$tap_dir/run")" -eq 4 ]	# machine, its baselines, itself
}
table() {
	cat >"$tap_dir/in" <<'J'
{"bench":"b","case":"machine","where":"host","kernel":"6.1","cpus":2}
{"bench":"b","case":"x","where":"host","value":1234.5,"unit":"ns","n":3}
{"bench":"b","case":"x","where":"vm-icount","value":99,"unit":"insn","n":3}
{"bench":"b","case":"y","where":"host","value":50,"unit":"ns","n":3,"baseline":"x","ratio":0.0405}
{"bench":"b","case":"y","where":"vm-icount","skipped":"no reason"}
J
	expect_rc 0 "$TOP/tools/bench-table" "$tap_dir/in"
	expect_says '^ +host: Linux 6\.1, 2 CPUs +vm-icount$'
	expect_says '^x +1,23[45] ns +99\.0 insn$'
	expect_says '^y +50\.0 ns +0\.04[01]x +- +of x$'
	expect_says '^not measured on vm-icount: y: no reason$'
}
unknown_benchmark() {
	O=$tap_dir/o expect_rc 2 "$TOP/tools/bench" no-such
	expect_says "no benchmark 'no-such'; there are: .*switch"
}
# Words that bash offers are those that each --help says.
offers() {
	local want=$1
	shift
	(
		PATH=${baton%/*}:$PATH
		. "$TOP/tools/baton/completion.bash"
		COMP_WORDS=(baton "$@") COMP_CWORD=$# COMPREPLY=()
		_baton
		[ "${COMPREPLY[*]}" = "$want" ] || { echo "baton $*: offered '${COMPREPLY[*]}', not '$want'"; exit 1; }
	) || exit 1
}
completion() {
	offers "bench config fleet load stacks stats status top trace unload version" ""
	offers "stacks stats status" st
	offers "check show" config ""
	offers "--help --version --json --prometheus" stats --
	offers "--output" trace --seconds 5 --o
	offers "--rounds" bench switch --r
	offers "" nothing --
}
version_alone() {
	expect_rc 0 "$baton" version --help
	expect_says '^usage: baton version'
	expect_rc 2 "$baton" version now
	expect_says 'no argument, not "now"'
}
check wrong_words wrong_words
check completion completion
check help_of_scripts help_of_scripts
check version_alone version_alone
check help help
check common_options common_options
check batondb_options batondb_options
check version version
check result_lines result_lines
check one_case one_case
check table table
check unknown_benchmark unknown_benchmark
finish

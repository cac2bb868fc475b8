#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What `baton` shows: configurations, and the figures of a service.
set -u
. "$TOP/selftests/tap.sh"
baton=$O/tools/baton/baton

config() {
	printf 'slots 2\ntenant a low=10%% high=20%%\ntenant b high=100%%\n' >"$tap_dir/good"
	printf 'slots 2\ntenant a low=10\nteant b\n' >"$tap_dir/bad"
	expect_rc 0 "$baton" config check "$tap_dir/good"
	expect_says 'good: 2 tenants, 2 tiers; low-latency 10\.00% of 70\.00% sold, high-latency 120\.00%$'
	expect_rc 1 "$baton" config check "$tap_dir/bad"
	expect_says '/bad:2: low is a percentage like 10% or 2\.5%, not "10"$'
	expect_says '/bad:3: "teant" instead of one of slots capacity low_limit tier tenant$'
	expect_rc 1 "$baton" config check "$tap_dir/none"
	expect_says '/none: No such file or directory$'
	expect_rc 0 "$baton" config show "$tap_dir/good"
	expect_says '^tenant "b" low=0\.0000% high=100\.0000%$'
	expect_rc 2 "$baton" config check
	expect_says 'usage: baton config check FILE'
	expect_rc 0 "$baton" config show --help
	expect_rc 2 "$baton" config mend x
}

start() {
	export BATON_RUN_DIR=$tap_dir/run.d
	mkdir -p "$BATON_RUN_DIR"
	# A second service is not taken for ready as the first one was.
	: >"$tap_dir/ready"
	"$O/selftests/observe/service" svc >"$tap_dir/ready" &
	service=$!
	trap 'kill -9 $service 2>/dev/null' EXIT
	for _ in $(seq 300); do
		grep -q ready "$tap_dir/ready" && return
		sleep 0.1
	done
	echo "the service does not start"
	exit 1
}
stats() {
	export BATON_RUN_DIR=$tap_dir/run.d
	expect_rc 2 "$baton" stats --fast
	expect_rc 2 "$baton" stats a b
	expect_rc 0 "$baton" stats --help
	BATON_RUN_DIR=$tap_dir expect_rc 1 "$baton" stats none
	expect_says 'none: No such file or directory$'
	start
	sleep 0.5
	expect_rc 0 "$baton" stats --json svc
	cp "$tap_dir/run" "$tap_dir/out"
	expect_rc 0 python3 - "$tap_dir/out" <<'PY'
import json, sys
o = json.load(open(sys.argv[1]))
assert o["service"] == "svc" and o["alive"] is True and o["version"] == 1, o
assert o["capacity"] == 2 * 10**9 and o["allowed"] > 0 and 0 < o.get("supply", 1) <= 1 and o["low_sold"] == 204 * 10**6
assert [t["name"] for t in o["tiers"]] == ["low", "high"] and o["tiers"][0]["policy"] == "quota"
by = {t["name"]: t["tiers"] for t in o["tenants"]}
assert set(by) == {"alice", 'bob "B" \\', "\u00e9mile"}, list(by)
a, b, e = by["alice"][0], by['bob "B" \\'][1], by["\u00e9mile"][0]
assert a["cpu"] > 0 and b["cpu"] > 0 and a["admitted"] >= a["finished"] > 0, a
assert e["rejected"] > 0, e
assert a["wait"]["p50"] <= a["wait"]["p99"] <= a["wait"]["max"] and a["wait"]["count"] >= a["finished"]
assert 0 <= a["left"] <= a["quota"] == 200 * 10**6
assert len(o["slots"]) == 2 and all(s["switches"] > 0 and s["gap"]["count"] > 0 for s in o["slots"])
PY
	expect_rc 0 "$baton" stats --prometheus
	cp "$tap_dir/run" "$tap_dir/out"
	expect_rc 0 python3 - "$tap_dir/out" <<'PY'
import re, sys
types, seen, last = {}, {}, None
for line in open(sys.argv[1], encoding="utf-8"):
    line = line.rstrip("\n")
    if line.startswith("# TYPE "):
        last = line.split()[2]
        assert last not in types, line
        types[last] = line.split()[3]
        continue
    if line.startswith("# HELP "):
        continue
    m = re.fullmatch(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} ([0-9.]+)', line)
    assert m, line
    name = re.sub("_(bucket|sum|count)$", "", m.group(1)) if types[last] == "histogram" else m.group(1)
    assert name == last, (line, last)
    assert (m.group(1), m.group(2)) not in seen, line
    seen[m.group(1), m.group(2)] = float(m.group(3))
    if m.group(1).endswith("_total"):
        assert types[last] == "counter", line
get = lambda n, l: seen[n, 'service="svc"' + l]
assert get("baton_up", "") == 1
alice = ',tenant="alice",tier="low"'
assert 0 < get("baton_cpu_seconds_total", alice) < 100
buckets = [v for (n, l), v in seen.items() if n == "baton_wait_seconds_bucket" and 'tenant="alice",tier="low"' in l]
assert buckets == sorted(buckets) and len(buckets) > 20 and buckets[-1] == get("baton_wait_seconds_count", alice) > 0
assert get("baton_rejected_total", ',tenant="\u00e9mile",tier="low"') > 0
assert get("baton_finished_total", ',tenant="bob \\"B\\" \\\\",tier="high"') > 0
PY
	if [ -x /usr/bin/promtool ]; then
		expect_rc 0 sh -c "'$baton' stats --prometheus | promtool check metrics"
	fi
	expect_rc 1 sh -c "'$baton' stats --json >/dev/full"
	expect_says 'cannot write: '
	kill -9 "$service"
	wait "$service" 2>/dev/null
	expect_rc 3 "$baton" stats
	expect_says 'svc \(process '$service'\) does not run any more'
	expect_says '"alive":false'
	# A bad service's name does not control the terminal of who looks.
	cp --sparse=always "$BATON_RUN_DIR/svc" "$tap_dir/bad"
	python3 - "$tap_dir/bad" <<'PY'
import sys
f = open(sys.argv[1], "r+b")
at = f.read(4096).index(b"svc\0")
f.seek(at)
f.write(b"s\x1b[2J\x07\xc2\x9bm\0")
PY
	expect_rc 3 "$baton" stats "$tap_dir/bad"
	expect_says '^baton stats: s\?\[2J\?\?\?m \(process'
	expect [ "$(LC_ALL=C grep -c "$(printf '\033')" "$tap_dir/run")" -eq 0 ]
	# A service's own end leaves nothing.
	start
	kill "$service"
	expect wait "$service"
	expect_rc 1 "$baton" stats
	expect_says 'no service published its figures in '
}

trace() {
	expect_rc 2 "$baton" trace --seconds 0
	expect_rc 2 "$baton" trace -o
	expect_rc 0 "$baton" trace --help
	start
	expect_rc 0 "$baton" trace --seconds 1 -o "$tap_dir/trace" svc
	expect_says '^[0-9]+ slices, [0-9]+ arrows, 0 events lost; open it in ui.perfetto.dev: '
	expect_rc 0 python3 - "$tap_dir/trace" <<'PY'
import collections, decimal, json, sys
whole = json.load(open(sys.argv[1]), parse_float=decimal.Decimal)
assert whole.keys() == {"traceEvents", "displayTimeUnit"} and whole["displayTimeUnit"] == "ns", whole.keys()
o = whole["traceEvents"]
# The Trace Event Format: what each phase has to have, and of which type.
number = (int, decimal.Decimal)
need = {"M": {"name": str, "args": dict},
        "X": {"name": str, "ts": number, "dur": number, "args": dict},
        "i": {"name": str, "ts": number, "s": str},
        "s": {"name": str, "cat": str, "id": int, "ts": number},
        "f": {"name": str, "cat": str, "id": int, "ts": number, "bp": str}}
for e in o:
    for key, kind in (need[e["ph"]] | {"pid": int, "tid": int}).items():
        assert isinstance(e.get(key), kind) and not isinstance(e[key], bool), (key, e)
    assert e.get("ts", 0) >= 0 and e.get("dur", 0) >= 0 and e.get("bp", "e") == "e" and e.get("s", "t") == "t", e
names = {e["tid"]: e["args"]["name"] for e in o if e["ph"] == "M"}
assert names == {1: "slot 0", 2: "slot 1", 3: "requests"}, names
assert {e["tid"] for e in o} <= names.keys() and len({e["pid"] for e in o}) == 1
slices = [e for e in o if e["ph"] == "X"]
assert len(slices) > 20 and {e["name"] for e in slices} == {"alice", 'bob "B" \\', "\u00e9mile"}, len(slices)
# Slices of a track nest; here each is beside the others: one task at a time.
for tid in (1, 2):
    mine = sorted((e["ts"], e["ts"] + e["dur"]) for e in slices if e["tid"] == tid)
    assert mine and all(a[1] <= b[0] for a, b in zip(mine, mine[1:])), tid
assert {e["args"]["stop"] for e in slices} >= {"blocks", "ended"}
what = {e["args"]["what"] for e in o if e["ph"] == "i"}
assert {"admitted", "rejected"} <= what, what
# Each arrow begins once and ends once, later, each within a slice of its track.
def inside(e):
    found = [x for x in slices if x["tid"] == e["tid"] and x["ts"] <= e["ts"] <= x["ts"] + x["dur"]]
    assert found, e
    return found
ends = collections.defaultdict(dict)
for e in o:
    if e["ph"] in "sf":
        arrow = ends[e["cat"], e["name"], e["id"]]
        assert e["ph"] not in arrow, e
        arrow[e["ph"]] = e
task = lambda found: {x["args"]["task"] for x in found}
woken = set()
for (cat, name, i), arrow in ends.items():
    assert arrow.keys() == {"s", "f"} and arrow["s"]["ts"] <= arrow["f"]["ts"] and cat == name, arrow
    begin, end = inside(arrow["s"]), [x for x in inside(arrow["f"]) if x["ts"] == arrow["f"]["ts"]]
    assert end, arrow
    if name == "wakes":     # another task's; and the woken one's slice begins there
        assert task(begin) - task(end), (begin, end)
        woken |= {(x["args"]["request"], x["args"]["task"]) for x in end}
    else:
        assert name == "task" and task(begin) & task(end), (begin, end)
# A request's second task was started by its first, whose join it ends.
tasks = collections.defaultdict(list)
for x in sorted(slices, key=lambda x: x["ts"]):
    if x["args"]["task"] not in tasks[x["args"]["request"]]:
        tasks[x["args"]["request"]].append(x["args"]["task"])
second = {(r, t[1]) for r, t in tasks.items() if len(t) == 2}
# Spans that the trace began in the middle of are left out, and a task that ended before the join wakes nobody: many, where
# the machine is busy.
assert len(second) > 10 and len(second & woken) > len(second) // 4, (len(second), len(second & woken))
PY
	# The command has stopped, and takes no memory where it cannot be had.
	expect_rc 1 "$baton" trace --seconds 0.2 -o /nowhere/trace svc
	expect_says 'cannot write /nowhere/trace: '
	expect_rc 1 "$baton" trace --seconds 0.2 -o /dev/full svc
	kill -9 "$service"
	wait "$service" 2>/dev/null
	expect_rc 1 "$baton" trace --seconds 0.2 -o "$tap_dir/trace" svc
	expect_says 'does not run any more$'
}
probes() {
	if ! grep -q 'define HAVE_SYS_SDT' "$O/config.h"; then
		echo "built without sys/sdt.h"
		return
	fi
	expect_rc 0 readelf -n "$O/lib/libbaton.so"
	cp "$tap_dir/run" "$tap_dir/notes"
	expect [ "$(grep -c 'Provider: baton' "$tap_dir/notes")" -ge 3 ]
	for name in run stop request; do
		expect grep -A3 "^ *Name: $name\$" "$tap_dir/notes"
	done
}

check config config
check trace trace
check probes probes
check stats stats
finish

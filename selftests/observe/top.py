#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""baton top in a terminal of 80 columns and 24 lines, which is played here."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/observe"))
sys.dont_write_bytecode = True
from terminal import BATON, COLUMNS, Terminal

O = os.environ["O"]


def tenants(lines):
    return [re.split(r"\s{2,}|(?<=\S)\s+(?=\d)", l)[0].strip() for l in lines[4:23] if l]


def shows():
    t = Terminal("--delay", "0.3", "svc")
    # The last line is drawn last.
    busy = t.until(lambda l: len(tenants(l)) == 3 and re.search(r"busy [012]\.\d+, [1-9]\d* switches/s", l[1]) and
                   l[23].startswith("q quit"))
    assert busy[0].startswith("baton top - svc (") and busy[0].endswith("sorted by CPU"), busy[0]
    says = re.sub(r" \(\d+% given\)", "", busy[2])
    assert says == "capacity 2.00 CPUs, low-latency sold 10.2% of 70.0%, 3 tenants", busy[2]
    assert busy[3].split() == "TENANT CPU LOW LEFT ADMIT/s REJ/s DROP/s THRTL P50 P99".split(), busy[3]
    assert busy[23].startswith("q quit  b blocking  sort: c CPU"), busy[23]
    assert max(map(len, busy)) <= COLUMNS
    assert any(l.startswith("émile ") for l in busy[4:7]), busy[4:7]
    alice = next(l for l in busy if l.startswith("alice "))
    assert re.fullmatch(r"alice +[\d.]+% +10.0% +[\d.]+% +\d+ +\d+ +\d+ +\d+% +[\d.]+[um]?s +[\d.]+[um]?s", alice), alice
    t.key("n")
    t.until(lambda l: l[0].endswith("sorted by name") and tenants(l)[0] == "alice")
    t.key("r")
    t.until(lambda l: l[0].endswith("sorted by rejected") and tenants(l)[0] == "émile")
    # The service is not connected to any `baton load`, if there is one.
    t.key("b")
    blocking = t.until(lambda l: "BLOCKED UNANNOUNCED" in l[3] and "baton" in l[4])
    assert any(w in "".join(blocking[4:8]) for w in ("needs CAP_BPF", "baton load", "built without BPF", "no BTF", "needs Linux")), blocking[4:8]
    t.key("b")
    t.until(lambda l: l[3].startswith("TENANT"))
    t.key("q")
    assert t.ends() == 0


def shows_streams():
    """Two tasks of alice wait, and the workers of the slot that is idle poll."""
    streams = subprocess.Popen([f"{O}/selftests/observe/service", "strm", "streams"], stdout=subprocess.PIPE)
    try:
        assert streams.stdout.readline() == b"ready\n"
        t = Terminal("--delay", "0.3", "strm")
        lines = t.until(lambda l: re.search(r", sorted by CPU, 2 wait for streams, polling \d\.\d\d$", l[0]) and len(tenants(l)) == 3 and
                        l[23].startswith("q quit"))
        assert lines[3].split() == "TENANT CPU LOW LEFT ADMIT/s REJ/s DROP/s THRTL P50 P99 STRM".split(), lines[3]
        assert max(map(len, lines)) <= COLUMNS
        waits = {l.split()[0]: l.split()[-1] for l in lines[4:7]}
        assert waits["alice"] == "2" and waits["émile"] == "0", waits
        t.key("q")
        assert t.ends() == 0
        text = subprocess.run([BATON, "stats", "--prometheus", "strm"], capture_output=True, text=True, check=True).stdout
        assert '\nbaton_tasks_on_streams{service="strm",tenant="alice"} 2\n' in text, text
        assert '\nbaton_tasks_on_streams{service="strm",tenant="émile"} 0\n' in text, text
        flies = re.search(r'\nbaton_requests_in_flight\{service="strm",tenant="alice"\} (\d+)\n', text)
        assert flies and int(flies[1]) >= 2, text
        assert 'baton_slot_polled_seconds_total{service="strm",slot="0"}' in text, text
    finally:
        streams.terminate()
        assert streams.wait() == 0


def says_that_it_died():
    t = Terminal("--delay", "0.1")
    t.until(lambda l: "svc" in l[0])
    service.kill()
    service.wait()
    t.until(lambda l: "DIED" in l[0])
    t.key("q")
    assert t.ends() == 0


def file_cut_short():
    """A page that becomes shorter while it is shown, as a bad service can make its own."""
    copy = os.path.join(os.environ["BATON_RUN_DIR"], "copy")
    page = os.path.join(os.environ["BATON_RUN_DIR"], "svc")
    subprocess.run(["cp", "--sparse=always", page, copy], check=True)
    t = Terminal("--delay", "0.1", copy)
    t.until(lambda l: "alice" in l[4] + l[5] + l[6])
    os.truncate(copy, 0)
    t.until(lambda l: "DIED" in l[0] and l[2].endswith(" 0 tenants"))
    t.key("q")
    assert t.ends() == 0
    os.unlink(copy)


def refuses():
    def run(*args, **env):
        return subprocess.run([BATON, "top", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, **env))

    r = run("svc", TERM="no-such-terminal")
    assert r.returncode == 1 and "this is no terminal it can use (TERM=no-such-terminal)" in r.stderr, r
    r = run("none")
    assert r.returncode == 1 and "none: No such file or directory" in r.stderr, r
    for args in (["--delay", "0"], ["--delay"], ["--delay", "1x"], ["--fast"], ["a", "b"]):
        assert run(*args).returncode == 2, args
    assert run("--help").returncode == 0


if "built without ncurses" in subprocess.run([BATON, "top"], capture_output=True, text=True).stderr:
    print("1..0 # SKIP mend: built without ncurses (apt-get install libncurses-dev, then make clean)")
    sys.exit(4)
tests = [refuses, shows, shows_streams, file_cut_short, says_that_it_died]
failed = 0
print(f"1..{len(tests)}", flush=True)
with tempfile.TemporaryDirectory() as d:
    os.environ["BATON_RUN_DIR"] = d
    service = subprocess.Popen([f"{O}/selftests/observe/service", "svc"], stdout=subprocess.PIPE)
    assert service.stdout.readline() == b"ready\n"
    try:
        for n, test in enumerate(tests, 1):
            try:
                test()
                print(f"ok {n} - {test.__name__}", flush=True)
            except AssertionError as e:
                failed = 1
                print(f"not ok {n} - {test.__name__}")
                print("\n".join("# " + l for l in str(e).splitlines()[:40]), flush=True)
    finally:
        service.kill()
sys.exit(failed)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What people and Prometheus see of a fleet: baton top --fleet, as JSON and in a terminal, and an agent's figures, while stand-ins of schedulers use
what was bought on two nodes of three.
"""
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path[:0] = [os.path.join(TOP, "selftests/fleet"), os.path.join(TOP, "selftests/observe")]
sys.dont_write_bytecode = True
import etcd
from etcd import SECOND, check, wait_until
from terminal import Terminal

LINE = re.compile(r'(?P<name>baton_fleet_\w+)\{(?P<labels>(?:,?\w+="(?:[^"\\]|\\.)*")*)\} (?P<value>[0-9.]+)')


def top(fleet, *args, ok=True):
    r = subprocess.run([etcd.BATON, "top", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ok and r.returncode:
        raise SystemExit(f"baton top {args}: {r.stderr}")
    return r


def scrape(port, path="/metrics"):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)


def figures(port):
    """{name: {labels: value}}; each line is checked, and that each name has its type once, before its values."""
    says, types = {}, {}
    for line in scrape(port).read().decode().splitlines():
        if line.startswith("#"):
            word, kind, name, *rest = line.split(" ")
            assert kind in ("HELP", "TYPE") and rest, line
            if kind == "TYPE":
                assert name not in types and rest[0] in ("gauge", "counter"), line
                types[name] = rest[0]
            continue
        m = LINE.fullmatch(line)
        assert m and m["name"] in types, line
        labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m["labels"])))
        assert labels not in says.setdefault(m["name"], {}), line
        says[m["name"]][labels] = float(m["value"])
    return says


def measure(fleet):
    f, port = fleet, etcd.free_ports(1)[0]
    r = subprocess.run([etcd.BATON, "fleet", "agent", "--node", "x", "--capacity", "1", "--socket", os.path.join(f.folder, "x"), "--metrics", "0"],
                       capture_output=True, text=True)
    check("a port is 1 to 65535", r.returncode == 2 and "--metrics wants a port" in r.stderr)
    store = ("--fleet", "--etcd", f.etcd.url)
    look = lambda: json.loads(top(f, *store, "--json").stdout)
    r = top(f, *store, "--json", ok=False)
    check("a fleet that is not there is said", r.returncode == 1 and "there is no fleet under /baton/" in r.stderr, r.stderr.strip())
    for wrong in (["--json"], ["--etcd", f.etcd.url], ["--fleet", "svc"], ["--fleet", "--prefix", "x"]):
        r = top(f, *wrong, ok=False)
        check(f"wrong words: {' '.join(wrong).replace(f.etcd.url, 'URL')}", r.returncode == 2 and "usage: " in r.stderr, r.stderr.splitlines()[0])
    f.baton("init", "4", "2%")
    # Agents start one after the other, so that places are in the order of names.
    for i in range(3):
        f.start_agent(i, more=["--metrics", str(port)] if not i else [])
        wait_until(lambda: any(n["name"] == f"n{i}" for n in look()["nodes"]), 30)
    for n in f.nodes[:2]:
        n.start()
    f.baton("set", "red", "low=2", "high=1")
    f.baton("set", 'a"b\\c', "high=1")
    f.load("red/low", 0, 1)

    # A second's use is seen in the heartbeat after that second.
    def settled():
        j = look()
        n = {n["name"]: n for n in j["nodes"]}
        both = sum(n[x]["low_used"] or 0 for x in ("n0", "n1"))
        return 1.5e9 <= both <= 2e9 and all(0.7e9 < n[x]["low_used"] < 1.3e9 for x in ("n0", "n1"))

    check("both nodes' use is seen", wait_until(settled, 40))
    j = look()
    node = {n["name"]: n for n in j["nodes"]}
    tenant = {t["name"]: t for t in j["tenants"]}
    red = tenant["red"]["low"]
    print("# " + json.dumps(j))
    check("capacity and what was sold are summed up", (j["places"], j["capacity"], j["low_limit"], j["low_bought"], j["high_bought"], j["unread"]) ==
          (4, 12 * SECOND, 84 * SECOND // 10, 2 * SECOND, 2 * SECOND, 0))
    check("a tenant's rate is what its nodes hold of it", {n["node"] for n in red["nodes"]} >= {"n0", "n1"} and
          red["held"] == sum(n["leased"] for n in red["nodes"]) + 3 * red["base"] and red["held"] + red["cooling"] <= red["bought"])
    bases = red["base"]
    check("a node holds its lease and its base", all(node[n["node"]]["low_held"] == n["leased"] + bases for n in red["nodes"]))
    check("a node without a scheduler is seen", [node[f"n{i}"]["scheduler"] for i in range(3)] == [True, True, False] and node["n2"]["low_used"] == 0)

    p = figures(port)
    at = lambda name, **labels: p[f"baton_fleet_{name}"][tuple(sorted({"node": "n0", **labels}.items()))]
    check("Prometheus has the node's state", (at("store"), at("scheduler"), at("life"), at("places"), at("nodes", state="there"),
                                              at("nodes", state="fenced"), at("capacity_cpus"), at("node_capacity_cpus")) == (1, 1, 1, 4, 3, 0, 12, 4))
    check("a lease lasts 3 s at most", 0 < at("lease_seconds") <= 3, str(at("lease_seconds")))
    rate = {k: at(k + "_cpus", tenant="red", **{"class": "low"}) for k in ("bought", "base", "leased", "wanted", "used")}
    check("Prometheus has what a rate is and what was used", rate["bought"] == 2 and rate["base"] == 0.01 and 0.7 < rate["leased"] < 1.3 and
          0.7 < rate["used"] <= 1.3 and rate["wanted"] >= rate["leased"] and at("waits", tenant="red", **{"class": "low"}) == 1, str(rate))
    check("a name that has to be quoted is", at("bought_cpus", tenant='a\\"b\\\\c', **{"class": "high"}) == 1)
    check("heartbeats and transactions are counted", at("heartbeats_total") > 0 and at("transactions_total", end="applied") > 0)
    try:
        scrape(port, "/")
        found = True
    except urllib.error.HTTPError as e:
        found = e.code != 404
    check("nothing else is there", not found)

    # Clients that connect and say nothing keep neither an agent from its work nor others from asking.
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    check("while six say nothing, a seventh is answered", figures(port)["baton_fleet_places"])
    f.load("red/low", 0)
    check("and load moves on", etcd.gets(f, "red/low", 0, 2e9) is not None)
    for s in idle:
        s.close()
    r = subprocess.run([etcd.BATON, "fleet", "agent", "--etcd", f.etcd.url, "--node", "x", "--capacity", "1", "--socket",
                        os.path.join(f.folder, "x"), "--metrics", str(port)], capture_output=True, text=True)
    check("a port that is taken is said", r.returncode == 1 and f"--metrics {port}: nothing can listen there" in r.stderr, r.stderr.strip())

    t = Terminal(*store, "--delay", "0.3")
    busy = t.until(lambda l: l[23].startswith("q quit") and re.fullmatch(r"n0 +0 +1 +4.000 +1.970 +1.9\d+ +0.010 +0.000", l[4]))
    check("a screen has nodes and tenants", busy[0].startswith("baton top - fleet /baton/, revision ") and
          busy[1] == "3 nodes of 4 places, 0 fenced, 2 tenants" and
          busy[2] == "capacity 12.00 CPUs, low-latency sold 2.00 of 8.40, high-latency sold 2.00" and
          busy[6].endswith("unused") and
          re.fullmatch(r'a"b\\c +0.000 +0.000 +0.000 +1.000 +0\.\d+ +0.000', busy[8]) and max(map(len, busy)) <= 80, "\n# ".join(busy[:10]))
    t.key("b")
    try:
        # Both rows: a screen may be read before all of it is drawn.
        t.until(lambda l: l[0].endswith("sorted by bought") and l[8].startswith("red ") and l[9].startswith('a"b'))
        check("what was bought is its order", True)
    except AssertionError as e:
        check("what was bought is its order", False, str(e).replace("\n", "\n# "))
    # Moves of a lease, as JSON.
    log = os.path.join(f.folder, "trace")
    trace = subprocess.Popen([etcd.BATON, "fleet", "trace", "red", "--json", "--etcd", f.etcd.url], stdout=open(log, "w"))
    lines = lambda: [json.loads(line) for line in open(log).read().split("\n")[:-1]]
    wait_until(lambda: (f.load("red/high", 1), time.sleep(1), f.load("red/high"), time.sleep(1), lines())[-1], 30)
    f.load("red/low", 1)
    moved = lambda: [m for m in lines() if m.get("rate") == "red/low" and (m["node"], m["before"] < m["after"]) in (("n0", False), ("n1", True))]
    check("a trace has what a node gives and what another one takes", wait_until(lambda: len({m["node"] for m in moved()}) == 2, 30), str(moved()[-2:]))
    held = lambda: {n["node"]: n["leased"] for t in look()["tenants"] if t["name"] == "red" for n in t["low"]["nodes"]}
    check("its last word is what the nodes have", wait_until(lambda: {m["node"]: m["after"] for m in moved()}.get("n1") == held().get("n1"), 30), str(held()))
    f.baton("set", "red", "low=1.5")
    check("and what is sold", wait_until(lambda: any(m.get("sold") == 1500000000 for m in lines()), 30))
    f.baton("set", "red", "low=2")
    f.load("red/low", 0)
    # A node whose agent died is silent, and then fenced.
    f.agents[1].kill()
    f.agents[1].wait()
    t.until(lambda l: l[5].startswith("n1 ") and l[5].endswith(("silent", "fenced")), 30)
    lost = t.until(lambda l: l[5].startswith("n1 ") and l[5].endswith("fenced"), 30)
    check("so does the trace say", wait_until(lambda: any(m.get("node") == "n1" and m.get("fenced") for m in lines()), 30))
    trace.kill()
    trace.wait()
    check("a node that died is fenced", lost[1] == "3 nodes of 4 places, 1 fenced, 2 tenants" and "capacity 8.00 CPUs" in lost[2], lost[1])
    f.etcd.kill()
    t.until(lambda l: l[1].startswith("no store: "), 60)
    check("without a store that is said", True)
    check("and an agent's figures say so", wait_until(lambda: figures(port)["baton_fleet_store"] == {(("node", "n0"),): 0}, 30))
    f.etcd.start()
    t.until(lambda l: l[1].startswith("3 nodes"), 60)
    t.key("q")
    check("q ends it", t.ends() == 0)


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

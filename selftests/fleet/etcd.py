#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Three agents, a real etcd, and a scheduler's stand-in on each node: it uses all that its agent lets it use, as early as it
may, and writes down when. Load moves, etcd is killed and comes back, agents are stopped and killed, quotas change; a checker reads
what all nodes used together in each sliding second.

    etcd.py [--lines FILE]	what was measured, a line of JSON each, as benchmarks write them
"""
import base64
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
O = os.environ.get("O") or os.path.join(TOP, "build")
BATON = os.path.join(O, "tools/baton/baton")
SECOND = 10**9
NODES = 3
results = []


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def check(name, ok, why=""):
    results.append(ok)
    print(f"{'ok' if ok else 'not ok'} {len(results)} - {name}", flush=True)
    if why:
        print(f"# {why}", flush=True)


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


class Etcd:
    def __init__(self, folder):
        self.folder = folder
        client, peer = free_ports(2)
        self.url, self.peer = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"

    def start(self):
        self.log = open(os.path.join(self.folder, "etcd.log"), "a")
        self.p = subprocess.Popen(
            ["etcd", "--data-dir", os.path.join(self.folder, "etcd"), "--listen-client-urls", self.url,
             "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer,
             "--initial-advertise-peer-urls", self.peer, "--initial-cluster", f"default={self.peer}"],
            stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(100):
            try:
                self.ask("kv/range", {"key": "AA=="})
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("etcd does not answer")

    def ask(self, path, body):
        r = urllib.request.Request(f"{self.url}/v3/{path}", json.dumps(body).encode())
        return json.load(urllib.request.urlopen(r, timeout=5))

    def kill(self):
        self.p.kill()
        self.p.wait()


class Node(threading.Thread):
    """The stand-in for a scheduler."""

    def __init__(self, i, path):
        super().__init__(daemon=True)
        self.i, self.path = i, path
        self.until, self.over = 0, False
        self.rate, self.log, self.sum = {}, {}, {}
        self.wants, self.silent = set(), False
        self.used = []

    def window(self, key, t):
        log = self.log.setdefault(key, collections.deque())
        while log and log[0][0] + SECOND <= t:
            self.sum[key] -= log.popleft()[1]
        return log

    def report(self, key):
        if self.silent:
            return
        t = now()
        log = self.window(key, t)
        steps = [0] * 10
        for at, amount in log:
            for k in range(10):
                if t - at + k * SECOND // 10 >= SECOND:
                    break
                steps[k] += amount
        tenant, cls = key.split("/")
        short = 1 if key in self.wants else 0
        text = f"use {self.rate[key][0]} {tenant} {cls} {short} " + " ".join(map(str, steps))
        try:
            self.s.send(text.encode())
        except OSError:
            self.s = None

    def hear(self):
        while self.s:
            try:
                words = self.s.recv(4096).decode().split()
            except BlockingIOError:
                return
            except OSError:
                words = []
            if not words:
                self.s = None
            elif words[0] == "until":
                self.until = int(words[1])
            elif words[0] == "rate":
                key = words[2] + "/" + words[3]
                self.rate[key] = (int(words[1]), int(words[4]), int(words[5]))
                self.report(key)

    def run(self):
        self.s, last = None, {}
        while not self.over:
            if not self.s:
                try:
                    self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    self.s.connect(self.path)
                    self.s.setblocking(False)
                except OSError:
                    self.s = None
            self.hear()
            for key in list(self.rate):
                t = now()
                self.window(key, t)
                if key in self.wants:
                    _, base, rate = self.rate[key]
                    part = base + (rate if t < self.until else 0) - self.sum.setdefault(key, 0)
                    if part > 0:
                        self.log[key].append((t, part))
                        self.sum[key] += part
                        self.used.append((t, key, part))
                busy = key in self.wants or self.sum.get(key, 0)
                if self.s and t - last.get(key, 0) > SECOND // 20 and (busy or last.get((key, "busy"))):
                    last[key], last[(key, "busy")] = t, busy
                    self.report(key)
            time.sleep(0.005)


class Fleet:
    def __init__(self, folder):
        self.folder = folder
        self.etcd = Etcd(folder)
        self.etcd.start()
        self.agents = [None] * NODES
        self.nodes = [Node(i, os.path.join(folder, f"s{i}")) for i in range(NODES)]

    def baton(self, *args, ok=True):
        r = subprocess.run([BATON, "fleet", *args, "--etcd", self.etcd.url], capture_output=True, text=True)
        if ok and r.returncode:
            raise SystemExit(f"baton fleet {args}: {r.stderr}")
        return r

    def start_agent(self, i, url=None, more=()):
        log = open(os.path.join(self.folder, f"agent{i}.log"), "a")
        self.agents[i] = subprocess.Popen(
            [BATON, "fleet", "agent", "--etcd", url or self.etcd.url, "--node", f"n{i}", "--capacity", "4", "--socket",
             os.path.join(self.folder, f"s{i}"), *more], stderr=log)

    def end(self):
        for n in self.nodes:
            n.over = True
        for a in self.agents:
            if a:
                a.send_signal(signal.SIGCONT)
                a.kill()
                a.wait()
        self.etcd.kill()
        if not results or not all(results):
            for i in range(NODES):
                print(f"# agent {i}:")
                log = os.path.join(self.folder, f"agent{i}.log")
                print("".join("# " + line for line in (open(log) if os.path.exists(log) else [])), flush=True)

    def used(self, key, since, till, node=None):
        return sum(a for n in self.nodes if node in (None, n.i) for t, k, a in list(n.used) if k == key and since <= t < till)

    def load(self, key, *where):
        for n in self.nodes:
            (n.wants.add if n.i in where else n.wants.discard)(key)

    def writes(self):
        return int(self.etcd.ask("kv/range", {"key": "AA=="})["header"]["revision"])


def worst_second(fleet, key):
    """The most that all nodes together used in a second, as the slowest of clocks may count it."""
    uses = sorted((t, a) for n in fleet.nodes for t, k, a in n.used if k == key)
    first, total, worst, when = 0, 0, 0, 0
    for t, a in uses:
        total += a
        while uses[first][0] + SECOND * 999 // 1000 <= t:
            total -= uses[first][1]
            first += 1
        if total > worst:
            worst, when = total, t
    return worst, when


def wait_until(fn, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fn():
            return True
        time.sleep(0.02)
    return False


def gets(fleet, key, node, rate, seconds=20):
    """Until so much was used of it on the node within the last second; returns the time that took, in s."""
    t = now()
    ok = wait_until(lambda: fleet.used(key, now() - SECOND // 2, now(), node) >= rate * 0.9 / 2, seconds)
    return (now() - t) / 1e9 if ok else None


def measure(fleet):
    f, says = fleet, {}
    f.baton("init", "3", "2%")
    for i in range(NODES):
        f.start_agent(i)
        f.nodes[i].start()
    nodes = lambda: json.loads(f.baton("show", "--json").stdout)["nodes"]
    check("three nodes join", wait_until(lambda: len(nodes()) == NODES, 20))
    r = f.baton("set", "red", "low=9", ok=False)
    check("more than 70% of the fleet is not sold", r.returncode == 1 and "70%" in r.stderr, r.stderr.strip())
    f.baton("set", "red", "low=2", "high=1")
    f.baton("set", "blue", "low=1")
    f.load("red/low", 0)
    f.load("blue/low", 0, 1)
    first = gets(f, "red/low", 0, 2e9)
    check("what was sold is to be had on one node", first is not None, f"after {first} s")
    check("two nodes share a tenant's rate", gets(f, "blue/low", 1, 0.45e9) is not None)
    quota = base64.b64encode(b"/baton/quota/red/low").decode()
    text = base64.b64decode(f.etcd.ask("kv/range", {"key": quota})["kvs"][0]["value"])
    check("a quota in the store is JSON", json.loads(text)["rate"] == 2 * SECOND, text.decode())

    # Load moves from node to node.
    began, moves = now(), []
    for n in (1, 2, 0, 1):
        f.load("red/low", n)
        t = gets(f, "red/low", n, 2e9)
        moves.append(t)
        if t is not None:
            time.sleep(max(0, 5 - t))
    took = (now() - began) / 1e9
    # The most that one node gets is the pool and its own base.
    used = f.used("red/low", began, now()) / (2 * SECOND * took) * 100
    says["fleet_utilisation"] = used, 1
    if None not in moves:
        says["fleet_move"] = 1000 * sorted(moves)[len(moves) // 2], len(moves)
    check("load that moves is followed", None not in moves, f"{moves} s, {used:.1f}% of what was bought")

    # etcd dies, for longer than leases last.
    f.etcd.kill()
    time.sleep(5)
    t = now()
    got = f.used("red/low", t - SECOND, t)
    check("without a store each node has its base", 0 < got <= 2 * SECOND * 0.02, f"{got} ns in a second")
    f.etcd.start()
    check("a store that comes back is used again", gets(f, "red/low", 1, 2e9) is not None)

    # An agent is stopped: its node is fenced, and the rate goes to others.
    f.agents[1].send_signal(signal.SIGSTOP)
    f.load("red/low", 2)
    back = gets(f, "red/low", 2, 2e9)
    check("a stopped agent's rate goes to others", back is not None, f"after {back} s")
    f.agents[1].send_signal(signal.SIGCONT)
    f.load("red/low", 1)
    check("an agent that comes back takes part again", gets(f, "red/low", 1, 2e9) is not None)

    # An agent dies, and another one starts in its place.
    f.agents[1].kill()
    f.agents[1].wait()
    time.sleep(4.5)
    t = now()
    alone = f.used("red/low", t - SECOND, t)
    check("a scheduler without an agent has its base", 0 < alone <= 2 * SECOND * 0.02, f"{alone} ns in a second")
    f.start_agent(1)
    again = gets(f, "red/low", 1, 2e9, 30)
    check("an agent that starts again gets its rate", again is not None, f"after {again} s")

    # Nothing that stands in the store harms.
    node = f"node/{next(n['place'] for n in nodes() if n['name'] == 'n2')}"
    bad = {"quota/red/low": '{"rate": -5, "base": 0, "next": 0}', "held/red/low": "[]", node: "no JSON", "quota/%": "x",
           "held/blue/low": '{"held": [[0, 1, -1, 0]], "cooling": []}'}
    before = {k: f.etcd.ask("kv/range", {"key": base64.b64encode(f"/baton/{k}".encode()).decode()}).get("kvs") for k in bad}
    for k, v in bad.items():
        f.etcd.ask("kv/put", {"key": base64.b64encode(f"/baton/{k}".encode()).decode(), "value": base64.b64encode(v.encode()).decode()})
    time.sleep(2)
    logs = "".join(open(os.path.join(f.folder, f"agent{i}.log")).read() for i in range(NODES))
    check("contents of another format are named", "quota/red/low: not {" in logs and "held/red/low: not {" in logs)
    check("agents outlive them", all(a.poll() is None for a in f.agents))
    r = f.baton("set", "green", "high=1", ok=False)
    check("nothing is sold while a node's key cannot be read", r.returncode == 1 and f"{node}: not {{" in r.stderr, r.stderr.strip())
    f.agents[2].kill()
    f.agents[2].wait()
    f.start_agent(2)
    full = lambda: open(os.path.join(f.folder, "agent2.log")).read().count("all 3 places are taken")
    check("a place whose key cannot be read is nobody's", wait_until(full, 20))
    time.sleep(2)
    check("which is said once", full() == 1)
    for k, v in before.items():
        name = base64.b64encode(f"/baton/{k}".encode()).decode()
        f.etcd.ask("kv/put" if v else "kv/deleterange", {"key": name, "value": v[0]["value"]} if v else {"key": name})
    check("and go on", gets(f, "red/low", 1, 2e9) is not None)

    worst, _ = worst_second(f, "red/low")
    blue, _ = worst_second(f, "blue/low")
    over = max(0, worst / (2 * SECOND) - 1, blue / SECOND - 1) * 100
    says["fleet_oversell_worst"] = over, 1
    check("no second oversells", over == 0,
          f"the worst seconds: {worst / (2 * SECOND):.4f} and {blue / SECOND:.4f} of what was bought")

    # A quota changes under load.
    f.baton("set", "red", "low=1")
    t = now()
    lowered = wait_until(lambda: f.used("red/low", now() - SECOND, now()) <= SECOND, 10)
    check("a lower quota is kept", lowered, f"after {(now() - t) / 1e9:.2f} s")
    f.baton("set", "red", "low=3")
    check("a higher quota is to be had", gets(f, "red/low", 1, 3 * 0.95e9) is not None)
    return says


def main(measure, report=lambda says: None):
    """A test of a fleet with a real etcd: the exit status of measure(fleet), whose result goes to report()."""
    if not shutil.which("etcd"):
        print("1..0 # SKIP mend: no etcd; apt-get install etcd-server")
        return 4
    if "built without" in subprocess.run([BATON, "fleet", "show"], capture_output=True, text=True).stderr:
        print("1..0 # SKIP mend: baton is built without libcurl and jansson")
        return 4
    folder = tempfile.mkdtemp(prefix="fleet.")
    fleet = Fleet(folder)
    try:
        says = measure(fleet)
    finally:
        fleet.end()
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder)
    report(says)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


def add_line(says):
    """says: a test's arguments, and its line of JSON, which the file of --lines gets"""
    args, line = says
    if args.lines:
        with open(args.lines, "a") as out:
            out.write(json.dumps(line) + "\n")


def print_lines(says):
    units = {"fleet_utilisation": "%", "fleet_move": "ms", "fleet_oversell_worst": "%"}
    lines = [json.dumps({"bench": "fleet", "case": k, "where": "host", "value": round(v, 3), "unit": units[k], "n": n})
             for k, (v, n) in says.items()]
    print("\n".join("# " + line for line in lines))
    if "--lines" in sys.argv:
        with open(sys.argv[sys.argv.index("--lines") + 1], "w") as out:
            out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main(measure, print_lines))

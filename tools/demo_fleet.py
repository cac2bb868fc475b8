#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
demo_fleet.py: some batondb servers, each with an agent, and an etcd. Four tenants, each of whom bought CPU of the fleet and wants more than
that, on one node at a time; their load moves from node to node. Then one node's agent cannot reach etcd for a while, and can
again. Ends with a table, a picture and a sentence: what all nodes together gave each tenant, against what it bought. Everything
it starts it stops.

  FLEET=N         how many nodes, from 2 to 8 (default 3)
  DEMO_SECONDS=N  seconds of each phase (default 20)
"""
import glob
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

if sys.argv[1:]:
    if sys.argv[1] in ("-h", "--help"):
        sys.exit(print(__doc__.strip()))
    print(f"demo_fleet.py: no argument {sys.argv[1]!r}; demo_fleet.py --help says what there is", file=sys.stderr)
    sys.exit(2)

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.environ.get("O") or os.path.join(TOP, "build")
DIR = os.environ.get("DEMO_DIR") or os.path.join(OUT, "demo-fleet")
WORK = os.path.join(DIR, "work")
SECONDS = int(os.environ.get("DEMO_SECONDS", "20"))
BATON = os.path.join(OUT, "tools/baton/baton")
BATONDB = os.path.join(OUT, "service/batondb/batondb")
PGBIN = max(glob.glob("/usr/lib/postgresql/*/bin"), default="/usr/lib/postgresql/none/bin")
FLEET = os.environ.get("FLEET", "3")
NODES = int(FLEET) if FLEET.isdigit() else 0
CUT = NODES - 1
STEP = 5

sys.path.insert(0, os.path.join(TOP, "tools"))
sys.dont_write_bytecode = True
from services import Client, Link, children, free_port, start, stop

# Bought: parts of what all nodes have.
TENANTS = {
    "red": dict(cls="tolerant", low=.2, high=0, colour="#d55e00"),
    "blue": dict(cls="tolerant", low=.1, high=.1, colour="#0072b2"),
    "green": dict(cls="batch", low=0, high=.2, colour="#009e73"),
    "pink": dict(cls="batch", low=0, high=.1, colour="#cc79a7"),
}
PHASES = [("before", "all nodes reach etcd"), ("during", f"node {CUT}'s agent does not reach etcd"), ("after", "all reach etcd again")]
# Some ms of CPU.
QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT count(*) FROM n;\n"

directories = []


def die(text):
    print(f"demo: {text}", file=sys.stderr)
    sys.exit(1)


class Node:
    def __init__(self, demo, i, etcd_port):
        self.i, self.link, self.socket = i, Link(etcd_port), os.path.join(demo.folder, f"agent{i}")
        log = open(os.path.join(DIR, f"node{i}.log"), "w")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
        start(*as_user, BATON, "fleet", "agent", "--etcd", self.link.url, "--node", f"node{i}", "--capacity", f"{demo.capacity:.3f}",
              "--socket", self.socket, stderr=log)
        self.port = free_port()
        self.server = start(*as_user, BATONDB, "-D", os.path.join(demo.folder, f"data{i}"), "-p", str(self.port), "-c", "auth=local",
                            "-c", "slots 1", "-c", f"capacity {demo.capacity:.3f}", "-c", f"fleet_socket={self.socket}", stdout=log, stderr=log)
        self.log = log.name

    def connect(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.server.poll() is not None:
                    die(f"batondb did not start; its log is {self.log}")
                time.sleep(0.05)
        self.sql = Client(sys.modules[__name__], ("psql", "-XqAt", "-F", "\t", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "postgres"),
                          "\\echo =====", ("ERROR", "FATAL", "psql:"), f"node{self.i}.log")
        # The one that watches gets in also where tenants want everything.
        self.sql.ask("ALTER USER postgres SET baton.low_latency = '5%'")
        for name in TENANTS:
            self.sql.ask(f"CREATE USER {name}")

    def cpu(self):
        """ms of CPU of each tenant, as the kernel counted it"""
        return {name: float(ms) for name, ms in self.sql.ask("SELECT usename, cpu_ms FROM baton_stat_tenants")}


class Demo:
    def __init__(self):
        cpus = len(os.sched_getaffinity(0))
        # All nodes are on this machine: each has its part of what the clients leave.
        self.capacity = 0.85 * max(cpus - 0.6, 0.5 * cpus) / NODES
        self.folder = tempfile.mkdtemp(prefix="baton-fleet-")
        directories.append(self.folder)
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody")
        self.samples = []

    def fleet(self, *args):
        r = subprocess.run([BATON, "fleet", *args, "--etcd", self.url], capture_output=True, text=True)
        if r.returncode:
            die(f"baton fleet {args[0]}: {r.stderr}")
        return r.stdout

    def bought(self, name):
        t = TENANTS[name]
        return (t["low"] + t["high"]) * NODES * self.capacity

    def begin(self):
        client, peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{client}"
        log = open(os.path.join(DIR, "etcd.log"), "w")
        # Each write waits for the disk, which is not what is shown.
        start("etcd", "--data-dir", os.path.join(self.folder, "etcd"), "--unsafe-no-fsync", "--listen-client-urls", self.url,
              "--advertise-client-urls", self.url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
              "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}",
              stdout=log, stderr=subprocess.STDOUT)
        for _ in range(100):
            if not subprocess.run([BATON, "fleet", "init", str(NODES), "--etcd", self.url], capture_output=True).returncode:
                break
            time.sleep(0.1)
        self.nodes = [Node(self, i, client) for i in range(NODES)]
        for n in self.nodes:
            n.connect()
        for _ in range(100):
            if len(json.loads(self.fleet("show", "--json"))["nodes"]) == NODES:
                break
            time.sleep(0.1)
        else:
            die("the nodes do not join; their logs are in " + DIR)
        for name, t in TENANTS.items():
            all_cpus = NODES * self.capacity
            self.fleet("set", name, f"low={t['low'] * all_cpus:.4f}", f"high={t['high'] * all_cpus:.4f}")
        self.script = os.path.join(WORK, "query.sql")
        with open(self.script, "w") as f:
            f.write(QUERY)

    def sample(self, over):
        while not over.wait(0.1):
            for n in self.nodes:
                try:
                    self.samples.append((time.time(), n.i, n.cpu()))
                except (OSError, ValueError):
                    return

    def load(self, name, node, seconds):
        log = open(os.path.join(WORK, "pgbench.out"), "a")
        env = dict(os.environ, PGOPTIONS=f"-c baton.class={TENANTS[name]['cls']} -c baton.reject_code=40001 -c statement_timeout=6000")
        return start(os.path.join(PGBIN, "pgbench"), "-n", "-h", "127.0.0.1", "-p", str(self.nodes[node].port), "-U", name, "-f", self.script,
                     "-c", "2", "-j", "1", "-T", str(seconds), "--max-tries", "1", "postgres", env=env, stdout=log, stderr=log)

    def run(self):
        self.begin()
        print(f"{NODES} nodes with {self.capacity:.2f} CPUs each, an etcd, {len(TENANTS)} tenants whose load moves each {STEP} s")
        over, self.phases, self.where = threading.Event(), {}, []
        watcher = threading.Thread(target=self.sample, args=(over,))
        watcher.start()
        step = 0
        for phase, label in PHASES:
            (self.nodes[CUT].link.open.clear if phase == "during" else self.nodes[CUT].link.open.set)()
            begin = time.time()
            while time.time() < begin + SECONDS - STEP / 2:
                clients = [self.load(name, (step + i) % NODES, STEP) for i, name in enumerate(TENANTS)]
                self.where.append((time.time(), {name: (step + i) % NODES for i, name in enumerate(TENANTS)}))
                time.sleep(STEP)
                stop(clients)
                step += 1
            self.phases[phase] = (begin, time.time())
            print(f"  {label:40} done in {time.time() - begin:.0f} s")
        over.set()
        watcher.join()
        self.rates()
        self.table()
        self.picture()

    def used(self, name, since, till, node=None):
        """CPU of a tenant's on all nodes, in s, and how long that was: between readings within that time"""
        cpu = span = 0
        for n in self.nodes if node is None else [self.nodes[node]]:
            mine = [(t, cpu_ms[name]) for t, i, cpu_ms in self.samples if i == n.i and since <= t <= till and name in cpu_ms]
            if len(mine) > 1:
                cpu += (mine[-1][1] - mine[0][1]) / 1e3
                span = max(span, mine[-1][0] - mine[0][0])
        return cpu, span

    def rates(self):
        """Of each tenant: (time, CPUs in the second before it), of readings that lie within that second."""
        self.rate = {}
        first, last = self.phases["before"][0], self.phases["after"][1]
        for name in TENANTS:
            at, self.rate[name] = first + 1, []
            while at < last:
                self.rate[name].append((at, self.used(name, at - 1, at)[0]))
                at += 0.2

    def table(self):
        head = ["", "bought", *(f"{p}: used" for p, _ in PHASES), "worst second"]
        rows, self.over = [], 0
        for name in TENANTS:
            bought, cells = self.bought(name), []
            for phase, _ in PHASES:
                begin, end = self.phases[phase]
                cpu, span = self.used(name, begin, end)
                cells.append(f"{100 * cpu / span / bought:.1f}%")
            worst = max(r for _, r in self.rate[name]) / bought
            self.over = max(self.over, 100 * worst - 100)
            rows.append([name, f"{bought:.3f} CPUs", *cells, f"{100 * worst:.1f}%"])
        width = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
        text = "\n".join("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(r, width))) for r in [head] + rows)
        print("\n" + text + "\n\nUsed, on all nodes together, by the kernel's clocks, of what was bought.")
        with open(os.path.join(DIR, "demo.txt"), "w") as f:
            f.write(text + "\n")

    def picture(self):
        if not shutil.which("gnuplot"):
            print("No picture: no gnuplot (Debian: apt-get install gnuplot-nox)")
            return
        zero, end = self.phases["before"][0], self.phases["after"][1]
        top = 1.25 * max(map(self.bought, TENANTS))
        for name in TENANTS:
            with open(os.path.join(WORK, f"{name}.dat"), "w") as f:
                f.writelines(f"{t - zero:.2f} {r:.4f}\n" for t, r in self.rate[name])
            for n in self.nodes:
                with open(os.path.join(WORK, f"{name}-{n.i}.dat"), "w") as f:
                    f.writelines(f"{t - zero:.2f} {self.used(name, t - 1, t, n.i)[0]:.4f}\n" for t, _ in self.rate[name])
        gp = ["set terminal pngcairo size 1000,800 font 'Sans,10'", f"set output '{DIR}/demo.png'", f"set multiplot layout {NODES + 1},1",
              f"set xrange [0:{end - zero:.1f}]", f"set yrange [0:{top:.3f}]", "set lmargin 10", "set rmargin 3", "set grid ytics",
              "set ylabel 'CPUs'"]
        cut = [t - zero for t in self.phases["during"]]
        gp.append(f"set object 1 rectangle from {cut[0]},graph 0 to {cut[1]},graph 1 fc rgb '#eeeeee' fillstyle solid behind")
        lines = [f"'{WORK}/{n}.dat' with lines lw 2 lc rgb '{t['colour']}' title '{n}', {self.bought(n)} with lines dt 2 lc rgb '{t['colour']}' notitle"
                 for n, t in TENANTS.items()]
        gp += [f"set title 'All nodes together, in the last second (dashed: bought; grey: node {CUT} does not reach etcd)'",
               "set key horizontal inside top right", "plot " + ", ".join(lines), "unset key"]
        for n in self.nodes:
            lines = [f"'{WORK}/{name}-{n.i}.dat' with lines lw 2 lc rgb '{t['colour']}'" for name, t in TENANTS.items()]
            gp += [f"set title 'Node {n.i}'", "plot " + ", ".join(lines)]
        gp.append("unset multiplot")
        r = subprocess.run(["gnuplot"], input="\n".join(gp), text=True, capture_output=True)
        if r.returncode:
            print("gnuplot: " + r.stderr)
        print(f"The picture: {DIR}/demo.png; the table: demo.txt")
        begin, end = self.phases["before"]
        got = min(self.used(n, begin + 1, end)[0] / self.used(n, begin + 1, end)[1] / self.bought(n) for n in TENANTS)
        print(f"\nThe {NODES} nodes gave each tenant {100 * got:.0f}% or more of what it bought while its load moved, and in no second more than "
              f"{max(0, self.over):.1f}% above that,\nalso while a node was cut off.")


def main():
    sys.stdout.reconfigure(line_buffering=True)
    if not 2 <= NODES <= 8:
        die(f"FLEET is how many nodes, from 2 to 8, not {FLEET!r}")
    for tool in ("etcd", "psql", os.path.join(PGBIN, "pgbench"), BATON, BATONDB):
        if not shutil.which(tool):
            die(f"{tool} is missing: `make demo FLEET={NODES}` builds and installs what is needed")
    shutil.rmtree(DIR, ignore_errors=True)
    os.makedirs(WORK)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Demo().run()
    except KeyboardInterrupt:
        print("\nstopped")
        sys.exit(130)
    finally:
        stop(children)
        for path in directories:
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
An etcd of three members: its leader is killed, and stopped, and what it knew of the past is compacted, while load moves between nodes. The fleet goes on,
and no second oversells.
"""
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import NODES, SECOND, check, free_ports, gets, wait_until

BOUGHT = SECOND


class Members:
    """In the place of etcd.Etcd: what is asked is asked of any member that answers."""

    def __init__(self, folder):
        self.folder = folder
        ports = free_ports(2 * NODES)
        self.urls = [f"http://127.0.0.1:{p}" for p in ports[:NODES]]
        self.peers = [f"http://127.0.0.1:{p}" for p in ports[NODES:]]
        self.url = ",".join(self.urls)
        self.p = [None] * NODES

    def start(self):
        for i in range(NODES):
            self.start_member(i)
        if not wait_until(lambda: self.leader() is not None, 30):
            raise SystemExit("etcd has no leader")

    def start_member(self, i):
        log = open(os.path.join(self.folder, f"etcd{i}.log"), "a")
        self.p[i] = subprocess.Popen(
            ["etcd", "--name", f"m{i}", "--data-dir", os.path.join(self.folder, f"etcd{i}"), "--listen-client-urls", self.urls[i],
             "--advertise-client-urls", self.urls[i], "--listen-peer-urls", self.peers[i], "--initial-advertise-peer-urls", self.peers[i],
             # Members die, and the machine does not; each write of three would wait for one disk.
             "--unsafe-no-fsync", "--initial-cluster", ",".join(f"m{k}={p}" for k, p in enumerate(self.peers))], stdout=log, stderr=subprocess.STDOUT)

    def ask_one(self, url, path, body):
        r = urllib.request.Request(f"{url}/v3/{path}", json.dumps(body).encode())
        return json.load(urllib.request.urlopen(r, timeout=5))

    def ask(self, path, body):
        for url in self.urls:
            try:
                return self.ask_one(url, path, body)
            except OSError as e:
                last = e
        raise last

    def leader(self):
        """The number of the member that leads, by its own word."""
        for i, url in enumerate(self.urls):
            try:
                s = self.ask_one(url, "maintenance/status", {})
                if s.get("leader") and s["leader"] == s["header"]["member_id"]:
                    return i
            except OSError:
                pass
        return None

    def kill(self):
        for p in self.p:
            if p:
                p.send_signal(signal.SIGCONT)
                p.kill()
                p.wait()


def measure(fleet):
    f, m = fleet, fleet.etcd
    f.baton("init", str(NODES), "2%")
    for i in range(NODES):
        f.start_agent(i)
        f.nodes[i].start()
    f.baton("set", "red", f"high={BOUGHT / SECOND}")
    f.load("red/high", 0)
    check("what was sold is to be had", gets(f, "red/high", 0, BOUGHT, 60) is not None)

    led = m.leader()
    m.p[led].kill()
    m.p[led].wait()
    f.load("red/high", 1)
    check("load moves though the leader was killed", gets(f, "red/high", 1, BOUGHT, 30) is not None, f"member {led}")
    m.start_member(led)
    check("there is another leader", wait_until(lambda: m.leader() not in (None, led), 20))

    led = m.leader()
    m.p[led].send_signal(signal.SIGSTOP)
    f.load("red/high", 2)
    check("load moves though the leader was stopped", gets(f, "red/high", 2, BOUGHT, 40) is not None, f"member {led}")
    # The member takes itself for the leader until it hears otherwise.
    m.p[led].send_signal(signal.SIGCONT)
    f.load("red/high", 0)
    check("and once it goes on", gets(f, "red/high", 0, BOUGHT, 30) is not None)

    # An agent that was away for longer than the past that is kept reads all anew.
    f.agents[1].send_signal(signal.SIGSTOP)
    f.load("red/high", 2)
    check("an agent is away", gets(f, "red/high", 2, BOUGHT, 30) is not None)
    m.ask("kv/compaction", {"revision": str(f.writes()), "physical": True})
    f.agents[1].send_signal(signal.SIGCONT)
    f.load("red/high", 1)
    check("an agent that was away while the past was compacted goes on", gets(f, "red/high", 1, BOUGHT, 30) is not None)

    # Most of the members are gone: nothing can be written, and leases end.
    for i in range(NODES - 1):
        m.p[i].kill()
        m.p[i].wait()
    time.sleep(5)
    last = lambda: f.used("red/high", etcd.now() - SECOND, etcd.now())
    check("without a majority each node has its base", wait_until(lambda: 0 < last() <= BOUGHT * 0.02, 10), f"{last()} ns in a second")
    for i in range(NODES - 1):
        m.start_member(i)
    check("a majority is enough again", gets(f, "red/high", 1, BOUGHT, 40) is not None)

    worst, _ = etcd.worst_second(f, "red/high")
    check("no second oversells", worst <= BOUGHT, f"the worst: {worst / BOUGHT:.4f} of what was bought")


if __name__ == "__main__":
    etcd.Etcd = Members
    sys.exit(etcd.main(measure))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Faults in any order, while load moves between three nodes with their agents and a real etcd: an agent is killed, or stopped and goes on; a node is cut off, and
reaches etcd again; etcd is killed; a scheduler goes away; a quota changes. In no sliding second do the nodes together use more than was bought, and once the
faults are over all of it is to be had again.

    storm.py [--faults N] [--seed S]
"""
import argparse
import os
import random
import signal
import sys
import time

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path[:0] = [os.path.join(TOP, "selftests/fleet"), os.path.join(TOP, "tools")]
sys.dont_write_bytecode = True
import etcd
from etcd import NODES, SECOND, check, gets
from services import Link

# The most that is ever in force: a quota that is lowered, and raised again, is within it.
BOUGHT = SECOND


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--faults", type=int, default=12)
    p.add_argument("--seed", type=int, default=int(time.time()))
    return p.parse_args()


class Storm:
    def __init__(self, fleet, rng):
        self.f, self.rng = fleet, rng
        port = int(fleet.etcd.url.rsplit(":", 1)[1])
        self.links = [Link(port) for _ in range(NODES)]
        self.undo = []

    def start_agent(self, i):
        self.f.start_agent(i, self.links[i].url)

    def kill_agent(self, i):
        a = self.f.agents[i]
        a.send_signal(signal.SIGCONT)
        a.kill()
        a.wait()
        self.undo.append(lambda: self.start_agent(i))

    def stop_agent(self, i):
        a = self.f.agents[i]
        a.send_signal(signal.SIGSTOP)
        self.undo.append(lambda: a.send_signal(signal.SIGCONT))

    def cut_node(self, i):
        self.links[i].open.clear()
        self.undo.append(self.links[i].open.set)

    def kill_etcd(self, i):
        self.f.etcd.kill()
        self.undo.append(self.f.etcd.start)

    def drop_scheduler(self, i):
        # The scheduler meets the agent again at once.
        s = self.f.nodes[i].s
        if s:
            s.shutdown(2)

    def change_quota(self, i):
        self.f.baton("set", "red", "high=0.5", ok=False)
        self.undo.append(lambda: self.f.baton("set", "red", f"high={BOUGHT / SECOND}", ok=False))

    def strike(self):
        """One fault, or two at once, for a while."""
        kinds = (self.kill_agent, self.stop_agent, self.cut_node, self.kill_etcd, self.drop_scheduler, self.change_quota)
        said = []
        # etcd first: a quota cannot be changed while there is none.
        for kind in sorted(self.rng.sample(kinds, self.rng.choice((1, 1, 2))), key=kinds.index):
            i = self.rng.randrange(NODES)
            if kind == self.change_quota and any(s.startswith(("kill_etcd", "stop_agent", "kill_agent")) for s in said):
                continue
            kind(i)
            said.append(f"{kind.__name__} {i}")
        self.f.load("red/high", *self.rng.sample(range(NODES), self.rng.choice((1, 2))))
        # Shorter than a lease, about as long, longer than the fence.
        time.sleep(self.rng.choice((0.3, 2.5, 3.2, 5.5)))
        while self.undo:
            self.undo.pop()()
        time.sleep(self.rng.choice((0.1, 1, 3)))
        return " and ".join(said)


def measure(fleet):
    args = arguments()
    storm = Storm(fleet, random.Random(args.seed))
    fleet.baton("init", str(NODES), "2%")
    fleet.baton("set", "red", f"high={BOUGHT / SECOND}")
    for i in range(NODES):
        storm.start_agent(i)
        fleet.nodes[i].start()
    fleet.load("red/high", 0)
    check("what was sold is to be had", gets(fleet, "red/high", 0, BOUGHT, 60) is not None, f"seed {args.seed}")
    for n in range(args.faults):
        print(f"# {storm.strike()}", flush=True)
    fleet.baton("set", "red", f"high={BOUGHT / SECOND}")
    for i in range(NODES):
        fleet.load("red/high", i)
        check(f"after {args.faults} faults node {i} has what was sold", gets(fleet, "red/high", i, BOUGHT, 60) is not None)
    worst, when = etcd.worst_second(fleet, "red/high")
    check("no second oversells", worst <= BOUGHT, f"the worst: {worst / BOUGHT:.4f} of what was bought")


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

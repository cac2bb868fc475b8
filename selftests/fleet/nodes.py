#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Two schedulers (joined.c) that each want all of what a tenant bought, with their agents and a real etcd: together they use what was bought
and in no sliding second more; an agent that dies leaves its scheduler the base share.
"""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import SECOND, check

# Little, so that a machine which others use as well has it to give.
BOUGHT = SECOND // 5
# A task's slice, and what it runs past it, on a machine that others use, too.
PAST = SECOND // 100


class Service(threading.Thread):
    def __init__(self, path):
        super().__init__(daemon=True)
        self.p = subprocess.Popen([os.path.join(etcd.O, "selftests/fleet/joined"), path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=open(path + ".says", "a"), text=True)
        self.lines = []
        self.start()

    def run(self):
        for line in self.p.stdout:
            self.lines.append(tuple(map(int, line.split())))

    def used(self, since, till):
        lines = [(t, c) for t, c, *_ in list(self.lines) if since <= t <= till]
        return lines[-1][1] - lines[0][1] if lines else 0


def worst(services):
    """The most that all used between readings that lie within a second."""
    uses = [(a[0], b[3], b[1] - a[1]) for s in services for a, b in zip(s.lines, s.lines[1:])]
    return max(sum(used for since, till, used in uses if since >= end - SECOND and till <= end) for _, end, _ in uses)


def measure(fleet):
    fleet.baton("init", "2", "2%")
    for i in range(2):
        fleet.start_agent(i)
    fleet.baton("set", "red", f"high={BOUGHT / SECOND}")
    # More than a scheduler's slots on each node for ever; a rate like that ended the connection.
    fleet.baton("set", "vast", "high=1000000")
    services = [Service(n.path) for n in fleet.nodes[:2]]
    rate = lambda s, ns: s.used(etcd.now() - ns, etcd.now()) / ns
    together = lambda: sum(rate(s, SECOND) for s in services)
    both = lambda: min(rate(s, SECOND) for s in services) > 0.3 * BOUGHT / SECOND and together() > 0.9 * BOUGHT / SECOND
    check("two schedulers use what was bought", etcd.wait_until(both, 40),
          f"{[round(rate(s, SECOND), 3) for s in services]} CPUs")
    check("a task is late because other nodes have its tenant's quota", etcd.wait_until(lambda: all(s.lines[-1][4] for s in services), 20))
    check("a rate that is more than a machine has ends no connection", all(s.lines[-1][2] for s in services))
    path = fleet.nodes[0].path
    second = Service(path)
    says = etcd.wait_until(lambda: "another scheduler of the node has joined its agent" in open(path + ".says").read(), 20)
    refused = f"process {second.p.pid} is refused: another scheduler has joined" in open(os.path.join(fleet.folder, "agent0.log")).read()
    check("a second process of a node has no quota, and both sides say why", says and refused and not second.lines)
    check("which takes nothing from the first", services[0].lines[-1][2])
    second.p.kill()
    second.p.wait()
    fleet.agents[0].kill()
    fleet.agents[0].wait()
    gone = etcd.wait_until(lambda: not services[0].lines[-1][2], 10)
    time.sleep(2)
    base = rate(services[0], SECOND)
    check("a scheduler whose agent died has its base share", gone and 0 < base < 0.02 * BOUGHT / SECOND + PAST / SECOND, f"{base:.4f} CPUs")
    check("the other one has the rest", etcd.wait_until(lambda: rate(services[1], SECOND) > 0.9 * 0.98 * BOUGHT / SECOND, 20))
    fleet.start_agent(0)
    check("a scheduler meets its agent again", etcd.wait_until(lambda: rate(services[0], SECOND) > 0.4 * BOUGHT / SECOND, 30))
    for s in services:
        s.p.stdin.close()
        s.p.wait()
    most = worst(services)
    check("no second oversells", most <= BOUGHT + 2 * PAST, f"the worst: {most / BOUGHT:.4f} of what was bought")


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

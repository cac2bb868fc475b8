#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
kill -9 of each part, many times: the agent and the service of each of two nodes, and etcd, in any order, while both services want all of what a tenant
bought. A part is down for an instant, or longer than leases last. A checker reads the history of every process's CPU: in no sliding second do all of them
together use more than was bought, those that died included; once all is up again both nodes use leases. At last a stand-in, which
needs no CPU to use all at once, is gone and a new one comes within the second.

    kills.py [--kills N] [--seed S]	N of each part
"""
import argparse
import heapq
import os
import random
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
NODES = 2


class Service(threading.Thread):
    """A process, and what it used: [begins, ends, ns of CPU]."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.p = subprocess.Popen([os.path.join(etcd.O, "selftests/fleet/joined"), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.uses, self.last = [], None
        self.start()

    def run(self):
        for line in self.p.stdout:
            if not line.endswith("\n"):
                return
            now = tuple(map(int, line.split()))
            if self.last:
                self.uses.append((self.last[0], now[3], now[1] - self.last[1]))
            self.last = now

    def kill(self):
        self.p.kill()
        _, _, used = os.wait4(self.p.pid, 0)
        died = etcd.now()
        self.p.returncode = -9
        self.join()
        if self.last:
            # CPU that the process used since its last line: all of its threads.
            self.uses.append((self.last[0], died, max(0, int((used.ru_utime + used.ru_stime) * SECOND) - self.last[5])))

    def used(self, since):
        return sum(u for t, _, u in self.uses[-2000:] if t >= since)


def worst_second(services):
    """The most that all used by intervals that lie within a second, and when."""
    uses = sorted((till, since, used) for s in services for since, till, used in s.uses)
    inside, total, worst, when = [], 0, 0, 0
    for till, since, used in uses:
        heapq.heappush(inside, (since, used))
        total += used
        while inside and inside[0][0] < till - SECOND:
            total -= heapq.heappop(inside)[1]
        if total > worst:
            worst, when = total, till
    return worst, when


class Kills:
    def __init__(self, fleet, rng):
        self.f, self.rng = fleet, rng
        self.services = [Service(n.path) for n in fleet.nodes[:NODES]]
        self.all = list(self.services)

    def agent(self):
        i = self.rng.randrange(NODES)
        self.f.agents[i].kill()
        self.f.agents[i].wait()
        return lambda: self.f.start_agent(i)

    def service(self):
        i = self.rng.randrange(NODES)
        self.services[i].kill()

        def again():
            self.services[i] = Service(self.f.nodes[i].path)
            self.all.append(self.services[i])
        return again

    def etcd(self):
        self.f.etcd.kill()
        return self.f.etcd.start

    def share(self):
        """Both use what they lease; the machine may not have the CPU for all of it."""
        base = BOUGHT // 50 // NODES
        return all(s.last and s.last[2] and s.used(etcd.now() - SECOND) > 3 * base for s in self.services)


def replace_scheduler(fleet):
    """A new scheduler does not know what the one before it used."""
    fleet.load("red/high", 0)
    fleet.nodes[0].start()
    check("a stand-in has what was bought", etcd.gets(fleet, "red/high", 0, 0.9 * BOUGHT, 60) is not None)
    for _ in range(3):
        old = fleet.nodes[-1] if len(fleet.nodes) > etcd.NODES else fleet.nodes[0]
        old.over = True
        old.join()
        if old.s:
            old.s.close()
        new = etcd.Node(0, old.path)
        new.wants.add("red/high")
        fleet.nodes.append(new)
        new.start()
        check("a new one gets its part", etcd.wait_until(lambda: sum(a for t, _, a in list(new.used) if t > etcd.now() - SECOND) > 0.8 * BOUGHT, 60))
    worst, _ = etcd.worst_second(fleet, "red/high")
    check("what the one before used is not used again", worst <= BOUGHT, f"the worst: {worst / BOUGHT:.4f} of what was bought")


def measure(fleet):
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kills", type=int, default=5)
    p.add_argument("--seed", type=int, default=int(time.time()))
    args = p.parse_args()
    fleet.baton("init", str(NODES), "2%")
    for i in range(NODES):
        fleet.start_agent(i)
    fleet.baton("set", "red", f"high={BOUGHT / SECOND}")
    k = Kills(fleet, random.Random(args.seed))
    check("two services use leases", etcd.wait_until(k.share, 60), f"seed {args.seed}")
    parts = [k.agent, k.service, k.etcd] * args.kills
    k.rng.shuffle(parts)
    began = etcd.now()
    while parts:
        # Sometimes a second one before the first is back; a part that is down is not killed again.
        back = {}
        for part in [parts.pop() for _ in range(min(len(parts), k.rng.choice((1, 1, 2))))]:
            if part in back:
                back.pop(part)()
            back[part] = part()
        # Now, as leases end, and after a fence.
        time.sleep(k.rng.choice((0, 0.1, 0.3, 0.3, 3.2, 4.5)))
        for again in back.values():
            again()
        time.sleep(k.rng.choice((0.2, 1, 2)))
    took = (etcd.now() - began) / SECOND
    check(f"after {args.kills} kills of each part both nodes use leases", etcd.wait_until(k.share, 90), f"{took:.0f} s of kills")
    for s in k.services:
        s.kill()
    worst, when = worst_second(k.all)
    check("no second oversells", worst <= BOUGHT + NODES * PAST,
          f"the worst of {took:.0f} s and {len(k.all)} processes: {worst / BOUGHT:.4f} of what was bought, {(when - began) / SECOND:.2f} s after the first kill")

    replace_scheduler(fleet)


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

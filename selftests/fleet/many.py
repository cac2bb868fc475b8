#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a fleet asks of etcd: many tenants, of whom some have load that moves from node to node each few seconds; three agents, a real etcd, and stand-ins
for the schedulers (etcd.py).

    many.py [--tenants N] [--moving N] [--lines FILE]	FILE: a line of JSON is added, as benchmarks write them
"""
import argparse
import base64
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import NODES, SECOND, check, now, wait_until

STEP, STEPS = 5, 4
# CPU that each of those that move bought, and has on each node for ever.
RATE = SECOND // 20
BASE = RATE // 50 // NODES


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--tenants", type=int, default=1000)
    p.add_argument("--moving", type=int, default=100)
    p.add_argument("--lines")
    return p.parse_args()


def sell(fleet, n):
    """As `baton fleet set` does, but many at once."""
    b64 = lambda text: base64.b64encode(text.encode()).decode()
    value = b64(json.dumps({"rate": RATE, "base": BASE, "next": BASE}))
    for first in range(0, n, 100):
        puts = [{"requestPut": {"key": b64(f"/baton/quota/t{i}/high"), "value": value}} for i in range(first, min(first + 100, n))]
        fleet.etcd.ask("kv/txn", {"success": puts + [{"requestPut": {"key": b64("/baton/quotas"), "value": b64('"sold"')}}]})


def measure(fleet):
    args = arguments()
    fleet.baton("init", str(NODES), "2%")
    sell(fleet, args.tenants)
    for i in range(NODES):
        fleet.start_agent(i)
        fleet.nodes[i].start()
    moving = [f"t{i}/high" for i in range(args.moving)]
    check("each scheduler is told all rates", wait_until(lambda: all(len(n.rate) == args.tenants for n in fleet.nodes), 60),
          f"{[len(n.rate) for n in fleet.nodes]} of {args.tenants}")

    def move(step):
        for i, key in enumerate(moving):
            fleet.load(key, (i + step) % NODES)

    move(0)
    time.sleep(STEP)
    writes, began = fleet.writes(), now()
    for step in range(1, STEPS + 1):
        move(step)
        time.sleep(STEP)
    took = (now() - began) / SECOND
    per_node = (fleet.writes() - writes) / took / NODES
    got = sum(fleet.used(key, now() - 2 * SECOND, now()) for key in moving) / 2 / len(moving) / RATE
    check("load that moves is followed", got > 0.8, f"{100 * got:.1f}% of what was bought, 3 to 5 s after a move")
    check("writes go together", per_node <= 10, f"{per_node:.2f} writes a second by each node")
    worst = max(etcd.worst_second(fleet, key)[0] for key in moving[:10]) / RATE
    check("no second oversells", worst <= 1, f"the worst: {worst:.4f} of what was bought")
    return args, {"bench": "fleet", "case": "fleet_etcd", "where": "host", "value": round(per_node, 2), "unit": "1/s", "n": 1}


if __name__ == "__main__":
    sys.exit(etcd.main(measure, etcd.add_line))

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a request costs in a fleet, with an agent and a real etcd, to one of a scheduler that is in none: in instructions of a thread that enters and leaves
requests (valgrind), and in CPU time of the whole process, in turns. The fleet's thread looks 20 times a second, however many requests there are: its
instructions are no request's, and are in the CPU time alone. The quota is the same in both, since a smaller one has shorter slices.

    cost.py [--rounds N] [--lines FILE]	FILE: a line of JSON is added, as benchmarks write them
"""
import argparse
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import SECOND, check


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--lines")
    return p.parse_args()


def run(path, seconds):
    out = subprocess.run([os.path.join(etcd.O, "selftests/fleet/requests"), path, str(int(seconds * SECOND))],
                         stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    ns, n, leased = out.split()
    return float(ns), int(n), int(leased)


def count(folder, path, n):
    """Instructions of `requests` for n of them, of the thread that enters and leaves them: the monitor's and the fleet's are a matter of time."""
    out = os.path.join(folder, "counted")
    subprocess.run(["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}",
                    os.path.join(etcd.O, "selftests/fleet/requests"), path, "0", str(n)], stdout=subprocess.DEVNULL, check=True, timeout=120)
    total = 0
    for name in glob.glob(out + "-*"):
        text = open(name).read()
        if "baton_request_enter" in text:
            total += int(re.search(r"^totals: (\d+)", text, re.M)[1])
        os.unlink(name)
    return total


def instructions(fleet, path):
    """Of a request, in no fleet and in one; the least of each: what a thread does while it waits for another one is more."""
    few, many = 1000, 21000
    each = {p: min((count(fleet.folder, p, many) - count(fleet.folder, p, few)) / (many - few) for _ in range(2)) for p in ("-", path)}
    return each["-"], each[path]


def measure(fleet):
    args = arguments()
    # A base share of one CPU, and leases beside it: the quota is never less than in no fleet.
    fleet.baton("init", "1", "50%")
    fleet.baton("set", "red", "high=2")
    fleet.start_agent(0)
    path = fleet.nodes[0].path
    if shutil.which("valgrind"):
        without, joined = instructions(fleet, path)
        check("a request has no more instructions in a fleet", joined <= 1.01 * without, f"{joined:.1f} and {without:.1f}, {joined / without:.4f}")
    else:
        without = None
        print("# mend: instructions are not counted; apt-get install valgrind")
    pairs, leased = [], True
    for _ in range(args.rounds):
        alone, first, second, again = (run(p, 0.5) for p in ("-", path, path, "-"))
        pairs.append(((first[0] + second[0]) / 2, (alone[0] + again[0]) / 2, first[1] + second[1]))
        leased &= bool(first[2] and second[2])
    ratio = statistics.median(a / b for a, b, _ in pairs)
    check("requests are run by a quota that is leased", leased, f"{pairs[0][0]:.0f} ns each, {ratio:.4f} of what they cost in no fleet, the fleet's thread included")
    line = {"bench": "fleet", "case": "fleet_request_cost", "where": "host", "value": round(statistics.median(a for a, _, _ in pairs), 1),
                  "unit": "ns", "n": sum(n for _, _, n in pairs), "baseline": "request_cost", "ratio": round(ratio, 4)}
    if without:
        line.update(value=round(joined, 1), unit="instructions", ratio=round(joined / without, 4), ratio_of_cpu=round(ratio, 4))
    return args, line


if __name__ == "__main__":
    sys.exit(etcd.main(measure, etcd.add_line))

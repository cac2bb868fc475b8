#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A service is replaced while its node's agent is away: the next one meets the next agent first, and the old one lives on, with its base share. The new one has
nothing until the old one has ended, and in no second do both together use more than was bought.
"""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import SECOND, check, wait_until
from nodes import PAST, Service, worst

BOUGHT = SECOND // 5


def measure(fleet):
    path = fleet.nodes[0].path
    log = lambda: open(os.path.join(fleet.folder, "agent0.log")).read()
    rate = lambda s, ns: s.used(etcd.now() - ns, etcd.now()) / ns
    # Half of what was bought is the place's for ever.
    fleet.baton("init", "1", "50%")
    fleet.start_agent(0)
    fleet.baton("set", "red", f"high={BOUGHT / SECOND}")
    old = Service(path)
    check("a service uses what was bought", wait_until(lambda: rate(old, SECOND) > 0.8 * BOUGHT / SECOND, 60))
    fleet.agents[0].kill()
    fleet.agents[0].wait()
    check("without the agent it goes on with its base", wait_until(lambda: old.lines and not old.lines[-1][2], 20))
    old.p.send_signal(signal.SIGSTOP)
    began = len(log())
    new = Service(path)
    fleet.start_agent(0)
    met = wait_until(lambda: f"process {new.p.pid} " in log()[began:], 60)
    old.p.send_signal(signal.SIGCONT)
    check("the next service meets the next agent first", met)
    time.sleep(4)
    check("it has nothing while the old one lives", not new.lines and f"process {new.p.pid} is refused" in log()[began:], f"{new.lines[-1:]}")
    check("and knows why", "the process that had the node's quota before lives" in open(path + ".says").read())
    check("the old one has all of it again", wait_until(lambda: rate(old, SECOND) > 0.8 * BOUGHT / SECOND, 60), f"{rate(old, SECOND)}")
    old.p.kill()
    old.p.wait()
    died = etcd.now()
    check("after its end the next one has", wait_until(lambda: new.lines, 60))
    # The base is what a service may use at once, and the last one used it until its end.
    first = new.lines[0][0] - died if new.lines else 0
    check("but not for a second", first >= SECOND * 999 // 1000, f"after {first / SECOND:.3f} s")
    check("all of it", wait_until(lambda: rate(new, SECOND) > 0.8 * BOUGHT / SECOND, 60))
    new.p.stdin.close()
    new.p.wait()
    most = worst([old, new])
    check("no second oversells", most <= BOUGHT + 2 * PAST, f"the worst: {most / BOUGHT:.4f} of what was bought")


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

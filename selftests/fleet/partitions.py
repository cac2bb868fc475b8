#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Three agents and an etcd, each in a network namespace of its own, behind a bridge that drops and delays what they send: a node is cut off, in both
directions and in one, so is etcd, a link is slow, packets are lost, and a link comes and goes. In no sliding second do the nodes together use more than
was bought, and all of it is to be had where the network lets a node reach etcd.

The test's own namespace has the bridge; nothing of the machine's network is touched.
"""
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import NODES, SECOND, check, gets, wait_until

BOUGHT = SECOND
HERE, STORE = "10.77.0.254", "10.77.0.9"
INSIDE = "BATON_PARTITIONS_INSIDE"
spaces = []


def command(text, **kw):
    return subprocess.run(text.split(), capture_output=True, text=True, **kw)


def must(text, **kw):
    r = command(text, **kw)
    if r.returncode:
        raise SystemExit(f"{text}: {r.stderr.strip()}")


class Space:
    """A network namespace with one link to the bridge, which ends with the process that holds it."""

    def __init__(self, name, addr):
        self.link = "v" + name
        self.p = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 100000"],
                                  stdout=subprocess.PIPE, text=True)
        spaces.append(self)
        self.p.stdout.readline()
        self.enter = ["nsenter", "--target", str(self.p.pid), "--net"]
        must(f"ip link add {self.link} type veth peer name eth0 netns {self.p.pid}")
        must(f"ip link set {self.link} master br0 up")
        must(" ".join(self.enter) + f" ip addr add {addr}/24 dev eth0")
        must(" ".join(self.enter) + " ip link set eth0 up")


def build_bridge():
    for text in ("ip link set lo up", "ip link add br0 type bridge", f"ip addr add {HERE}/24 dev br0", "ip link set br0 up"):
        must(text)


def set_rules(*rules):
    """What the bridge does with packets between nodes and etcd: these rules of nftables, and no others."""
    text = "add table bridge t\ndelete table bridge t\ntable bridge t {\nchain c {\ntype filter hook forward priority 0;\n"
    r = subprocess.run(["nft", "-f", "-"], input=text + "\n".join(rules) + "\n}\n}\n", capture_output=True, text=True)
    return r.stderr.strip()


def cut(link):
    return f'iifname "{link}" drop', f'oifname "{link}" drop'


def lose(link, percent):
    return [f'{way} "{link}" numgen random mod 100 < {percent} drop' for way in ("iifname", "oifname")]


NARROW = "tbf rate 48kbit burst 1600 latency 4s"


def slow_down(link, hows=("netem delay 400ms 300ms", NARROW)):
    """Answers to this node come late; says how."""
    for how in hows:
        if command(f"tc qdisc replace dev {link} root {how}").returncode == 0:
            return how
    return None


class Store(etcd.Etcd):
    def __init__(self, folder):
        super().__init__(folder)
        self.space = Space("store", STORE)
        self.url, self.peer = f"http://{STORE}:2379", f"http://{STORE}:2380"

    def start(self):
        # Programs of this class are started in its namespace.
        popen = subprocess.Popen
        try:
            subprocess.Popen = lambda args, **kw: popen(self.space.enter + args, **kw)
            super().start()
        finally:
            subprocess.Popen = popen


class Fleet(etcd.Fleet):
    def __init__(self, folder):
        build_bridge()
        super().__init__(folder)
        self.spaces = [Space(str(i), f"10.77.0.{i + 1}") for i in range(NODES)]
        self.links = [s.link for s in self.spaces]

    def start_agent(self, i, url=None, more=()):
        popen = subprocess.Popen
        try:
            subprocess.Popen = lambda args, **kw: popen(self.spaces[i].enter + args, **kw)
            super().start_agent(i, url, more)
        finally:
            subprocess.Popen = popen

    def end(self):
        super().end()
        for s in spaces:
            s.p.kill()
            s.p.wait()


def put(f, key, value):
    code = lambda text: base64.b64encode(text.encode()).decode()
    f.etcd.ask("kv/put", {"key": code("/baton/" + key), "value": code(value)})


def measure(f):
    rng = random.Random(1)
    says = set_rules()
    if says:
        print(f"1..0 # SKIP this kernel has no nftables for bridges: {says}")
        f.end()
        os._exit(4)
    key, links = "red/high", f.links
    last = lambda node: f.used(key, etcd.now() - SECOND, etcd.now(), node)
    has = lambda node, seconds=60: gets(f, key, node, BOUGHT, seconds)
    # A place's base of 2% over three places.
    base_only = lambda node: wait_until(lambda: last(node) <= BOUGHT * 0.02, 20)
    f.baton("init", str(NODES), "2%")
    f.baton("set", "red", f"high={BOUGHT / SECOND}")
    for i in range(NODES):
        f.start_agent(i)
        f.nodes[i].start()
    f.load(key, 0)
    check("what was sold is to be had", has(0) is not None)

    set_rules(*cut(links[0]))
    f.load(key, 0, 1)
    took = has(1)
    check("what a node has that is cut off goes to another one", took is not None and base_only(0), f"after {took} s")
    set_rules()
    f.load(key, 0)
    took = has(0)
    check("a node that is back has it again", took is not None, f"after {took} s")

    set_rules(f'oifname "{links[0]}" drop')
    f.load(key, 0, 2)
    took = has(2)
    check("likewise where only answers are lost", took is not None and base_only(0), f"after {took} s")
    set_rules()
    f.load(key, 0)
    check("and it comes back", has(0) is not None)

    set_rules(*cut(f.etcd.space.link))
    f.load(key, 0, 1, 2)
    check("while etcd is cut off from all, each has its base", all(base_only(i) for i in range(NODES)),
          f"{[last(i) for i in range(NODES)]}")
    set_rules()
    f.load(key, 1)
    took = has(1)
    check("once it is back all is to be had", took is not None, f"after {took} s")

    how = slow_down(links[2])
    moves = []
    for node in (2, 0, 2) if how else ():
        f.load(key, node)
        moves.append(has(node))
    check("load moves over a slow link", None not in moves, f"{how}: {moves} s")
    # Far more than comes in the 2 s that a heartbeat has: an agent that starts has to read all of it.
    how = slow_down(links[2], (NARROW,))
    for i in range(10):
        put(f, f"held/big{i}/low", "x" * 6000)
    f.agents[2].kill()
    f.agents[2].wait()
    f.load(key, 0)
    nodes = lambda: json.loads(f.baton("show", "--json").stdout)["nodes"]
    fenced = wait_until(lambda: any(n["name"] == "n2" and n["fenced"] for n in nodes()), 30)
    f.start_agent(2)
    f.load(key, 2)
    took = has(2, 200) if how else "no tbf"
    check("an agent starts behind a narrow link, though there is much in the store", fenced and took is not None, f"after {took} s")
    command(f"tc qdisc del dev {links[2]} root")

    set_rules(*[r for link in links for r in lose(link, 20)])
    moves = []
    for node in (1, 2, 0):
        f.load(key, node)
        moves.append(has(node, 120))
    check("load moves where each link loses a fifth", None not in moves, f"{moves} s")

    for _ in range(12):
        link = rng.choice(links)
        set_rules(*rng.choice((cut(link), lose(link, 50), [f'iifname "{link}" drop'], cut(f.etcd.space.link))))
        f.load(key, *rng.sample(range(NODES), rng.choice((1, 2))))
        time.sleep(rng.choice((0.2, 1, 3.3)))
        set_rules()
        time.sleep(rng.choice((0.1, 1)))
    got = []
    for node in range(NODES):
        f.load(key, node)
        got.append(has(node))
    check("after links came and went each node can have all", None not in got, f"{got} s")
    worst, _ = etcd.worst_second(f, key)
    check("no second oversells", worst <= BOUGHT, f"the worst: {worst / BOUGHT:.4f} of what was bought")


def main():
    for program in ("nft", "tc", "ip", "unshare", "nsenter"):
        if not shutil.which(program):
            print(f"1..0 # SKIP mend: no {program}; apt-get install nftables iproute2 util-linux")
            return 4
    if not os.environ.get(INSIDE):
        if os.geteuid() or command("unshare --net true").returncode:
            print("1..0 # SKIP no network namespace can be made here: this needs root, and a kernel that has them")
            return 4
        os.environ[INSIDE] = "y"
        os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__)])
    etcd.Etcd, etcd.Fleet = Store, Fleet
    return etcd.main(measure)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Who has a base share, and of which quota: nodes that are not in the fleet yet, nodes that join while a quota is sold, a node more than
there are places. Agents and `baton fleet set` speak to a real etcd through a proxy that holds back what the test says.
"""
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../..")), "selftests/fleet"))
sys.dont_write_bytecode = True
import etcd
from etcd import SECOND, check, wait_until

TXN, RANGE, WATCH = "/v3/kv/txn", "/v3/kv/range", "/v3/watch"


class Proxy:
    """Requests to a path in `hold` wait, and so does what a watch says while its path is there."""

    def __init__(self, url):
        self.to = urllib.parse.urlparse(url)
        self.hold, self.held, self.txns, self.seen = set(), set(), 0, b""
        self.all = []
        self.s = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.s.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.s.accept()[0]
            try:
                ends = [client, socket.create_connection((self.to.hostname, self.to.port)), ""]
            except OSError:
                client.close()
                continue
            self.all.append(ends)
            threading.Thread(target=self.requests, args=(ends,), daemon=True).start()
            threading.Thread(target=self.answers, args=(ends,), daemon=True).start()

    def pump(self, a, b, before):
        try:
            while data := a.recv(1 << 20):
                before(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def wait(self, path):
        while path in self.hold:
            self.held.add(path)
            time.sleep(0.002)

    def cut(self, path):
        for ends in self.all:
            # An agent that is gone has ended it itself.
            with contextlib.suppress(OSError):
                if ends[2] == path:
                    ends[0].shutdown(socket.SHUT_RDWR)

    def requests(self, ends):
        def before(data):
            if data.startswith(b"POST "):
                ends[2] = data.split()[1].decode()
                self.txns += ends[2] == TXN
            self.wait(ends[2])
            self.seen = (self.seen + data)[-(1 << 16):]
        self.pump(ends[0], ends[1], before)

    def answers(self, ends):
        self.pump(ends[1], ends[0], lambda data: ends[2] == WATCH and self.wait(WATCH))


def measure(f):
    code = lambda key: base64.b64encode(f"/baton/{key}".encode()).decode()
    kv = lambda key: (f.etcd.ask("kv/range", {"key": code(key)}).get("kvs") or [None])[0]
    value = lambda key: json.loads(base64.b64decode(kv(key)["value"]))
    put = lambda key, v: f.etcd.ask("kv/put", {"key": code(key), "value": base64.b64encode(json.dumps(v).encode()).decode()})
    # Both proxies are there before any stand-in runs.
    seller, proxy = Proxy(f.etcd.url), Proxy(f.etcd.url)
    f.baton("init", "2", "2%")
    f.start_agent(0)
    wait_until(lambda: kv("node/0"), 20)
    f.baton("set", "red", "low=1")

    # A node that is about to join, and then one that would join with a quota which is not in force any more.
    proxy.hold = {TXN}
    f.start_agent(1, proxy.url)
    f.nodes[1].start()
    f.load("red/low", 1)
    told = wait_until(lambda: TXN in proxy.held and "red/low" in f.nodes[1].rate, 20)
    time.sleep(0.1)
    check("a node has no base before it joined", told and f.nodes[1].rate["red/low"][1] == 0 and not f.nodes[1].used,
          str(f.nodes[1].rate))
    proxy.hold = {TXN, RANGE, WATCH}
    f.baton("set", "red", "low=0.5")
    proxy.held.clear()
    proxy.hold = {RANGE, WATCH}
    time.sleep(1.5)
    check("a node does not join with a quota that is over", kv("node/1") is None)
    proxy.hold = {WATCH}
    check("a node whose watch is silent reads all anew, and joins", wait_until(lambda: kv("node/1"), 10))
    f.agents[1].kill()
    f.agents[1].wait()
    # The place is empty again, which no agent makes it.
    for key in ("node/1", "alive/1"):
        f.etcd.ask("kv/deleterange", {"key": code(key)})
    f.load("red/low")

    # A node joins between the look and the write of a sale, and may use the base that all others left.
    settled = wait_until(lambda: (kv("alive/0") and value("alive/0")["seen"]) >= int(kv("quota/red/low")["mod_revision"]), 20)
    seller.hold = {TXN}
    sale = subprocess.Popen([etcd.BATON, "fleet", "set", "red", "low=0.5", "--etcd", seller.url])
    wait_until(lambda: TXN in seller.held, 20)
    proxy.hold = set()
    f.start_agent(1, proxy.url)
    joined = wait_until(lambda: kv("node/1"), 20)
    seller.hold = set()
    sale.wait()
    quota = value("quota/red/low")
    check("a sale counts a node that joined meanwhile", settled and joined and quota["next"] < quota["base"], str(quota))
    check("a node that joined has its base", wait_until(lambda: f.nodes[1].rate["red/low"][1] == quota["next"], 5))

    # The agent reads all anew, and its scheduler, which has to go down, does not answer.
    f.nodes[1].silent = True
    proxy.hold = {WATCH}
    f.baton("set", "red", "low=0.4")
    proxy.cut(WATCH)
    proxy.hold = set()
    rev = int(kv("quota/red/low")["mod_revision"])
    wait_until(lambda: value("alive/0")["seen"] >= rev, 5)
    time.sleep(2.5)
    seen = value("alive/1")["seen"]
    check("a base that a scheduler has not answered is not said to be kept to", value("alive/0")["seen"] >= rev > seen, f"{seen}, {rev}")
    f.nodes[1].silent = False
    f.load("red/low", 1)
    check("an answer is enough for that", wait_until(lambda: value("alive/1")["seen"] >= rev, 5))

    # A node more than places.
    f.start_agent(2)
    f.nodes[2].start()
    f.load("red/low", 2)
    told = wait_until(lambda: "red/low" in f.nodes[2].rate, 20)
    time.sleep(1.5)
    check("a node without a place has no base", told and not f.nodes[2].used, str(f.nodes[2].rate))

    # A fence that the watch does not bring: just after a heartbeat, as the next one would say it.
    proxy.hold = {WATCH}
    proxy.seen = b""
    wait_until(lambda: code("alive/1").encode() in proxy.seen, 5)
    time.sleep(0.05)
    put("node/1", {**value("node/1"), "fenced": True})
    before, ends = proxy.txns, f"life {value('node/1')['life']} ends: "
    f.load("red/low", 1)
    log = lambda: open(os.path.join(f.folder, "agent1.log")).read()
    wait_until(lambda: ends in log(), 3)
    # A heartbeat's refusal says less: "its key changed".
    check("who is fenced hears it by the first write that is refused", ends + "it was fenced" in log() and proxy.txns - before < 10,
          f"{proxy.txns - before} writes")

    # A quota that no agent can read: all writes are refused.
    good = value("quota/red/low")
    put("quota/red/low", "x")
    proxy.hold = set()
    wait_until(lambda: not value("node/1")["fenced"], 10)
    before = proxy.txns
    time.sleep(1.5)
    check("writes that are refused as a quota is in another format are few", proxy.txns - before < 15, f"{proxy.txns - before} in 1.5 s")
    put("quota/red/low", good)
    check("a quota that is readable again is to be had", etcd.gets(f, "red/low", 1, 0.4e9) is not None)


if __name__ == "__main__":
    sys.exit(etcd.main(measure))

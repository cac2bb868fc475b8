#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
An agent whose etcd has what no fleet wrote: a key and a value of many MB, values that are no JSON or no text, thousands of keys of another program's, an answer
that is no JSON, or has no end. The server is a stand-in. The agent says what is wrong in a few short lines, needs a bounded memory, and goes on with what is right.
"""
import base64
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BATON = os.path.join(os.environ.get("O") or os.path.join(TOP, "build"), "tools/baton/baton")
MB = 1 << 20
FLEET = ("/baton/fleet", '{"places": 3, "base_ppm": 20000}')
RED = ("/baton/quota/red/low", '{"rate": 1000000000, "base": 1000000, "next": 1000000}')
results = []


def check(name, ok, why=""):
    results.append(bool(ok))
    print(f"{'ok' if ok else 'not ok'} {len(results)} - {name}", flush=True)
    if why:
        print(f"# {why}", flush=True)


def text_of(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def answer_of(*pairs):
    """The answer to a range: all pairs, and the fleet's own."""
    kvs = [{"key": text_of(k), "value": text_of(v), "mod_revision": "5"} for k, v in (FLEET, *pairs, RED)]
    return [json.dumps({"header": {"revision": "7"}, "kvs": kvs}).encode()]


def endless(mb):
    """An answer in pieces, whose only key does not end."""
    yield b'{"header": {"revision": "7"}, "kvs": [{"key": "'
    for _ in range(mb):
        yield b"A" * MB


class Store(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    answer, reads, beats = None, 0, 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/watch"):
            # A watch lasts for a moment: all is read anew after it.
            time.sleep(0.2)
            pieces = [b""]
        elif self.path.endswith("/range"):
            Store.reads += 1
            pieces = Store.answer()
        else:
            Store.beats += 1
            pieces = [b'{"header": {"revision": "8"}, "succeeded": false}']
        try:
            self.send_response(200)
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Agent:
    def __init__(self, url, folder):
        self.log = os.path.join(folder, "log")
        self.p = subprocess.Popen([BATON, "fleet", "agent", "--etcd", url, "--node", "a", "--capacity", "2", "--socket", os.path.join(folder, "s")],
                                  stderr=open(self.log, "w"))

    def said(self):
        return open(self.log).read()

    def peak(self):
        with open(f"/proc/{self.p.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) // 1024


def wait_until(fn):
    end = time.monotonic() + 60
    while not fn() and time.monotonic() < end:
        time.sleep(0.05)
    return fn()


def measure(agent):
    def play(answer):
        """What the agent says from when this is in the store, until it has read that twice."""
        began = len(agent.said())
        Store.answer = answer
        reads = Store.reads
        ok = wait_until(lambda: Store.reads >= reads + 3 or agent.p.poll() is not None)
        return agent.said()[began:] if ok and agent.p.poll() is None else "no more"

    def reads_on():
        beats = Store.beats
        play(answer_of)
        return wait_until(lambda: Store.beats > beats) and agent.p.poll() is None

    check("an agent reads what is right", wait_until(lambda: "all is read" in agent.said()))
    said = play(lambda: answer_of(("/baton/quota/" + "k" * (3 * MB) + "/low", "{}"), ("/baton/quota/x/low", "[" * (3 * MB))))
    check("a key and a value of 3 MB are named in short lines", "kkk...: no such class" in said and "quota/x/low: not {" in said and max(map(len, said.split("\n"))) < 400,
          f"{len(said)} bytes")
    said = play(lambda: answer_of(("/baton/held/red/low", b"\0\0"), ("/baton/held/red/low", ""), ("/baton/quota/red/high", b"\xff{"), ("/baton/quota/a\n\x1b[2J/low", "1")))
    check("a value that is no text, or no JSON", "held/red/low: not {" in said and "quota/red/high: not {" in said, said[:600].replace("\n", "; "))
    check("what a key has for a terminal does not come there", "\x1b" not in said and "quota/a??[2J/low" in said)
    began = agent.peak()
    said = play(lambda: answer_of(*((f"/baton/quota/other/{i}", "x") for i in range(5000))))
    lines = said.count("no such class")
    check("thousands of another program's keys are counted, not told one by one", "and 4980 more keys" in said and lines <= 20 * said.count("more keys") + 20,
          f"{lines} lines; {agent.peak() - began} MB more")
    said = play(lambda: [b"<html>"])
    check("an answer that is no JSON is said", "the answer is not JSON" in said, said[:300].strip())
    check("the agent goes on", reads_on())
    said = play(lambda: endless(300))
    check("an answer without an end is given up", "an answer of more than 256 MB" in said or "did not come within" in said, said[:300].strip())
    check("the agent goes on after that", reads_on())
    check("memory was bounded", agent.peak() < 1200, f"{agent.peak()} MB at most")
    check("a good key is read beside all that", "quota/red/low: not" not in agent.said())


def main():
    if "built without" in subprocess.run([BATON, "fleet", "show"], capture_output=True, text=True).stderr:
        print("1..0 # SKIP mend: baton is built without libcurl and jansson")
        return 4
    Store.answer = answer_of
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="fleet.") as folder:
        agent = Agent(f"http://127.0.0.1:{server.server_port}", folder)
        try:
            measure(agent)
        finally:
            agent.p.send_signal(signal.SIGKILL)
            agent.p.wait()
            if not all(results):
                print("".join("# " + line[:300] + "\n" for line in agent.said().split("\n")[-60:]))
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

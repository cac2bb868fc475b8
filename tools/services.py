# SPDX-License-Identifier: GPL-2.0-or-later
"""What demo's databases and the tests of services share."""
import os
import random
import signal
import socket
import subprocess
import threading
import time

# Processes that start() started, each the head of its own process group.
children = []


def start(*args, **kw):
    p = subprocess.Popen(args, start_new_session=True, **kw)
    children.append(p)
    return p


def stop(some):
    """Ends those of the children, and all that they started."""
    for sig, wait in ((signal.SIGTERM, 5), (signal.SIGKILL, 2)):
        for p in some:
            if p.poll() is None:
                try:
                    os.killpg(p.pid, sig)
                except ProcessLookupError:
                    pass
        end = time.monotonic() + wait
        while time.monotonic() < end and any(p.poll() is None for p in some):
            time.sleep(0.05)


def free_port():
    # Not one that an outgoing connection may have, which could then be one to itself.
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise RuntimeError("there is no free port from 20000 to 30000")


class Client:
    """A client of SQL that stays, for asking a server how it is."""

    def __init__(self, demo, args, mark, errors, log):
        """mark: what has it print =====; errors: how its errors begin; log: the server's, in demo's directory"""
        self.demo, self.mark, self.errors, self.log = demo, mark, errors, log
        self.p = demo.start(*args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ask(self, sql):
        self.p.stdin.write(f"{sql};\n{self.mark}\n")
        self.p.stdin.flush()
        rows = []
        for line in self.p.stdout:
            line = line.rstrip("\n")
            if line == "=====":
                return rows
            if line.startswith(self.errors):
                self.demo.die(f"the server says: {line}")
            rows.append(line.split("\t"))
        self.demo.die(f"the server is gone; its log is {self.demo.DIR}/{self.log}")


class Link:
    """Between a client and a port of this machine; nothing passes while `open` is clear, and both ends see connections that stay open."""

    def __init__(self, port):
        self.port, self.open = port, threading.Event()
        self.open.set()
        self.s = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.s.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near = self.s.accept()[0]
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(1 << 16):
                self.open.wait()
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

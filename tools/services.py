# SPDX-License-Identifier: GPL-2.0-or-later
"""What demo's databases and the tests of services share."""
import random
import socket
import subprocess


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

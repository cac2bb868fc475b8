# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of batondb share: a server, psql, pgbench, and the protocol by hand."""
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(HERE, "../../.."))
OUT = os.environ.get("O") or os.path.join(TOP, "build")
sys.path.insert(0, os.path.join(TOP, "tools"))
from services import free_port
BATONDB = os.path.join(OUT, "service/batondb/batondb")
# Debian's PostgreSQL, whichever version the release has.
PG = max(glob.glob("/usr/lib/postgresql/*/bin"), default="/usr/lib/postgresql/none/bin")
servers = []


class Skip(Exception):
    pass


def need(path, package):
    if not os.path.exists(path):
        raise Skip(f"mend: no {path} (Debian: apt-get install {package})")


def expand(sql):
    """numbers(N), in a FROM, is what the tests write for a subquery of the numbers from 1 to N, a digit and zeros: digits that are joined."""
    def digits(n):
        return ", ".join(f"({i})" for i in range(n))

    def one(m):
        tens = range(len(m[2]))
        value = "".join(f" + {10 ** i} * d{i}.x" for i in tens)
        return (f"(with h (x) as (values {digits(int(m[1]))}), d (x) as (values {digits(10)}) select 1 + {10 ** len(m[2])} * h.x{value} as value "
                f"from h{''.join(f', d d{i}' for i in reversed(tens))})")
    return re.sub(r"numbers\(([1-9])(0*)\)", one, sql)


class Server:
    def __init__(self, *conf, data=None, port=None, before=()):
        """before: a command that runs the server."""
        self.before = list(before)
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="batondb-")
        self.port = port or free_port()
        self.conf = conf
        self.start()
        servers.append(self)

    def start(self):
        # As root it becomes another user, and roles without a password are let in from here.
        args = self.before + [BATONDB, "-D", self.data, "-p", str(self.port), "-c", "auth=local"]
        if os.getuid() == 0:
            args += ["-c", "user=nobody"]
            if not os.listdir(self.data):
                shutil.chown(self.data, "nobody")
        for c in self.conf:
            args += ["-c", c]
        self.log = open(os.path.join(self.data, "log"), "a")
        self.p = subprocess.Popen(args, stdout=self.log, stderr=self.log)
        for _ in range(400):
            if self.p.poll() is not None:
                raise RuntimeError("batondb did not start: " + open(self.log.name).read()[-500:])
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("batondb does not answer")

    def kill(self, sig=signal.SIGKILL):
        self.p.send_signal(sig)
        return self.p.wait(30)

    def close(self):
        if self.p.poll() is None:
            self.kill()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)
        if self in servers:
            servers.remove(self)

    def env(self, **more):
        return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGDATABASE": "postgres",
                "PGCONNECT_TIMEOUT": "60", **more}

    def psql(self, sql, fail=False, **env):
        r = subprocess.run(["psql", "-XAt", "-F", "|", "-v", "VERBOSITY=verbose", "-v", "ON_ERROR_STOP=1"], input=expand(sql), text=True,
                           capture_output=True, timeout=120, env=self.env(**env))
        if (r.returncode != 0) != fail:
            raise AssertionError(f"psql returned {r.returncode} for {sql[:200]}: {r.stdout}{r.stderr}")
        return r.stderr if fail else r.stdout.strip()

    def pgbench(self, *args, ok=True, **env):
        r = subprocess.run([PG + "/pgbench", *args], text=True, capture_output=True, timeout=120, env=self.env(**env))
        if ok and (r.returncode or "aborted" in r.stderr):
            raise AssertionError(f"pgbench {args}: {r.stdout}{r.stderr}")
        return r


def same(a, b, what=""):
    if a != b:
        raise AssertionError(f"{what} {a!r} is not {b!r}")


def has(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")


class Raw:
    """The protocol by hand."""

    def __init__(self, server, user="postgres", database="postgres", **params):
        self.s = socket.create_connection(("127.0.0.1", server.port), 30)
        self.s.settimeout(30)
        self.buf = b""
        if user:
            body = struct.pack("!I", 196608)
            for k, v in dict(user=user, database=database, **params).items():
                body += k.encode() + b"\0" + v.encode() + b"\0"
            self.s.sendall(struct.pack("!I", len(body) + 5) + body + b"\0")
            self.hello = self.until("Z")
            self.key = next((b for t, b in self.hello if t == "K"), None)

    def send(self, t, body=b""):
        if t in "QP" and b"numbers(" in body:
            body = expand(body.decode()).encode()
        self.s.sendall(t.encode() + struct.pack("!I", len(body) + 4) + body)

    def message(self):
        while True:
            if len(self.buf) >= 5:
                n = struct.unpack("!I", self.buf[1:5])[0] + 1
                if len(self.buf) >= n:
                    m, self.buf = self.buf[:n], self.buf[n:]
                    return chr(m[0]), m[5:]
            more = self.s.recv(65536)
            if not more:
                return "closed", b""
            self.buf += more

    def until(self, kind):
        got = []
        while True:
            got.append(self.message())
            if got[-1][0] in (kind, "closed"):
                return got

    def query(self, sql):
        self.send("Q", sql.encode() + b"\0")
        return self.until("Z")

    def close(self):
        self.s.close()


def code(messages):
    for t, b in messages:
        if t == "E":
            return dict((f[:1].decode(), f[1:].decode()) for f in b.split(b"\0") if f)["C"]
    return None


def main(all_tests):
    """Runs them, or those that the command line names; prints TAP."""
    tests = [t for t in all_tests if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]]
    bad = skipped = 0
    print(f"1..{len(tests)}", flush=True)
    for n, test in enumerate(tests, 1):
        begin = time.monotonic()
        try:
            test()
            print(f"ok {n} - {test.__name__} # {time.monotonic() - begin:.1f} s", flush=True)
        except Skip as e:
            skipped += 1
            print(f"ok {n} - {test.__name__} # SKIP {e}", flush=True)
        except Exception:
            bad += 1
            print(f"not ok {n} - {test.__name__}")
            for line in traceback.format_exc().split("\n"):
                print("# " + line, flush=True)
        for s in list(servers):
            s.close()
    return 1 if bad else 4 if skipped == len(tests) else 0


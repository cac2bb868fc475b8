# SPDX-License-Identifier: GPL-2.0-or-later
"""demo's database: batondb, driven by pgbench."""
import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time

from services import Client, free_port

# Debian's PostgreSQL, whichever version the release has.
PGBIN = max(glob.glob("/usr/lib/postgresql/*/bin"), default="/usr/lib/postgresql/none/bin")


def psql(demo, port, database="postgres"):
    return Client(demo, ("psql", "-XqAt", "-F", "\t", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", database),
                  "\\echo =====", ("ERROR", "FATAL", "psql:"), "batondb.log")


class Database:
    name = "batondb"
    scripts = {
        "paying": """\
\\set aid random(1, 95000)
SELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + @5000;
""",
        "tolerant": """\
\\set aid random(1, 80000)
SELECT count(*), max(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + @10000;
""",
        "batch": """\
SELECT bid, count(*), avg(abalance), max(filler) FROM pgbench_accounts WHERE aid <= @100000 GROUP BY bid;
""",
        "hostile": """\
\\set n random(1, 10)
\\if :n = 1
SELECT length(replace(hex(zeroblob(@2500000)), '0', 'ab'));
\\else
SELECT count(*) FROM pgbench_accounts a, pgbench_tellers b WHERE a.aid <= @100000 AND a.aid % (b.tid + 1) = 0;
\\endif
""",
    }
    beggar = "\\sleep 20 ms\nSELECT count(*) FROM pgbench_accounts WHERE aid <= @100000;\n"
    # @N in a script is so many, or fewer on a machine that is slower than this many ms of CPU for it.
    digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
    calibration, calibration_ms = f"WITH d (x) AS {digits} SELECT count(*) FROM d a, d b, d c, d e, d f, d g", 60

    def __init__(self, demo):
        self.demo = demo
        self.server = os.path.join(demo.OUT, "service/batondb/batondb")
        self.tools = ("psql", os.path.join(PGBIN, "pgbench"), self.server)

    def start(self, cpus):
        demo = self.demo
        self.port = free_port()
        log = open(os.path.join(demo.DIR, "batondb.log"), "w")
        data, as_user = os.path.join(demo.WORK, "data"), []
        if os.getuid() == 0:
            # batondb does not run as root, and another user may not come to this directory.
            data, as_user = tempfile.mkdtemp(prefix="batondb-demo-"), ["-c", "user=nobody"]
            shutil.chown(data, "nobody")
            demo.directories.append(data)
        server = demo.start(*demo.pinned(cpus), self.server, "-D", data, "-p", str(self.port), "-c", "auth=local", *as_user,
                            "-c", "authentication_timeout=120", stdout=log, stderr=log)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if server.poll() is not None:
                    demo.die("batondb did not start; its log is " + log.name)
                time.sleep(0.05)
        self.sql = psql(demo, self.port)
        return server

    def fill(self):
        # The one who watches is to see also when nobody else gets anything.
        self.sql.ask("ALTER USER postgres SET baton.low_latency = '5%'")
        for name, t in self.demo.TENANTS.items():
            self.sql.ask(f"CREATE USER {name}")
            self.sql.ask(f"ALTER USER {name} SET baton.low_latency = '{t['low']}%'")
            self.sql.ask(f"ALTER USER {name} SET baton.high_latency = '{t['high']}%'")
            self.sql.ask(f"CREATE DATABASE {name}")
            load = subprocess.run([os.path.join(PGBIN, "pgbench"), "-i", "-q", "-s", "1", "-h", "127.0.0.1", "-p", str(self.port),
                                   "-U", "postgres", name], capture_output=True, text=True)
            if load.returncode:
                self.demo.die("pgbench -i: " + load.stderr)
        self.in_paying = psql(self.demo, self.port, "paying")

    def used(self):
        return float(self.in_paying.ask("SELECT cpu_ms FROM baton_stat_tenants WHERE usename = 'postgres'")[0][0])

    def cost(self, query, n):
        """ms of CPU of each"""
        begin = self.used()
        for _ in range(n):
            self.in_paying.ask(query)
        return (self.used() - begin) / n

    def paying_query(self, scale):
        return self.demo.sized(self.scripts["paying"].split("\n")[1].rstrip(";"), scale).replace(":aid", "1000")

    def enforce(self, on):
        self.sql.ask(f"ALTER SYSTEM SET baton.quotas = {'on' if on else 'off'}")

    def cpu(self):
        """(tenant, ms) as the kernel counted it"""
        return [(name, float(ms)) for name, ms in self.sql.ask("SELECT usename, cpu_ms FROM baton_stat_tenants")]

    def load(self, phase, name, seconds, cpus, script, cls, clients, scale, suffix=""):
        demo = self.demo
        path = os.path.join(demo.WORK, f"{name}{suffix}.sql")
        with open(path, "w") as f:
            f.write(demo.sized(script, scale))
        prefix = os.path.join(demo.WORK, f"log-{phase}-{name}{suffix}")
        cmd = demo.pinned(cpus) + [os.path.join(PGBIN, "pgbench"), "-n", "-h", "127.0.0.1", "-p", str(self.port), "-U", name,
                                   "-f", path, "-c", str(clients), "-j", "1", "-T", str(seconds), "-l",
                                   "--log-prefix", prefix, "--max-tries", "1", "--failures-detailed"]
        rate = demo.TENANTS[name].get("rate")
        if rate and not suffix:
            cmd += ["-R", f"{rate:.2f}"]
        env = dict(os.environ, PGOPTIONS=f"-c baton.class={cls} -c baton.reject_code=40001")
        log = open(prefix + ".out", "w")
        return demo.start(*cmd, name, env=env, stdout=log, stderr=log)

    def read_log(self, phase, name):
        """(end, latency in ms) of each transaction, and how many were rejected."""
        done, rejected = [], 0
        for f in sorted(os.listdir(self.demo.WORK)):
            if not f.startswith(f"log-{phase}-{name}") or f.endswith(".out"):
                continue
            beggar = "-beggar" in f
            with open(os.path.join(self.demo.WORK, f)) as lines:
                for line in lines:
                    w = line.split()
                    if not w[2].isdigit():
                        rejected += 1
                    elif not beggar:
                        done.append((int(w[4]) + int(w[5]) / 1e6, int(w[2]) / 1e3))
        return done, rejected

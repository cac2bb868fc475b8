# SPDX-License-Identifier: GPL-2.0-or-later
"""demo's database: Debian's MariaDB with the plugin, driven by mariadb-load."""
import os
import subprocess
import time

from services import Client


def mariadb(demo, socket, database="mysql"):
    return Client(demo, ("mariadb", "--no-defaults", "-S", socket, "-u", "root", "-N", "-n", "-B", database), "SELECT '=====';", ("ERROR",),
                  "mariadb.log")


class Database:
    name = "MariaDB"
    scripts = {
        "paying": "SELECT SUM(abalance) FROM (SELECT {1,95000} AS a) r JOIN accounts ON aid BETWEEN a AND a + @5000\n",
        "tolerant": "SELECT COUNT(*), MAX(abalance) FROM (SELECT {1,80000} AS a) r JOIN accounts ON aid BETWEEN a AND a + @10000\n",
        "batch": "SELECT bid, COUNT(*), AVG(abalance), MAX(filler) FROM accounts WHERE aid <= @100000 GROUP BY bid\n",
        "hostile": """\
SELECT BENCHMARK(@200000, MD5('x'))
--9
SELECT COUNT(*) FROM accounts a, tellers b WHERE a.aid <= @100000 AND a.aid % (b.tid + 1) = 0
""",
    }
    beggar = "SELECT COUNT(*) FROM accounts WHERE aid <= @100000\n"
    beggar_options = ("-w", "20")
    # ms of CPU of it on the machine that the scripts were written for.
    calibration, calibration_ms = "SELECT BENCHMARK(100000, MD5('x'))", 90

    def __init__(self, demo):
        self.demo = demo
        self.plugins = os.path.join(demo.OUT, "service/mariadb")
        self.client = os.path.join(self.plugins, "mariadb-load")
        self.tools = ("mariadbd", "mariadb", "mariadb-install-db", self.client)

    def start(self, cpus):
        demo = self.demo
        data = os.path.join(demo.WORK, "data")
        # A path of a socket is short.
        self.socket = os.path.join("/tmp", f"baton-demo-{os.getpid()}.sock")
        as_root = ["--user=root"] if os.getuid() == 0 else []
        made = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                               "--auth-root-authentication-method=normal", *as_root], capture_output=True, text=True)
        if made.returncode:
            demo.die("mariadb-install-db: " + made.stdout + made.stderr)
        log = open(os.path.join(demo.DIR, "mariadb.log"), "w")
        # All is in memory, and nothing waits for the disk: it is the CPU that they share.
        self.server = demo.start(*demo.pinned(cpus), "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={self.socket}",
                                 "--skip-networking", f"--pid-file={demo.WORK}/pid", f"--plugin-dir={self.plugins}",
                                 "--plugin-maturity=beta", "--plugin-load-add=baton", f"--loose-baton-page={demo.WORK}/page",
                                 "--innodb-buffer-pool-size=512M", "--innodb-flush-log-at-trx-commit=0",
                                 "--max-allowed-packet=64M", *as_root, stdout=log, stderr=log)
        for _ in range(1200):
            if not subprocess.run(["mariadb", "--no-defaults", "-S", self.socket, "-u", "root", "-e", "DO 1"],
                                  capture_output=True).returncode:
                break
            if self.server.poll() is not None:
                demo.die("mariadbd did not start; its log is " + log.name)
            time.sleep(0.05)
        self.sql = mariadb(demo, self.socket)
        return self.server

    def fill(self):
        ask = self.sql.ask
        with open(os.path.join(self.demo.TOP, "service/mariadb/mariadb.sql")) as f:
            ask(f.read().rstrip().rstrip(";"))
        for name, t in self.demo.TENANTS.items():
            ask(f"CREATE USER {name}")
            ask(f"CREATE DATABASE {name}")
            ask(f"GRANT ALL ON {name}.* TO {name}")
            ask(f"INSERT INTO baton_quotas VALUES ('{name}', {t['low']}, {t['high']}, '{t['cls']}')")
            ask(f"CREATE TABLE {name}.accounts (aid INT PRIMARY KEY, bid INT, abalance INT, filler CHAR(84))")
            ask(f"INSERT INTO {name}.accounts SELECT seq, 1, 0, '' FROM seq_1_to_100000")
            ask(f"CREATE TABLE {name}.tellers (tid INT PRIMARY KEY)")
            ask(f"INSERT INTO {name}.tellers SELECT seq FROM seq_1_to_10")
        ask("SET GLOBAL baton_reload_now = ON")
        self.in_paying = mariadb(self.demo, self.socket, "paying")

    def kernel_ms(self, tid):
        try:
            with open(f"/proc/{self.server.pid}/task/{tid}/schedstat") as f:
                return int(f.read().split()[0]) / 1e6
        except OSError:
            return 0

    def cost(self, query, n):
        """ms of CPU of each"""
        tid = self.in_paying.ask("SELECT tid FROM information_schema.PROCESSLIST WHERE id = CONNECTION_ID()")[0][0]
        begin = self.kernel_ms(tid)
        for _ in range(n):
            self.in_paying.ask(query)
        return (self.kernel_ms(tid) - begin) / n

    def paying_query(self, scale):
        return self.demo.sized(self.scripts["paying"], scale).replace("{1,95000}", "1000")

    def enforce(self, on):
        self.sql.ask(f"SET GLOBAL baton_enforce = {'ON' if on else 'OFF'}")

    def cpu(self):
        """(tenant, ms) as the kernel counted it"""
        ms = {}
        for name, tid in self.sql.ask("SELECT user, tid FROM information_schema.PROCESSLIST"):
            if name in self.demo.TENANTS:
                ms[name] = ms.get(name, 0) + self.kernel_ms(tid)
        return list(ms.items())

    def load(self, phase, name, seconds, cpus, script, cls, clients, scale, suffix=""):
        demo = self.demo
        path = os.path.join(demo.WORK, f"{name}{suffix}.sql")
        with open(path, "w") as f:
            f.write(demo.sized(script, scale))
        prefix = os.path.join(demo.WORK, f"log-{phase}-{name}{suffix}")
        cmd = demo.pinned(cpus) + [self.client, "-S", self.socket, "-u", name, "-d", name, "-f", path, "-c", str(clients),
                                   "-t", str(seconds), "-x", cls, "-l", prefix]
        rate = demo.TENANTS[name].get("rate")
        if suffix:
            cmd += self.beggar_options
        elif rate:
            cmd += ["-r", f"{rate:.2f}"]
        log = open(prefix + ".out", "w")
        return demo.start(*cmd, stdout=log, stderr=log)

    def read_log(self, phase, name):
        """(end, latency in ms) of each transaction, and how many were rejected."""
        done, rejected = [], 0
        for suffix in ("", "-beggar"):
            path = os.path.join(self.demo.WORK, f"log-{phase}-{name}{suffix}")
            if not os.path.exists(path):
                continue
            with open(path) as lines:
                for line in lines:
                    end, us, error = line.split()
                    if error != "0":
                        rejected += 1
                    elif not suffix:
                        done.append((float(end), int(us) / 1e3))
        return done, rejected

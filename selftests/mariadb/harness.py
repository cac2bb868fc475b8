# SPDX-License-Identifier: GPL-2.0-or-later
"""
What the tests of the plugin share: a mariadbd of their own, with Debian's
binaries, a data directory in /tmp and no network but a socket; its users; the
kernel's clocks; TAP.
"""
import json
import os
import random
import re
import shutil
import signal
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
PLUGINS = os.path.join(OUT, "service/mariadb")
LOAD = os.path.join(PLUGINS, "mariadb-load")
BINARY = os.path.join(HERE, "binary")
BATON = os.path.join(OUT, "tools/baton/baton")
servers, children = [], []


class Skip(Exception):
    pass


def need(path, package):
    if not (os.path.exists(path) if "/" in path else shutil.which(path)):
        raise Skip(f"mend: no {path} (Debian: apt-get install {package})")


def until(condition, what, seconds=120):
    """The limit is for what never comes; a machine that is busy with other things may be very slow."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"in vain waited for: {what}")
        time.sleep(0.01)


def same(a, b, what=""):
    if a != b:
        raise AssertionError(f"{what} {a!r} is not {b!r}")


def has(text, part):
    if not re.search(part, text):
        raise AssertionError(f"{text!r} does not say {part!r}")


class Error(Exception):
    """What the server said: its number, and the text."""

    def __init__(self, number, text):
        super().__init__(f"({number}) {text}")
        self.number, self.text = number, text


class Session:
    """A connection, by PyMySQL; Error where the server says no."""

    def __init__(self, server, user="root", db="test", multi=False, password=""):
        import pymysql
        from pymysql.constants import CLIENT
        self.pymysql = pymysql
        self.server, self.user = server, user
        self.c = pymysql.connect(unix_socket=server.socket, user=user, password=password, database=db, autocommit=True,
                                 local_infile=True, connect_timeout=120, client_flag=CLIENT.MULTI_STATEMENTS if multi else 0)
        self.id = self.c.thread_id()

    def __call__(self, sql, *args):
        """The rows of the last result."""
        try:
            with self.c.cursor() as cur:
                cur.execute(sql, args or None)
                rows = cur.fetchall()
                while cur.nextset():
                    rows = cur.fetchall()
                return [tuple(r) for r in rows]
        except self.pymysql.err.MySQLError as e:
            raise Error(*(e.args if len(e.args) == 2 else (0, str(e)))) from None

    def one(self, sql, *args):
        rows = self(sql, *args)
        return rows[0][0] if rows else None

    def refused(self, sql, *args):
        """The Error that it is to get."""
        try:
            rows = self(sql, *args)
        except Error as e:
            return e
        raise AssertionError(f"{sql} was not refused, but gave {rows}")

    def ended(self, sql):
        """Run it to its end, which an error, as of KILL, may be: that one's number, or None."""
        try:
            self(sql)
        except Error as e:
            return e.number

    def close(self):
        try:
            self.c.close()
        except self.pymysql.err.MySQLError:
            pass


def template():
    """A data directory as mariadb-install-db leaves it, made once."""
    path = os.path.join(OUT, "selftests/mariadb/template")
    if not os.path.exists(os.path.join(path, "done")):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        r = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={path}/data", "--skip-test-db",
                            "--auth-root-authentication-method=normal", *run_as()], capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(r.stdout + r.stderr)
        open(os.path.join(path, "done"), "w").close()
    return os.path.join(path, "data")


def run_as():
    return ["--user=root"] if os.getuid() == 0 else []


class Server:
    """A mariadbd with the plugin, unless plugin=False; cpus: where it may run, so how many slots there are."""

    def __init__(self, *args, plugin=True, cpus=None, quotas=(), prefix=()):
        self.dir = tempfile.mkdtemp(prefix="baton-mariadb-")
        shutil.copytree(template(), os.path.join(self.dir, "data"))
        self.socket = os.path.join(self.dir, "socket")
        self.page = os.path.join(self.dir, "page")
        self.args, self.plugin, self.cpus, self.prefix = list(args), plugin, cpus, list(prefix)
        servers.append(self)
        self.start()
        if plugin:
            with open(os.path.join(TOP, "service/mariadb/mariadb.sql")) as f:
                self.client(f.read())
        self.root = Session(self, db="mysql")
        self.root("CREATE DATABASE test")
        if quotas:
            self.quotas(*quotas)

    def start(self):
        args = [*self.prefix, "mariadbd", "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.socket}", "--skip-networking",
                f"--pid-file={self.dir}/pid", f"--plugin-dir={PLUGINS}", "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M", "--local-infile=1", "--plugin-maturity=beta", f"--log-error={self.dir}/err.log", *run_as()]
        args.append(f"--loose-baton-page={self.page}")	# also for an INSTALL later
        if self.plugin:
            args.append("--plugin-load-add=baton")
        args += self.args
        if self.cpus is not None:
            args = ["taskset", "-c", self.cpus] + args
        self.p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def there():
            if self.p.poll() is not None:
                raise RuntimeError("mariadbd did not start: " + self.log()[-2000:])
            return "ready for connections" in self.log(self.mark)
        self.mark = os.path.getsize(self.dir + "/err.log") if os.path.exists(self.dir + "/err.log") else 0
        until(there, "mariadbd to answer", 120)

    def log(self, since=0):
        try:
            with open(self.dir + "/err.log", errors="replace") as f:
                f.seek(since)
                return f.read()
        except OSError:
            return ""

    def client(self, sql, user="root", *args):
        r = subprocess.run(["mariadb", "--no-defaults", "-S", self.socket, "-u", user, "-N", *args], input=sql, text=True,
                           capture_output=True)
        if r.returncode:
            raise RuntimeError(f"mariadb: {r.stderr}")
        return r.stdout

    def session(self, user="root", **kw):
        return Session(self, user, **kw)

    def user(self, name, grants="ALL ON test.*"):
        self.root(f"CREATE OR REPLACE USER '{name}'")
        self.root(f"GRANT {grants} TO '{name}'")

    def quotas(self, *rows):
        """(user, low %, high %, class)...: nobody else has any."""
        for name, *_ in rows:
            if name not in ("%", "root") and not self.root("SELECT 1 FROM mysql.user WHERE user = %s AND is_role = 'Y'", name):
                self.user(name)
        self.root("DELETE FROM mysql.baton_quotas")
        for row in rows:
            self.root("INSERT INTO mysql.baton_quotas VALUES (%s, %s, %s, %s)", *row)
        self.root("SET GLOBAL baton_reload_now = ON")

    def status(self, name):
        return self.root("SHOW GLOBAL STATUS LIKE %s", "Baton_" + name)[0][1]

    def tenant(self, name, column):
        return self.root.one(f"SELECT {column} FROM information_schema.BATON_TENANTS WHERE tenant = %s", name)

    def state(self, session, column="STATE"):
        return self.root.one(f"SELECT {column} FROM information_schema.BATON_STATEMENTS WHERE id = %s", session.id)

    def load(self, user, sql, *args):
        """mariadb-load, until loaded()."""
        path = os.path.join(self.dir, f"load-{random.getrandbits(32):x}.sql")
        with open(path, "w") as f:
            f.write(sql)
        p = subprocess.Popen([LOAD, "-S", self.socket, "-u", user, "-d", "test", "-f", path, "-t", "1e6", *map(str, args)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(p)
        return p

    @staticmethod
    def loaded(p):
        """Ends a load; its result."""
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=240)
        if p.returncode:
            raise AssertionError("mariadb-load: " + err)
        return json.loads(out)

    def cpu_by_user(self):
        """What the kernel counted, ns, of the threads of each user's connections."""
        threads = self.root("SELECT user, id, tid FROM information_schema.PROCESSLIST WHERE user NOT IN ('root', 'system user')")
        cpu = {}
        for user, _, tid in threads:
            try:
                with open(f"/proc/{self.p.pid}/task/{tid}/schedstat") as f:
                    cpu[user] = cpu.get(user, 0) + int(f.read().split()[0])
            except OSError:
                pass
        return cpu

    def stop(self, sig=signal.SIGTERM):
        if self.p.poll() is None:
            self.p.send_signal(sig)
        return self.p.wait(60)

    def close(self):
        try:
            self.stop(signal.SIGKILL)
        except subprocess.TimeoutExpired:
            pass
        shutil.rmtree(self.dir, ignore_errors=True)


LIMIT = 300


def too_long(*_):
    raise AssertionError(f"it takes more than {LIMIT} s")


def main(tests):
    """tests: functions, whose first line of documentation is their name."""
    sys.stdout.reconfigure(line_buffering=True)
    only = sys.argv[1:]
    signal.signal(signal.SIGALRM, too_long)
    tests = [t for t in tests if not only or t.__name__ in only]
    print(f"1..{len(tests)}")
    bad = 0
    for i, t in enumerate(tests, 1):
        name = f"{i} - {t.__name__}: {' '.join((t.__doc__ or '').split())}"
        try:
            need("mariadbd", "mariadb-server-core")
            begin = time.monotonic()
            signal.alarm(LIMIT)
            t()
            print(f"ok {name} ({time.monotonic() - begin:.0f} s)")
        except Skip as e:
            print(f"ok {name} # SKIP {e}")
        except Exception:
            bad = 1
            print(f"not ok {name}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            for s in servers:
                print(f"# the server {'is gone' if s.p.poll() is not None else 'runs'}; the end of its log:")
                for line in s.log().splitlines()[-15:]:
                    print("#   " + line)
        finally:
            signal.alarm(0)
            for p in children:
                if p.poll() is None:
                    p.kill()
                    p.wait()
            children.clear()
            for s in servers:
                s.close()
            servers.clear()
    sys.exit(bad)

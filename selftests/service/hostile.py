#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Hostile users of a dozen kinds, at once, in a cgroup of 512 MB: the server stays, nothing is killed for want of
memory, and who pays is answered meanwhile. How long that takes is a benchmark's matter: make bench-service.

    hostile [NAME]...    only these
"""
import contextlib
import os
import statistics
import sys
import threading
import time

from harness import Raw, Server, Skip, code, main, same

LIMIT = 512 << 20


@contextlib.contextmanager
def cgroup():
    """A directory whose processes have LIMIT bytes, and a function: how many were killed for want of more."""
    new = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    path = f"/sys/fs/cgroup{'' if new else '/memory'}/batondb-{os.getpid()}"

    def killed():
        with open(path + ("/memory.events" if new else "/memory.oom_control")) as f:
            return sum(int(l.split()[1]) for l in f if l.startswith("oom_kill "))

    try:
        os.mkdir(path)
        with open(path + ("/memory.max" if new else "/memory.limit_in_bytes"), "w") as f:
            f.write(str(LIMIT))
    except OSError as e:
        if os.path.isdir(path):
            os.rmdir(path)
        raise Skip(f"no cgroup with a limit of memory: {e}") from None
    try:
        yield path, killed
    finally:
        # The server was killed; the kernel may need a moment.
        for _ in range(1000):
            try:
                os.rmdir(path)
                break
            except OSError:
                time.sleep(0.02)


class Hostile(threading.Thread):
    """Does its worst again and again, with new connections where it loses its own."""

    def __init__(self, server, number, what):
        super().__init__(daemon=True)
        self.server, self.user, self.what = server, f"h{number}", what
        self.rounds, self.ended, self.error = 0, False, None
        self.start()

    def run(self):
        c = None
        while not self.ended:
            try:
                c = c or Raw(self.server, self.user)
                c.s.settimeout(60)
                self.what(self.server, self.user, c)
                self.rounds += 1
            except OSError:
                c = None
            except Exception as e:
                self.error = repr(e)
                return


def asks(*statements):
    def what(server, user, c):
        for sql in statements:
            if c.query(sql)[-1][0] == "closed":
                raise OSError
    return what


def prepares(server, user, c):
    for i in range(50):
        c.send("P", f"s{i}\0select {i}, hex(zeroblob(1000000))\0\0\0".encode())
        c.send("B", f"\0s{i}\0\0\0\0\0\0\0".encode())
        c.send("E", b"\0\0\0\0\1")
    c.send("S")
    if c.until("Z")[-1][0] == "closed":
        raise OSError
    c.query("deallocate all")


def writes_long_statements(server, user, c):
    asks("select" + " +" * 8000000)(server, user, c)


def connects(server, user, c):
    more = [Raw(server, user) for _ in range(20)] + [Raw(server, None) for _ in range(20)]
    for m in more:
        m.close()


def copies(server, user, c):
    c.send("Q", b"copy t from stdin\0")
    for _ in range(20):
        c.send("d", b"x" * 1000000)
    c.send("c")
    if c.until("Z")[-1][0] == "closed":
        raise OSError


def reads_nothing(server, user, c):
    m = Raw(server, user)
    m.send("Q", b"select hex(zeroblob(1000000)) from numbers(1000)\0")
    time.sleep(0.5)
    m.close()


def holds_the_lock(server, user, c):
    asks("begin; update t set x = 'x'", "select pg_sleep(0.2)", "rollback")(server, user, c)


KINDS = [
    asks("select group_concat(hex(zeroblob(1000000)), '') from numbers(100)"),
    asks("select value, hex(zeroblob(1000)) from numbers(100000) order by value desc limit 1 offset 99999"),
    asks("with recursive r(n, x) as (select 1, zeroblob(4000000) union all select n + 1, zeroblob(4000000 + n) from r) "
         "select count(*) from r a, r b where a.x < b.x"),
    asks("set statement_timeout = 300; select count(*) from numbers(1000000000) a, numbers(1000000000) b"),
    asks("insert into t select hex(zeroblob(500000)) from numbers(100)", "delete from t"),
    asks("select length(replace(hex(zeroblob(7000000)), '00', 'abc')), hex(zeroblob(7000000)) like '%0%0%0%1'"),
    prepares, writes_long_statements, connects, copies, reads_nothing, holds_the_lock,
]


def in_512_megabytes():
    with cgroup() as (path, killed):
        s = Server("slots=1", "session_memory=32MB", "tenant_memory=40MB", "server_memory=256MB", "temp_file_limit=8MB",
                   "database_size_limit=64MB", "max_connections_per_user=30", "max_connections_unauthenticated=50",
                   before=["sh", "-c", f'echo $$ >{path}/cgroup.procs; exec "$@"', "sh"])
        sql = "create table t (x text); create table p (id int primary key, n int); insert into p select value, 0 from numbers(1000);" \
              "create user payer; alter user payer set baton.low_latency = '40%'; alter user payer set baton.class = critical;"
        for i in range(len(KINDS)):
            sql += f"create user h{i}; alter user h{i} set baton.high_latency = '20%'; alter user h{i} set baton.class = batch;"
        s.psql(sql)
        payer, codes, times = Raw(s, "payer"), [], []
        loads = [Hostile(s, i, what) for i, what in enumerate(KINDS)]
        while min(l.rounds for l in loads) < 1 or len(codes) < 200:
            begin = time.monotonic()
            codes.append(code(payer.query("select sum(n) from p where id between 100 and 200")))
            times.append(time.monotonic() - begin)
            same(s.p.poll(), None, "the server")
            if any(l.error for l in loads):
                raise AssertionError(f"rounds of each kind: {[(l.rounds, l.error) for l in loads]}")
            time.sleep(0.02)
        for l in loads:
            l.ended = True
        same(set(codes), {None}, "what the paying user hears")
        same(killed(), 0, "killed by the kernel:")
        print(f"# {len(codes)} answers, median {1000 * statistics.median(times):.1f} ms, worst {1000 * max(times):.0f} ms; rounds: {[l.rounds for l in loads]}")
        s.kill()
        s.close()


sys.exit(main([in_512_megabytes]))

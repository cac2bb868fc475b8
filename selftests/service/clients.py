#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
batondb with real clients: psql, pgbench, psycopg2, JDBC, and with some that are
not nice. Each test has a server of its own unless it says otherwise.

    clients [NAME]...    only these
"""
import datetime
import io
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from harness import HERE, PG, Raw, Server, Skip, code, free_port, has, main, need, same


# ---------------------------------------------------------------- what works

def pgbench_as_it_is():
    need(PG + "/pgbench", "postgresql")
    s = Server("synchronous_commit=off")
    s.pgbench("-i", "-q", "-s", "1")
    total = 0
    for mode in ("simple", "extended", "prepared"):
        for script in ("tpcb-like", "simple-update", "select-only"):
            r = s.pgbench("-n", "-M", mode, "-b", script, "-c", "3", "-t", "40")
            has(r.stdout, "number of transactions actually processed: 120/120")
            total += 0 if script == "select-only" else 120
    same(s.psql("select count(*) from pgbench_history"), str(total))
    same(s.psql("select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts"), "1")
    has(s.pgbench("-i", "-q", "-I", "dtG", ok=False).stderr, "generate_series")
    s.pgbench("-i", "-q", "-I", "dtgvp")
    same(s.psql("select count(*), sum(bid) from pgbench_accounts"), "100000|100000")
    s.close()


def psql_describes():
    s = Server()
    s.psql("create table t (id integer primary key, b text unique not null, c int references t (id)); create user u; create database d;"
           "create view v as select 1 as one; create index i on t (c)")
    r = subprocess.run(["psql", "-XA"], text=True, env=s.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       input="\\d\n\\dt\n\\d t\n\\d v\n\\du\n\\l\n\\di\n\\dt t\n\\dv\n\\d public.t\n")
    for part in ("id|integer||not null|", '"i" btree (c)', 'UNIQUE CONSTRAINT, btree (b)',
                 "public|t|table|postgres", "public|v|view", "u||{}", "d|postgres|UTF8", "one|", "public|i|index|postgres|t",
                 "postgres|Superuser, Create role, Create DB|{}"):
        has(r.stdout, part)
    same(r.stderr, "")
    # The server's tables are filled when they are read, which the client's own last row survives.
    got = s.psql("insert into t values (5, 'x', null); select rolname, superuser from baton_roles order by 1; select last_insert_rowid()")
    has(got, "postgres|t\nu|f\n5")
    for sql, want in (("insert into baton_roles (rolname) values ('x')", "42501"), ("drop table baton_roles", "0A000"), ("create view w as select * from baton_roles; select * from w", "42P01")):
        has(s.psql(sql, fail=True), want)
    # A thing that is not known is said, and nothing is made up.
    for sql in ("select relname from pg_catalog.pg_class", "\\d t*", "\\d+ t", "\\dt+"):
        has(s.psql(sql, fail=True), "0A000")
    s.close()


class PostgreSQL:
    """What batondb is compared with."""

    def __enter__(self):
        need(PG + "/postgres", "postgresql")
        self.data = tempfile.mkdtemp(prefix="postgres-")
        self.port = free_port()
        shutil.chown(self.data, "postgres", "postgres")
        as_pg = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(as_pg + [PG + "/initdb", "-D", self.data, "-A", "trust", "-N", "--no-locale", "-E", "UTF8"], check=True,
                       capture_output=True)
        self.p = subprocess.Popen(as_pg + [PG + "/postgres", "-D", self.data, "-p", str(self.port), "-c", "fsync=off", "-c",
                                           "timezone=UTC", "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            if not subprocess.run([PG + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
                break
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.p.send_signal(signal.SIGINT)
        self.p.wait(30)
        shutil.rmtree(self.data, ignore_errors=True)


def lock_waits(s, waiting):
    """What those are told who wait for a lock; waiting(pid) until it does."""
    got = []
    holder, c = Raw(s), Raw(s)

    def told(sql, conn=c):
        m = conn.query(sql)
        got.append((sql, code(m), chr(m[-1][1][0])))

    def cancel():
        k = Raw(s, None)
        k.s.sendall(struct.pack("!II", 16, 80877102) + c.key)
        # The cancel is done when the server closes.
        k.message()
        k.close()

    def waits(sql, then):
        c.send("Q", sql.encode() + b"\0")
        waiting(struct.unpack("!I", c.key[:4])[0])
        then()
        m = c.until("Z")
        got.append((sql, code(m), chr(m[-1][1][0])))

    told("create table l (id int primary key, n int); insert into l values (1, 0)", holder)
    told("begin; update l set n = 1", holder)
    waits("update l set n = n + 2", cancel)
    told("select n from l")
    told("set statement_timeout = '100ms'")
    told("update l set n = 7")
    told("set statement_timeout = 0")
    # In a transaction.
    told("begin")
    waits("update l set n = 3", cancel)
    told("select 1")
    told("rollback")
    # A timeout that was for an earlier statement of it, or for none, is not for the one that waits.
    told("set statement_timeout = '300ms'; begin; select n from l")
    told("set statement_timeout = 0")
    time.sleep(0.4)
    cancel()
    waits("update l set n = n + 4", lambda: told("commit", holder))
    told("commit")
    told("select n from l", holder)
    got.append([b for t, b in holder.query("select n from l") if t == "D"])
    for conn in (holder, c):
        conn.close()
    return got


def until_it_waits(s):
    """A function that returns once the connection with this pid waits for a lock."""
    ask = Raw(s)

    def waiting(pid):
        for _ in range(1000):
            if "Lock" in str(ask.query(f"select wait_event_type from pg_stat_activity where pid = {pid}")):
                return
            time.sleep(0.02)
        raise AssertionError("it does not wait")

    return waiting


def locks_are_not_waited_for_in_vain():
    with PostgreSQL() as pg:
        want = lock_waits(pg, until_it_waits(pg))
    for quotas in ("on", "off"):
        s = Server("slots=1", "lock_idle_timeout=60", f"quotas={quotas}")
        have = lock_waits(s, until_it_waits(s))
        same([x for x, y in zip(have, want) if x != y], [y for x, y in zip(have, want) if x != y], f"quotas {quotas}")
        s.close()


def savepoints_go_back():
    s = Server()
    s.psql("create table t (id int primary key)")
    c = Raw(s)
    for sql, want in (("savepoint a", "25P01"), ("begin", None), ("savepoint a", None), ("savepoint b", None), ("insert into t values (2)", None),
                      ("savepoint c", None), ("insert into t values (3)", None), ("insert into t values (2)", "23505"), ("select 1", "25P02"),
                      ("rollback to c", None), ("insert into t values (4)", None), ("release b", None), ("rollback to b", "3B001"),
                      ("rollback to a", None), ("insert into t values (5)", None), ("commit", None)):
        same(code(c.query(sql)), want, sql)
    same(s.psql("select group_concat(id) from (select id from t order by id)"), "5")
    s.close()


def parse(c, name, sql, oids=(), values=(), describe="", formats=(), binary=False):
    """The messages that a driver sends for a statement, up to what the server says at last."""
    c.send("P", name + b"\0" + sql.encode() + b"\0" + struct.pack("!H", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))
    if "S" in describe:
        c.send("D", b"S" + name + b"\0")
    c.send("B", b"\0" + name + b"\0" + struct.pack("!HHH" if binary else "!HH", *([1, 1] if binary else [0]), len(values)) +
           b"".join(struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values) +
           struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats))
    if "P" in describe:
        c.send("D", b"P\0")
    c.send("E", b"\0\0\0\0\0")
    c.send("S")
    return c.until("Z")


def rows_of(messages):
    out = []
    for t, b in messages:
        if t == "D":
            n, at, row = struct.unpack("!H", b[:2])[0], 2, []
            for _ in range(n):
                size = struct.unpack("!i", b[at:at + 4])[0]
                at += 4
                row.append(None if size < 0 else b[at:at + size])
                at += max(size, 0)
            out.append(row)
    return out


def columns_of(messages):
    """(name, type, format) as described."""
    body = next(b for t, b in messages if t == "T")
    n, at, out = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(n):
        end = body.index(b"\0", at)
        oid, = struct.unpack("!I", body[end + 7:end + 11])
        out.append((body[at:end].decode(), oid, struct.unpack("!H", body[end + 17:end + 19])[0]))
        at = end + 19
    return out


UNTYPED, INT4, INT8, TEXT, BOOL, FLOAT8, NUMERIC, TIMESTAMP, TIMESTAMPTZ = 0, 23, 20, 25, 16, 701, 1700, 1114, 1184


def answers_are_right_or_refused():
    """
    What drivers send for common statements: values as texts without a type (node's pg, psycopg for strings), or with the
    type that the language has. Each answer is PostgreSQL's, or an error that says what to write.
    """
    s = Server()
    c = Raw(s)
    s.psql("create table t (id int primary key, big integer, name text, ok boolean, price real, qty int, at text, raw blob, any);"
           "insert into t values (1, 10, 'one', true, 1.5, 2, '2024-01-02 03:04:05', x'00ff', null),"
           "(2, 5000000000, 'two', false, 2.5, 4, '2024-06-01 00:00:00', null, 'x')")
    one, two, both = [[b"1"]], [[b"2"]], [[b"1"], [b"2"]]
    for sql, oids, values, want in (
            # An untyped value beside a column is the column's.
            ("select id from t where id = $1", (), (b"2",), two),
            ("select id from t where $1 = id", (), (b"2",), two),
            ("select id from t where id in ($1, $2) order by id", (), (b"1", b"2"), both),
            ("select id from t where id between $1 and $2 order by id", (), (b"1", b"2"), both),
            ("select id from t where id = $1", (), (b"x",), "22P02"),
            ("select id from t where t.big > $1", (), (b"4999999999",), two),
            ("select id from t where ok = $1", (), (b"true",), one),
            ("select id from t where ok = $1", (), (b"f",), two),
            ("select id from t where ok = $1", (BOOL,), (b"t",), one),
            ("select id from t where ok is $1", (), (b"true",), one),
            ("select id from t where price > $1", (), (b"2",), two),
            ("select id from t where name = $1", (), (b"one",), one),
            ("select id from t where lower(name) = $1", (), (b"two",), two),
            ("select id from t where name like $1", (), (b"t%",), two),
            # Times are texts, and nothing else.
            ("select id from t where at > $1", (), (b"2024-01-02 03:04:05.001",), two),
            ("select id from t where at = $1", (TIMESTAMP,), (b"2024-06-01 00:00:00",), "0A000"),
            # Beside anything else it is refused, unless it has a type.
            ("select id from t where id + 1 = $1", (), (b"2",), "42P18"),
            ("select id from t where id + 1 = $1", (INT4,), (b"2",), one),
            ("select id from t where id + 1 = cast($1 as integer)", (), (b"2",), one),
            ("select id from t where price * qty > $1", (), (b"4",), "42P18"),
            ("select id from t where price * qty > $1", (FLOAT8,), (b"4",), two),
            ("select id from t where id + 1 = $1", (TEXT,), (b"2",), "42804"),
            ("select id from t where (id + 1) in ($1)", (), (b"2",), "42P18"),
            ("select id from t where abs(id) = $1", (), (b"2",), "42P18"),
            ("select id from t where any = $1", (), (b"x",), "42P18"),
            ("select id from (select id + 1 as id from t) where id = $1", (), (b"2",), "42P18"),
            ("select id from t where case id when $1 then true end", (), (b"2",), "42P18"),
            ("select id from t where $1 in (select id from t)", (), (b"2",), "42P18"),
            ("select id from t, (select $1 as x) where x = id + 1", (), (b"2",), "42P18"),
            ("select id from t where case when true then $1 end = id + 1", (), (b"2",), "42P18"),
            ("select id from t where case when true then $1 end = id", (), (b"2",), two),
            ("select id from t where id = 2 and ($1 is null or name = $1)", (), (None,), two),
            ("select id from t where id = 2 and ($1 is null or name = $1)", (), (b"one",), []),
            ("select count(*) from t having count(*) > $1", (), (b"1",), two),
            ("select id + $1 from t where id = 1", (), (b"1",), two),
            ("select id + $1 from t where id = 1", (), (b"1.5",), "22P02"),
            ("select id from t order by id limit $1 offset $2", (), (b"1", b"1"), two),
            ("select id from t limit $1", (), (b"one",), "22P02"),
            ("select $1", (), (b"5",), [[b"5"]]),
            ("select id from t where id = $1 and name = $1", (), (b"1",), "42P18"),
            # Exact decimals, and what else there is not.
            ("select id from t where price = $1", (NUMERIC,), (b"1.5",), "0A000"),
            ("select id from t where at = $1", (TIMESTAMPTZ,), (b"2024-06-01 00:00:00+00",), "0A000"),
            ("select $1::int", (), (b"1",), "42601"), ("select id from t where id = ?", (), (), "42601"),
            ("select id from t where id = :x", (), (), "42601"),
            ("insert into t (id, name, ok, at) values ($1, $2, $3, $4)", (), (b"3", b"x", b"maybe", None), "22P02"),
            ("insert into t (id, ok) select $1, $2", (), (b"9", b"true"), []), ("insert into t (id, ok) select $1, $2 from t", (), (b"9", b"maybe"), "22P02"),
            ("update t set ok = $1, at = $2 where id = $3", (), (b"off", b"2024-01-02", b"9"), [])):
        got = parse(c, b"", sql, oids, values, "P")
        have = code(got) or [r[:1] for r in rows_of(got)]
        same(have, want, f"{sql} {oids} {values}:")
    # The same of texts in the statement.
    for sql, want in (
            ("select id from t where id = '2'", two), ("select id from t where id + 1 = '2'", "42804"), ("select id from t where ok = 't'", "42804"),
            ("select id from t where ok = true", one), ("select id from t where id in ('1', '2') order by id", both),
            ("select id from t where at > '2024-02-01 00:00:00'", two),
            ("select id from t where id = 'x'", "22P02"), ("select count(*) from t having count(*) = '5'", "42804"),
            ("select id from t where price * qty > '4'", "42804"), ("select id + '1' from t", "42804"),
            ("select id from t where upper(name) = 'ONE'", one), ("select id from t where abs(id) = '1'", "42804"),
            ("select id from t where case id when '1' then true end", "42804"), ("select nullif(id, '1') from t", "42804"),
            ("select id from t where id + 1 is distinct from '2'", "42804"), ("select id from t where ('2') = id + 1", "42804"), ("select id from t where '2' collate nocase = id + 1", "42804"),
            ("select id from t where (id + 1, 2) in (('2', 2))", "42804"), ("select id from t where id + 1 in (select '2')", "42804"),
            ("select id from t where id + 1 = (select '2')", "42804"), ("select id from t where id + 1 in (values ('2'))", "42804"),
            ("select id from t where id + 1 = case when true then '2' end", "42804"), ("select id from t where (select '2') = id + 1", "42804"),
            # A text without a type, as a part of what is compared.
            ("select id from t where (select * from (select '2')) = id + 1", "42804"), ("select id from t, (select '2' as x) where x = id + 1", "42804"),
            ("with x (y) as (values ('2')) select id from t, x where id + 1 = y", "42804"), ("select id from t where ((select '2')) = id + 1", "42804"),
            ("select id from t join (select 1 as x union select '2') d on d.x = t.id + 1", "42804"),
            ("select id from t where case when true then '2' end = id + 1", "42804"), ("select id from t where id + 1 in (select case when true then '2' end)", "42804"),
            ("select id from t where case when false then 1 else (case when true then '2' end) end = id + 1", "42804"),
            ("select id from t where (case when true then '2' end) = id + 1", "42804"), ("select id from t where coalesce(null, '2') = id + 1", "42804"),
            ("select id from t where case when true then '2' end in (id + 1)", "42804"), ("select id from t where id + 1 = ifnull((select '2'), 2)", "42804"),
            ("select id from t where case when true then '2' end = id", two), ("select id from t where case when true then 'x' end = id", "22P02"),
            ("select id from t where coalesce(null, '2') = id", two), ("select id from t where coalesce(name, 'none') = name and id < 3 order by coalesce(name, 'x')", both),
            ("select id from t, (select cast('2' as integer) as x) where x = id + 1", one), ("select id, (select 'x') from t where id = 2", two),
            ("select id from t where id = 1 and case when id = 1 then 'a' else 'b' end is not null order by case when id = 1 then 'a' else 'b' end", one),
            ("select id from t where id + 1 in (select 7 union select '2')", "42804"), ("select id from t where name = case when true then 'one' end", one),
            ("select n from (select 1 as i, 'x' as n)", [[b"x"]]), ("values (1, 'x'), (2, 'y')", both),
            ("select case id when 1 then 'a' else 'b' end from t where id < 3 order by id", [[b"a"], [b"b"]]),
            ("select id from t where id = 1 and 'one' = name", one), ("select id from t where name is not 'one' and id < 3", two), ("select id from t where (id + 1, 2) = ('2', 2)", "42804"),
            ("select coalesce(name, 'none') from t where id = 1", [[b"one"]]), ("select 'a' || id from t where id = 1", [[b"a1"]]),
            ("insert into t (id, ok) values (3, 't')", "42804"), ("create table x (n timestamp)", "0A000"), ("create table x (n date)", "0A000"),
            ("insert into t (id, big) values (3, 'x')", "22P02"), ("insert into t (id, ok) select 3, 't'", "42804"),
            ("insert into t (big, id) select max(id, 3), 'x' from t", "22P02"), ("create table x (n numeric(10, 2))", "0A000"),
            ("create table x (n serial)", "0A000"), ("create table x (n timestamptz)", "0A000"), ("create table x (n json)", "0A000"),
            ("alter table t add column n decimal", "0A000"), ("set timezone to 'Europe/Berlin'", "22023"), ("set datestyle = 'German'", "22023"),
            ("set local statement_timeout = 5", "0A000"), ("set baton.clas = 'batch'", "42704"), ("set nonsense.x = 1", "42704"),
            ("select now()", "42883"), ("select id::text from t", "42601"), ("select distinct on (id) id from t", "42601"),
            ("declare c cursor for select 1", "0A000"), ("listen x", "0A000"), ("begin isolation level serializable", "0A000"), ("begin read only", "0A000"), ("begin now", "42601"), ("begin read write", "0A000"),
            ("start transaction isolation level read committed", "0A000"), ("set transaction read write", "0A000"), ("set default_transaction_isolation = 'serializable'", "22023"), ("create temp table x (a int)", "0A000"),
            ("create trigger x after insert on t begin select 1; end", "0A000"), ("grant select on t to postgres", "0A000"),
            ("create table x as select id, name from t", [])):
        got = c.query(sql)
        same(code(got) or [r[:1] for r in rows_of(got)], want, sql + ":")
    # Texts of a long list are looked at one after the other, and not each one with all others; or there are too many.
    same(rows_of(c.query("select id from t where name in (" + "'x', " * 30000 + "'one')")), one)
    same(code(c.query("select id from t where name = case " + "when id = 9 then 'x' " * 30000 + "end")), "54001")
    same(code(c.query("insert into t (id, name) values " + "(10, 'x'), (11, null), " * 15000 + "(1, 'x')")), "23505")
    # Columns are sent as they were described, as text.
    got = parse(c, b"", "select id, big, name, ok, price, at, raw, count(*) over () as n from t where id = 1", describe="P", formats=(0,))
    same([x[1:] for x in columns_of(got)], [(o, 0) for o in (23, 20, 25, 16, 701, 25, 17, 20)])
    same(rows_of(got), [[b"1", b"10", b"one", b"t", b"1.5", b"2024-01-02 03:04:05", b"\\x00ff", b"1"]])
    for formats in ((1,), (0, 1)):
        same(code(parse(c, b"", "select id, big from t", formats=formats)), "0A000")
    # Values come in binary only as texts and blobs.
    for sql, value, want in (("select length($1)", b"abc", [[b"3"]]), ("select hex(raw) from t where raw = $1", b"\0\xff", [[b"00FF"]]),
                             ("select id from t where id = $1", struct.pack("!i", 1), "0A000"), ("select id from t where price = $1", b"x" * 8, "0A000")):
        got = parse(c, b"", sql, values=(value,), binary=True)
        same(code(got) or rows_of(got), want, sql)
    for sql, want in (("select 1 union all select 'x'", "42804"), ("select null union all select 5", [[None], [b"5"]]),
                      ("select 5 union all select 5.5", "42804"), ("select cast(x'ff' as text)", "22021"), ("select 5000000000", [[b"5000000000"]])):
        got = c.query(sql)
        same(code(got) or rows_of(got), want, sql)
    c.query("update t set big = upper('text') where id = 1")
    same(code(c.query("select big from t")), "42804")
    c.query("update t set id = 5000000000 where id = 1")
    same(code(c.query("select id from t")), "42804")
    s.close()


def statements_follow_their_tables():
    """What was prepared and checked for a table as it was is so again for what it is now."""
    s = Server()
    a, b = Raw(s), Raw(s)
    for sql in ("create table f (n int, m text)", "insert into f values (1, 'x')"):
        same(code(a.query(sql)), None, sql)
    same(rows_of(parse(a, b"q", "select n from f where n = $1", values=(b"1",), describe="S")), [[b"1"]])
    same(code(b.query("begin; drop table f; create table f (n text, m text); insert into f values ('1', 'x'); commit")), None)
    bound = b"\0q\0" + struct.pack("!HH", 0, 1) + struct.pack("!i", 1) + b"1" + struct.pack("!H", 0)
    a.send("B", bound)
    a.send("E", b"\0\0\0\0\0")
    a.send("S")
    same(code(a.until("Z")), "0A000")
    same(code(a.query("select n from f where n = 1")), None)
    # The same where nothing of SQLite's has run meanwhile that looks at the schema.
    for kind, value in (("int", "2"), ("text", "'1'")):
        same(code(b.query(f"begin; drop table f; create table f (n {kind}, m text); insert into f values ({value}, 'x'); commit")), None)
        same(rows_of(a.query("select n from f")), [[value.strip("'").encode()]])
    # A column more is no other answer.
    same(rows_of(parse(a, b"r", "select n from f", describe="S")), [[b"1"]])
    same(code(b.query("alter table f add column k int")), None)
    a.send("B", b"\0r\0" + struct.pack("!HHH", 0, 0, 0))
    a.send("E", b"\0\0\0\0\0")
    a.send("S")
    same(rows_of(a.until("Z")), [[b"1"]])
    s.close()


def psycopg2_works():
    try:
        import psycopg2
        import psycopg2.extras
    except ImportError:
        raise Skip("mend: no psycopg2 (Debian: apt-get install python3-psycopg2)")
    s = Server()
    c = psycopg2.connect(host="127.0.0.1", port=s.port, user="postgres", dbname="postgres")
    cur = c.cursor()
    cur.execute("create table t (id integer primary key, a int, b text, c bool, d text, e bytea)")
    cur.execute("insert into t (a, b, c, d, e) values (%s, %s, %s, current_timestamp, x'0001') returning id", (1, "it's é", True))
    same(cur.fetchone(), (1,))
    psycopg2.extras.execute_values(cur, "insert into t (a, b) values %s", [(i, str(i)) for i in range(100)])
    c.commit()
    cur.execute("select a, b, c, e from t where id = 1")
    row = cur.fetchone()
    same((row[0], row[1], row[2], bytes(row[3])), (1, "it's é", True, b"\0\1"))
    try:
        cur.execute("insert into t (id) values (1)")
        raise AssertionError("a duplicate was taken")
    except psycopg2.errors.UniqueViolation:
        c.rollback()
    cur.execute("select d, a * 1.5, max(id) from t where id = 1")
    row = cur.fetchone()
    same((type(row[0]).__name__, row[1], row[2]), ("str", 1.5, 1))
    # A statement in PostgreSQL's words is an error, and no other answer.
    for value in (psycopg2.Binary(b"x"), datetime.datetime(2024, 1, 2)):
        try:
            cur.execute("select %s", (value,))
            raise AssertionError("a cast with :: was taken")
        except psycopg2.errors.SyntaxError:
            c.rollback()
    rows = "".join(f"{i}\tx\n" for i in range(100))
    cur.copy_expert("copy t (a, b) from stdin", io.StringIO(rows))
    c.commit()
    for what in ("t", "t (a)", "(select a from t)"):
        try:
            cur.copy_expert(f"copy {what} to stdout", io.StringIO())
            raise AssertionError("COPY TO was taken")
        except psycopg2.errors.FeatureNotSupported:
            c.rollback()
    cur.execute("select count(*) from t")
    same(cur.fetchone(), (201,))
    c.close()
    s.close()


def jdbc_works():
    jar = "/usr/share/java/postgresql.jar"
    need(jar, "libpostgresql-jdbc-java")
    if not shutil.which("javac") and not shutil.which("java"):
        raise Skip("mend: no java (Debian: apt-get install default-jdk-headless)")
    s = Server()
    r = subprocess.run(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jar, os.path.join(HERE, "Jdbc.java"),
                        f"jdbc:postgresql://127.0.0.1:{s.port}/postgres?binaryTransfer=false"], text=True, capture_output=True, timeout=100)
    if "ok" not in r.stdout:
        raise AssertionError(r.stdout + r.stderr[:1500])
    s.close()


# ------------------------------------------------------------------ quotas

def quotas_are_sql():
    s = Server("slots=1")
    s.psql("create user a; alter user a set baton.low_latency = '50%'; create user b")
    has(s.psql("alter user b set baton.low_latency = '30%'", fail=True), "53000")
    has(s.psql("alter user b set baton.low_latency = 'much'", fail=True), "22023")
    has(s.psql("set baton.class = eager", fail=True), "22023")
    has(s.psql("alter user a set baton.low_latency = '1%'", fail=True, PGUSER="a"), "42501")
    same(s.psql("show baton.low_latency", PGUSER="a"), "50%")
    same(s.psql("show baton.class", PGUSER="a", PGOPTIONS="-c baton.class=critical"), "critical")
    s.psql("alter user a set baton.class = batch")
    same(s.psql("show baton.class", PGUSER="a"), "batch")
    same(s.psql("select low_latency, high_latency, class from baton_stat_tenants where usename = 'a'"), "50|100|batch")
    # The setting is kept.
    s.kill()
    s.start()
    same(s.psql("show baton.low_latency; show baton.class", PGUSER="a"), "50%\nbatch")
    s.close()


BURN = "select count(*) from numbers(1000000) as x"


def together(s, options, user="a"):
    """Four clients at once: the SQLSTATEs they got."""
    cs = [Raw(s, user, options=options) for _ in range(4)]
    codes, text = set(), ""
    for _ in range(4):
        for c in cs:
            c.send("Q", BURN.encode() + b"\0")
        for c in cs:
            got = c.until("Z")
            codes.add(code(got))
            text += "".join(b.decode() for t, b in got if t == "E")
    for c in cs:
        c.close()
    return codes, text


def critical_is_rejected():
    s = Server("slots=1")
    s.psql("create user a; alter user a set baton.low_latency = '3%'")
    codes, text = together(s, "-c baton.class=critical")
    same(codes, {None, "53400"})
    has(text, "Retry after")
    # In this second nothing may be left; in a later one there is.
    codes = set()
    while len(codes) < 2:
        codes |= together(s, "-c baton.class=critical -c baton.reject_code=40001")[0]
    same(codes, {None, "40001"})
    # A tolerant user goes on with high-latency quota.
    c = Raw(s, "a", options="-c baton.class=tolerant")
    same({code(c.query(BURN)) for _ in range(5)}, {None})
    c.close()
    s.close()


def batch_gets_what_it_bought():
    s = Server("slots=1")
    s.psql("create user a; alter user a set baton.high_latency = '20%'; alter user a set baton.class = batch")
    c = Raw(s, "a")

    def cpu():
        return float(s.psql("select cpu_ms from baton_stat_tenants where usename = 'a'"))

    stop = time.monotonic() + 4
    c.query(BURN)
    begin, at = cpu(), time.monotonic()
    while time.monotonic() < stop:
        c.query(BURN)
    part = (cpu() - begin) / 1e3 / (time.monotonic() - at)
    # Never more, but for a bit; less where the machine is busy.
    if not 0.08 < part < 0.26:
        raise AssertionError(f"20% were bought, {100 * part:.1f}% were had")
    c.close()
    s.close()


def deadlines():
    s = Server("slots=1")
    begin = time.monotonic()
    has(s.psql("set statement_timeout = 200; select count(*) from numbers(1000000000)", fail=True), "57014")
    has(s.psql("set statement_timeout = 100; select pg_sleep(30)", fail=True), "57014")
    # SET holds for what is behind it in a message.
    same(code(Raw(s).query("set statement_timeout = 100; select count(*) from numbers(1000000000000)")), "57014")
    # Not started: its quota is used up for longer than it waits.
    s.psql("create user a; alter user a set baton.high_latency = '1%'; alter user a set baton.class = batch")
    c = Raw(s, "a")
    c.send("Q", b"select count(*) from numbers(100000000) as x\0")
    time.sleep(0.3)
    d = Raw(s, "a", options="-c statement_timeout=50")
    has({code(d.query("select 1")) for _ in range(3)}, "57014")
    if time.monotonic() - begin > 60:
        raise AssertionError("it took for ever")
    s.close()


def cancels():
    s = Server("slots=1")
    c = Raw(s)
    c.send("Q", b"select count(*) from numbers(1000000000)\0")
    time.sleep(0.3)
    wrong = Raw(s, None)
    wrong.s.sendall(struct.pack("!IIII", 16, 80877102, struct.unpack("!I", c.key[:4])[0], 12345))
    wrong.close()
    time.sleep(0.2)
    k = Raw(s, None)
    k.s.sendall(struct.pack("!II", 16, 80877102) + c.key)
    same(code(c.until("Z")), "57014")
    same(code(c.query("select 1")), None)
    # The same from SQL.
    c.send("Q", b"select pg_sleep(30)\0")
    time.sleep(0.2)
    same(s.psql("select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()"), "1")
    same(code(c.until("Z")), "57014")
    s.psql(f"select pg_terminate_backend({struct.unpack('!I', c.key[:4])[0]})")
    c.send("Q", b"select 1\0")
    same(c.until("Z")[-1][0], "closed")
    s.close()


def neighbours_do_not_convoy():
    """A batch tenant without quota holds the write lock: who waits for it gets it soon."""
    s = Server("slots=1", "lock_idle_timeout=2")
    s.psql("create table t (id int primary key, n int); insert into t select value, 0 from numbers(1000);"
           "create user slow; alter user slow set baton.high_latency = '2%'; alter user slow set baton.class = batch;"
           "create user quick; alter user quick set baton.low_latency = '30%'; alter user quick set baton.class = critical")
    slow, quick = Raw(s, "slow"), Raw(s, "quick")
    worst = 0
    for _ in range(6):
        # Some 100 ms of CPU within the lock: five seconds, at 2%, were it throttled.
        slow.send("Q", b"begin; update t set n = n + 1; select count(*) from numbers(5000000) as x; commit\0")
        time.sleep(0.05)
        begin = time.monotonic()
        same(code(quick.query("update t set n = n + 1 where id = 1")), None)
        worst = max(worst, time.monotonic() - begin)
        slow.until("Z")
        if worst > 2.5:
            break
    if worst > 2.5:
        raise AssertionError(f"waited {worst:.2f} s for a lock")
    # A connection that holds it and says nothing is closed.
    slow.query("begin; update t set n = 0")
    begin = time.monotonic()
    same(code(quick.query("update t set n = n + 1 where id = 1")), None)
    if time.monotonic() - begin > 10:
        raise AssertionError("an idle holder kept the lock")
    same(slow.until("Z")[-1][0], "closed")
    s.close()


def queued_are_seen():
    s = Server("slots=1")
    s.psql("create user a; alter user a set baton.high_latency = '1%'; alter user a set baton.class = batch;"
           "alter user postgres set baton.low_latency = '20%'")
    cs = [Raw(s, "a") for _ in range(3)]
    for c in cs:
        c.send("Q", b"select count(*) from numbers(100000000) as x\0")
    time.sleep(0.5)
    seen = s.psql("select count(*) from pg_stat_activity where usename = 'a' and state in ('queued', 'active')")
    same(int(seen) >= 2, True, "seen: " + seen)
    same(int(s.psql("select count(*) from pg_stat_activity where usename = 'a' and state = 'queued'")) >= 1, True)
    for c in cs:
        c.close()
    s.close()


def off_is_off():
    s = Server("slots=1")
    s.psql("create user a; alter user a set baton.low_latency = '1%'; alter system set baton.quotas = off")
    same(together(s, "-c baton.class=critical")[0], {None})
    s.psql("alter system set baton.quotas = on")
    has(together(s, "-c baton.class=critical")[0], "53400")
    s.close()


# ------------------------------------------------------------ who is not nice

def says_no_more(c, send, *what):
    """Sends that as the last thing, and hears the server out."""
    try:
        send(*what)
        c.s.shutdown(socket.SHUT_WR)
        while c.s.recv(65536):
            pass
    except OSError:
        pass
    c.close()

def garbage():
    s = Server("authentication_timeout=2")
    good = Raw(s)
    r = random.Random(7)
    for i in range(150):
        c = Raw(s, None if i % 2 else "postgres")
        says_no_more(c, c.s.sendall, bytes(r.randrange(256) for _ in range(r.randrange(1, 400))))
    # Messages that are right in length and wrong inside.
    for i in range(300):
        c = Raw(s)
        kind = r.choice("QPBDECpdcfSHFX\0Z")
        body = bytes(r.randrange(256) for _ in range(r.randrange(0, 60)))
        says_no_more(c, c.send, kind, body)
    big = Raw(s)
    big.s.sendall(b"Q" + struct.pack("!I", 1 << 30))
    has({code(big.until("Z"))}, "08P01")
    same(code(good.query("select 1")), None)
    same(s.p.poll(), None)
    s.close()


def too_much_is_refused():
    """What would take a reader that calls itself off its stack, or for hours: an error, or an end at its time, and to nobody else a thing."""
    s = Server()
    c, d = Raw(s), Raw(s)
    n = 20000
    for sql in ("(" * n + "1" + ")" * n, "cast(" * n + "1" + " as int)" * n, "- " * n + "1", "not " * n + "true",
                "case when true then " * n + "1" + " end" * n, "coalesce(1," * n + "1" + ")" * n,
                "1 from " + "(select 1 from " * n + "x" + ") y" * n, "1+" * n + "1", "trim('x', 'y')"):
        same(code(c.query("select " + sql)) is not None, True, sql[:40])
    # Texts of 16 MB that SQLite's own functions would compare for hours.
    for sql in ("select instr(hex(zeroblob(8000000)), hex(zeroblob(4000000)) || '1')",
                "select length(replace(hex(zeroblob(8000000)), hex(zeroblob(4000000)) || '1', ''))",
                "select hex(zeroblob(8000000)) like '%0%0%0%0%0%0%0%0%0%0%0%1'"):
        same(code(c.query(sql)), None, sql)
    same(code(c.query("select hex(zeroblob(8000000)) like '%' || hex(zeroblob(20000)) || '1%'")), "54000")
    for sql, settings in (("with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r", "set statement_timeout = 300"),
                          ("select pg_sleep(1000)", "set statement_timeout = 300")):
        c.query(settings)
        begin = time.monotonic()
        same(code(c.query(sql)), "57014", sql)
        same(time.monotonic() - begin < 30, True, f"{sql} took {time.monotonic() - begin:.1f} s")
    # A count of all rows asks no progress handler: the pages that it reads do.
    same(code(c.query("set statement_timeout = 0; create table pages (x blob); insert into pages select zeroblob(4000) from numbers(10000)")), None)
    c.query("set statement_timeout = 1")
    same(code(c.query("select count(*) from pages")), "57014")
    # Rules of LIKE and GLOB are SQLite's.
    c.query("reset statement_timeout")
    for sql, want in (("'aXb' like 'a_b'", 1), ("'abc' like 'A%'", 1), ("'abc' like '%b'", 0), ("'a%c' like 'a\\%c' escape '\\'", 1),
                      ("'abc' like 'a\\%c' escape '\\'", 0), ("'abc' glob 'A*'", 0), ("'abc' glob 'a[a-c]?'", 1), ("'abc' glob 'a[^a-c]?'", 0),
                      ("'a]c' glob 'a[]]c'", 1), ("'' like '%'", 1), ("'' like '_'", 0), ("'äb' like '_b'", 1), ("instr('äbc', 'c')", 3),
                      ("instr('abc', '')", 1), ("instr(x'0102', x'02')", 2), ("replace('aaa', 'a', 'bc')", "bcbcbc"), ("replace('a', '', 'b')", "a"),
                      ("null like 'a'", None), ("'mississippi' like '%ss%pi'", 1), ("'mississippi' glob '*iss*x*'", 0)):
        same(rows_of(c.query("select " + sql)), [[None if want is None else str(want).encode()]], sql)
    same(code(d.query("select 1")), None)
    same(s.p.poll(), None)
    s.close()


def memory_has_a_budget():
    """A statement that wants more than its session, or its tenant, may have ends with 53200; others go on, and all is given back."""
    s = Server("session_memory=32MB", "tenant_memory=64MB", "temp_file_limit=8MB")
    s.psql("create user a; create user b")
    c, d = Raw(s, "a"), Raw(s, "b")

    def rss():
        return int(next(l for l in open(f"/proc/{s.p.pid}/status") if l.startswith("VmRSS")).split()[1])

    def peak():
        return int(next(l for l in open(f"/proc/{s.p.pid}/status") if l.startswith("VmHWM")).split()[1])

    before = rss()
    for sql in ("select group_concat(hex(zeroblob(1000000)), '') from numbers(1000)",
                "with recursive r(n, x) as (select 1, zeroblob(4000000) union all select n + 1, zeroblob(4000000 + n) from r) "
                "select count(*) from r a, r b where a.x < b.x",
                "select count(*) from numbers(100) a group by hex(zeroblob(3000000 + a.value)), hex(zeroblob(2900000 + a.value))"):
        same(code(c.query(sql)) in ("53200", "54000", "53100"), True, sql)
    same(rows_of(c.query("select 1")), [[b"1"]])
    # The tokens of a statement's text are counted, and names are short.
    same(code(c.query("select" + " +" * 7000000)), "53200")
    same(code(parse(c, b"n" * 8000000, "select 1")), "42622")
    if peak() > before + 200 * 1024:
        raise AssertionError(f"{before} kB before, {peak()} kB at most")
    # Sorted in files, which have a limit, too.
    same(code(c.query("select value, hex(zeroblob(1000)) from numbers(100000) order by value desc limit 100000")), "53100")
    same(code(c.query("select value from numbers(100000) order by -value")), None)
    same(os.listdir(s.data + "/temp"), [])
    # Other sessions of its tenant share the tenant's.
    more = [Raw(s, "a") for _ in range(4)]
    for m in more:
        m.send("Q", b"select pg_sleep(1) from (select max(x) from (select hex(zeroblob(7000000)) as x union all select hex(zeroblob(7000000))))\0")
    same(code(d.query("select length(hex(zeroblob(2000000)))")), None)
    for m in more:
        m.until("Z")
        m.close()
    same(int(float(s.psql("select memory from baton_stat_tenants where usename = 'a'"))) < 64 << 20, True)
    if rss() > before + 200 * 1024:
        raise AssertionError(f"{before} kB before, {rss()} kB after")
    s.close()


def slow_and_many():
    s = Server("authentication_timeout=1", "max_connections=40", "superuser_reserved_connections=3", "max_connections_per_user=30",
               "max_connections_unauthenticated=20")
    s.psql("create user a")
    slow = [Raw(s, None) for _ in range(10)]
    slow[0].s.sendall(b"\0\0")
    # A client that says something again and again, and never all of it.
    drip = Raw(s, None)
    drip.s.sendall(struct.pack("!II", 5000, 196608))
    ended = time.monotonic() + 15
    try:
        while time.monotonic() < ended:
            drip.s.sendall(b"x")
            time.sleep(0.1)
        raise AssertionError("a client that drips keeps its place")
    except OSError:
        pass
    same(code(Raw(s).query("select 1")), None)
    for c in slow:
        c.s.settimeout(5)
        same(c.until("Z")[-1][0], "closed")
    cs = [Raw(s, "a") for _ in range(30)]
    same(code(Raw(s, "a").hello), "53300")
    for c in cs:
        c.close()
    time.sleep(0.3)
    cs = [Raw(s, "a") for _ in range(30)]
    s.psql("create user c")
    cs += [Raw(s, "c") for _ in range(10)]
    # The rest is the superusers'.
    same("53300" in [code(c.hello) for c in cs[-3:]], True)
    same(code(Raw(s).query("select 1")), None)
    # None of these keep out who logs in.
    silent = [Raw(s, None) for _ in range(30)]
    time.sleep(1.5)
    same(code(Raw(s).query("select 1")), None)
    for c in cs + silent:
        c.close()
    s.close()


def a_thousand_idle():
    s = Server("max_connections=1300")
    idle = [Raw(s) for _ in range(1000)]
    begin = time.monotonic()
    busy = [Raw(s) for _ in range(200)]
    for _ in range(3):
        for c in busy:
            c.send("Q", b"select count(*) from numbers(1000)\0")
        for c in busy:
            same(code(c.until("Z")), None)
    rss = int(next(l for l in open(f"/proc/{s.p.pid}/status") if l.startswith("VmRSS")).split()[1])
    same(code(idle[500].query("select 1")), None)
    if time.monotonic() - begin > 60 or rss > 1200 * 1024:
        raise AssertionError(f"{time.monotonic() - begin:.0f} s, {rss} kB")
    s.close()


def passwords_and_tls():
    s = Server()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=localhost", "-keyout", s.data + "/key", "-out", s.data + "/cert", "-days", "2"], check=True,
                   capture_output=True)
    s.psql("create user a password 'se,cr=et'; create user b; create user e password ''; create user postgres2 superuser password 'pw'")
    same(s.psql("select 1", PGUSER="a", PGPASSWORD="se,cr=et"), "1")
    for user, password in (("a", "wrong"), ("a", ""), ("nobody", "x"), ("e", ""), ("e", "x")):
        has(s.psql("select 1", fail=True, PGUSER=user, PGPASSWORD=password or "!"), "password authentication failed")
    # A name is no line of the log.
    Raw(s, database="a\nfatal").close()
    has(open(s.log.name).read(), "a?fatal")
    # A client that asks for a user that there is not hears the same salt each time, as for one that there is.
    salts = []
    for user in ("a", "a", "nobody", "nobody"):
        c = Raw(s, None)
        body = struct.pack("!I", 196608) + b"user\0" + user.encode() + b"\0\0"
        c.s.sendall(struct.pack("!I", len(body) + 4) + body)
        c.message()
        first = b"n,,n=,r=abcdef"
        c.send("p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        salts.append(c.message()[1].split(b"s=")[1])
        c.close()
    same((salts[0] == salts[1], salts[2] == salts[3], salts[0] == salts[2]), (True, True, False))
    s.kill(signal.SIGTERM)
    s.conf = (f"tls_cert_file={s.data}/cert", f"tls_key_file={s.data}/key", "auth=scram", "tls_required=on")
    for name in ("cert", "key"):
        shutil.chown(f"{s.data}/{name}", "nobody")
    os.chmod(s.data + "/key", 0o644)
    try:
        s.start()
        raise AssertionError("a key that all may read was taken")
    except RuntimeError as e:
        has(str(e), "may be read by others")
    os.chmod(s.data + "/key", 0o600)
    s.start()
    same(s.psql("select 1", PGUSER="a", PGPASSWORD="se,cr=et", PGSSLMODE="require"), "1")
    same(s.psql("select length(hex(zeroblob(1500000)))", PGUSER="a", PGPASSWORD="se,cr=et", PGSSLMODE="require"), "3000000")
    has(s.psql("select 1", fail=True, PGUSER="b", PGPASSWORD="x"), "password authentication failed")
    has(s.psql("select 1", fail=True, PGUSER="a", PGPASSWORD="se,cr=et", PGSSLMODE="disable"), "without TLS are refused")
    # A handshake has to end in time, too, however slowly it comes.
    s.kill()
    s.conf += ("authentication_timeout=1",)
    s.start()
    c = Raw(s, None)
    c.s.sendall(struct.pack("!II", 8, 80877103))
    same(c.s.recv(1), b"S")
    c.s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    try:
        for _ in range(490):
            c.s.sendall(b"x")
            time.sleep(0.1)
        raise AssertionError("a handshake that drips is not ended")
    except OSError:
        pass
    s.close()


def its_directory_is_its_own():
    """Not as root, not twice, not open to others; the unix socket knows who comes; a file that changes is read again."""
    s = Server()
    args = s.p.args
    same(os.stat(s.data).st_mode & 0o777, 0o700)
    again = subprocess.run(args[:4] + [str(free_port())] + args[5:], capture_output=True, text=True, timeout=60)
    has(again.stderr, "another batondb uses")
    if os.getuid() == 0:
        root = subprocess.run([args[0], "-D", s.data + "/x", "-p", str(free_port())], capture_output=True, text=True, timeout=60)
        has(root.stderr, "does not run as root")
    s.psql("create user nobody; create user other; create user locked password 'x'; create table t (a int); insert into t values (7)")
    # By default only the socket lets in whom it knows.
    conf = os.path.join(s.data, "conf")

    def write(text):
        with open(conf, "w") as f:
            f.write(text)
        os.chmod(conf, 0o644)

    write("auth peer\nmax_connections_per_user 5  # and not more\n")
    s.kill(signal.SIGTERM)
    args[args.index("auth=local")] = "max_value_size=1MB"
    s.p = subprocess.Popen(args + ["-f", conf], stdout=s.log, stderr=s.log)
    for _ in range(400):
        if os.path.exists(f"{s.data}/.s.PGSQL.{s.port}"):
            break
        time.sleep(0.05)
    time.sleep(0.3)
    has(s.psql("select 1", fail=True), "assword")
    for user in ("postgres", "nobody", "other"):
        same(s.psql("select a from t", PGHOST=s.data, PGUSER=user), "7")
    has(s.psql("select 1", fail=True, PGHOST=s.data, PGUSER="locked"), "assword")
    if os.getuid() == 0:
        def as_daemon(user):
            os.chmod(s.data, 0o755)
            got = subprocess.run(["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", "psql", "-XAtc", "select 1"],
                                 capture_output=True, text=True, timeout=60, env=s.env(PGHOST=s.data, PGUSER=user))
            os.chmod(s.data, 0o700)
            return got

        s.psql("create user daemon", PGHOST=s.data)
        same(as_daemon("daemon").stdout, "1\n")
        has(as_daemon("postgres").stderr, "assword")
    for line, why in (("slots many", "slots"), ("tenant a low=5%", "CREATE USER"), ("tier low rank=0\ntier high rank=1\ntier own rank=2", "internal_high"),
                      ("auth maybe", "auth is one of"), ("max_value_size 1", "from 65536 to")):
        r = subprocess.run([args[0], "-D", s.data, "-c", line], capture_output=True, text=True, timeout=60)
        same(r.returncode, 2, line)
        has(r.stderr, why)
    # As a whole or not at all.
    write("max_connections_per_user 1\nmax_connection 5\n")
    s.p.send_signal(signal.SIGHUP)
    write_ok = "max_connections_per_user 1\nauth peer\n"
    time.sleep(0.5)
    held = subprocess.Popen(["psql", "-XAtc", "select pg_sleep(30)"], env=s.env(PGHOST=s.data, PGUSER="other"), stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    for _ in range(200):
        if s.psql("select count(*) from pg_stat_activity where usename = 'other'", PGHOST=s.data) == "1":
            break
        time.sleep(0.05)
    same(s.psql("select 1", PGHOST=s.data, PGUSER="other"), "1")
    write(write_ok)
    s.p.send_signal(signal.SIGHUP)
    for _ in range(200):
        r = subprocess.run(["psql", "-XAtc", "select 1"], env=s.env(PGHOST=s.data, PGUSER="other"), capture_output=True, text=True)
        if r.returncode:
            break
        time.sleep(0.05)
    has(r.stderr, "too many connections of one user")
    # Questions of others are theirs.
    has(s.psql("select query from pg_stat_activity where usename = 'other'", PGHOST=s.data, PGUSER="nobody"), "<insufficient privilege>")
    has(s.psql("select query from pg_stat_activity where usename = 'other'", PGHOST=s.data), "pg_sleep(30)")
    has(s.psql("select pg_cancel_backend(pid) from pg_stat_activity where usename = 'other'", fail=True, PGHOST=s.data, PGUSER="nobody"), "42501")
    held.kill()
    held.wait()
    # A backup of a server that runs is a server's directory.
    to = tempfile.mkdtemp(prefix="batondb-")
    subprocess.run([args[0], "-D", s.data, "-b", to + "/b"], check=True, timeout=60)
    again = subprocess.run([args[0], "-D", s.data, "-b", to + "/b"], capture_output=True, text=True, timeout=60)
    same(again.returncode, 2)
    for path, _, files in os.walk(to):
        for name in [""] + files:
            os.chown(os.path.join(path, name), os.stat(s.data).st_uid, -1)
    b = Server(data=to + "/b")
    same(b.psql("select a from t; select count(*) from baton_roles where rolname = 'locked' and haspassword"), "7\n1")
    b.close()
    shutil.rmtree(to)
    s.close()


# --------------------------------------------------------------- durability

def killed_any_time():
    need(PG + "/pgbench", "postgresql")
    s = Server()
    s.pgbench("-i", "-q", "-s", "1")
    s.psql("create table sent (k int primary key)")
    last = 0
    for i in range(int(os.environ.get("KILLS", "50"))):
        bench = subprocess.Popen([PG + "/pgbench", "-n", "-c", "3", "-T", "30"], env=s.env(), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        c = Raw(s)
        end = time.monotonic() + 0.2 + 0.4 * random.random()
        killer = threading.Timer(end - time.monotonic(), s.kill)
        killer.start()
        try:
            while True:
                # Rows that were answered must be there afterwards.
                if c.query(f"insert into sent values ({last + 1})")[-1][0] == "closed":
                    break
                last += 1
        except OSError:
            pass
        killer.join()
        bench.wait(30)
        s.start()
        got = int(s.psql("select coalesce(max(k), 0) from sent"))
        if got < last:
            raise AssertionError(f"{last} was committed, {got} is there")
        last = got
        same(s.psql("select (select sum(abalance) from pgbench_accounts) = (select coalesce(sum(delta), 0) from pgbench_history) and "
                    "(select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)"), "1")
    import sqlite3
    same(sqlite3.connect(s.data + "/base/postgres.db").execute("pragma integrity_check").fetchone(), ("ok",))
    same(last > 20, True, f"only {last} transactions")
    s.close()


def the_disk_is_full():
    data = tempfile.mkdtemp(prefix="batondb-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", data], capture_output=True).returncode:
        os.rmdir(data)
        raise Skip("cannot mount a tmpfs")
    try:
        s = Server(data=data)
        s.psql("create table t (id int primary key, x text); insert into t values (0, 'first')")
        c = Raw(s)
        n, failed = 0, None
        while n < 5000 and not failed:
            failed = code(c.query(f"insert into t values ({n + 1}, hex(zeroblob(10000)))"))
            n += not failed
        same(failed, "53100")
        same(code(c.query("select count(*) from t")), None)
        same(s.psql("select count(*) from t"), str(n + 1))
        s.kill()
        # With the log of the server in the way there may be no room to recover in.
        os.truncate(data + "/log", 0)
        import sqlite3
        db = sqlite3.connect(data + "/base/postgres.db")
        same(db.execute("pragma integrity_check").fetchone(), ("ok",))
        same(db.execute("select count(*) from t").fetchone(), (n + 1,))
        db.close()
        s.close()
    finally:
        subprocess.run(["umount", "-l", data])
        os.rmdir(data)


def sigterm_drains():
    s = Server()
    s.psql("create table t (id int primary key)")
    c, idle = Raw(s), Raw(s)
    c.query("begin; insert into t values (1)")
    s.p.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    same(idle.until("Z")[-1][0], "closed")
    same(code(c.query("commit")), None)
    same(s.p.wait(15), 0)
    s.start()
    same(s.psql("select count(*) from t"), "1")
    s.close()


def tells_prometheus():
    import urllib.request
    port = free_port()
    s = Server(f"http_port={port}")
    s.psql("create user a; alter user a set baton.low_latency = '10%'; select 1")
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    for part in ('batondb_quota_ratio{user="a",tier="low"} 0.1', 'batondb_cpu_seconds_total{user="postgres"}', "# TYPE "):
        has(text, part)
    has(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read().decode(), "<title>batondb")
    s.close()


TESTS = [pgbench_as_it_is, psql_describes, answers_are_right_or_refused, statements_follow_their_tables, locks_are_not_waited_for_in_vain,
         savepoints_go_back, psycopg2_works, jdbc_works, quotas_are_sql, critical_is_rejected,
         batch_gets_what_it_bought, deadlines, cancels, neighbours_do_not_convoy, queued_are_seen, off_is_off, garbage, too_much_is_refused,
         memory_has_a_budget, slow_and_many, a_thousand_idle, passwords_and_tls, its_directory_is_its_own, killed_any_time, the_disk_is_full, sigterm_drains,
         tells_prometheus]

sys.exit(main(TESTS))

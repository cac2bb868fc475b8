#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
seeds DIR: the inputs that fuzz_client.c begins with, in DIR/seeds, and the words that
inputs are made of, in DIR/words: all of SQLite's functions among them.
"""
import os
import re
import struct
import sys

from harness import HERE


BY_HAND = [
    "create table a (id integer primary key, t text, b boolean, n real, at text, raw blob, x int, any)",
    "insert into a values (1, 'x', true, 1.5, '2024-01-02 03:04:05', x'00ff', 2, null) returning id, t",
    "create user u password 'x'; alter user u set baton.low_latency = '10%'; drop user u",
    "alter user current_user password 'x' superuser; alter user ordinary password ''; alter user ordinary set baton.class = internal_high",
    "alter user postgres set baton.class = batch; reset baton.class; show baton.class",
    "alter system set baton.quotas = off; alter system reset baton.quotas; alter user maker nosuperuser",
    "create database d; drop database d; drop database if exists e; vacuum; checkpoint; vacuum into '/tmp/x'",
    "begin isolation level serializable; savepoint a; rollback to a; release a; commit", "begin immediate; end; begin exclusive; rollback",
    "start transaction read only; set transaction isolation level serializable; end",
    "set search_path to public; set time zone 'UTC'; set session characteristics as transaction isolation level serializable; show all",
    "select pg_cancel_backend(1), pg_terminate_backend(2), current_setting('baton.class'), current_database()",
    "copy a (id, t) from stdin with (format text, delimiter ',', null 'x', freeze on)", "copy (select 1, 'a') to stdout; copy a to stdout",
    "create table b (x int references a (id) on delete cascade, y varchar(3), z text default current_timestamp, unique (x, z), "
    "check (x > 1 and z is not null)) strict; drop table a, b", "create table c as select * from a; alter table c rename to d",
    "alter table a add column q text not null default 'x'; alter table a drop column q; alter table a rename column x to y",
    "create unique index if not exists i on a (x desc, lower(t)) where x > 0; reindex a; analyze; drop index i; truncate a",
    "create view v (a, b) as select 1, id from a; select * from v where b = 1; drop view if exists v",
    "explain query plan select * from a, a c where a.id = c.id; explain select 1", "deallocate all; deallocate x; discard plans",
    "with recursive t(n) as (values (1) union all select n + 1 from t) select * from t limit 5",
    "select count(*) over (partition by t order by id rows between 1 preceding and current row), row_number() over w from a window w as (order by id)",
    "select group_concat(t, ','), sum(x) filter (where b), total(n), max(id, 2), coalesce(t, 'none'), nullif(t, 'x') from a group by b having count(*) > 1",
    "select 'a' like '%\\' escape '\\', 'abc' glob 'a[^x-z]*', instr('abc', 'c'), replace('aaa', 'a', 'bc'), trim('  x ')",
    "select printf('%s %d %.3f', 'x', 5, 1.5), hex(randomblob(4)), quote(x'00'), char(65, 66), unicode('a'), substr('abc', -2, 1), typeof(null)",
    "select date('now', '+1 day'), datetime(0, 'unixepoch'), strftime('%Y', 'now'), julianday('now'), unixepoch()",
    "select cast('5' as integer), cast(5 as text), 5 / 2, 5 % 0, 1e400, -9223372036854775808, 9223372036854775807 + 1, x'1f', 0x1f",
    "select id from a where id = '1' and b = true and at > '2024-01-01 00:00:00' and t between 'a' and 'z'",
    "insert into a (id, t) values (5, 'x'), (6, 'y') on conflict (id) do update set t = excluded.t where id > 1; replace into a (id) values (5)",
    "update a set t = 'x', n = n + 1 from (select 1 as k) where id = k; delete from a where id in (select 2) returning *",
    "select * from pg_stat_activity, baton_stat_tenants, baton_roles, baton_databases limit 1", "select * from sqlite_schema",
    "select 1;;; select 2; -- x\n/* y */ select 'it''s', \"id\", [id], `id` from a", "values (1, 'a'), (2, 'b') order by 1 desc limit 1 offset 1",
    "select load_extension('x'), fts3_tokenizer('x', x'00'), readfile('/etc/passwd')", "pragma writable_schema = on; attach 'x' as y",
    "create trigger g after insert on a begin select 1; end; create virtual table f using fts5(a); create temp table t (a)",
    "select * from pragma_table_info('a'); select * from json_each('[1]'); select * from sqlite_dbpage; select * from dbstat",
    "select baton_budget_ms(), baton_deadline_ms(), baton_charge_ms(1), pg_sleep(0.001), pg_backend_pid()",
    "select length(zeroblob(200000)), hex(zeroblob(100000)), group_concat(value, 'xxxxxxxxxxxxxxxxxxxxx') from (with recursive n (value) as (select 1 union all select value + 1 from n limit 20000) select value from n)",
]

# Inputs that were wrong once, in this batondb or the one before it: a crash, a leak, a hang, a wrong user.
FOUND = [
    b"Qcreate table 1 (x int)",
    b"Qalter user ordinary password 'x' superuser",
    b"Qselect instr(hex(zeroblob(100000)), hex(zeroblob(60000)) || '1')",
    b"Qselect hex(zeroblob(100000)) like '%0%0%0%0%0%0%0%1'",
    b"Qselect " + b"cast(" * 300 + b"1" + b" as int)" * 300,
    b"Qselect " + b"(" * 600 + b"1" + b")" * 600,
]

# As psql and pgbench send it.
CLIENTS = [
    "SELECT c.oid,\n  n.nspname,\n  c.relname\nFROM pg_catalog.pg_class c\n WHERE c.relname OPERATOR(pg_catalog.~) '^(a.*)$' COLLATE x",
    "SELECT a.attname,\n  pg_catalog.format_type(a.atttypid, a.atttypmod) FROM x WHERE a.attrelid = '16385' AND a.attnum > 0",
    "SELECT n.nspname as \"Schema\",\n  c.relname as \"Name\", c2.relname as \"Table\" WHERE c.relkind IN ('r','v','i','')",
    "insert into pgbench_branches(bid,bbalance) values(1,0)", "vacuum analyze pgbench_branches",
    "create table pgbench_accounts(aid int not null,bid int,abalance int,filler char(84)) with (fillfactor=100)",
    "alter table pgbench_accounts add primary key (aid)",
]


def main():
    out = sys.argv[1]
    inputs = [b"Q" + s.encode() for s in BY_HAND + CLIENTS] + FOUND
    inputs += [b"P" + s.encode() for s in BY_HAND[::2]]
    for values, sql in (("1", "select id from a where id = $1"), ("2024-01-02 03:04:05|t", "select id from a where at > $1 and b = $2"),
                        ("1|2|x", "select id from a where id in ($1, $2) and t like $3"), ("\0\0\0\x05", "select cast($1 as integer) + 1"),
                        ("1.5|\\x00ff", "insert into a (n, raw) values ($1, $2)"), ("7|it's", "insert into a (id, t) values ($1, $2) returning id"),
                        ("5", "select id + 1 = $1 from a"), ("1|2", "select id from a order by id limit $1 offset $2"), ("x", "select $1, $1::int")):
        inputs.append(b"V" + values.encode() + b"\n" + sql.encode())

    def messages(*m):
        return b"L" + b"".join(t.encode() + struct.pack("!H", len(b)) + b for t, b in m)

    inputs.append(messages(("Q", b"copy a (id, t) from stdin\0"), ("d", b"77\tx\n78\t\\N\n79\t\\\\\\x41\n\\.\n"), ("c", b""), ("Q", b"select 1\0")))
    inputs.append(messages(("Q", b"copy a (id, t) from stdin\0"), ("d", b"87\tx"), ("f", b"why\0"), ("S", b"")))
    inputs.append(messages(("P", b"s\0select a from t\0\0\0"), ("B", b"p\0s\0\0\0\0\0\0\0"), ("E", b"p\0\0\0\0\2"),
                           ("H", b""), ("E", b"p\0\0\0\0\0"), ("C", b"Pp\0"), ("C", b"Ss\0"), ("S", b"")))
    inputs.append(messages(("P", b"\0begin\0\0\0"), ("B", b"\0\0\0\0\0\0\0\0"), ("E", b"\0\0\0\0\0"), ("P", b"\0select nope\0\0\0"), ("S", b""),
                           ("Q", b"rollback\0"), ("X", b"")))

    def start(*words):
        body = b"\0\3\0\0" + b"".join(w + b"\0" for w in words) + b"\0"
        return struct.pack("!I", len(body) + 4) + body

    inputs.append(start(b"user", b"postgres", b"options", b"-c statement_timeout=5 -c baton.class=batch", b"DateStyle", b"ISO"))
    inputs.append(start(b"user", b"nobody", b"database", b"nope"))
    # Found: the copy of the list ended at the first empty value, and the reader went on.
    inputs.append(start(b"user", b"postgres", b"replication", b"", b"options", b"-c baton.class=batch", b"DateStyle", b"ISO"))
    inputs.append(struct.pack("!II", 8, 80877103) + struct.pack("!II", 8, 80877104) + start(b"user", b"postgres"))
    inputs.append(struct.pack("!IIII", 16, 80877102, 1001, 7))
    for n, data in enumerate(inputs):
        with open(os.path.join(out, "seeds", f"{n:03}"), "wb") as f:
            f.write(data)
    words = set(re.findall(r"[a-z_]{2,}", " ".join(BY_HAND).lower()))
    service = os.path.join(HERE, "../../service")
    for name in sorted(n for n in os.listdir(service) if re.fullmatch(r"(exec|util|priv|copy|types|funcs|settings|check|role)\.c", n)):
        text = open(os.path.join(service, name)).read()
        words |= set(re.findall(r'"([a-z_]{2,30})"', text))
    import sqlite3
    words |= {name for name, in sqlite3.connect(":memory:").execute("select name from pragma_function_list") if re.fullmatch(r"\w+", name)}
    with open(os.path.join(out, "words"), "w") as f:
        f.write("".join(f'"{w}"\n' for w in sorted(words)) + '"::"\n"$1"\n"||"\n"?"\n"/*"\n"--"\n')


main()

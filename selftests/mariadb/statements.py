#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What becomes of each kind of statement: that it is its user's request, that a
refused one does not run, in whatever way it came, and that KILL, timeouts,
changes of user and of the quotas find it wherever it is.

    statements [NAME]...    only these
"""
import json
import os
import subprocess
import threading
import time

from harness import BATON, BINARY, TOP, Error, Server, has, main, same, until

REFUSED = 1226
# Some ms, of a quota of ten or twenty in a second; and for ever: in one place, without rows.
BURN = "SELECT BENCHMARK(15000, MD5('x'))"
HOG = "SELECT BENCHMARK(1000000000000, MD5('x'))"


def binary(server, user, *operations, db="test"):
    r = subprocess.run([BINARY, server.socket, user, db, *operations], capture_output=True, text=True, timeout=120)
    if r.returncode:
        raise AssertionError(r.stderr)
    return [json.loads(line) for line in r.stdout.splitlines()]


def spend(session, sql=BURN):
    """Uses up what a critical user has bought: the error of the first that is refused, and how many ran before."""
    ran = 0

    def refused():
        nonlocal ran
        try:
            session(sql)
            ran += 1
        except Error as e:
            same(e.number, REFUSED)
            return e
    return until(refused, "a refused statement"), ran


def with_table(server):
    server.root("CREATE TABLE test.t (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
    server.root("INSERT INTO test.t SELECT seq, 0 FROM seq_1_to_1000")


def refused_says_when():
    """A rejected statement does not run; its client is told when to try again, and then may"""
    s = Server(quotas=[("crit", 1, 0, "critical")])
    c = s.session("crit")
    with_table(s)
    # The second goes on while others use the machine: whichever is refused, the table says how many ran.
    add = "UPDATE t SET n = n + 1 WHERE id = 1 AND BENCHMARK(15000, MD5('x')) = 0"
    e, ran = spend(c, add)
    has(e.text, r"^Tenant 'crit' has used its low-latency CPU of this second \(1% of the machine\); try again in [0-9.]+ s, or use "
                r"SET SESSION baton_class = 'tolerant'$")
    when = float(e.text.split("try again in ")[1].split(" s")[0])
    if not 0 < when <= 1:
        raise AssertionError(f"try again in {when} s")
    same(s.root.one("SELECT SUM(n) FROM test.t"), ran)
    time.sleep(1.1)
    c("UPDATE t SET n = n + 1 WHERE id = 2")
    e, more = spend(c, add)
    same(s.root.one("SELECT SUM(n) FROM test.t"), ran + 1 + more)
    same(int(s.status("rejected")) >= 2, True)
    # (Of one that ran, and took long because the machine is busy, there may be a row, too.)
    late = s.root("SELECT user, tenant, class FROM information_schema.BATON_LATE WHERE statement LIKE 'UPDATE%' AND "
                  "why RLIKE 'of this second.s .* of low-latency quota are used'")
    same(late[0], ("crit", "crit", "critical"))


def refused_in_every_way():
    """... as text, prepared as text, prepared in the binary protocol, one of several, CALL, DO, SET, DDL, LOAD DATA"""
    s = Server(quotas=[("crit", 0, 10, "batch")])
    with_table(s)
    s.root("GRANT ALL ON other.* TO crit")
    s.root("CREATE PROCEDURE test.p() BEGIN SET @ran = 1; UPDATE test.t SET n = 7; END")
    with open(s.dir + "/rows", "w") as f:
        f.write("5000\t7\n")
    ways = ["UPDATE t SET n = 7", "INSERT INTO t VALUES (6000, 7)", "DELETE FROM t", "REPLACE INTO t VALUES (1, 7)", "CALL p()",
            "DO (SELECT @ran := 1)", "SET @ran = 1", "CREATE TABLE made (a INT)", "DROP TABLE t", "ALTER TABLE t ADD COLUMN made INT",
            "CREATE DATABASE other", "TRUNCATE TABLE t", "CREATE OR REPLACE VIEW v AS SELECT 1", "SELECT @ran := 1"]
    # Nothing that a critical statement could use: what is prepared while it is batch is refused, too.
    critical = "q:SET SESSION baton_class = 'critical'"
    for w in ways:
        # DDL in the binary protocol waits instead.
        ddl = w.split()[0] in ("CREATE", "DROP", "ALTER", "TRUNCATE")
        got = binary(s, "crit", "P:" + w, critical, *([] if ddl else ["x:", "p:" + w]), "q:" + w)
        same([g["errno"] for g in got], [0] + [REFUSED] * (1 if ddl else 3), w)
    same([g["errno"] for g in binary(s, "crit", critical, "p:CREATE TABLE made_late (a INT)", "q:SELECT 1")], [0, 0, REFUSED])
    c = s.session("crit")
    c(critical[2:])
    same(c.refused(f"LOAD DATA LOCAL INFILE '{s.dir}/rows' INTO TABLE t").number, REFUSED)
    same(c.refused("EXECUTE IMMEDIATE 'UPDATE t SET n = 7'").number, REFUSED)
    same(s.root("SELECT SUM(n), COUNT(*), MAX(id) FROM test.t"), [(0, 1000, 1000)])
    same(s.root("SELECT table_name FROM information_schema.TABLES WHERE table_schema IN ('test', 'other') ORDER BY 1"),
         [("made_late",), ("t",)])
    same(s.root("SHOW DATABASES LIKE 'other'"), [])
    c("SET SESSION baton_class = DEFAULT")
    same(c.one("SELECT @ran"), None)


def refused_second_of_several():
    """Of several statements in one query the first runs, the one that is refused and those behind it do not"""
    s = Server(quotas=[("bat", 0, 50, "batch")])
    with_table(s)
    got = binary(s, "bat", "q:UPDATE t SET n = 1; SET SESSION baton_class = 'critical'; UPDATE t SET n = 2; UPDATE t SET n = 3")
    same(got[0]["errno"], REFUSED)
    same(s.root.one("SELECT SUM(n) FROM test.t"), 1000)


def transaction_survives():
    """A refused statement leaves its transaction as it was, and COMMIT and ROLLBACK are not refused"""
    s = Server(quotas=[("bat", 0, 50, "batch")])
    with_table(s)
    c = s.session("bat")
    c("BEGIN")
    c("UPDATE t SET n = 1 WHERE id = 1")
    # Which it has nothing for.
    c("SET SESSION baton_class = 'critical'")
    same(c.refused("UPDATE t SET n = 1 WHERE id = 2").number, REFUSED)
    c("COMMIT")
    same(s.root.one("SELECT SUM(n) FROM test.t"), 1)
    # The refused COMMIT ends nothing: it is a statement like others.
    same(c.refused("COMMIT").number, REFUSED)
    same(c.refused("BEGIN").number, REFUSED)
    c("SET SESSION baton_class = DEFAULT")
    c("BEGIN")
    c("UPDATE t SET n = 5 WHERE id = 1")
    c("SET SESSION baton_class = 'critical'")
    same(c.refused("ROLLBACK TO SAVEPOINT a").number, REFUSED)
    c("/* enough */ ROLLBACK WORK")
    same(s.root.one("SELECT SUM(n) FROM test.t"), 1)


def routines_and_cursors():
    """A routine is one request with all its statements; so are a cursor's rows, triggers, EXECUTE that fails"""
    s = Server(quotas=[("tol", 10, 50, "tolerant")])
    with_table(s)
    s.root("CREATE TABLE test.log (id INT)")
    s.root("CREATE TRIGGER test.tr AFTER UPDATE ON test.t FOR EACH ROW INSERT INTO test.log VALUES (NEW.id)")
    s.root("CREATE PROCEDURE test.p() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 20 DO UPDATE test.t SET n = n + 1 WHERE id = i; "
           "SET i = i + 1; END WHILE; SELECT COUNT(*) FROM test.t; END")
    s.root("CREATE FUNCTION test.f(a INT) RETURNS INT NO SQL RETURN a + 1")
    before = int(s.status("statements"))
    # q, PREPARE and EXECUTE and 100 FETCHes, a failing EXECUTE, ping; not the end of a connection.
    got = binary(s, "tol", "q:CALL p()", "c:SELECT id FROM t", "q:EXECUTE nothing", "q:SELECT f(3)", "i", "p:CALL p()")
    same([g["errno"] for g in got], [0, 0, 1243, 0, 0, 0])
    same(got[1]["rows"], 1000)
    asked = int(s.status("statements")) - before
    if not 105 <= asked <= 115:
        raise AssertionError(f"{asked} requests")
    same(s.root("SELECT COUNT(*) FROM test.log"), [(38,)])
    # The answer comes before the request's end.
    until(lambda: int(s.status("running")) == 1, "only root's own statement to run")
    until(lambda: s.tenant("tol", "in_flight") == 0, "no request in flight")


def kill_in_queue():
    """KILL QUERY, KILL and max_statement_time end one that waits for CPU, at once, and it does not run"""
    s = Server(cpus="0", quotas=[("batch", 0, 1, "batch")])
    with_table(s)
    hog = s.session("batch")
    got = []

    def run(session, sql):
        begin = time.monotonic()
        try:
            got.append(session(sql))
        except Error as e:
            got.append((e.number, time.monotonic() - begin))
    for how, number in (("KILL QUERY", 1317), ("SET max_statement_time", 1969), ("KILL", None)):
        # Now: later, that would have to wait for the hog, or for what the hog has overdrawn.
        c = s.session("batch")
        c(f"SET max_statement_time = {0.3 if how.startswith('SET') else 0}")
        h = threading.Thread(target=run, args=(hog, HOG))
        h.start()
        until(lambda: s.state(hog, "throttled_ms > 0"), "the quota to be used up")
        t = threading.Thread(target=run, args=(c, "UPDATE t SET n = n + 1"))
        t.start()
        if not how.startswith("SET"):
            until(lambda: s.state(c) == "queued", "a queued statement")
            has(s.root.one("SELECT state FROM information_schema.PROCESSLIST WHERE id = %s", c.id), r"Waiting for CPU \(baton\)")
            s.root(f"{how} {c.id}")
        t.join(120)
        same(t.is_alive(), False, how)
        if number:
            same(got[-1][0], number, how)
            if how.startswith("SET") and not 0.25 < got[-1][1]:
                raise AssertionError(f"{got[-1]} s")
        elif got[-1][0] not in (2013, 1927):
            raise AssertionError(got[-1])
        s.root(f"KILL QUERY {hog.id}")
        h.join(120)
        same(h.is_alive(), False)
    same(s.root.one("SELECT SUM(n) FROM test.t"), 0)
    same(s.root("SELECT COUNT(*) FROM information_schema.BATON_LATE WHERE why LIKE 'its deadline passed%'")[0][0] >= 1, True)


def kill_stopped():
    """KILL QUERY ends a statement that is stopped for want of quota, as soon as it has its next turn"""
    s = Server(cpus="0", quotas=[("batch", 0, 2, "batch")])
    hog = s.session("batch")
    t = threading.Thread(target=lambda: hog(HOG))
    t.start()
    until(lambda: s.state(hog, "throttled_ms > 100"), "a stopped statement")
    s.root(f"KILL QUERY {hog.id}")
    t.join(120)
    same(t.is_alive(), False)
    same(int(s.status("stops")) > 0, True)


def kill_behind():
    """KILL QUERY and max_statement_time end one that is stopped behind an older one of its tenant, which gets all there is"""
    s = Server("--loose-baton-slots=2")
    with_table(s)
    for sql in ("SELECT COUNT(*) FROM t a, t b, t c WHERE a.n + b.n + c.n = 3", HOG):
        for limit in (0, 2):
            s.quotas(("h", 0, 100, "tolerant"))
            older, c = s.session("h"), s.session("h")
            c(f"SET max_statement_time = {limit}")
            threads = []
            for session in (older, c):
                threads.append(threading.Thread(target=session.ended, args=(sql,)))
                threads[-1].start()
                # (Without a limit it may be that its turn comes late.)
                until(lambda: limit and session is c or s.state(session, "cpu_ms > 1"), "it to run")
            s.root("UPDATE mysql.baton_quotas SET high_latency = 1")
            s.root("SET GLOBAL baton_reload_now = ON")
            if not limit:
                until(lambda: s.state(c, "throttled_ms > 50"), "it to be stopped")
                s.root(f"KILL QUERY {c.id}")
            threads[1].join(120)
            same(threads[1].is_alive(), False)
            same(s.state(older), "running")
            s.root(f"KILL QUERY {older.id}")
            threads[0].join(120)
            same(threads[0].is_alive(), False)


def locks_of_others():
    """A transaction that waits for quota behind a hog goes on while a paying user waits for its row lock; so does one that was stopped"""
    s = Server("--loose-baton-slots=2", "--innodb-lock-wait-timeout=1000", quotas=[("pay", 20, 0, "tolerant"), ("h", 0, 100, "batch")])
    with_table(s)
    hog, h, pay = s.session("h"), s.session("h"), s.session("pay")
    hogs = threading.Thread(target=hog.ended, args=(HOG,))
    got = {}

    def begin(who, session, sql):
        got[who] = threading.Thread(target=lambda: got.update({who + "'s end": session.ended(sql)}))
        got[who].start()

    def ended(who):
        got[who].join(200)
        same(got[who].is_alive(), False, who)
        same(got[who + "'s end"], None, who)

    def quota_of_h(percent):
        s.root(f"UPDATE mysql.baton_quotas SET high_latency = {percent} WHERE user = 'h'")
        s.root("SET GLOBAL baton_reload_now = ON")
    hogs.start()
    until(lambda: s.state(hog, "cpu_ms > 1"), "the hog")
    # Between its statements.
    h("BEGIN")
    h("UPDATE t SET n = 1 WHERE id = 1")
    quota_of_h(0.0001)
    begin("h", h, "UPDATE t SET n = 2 WHERE id = 2")
    until(lambda: s.state(h) == "queued" and s.state(h, "time_ms > 100"), "it to wait for quota")
    begin("pay", pay, "UPDATE t SET n = n + 10 WHERE id = 1")
    ended("h")
    same(s.state(pay), "waits for lock")
    same(int(s.status("unlocked")) > 0, True)
    h("COMMIT")
    ended("pay")
    same(s.root("SELECT n FROM test.t WHERE id IN (1, 2) ORDER BY id"), [(11,), (2,)])
    # Within one.
    quota_of_h(100)
    begin("h", h, "UPDATE t SET n = 1 + BENCHMARK(20000, MD5('x')) WHERE id < 60")
    until(lambda: s.state(h, "cpu_ms > 20"), "it to have the first row")
    quota_of_h(0.0001)
    begin("pay", pay, "UPDATE t SET n = n + 10 WHERE id = 1")
    ended("h")
    ended("pay")
    same(s.root.one("SELECT n FROM test.t WHERE id = 1"), 11)
    same(s.state(hog), "running")
    s.root(f"KILL QUERY {hog.id}")
    hogs.join(120)
    same(hogs.is_alive(), False)


def locks_with_spare_cpu():
    """While a paying user waits for its row lock, a transaction without quota also gets what nobody else wants"""
    s = Server("--innodb-lock-wait-timeout=1000", cpus="0", quotas=[("pay", 1, 0, "tolerant"), ("h", 0, 99, "batch")])
    with_table(s)
    h, pay = s.session("h"), s.session("pay")
    holder = threading.Thread(target=h.ended, args=("UPDATE t SET n = 1 + BENCHMARK(1000000, MD5('x'))",))
    holder.start()
    until(lambda: s.state(h, "cpu_ms > 20"), "it to have the first row")
    s.quotas(("pay", 1, 0, "tolerant"), ("h", 0, 0.0001, "batch"))
    paying = threading.Thread(target=pay.ended, args=("UPDATE t SET n = n + 10 WHERE id = 1",))
    paying.start()
    until(lambda: s.state(pay) == "waits for lock", "somebody to wait for the lock")
    cpu, throttled = s.state(h, "cpu_ms"), s.state(h, "throttled_ms")
    until(lambda: s.state(h, f"cpu_ms - {cpu} > 1000"), "it to go on")
    cpu, throttled = s.state(h, "cpu_ms") - cpu, s.state(h, "throttled_ms") - throttled
    s.root(f"KILL QUERY {h.id}")
    for t in (holder, paying):
        t.join(200)
        same(t.is_alive(), False)
    # A quarter of a CPU alone makes it 7 to 13; those who look on here go before the spare CPU, and make it up to 2.
    same(throttled < 4 * cpu, True, f"{cpu} ms of CPU, {throttled} ms without quota")


def unlocking_is_owed():
    """What a transaction uses while it goes on for a paying user's sake is charged to its tenant's next statement"""
    s = Server("--loose-baton-slots=2", "--innodb-lock-wait-timeout=1000", quotas=[("pay", 20, 0, "tolerant"), ("h", 0, 100, "batch")])
    with_table(s)
    hog, h, pay = s.session("h"), s.session("h"), s.session("pay")

    def cpu(tier):
        page = json.loads(subprocess.run([BATON, "stats", "--json", s.page], capture_output=True, text=True, check=True).stdout)
        return next(u["cpu"] for t in page["tenants"] if t["name"] == "h" for u in t["tiers"] if u["tier"] == tier)

    def begin(session, sql):
        t = threading.Thread(target=session.ended, args=(sql,))
        t.start()
        return t
    hogs = begin(hog, HOG)
    until(lambda: s.state(hog, "cpu_ms > 1"), "the hog")
    h("BEGIN")
    h("UPDATE t SET n = 1 WHERE id = 1")
    s.quotas(("pay", 20, 0, "tolerant"), ("h", 0, 0.0001, "batch"))
    unlocked = begin(h, "UPDATE t SET n = 2 + BENCHMARK(200000, MD5('x')) WHERE id = 2")
    until(lambda: s.state(h) == "queued" and s.state(h, "time_ms > 100"), "it to wait for quota")
    paying = begin(pay, "UPDATE t SET n = n + 10 WHERE id = 1")
    unlocked.join(200)
    h("COMMIT")
    s.root(f"KILL QUERY {hog.id}")
    for t in (unlocked, paying, hogs):
        t.join(200)
        same(t.is_alive(), False)
    same(s.root("SELECT n FROM test.t WHERE id IN (1, 2) ORDER BY id"), [(11,), (2,)])
    # "unlock" is the fifth.
    owed, before = cpu("tier4"), cpu("high")
    same(owed > 20e6, True, f"{owed} ns of unlock")
    s.quotas(("pay", 20, 0, "tolerant"), ("h", 0, 100, "batch"))
    h("SELECT 1")
    until(lambda: cpu("high") >= before + 0.9 * owed, "it to be charged")


def unlocking_is_owed_once():
    """... also where it was lent a place besides: no more than the statement used is charged"""
    s = Server("--loose-baton-slots=2", "--innodb-lock-wait-timeout=1000", quotas=[("pay", 20, 0, "tolerant"), ("h", 0, 100, "batch")])
    with_table(s)
    h, pay = s.session("h"), s.session("pay")

    def charged():
        page = json.loads(subprocess.run([BATON, "stats", "--json", s.page], capture_output=True, text=True, check=True).stdout)
        return next(u["cpu"] for t in page["tenants"] if t["name"] == "h" for u in t["tiers"] if u["tier"] == "high")

    def used():
        return s.cpu_by_user().get("h", 0)
    h("BEGIN")
    h("UPDATE t SET n = 1 WHERE id = 1")
    paying = threading.Thread(target=pay.ended, args=("UPDATE t SET n = n + 10 WHERE id = 1",))
    paying.start()
    until(lambda: s.state(pay) == "waits for lock", "somebody to wait for the lock")
    s.quotas(("pay", 20, 0, "tolerant"), ("h", 0, 0.0001, "batch"))
    before, cpu = charged(), used()
    # More than "unlock" may use of a second, so that it is stopped there, too.
    h("UPDATE t SET n = 2 + BENCHMARK(1000000, MD5('x')) WHERE id = 2")
    cpu = used() - cpu
    h("COMMIT")
    paying.join(200)
    same(paying.is_alive(), False)
    s.quotas(("pay", 20, 0, "tolerant"), ("h", 0, 100, "batch"))
    h("SELECT 1")
    until(lambda: charged() - before >= 0.8 * cpu, "it to be charged")
    if charged() - before > 1.03 * cpu + 20e6:
        raise AssertionError(f"{cpu} ns of CPU were used, {charged() - before} were charged")


def change_user():
    """COM_CHANGE_USER and COM_RESET_CONNECTION: whose request a statement is, and its class, follow"""
    s = Server(quotas=[("bat", 0, 10, "batch"), ("tol", 5, 50, "tolerant")])
    critical = "q:SET SESSION baton_class = 'critical'"
    got = binary(s, "bat", "q:SELECT 0", critical, "q:SELECT 1", "u:tol", "q:SELECT 2", critical, "q:SELECT 3", "u:bat", "q:SELECT 4", critical,
                 "q:SELECT 5", "r", "q:SELECT 6")
    same([g["errno"] for g in got], [0, 0, REFUSED, 0, 0, 0, 0, 0, 0, 0, REFUSED, 0, 0])
    same(s.tenant("tol", "finished") >= 3, True)


def classes():
    """SET SESSION baton_class: critical is refused, tolerant and batch wait; what has no quota is refused by name"""
    s = Server(quotas=[("crit", 1, 5, "critical"), ("only", 0, 10, "batch")])
    c = s.session("crit")
    spend(c)
    for cls in ("tolerant", "batch"):
        c(f"SET SESSION baton_class = '{cls}'")
        for _ in range(6):
            c(BURN)
    c("SET SESSION baton_class = DEFAULT")
    spend(c)
    o = s.session("only")
    o("SET SESSION baton_class = 'critical'")
    e = o.refused("SELECT 1")
    same(e.number, REFUSED)
    has(e.text, "Tenant 'only' has bought no CPU that a critical statement could use")
    has(s.root.refused("SET SESSION baton_class = 'swift'").text, "can't be set to the value of 'swift'")


def pages_and_tables():
    """INFORMATION_SCHEMA, the status variables, the page and Prometheus say the same; others' statements are not shown"""
    s = Server(quotas=[("one", 10, 10, "tolerant"), ("two", 0, 10, "batch")])
    one, two = s.session("one"), s.session("two")
    with_table(s)
    for _ in range(20):
        one("SELECT COUNT(*) FROM t")
    t = threading.Thread(target=lambda: two.ended("SELECT SLEEP(1000), 'secret'"))
    t.start()
    until(lambda: s.state(two) == "sleeps", "one that sleeps")
    until(lambda: s.state(two, "time_ms > 150"), "it to be late")
    same(one("SELECT statement FROM information_schema.BATON_STATEMENTS"), [("SELECT statement FROM information_schema.BATON_STATEMENTS",)])
    has(s.state(two, "statement"), "secret")
    s.root(f"KILL QUERY {two.id}")
    t.join(120)
    same(t.is_alive(), False)
    same(one("SELECT COUNT(*) FROM information_schema.BATON_LATE WHERE statement LIKE '%secret%'"), [(0,)])
    same(s.root("SELECT user, class FROM information_schema.BATON_LATE WHERE statement LIKE '%secret%' AND user <> 'root'")[0], ("two", "batch"))
    row = s.root("SELECT low_latency, high_latency, has_row, class FROM information_schema.BATON_TENANTS WHERE tenant = 'one'")[0]
    same(row, (10.0, 10.0, "YES", "tolerant"))
    # No sentence is cut.
    same(s.root("SELECT table_name, character_maximum_length FROM information_schema.COLUMNS WHERE column_name = 'WHY' AND table_name LIKE "
                "'BATON%' ORDER BY 1"), [("BATON_LATE", 512), ("BATON_STATEMENTS", 512)])
    until(lambda: s.tenant("one", "finished") >= 22, "requests to be counted")
    page = json.loads(subprocess.run([BATON, "stats", "--json", s.page], capture_output=True, text=True, check=True).stdout)
    tenants = {t["name"]: t for t in page["tenants"]}
    same(sorted(tenants), ["one", "root", "two"])
    prom = subprocess.run([BATON, "stats", "--prometheus", s.page], capture_output=True, text=True, check=True).stdout
    has(prom, 'tenant="one"')
    same(int(s.status("tenants")), 3)
    same(s.status("detection") != "", True)


def long_waits():
    """A percentile that is longer than a histogram can tell is NULL, in JSON null, and no number"""
    # A slice a second, which is the first statement's; of two the second could have one in another slot.
    s = Server(quotas=[("slow", 0, 0.004, "batch"), ("quick", 10, 10, "tolerant")])
    older, slow, quick = s.session("slow"), s.session("slow"), s.session("quick")
    h = threading.Thread(target=older.ended, args=(HOG,))
    h.start()
    until(lambda: s.state(older, "throttled_ms > 0"), "the quota to be used up")
    t = threading.Thread(target=lambda: slow("SELECT 1"))
    t.start()
    until(lambda: s.state(slow) == "queued", "a queued statement")
    time.sleep(18)
    quick("SELECT 1")
    s.root(f"KILL QUERY {older.id}")
    s.root("UPDATE mysql.baton_quotas SET high_latency = 50 WHERE user = 'slow'")
    s.root("SET GLOBAL baton_reload_now = ON")
    for thread in (h, t):
        thread.join(60)
        same(thread.is_alive(), False)
    rows = s.root("SELECT tenant, wait_p99_ms IS NULL, wait_p99_ms < 17000 FROM information_schema.BATON_TENANTS "
                  "WHERE tenant IN ('quick', 'slow', 'root') ORDER BY 1")
    same(rows, [("quick", 0, 1), ("root", 0, 1), ("slow", 1, None)])
    page = json.loads(subprocess.run([BATON, "stats", "--json", s.page], capture_output=True, text=True, check=True).stdout)
    waits = {t["name"]: [u["wait"]["p99"] for u in t["tiers"] if u["wait"]["count"]] for t in page["tenants"]}
    same(waits["slow"], [None])
    same(None in waits["quick"], False)


def quotas_all_or_nothing():
    """Quotas change as a whole or not at all, under load, by those who may; what is wrong is said"""
    s = Server(quotas=[("a", 30, 10, "tolerant"), ("b", 30, 10, "tolerant")])
    r = s.root
    load = s.load("a", "SELECT BENCHMARK(2000, MD5('x'))", "-c", 4)
    until(lambda: s.tenant("a", "finished > 3"), "the load")

    def refused(change, says):
        r(change)
        has(r.refused("SET GLOBAL baton_reload_now = ON").text, says)
        same(r("SELECT tenant, low_latency, high_latency FROM information_schema.BATON_TENANTS WHERE has_row = 'YES' ORDER BY 1"),
             [("a", 30.0, 10.0), ("b", 30.0, 10.0)])
        r("DELETE FROM mysql.baton_quotas")
        r("INSERT INTO mysql.baton_quotas VALUES ('a', 30, 10, 'tolerant'), ('b', 30, 10, 'tolerant')")
    refused("UPDATE mysql.baton_quotas SET low_latency = 50 WHERE user = 'a'", "add up to 80.*more than.*70.*quotas are what they were")
    refused("UPDATE mysql.baton_quotas SET low_latency = 0, class = 'critical' WHERE user = 'a'", "'a' is critical and has no low_latency")
    refused("UPDATE mysql.baton_quotas SET high_latency = 0, class = 'batch' WHERE user = 'a'", "'a' is batch and has no high_latency")
    refused("UPDATE mysql.baton_quotas SET low_latency = 0, high_latency = 0 WHERE user = 'a'", "'a' has neither")
    refused("INSERT INTO mysql.baton_quotas VALUES ('%', 1, 1, 'tolerant')", "low_latency of '%' must be 0")
    has(r.refused("UPDATE mysql.baton_quotas SET low_latency = 101").text, "CONSTRAINT")
    r("BEGIN")
    r("UPDATE mysql.baton_quotas SET low_latency = 1")
    has(r.refused("SET GLOBAL baton_reload_now = ON").text, "in a transaction: COMMIT first")
    r("ROLLBACK")
    a = s.session("a")
    same(a.refused("SET GLOBAL baton_reload_now = ON").number, 1227)
    same(a.refused("SET GLOBAL baton_enforce = OFF").number, 1227)
    same(a.refused("UPDATE mysql.baton_quotas SET low_latency = 99").number, 1142)
    # From one to the other in one go, which no order of single changes would allow.
    r("UPDATE mysql.baton_quotas SET low_latency = IF(user = 'a', 65, 5)")
    r("SET GLOBAL baton_reload_now = ON")
    same(s.tenant("a", "low_latency"), 65.0)
    for i in range(40):
        r(f"UPDATE mysql.baton_quotas SET low_latency = {10 + i}, high_latency = {i + 1} WHERE user = 'a'")
        r("SET GLOBAL baton_reload_now = ON")
    r("DELETE FROM mysql.baton_quotas WHERE user = 'a'")
    r("SET GLOBAL baton_reload_now = ON")
    # A tenant by its row has gone; one that is like others without a row comes with the user's next statement.
    a("SELECT 1")
    same(r("SELECT low_latency, high_latency, has_row FROM information_schema.BATON_TENANTS WHERE tenant = 'a'"), [(0.0, 100.0, "NO")])
    got = s.loaded(load)
    same(got["n"] > 3, True)
    same((got["errors"], got["rejected"]), (0, 0))


def roles():
    """A role's row is for all to whom it is granted, also through another role, but those with a row of their own"""
    s = Server()
    r = s.root
    for sql in ("CREATE ROLE gold", "CREATE ROLE staff", "GRANT gold TO staff"):
        r(sql)
    for u in ("u1", "u2", "u3", "u4"):
        s.user(u)
    r("GRANT gold TO u1")
    r("GRANT staff TO u2")
    r("GRANT gold TO u3")
    s.quotas(("gold", 20, 20, "tolerant"), ("u3", 0, 5, "batch"), ("%", 0, 50, "batch"))
    tenants = {}
    for u in ("u1", "u2", "u3", "u4"):
        c = s.session(u)
        tenants[u] = c.one("SELECT CONCAT(tenant, ' ', class) FROM information_schema.BATON_STATEMENTS")
    same(tenants, {"u1": "gold tolerant", "u2": "gold tolerant", "u3": "u3 batch", "u4": "u4 batch"})
    same(s.tenant("u4", "high_latency"), 50.0)


def administrators():
    """An administrator gets in while others want all there is, and more than others' quotas allow"""
    s = Server(cpus="0", quotas=[("h1", 35, 100, "tolerant"), ("h2", 35, 100, "tolerant")])
    loads = [s.load(u, HOG, "-c", 8) for u in ("h1", "h2")]

    def crowd():
        return s.root.one("SELECT COUNT(*) FROM information_schema.BATON_STATEMENTS WHERE tenant IN ('h1', 'h2')")
    until(lambda: crowd() == 16, "a crowd")
    same(s.root.one("SELECT class FROM information_schema.BATON_STATEMENTS WHERE user = 'root'"), "internal")
    for _ in range(5):
        c = s.session("root")
        c("SELECT COUNT(*) FROM information_schema.TABLES")
        c.close()
    # None of theirs has ended meanwhile.
    same(crowd(), 16)
    for p in loads:
        p.kill()


def events():
    """An event's statements are its definer's, and wait for that one's quota"""
    s = Server("--event-scheduler=ON", cpus="0", quotas=[("ev", 0, 5, "batch")])
    s.root("GRANT EVENT ON test.* TO ev")
    c = s.session("ev")
    c("CREATE TABLE done (id INT)")
    c("CREATE EVENT e ON SCHEDULE AT NOW() DO BEGIN DO BENCHMARK(500000, MD5('x')); INSERT INTO done VALUES (1); END")
    until(lambda: s.root.one("SELECT COUNT(*) FROM test.done") == 1, "the event", 120)
    same(s.tenant("ev", "cpu_ms > 20"), 1)
    same(s.tenant("ev", "throttled_ms > 0"), 1)


def load_data():
    """LOAD DATA LOCAL whose client is slow does not keep others from their CPU"""
    s = Server(cpus="0", quotas=[("slow", 10, 40, "tolerant"), ("other", 10, 40, "tolerant")])
    with_table(s)
    fifo = s.dir + "/fifo"
    os.mkfifo(fifo)
    c, o = s.session("slow"), s.session("other")
    t = threading.Thread(target=lambda: c(f"LOAD DATA LOCAL INFILE '{fifo}' INTO TABLE t"))
    t.start()
    with open(fifo, "w") as f:
        for i in range(5):
            f.write("".join(f"{2000 + i * 5000 + k}\t1\n" for k in range(5000)))
            f.flush()
            for _ in range(20):
                o("SELECT COUNT(*) FROM t")
            time.sleep(0.1)
    t.join(120)
    same(t.is_alive(), False)
    same(s.root.one("SELECT COUNT(*) FROM test.t"), 26000)


def uninstall_under_load():
    """UNINSTALL and INSTALL under load: no statement is lost, nobody waits for quota meanwhile, quotas hold again"""
    s = Server(cpus="0", plugin=False, quotas=())
    with open(os.path.join(TOP, "service/mariadb/mariadb.sql")) as f:
        s.client(f.read())
    s.quotas(("h", 0, 5, "batch"), ("p", 20, 20, "tolerant"))
    with_table(s)
    loads = [s.load("h", "SELECT BENCHMARK(20000, MD5('x'))", "-c", 4),
             s.load("p", "UPDATE t SET n = n + 1 WHERE id = {1,1000}", "-c", 4, "-b")]

    def goes_on():
        before = s.root.one("SELECT SUM(n) FROM test.t")
        until(lambda: s.root.one("SELECT SUM(n) FROM test.t") > before + 20, "updates")
    for _ in range(3):
        goes_on()
        s.root("UNINSTALL SONAME 'baton'")
        until(lambda: not s.root("SELECT 1 FROM information_schema.PLUGINS WHERE plugin_library = 'baton.so'"), "it to be unloaded")
        goes_on()
        s.root("INSTALL SONAME 'baton'")
    same(s.tenant("h", "high_latency"), 5.0)
    until(lambda: s.tenant("h", "throttled_ms > 0"), "quotas to hold again")
    for p in loads:
        got = s.loaded(p)
        same((got["errors"], got["rejected"]), (0, 0))
        same(got["n"] > 0, True)
    s.root("UNINSTALL SONAME 'baton'")
    same(s.stop(), 0)


def pool_of_threads():
    """pool-of-threads: statements are requests there as well, waits do not starve the pool, KILL works"""
    s = Server("--thread-handling=pool-of-threads", "--thread-pool-size=1", cpus="0",
               quotas=[("h", 0, 5, "batch"), ("p", 40, 20, "tolerant")])
    with_table(s)
    loads = [s.load("h", "SELECT BENCHMARK(30000, MD5('x'))", "-c", 6),
             s.load("p", "UPDATE t SET n = n + 1 WHERE id = {1,1000}", "-c", 4, "-b", "-r", 50)]
    until(lambda: int(s.status("queued")) > 2, "some that wait")
    victim = until(lambda: s.root.one("SELECT id FROM information_schema.BATON_STATEMENTS WHERE state = 'queued' AND user = 'h'"), "one")
    s.root(f"KILL QUERY {victim}")
    until(lambda: s.root.one("SELECT SUM(n) FROM test.t") > 100, "updates")
    until(lambda: s.tenant("h", "throttled_ms > 0"), "one that has used its quota")
    p = s.loaded(loads[1])
    same(p["errors"], 0)
    h = s.loaded(loads[0])
    same(h["errors"] <= 1, True)
    until(lambda: s.tenant("p", "in_flight") + s.tenant("h", "in_flight") == 0, "no request in flight")


def performance_schema():
    """With the performance schema, which has the instrumentation interface already: both do their work"""
    s = Server("--performance-schema=ON", cpus="0", quotas=[("h", 0, 10, "batch")])
    with_table(s)
    s.root("UPDATE performance_schema.setup_consumers SET enabled = 'YES'")
    s.root("UPDATE performance_schema.setup_instruments SET enabled = 'YES', timed = 'YES'")
    h = s.session("h")
    h("SELECT COUNT(*) FROM t a, t b WHERE a.n + b.n = 3")
    h("SELECT 'seen'")
    got = binary(s, "h", "p:SELECT id FROM t", "q:SET SESSION baton_class = 'critical'", "p:SELECT 2", "q:SELECT 3")
    same([g["errno"] for g in got], [0, 0, REFUSED, REFUSED])
    same(s.tenant("h", "cpu_ms > 10"), 1)
    same(s.root.one("SELECT COUNT(*) > 0 FROM performance_schema.events_statements_history WHERE sql_text = \"SELECT 'seen'\""), 1)
    same(s.root.one("SELECT count_read > 1000 FROM performance_schema.table_io_waits_summary_by_table WHERE object_name = 't'"), 1)


main([refused_says_when, refused_in_every_way, refused_second_of_several, transaction_survives, routines_and_cursors, kill_in_queue,
      kill_stopped, kill_behind, locks_of_others, locks_with_spare_cpu, unlocking_is_owed,
      unlocking_is_owed_once, change_user, classes, pages_and_tables, long_waits, quotas_all_or_nothing,
      roles, administrators, events, load_data, uninstall_under_load, pool_of_threads, performance_schema])

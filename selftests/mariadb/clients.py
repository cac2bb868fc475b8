#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The server with the plugin as programs use it: sysbench, the client, the drivers
of Java, node and Python; many connections; replication; and that a server that
was killed comes up with all that it had said yes to.

    clients [NAME]...    only these
"""
import os
import signal
import subprocess
import threading

from harness import HERE, Error, Server, Session, Skip, children, free_port, has, main, need, same, until

REFUSED = 1226
HOG = "SELECT BENCHMARK(1000000000000, MD5('x'))"
JAR = "/usr/share/java/mariadb-java-client.jar"


def sysbench(server, user, test, *args, wait=True):
    p = subprocess.Popen(["sysbench", f"--mysql-socket={server.socket}", f"--mysql-user={user}", f"--mysql-db={user}", "--db-driver=mysql",
                          "--tables=1", "--table-size=2000", "--rand-type=uniform", test, *args],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    children.append(p)
    return sysbench_ended(p) if wait else p


def sysbench_ended(p):
    out = p.communicate(timeout=280)[0]
    if p.returncode:
        raise AssertionError(f"sysbench: {out}")
    return out


def with_sysbench(server, *users):
    need("sysbench", "sysbench")
    for user in users:
        server.root(f"CREATE DATABASE {user}")
        server.root(f"GRANT ALL ON {user}.* TO {user}")
        sysbench(server, user, "oltp_read_write", "prepare")


def sysbench_of_all():
    """point_select, read_write and write_only of a paying user beside those of one who floods: no transaction fails or is lost"""
    s = Server(cpus="0", quotas=[("pay", 40, 20, "tolerant"), ("flood", 0, 30, "batch")])
    with_sysbench(s, "pay", "flood")
    for test in ("oltp_point_select", "oltp_read_write", "oltp_write_only"):
        for how in ("auto", "disable"):
            n = 400 if "point" in test else 40
            flood = sysbench(s, "flood", test, "run", "--threads=8", "--time=1000000", f"--db-ps-mode={how}", wait=False)
            out = sysbench(s, "pay", test, "run", "--threads=4", "--time=0", f"--events={n}", f"--db-ps-mode={how}")
            has(out, rf"transactions: +{n} ")
            has(out, "ignored errors: +0 ")
            same(flood.poll(), None, test)
            flood.kill()
            flood.wait()
    until(lambda: s.tenant("pay", "in_flight") + s.tenant("flood", "in_flight") == 0, "no request in flight")
    for user in ("pay", "flood"):
        same(s.client(f"CHECK TABLE {user}.sbtest1").split()[-1], "OK")
        same(s.root.one(f"SELECT COUNT(*) FROM {user}.sbtest1"), 2000)


def client():
    """The mariadb client: what it reads from a file, its errors, and that it goes on with -f after a refused statement"""
    s = Server(quotas=[("only", 0, 50, "batch")])
    same(s.client("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2); SELECT SUM(a) FROM t;", "only", "test"), "3\n")
    r = subprocess.run(["mariadb", "--no-defaults", "-S", s.socket, "-u", "only", "-N", "-f", "test"], text=True, capture_output=True,
                       input="SET baton_class = 'critical';\nINSERT INTO t VALUES (3);\nSET baton_class = DEFAULT;\nSELECT SUM(a) FROM t;\n")
    has(r.stderr, r"ERROR 1226 \(42000\) at line 2: Tenant 'only' has bought no CPU that a critical statement could use")
    same(r.stdout, "3\n")


def java():
    """Connector/J: prepared by the server and not, batches, transactions, and what it says of a refused statement"""
    need(JAR, "libmariadb-java")
    need("java", "default-jdk-headless")
    port = free_port()
    s = Server("--skip-networking=0", "--bind-address=127.0.0.1", f"--port={port}", quotas=[("only", 0, 50, "batch")])
    for options in ("", "&useServerPrepStmts=true", "&rewriteBatchedStatements=true"):
        r = subprocess.run(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAR, os.path.join(HERE, "Jdbc.java"),
                            f"jdbc:mariadb://127.0.0.1:{port}/test?user=only{options}"], capture_output=True, text=True)
        same((r.stdout, r.returncode), ("ok\n", 0), r.stderr)


def node():
    """node's driver: a query, a transaction, a refused statement, and that the connection is good after it"""
    need("node", "node-mysql")
    need("/usr/share/nodejs/mysql", "node-mysql")
    s = Server(quotas=[("only", 0, 50, "batch")])
    r = subprocess.run(["node", os.path.join(HERE, "driver.js"), s.socket], capture_output=True, text=True,
                       env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})
    same((r.stdout, r.returncode), ("ok\n", 0), r.stderr)


def python():
    """MySQLdb (and PyMySQL, which all these tests use): executemany, a transaction, a refused statement"""
    try:
        import MySQLdb
    except ImportError:
        raise Skip("mend: no MySQLdb (Debian: apt-get install python3-mysqldb)") from None
    s = Server(quotas=[("only", 0, 50, "batch")])
    db = MySQLdb.connect(unix_socket=s.socket, user="only", db="test")
    c = db.cursor()
    c.execute("CREATE TABLE t (a INT PRIMARY KEY, b TEXT)")
    c.executemany("INSERT INTO t VALUES (%s, %s)", [(i, f"row {i}") for i in range(100)])
    db.commit()
    c.execute("SET SESSION baton_class = 'critical'")
    try:
        c.execute("DELETE FROM t")
        raise AssertionError("it was not refused")
    except MySQLdb.OperationalError as e:
        same(e.args[0], REFUSED)
    c.execute("SET SESSION baton_class = DEFAULT")
    c.execute("SELECT COUNT(*), MAX(b) FROM t")
    same(c.fetchall(), ((100, "row 99"),))
    db.close()


def connections():
    """500 connections of a user whose quota is used up: all wait, are answered, and none is left behind; an administrator gets in"""
    s = Server("--max-connections=600", cpus="0", quotas=[("many", 0, 40, "batch")])
    s.root("CREATE TABLE test.done (id INT PRIMARY KEY)")
    # All of them are behind this one, which came first.
    hog = s.session("many")
    h = threading.Thread(target=hog.ended, args=(HOG,))
    h.start()
    until(lambda: s.state(hog, "throttled_ms > 0"), "the quota to be used up")
    sessions = [s.session("many") for _ in range(500)]
    threads = [threading.Thread(target=c, args=(f"INSERT INTO done SELECT {i} + BENCHMARK(300, MD5('x'))",))
               for i, c in enumerate(sessions)]
    for t in threads:
        t.start()
    until(lambda: int(s.status("queued")) == 500, "all to wait")
    same(int(s.status("connections")), 502)
    s.root(f"KILL QUERY {hog.id}")
    for t in [h, *threads]:
        t.join(200)
        same(t.is_alive(), False)
    same(s.root.one("SELECT COUNT(*) FROM test.done"), 500)
    for c in [hog, *sessions]:
        c.close()
    until(lambda: int(s.status("connections")) == 1, "connections to end")
    same(s.tenant("many", "in_flight"), 0)


def killed_server():
    """kill -9 of the server while users write and wait: what was committed is there again, and quotas hold"""
    s = Server("--innodb-flush-log-at-trx-commit=1", cpus="0", quotas=[("w", 30, 30, "tolerant"), ("h", 0, 5, "batch")])
    s.root("CREATE TABLE test.t (id INT PRIMARY KEY AUTO_INCREMENT, n INT) ENGINE=InnoDB")
    said, hog = [], s.session("h")
    threads = [threading.Thread(target=hog.ended, args=(HOG,))]

    def write(c):
        try:
            while True:
                c("BEGIN")
                c("INSERT INTO t (n) VALUES (1)")
                key = c.one("SELECT LAST_INSERT_ID()")
                c("UPDATE t SET n = 2 WHERE id = %s", key)
                c("COMMIT")
                said.append(key)
        except Exception:
            pass
    threads += [threading.Thread(target=write, args=(s.session("w"),)) for _ in range(4)]
    for t in threads:
        t.start()
    until(lambda: len(said) > 50 and s.state(hog, "throttled_ms > 0"), "writers, and one that waits")
    s.stop(signal.SIGKILL)
    for t in threads:
        t.join(120)
        same(t.is_alive(), False)
    s.start()
    s.root = Session(s, db="mysql")
    same(s.root("SELECT COUNT(*) FROM test.t WHERE n <> 2"), [(0,)])
    there = {r[0] for r in s.root("SELECT id FROM test.t")}
    same(sorted(set(said) - there), [])
    same(len(there) - len(said) <= 4, True)	# committed, and not said any more
    same(s.tenant("h", "high_latency"), 5.0)
    hog = s.session("h")
    t = threading.Thread(target=hog.ended, args=(HOG,))
    t.start()
    until(lambda: s.state(hog, "throttled_ms > 0"), "quotas to hold")
    s.root(f"KILL QUERY {hog.id}")
    t.join(120)
    same(t.is_alive(), False)


def replication():
    """A source and a replica with the plugin: the replica's threads are nobody's, and follow beside users who want all there is"""
    port = free_port()
    source = Server("--skip-networking=0", "--bind-address=127.0.0.1", f"--port={port}", "--log-bin", "--server-id=1",
                    quotas=[("w", 20, 20, "tolerant")])
    replica = Server("--server-id=2", "--read-only=0", "--replicate-do-db=test", cpus="0", quotas=[("h", 10, 90, "tolerant")])
    source.root("CREATE USER repl")
    source.root("GRANT REPLICATION SLAVE ON *.* TO repl")
    at = source.root("SHOW MASTER STATUS")[0]
    replica.root(f"CHANGE MASTER TO master_host = '127.0.0.1', master_port = {port}, master_user = 'repl', master_log_file = '{at[0]}', "
                 f"master_log_pos = {at[1]}")
    replica.root("START SLAVE")
    load = replica.load("h", HOG, "-c", 4)
    until(lambda: int(replica.status("running")) + int(replica.status("queued")) >= 5, "those who want all")
    w = source.session("w")
    w("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    for i in range(100):
        w("INSERT INTO t VALUES (%s, 0)", i)
    w("UPDATE t SET n = n + id")

    def follows():
        try:
            return replica.root("SELECT COUNT(*), SUM(n) FROM test.t") == [(100, 4950)]
        except Error as e:
            same(e.number, 1146)	# the table is not there yet
    until(follows, "the replica to follow")
    same(replica.root("SELECT DISTINCT user FROM information_schema.BATON_STATEMENTS ORDER BY 1"), [("h",), ("root",)])
    same(source.root("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE command = 'Binlog Dump'"), [(1,)])
    same(replica.root("SELECT DISTINCT user FROM information_schema.BATON_LATE WHERE user NOT IN ('h', 'root', 'w')"), [])
    replica.root("STOP SLAVE")
    load.kill()


def pool_at_load():
    """INSTALL in a server whose connections are served by a pool of threads is refused with what to do; at the start it is not"""
    s = Server("--thread-handling=pool-of-threads", plugin=False)
    e = s.root.refused("INSTALL SONAME 'baton'")
    has(e.text, "baton: not loaded: with thread_handling=pool-of-threads the plugin has to be there when the server starts: "
                "plugin_load_add = baton, and a restart")
    same(s.root.one("SELECT 1"), 1)
    s.stop()
    s.plugin = True
    s.start()
    s.root = Session(s, db="mysql")
    same(s.root.one("SELECT plugin_status FROM information_schema.PLUGINS WHERE plugin_name = 'baton'"), "ACTIVE")


main([client, python, node, java, sysbench_of_all, connections, killed_server, replication, pool_at_load])

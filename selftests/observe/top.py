#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""baton top in a terminal of 80 columns and 24 lines, which is played here."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

O = os.environ["O"]
BATON = f"{O}/tools/baton/baton"
LINES, COLUMNS = 24, 80


class Terminal:
    """As much of a VT100 as ncurses uses of it; anything else is an error."""

    def __init__(self, *args, term="vt100"):
        self.screen = [[" "] * COLUMNS for _ in range(LINES)]
        self.y = self.x = self.top = 0
        self.bottom = LINES - 1  # of what scrolls
        self.rest = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM=term, LC_ALL="C.UTF-8")
            os.execv(BATON, ["baton", "top", *args])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def put(self, c):
        assert self.x < COLUMNS and self.y < LINES, f"{c!r} at {self.y},{self.x}"
        self.screen[self.y][self.x] = c
        self.x += 1

    def erase(self, y, x0, x1):
        self.screen[y][x0:x1] = [" "] * (x1 - x0)

    def scroll(self, gone, new):
        del self.screen[gone]
        self.screen.insert(new, [" "] * COLUMNS)

    def down(self):
        if self.y == self.bottom:
            self.scroll(self.top, self.bottom)
        else:
            self.y = min(self.y + 1, LINES - 1)

    def up(self):
        if self.y == self.top:
            self.scroll(self.bottom, self.top)
        else:
            self.y = max(self.y - 1, 0)

    def feed(self, text):
        text = self.rest + text
        at = 0
        token = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78HMDE]|[\x00\x0e\x0f\x07]|[\r\n\t\x08]|[^\x1b]")
        while at < len(text):
            m = token.match(text, at)
            if not m:
                if len(text) - at < 12:
                    break
                raise AssertionError(f"not known: {text[at:at + 12]!r}")
            at = m.end()
            t = m.group()
            if m.group(2):
                n = [int(v) if v else 0 for v in m.group(1).lstrip("?").split(";")]
                one = n[0] or 1
                if m.group(2) == "H":
                    self.y, self.x = one - 1, (n[1] if len(n) > 1 and n[1] else 1) - 1
                elif m.group(2) in "ABCD":
                    self.y += {"A": -one, "B": one}.get(m.group(2), 0)
                    self.x += {"C": one, "D": -one}.get(m.group(2), 0)
                elif m.group(2) == "K":
                    self.erase(self.y, *((0, self.x + 1) if n[0] == 1 else (self.x, COLUMNS)))
                elif m.group(2) == "J":
                    self.erase(self.y, self.x, COLUMNS)
                    for y in range(self.y + 1, LINES):
                        self.erase(y, 0, COLUMNS)
                elif m.group(2) == "r":
                    self.top, self.bottom = one - 1, (n[1] if len(n) > 1 and n[1] else LINES) - 1
                    self.y = self.x = 0
                else:
                    assert m.group(2) in "mhl", t
            elif t == "\r":
                self.x = 0
            elif t in ("\n", "\x1bD"):
                self.down()
            elif t == "\x1bM":
                self.up()
            elif t == "\b":
                self.x -= 1
            elif t == "\t":
                self.x = min((self.x // 8 + 1) * 8, COLUMNS - 1)
            elif t >= " ":
                self.put(t)
        self.rest = text[at:]

    def lines(self):
        return ["".join(line).rstrip() for line in self.screen]

    def until(self, what, seconds=60):
        """Reads until what(lines) is true."""
        end = time.time() + seconds
        while time.time() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    break
                self.feed(self.decoder.decode(data))
            if what(self.lines()):
                return self.lines()
        raise AssertionError("not seen; the screen:\n" + "\n".join(self.lines()))

    def key(self, c):
        os.write(self.fd, c.encode())

    def ends(self):
        end = time.time() + 60
        while time.time() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("does not end")


def tenants(lines):
    return [re.split(r"\s{2,}|(?<=\S)\s+(?=\d)", l)[0].strip() for l in lines[4:23] if l]


def shows():
    t = Terminal("--delay", "0.3", "svc")
    # Its last line is drawn last.
    busy = t.until(lambda l: len(tenants(l)) == 3 and re.search(r"busy [012]\.\d+, [1-9]\d* switches/s", l[1]) and
                   l[23].startswith("q quit"))
    assert busy[0].startswith("baton top - svc (") and busy[0].endswith("sorted by CPU"), busy[0]
    says = re.sub(r" \(\d+% given\)", "", busy[2])
    assert says == "capacity 2.00 CPUs, low-latency sold 10.2% of 70.0%, 3 tenants", busy[2]
    assert busy[3].split() == "TENANT CPU LOW LEFT ADMIT/s REJ/s DROP/s THRTL P50 P99".split(), busy[3]
    assert busy[23].startswith("q quit  b blocking  sort: c CPU"), busy[23]
    assert max(map(len, busy)) <= COLUMNS
    assert any(l.startswith("émile ") for l in busy[4:7]), busy[4:7]
    alice = next(l for l in busy if l.startswith("alice "))
    assert re.fullmatch(r"alice +[\d.]+% +10.0% +[\d.]+% +\d+ +\d+ +\d+ +\d+% +[\d.]+[um]?s +[\d.]+[um]?s", alice), alice
    t.key("n")
    t.until(lambda l: l[0].endswith("sorted by name") and tenants(l)[0] == "alice")
    t.key("r")
    t.until(lambda l: l[0].endswith("sorted by rejected") and tenants(l)[0] == "émile")
    # The service is not connected to any `baton load`, if there is one.
    t.key("b")
    blocking = t.until(lambda l: "BLOCKED UNANNOUNCED" in l[3] and "baton" in l[4])
    assert any(w in "".join(blocking[4:8]) for w in ("needs CAP_BPF", "baton load", "built without BPF", "no BTF", "needs Linux")), blocking[4:8]
    t.key("b")
    t.until(lambda l: l[3].startswith("TENANT"))
    t.key("q")
    assert t.ends() == 0


def says_that_it_died():
    t = Terminal("--delay", "0.1")
    t.until(lambda l: "svc" in l[0])
    service.kill()
    service.wait()
    t.until(lambda l: "DIED" in l[0])
    t.key("q")
    assert t.ends() == 0


def file_cut_short():
    """A page that becomes shorter while it is shown, as a bad service can make its own."""
    copy = os.path.join(os.environ["BATON_RUN_DIR"], "copy")
    page = os.path.join(os.environ["BATON_RUN_DIR"], "svc")
    subprocess.run(["cp", "--sparse=always", page, copy], check=True)
    t = Terminal("--delay", "0.1", copy)
    t.until(lambda l: "alice" in l[4] + l[5] + l[6])
    os.truncate(copy, 0)
    t.until(lambda l: "DIED" in l[0] and l[2].endswith(" 0 tenants"))
    t.key("q")
    assert t.ends() == 0
    os.unlink(copy)


def refuses():
    def run(*args, **env):
        return subprocess.run([BATON, "top", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, **env))

    r = run("svc", TERM="no-such-terminal")
    assert r.returncode == 1 and "this is no terminal it can use (TERM=no-such-terminal)" in r.stderr, r
    r = run("none")
    assert r.returncode == 1 and "none: No such file or directory" in r.stderr, r
    for args in (["--delay", "0"], ["--delay"], ["--delay", "1x"], ["--fast"], ["a", "b"]):
        assert run(*args).returncode == 2, args
    assert run("--help").returncode == 0


if "built without ncurses" in subprocess.run([BATON, "top"], capture_output=True, text=True).stderr:
    print("1..0 # SKIP mend: built without ncurses (apt-get install libncurses-dev, then make clean)")
    sys.exit(4)
tests = [refuses, shows, file_cut_short, says_that_it_died]
failed = 0
print(f"1..{len(tests)}", flush=True)
with tempfile.TemporaryDirectory() as d:
    os.environ["BATON_RUN_DIR"] = d
    service = subprocess.Popen([f"{O}/selftests/observe/service", "svc"], stdout=subprocess.PIPE)
    assert service.stdout.readline() == b"ready\n"
    try:
        for n, test in enumerate(tests, 1):
            try:
                test()
                print(f"ok {n} - {test.__name__}", flush=True)
            except AssertionError as e:
                failed = 1
                print(f"not ok {n} - {test.__name__}")
                print("\n".join("# " + l for l in str(e).splitlines()[:40]), flush=True)
    finally:
        service.kill()
sys.exit(failed)

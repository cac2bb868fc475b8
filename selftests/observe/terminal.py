# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal of 80 columns and 24 lines, for tests of baton top."""
import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BATON = os.path.join(os.environ.get("O") or os.path.join(TOP, "build"), "tools/baton/baton")
LINES, COLUMNS = 24, 80


class Terminal:
    """As much of a VT100 as ncurses uses of it; anything else is an error."""

    def __init__(self, *args, term="vt100"):
        self.screen = [[" "] * COLUMNS for _ in range(LINES)]
        self.y = self.x = self.top = 0
        self.bottom = LINES - 1  # the last line that scrolls
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

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
batondb's page in a headless Chromium, which shows it as it would to anybody.

    page [NAME]...    only these
"""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from harness import Raw, Server, free_port, main, need, same

BURN = "select count(*) from numbers(1000000) as x"


class Browser:
    """Through chromedriver; nothing but the page is loaded, and nothing is kept."""

    def __init__(self):
        need("/usr/bin/chromium", "chromium")
        need("/usr/bin/chromedriver", "chromium-driver")
        self.dir = tempfile.mkdtemp(prefix="page-")
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.p = subprocess.Popen(["chromedriver", f"--port={port}"], env=dict(os.environ, HOME=self.dir, TMPDIR=self.dir),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,600",
                f"--user-data-dir={self.dir}/profile"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": args},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        until(self.is_up, "chromedriver answers")
        self.session = ""
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def is_up(self):
        try:
            return urllib.request.urlopen(self.base + "/status", timeout=10).status == 200
        except OSError:
            return False

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.base + self.session + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            return json.load(urllib.request.urlopen(request, timeout=120))["value"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{method} {path}: {e.read().decode()[:500]}") from None

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def js(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def rows(self):
        """User: texts of the row's cells, and the widths of its bar and where the line is, in % of the bar's place."""
        got = self.js("""
            return Array.from(document.querySelectorAll('#t tr')).map(r => {
                const g = r.querySelector('.bar').getBoundingClientRect();
                const use = r.querySelector('.bar i').getBoundingClientRect(), line = r.querySelector('.bar b').getBoundingClientRect();
                return [Array.from(r.cells).map(c => c.innerText), 100 * use.width / g.width, 100 * (line.left - g.left) / g.width];
            })""")
        return {cells[0]: (cells, use, line) for cells, use, line in got}

    def errors(self):
        return [l["message"] for l in self.ask("POST", "/se/log", {"type": "browser"}) if l["level"] == "SEVERE"]

    def close(self):
        try:
            self.ask("DELETE", "")
        except (OSError, AssertionError):
            pass
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)


def until(condition, what):
    end = time.monotonic() + 100
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"in vain waited for: {what}")
        time.sleep(0.1)


def with_page(test):
    """test(browser, server, url of its page), where a user a with 10% of one slot is busy."""
    def run():
        browser = Browser()
        try:
            port = free_port()
            s = Server(f"http_port={port}", "slots=1")
            s.psql("create user a; alter user a set baton.low_latency = '10%'; alter user a set baton.high_latency = '20%';"
                   "create user \"<img src=x onerror='document.title=1'>\"")
            test(browser, s, f"http://127.0.0.1:{port}/")
            s.close()
        finally:
            browser.close()
    run.__name__ = test.__name__
    return run


@with_page
def shows_tenants(browser, s, url):
    ended = threading.Event()

    def load():
        c = Raw(s, "a")
        while not ended.is_set():
            c.query(BURN)

    busy = threading.Thread(target=load, daemon=True)
    busy.start()
    browser.go(url)
    try:
        until(lambda: float(browser.rows().get("a", (["0"] * 4,))[0][3]) > 3, "CPU of a is seen")
        rows = browser.rows()
        cells, use, line = rows["a"]
        same((cells[1], cells[4], cells[7]), ("tolerant", "30.0", "0"))
        same(abs(use - min(100, float(cells[3]))) < 1.5, True, f"a bar of {use}% for {cells[3]}%")
        same(abs(line - 30) < 1.5, True, f"the line is at {line}%, bought are 30%")
        same(float(cells[8]) > 0, True, "its median latency")
        # A name is text, whatever it is.
        same("<img src=x onerror='document.title=1'>" in rows, True, str(list(rows)))
        same(browser.js("return document.title + document.images.length"), "batondb0")
        same(len(rows), 3)
        png = base64.b64decode(browser.ask("GET", "/screenshot"))
        same(png[1:4], b"PNG")
        if os.environ.get("PAGE_PNG"):
            with open(os.environ["PAGE_PNG"], "wb") as f:
                f.write(png)
    finally:
        ended.set()
        busy.join(60)
    same(browser.errors(), [])


@with_page
def is_live(browser, s, url):
    browser.go(url)
    status = "return document.getElementById('s').innerText"
    until(lambda: browser.js(status).endswith("quotas on"), "quotas on")
    # Changes are seen, without loading the page again.
    s.psql("create user b; alter user b set baton.class = batch; alter system set baton.quotas = off")
    until(lambda: browser.js(status).endswith("quotas off"), "quotas off")
    until(lambda: browser.rows().get("b", (["", ""],))[0][1] == "batch", "the new user")
    # The page says so when the server is gone, and goes on when it is back.
    s.kill()
    until(lambda: browser.js(status) == "no connection to the server", "the server is gone")
    s.start()
    until(lambda: browser.js(status).endswith("quotas off"), "the server is back")
    same(len(browser.rows()), 4)


sys.exit(main([shows_tenants, is_live]))

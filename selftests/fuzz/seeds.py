#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
seeds NAME DIR: the inputs that the fuzzer NAME begins with, in DIR. Text in quotes in the
sources and their tests are the words of which inputs are made: DIR.words.
"""
import base64
import hashlib
import hmac
import os
import re
import struct
import sys

TOP = os.environ.get("TOP") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def config():
    yield from (s.encode() for s in (
        "slots 4\ncapacity 3.5\nlow_limit 60%\ntier low policy=quota rank=0\ntier high policy=arrival rank=1\n"
        "tier backup policy=fifo rank=2 reserve=2% limit=10%\ntenant alice low=10% high=25%\ntenant \"Bob & Co\" high=50%\n",
        "# nothing\n\n\r\n", "tenant a\\\"b high=1%", "tenant \"a\\\"b\\\\\" low=0.0001% requests=5 workers=3", "tier low\ntier low\n",
        "slots 0\ncapacity 9\nlow_limit 71%\n", "tenant a high=60%\ntenant b high=60%\n", "tier a policy=lifo\ntier b policy=rr share=3\n",
        "listen 127.0.0.1\nname \"two words\"\n", "tenant \xe4\xf6 high=1%", "tenant x high=1%\0", "slots 99999999999999999999\n"))


def page():
    # Part, place, length, bytes: page.c.
    def change(part, at, data):
        return bytes([part]) + struct.pack("!HB", at, len(data)) + data

    word = lambda n: struct.pack("<Q", n)
    event = lambda time, task, request, what: struct.pack("<4Q", time, task, request, what)
    yield b""
    for at in range(0, 240, 8):
        yield change(0, at, word(0)) + change(0, at, word(1 << 63 | 1))
        yield change(0, at, word(4096))
    yield change(3, 0, b"\xff" * 255)
    yield change(1, 0, b"\xff" * 200) + change(2, 0, b"\xff" * 64)
    for cut in (0, 1, 64, 0x8001, 0x9000):
        yield bytes([6]) + struct.pack("!HB", cut, 0)
    # Events: a run and its stop, a wake, what happens to requests, and such as no service writes.
    run = event(1000, 16, 1, 1) + event(1500, 32, 2, 3) + event(2000, 16, 1, 2 | 1 << 8)
    yield change(4, 0, word(3)) + change(5, 0, run)
    yield change(4, 2, word(2)) + change(5, 2, event(1, 0, 5, 4) + event(2, 0, 6, 5))
    yield change(4, 0, word(16384)) + change(5, 0, event(5, 1, 1, 1) * 7)
    yield change(4, 0, word(1 << 60)) + change(5, 0, run)


def load():
    hello = lambda version, workers: struct.pack("<QII", 0x31446E7442, version, workers)
    say = lambda which, data: bytes([which << 4 | 1, len(data)]) + data
    yield bytes([0, 0x00, 0x05, 4, 0x07, 0x04, 0x07, 0x03])
    yield bytes([0, 0x00]) + say(0, hello(6, 4)) + bytes([7, 4, 7]) + say(0, b"x") + bytes([7, 3, 7, 4])
    yield bytes([0, 0x00]) + say(0, hello(5, 4)) + bytes([7]) + bytes([0x10]) + say(1, b"junk" * 10) + bytes([7])
    yield bytes([0, 0x00, 0x02, 5]) + b"rigid" + bytes([7])
    yield bytes([0]) + bytes([0x00, 0x05, 1, 0x10, 0x15, 2, 0x20, 0x25, 200, 7, 4, 7, 4, 0x03, 7, 4, 4, 4])
    answer = lambda err, cells: struct.pack("<QIiQIIII96s", 0x31446E7442, 6, err, 1, 0, cells, 0, 0, b"by magic")
    for n in (0, 2, 3, 4, 15):
        yield bytes([1, n]) + answer(0, 64)
    yield bytes([1, 0]) + answer(-13, 0)
    yield bytes([1, 3]) + answer(5, 64)
    yield bytes([1, 3]) + answer(0, 0)
    yield bytes([1, 19]) + struct.pack("<iQIIII96s", 0, 1, 0, 64, 1, 0, b"x" * 96)
    yield bytes([1, 3]) + answer(0, 64)[:20]


def scram():
    server = base64.b64encode(b"r" * 18).decode()
    salt = b"r" * 16
    salted = hashlib.pbkdf2_hmac("sha256", b"x", salt, 4096)
    mac = lambda key, text: hmac.new(key, text, "sha256").digest()
    client = mac(salted, b"Client Key")
    stored = hashlib.sha256(client).digest()

    def exchange(user, nonce="abc", wrong=0, mechanism=b"SCRAM-SHA-256", header="n,,", final="c=biws", more=""):
        bare = f"n=,r={nonce}" + more
        first = mechanism + b"\0" + struct.pack("!i", len(header + bare)) + (header + bare).encode()
        challenge = f"r={nonce}{server},s={base64.b64encode(salt).decode()},i=4096"
        last = f"{final},r={nonce}{server}"
        signature = mac(stored, f"{bare},{challenge},{last}".encode())
        proof = bytes(a ^ b for a, b in zip(client, signature))
        proof = bytes([proof[0] ^ wrong]) + proof[1:]
        last = (last + ",p=" + base64.b64encode(proof).decode()).encode()
        return bytes([user]) + b"".join(struct.pack("!H", len(m)) + m for m in (first, last))

    for user in range(4):
        yield exchange(user)
    yield exchange(0, wrong=1)
    yield exchange(0, header="y,,")
    yield exchange(0, header="p=tls-unique,,")
    yield exchange(0, mechanism=b"SCRAM-SHA-256-PLUS")
    yield exchange(0, nonce="x" * 120)
    yield exchange(0, nonce="x" * 121)
    yield exchange(0, more=",m=none" + ",a=" * 100)
    yield b"\0\0\0\0\0"
    yield exchange(0)[:-3]


def web():
    for line in ("GET / HTTP/1.1", "GET /metrics HTTP/1.1", "GET /metrics HTTP/1.0", "HEAD / HTTP/1.1", "POST / HTTP/1.1\r\nContent-Length: 3",
                 "GET /%2e%2e/%00 HTTP/1.1", "GET /?a=b&c HTTP/1.1\r\nCookie: a=b; c", "OPTIONS * HTTP/1.1", "GET http://x/metrics HTTP/1.1",
                 "POST / HTTP/1.1\r\nTransfer-Encoding: chunked", "GET / HTTP/9.9", "GET /\tHTTP/1.1", "\0\r\n"):
        yield line.encode() + b"\r\nHost: x\r\n\r\nabc"
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nabc\r\n0\r\n\r\n"


SOURCES = {"config": "lib/src/config_text.c", "page": None, "load": None, "scram": "service/batondb/auth.c", "web": None}


def main():
    name, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    for n, data in enumerate({"config": config, "page": page, "load": load, "scram": scram, "web": web}[name]()):
        with open(os.path.join(out, f"{n:03}"), "wb") as f:
            f.write(data)
    words = {"x"}
    if SOURCES[name]:
        with open(os.path.join(TOP, SOURCES[name]), encoding="utf-8") as f:
            words |= set(re.findall(r'"([A-Za-z_0-9=%-]{2,30})"', f.read()))
    if name == "web":
        words |= {"GET", "POST", "HTTP/1.1", "Host:", "Connection:", "close", "keep-alive", "Expect:", "100-continue", "Upgrade:", "chunked",
                  "Transfer-Encoding:", "Content-Length:", "/metrics", "\\x0d\\x0a"}
    with open(out + ".words", "w", encoding="utf-8") as f:
        f.write("".join(f'"{w}"\n' for w in sorted(words)))


main()

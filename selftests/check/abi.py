#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
abi: a program that was built with a released header runs with this library. lib/abi/VERSION has what the headers of a
release promise: symbols and their versions, the layout of each public struct, the values of enumerations and constants. Here
the same is made of today's headers, and compared: nothing may be gone or elsewhere. A struct may become longer where
the caller says its size (a first field sz, or an argument sz beside it). The package's list of symbols is the map's.

  abi.py --write     writes lib/abi/VERSION for the version of <baton/base.h>: once, at a release
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Runs in gdb, on an object that has the debug information of every type of the headers.
READER = """
import gdb, json, sys
out = []

def put_fields(name, t, base):
    for f in t.fields():
        if f.name is None:
            put_fields(name, f.type, base + f.bitpos // 8)
        else:
            out.append(f"field {name}.{f.name} at {base + f.bitpos // 8} of {f.type.strip_typedefs().sizeof} bytes")

for name in NAMES["struct"]:
    try:
        t = gdb.lookup_type("struct " + name)
        fields = t.fields()
    except (gdb.error, TypeError):
        continue
    if not fields:
        continue
    out.append(f"struct {name} {t.sizeof}")
    put_fields(name, t, 0)
for name in NAMES["enum"]:
    for f in gdb.lookup_type("enum " + name).fields():
        out.append(f"value {name}.{f.name} {f.enumval}")
with open(TO, "w") as f:
    f.write("\\n".join(out))
"""


def headers(root):
    return {os.path.basename(p): open(p).read() for p in sorted(glob.glob(os.path.join(root, "lib/include/baton/*.h")))}


def promises(root):
    """The lines of what the tree's headers and its map promise."""
    text = "\n".join(headers(root).values())
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    names = {kind: sorted(set(re.findall(rf"^{kind} (baton_\w+) {{", code, re.M))) for kind in ("struct", "enum")}
    lines = []
    for node, body in re.findall(r"^(BATON_[0-9.]+) \{(.*?)^\}", open(os.path.join(root, "lib/baton.map")).read(), re.S | re.M):
        lines += [f"symbol {s} {node}" for s in re.findall(r"\b(baton_\w+);", body)]
    for name, value in re.findall(r"^#define (BATON_[A-Z0-9_]+)[ \t]+(.+)$", code, re.M):
        if not name.startswith("BATON_VERSION") and re.match(r'^[("~0-9A-Z-]', value) and "BEGIN" not in name:
            lines.append(f"constant {name} {' '.join(value.split())}")
    with tempfile.TemporaryDirectory() as tmp:
        with open(tmp + "/a.c", "w") as f:
            f.write("#include <baton/baton.h>\n")
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-g", "-fno-eliminate-unused-debug-types", "-I", os.path.join(root, "lib/include"),
                        "-DBATON_INLINE", "-c", "-o", tmp + "/a.o", tmp + "/a.c"], check=True)
        with open(tmp + "/read.py", "w") as f:
            f.write(f"NAMES = {json.dumps(names)}\nTO = {json.dumps(tmp + '/out')}\n{READER}")
        subprocess.run(["gdb", "-nx", "-batch", "-x", tmp + "/read.py", tmp + "/a.o"], check=True, capture_output=True)
        lines += open(tmp + "/out").read().split("\n")
    return lines


def sized(root):
    """Structs whose size the caller says."""
    code = re.sub(r"/\*.*?\*/", "", "\n".join(headers(root).values()), flags=re.S)
    return set(re.findall(r"^struct (baton_\w+) \{\s*size_t sz;", code, re.M)) | \
        set(re.findall(r"struct (baton_\w+) \*out,\s*size_t sz\)", code))


def broken(then, now, grows):
    bad = []
    have = set(now)
    size = {w[1]: int(w[2]) for w in (line.split() for line in now) if w[0] == "struct"}
    for line in then:
        if line in have:
            continue
        w = line.split()
        if w[0] == "struct" and w[1] in grows and size.get(w[1], 0) > int(w[2]):
            continue
        bad.append("not so any more: " + line)
    return bad


def released(root):
    return sorted(glob.glob(os.path.join(root, "lib/abi/*")))


def read(path):
    return [line for line in open(path).read().split("\n") if line and not line.startswith("#")]


def versions(root):
    """The version of <baton/base.h> is the only one; the changelogs know it."""
    base = headers(root)["base.h"]
    version = re.search(r'^#define BATON_VERSION "(.*)"', base, re.M)[1]
    bad = []
    parts = ".".join(re.search(rf"^#define BATON_VERSION_{p} (\d+)", base, re.M)[1] for p in ("MAJOR", "MINOR", "PATCH"))
    if parts != version:
        bad.append(f"base.h has {version} and {parts}")
    if not open(os.path.join(root, "debian/changelog")).read().startswith(f"baton ({version}) "):
        bad.append(f"debian/changelog does not begin with {version}")
    if f"\n## {version}\n" not in open(os.path.join(root, "CHANGELOG.md")).read():
        bad.append(f"CHANGELOG.md has no {version}")
    return bad


def packaged(text, now):
    """What lib/baton.map and debian/libbaton0.symbols do not agree on."""
    want = {f"{w[1]}@{w[2]}" for w in (line.split() for line in now) if w[0] == "symbol"}
    have = set(re.findall(r"^ (baton_\w+@\S+) ", text, re.M))
    return [f"debian/libbaton0.symbols lacks {s}" for s in sorted(want - have)] + \
        [f"debian/libbaton0.symbols has {s}, lib/baton.map has not" for s in sorted(have - want)]


def can_fail(now, grows):
    """Each kind of change that a program would not outlive is found, and a longer struct is none."""
    bad = []
    first = {line.split()[0]: line for line in reversed(now)}
    for kind in ("symbol", "struct", "field", "value", "constant"):
        if not broken(now, [line for line in now if line != first[kind]], grows):
            bad.append(f"did not find that '{first[kind]}' is gone")
    longer = [re.sub(r"^(struct baton_sched_opts) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 8}", line) for line in now]
    shorter = [re.sub(r"^(struct baton_sched_opts) (\d+)", lambda m: f"{m[1]} {int(m[2]) - 8}", line) for line in now]
    fixed = [re.sub(r"^(struct baton_completion) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 8}", line) for line in now]
    if longer == now or broken(now, longer, grows):
        bad.append("found a struct that may become longer")
    if not broken(now, shorter, grows) or not broken(now, fixed, grows):
        bad.append("did not find a struct of another size")
    if not packaged("", now) or not packaged(" baton_gone@BATON_0.1 0.1\n", now[:0]):
        bad.append("did not find that the package's symbols are others")
    return bad


def main():
    if not shutil.which("gdb"):
        print("1..0 # SKIP mend: no gdb (Debian: apt-get install gdb)")
        return 4
    now = promises(TOP)
    if sys.argv[1:] == ["--write"]:
        version = re.search(r'^#define BATON_VERSION "(.*)"', headers(TOP)["base.h"], re.M)[1]
        path = os.path.join(TOP, "lib/abi", version)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write("# SPDX-License-Identifier: LGPL-2.1-or-later\n# What the headers of this release promise, on a 64-bit machine: "
                    "selftests/check/abi.py.\n" + "\n".join(now) + "\n")
        print(path)
        return 0
    grows = sized(TOP)
    results = [("versions agree", versions(TOP))]
    results += [("the releases are there", [] if released(TOP) else ["lib/abi is empty"])]
    results += [(f"as {os.path.basename(p)} promised", broken(read(p), now, grows)) for p in released(TOP)]
    results.append(("the package has the map's symbols", packaged(open(os.path.join(TOP, "debian/libbaton0.symbols")).read(), now)))
    results.append(("the check can fail", can_fail(now, grows)))
    print(f"1..{len(results)}")
    for n, (name, bad) in enumerate(results, 1):
        print(f"{'not ' if bad else ''}ok {n} - {name}")
        for line in bad[:25]:
            print(f"# {line}")
    return 1 if any(bad for _, bad in results) else 0


sys.exit(main())

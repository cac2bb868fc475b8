#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The rules of the tree that a machine can check. Each check takes a directory
laid out like this tree and returns what is wrong there; it runs on the tree
itself, where nothing may be, and on a small tree made to break the rule, where
it has to say so.

    tree.py [CHECK]...    only these
"""
import fnmatch
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
OUT = os.environ.get("O") or os.path.join(TOP, "build")


def files(root):
    """The tree's own files: what git tracks, or everything that was not built."""
    if os.path.exists(os.path.join(root, ".git")):
        r = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True)
        if r.returncode == 0:
            return sorted(f for f in r.stdout.decode().split("\0")
                          if f and os.path.isfile(os.path.join(root, f)))
    found = []
    for d, dirs, names in os.walk(root):
        dirs[:] = [n for n in dirs if n not in (".git", "__pycache__")
                   and os.path.join(d, n) != os.path.abspath(OUT)]
        found += [os.path.relpath(os.path.join(d, n), root) for n in names]
    return sorted(found)


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def is_c(name):
    return name.endswith((".c", ".h", ".cc", ".hh", ".hpp"))


@functools.lru_cache(maxsize=None)
def code_and_comments(text):
    """The text twice, lines kept: without its comments, and nothing but them."""
    code, comments, at = [], [], 0
    for m in re.finditer(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*',
                         text, re.S):
        blank = re.sub(r"[^\n]", " ", m.group())
        between = text[at:m.start()]
        code.append(between)
        comments.append(re.sub(r"[^\n]", " ", between))
        if m.group().startswith("/"):
            code.append(blank)
            comments.append(m.group())
        else:
            code.append(m.group())
            comments.append(blank)
        at = m.end()
    code.append(text[at:])
    comments.append(re.sub(r"[^\n]", " ", text[at:]))
    return "".join(code).split("\n"), "".join(comments).split("\n")


# layers: includes and calls in lib/src go strictly downward.

# At the start of a line, no statement and no body in between: a function's head.
DEFINES = re.compile(r"^[A-Za-z_][^;{}=#]*?\b((?:btn|baton)_\w+)\s*\([^;{}]*\)\s*\{", re.M)
NAMES = re.compile(r"(\b(?:struct|enum|union)\s+|\.|->)?\b((?:btn|baton)_\w+)")
POINTER = re.compile(r"\(\s*\*\s*(?:_Atomic\s+|const\s+)*(\w+)\s*\)\s*\(")


def stem(name):
    return os.path.splitext(name)[0]


def layers(root):
    bad, patterns, allowed = [], [], set()
    for line in read(root, "lib/src/LAYERS").splitlines():
        if line.strip() and not line.startswith("#"):
            first, *names = line.split()
            if first == "pointer":
                allowed |= {(names[0], n) for n in names[1:]}
            else:
                patterns += [(int(first), n) for n in names]

    @functools.lru_cache(maxsize=None)
    def rank(name):
        ranks = {r for r, p in patterns if fnmatch.fnmatchcase(name, p)}
        return ranks.pop() if len(ranks) == 1 else None

    here = [f[len("lib/src/"):] for f in files(root) if f.startswith("lib/src/") and is_c(f)]
    code = {f: re.sub(r'"(?:\\.|[^"\\\n])*"', lambda m: '"' + " " * (len(m.group()) - 2) + '"',
                      "\n".join(code_and_comments(read(root, "lib/src/" + f))[0]))
            for f in here}
    where = {m.group(1): f for f in here for m in DEFINES.finditer(code[f])}
    pointers = {(f, m.group(1)) for f in here for m in POINTER.finditer(code[f])}
    for r, p in patterns:
        if not fnmatch.filter(here, p):
            bad.append(f"LAYERS: {p} of rank {r} is no file of lib/src")
    for f, n in sorted(allowed - pointers):
        bad.append(f"LAYERS: {f} declares no pointer to a function {n}")
    for f, n in sorted(pointers - allowed):
        bad.append(f"lib/src/{f}: calls through the pointer {n}, and LAYERS does not say so")
    for name in here:
        mine = rank(name)
        if mine is None:
            bad.append(f"lib/src/{name}: LAYERS gives it no rank, or more than one")
            continue
        for i, line in enumerate(read(root, "lib/src/" + name).split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            other = os.path.normpath(os.path.join(os.path.dirname(name), m.group(1)))
            if other not in here:
                if m.group(1) != "config.h":
                    bad.append(f'lib/src/{name}:{i}: "{m.group(1)}" is not in lib/src')
            elif stem(other) != stem(name) and rank(other) is not None and rank(other) >= mine:
                bad.append(f"lib/src/{name}:{i}: of rank {mine}, includes {other} "
                           f"of rank {rank(other)}")
        for i, line in enumerate(code[name].split("\n"), 1):
            for is_type, f in NAMES.findall(line):
                other = where.get(f)
                if other and not is_type and stem(other) != stem(name) and \
                        rank(other) is not None and rank(other) >= mine:
                    bad.append(f"lib/src/{name}:{i}: of rank {mine}, calls {f} in {other} "
                               f"of rank {rank(other)}")
    return bad


# tags: each memory order has one, each release its acquire.

ORDER = re.compile(r"\bmemory_order_(relaxed|consume|acquire|release|acq_rel|seq_cst)\b")
TAG = re.compile(r"\[([A-Z][A-Z0-9_]*-[0-9]+[a-z]?)\]")


def tags(root):
    bad, seen, explained = [], {}, set()
    for name in files(root):
        if not is_c(name):
            continue
        code, comments = code_and_comments(read(root, name))
        for i, (line, comment) in enumerate(zip(code, comments), 1):
            orders = ORDER.findall(line)
            found = TAG.findall(comment)
            if not orders:
                explained.update(found)
                continue
            if not found:
                bad.append(f"{name}:{i}: memory_order_{orders[0]} without a tag")
            for tag in found:
                for order in orders:
                    seen.setdefault(tag, []).append((order, f"{name}:{i}"))
    for tag, uses in sorted(seen.items()):
        orders = {o for o, _ in uses}
        where = uses[0][1]
        gives = orders & {"release", "acq_rel", "seq_cst"}
        takes = orders & {"acquire", "consume", "acq_rel", "seq_cst"}
        if gives and not takes:
            bad.append(f"{where}: [{tag}] is released and never acquired")
        if takes and not gives:
            bad.append(f"{where}: [{tag}] is acquired and never released")
        if len(uses) == 1 and (gives or takes):
            bad.append(f"{where}: [{tag}] has no partner")
        if tag not in explained:
            bad.append(f"{where}: [{tag}] is explained in no comment")
    return bad


# spdx: every file says its licence, and the one of its part of the tree.

def spdx(root):
    bad = []
    for name in files(root):
        if fnmatch.filter([name], "LICENSES/*") or name in (".gitignore", "tools/build/deps.list"):
            continue
        if name.endswith((".md", ".patch", ".png", ".svg", ".json", ".jsonl")):
            continue
        if name.startswith("kernel-patch/") and re.fullmatch(r"BASE|series|cover(\.\d+)?", os.path.basename(name)):
            continue
        if name.startswith("kernel-patch/") and "cover-letter" in name:
            continue
        text = read(root, name)
        # Packages have their licences in one file; scripts say theirs besides.
        if name.startswith("debian/") and not text.startswith("#!"):
            continue
        head = "\n".join(text.split("\n")[:4])
        m = re.search(r"SPDX-License-Identifier: (\S+)", head)
        want = ("LGPL-2.1-or-later" if name.startswith("lib/") else
                "GPL-2.0-only" if name.startswith(("kernel-patch/", "bpf/")) else
                "GPL-2.0-or-later")
        if not m:
            bad.append(f"{name}: no SPDX-License-Identifier in its first lines")
        elif m.group(1) != want:
            bad.append(f"{name}: {m.group(1)}, but this part of the tree is {want}")
    return bad


# memory: the library's is had through the service's hooks.

ALLOCATES = re.compile(r"(?<![\w.>])((?:m|c|re|aligned_|v|pv)alloc|free|posix_memalign|memalign|reallocarray|strn?dup|v?asprintf|"
                       r"getline|getdelim|open_memstream)\s*\(")


def memory(root):
    bad = []
    for name in files(root):
        if not name.startswith("lib/src/") or not is_c(name) or name in ("lib/src/hooks.c", "lib/src/inject.c"):
            continue
        for i, line in enumerate(code_and_comments(read(root, name))[0], 1):
            m = ALLOCATES.search(line)
            if m:
                bad.append(f"{name}:{i}: {m.group(1)}() is not the service's allocator: hooks.h")
    return bad


# streams: errors of a part of a program go where its caller says; stderr is all threads', and not to be another file for a
# while.

def streams(root):
    bad = []
    for name in files(root):
        if is_c(name):
            for i, line in enumerate(code_and_comments(read(root, name))[0], 1):
                m = re.search(r"\b(stdout|stderr) *=[^=]", line)
                if m:
                    bad.append(f"{name}:{i}: {m.group(1)} is given another file")
    return bad


# words: what must not be left in the tree.

WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|[Pp]lace" r"holder)\b|/wo" r"rk/(wt|main|shared)\b")


def words(root):
    bad = []
    for name in files(root):
        if name.startswith("LICENSES/") or name.endswith((".patch", ".png")) or name == "selftests/run":
            continue    # (the runner reads TAP, which has such a word, and a picture may have any bytes)
        for i, line in enumerate(read(root, name).split("\n"), 1):
            m = WORDS.search(line)
            if m:
                bad.append(f"{name}:{i}: {m.group()}")
    return bad


# nouns: comments of C, and of scripts on lines of their own, begin with a noun or a verb, not with a pronoun or a connective
# whose noun is elsewhere.

PRONOUN = re.compile(r"(?:one|its?|who\w*|of|what\w*|so|that|those|they|them|theirs?|he|his|likewise|"
                     r"this|but|and|or|because|then|here|there|nor|also)\b(?!:)", re.I)


def nouns(root):
    bad = []
    for name in files(root):
        if is_c(name):
            text = read(root, name)
            for m in re.finditer(r"/\*(.*?)\*/", text, re.S):
                first = re.sub(r"^(?:[\s*]|\[[A-Z]+-[0-9]+\])*", "", m.group(1))
                if PRONOUN.match(first):
                    at = text[:m.end() - 2 - len(first)].count("\n") + 1
                    bad.append(f"{name}:{at}: begins with \"{first.split()[0]}\"")
        elif not name.endswith((".md", ".patch", ".png")) and not name.startswith("LICENSES/"):
            lines = read(root, name).split("\n")
            if name.endswith((".sh", ".py", "Makefile", ".mk", ".config")) or lines[0].startswith("#!"):
                for i, (before, line) in enumerate(zip([""] + lines, lines), 1):
                    m = re.match(r"\s*# +(\S+)", line)
                    if m and PRONOUN.match(m.group(1)) and not re.match(r"\s*#", before):
                        bad.append(f"{name}:{i}: begins with \"{m.group(1)}\"")
    return bad


# abi: map, headers, man pages and examples know the same functions. Those that
# only the library's inline code calls (BATON_INLINE_API) are nobody else's matter.

def declared(root, macro="BATON_API"):
    names = set()
    for name in files(root):
        if name.startswith("lib/include/") and name.endswith(".h"):
            code = "\n".join(code_and_comments(read(root, name))[0])
            for m in re.finditer(rf"^\s*{macro}\b([^;{{]*)[;{{]", code, re.M):
                f = re.search(r"\b(\w+)\s*(?=\()", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", m.group(1)))
                if f:
                    names.add(f.group(1))
                else:
                    names.add(m.group(1).split()[-1])
    return names


def mapped(root):
    text = re.sub(r"/\*.*?\*/", "", read(root, "lib/baton.map"), flags=re.S)
    names = set()
    for node in re.finditer(r"\{(.*?)\}", text, re.S):
        part = node.group(1)
        part = part.split("local:")[0]
        names.update(re.findall(r"(\w+)\s*;", part.replace("global:", "")))
    return names


def man_names(root):
    names = set()
    for name in files(root):
        if fnmatch.fnmatch(name, "lib/man/*.3"):
            m = re.search(r"^\.SH NAME\n(.*?)^\.SH", read(root, name), re.M | re.S)
            if m:
                names.update(re.findall(r"\bbaton_\w+", m.group(1)))
    return names


def abi(root):
    bad = []
    d, inner, man = declared(root), declared(root, "BATON_INLINE_API"), man_names(root)
    m = mapped(root)
    for f in sorted(inner - m):
        bad.append(f"{f}: declared BATON_INLINE_API, not in lib/baton.map")
    for f in sorted(f for f in inner if not re.match(r"baton_\w+_v[0-9]+$", f)):
        bad.append(f"{f}: BATON_INLINE_API, and its name is not baton_..._vN")
    used = "".join(read(root, f) for f in files(root) if fnmatch.fnmatch(f, "lib/examples/*.c"))
    for f in sorted((d | m) - inner):
        if not f.startswith("baton_"):
            bad.append(f"{f}: exported, and does not begin with baton_")
        if f not in m:
            bad.append(f"{f}: declared BATON_API, not in lib/baton.map")
        if f not in d:
            bad.append(f"{f}: in lib/baton.map, declared BATON_API in no header")
        if f not in man:
            bad.append(f"{f}: in the NAME section of no lib/man/*.3")
        if not re.search(rf"\b{f}\s*\(", used):
            bad.append(f"{f}: called by no lib/examples/*.c")
    umbrella = "lib/include/baton/baton.h"
    whole = read(root, umbrella) if umbrella in files(root) else ""
    for f in files(root):
        if os.path.dirname(f) == "lib/include/baton" and f != umbrella and not f.endswith(("_inline.h", ".hpp")):
            if f"#include <baton/{os.path.basename(f)}>" not in whole:
                bad.append(f"{f}: baton.h does not include it")
    # (Names of objects may head a page: baton_parker(3).)
    objects = {f.rsplit("_", n)[0] for f in d for n in (1, 2)}
    for f in sorted(man - d - objects):
        bad.append(f"{f}: in a man page, declared in no header")
    lib = os.path.join(OUT, "lib/libbaton.so")
    if root == TOP and os.path.exists(lib):
        r = subprocess.run(["nm", "-D", "--defined-only", lib], capture_output=True, text=True)
        real = {l.split()[2].split("@")[0] for l in r.stdout.splitlines() if l.split()[1] != "A"}
        for f in sorted(real ^ m):
            bad.append(f"{f}: lib/baton.map and libbaton.so do not agree on it")
    return bad


# naming: nothing global in the library without one of its two prefixes.

def naming(root):
    lib = os.path.join(OUT if root == TOP else root, "lib/libbaton.a")
    r = subprocess.run(["nm", "-A", "--defined-only", "-g", lib], capture_output=True, text=True)
    bad = [] if r.stdout else [f"nm {lib}: {r.stderr.strip()}"]
    for line in r.stdout.splitlines():
        where, kind, name = line.rsplit(None, 2)
        # (Where <sys/sdt.h> has its probes; hidden, and one for whoever uses it.)
        if not name.startswith(("baton_", "btn_")) and kind not in "iNn" and name != "_.stapsdt.base":
            bad.append(f"{where.split(':')[1]}: {name} is neither baton_ nor btn_")
    return bad


# shell: scripts are syntactically right, and shellcheck sees no error. All of them take shellcheck twelve seconds of CPU, so a script
# in which shellcheck saw no error is remembered, by the sum of its text and of shellcheck's version.

def shellcheck(root, scripts):
    version = subprocess.run(["shellcheck", "--version"], capture_output=True).stdout
    sums = {f: hashlib.sha256(version + read(root, f).encode()).hexdigest() for f in scripts}
    known = os.path.join(OUT if root == TOP else root, "selftests/check/shellcheck")
    seen = set(open(known).read().split()) if os.path.exists(known) else set()
    new = [f for f in scripts if sums[f] not in seen]
    if not new:
        return []
    r = subprocess.run(["shellcheck", "-S", "error", "-f", "gcc", *new], cwd=root, capture_output=True, text=True)
    bad = r.stdout.splitlines()
    if r.returncode and not bad:
        return r.stderr.splitlines() or [f"shellcheck: exit status {r.returncode}"]
    wrong = {line.split(":", 1)[0] for line in bad}
    os.makedirs(os.path.dirname(known), exist_ok=True)
    with open(f"{known}.new", "w") as f:
        f.write("".join(f"{sums[s]}\n" for s in scripts if s not in wrong))
    os.replace(f"{known}.new", known)
    return bad


def shell(root):
    bad = []
    scripts = [f for f in files(root)
               if os.path.isfile(os.path.join(root, f))
               and re.match(r"#!.*\b(ba)?sh\b", read(root, f).split("\n", 1)[0])]
    for f in scripts:
        r = subprocess.run(["bash", "-n", f], cwd=root, capture_output=True, text=True)
        bad += r.stderr.splitlines()
    if shutil.which("shellcheck") and scripts:
        bad += shellcheck(root, scripts)
    return bad


# headers: each public one compiles alone, as C11 and as C++17, with inline code and without.

def headers(root):
    bad = []
    public = [f for f in files(root) if f.startswith("lib/include/baton/") and f.endswith((".h", ".hpp"))]
    text = {f: read(root, f) for f in public}

    def has_inline(name, seen):
        """BATON_INLINE is in the header, or in one that it includes."""
        if name in seen or name not in text:
            return False
        seen.add(name)
        return re.search(r"\bBATON_INLINE\b", text[name]) or any(
            has_inline("lib/include/" + f, seen) for f in re.findall(r"#\s*include\s+<(baton/[^>]+)>", text[name]))

    for name in public:
        for cc in (cc + define for define in ([[], ["-DBATON_INLINE"]] if has_inline(name, set()) else [[]])
                   for cc in (["cc", "-x", "c", "-std=c11"], ["c++", "-x", "c++", "-std=c++17"])):
            if name.endswith(".hpp") and cc[0] == "cc":
                continue
            r = subprocess.run(cc + ["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                     "-I" + os.path.join(root, "lib/include"), "-"],
                               input=f"#include <{name[len('lib/include/'):]}>\n",
                               capture_output=True, text=True)
            if r.returncode:
                bad += [f"{name} as {' '.join(cc[3:])}: {l}" for l in r.stderr.splitlines()[:3]]
    return bad


# clauses: each promise of the quota has its test, and whatever is cited is defined.

CLAUSE = re.compile(r"\bQ([0-9]+)\b")
ARCHITECTURE = "docs/ARCHITECTURE.md"
CLAUSE_TESTS = "selftests/sched/quota.c"


def clauses(root):
    bad, defined = [], {}
    for line in read(root, ARCHITECTURE).split("\n"):
        m = re.match(r"\| Q([0-9]+) \|.*\| (\w+) \|$", line)
        if m:
            defined[int(m.group(1))] = m.group(2)
    tests = set(re.findall(r"^TEST\((\w+)\)", read(root, CLAUSE_TESTS), re.M))
    for n, test in sorted(defined.items()):
        if test not in tests:
            bad.append(f"{ARCHITECTURE}: Q{n}: no TEST({test}) in {CLAUSE_TESTS}")
    for test in sorted(t for t in tests if re.match(r"q[0-9]+_", t)):
        if test not in defined.values():
            bad.append(f"{CLAUSE_TESTS}: {test} is no clause's test in {ARCHITECTURE}")
    for name in files(root):
        if not name.startswith(("lib/", "bpf/", "tools/", "docs/", "selftests/sim", "selftests/sched", "selftests/observe")):
            continue
        for i, line in enumerate(read(root, name).split("\n"), 1):
            for m in CLAUSE.finditer(line):
                if int(m.group(1)) not in defined:
                    bad.append(f"{name}:{i}: Q{m.group(1)} is defined nowhere in {ARCHITECTURE}")
    return bad


# Mistakes that each check has to find in a tree made for it.

SPDX_C = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
BROKEN = {
    layers: [
        ({"lib/src/LAYERS": "0 a.h\n1 b.c c.h\n", "lib/src/a.h": '#include "c.h"\n',
          "lib/src/b.c": "", "lib/src/c.h": ""}, "of rank 0, includes c.h of rank 1"),
        ({"lib/src/LAYERS": "1 b.c c.h\n", "lib/src/b.c": '#include "c.h"\n', "lib/src/c.h": ""},
         "of rank 1, includes c.h of rank 1"),
        ({"lib/src/LAYERS": "0 a.h\n", "lib/src/a.h": "", "lib/src/new.c": ""}, "no rank"),
        ({"lib/src/LAYERS": "0 a.h\n1 d/b.h\n", "lib/src/a.h": '#include "d/b.h"\n', "lib/src/d/b.h": ""},
         "of rank 0, includes d/b.h of rank 1"),
        ({"lib/src/LAYERS": "1 a.h d/b.h\n", "lib/src/a.h": "", "lib/src/d/b.h": '#include "../a.h"\n'},
         "of rank 1, includes a.h of rank 1"),
        ({"lib/src/LAYERS": "0 a.h\n", "lib/src/a.h": "", "lib/src/d/new.c": ""}, "no rank"),
        # (A declaration is no header's, so includes alone see nothing.)
        ({"lib/src/LAYERS": "0 a.c\n1 d/b.c\n",
          "lib/src/a.c": "void btn_b(int x);\n\nvoid btn_a(void)\n{\n\tbtn_b(1);\n}\n",
          "lib/src/d/b.c": "void btn_b(int x)\n{\n}\n"}, "a.c:5: of rank 0, calls btn_b in d/b.c of rank 1"),
        ({"lib/src/LAYERS": "1 a.c b.h\n", "lib/src/a.c": "int baton_a(void)\n{\n\treturn btn_b();\n}\n",
          "lib/src/b.h": "static inline int btn_b(void)\n{\n\treturn 0;\n}\n"},
         "a.c:3: of rank 1, calls btn_b in b.h of rank 1"),
        ({"lib/src/LAYERS": "0 a.c\n1 b.c\n", "lib/src/a.c": "void *btn_a(void)\n{\n\treturn btn_b;\n}\n",
          "lib/src/b.c": "struct x *btn_b(int x,\n\t\tint y)\n{\n}\n"}, "of rank 0, calls btn_b in b.c of rank 1"),
        ({"lib/src/LAYERS": "0 a.h\n1 b.c\n", "lib/src/a.h": "#define BTN_A() \\\n\tbtn_b()\n",
          "lib/src/b.c": "void btn_b(void)\n{\n}\n"}, "a.h:2: of rank 0, calls btn_b in b.c of rank 1"),
        ({"lib/src/LAYERS": "0 a.h\n", "lib/src/a.h": "struct a {\n\tint (*up)(int x);\n};\n"},
         "a.h: calls through the pointer up"),
        ({"lib/src/LAYERS": "0 a.h\npointer a.h up\n", "lib/src/a.h": "/* int (*up)(int x); */\n"},
         "a.h declares no pointer to a function up"),
        ({"lib/src/LAYERS": "0 a.h gone.c\n", "lib/src/a.h": ""}, "no file"),
    ],
    tags: [
        ({"a.c": "store(x, memory_order_release);\n"}, "without a tag"),
        ({"a.c": "/* [A-1] */\nstore(x, memory_order_release); /* [A-1] */\n"}, "never acquired"),
        ({"a.c": "/* [A-1] */\nload(x, memory_order_acquire); /* [A-1] */\n"}, "never released"),
        ({"a.c": "load(x, memory_order_relaxed); /* [A-1] */\n"}, "explained in no comment"),
        ({"a.c": "/* [A-1] */\nload(x, memory_order_acquire);\n/* [A-1] */\n"}, "without a tag"),
        ({"a.c": "/* [A-1] */\nxchg(x, memory_order_acq_rel); /* [A-1] */\n"}, "no partner"),
    ],
    spdx: [
        ({"lib/a.c": "int x;\n"}, "no SPDX"),
        ({"lib/a.c": "// SPDX-License-Identifier: GPL-2.0-or-later\n"}, "is LGPL"),
        ({"bpf/a.c": SPDX_C}, "is GPL-2.0-only"),
        ({"debian/rules": "#!/usr/bin/make -f\n"}, "no SPDX"),
    ],
    memory: [
        ({"lib/src/a.c": "\tp->x = calloc(1, n);\n"}, "a.c:1: calloc()"),
        ({"lib/src/core/a.h": "\n\tfree(x->free);\n"}, "a.h:2: free()"),
    ],
    streams: [({"tools/a.c": "\tstderr = said;\n"}, "a.c:1: stderr")],
    words: [
        ({"a.c": "/* TO" "DO: later */\n"}, "a.c:1"),
        ({"a.sh": "cd /wo" "rk/wt\n"}, "a.sh:1"),
    ],
    nouns: [
        ({"lib/src/sched/a.h": "int x;\t/* it is 0 */\n"}, 'a.h:1: begins with "it"'),
        ({"lib/src/core/a.c": "\n/*\n * Whoever has the lock.\n */\n"}, 'a.c:3: begins with "Whoever"'),
        ({"lib/src/core/a.c": "\n/* And so many more. */\n"}, 'a.c:2: begins with "And"'),
        ({"lib/src/core/a.c": "f(); /* [A-1] */\n/* [A-1] one that waits */\n"}, 'a.c:2: begins with "one"'),
        ({"selftests/unit/a.c": "/* What is left. */\n"}, 'a.c:1: begins with "What"'),
        ({"tools/a": "#!/bin/sh\nls\n# And so on.\n"}, 'a:3: begins with "And"'),
    ],
    abi: [
        ({"lib/include/baton/a.h": "BATON_API int baton_a_get(int x);\n",
          "lib/baton.map": "V { global: baton_b_get; local: *; };\n",
          "lib/man/baton_a.3": ".SH NAME\nbaton_c_get \\- c\n.SH SYNOPSIS\n",
          "lib/examples/a.c": ""}, want)
        for want in ("baton_a_get: declared BATON_API, not in", "baton_b_get: in lib/baton.map, declared",
                     "baton_a_get: in the NAME section of no", "baton_a_get: called by no",
                     "baton_c_get: in a man page", "a.h: baton.h does not include it")
    ] + [
        ({"lib/include/baton/a_inline.h": "BATON_INLINE_API int baton_a_rest(int x);\n",
          "lib/baton.map": "V { global: baton_b_get; local: *; };\n"}, want)
        for want in ("baton_a_rest: declared BATON_INLINE_API, not in", "baton_a_rest: BATON_INLINE_API, and its name is not")
    ],
    clauses: [
        ({"docs/ARCHITECTURE.md": "| Q1 | a promise | q01_kept |\n", "selftests/sched/quota.c": "TEST(q01_keeps)\n"}, want)
        for want in ("Q1: no TEST(q01_kept)", "q01_keeps is no clause's test")
    ] + [
        ({"docs/ARCHITECTURE.md": "| Q1 | a promise | q01_kept |\n", "selftests/sched/quota.c": "TEST(q01_kept)\n",
          "lib/src/a.c": "/* Q17 says so */\n"}, "lib/src/a.c:1: Q17 is defined nowhere"),
    ],
    naming: [({"lib/x.c": "int helper(void) { return 0; }\n"}, "helper is neither")],
    shell: [({"a.sh": "#!/bin/sh\nif true; then\n"}, "a.sh")],
    headers: [
        ({"lib/include/baton/a.h": "size_t x;\n"}, "as -std=c11"),
        ({"lib/include/baton/a.h": "struct a { int class; };\n"}, "as -std=c++17"),
        ({"lib/include/baton/a.h": "#ifdef BATON_INLINE\nsize_t x;\n#endif\n"}, "as -std=c11 -DBATON_INLINE"),
    ],
}


def can_fail(check):
    for tree, want in BROKEN[check]:
        with tempfile.TemporaryDirectory() as root:
            for name, text in tree.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as f:
                    f.write(text)
            if check is naming:
                subprocess.run("cc -c -o x.o lib/x.c && ar rcs lib/libbaton.a x.o", shell=True,
                               cwd=root, check=True)
            found = check(root)
            if not any(want in b for b in found):
                return [f"did not find \"{want}\" in {tree}, only {found}"]
    return []


def main():
    checks = [c for c in BROKEN if len(sys.argv) == 1 or c.__name__ in sys.argv[1:]]
    n = failed = 0
    print(f"1..{2 * len(checks)}", flush=True)
    for check in checks:
        for name, bad in ((check.__name__, check(TOP)),
                          (f"{check.__name__} can fail", can_fail(check))):
            n += 1
            print(f"{'not ' if bad else ''}ok {n} - {name}")
            for line in bad[:25]:
                print(f"# {line}")
            if len(bad) > 25:
                print(f"# and {len(bad) - 25} more")
            failed += bool(bad)
    return 1 if failed else 0


sys.exit(main())

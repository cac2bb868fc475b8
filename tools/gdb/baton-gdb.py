# SPDX-License-Identifier: GPL-2.0-or-later
"""
gdb learns to read libbaton. Installed where gdb finds it beside the library;
by hand: `source tools/gdb/baton-gdb.py`.

    (gdb) print *parker
    $1 = {state = parked for ever, owner = thread 3 (LWP 4711) "worker"}
    (gdb) info parkers
"""
import gdb
import gdb.printing

EMPTY, PERMIT, PARKED, DEAD = 0, 1, 0xffffffff, 0xdeadbea7
FOREVER = 0xffffffffffffffff


def plain(value):
    """What an _Atomic holds, as a number."""
    return int(value.cast(gdb.lookup_type("unsigned int")))


def duration(deadline):
    return f"until {deadline // 10**9}.{deadline % 10**9:09d} s (CLOCK_MONOTONIC)"


def state(parker):
    word = plain(parker["word"])
    deadline = int(parker["deadline"])
    if word == PARKED:
        return "parked for ever" if deadline == FOREVER else "parked " + duration(deadline)
    return {EMPTY: "running, no permit", PERMIT: "has a permit",
            DEAD: "destroyed"}.get(word, f"broken: word {word:#x}")


def owner(parker):
    handle = int(parker["thread"])
    if not handle:
        return "none yet"
    if gdb.selected_inferior().pid:
        for t in gdb.selected_inferior().threads():
            try:
                if int.from_bytes(t.handle(), "little") == handle:
                    return f'thread {t.num} (LWP {t.ptid[1]}) "{t.name}"'
            except (gdb.error, RuntimeError):
                pass
    return f"pthread {handle:#x}"


class ParkerPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"{{state = {state(self.value)}, owner = {owner(self.value)}}}"


class InfoParkers(gdb.Command):
    """List the parkers of libbaton: address, state, and the thread that last blocked there."""

    def __init__(self):
        super().__init__("info parkers", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        try:
            chunk = gdb.parse_and_eval("btn_park_chunks")
        except gdb.error:
            raise gdb.GdbError("no libbaton with symbols in this program")
        n = 0
        while chunk:
            parkers = chunk["parkers"]
            first, last = parkers.type.range()
            for i in range(first, last + 1):
                p = parkers[i]
                if plain(p["word"]) != DEAD:
                    print(f"{int(p.address):#x}  {state(p)}  {owner(p)}")
                    n += 1
            chunk = chunk["next"]
        if not n:
            print("No parkers.")


def register(objfile):
    printers = gdb.printing.RegexpCollectionPrettyPrinter("baton")
    printers.add_printer("baton_parker", "^baton_parker$", ParkerPrinter)
    gdb.printing.register_pretty_printer(objfile, printers, replace=True)
    InfoParkers()


register(gdb.current_objfile())

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the library begins it ends, on every way out of a function (lib/src/pairs.h): a thread
# that takes a lock gives it up, and one that comes into the library leaves it. A task that
# did not could never be stopped again.
set -u
. "$TOP/selftests/tap.sh"
command -v clang >/dev/null || skip_all "no clang; mend: apt-get install clang"

analyse() {
	clang -fsyntax-only -Wthread-safety -Werror=thread-safety -std=gnu11 -D_GNU_SOURCE \
		-I"$TOP/lib/include" -I"$O" -I"$TOP/lib/src" -I"$TOP/lib/src/sched" "$@"
}

# has_pairs FILE: pairs.h is included, directly or not, as the compiler noted it (or nothing is known). Elsewhere
# the analysis knows of no lock and no call: two fifths of the files.
has_pairs() {
	local noted=$O/${1#"$TOP"/}
	noted=${noted%.c}.d
	[ ! -f "$noted" ] || [ "$1" -nt "$noted" ] || grep -q '/pairs\.h' "$noted"
}

library() {
	local f bad=0 n=0
	for f in "$TOP"/lib/src/*.c "$TOP"/lib/src/*/*.c; do
		has_pairs "$f" || continue
		n=$((n + 1))
		analyse "$f" || bad=1
	done
	[ "$n" -gt 0 ] || { echo "no file includes pairs.h"; return 1; }
	return $bad
}

# refused WHAT: the analysis sees that this function, of a file with the gate's header, does not end what it began.
refused() {
	printf '#include <errno.h>\n#include "gate.h"\n%s\n' "$1" >"$tap_dir/way.c"
	! analyse "$tap_dir/way.c"
}

ways_out() {
	expect refused 'int f(struct baton_sched *s);
	int f(struct baton_sched *s) { btn_gate_lock(s); if (s->requests) return -EBUSY; btn_gate_release(s); return 0; }'
	expect refused 'void f(struct baton_sched *s);
	void f(struct baton_sched *s) { btn_gate_lock(s); btn_lock_release(&s->lock); }'
	expect refused 'void f(struct btn_worker *w, int x);
	void f(struct btn_worker *w, int x) { btn_gate_enter(w); if (x) btn_gate_exit(w); }'
	expect refused 'void f(struct baton_sched *s);
	void f(struct baton_sched *s) { btn_lock_acquire(&s->lock); if (!s->requests) btn_lock_release(&s->lock); }'
	expect refused 'void f(struct baton_sched *s);
	void f(struct baton_sched *s) { btn_gate_lock(s); btn_gate_drop(s); }'
}

check library library
check ways_out ways_out
finish

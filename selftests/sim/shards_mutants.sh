#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mistakes in the sharded core: the simulation must find each one.
set -u
. "$TOP/selftests/tap.sh"

# mutant FILE SED [SEEDS]: what `shards` says of the library's sources, changed so.
mutant() {
	local d rc=0
	d=$(mktemp -d "$tap_dir/mutant.XXXXXX")
	cp -r "$TOP/lib/src" "$d/src"
	sed -i "$2" "$d/src/$1"
	if cmp -s "$d/src/$1" "$TOP/lib/src/$1"; then
		echo "the mistake is not made: nothing in $1 is like that"
		exit 1
	fi
	expect ${CC:-cc} -O1 -w -std=gnu11 -D_GNU_SOURCE -I"$O" -I"$TOP/lib/include" -c "$d/src/$1" -o "$d/mutant.o"
	[ -e "$tap_dir/sim.o" ] || expect ${CC:-cc} -O1 -w -std=gnu11 -D_GNU_SOURCE -I"$TOP/lib/src" -I"$O" -I"$TOP/lib/include" \
		-I"$TOP/selftests" -c "$TOP/selftests/sim/shards.c" -o "$tap_dir/sim.o"
	expect ${CC:-cc} "$tap_dir/sim.o" "$d/mutant.o" "$O/lib/libbaton.a" -pthread -o "$d/shards"
	timeout 200 "$d/shards" "${3:-15}" >"$d/out" 2>&1 || rc=$?
	cat "$d/out"
	[ "$rc" -ne 0 ] && [ "$rc" -ne 124 ] && grep -q '^not ok' "$d/out"
}
caught() { check "$1" mutant "${@:2}"; }

caught "whoever pushes wakes nobody" shard/fund.c 's/if (slot >= 0) {/if (0) {/'
# Other slots' ends hide that most often: one seed in a hundred or two shows it.
caught "a shard that was refused is not told" shard/fund.c 's/	tell_shut(s, out, f, shut);//' 300
caught "a lease that ran is not given back" shard/fund.c 's/if (!e->l.keeps || btn_lease_left/if (0 \&\& btn_lease_left/'
caught "an idle slot keeps its leases" shard/shard.c '/An idle slot has no lease/,+1s/btn_fund_give_back(s, out, sl, now, true);//'
caught "a slot that was closed keeps its wake-up" shard/shard.c 's/for (i = 0; closed \&\& i < s->shards; i++)/for (i = 0; 0; i++)/'
caught "a slice is longer than the lease" shard/shard.c 's/left = btn_lease_left(&pays->l);//'
caught "a tier is not leased from" shard/shard.c 's/if (f->tier->accounted) {/if (0) {/'
caught "a slot takes its own shard's task whatever waits elsewhere" shard/shard.c \
	's/if (goes_before(s, rival, place/if (0 \&\& goes_before(s, rival, place/'
caught "a slot looks into its own shard alone" shard/shard.c 's/for (k = 0; k < s->shards; k++) {/for (k = 0; k < 1; k++) {/'
caught "a task that was added is forgotten at the end of another" shard/shard.c \
	'/c->n_idle = 1;/,+1s/take_inbox(s, sh, now);//'
finish

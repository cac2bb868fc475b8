#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mistakes in the rules of leases: the simulation must find each one.
set -u
. "$TOP/selftests/tap.sh"

# mutant FILE SED: what `lease` says of the library's sources, changed so.
mutant() {
	local d rc=0
	d=$(mktemp -d "$tap_dir/mutant.XXXXXX")
	cp "$TOP"/lib/src/lease.[ch] "$TOP"/lib/src/ledger.[ch] "$TOP"/lib/src/heap.h "$d"
	sed -i "$2" "$d/$1"
	if cmp -s "$d/$1" "$TOP/lib/src/$1"; then
		echo "the mistake is not made: nothing in $1 is like that"
		exit 1
	fi
	expect ${CC:-cc} -O1 -w -std=gnu11 -D_GNU_SOURCE -I"$d" -I"$TOP/lib/include" -I"$TOP/selftests" \
		"$TOP/selftests/sim/lease.c" "$d/lease.c" "$d/ledger.c" -o "$d/lease"
	timeout 100 "$d/lease" >"$d/out" 2>&1 || rc=$?
	cat "$d/out"
	[ "$rc" -eq 1 ] && grep -q '^not ok' "$d/out"
}
caught() { check "$1" mutant "$2" "$3"; }

caught "recorded as of when the lease was taken" lease.c \
	's/btn_account_settle(l->acct, now, l->room/btn_account_settle(l->acct, l->taken, l->room/'
caught "what is past the lease is forgotten" lease.c \
	's/l->room, l->spent, l->tag/l->room, btn_lease_left(l) ? l->spent : l->room, l->tag/'
caught "what was spent does not stay reserved" ledger.c 's/a->reserved -= slice;/a->reserved -= cpu < slice ? cpu : slice;/'
caught "a lease that is given back goes on" lease.c 's/	l->acct = NULL;//'
caught "a new lease begins as the last one ended" lease.c 's/l->spent = 0;//'
caught "leases at once are not counted" ledger.c \
	's/if (++a->running == 1 || a->running > a->abreast)/a->running++;if (!a->abreast)/'
caught "leases are as large where quota is short" lease.c 's/part < most ? part : most/most/'
caught "leases are kept where quota is short" lease.c 's/>= room;/>= 0;/'
caught "one lease is kept as if it were the only one" lease.c \
	's/left_after(a) \/ BTN_LEASE_IDLE \/ spenders/left_after(a) \/ BTN_LEASE_IDLE/'
caught "the tag forgets what was spent" lease.c 's/l->tag > earned ? l->tag - earned : 0/now/'
caught "the tag counts what was spent twice" lease.c 's/l->tag > earned ? l->tag - earned : 0/l->tag/'
caught "a refund ends at the lease" lease.h 's/return cpu - part;/return 0;/'
finish

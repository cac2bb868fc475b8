// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * debt.c - what one process has used up another does not pay for, over a futex that
 * they share.
 *
 * A runs for long and hands over to B, of another process, which needs less. B is
 * served in one go, and it is A that waits for the spinner. In A's place B would get no
 * more than what A had left of a slice: more than a third of its turns would be cut
 * short. Time is counted in instructions (selftests/vm/counted.sh), for a CPU that
 * stands still uses up slices, too.
 */
#include "pair.h"

static struct pair *debtors;
static atomic_ulong *cut_short;

static void served(struct side *s)
{
	*cut_short += debtors->gave_at != *debtors->spins;
}

TEST(debt_stays_in_its_process)
{
	struct spinner *s;
	struct pair *p;

	fresh_start();
	debtors = p = pair_new(60);
	cut_short = arena(sizeof(*cut_short));
	pin(0, 0);
	p->side[0].cpu = p->side[1].cpu = n_cpus() - 1;
	p->side[0].process = p->side[1].process = true;
	p->side[0].burn = 4000000;
	p->side[1].burn = 1000000;
	p->side[1].turn = served;
	s = spinner_start(p->side[0].cpu, false, NULL);
	p->spins = &s->spins;
	pair_start(p);
	counters_reset();
	pair_go(p);
	pair_join(p);
	spinner_stop(s);
	counters_show("debt");
	printf("# the spinner ran in the middle of %lu of %llu turns\n", *cut_short,
	       (unsigned long long)p->side[1].turns);
	CHECK_CMP(*cut_short * 100, <=, p->side[1].turns * 20);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}

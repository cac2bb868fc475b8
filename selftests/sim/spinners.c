// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks without a checkpoint, and the core that stops them by force: what each tenant gets in every sliding second, in virtual time.
 *
 * A task is stopped at the end of its slice, by its timer, or as a better task is due. Its thread uses a little more CPU each
 * time until it has parked, and much more now and then, as an interrupt comes. At the end of a slice that is charged
 * with the run; where the task was stopped earlier, what is expected is charged at once, and the rest, or what was too much, later (sched/stop.c).
 */
#define SCENARIO_PROGRAM "spinners"
#include "scenario.h"
#include "core/core.h"
#include "core/setup.h"

#define US 1000ULL
#define MS 1000000ULL

#define TENANTS 20
#define TASKS 2
#define SLOTS_MAX 2
#define LENGTH (8 * BTN_SECOND)
#define RUNS_MAX (1 << 13)
#define OVERRUN_MAX (128 * US)

/* Real use of one tenant, by the end of each run. */
struct use {
	uint64_t start, end;
};

struct tenant {
	struct btn_tenant *t;
	struct use use[RUNS_MAX];
	unsigned uses;
};

struct spinner {
	struct btn_request r;
	struct btn_task t;
	struct tenant *of;
	uint64_t parks_at;	/* CPU that is not charged yet is used until then */
	uint64_t late, expected, stopped_at;
	int stopped_in;
	uint64_t charged_at;	/* the monitor charges it; BTN_NEVER: nothing is to be charged */
};

static struct {
	struct btn_core c;
	uint64_t now;
	struct tenant ten[TENANTS];
	struct spinner task[TENANTS][TASKS];
	struct {
		struct spinner *task;
		uint64_t start, end;
	} slot[SLOTS_MAX];
	bool steady;		/* all overruns are nearly the same, and none is rare */
} S;

/* CPU that a thread uses until it has parked. */
static uint64_t overrun(void)
{
	uint64_t kind = rnd() % 128;

	if (S.steady)
		return between(60 * US, 80 * US);
	if (kind < 1)
		return between(64 * US, OVERRUN_MAX);
	if (kind < 4)
		return between(32 * US, 64 * US);
	return between(4 * US, kind < 20 ? 32 * US : 16 * US);
}

static void note_use(struct tenant *ten, uint64_t start, uint64_t end)
{
	CHECK(ten->uses < RUNS_MAX);
	ten->use[ten->uses++] = (struct use){ start, end };
}

static void charge_late(struct spinner *sp)
{
	if (sp->late < sp->expected)
		btn_core_refund(&S.c, S.now, &sp->r, sp->stopped_in, sp->stopped_at, sp->expected - sp->late);
	else if (sp->late > sp->expected)
		btn_core_charge(&S.c, S.now, &sp->r, sp->late - sp->expected, true);
	sp->late = sp->expected = 0;
	sp->charged_at = BTN_NEVER;
}

/* Any idle slot gets a task, which begins once its thread has parked. */
static void dispatch(void)
{
	int slot;

	while ((slot = btn_core_idle(&S.c)) >= 0) {
		struct btn_task *t = btn_core_pick(&S.c, S.now, slot);
		struct spinner *sp;

		if (!t)
			break;
		sp = btn_container(t, struct spinner, t);
		charge_late(sp);
		S.slot[slot].task = sp;
		S.slot[slot].start = (sp->parks_at > S.now ? sp->parks_at : S.now) + between(2 * US, 20 * US);
		S.slot[slot].end = S.slot[slot].start + S.c.run[slot].slice + overrun();
	}
	while ((slot = btn_core_next_resched(&S.c)) >= 0) {
		struct spinner *sp = S.slot[slot].task;
		uint64_t start = S.slot[slot].start, more = overrun();

		/* A worker that is on its way has not taken its slot yet; one whose slice is over is about to park. */
		if (!sp || start >= S.now || S.now >= start + S.c.run[slot].slice)
			continue;
		sp->stopped_in = S.c.run[slot].tier->index;
		sp->stopped_at = S.now;
		sp->expected = btn_core_cut(&S.c, slot);
		btn_core_stop(&S.c, S.now, slot, S.now - start + sp->expected, BTN_STOP_YIELD);
		note_use(sp->of, start, S.now + more);
		sp->late = more;
		sp->parks_at = S.now + more;
		sp->charged_at = S.now + MS;
		S.slot[slot].task = NULL;
		dispatch();
		return;
	}
}

static void end_slice(unsigned slot)
{
	struct spinner *sp = S.slot[slot].task;
	uint64_t cpu = S.slot[slot].end - S.slot[slot].start;

	note_use(sp->of, S.slot[slot].start, S.slot[slot].end);
	S.slot[slot].task = NULL;
	btn_core_force(&S.c, slot);
	btn_core_stop(&S.c, S.now, slot, cpu, BTN_STOP_YIELD);
}

static void run_until(uint64_t end)
{
	uint64_t next, when;
	unsigned i, k;

	for (;;) {
		dispatch();
		next = btn_core_next(&S.c, S.now);
		if (next <= S.now)
			next = S.now + 1;
		for (i = 0; i < S.c.slots; i++)
			/* The thread parks, and a little later another one has the lock. */
			if (S.slot[i].task && S.slot[i].end + 3 * US < next)
				next = S.slot[i].end + 3 * US;
		for (i = 0; i < TENANTS; i++)
			for (k = 0; k < TASKS; k++)
				if (S.task[i][k].charged_at < next)
					next = S.task[i][k].charged_at;
		if (next > end)
			break;
		when = S.now = next;
		for (i = 0; i < TENANTS; i++)
			for (k = 0; k < TASKS; k++)
				if (S.task[i][k].charged_at <= when)
					charge_late(&S.task[i][k]);
		for (i = 0; i < S.c.slots; i++)
			if (S.slot[i].task && S.slot[i].end + 3 * US <= when)
				end_slice(i);
		btn_core_tick(&S.c, S.now);
	}
}

/* The most that the tenant used in a second that ends with a run. */
static uint64_t worst_second(const struct tenant *ten)
{
	uint64_t worst = 0, sum, from;
	unsigned i, k;

	for (i = 0; i < ten->uses; i++) {
		if (ten->use[i].end < S.now - (LENGTH - 3 * BTN_SECOND))
			continue;
		from = ten->use[i].end - BTN_SECOND;
		for (sum = 0, k = i + 8 < ten->uses ? i + 8 : ten->uses; k-- && ten->use[k].end + 10 * MS > from;) {
			uint64_t begin = ten->use[k].start > from ? ten->use[k].start : from;
			uint64_t stop = ten->use[k].end < ten->use[i].end ? ten->use[k].end : ten->use[i].end;

			sum += stop > begin ? stop - begin : 0;
		}
		worst = sum > worst ? sum : worst;
	}
	return worst;
}

/* All tasks end: those that have nothing to pay with pay with high-latency quota. */
static void end_all(void)
{
	unsigned i;
	int slot;

	for (i = 0; i < S.c.slots; i++)
		if (S.slot[i].task)
			btn_core_stop(&S.c, S.now, i, 0, BTN_STOP_END);
	for (i = 0; i < TENANTS; i++)
		CHECK_EQ(btn_core_tenant_set(&S.c, S.ten[i].t, 0, S.c.capacity, S.now), 0);
	while ((slot = btn_core_idle(&S.c)) >= 0 && btn_core_pick(&S.c, S.now, slot))
		btn_core_stop(&S.c, S.now, slot, 0, BTN_STOP_END);
	while (btn_core_done(&S.c))
		;
	for (i = 0; i < TENANTS; i++) {
		CHECK_EQ(S.ten[i].t->requests, 0);
		btn_core_tenant_free(&S.c, S.ten[i].t);
	}
	btn_core_fini(&S.c);
}

static void spinners(void)
{
	struct btn_tier_setup tiers[2] = { { .policy = &btn_policy_quota, .share = 1 }, { .policy = &btn_policy_quota, .share = 1, .rank = 1 } };
	unsigned slots = between(1, SLOTS_MAX), i, k;
	uint64_t quota, used_for, used, least = UINT64_MAX, most = 0, worst = 0;

	memset(&S, 0, sizeof(S));
	S.now = 5 * BTN_SECOND;
	S.steady = rnd() % 2;
	CHECK_EQ(btn_core_init(&S.c, slots, slots, slots * BTN_SECOND, tiers, 2, slots * BTN_SECOND * 7 / 10), 0);
	S.c.workers = TENANTS * TASKS;
	quota = S.c.capacity / 1000 * 3;
	used_for = quota * (LENGTH / BTN_SECOND - 2);
	for (i = 0; i < TENANTS; i++)
		CHECK_EQ(btn_core_tenant(&S.c, &S.ten[i].t, quota, 0, S.now), 0);
	for (k = 0; k < TASKS; k++)
		for (i = 0; i < TENANTS; i++) {
			struct spinner *sp = &S.task[i][k];

			sp->of = &S.ten[i];
			sp->charged_at = BTN_NEVER;
			sp->r = (struct btn_request){ .tenant = S.ten[i].t, .class = BTN_TOLERANT, .deadline = BTN_NEVER };
			CHECK_EQ(btn_core_submit(&S.c, S.now, &sp->r, &sp->t), 0);
		}
	run_until(S.now + LENGTH);
	for (i = 0; i < TENANTS; i++) {
		struct tenant *ten = &S.ten[i];

		/* From the third second on overruns are known. */
		for (used = 0, k = ten->uses; k-- && ten->use[k].end > S.now - (LENGTH - 2 * BTN_SECOND);)
			used += ten->use[k].end - ten->use[k].start;
		least = used < least ? used : least;
		most = used > most ? used : most;
		used = worst_second(ten);
		worst = used > worst ? used : worst;
	}
	MUST(worst <= quota + (S.steady ? quota / 44 : slots * OVERRUN_MAX + quota / 50),
	     "Q2: %" PRIu64 " in a sliding second, quota %" PRIu64 ", %u slots, steady: %d", worst, quota, slots, S.steady);
	MUST(most <= used_for / 1000 * 1020, "a tenant got %.3f of what it bought", (double)most / (double)used_for);
	MUST(least >= used_for / 1000 * 975, "a tenant got %.3f of what it bought", (double)least / (double)used_for);
	end_all();
}

static const struct scenario scenarios[] = {
	{ "spinners", spinners, 1 },
};
static uint64_t seeds = 10;

TEST(spinners) { run_seeds(&scenarios[0], seeds); }

int main(int argc, char **argv)
{
	return scenario_main(scenarios, sizeof(scenarios) / sizeof(*scenarios), &seeds, argc, argv);
}

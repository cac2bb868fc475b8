// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shard_steps.c - lib/src/shard: idle slots and inboxes, and waits that several may end, in every
 * order of their steps. Built with BTN_INJECT.
 */
#include "steps.h"
#include "../../lib/src/shard/board.h"
#include "../../lib/src/shard/claim.h"
#include "../../lib/src/shard/ready.h"

/* --- the inbox ------------------------------------------------------------ */

static struct btn_inbox inbox;
static struct btn_inbox_node node[4];
static int came[4], comings;

static void inbox_setup(void)
{
	atomic_init(&inbox.newest, NULL);
	memset(came, 0, sizeof(came));
	comings = 0;
}

static void push_two(int me)
{
	btn_inbox_push(&inbox, &node[2 * me]);
	btn_inbox_push(&inbox, &node[2 * me + 1]);
}

static void take_all(int me)
{
	struct btn_inbox_node *n = btn_inbox_take(&inbox);

	for (; n; n = n->next) {
		if (came[n - node])
			steps_fail("node %d came twice", (int)(n - node));
		came[n - node] = ++comings;
	}
}

static void take_twice(int me)
{
	take_all(me);
	take_all(me);
}

static void inbox_check(void)
{
	int i;

	take_all(2);
	for (i = 0; i < 4; i++)
		if (!came[i])
			steps_fail("node %d did not come", i);
	if (came[0] > came[1] || came[2] > came[3])
		steps_fail("not in the order of the pushes");
}

TEST(inbox_every_order)
{
	struct steps s = { .setup = inbox_setup, .check = inbox_check, .threads = 3, .preemptions = 4,
			   .thread = { push_two, push_two, take_twice }, .stopper = -1 };

	STEPS_CHECK(s);
}

/* --- idle slots ------------------------------------------------------------ */

/* Tasks that do not end: as many as there are slots, and each must begin. */
static struct btn_board *board;
static struct btn_ready ready[2];
static unsigned tasks[2];		/* with its lock: in the shard's core */
static struct btn_inbox_node task[2];
static unsigned permit[2], begun;
static enum { RIGHT, LOOKS_FIRST, LOOKS_BEFORE_PUSH, LEAVES_THE_INBOX } mistake;

static void idle_setup(void)
{
	int i;

	memset(board, 0, sizeof(*board));
	btn_board_init(board, 2);
	for (i = 0; i < 2; i++) {
		btn_ready_init(&ready[i]);
		tasks[i] = permit[i] = 0;
	}
	begun = 0;
}

static void wake_one(unsigned near)
{
	int slot = btn_board_claim(board, near);

	if (slot >= 0 && permit[slot]++)
		steps_fail("slot %d is woken twice", slot);
}

static bool pick(unsigned shard)
{
	struct btn_inbox_node *n;
	bool got, more;

	for (n = btn_inbox_take(&ready[shard].inbox); n; n = n->next)
		tasks[shard]++;
	got = tasks[shard];
	tasks[shard] -= got;
	more = btn_ready_unlock(&ready[shard], tasks[shard] ? 1 : BTN_READY_NONE);
	if (mistake == LEAVES_THE_INBOX ? tasks[shard] : more)
		wake_one(shard);
	return got;
}

static bool no_permit(int me)
{
	return !permit[me];
}

static void wait_for_permit(int me)
{
	steps_t[me].asleep = no_permit;
	steps_point("asleep");
	permit[me] = 0;
}

/* A shard where something is runnable, with its lock; or -1. */
static int try_any(int me)
{
	int i, shard;

	for (i = 0; i < 2; i++) {
		shard = (me + i) % 2;
		if (btn_ready_look(&ready[shard]) != BTN_READY_NONE && btn_ready_try(&ready[shard]))
			return shard;
	}
	return -1;
}

static void slot(int me)
{
	int shard;

	for (;;) {
		shard = try_any(me);
		if (shard < 0) {
			btn_board_offer(board, (unsigned)me);
			if (mistake != LOOKS_FIRST)
				shard = try_any(me);
			if (shard < 0 || !btn_board_withdraw(board, (unsigned)me))
				wait_for_permit(me);
		}
		if (shard >= 0 && pick((unsigned)shard)) {
			begun++;
			return;
		}
	}
}

static void submit(int me)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (mistake == LOOKS_BEFORE_PUSH)
			wake_one(0);
		btn_inbox_push(&ready[0].inbox, &task[i]);
		if (mistake != LOOKS_BEFORE_PUSH)
			wake_one(0);
	}
}

static void idle_check(void)
{
	if (begun != 2)
		steps_fail("%u of 2 tasks began", begun);
}

static struct steps idle_case(int preemptions)
{
	if (!board)
		board = aligned_alloc(BTN_CACHELINE, sizeof(*board));
	return (struct steps){ .setup = idle_setup, .check = idle_check, .threads = 3, .preemptions = preemptions,
			       .thread = { slot, slot, submit }, .stopper = -1 };
}

TEST(no_wakeup_is_lost)
{
	struct steps s = idle_case(3);

	mistake = RIGHT;
	STEPS_CHECK(s);
}

TEST(mistakes_are_found)
{
	int m;

	for (m = LOOKS_FIRST; m <= LEAVES_THE_INBOX; m++) {
		struct steps s = idle_case(3);

		mistake = m;
		CHECK_MSG(!steps_all(&s), "mistake %d was not found in %lu schedules", m, s.runs);
	}
}

/* --- waits that several may end ----------------------------------------------- */

static struct btn_claim claim;
static uint64_t ticket;
static unsigned wakes, took[3];

static void claim_setup(void)
{
	atomic_init(&claim.word, 0);
	btn_claim_arm(&claim);
	ticket = btn_claim_arm(&claim);
	wakes = 0;
	memset(took, 0, sizeof(took));
}

static void source(int me)
{
	/* With the ticket of the wait before, too: that is over. */
	if (btn_claim_take(&claim, ticket - BTN_CLAIM_MASK - 1, 1))
		steps_fail("an old ticket was good");
	took[me] = btn_claim_take(&claim, ticket, me == 2 ? BTN_CLAIM_SELF : (unsigned)me + 1);
	wakes += took[me];
}

static void claim_check(void)
{
	unsigned by = btn_claim_by(&claim);

	if (wakes != 1)
		steps_fail("woken %u times", wakes);
	if (!by || !took[by == BTN_CLAIM_SELF ? 2 : by - 1])
		steps_fail("taken by %u", by);
	if (btn_claim_arm(&claim) == ticket || btn_claim_by(&claim))
		steps_fail("the next wait is the same");
}

TEST(one_ends_a_wait)
{
	struct steps s = { .setup = claim_setup, .check = claim_check, .threads = 3, .preemptions = 6,
			   .thread = { source, source, source }, .stopper = -1 };

	STEPS_CHECK(s);
}

/* --- more than a word of slots ------------------------------------------------- */

TEST(board_names_each_slot_once)
{
	unsigned i, seen = 0;
	int slot;

	idle_case(0);
	memset(board, 0, sizeof(*board));
	btn_board_init(board, 200);
	for (i = 0; i < 200; i++)
		btn_board_offer(board, i);
	CHECK(btn_board_withdraw(board, 150));
	CHECK(!btn_board_withdraw(board, 150));
	CHECK_EQ(btn_board_claim(board, 131), 131);
	slot = btn_board_claim(board, 131);
	CHECK(slot >= 128 && slot < 192);
	for (seen = 2; (slot = btn_board_claim(board, seen % 200)) >= 0; seen++)
		CHECK(slot != 131 && slot != 150);
	CHECK_EQ(seen, 199);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

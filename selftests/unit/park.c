// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * park.c on the simulated kernel: every order of block, resume, switch_to,
 * time-out, signal, spurious wake and teardown, with and without FUTEX_SWAP.
 * The inject variant interrupts between any two accesses to a park word.
 */
#include "futex_sim.h"

#include "park.h"

static struct baton_parker *a, *b;
static bool x1, x2;		/* announced by the permits */
static int taken, timed_out;

static void make_two(void)
{
	CHECK_EQ(baton_parker_create(&a), 0);
	CHECK_EQ(baton_parker_create(&b), 0);
	x1 = x2 = false;
	taken = timed_out = 0;
}

static void end_two(void)
{
	baton_parker_destroy(a);
	baton_parker_destroy(b);
	a = b = NULL;
}

/* A single permit may be left over, no more. */
static int left_over(const struct baton_parker *p)
{
	uint32_t word = atomic_load(&p->word);

	CHECK(word == BTN_PARK_EMPTY || word == BTN_PARK_PERMIT);
	return word == BTN_PARK_PERMIT;
}

/* On both kernels; with a spurious wake where no other bad day is asked for. */
static void explore(struct sim_case c)
{
	unsigned long n;

	if (!c.before)
		c.before = make_two;
	if (!c.after)
		c.after = end_two;
	if (!c.preemptions)
		c.preemptions = 3;
	if (!c.eintr && !c.timeouts)
		c.spurious = 1;
	for (int swap = 0; swap < 2; swap++) {
		c.swap = swap;
		n = sim_explore(&c);
		printf("# %lu schedules, %s, %lu waits %lu wakes %lu swaps\n", n,
		       swap ? "swap" : "wakewait", sim.waits, sim.wakes, sim.swaps);
	}
}

static void count(int err)
{
	SIM_CHECK(err == 0 || err == -ETIMEDOUT);
	taken += err == 0;
	timed_out += err == -ETIMEDOUT;
}

static void resume_a(void)
{
	baton_parker_resume(a);
}

/* A permit that is merged into another one still brings its news. */
static void owner_until_both(void)
{
	while (!x1 || !x2)
		SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
}

static void waker_1(void)
{
	x1 = true;
	baton_parker_resume(a);
}

static void waker_2(void)
{
	x2 = true;
	baton_parker_resume(a);
}

TEST(two_wakers_lose_nothing)
{
	explore((struct sim_case){
		.threads = { owner_until_both, waker_1, waker_2 },
		.eintr = 1,
	});
}

/* Two resumes are one permit or two, with time-outs and without. */
static void owner_three_times(void)
{
	count(baton_parker_block(a, SIM_LATER));
	count(baton_parker_block(a, SIM_LATER));
	count(baton_parker_block(a, SIM_LATER));
}

static void after_two_resumes(void)
{
	int permits = taken + left_over(a);

	CHECK_EQ(taken + timed_out, 3);
	CHECK(permits == 1 || permits == 2);
	end_two();
}

TEST(a_permit_is_taken_once)
{
	explore((struct sim_case){
		.threads = { owner_three_times, resume_a, resume_a },
		.after = after_two_resumes, .timeouts = 3, .preemptions = 2,
	});
}

/* Without a resume there is no permit, whatever the kernel says. */
static void owner_once(void)
{
	count(baton_parker_block(a, SIM_LATER));
}

static void after_none(void)
{
	CHECK_EQ(timed_out, 1);
	CHECK_EQ(left_over(a), 0);
	end_two();
}

TEST(no_permit_from_nowhere)
{
	explore((struct sim_case){
		.threads = { owner_once }, .after = after_none,
		.timeouts = 1, .spurious = 3, .eintr = 3,
	});
}

/* A permit that comes with the time-out is kept. */
static void owner_then_for_ever(void)
{
	if (baton_parker_block(a, SIM_LATER))
		SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
}

TEST(a_late_permit_is_kept)
{
	explore((struct sim_case){
		.threads = { owner_then_for_ever, resume_a }, .timeouts = 1, .eintr = 1,
	});
}

/*
 * A waiter can be called without a permit. The caller is told by the wake
 * whether somebody slept there; if nobody did, it is the caller who tells
 * another (here: gives the permit), and if somebody did that one has to come.
 */
static _Atomic uint32_t called;
static int answers;

static void before_calls(void)
{
	make_two();
	called = 0;
	answers = 0;
}

static void call_a(void)
{
	called = 1;
	if (btn_futex->wake(btn_park_word(a), 1) != 1)
		baton_parker_resume(a);
}

static void owner_once_called(void)
{
	int err = btn_parker_wait(a, NULL, BATON_FOREVER, &called);

	SIM_CHECK(!err || (err == -EINTR && called));
}

static void owner_once_called_in_a_switch(void)
{
	int err = btn_parker_wait(a, b, BATON_FOREVER, &called);

	SIM_CHECK(!err || (err == -EINTR && called));
}

static void owner_of_b(void)
{
	SIM_CHECK(!baton_parker_block(b, BATON_FOREVER));
}

TEST(who_is_called_comes)
{
	explore((struct sim_case){
		.before = before_calls, .threads = { owner_once_called, call_a }, .eintr = 1,
	});
	explore((struct sim_case){
		.before = before_calls, .threads = { owner_once_called, call_a },
	});
	explore((struct sim_case){
		.before = before_calls, .threads = { owner_once_called_in_a_switch, call_a, owner_of_b },
	});
}

/* The caller loses no permit by it, and gets none. */
static void only_call_a(void)
{
	called = 1;
	btn_futex->wake(btn_park_word(a), 1);
}

static void owner_until_a_permit(void)
{
	while (btn_parker_wait(a, NULL, BATON_FOREVER, &called)) {
		SIM_CHECK(called);
		called = 0;
		answers++;
	}
}

static void after_a_call(void)
{
	CHECK(answers <= 1);
	CHECK_EQ(left_over(a), 0);
	end_two();
}

TEST(and_loses_no_permit)
{
	explore((struct sim_case){
		.before = before_calls, .threads = { owner_until_a_permit, only_call_a, resume_a },
		.after = after_a_call,
	});
}

/* Two threads pass one turn to and fro; nobody runs out of turn. */
static int turn;

static void before_turns(void)
{
	make_two();
	turn = 0;
}

static void first_player(void)
{
	turn = 1;
	SIM_CHECK(!baton_parker_switch_to(a, b, BATON_FOREVER));
	SIM_CHECK(turn == 0);
	turn = 1;
	baton_parker_resume(b);
}

static void second_player(void)
{
	SIM_CHECK(!baton_parker_block(b, BATON_FOREVER));
	SIM_CHECK(turn == 1);
	turn = 0;
	SIM_CHECK(!baton_parker_switch_to(b, a, BATON_FOREVER));
	SIM_CHECK(turn == 1);
}

TEST(switch_to_and_fro)
{
	explore((struct sim_case){
		.before = before_turns, .threads = { first_player, second_player },
		.preemptions = 2, .eintr = 1,
	});
}

/* Both at once, a third with a permit for one of them, and time-outs. */
static void a_to_b(void)
{
	count(baton_parker_switch_to(a, b, BATON_FOREVER));
}

static void b_to_a(void)
{
	count(baton_parker_switch_to(b, a, BATON_FOREVER));
}

TEST(switch_to_each_other)
{
	explore((struct sim_case){
		.threads = { a_to_b, b_to_a, resume_a }, .eintr = 1,
	});
}

static void a_to_b_later(void)
{
	count(baton_parker_switch_to(a, b, SIM_LATER));
}

static void b_blocks(void)
{
	SIM_CHECK(!baton_parker_block(b, BATON_FOREVER));
}

static void after_one_resume(void)
{
	CHECK_EQ(taken + left_over(a), 1);
	CHECK_EQ(left_over(b), 0);
	end_two();
}

/* The permit of switch_to is given whatever becomes of the wait. */
TEST(switch_to_that_times_out)
{
	explore((struct sim_case){
		.threads = { a_to_b_later, b_blocks, resume_a },
		.after = after_one_resume, .timeouts = 1, .preemptions = 2,
	});
}

static void a_to_a(void)
{
	SIM_CHECK(!baton_parker_switch_to(a, a, BATON_FOREVER));
}

TEST(switch_to_itself)
{
	explore((struct sim_case){ .threads = { a_to_a, resume_a } });
}

/* A handler, at any place in the thread, resumes its own parker. */
static void owner_for_ever(void)
{
	SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
}

/* The handler may come too late for the thread: then nobody waits for it. */
static void owner_or_later(void)
{
	count(baton_parker_block(a, SIM_LATER));
}

static void after_signal(void)
{
	CHECK_EQ(taken + timed_out, 1);
	left_over(a);
	end_two();
}

TEST(a_handler_resumes_its_own_thread)
{
	explore((struct sim_case){
		.threads = { owner_or_later }, .signals = { resume_a },
		.after = after_signal, .timeouts = 1,
	});
	explore((struct sim_case){
		.threads = { owner_for_ever, resume_a }, .signals = { resume_a },
	});
}

/* A handler resumes whom its thread was just about to resume. */
static void owner_until_first(void)
{
	while (!x1)
		SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
	count(baton_parker_block(a, SIM_LATER));
}

static void after_handler(void)
{
	left_over(a);
	end_two();
}

TEST(a_handler_resumes_another_thread)
{
	explore((struct sim_case){
		.threads = { owner_until_first, waker_1 }, .signals = { NULL, waker_2 },
		.after = after_handler, .timeouts = 1,
	});
}

static void after_switch_signal(void)
{
	CHECK_EQ(taken, 1);
	end_two();
}

TEST(a_handler_in_switch_to)
{
	explore((struct sim_case){
		.threads = { a_to_b, b_blocks, resume_a }, .signals = { resume_a },
		.after = after_switch_signal, .preemptions = 2,
	});
}

/*
 * The owner has what it waited for, ends its parker, and the memory is the next
 * parker while the waker still has its wake to do.
 */
static struct baton_parker *fill[62];

static void before_reuse(void)
{
	/* All of a chunk but one: what is destroyed next is made next. */
	for (size_t i = 0; i < 62; i++)
		CHECK_EQ(baton_parker_create(&fill[i]), 0);
	CHECK_EQ(baton_parker_create(&a), 0);
	b = NULL;
	taken = timed_out = 0;
}

static void owner_twice(void)
{
	struct baton_parker *old = a;

	SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
	baton_parker_destroy(a);
	a = NULL;
	SIM_CHECK(!baton_parker_create(&b));
	SIM_CHECK(b == old);
	count(baton_parker_block(b, SIM_LATER));
}

static void waker_of_both(void)
{
	baton_parker_resume(a);
}

static void after_reuse(void)
{
	CHECK_EQ(taken, 0);
	CHECK_EQ(timed_out, 1);
	for (size_t i = 0; i < 62; i++)
		baton_parker_destroy(fill[i]);
	end_two();
}

TEST(teardown_while_a_wake_is_late)
{
	explore((struct sim_case){
		.before = before_reuse, .threads = { owner_twice, waker_of_both },
		.after = after_reuse, .timeouts = 1, .eintr = 1,
	});
}

/* The same with a waker that sleeps in its swap. */
static void switcher(void)
{
	struct baton_parker *mine;

	SIM_CHECK(!baton_parker_create(&mine));
	SIM_CHECK(baton_parker_switch_to(mine, a, SIM_LATER) == -ETIMEDOUT);
	baton_parker_destroy(mine);
}

static void owner_and_out(void)
{
	SIM_CHECK(!baton_parker_block(a, BATON_FOREVER));
	baton_parker_destroy(a);
	a = NULL;
}

TEST(teardown_while_a_swap_is_late)
{
	explore((struct sim_case){
		.threads = { owner_and_out, switcher }, .timeouts = 1, .eintr = 1,
	});
}

static struct baton_parker *fresh(void)
{
	struct baton_parker *p;

	CHECK_ANY(!baton_parker_create(&p));
	return p;
}

static struct baton_parker *gone(void)
{
	struct baton_parker *p = fresh();

	baton_parker_destroy(p);
	return p;
}

static void resume_gone(void) { baton_parker_resume(gone()); }
static void switch_to_gone(void) { baton_parker_switch_to(fresh(), gone(), 0); }
static void block_gone(void) { baton_parker_block(gone(), 0); }
static void destroy_twice(void) { baton_parker_destroy(gone()); }

static void destroy_parked(void)
{
	struct baton_parker *p = fresh();

	atomic_store(&p->word, BTN_PARK_PARKED);
	baton_parker_destroy(p);
}

static void block_twice(void)
{
	struct baton_parker *p = fresh();

	atomic_store(&p->word, BTN_PARK_PARKED);
	baton_parker_block(p, 0);
}

TEST(misuse_is_named)
{
	tap_dies(resume_gone, "baton_parker_resume: this parker was destroyed");
	tap_dies(switch_to_gone, "baton_parker_switch_to: this parker was destroyed");
	tap_dies(block_gone, "blocks on a parker that was destroyed");
	tap_dies(destroy_twice, "destroyed already");
	tap_dies(destroy_parked, "a thread is blocked on this parker");
	tap_dies(block_twice, "two threads block on one parker");
}

TEST(destroy_of_null)
{
	baton_parker_destroy(NULL);
}

/* More than one chunk, all different, and used again after. */
TEST(many)
{
	enum { N = 1000 };
	static struct baton_parker *p[N];
	int chunks = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			CHECK_EQ(baton_parker_create(&p[i]), 0);
			baton_parker_resume(p[i]);
		}
		for (int i = 0; i < N; i++) {
			CHECK_EQ(baton_parker_block(p[i], 0), 0);
			baton_parker_destroy(p[i]);
		}
	}
	for (struct btn_park_chunk *c = btn_park_chunks; c; c = c->next)
		chunks++;
	CHECK_EQ(chunks, (N + 62) / 63);
}

#ifdef BTN_INJECT
static int no_memory(const char *point)
{
	return !strcmp(point, "park:create:chunk");
}

TEST(out_of_memory)
{
	static struct baton_parker *p[4096];
	size_t n = 0;
	int err;

	atomic_store_explicit(&btn_inject_hook, no_memory, memory_order_relaxed); /* [INJECT-1] */
	while (!(err = baton_parker_create(&p[n])))
		CHECK(++n < 4096);
	CHECK_EQ(err, -ENOMEM);
	CHECK(!p[n]);
	atomic_store_explicit(&btn_inject_hook, NULL, memory_order_relaxed); /* [INJECT-1] */
	CHECK_EQ(baton_parker_create(&p[n]), 0);
	for (size_t i = 0; i <= n; i++)
		baton_parker_destroy(p[i]);
}
#endif

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

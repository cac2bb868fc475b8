// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * restart.c - a swap that is interrupted has woken once and never wakes again:
 * signals with and without SA_RESTART, stops, ptrace, the freezer, exec by
 * another thread, SIGKILL.
 *
 * Each test puts three waiters on uaddr2. The swap wakes one; then it is
 * interrupted, and the other two must sleep on.
 */
#include "common.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static atomic_int handled;

static void on_signal(int sig)
{
	handled++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK(!sigaction(sig, &sa, NULL));
	handled = 0;
}

static bool was_handled(void *arg)
{
	return handled >= *(int *)arg;
}

/* Three on uaddr2, a swap under way, one of them woken. */
struct scene {
	uint32_t *w1, *w2;
	struct call *c[3], *s;
};

static struct scene *scene(const struct timespec *ts)
{
	struct scene *sc = arena(sizeof(*sc));
	int i;

	sc->w1 = word(0);
	sc->w2 = word(0);
	for (i = 0; i < 3; i++)
		sc->c[i] = wait_on(sc->w2, true);
	sc->s = swap_to(sc->w1, sc->w2, ts);
	calls_settle(sc->c, 3, 1);
	return sc;
}

static struct timespec in_seconds(int64_t sec)
{
	return to_ts(now_ns(CLOCK_MONOTONIC) + sec * NSEC);
}

/* A handler without SA_RESTART: EINTR. */
static void interrupted(const struct timespec *ts)
{
	struct scene *sc;
	int one = 1;

	handle(SIGUSR1, 0);
	sc = scene(ts);
	CHECK(!tgkill(getpid(), sc->s->tid, SIGUSR1));
	CHECK(until(was_handled, &one));
	CHECK_EQ(call_result(sc->s), -EINTR);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

TEST(signal_ends_it_with_eintr)
{
	struct timespec ts = in_seconds(1000);

	interrupted(NULL);
	interrupted(&ts);
}

/* With SA_RESTART it may end with EINTR or wait on, but not wake. */
static void sa_restart(const struct timespec *ts)
{
	struct scene *sc;
	int n;

	handle(SIGUSR1, SA_RESTART);
	sc = scene(ts);
	for (n = 1; n <= 5 && !sc->s->done; n++) {
		CHECK(!tgkill(getpid(), sc->s->tid, SIGUSR1));
		CHECK(until(was_handled, &n));
		while (!sc->s->done && !call_asleep(sc->s))
			nap();
		calls_settle(sc->c, 3, 1);
	}
	if (!sc->s->done)
		CHECK_EQ(sys_futex(sc->w1, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	call_result(sc->s);
	CHECK(sc->s->ret == 1 || sc->s->ret == -EINTR);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

TEST(sa_restart_wakes_nobody_again)
{
	struct timespec ts = in_seconds(1000);

	sa_restart(NULL);
	sa_restart(&ts);
}

/*
 * The rest interrupt a process of their own: the swapper alone in it, the
 * waiters in ours, all on shared futexes. *@s is in the arena, as the words are.
 */
static struct scene *scene_apart(int64_t due)
{
	struct scene *sc = arena(sizeof(*sc));
	struct timespec *ts = arena(sizeof(*ts));
	int i;

	sc->w1 = word(0);
	sc->w2 = word(0);
	for (i = 0; i < 3; i++)
		sc->c[i] = wait_on(sc->w2, false);
	sc->s = call_new(FUTEX_SWAP, sc->w1, 0, sc->w2);
	if (due) {
		*ts = to_ts(due);
		sc->s->timeout = ts;
	}
	call_fork(sc->s);
	call_until_asleep(sc->s);
	calls_settle(sc->c, 3, 1);
	return sc;
}

/* The swap was interrupted and went back to sleep: wake it, and it says what it woke. */
static void resumes(struct scene *sc)
{
	call_until_asleep(sc->s);
	calls_settle(sc->c, 3, 1);
	CHECK_EQ(sys_futex(sc->w1, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(sc->s), 1);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

static void stop_and_go_on(struct scene *sc)
{
	CHECK(!kill(sc->s->pid, SIGSTOP));
	until_state(sc->s->tid, "T");
	CHECK(!kill(sc->s->pid, SIGCONT));
	call_until_asleep(sc->s);
	calls_settle(sc->c, 3, 1);
}

TEST(sigstop_and_sigcont)
{
	struct scene *sc;
	int i, timed;

	for (timed = 0; timed < 2; timed++) {
		sc = scene_apart(timed ? now_ns(CLOCK_MONOTONIC) + 1000 * NSEC : 0);
		for (i = 0; i < 3; i++)
			stop_and_go_on(sc);
		resumes(sc);
	}
}

static bool clock_past(void *arg)
{
	return now_ns(CLOCK_MONOTONIC) > *(int64_t *)arg;
}

/* The deadline passes while it is stopped: it does not start anew. */
TEST(deadline_stays_the_same)
{
	int64_t due = now_ns(CLOCK_MONOTONIC) + 3 * NSEC;
	struct scene *sc = scene_apart(due);

	CHECK(!kill(sc->s->pid, SIGSTOP));
	until_state(sc->s->tid, "T");
	CHECK_MSG(!sc->s->done, "too slow a machine: the deadline was not far enough");
	CHECK(until(clock_past, &due));
	CHECK(!kill(sc->s->pid, SIGCONT));
	while (!sc->s->done) {
		CHECK_MSG(!call_asleep(sc->s) || now_ns(CLOCK_MONOTONIC) < due + 5 * NSEC,
			  "asleep 5 s after its deadline");
		nap();
	}
	CHECK_EQ(call_result(sc->s), -ETIMEDOUT);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

/* Restarted as a wait, it looks at the value again, as a wait does. */
TEST(value_changed_while_stopped)
{
	struct scene *sc = scene_apart(0);

	CHECK(!kill(sc->s->pid, SIGSTOP));
	until_state(sc->s->tid, "T");
	*sc->w1 = 1;
	sys_futex(sc->w1, FUTEX_WAKE, 1, NULL, NULL, 0);
	CHECK(!kill(sc->s->pid, SIGCONT));
	call_result(sc->s);
	CHECK(sc->s->ret == -EAGAIN || sc->s->ret == 1);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

static void interrupt_and_detach(int64_t due)
{
	struct scene *sc = scene_apart(due);
	pid_t pid = sc->s->pid;
	int status;

	CHECK(!ptrace(PTRACE_SEIZE, pid, 0, 0));
	CHECK(!ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!ptrace(PTRACE_CONT, pid, 0, 0));
	call_until_asleep(sc->s);
	calls_settle(sc->c, 3, 1);
	CHECK(!ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!ptrace(PTRACE_DETACH, pid, 0, 0));
	resumes(sc);
}

TEST(ptrace_interrupt_and_detach)
{
	interrupt_and_detach(0);
	interrupt_and_detach(now_ns(CLOCK_MONOTONIC) + 1000 * NSEC);
}

TEST(ptrace_attach_and_syscall_stop)
{
	struct scene *sc = scene_apart(0);
	pid_t pid = sc->s->pid;
	int status;

	CHECK(!ptrace(PTRACE_ATTACH, pid, 0, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	/* On to the entry of the restarted call, and let go there. */
	CHECK(!ptrace(PTRACE_SYSCALL, pid, 0, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!ptrace(PTRACE_DETACH, pid, 0, 0));
	resumes(sc);
}

static bool is_frozen(void *arg)
{
	return cgroup_value(arg, "cgroup.events", "frozen") == 1;
}

static void freeze_and_thaw(int64_t due)
{
	const char *cg = cgroup_new("freezer");
	struct scene *sc = scene_apart(due);
	int i;

	CHECK(cgroup_enter(cg, sc->s->pid));
	for (i = 0; i < 2; i++) {
		CHECK(cgroup_write(cg, "cgroup.freeze", "1"));
		CHECK(until(is_frozen, (void *)cg));
		calls_settle(sc->c, 3, 1);
		CHECK(cgroup_write(cg, "cgroup.freeze", "0"));
		call_until_asleep(sc->s);
		calls_settle(sc->c, 3, 1);
	}
	resumes(sc);
	cgroup_delete(cg);
}

TEST(freezer)
{
	freeze_and_thaw(0);
	freeze_and_thaw(now_ns(CLOCK_MONOTONIC) + 1000 * NSEC);
}

/* The wakee is frozen: it is woken once, and runs when it is thawed. */
TEST(frozen_wakee)
{
	const char *cg = cgroup_new("wakee");
	uint32_t *w1 = word(0), *w2 = word(0);
	struct call *c = call_new(FUTEX_WAIT, w2, 0, NULL), *s;

	call_fork(c);
	call_until_asleep(c);
	CHECK(cgroup_enter(cg, c->pid));
	CHECK(cgroup_write(cg, "cgroup.freeze", "1"));
	CHECK(until(is_frozen, (void *)cg));
	/* The freezer took it out of its wait: the value tells it, when it looks again. */
	*w2 = 1;
	s = call_new(FUTEX_SWAP, w1, 0, w2);
	call_thread(s);
	call_until_asleep(s);
	CHECK(!c->done);
	CHECK(cgroup_write(cg, "cgroup.freeze", "0"));
	CHECK_EQ(call_result(c), -EAGAIN);
	CHECK_EQ(sys_futex(w1, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 0);
	cgroup_delete(cg);
}

TEST(sigkill_while_it_sleeps)
{
	struct scene *sc = scene_apart(0);

	CHECK(!kill(sc->s->pid, SIGKILL));
	CHECK_EQ(waitpid(sc->s->pid, NULL, 0), sc->s->pid);
	calls_settle(sc->c, 3, 1);
	CHECK_EQ(sys_futex(sc->w1, FUTEX_WAKE, 9, NULL, NULL, 0), 0);
	calls_end(sc->c, 3);
}

/* A process whose one thread swaps while another calls exec. */
static void exec_other(struct scene *sc, uint32_t *go)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sc->s->pid = 0;
	call_thread(sc->s);
	while (!__atomic_load_n(go, __ATOMIC_SEQ_CST))
		nap();
	execl("/bin/true", "true", NULL);
	_exit(1);
}

TEST(exec_by_another_thread)
{
	struct scene *sc = arena(sizeof(*sc));
	uint32_t *go = word(0);
	int i, status;
	pid_t pid;

	sc->w1 = word(0);
	sc->w2 = word(0);
	for (i = 0; i < 3; i++)
		sc->c[i] = wait_on(sc->w2, false);
	sc->s = call_new(FUTEX_SWAP, sc->w1, 0, sc->w2);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		exec_other(sc, go);
	calls_settle(sc->c, 3, 1);
	call_until_asleep(sc->s);
	__atomic_store_n(go, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	calls_settle(sc->c, 3, 1);
	calls_end(sc->c, 3);
}

/*
 * Kill a swapper at any moment. Its partner, in our process, was woken or is
 * still on its futex; never neither, and each wake is counted once.
 */
static void kill_at_random(uint32_t seed)
{
	uint32_t *w1 = word(0), *w2 = word(0), *swaps = word(0);
	struct timespec ts;
	struct call *c[2];
	pid_t pid;
	int i;

	for (i = 0; i < 2; i++)
		c[i] = wait_on(w2, false);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		__atomic_store_n(swaps, 1, __ATOMIC_SEQ_CST);
		sys_futex(w1, FUTEX_SWAP, 0, NULL, w2, 0);
		_exit(0);
	}
	while (!__atomic_load_n(swaps, __ATOMIC_SEQ_CST))
		sched_yield();
	ts = to_ts(seed * 7919 % 300000);
	nanosleep(&ts, NULL);
	CHECK(!kill(pid, SIGKILL));
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	for (i = 0; i < 2; i++)
		while (!c[i]->done && !call_asleep(c[i]))
			nap();
	CHECK_CMP(calls_done(c, 2), <=, 1);
	calls_end(c, 2);
}

TEST(sigkill_at_any_moment)
{
	int i, rounds = is_debug_kernel() ? 20 : 60;

	for (i = 0; i < rounds; i++)
		kill_at_random(i);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}

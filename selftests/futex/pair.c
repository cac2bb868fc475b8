// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pair.c - see pair.h. The turn is in two words, one of which is 1: whose is 1
 * may run. Memory order is left to the atomic builtins and system calls.
 */
#include "pair.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct attr {	/* struct sched_attr, which <sched.h> does not have yet */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

int set_policy(pid_t tid, int policy, int nice, int uclamp_max)
{
	struct attr a = { .size = sizeof(a), .policy = policy, .nice = nice };

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		a.priority = 1;
	if (policy == SCHED_DEADLINE) {
		a.runtime = 20000000;
		a.deadline = a.period = 100000000;
	}
	if (uclamp_max) {
		a.flags |= 0x20 | 0x40;	/* SCHED_FLAG_UTIL_CLAMP_MIN, _MAX */
		a.util_min = uclamp_max / 2;
		a.util_max = uclamp_max;
	}
	return syscall(SYS_sched_setattr, tid, &a, 0) ? -errno : 0;
}

int64_t cpu_time(pid_t tid)
{
	char path[64], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", tid);
	CHECK_MSG(read_line(path, buf, sizeof(buf)), "%s: %s", path, strerror(errno));
	return strtoll(buf, NULL, 10);
}

static uint32_t load(uint32_t *w)
{
	return __atomic_load_n(w, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *w, uint32_t v)
{
	__atomic_store_n(w, v, __ATOMIC_SEQ_CST);
}

static struct pair *live_pairs[64];
static struct spinner *live_spinners[64];
static int n_pairs, n_spinners;

void fresh_start(void)
{
	int i;

	for (i = 0; i < 64; i++) {
		if (live_pairs[i])
			live_pairs[i]->stop = true;
		if (live_spinners[i])
			live_spinners[i]->stop = true;
		live_pairs[i] = NULL;
		live_spinners[i] = NULL;
	}
}

struct pair *pair_new(uint64_t limit)
{
	struct pair *p = arena(sizeof(*p));

	live_pairs[n_pairs++ % 64] = p;

	p->w[0] = word(0);
	p->w[1] = word(0);
	p->limit = limit;
	p->gave_on = -1;
	p->side[0].cpu = p->side[1].cpu = -1;
	return p;
}

/* Give the turn away and wait for it to come back, or for a reason to look. */
static void give(struct pair *p, int i)
{
	struct side *s = &p->side[i];
	uint32_t *me = p->w[i], *him = p->w[!i];
	long ret;

	store(me, 0);
	p->gave_on = sched_getcpu();
	if (p->spins)
		p->gave_at = *p->spins;
	store(him, 1);
	if (s->sleeps) {
		sys_futex(him, FUTEX_WAKE, 1, NULL, NULL, 0);
		return;
	}
	ret = sys_futex(me, FUTEX_SWAP, 0, NULL, him, 0);
	if (ret == 1)
		s->woke_one++;
	else if (!ret)
		s->woke_none++;
	else if (ret == -EAGAIN)
		s->eagain++;
	else
		s->other++;
}

static void side_run(struct pair *p, int i)
{
	struct side *s = &p->side[i];
	struct timespec ts;
	int64_t until;
	int cpu;

	if (s->cgroup && !cgroup_enter(s->cgroup, getpid()))
		s->error = -errno;
	if (s->cpu >= 0)
		pin(0, s->cpu);
	if (s->policy || s->nice || s->uclamp_max)
		s->error = set_policy(0, s->policy, s->nice, s->uclamp_max) ?: s->error;
	s->tid = gettid();
	for (;;) {
		while (!load(p->w[i]))
			sys_futex(p->w[i], FUTEX_WAIT, 0, NULL, NULL, 0);
		cpu = sched_getcpu();
		s->moved += p->gave_on >= 0 && cpu != p->gave_on;
		s->first_cpu_turns[cpu & 7]++;
		s->disturbed += p->spins && p->gave_at != *p->spins;
		if (s->burn) {
			until = now_ns(CLOCK_THREAD_CPUTIME_ID) + s->burn;
			while (now_ns(CLOCK_THREAD_CPUTIME_ID) < until)
				;
		}
		if (s->turn)
			s->turn(s);
		if (p->stop || (p->limit && s->turns + 1 >= p->limit))
			break;
		s->turns++;
		give(p, i);
	}
	s->turns++;
	p->stop = true;
	store(p->w[!i], 1);
	sys_futex(p->w[!i], FUTEX_WAKE, 1, NULL, NULL, 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	s->used = ts.tv_sec * NSEC + ts.tv_nsec;
	s->done = true;
}

static void *side_0(void *p)
{
	side_run(p, 0);
	return NULL;
}

static void *side_1(void *p)
{
	side_run(p, 1);
	return NULL;
}

static void side_start(struct pair *p, int i)
{
	struct side *s = &p->side[i];
	pid_t pid;

	if (!s->process) {
		CHECK(!pthread_create(&s->thread, NULL, i ? side_1 : side_0, p));
		return;
	}
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		side_run(p, i);
		_exit(0);
	}
	s->pid = pid;
}

static bool both_wait(void *arg)
{
	struct pair *p = arg;

	return p->side[0].tid && p->side[1].tid && asleep_on(p->side[0].tid, p->w[0]) &&
	       asleep_on(p->side[1].tid, p->w[1]);
}

bool pair_try_start(struct pair *p)
{
	side_start(p, 0);
	side_start(p, 1);
	CHECK_MSG(until(both_wait, p), "the pair never got to wait");
	if (!p->side[0].error && !p->side[1].error)
		return true;
	p->stop = true;
	pair_go(p);
	pair_join(p);
	return false;
}

void pair_start(struct pair *p)
{
	CHECK_MSG(pair_try_start(p), "cannot set the pair up: %s",
		  strerror(-(p->side[0].error ?: p->side[1].error)));
}

void pair_go(struct pair *p)
{
	store(p->w[0], 1);
	sys_futex(p->w[0], FUTEX_WAKE, 1, NULL, NULL, 0);
}

void pair_stop(struct pair *p)
{
	p->stop = true;
}

uint64_t pair_turns(struct pair *p)
{
	return p->side[0].turns + p->side[1].turns;
}

uint64_t pair_swaps(struct pair *p)
{
	return p->side[0].woke_one + p->side[1].woke_one;
}

void pair_join(struct pair *p)
{
	int64_t give_up = now_ns(CLOCK_MONOTONIC) + patience();
	uint64_t turns = 0, n;
	int i;

	while (!p->side[0].done || !p->side[1].done) {
		n = pair_turns(p);
		if (n != turns) {
			turns = n;
			give_up = now_ns(CLOCK_MONOTONIC) + patience();
		}
		CHECK_MSG(now_ns(CLOCK_MONOTONIC) < give_up,
			  "stuck: words %u and %u, turns %llu and %llu, states '%c' and '%c'", *p->w[0],
			  *p->w[1], p->side[0].turns, p->side[1].turns, state_of(p->side[0].tid),
			  state_of(p->side[1].tid));
		nap();
	}
	for (i = 0; i < 2; i++) {
		if (p->side[i].process)
			waitpid(p->side[i].pid, NULL, 0);
		else
			pthread_join(p->side[i].thread, NULL);
		CHECK_MSG(!p->side[i].other, "%llu swaps of side %d failed",
			  (unsigned long long)p->side[i].other, i);
	}
}

void pair_run(struct pair *p)
{
	pair_start(p);
	pair_go(p);
	pair_join(p);
}

static void *spin(void *arg)
{
	struct spinner *s = arg;

	if (s->cgroup)
		CHECK_ANY(cgroup_enter(s->cgroup, getpid()));
	if (s->cpu >= 0)
		pin(0, s->cpu);
	s->tid = gettid();
	while (!s->stop)
		s->spins++;
	s->done = true;
	return NULL;
}

static bool spins(void *arg)
{
	return ((struct spinner *)arg)->spins > 0;
}

struct spinner *spinner_start(int cpu, bool process, const char *cgroup)
{
	struct spinner *s = arena(sizeof(*s));
	pid_t pid;

	live_spinners[n_spinners++ % 64] = s;
	s->cpu = cpu;
	s->process = process;
	s->cgroup = cgroup;
	if (process) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			spin(s);
			_exit(0);
		}
		s->pid = pid;
	} else {
		CHECK(!pthread_create(&s->thread, NULL, spin, s));
	}
	CHECK(until(spins, s));
	return s;
}

void spinner_stop(struct spinner *s)
{
	s->stop = true;
	if (s->process)
		waitpid(s->pid, NULL, 0);
	else
		pthread_join(s->thread, NULL);
}

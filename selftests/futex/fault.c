// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fault.c - a swap whose memory is not there (yet), and waiters that must not
 * be woken by one.
 *
 * A fault on uaddr may have to sleep. A kernel that takes the wakee off its
 * futex first and wakes it after has a thread meanwhile that nobody can wake:
 * userfaultfd holds that moment open as long as a test wants to look.
 */
#include "common.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096

/* A page whose first touch sleeps until page_give(). */
struct page {
	int uffd;
	uint32_t *word;
};

static struct page page_new(bool shared)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct page p;
	int fd = -1;

	p.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK_MSG(p.uffd >= 0, "userfaultfd: %s", strerror(errno));
	CHECK(!ioctl(p.uffd, UFFDIO_API, &api));
	if (shared) {
		fd = memfd_create("page", MFD_CLOEXEC);
		CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	}
	p.word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	CHECK(p.word != MAP_FAILED);
	if (shared)
		close(fd);
	reg.range.start = (uintptr_t)p.word;
	reg.range.len = PAGE;
	CHECK(!ioctl(p.uffd, UFFDIO_REGISTER, &reg));
	return p;
}

/* Somebody sleeps in a fault on it. */
static bool page_awaited(void *arg)
{
	struct page *p = arg;
	struct uffd_msg msg;

	return read(p->uffd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_PAGEFAULT;
}

static void page_give(struct page *p, uint32_t value)
{
	static uint32_t content[PAGE / 4] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = { .dst = (uintptr_t)p->word, .src = (uintptr_t)content, .len = PAGE };

	content[0] = value;
	CHECK(!ioctl(p->uffd, UFFDIO_COPY, &copy));
}

/* Awake by the swap, or asleep where FUTEX_WAKE finds it. */
static void not_stranded(struct call *c, int op)
{
	while (!c->done && !call_asleep(c))
		nap();
	if (!c->done)
		CHECK_MSG(sys_futex(c->uaddr, op, 1, NULL, NULL, 0) == 1,
			  "the waiter is asleep, but no longer on its futex");
	CHECK_EQ(call_result(c), 0);
}

static void stranded(bool shared, uint32_t value, long expect)
{
	struct page p = page_new(shared);
	uint32_t *w2 = word(0);
	struct call *c = wait_on(w2, !shared);
	struct call *s = call_new(shared ? FUTEX_SWAP : SWAP_PRIVATE, p.word, 0, w2);

	call_thread(s);
	CHECK(until(page_awaited, &p));
	not_stranded(c, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE);
	CHECK(!s->done);
	page_give(&p, value);
	if (!expect) {
		call_until_asleep(s);
		CHECK_EQ(sys_futex(p.word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
		CHECK_CMP(call_result(s), >=, 0);
	} else {
		CHECK_EQ(call_result(s), expect);
	}
	close(p.uffd);
}

TEST(sleeping_fault_strands_nobody)
{
	stranded(false, 0, 0);
	stranded(false, 1, -EAGAIN);
}

TEST(sleeping_fault_strands_nobody_shared)
{
	stranded(true, 0, 0);
	stranded(true, 1, -EAGAIN);
}

/* Exactly one was woken when the fault is over. */
static void once(bool shared, uint32_t value)
{
	struct page p = page_new(shared);
	uint32_t *w2 = word(0);
	struct call *c[3], *s;
	int i;

	for (i = 0; i < 3; i++)
		c[i] = wait_on(w2, !shared);
	s = call_new(shared ? FUTEX_SWAP : SWAP_PRIVATE, p.word, 0, w2);
	call_thread(s);
	CHECK(until(page_awaited, &p));
	page_give(&p, value);
	calls_settle(c, 3, 1);
	if (value) {
		CHECK_EQ(call_result(s), -EAGAIN);
	} else {
		call_until_asleep(s);
		calls_settle(c, 3, 1);
		CHECK_EQ(sys_futex(p.word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
		CHECK_EQ(call_result(s), 1);
	}
	calls_settle(c, 3, 1);
	calls_end(c, 3);
	close(p.uffd);
}

TEST(sleeping_fault_wakes_once)
{
	once(false, 0);
	once(false, 1);
	once(true, 0);
	once(true, 1);
}

/* Killed while it sleeps in the fault. */
struct victim {
	struct page p;
	uint32_t *w2;
	atomic_bool awaited;
	bool shared;
};

static void *victim_swaps(void *arg)
{
	struct victim *v = arg;

	sys_futex(v->p.word, FUTEX_SWAP, 0, NULL, v->w2, 0);
	_exit(1);
}

TEST(sigkill_in_a_sleeping_fault)
{
	int shared, status;

	for (shared = 0; shared < 2; shared++) {
		struct victim *v = arena(sizeof(*v));
		struct call *c[2];
		pthread_t t;
		pid_t pid;
		int i;

		v->w2 = word(0);
		v->shared = shared;
		for (i = 0; i < 2; i++)
			c[i] = wait_on(v->w2, false);
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			v->p = page_new(v->shared);
			CHECK_ANY(!pthread_create(&t, NULL, victim_swaps, v));
			CHECK_ANY(until(page_awaited, &v->p));
			v->awaited = true;
			pause();
		}
		while (!v->awaited) {
			CHECK_MSG(!waitpid(pid, &status, WNOHANG), "the victim died: %#x", status);
			nap();
		}
		CHECK(!kill(pid, SIGKILL));
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		for (i = 0; i < 2; i++)
			while (!c[i]->done && !call_asleep(c[i]))
				nap();
		CHECK_CMP(calls_done(c, 2), <=, 1);
		calls_end(c, 2);
	}
}

/* Memory that comes and goes under the swap: an error or not, nobody is lost. */
static atomic_bool churning;
static uint32_t *churned;

static void *churn(void *arg)
{
	unsigned int i;

	for (i = 0; churning; i++) {
		switch (i % 4) {
		case 0:
			mprotect(churned, PAGE, PROT_NONE);
			break;
		case 1:
			mprotect(churned, PAGE, PROT_READ | PROT_WRITE);
			break;
		/* Replaced, never a hole: a thread's stack could be mapped there. */
		default:
			CHECK_ANY(mmap(churned, PAGE, i & 1 ? PROT_READ | PROT_WRITE : PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == churned);
		}
		if (i % 7 == 0)
			sched_yield();
	}
	return NULL;
}

TEST(uaddr_comes_and_goes)
{
	struct timespec past = to_ts(1);
	int i, rounds = is_debug_kernel() ? 60 : 200, faults = 0;
	pthread_t t;

	churned = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(churned != MAP_FAILED);
	churning = true;
	CHECK_ANY(!pthread_create(&t, NULL, churn, NULL));
	for (i = 0; i < rounds; i++) {
		uint32_t *w2 = word(0);
		struct call *c = wait_on(w2, true);
		long ret = sys_futex(churned, SWAP_PRIVATE, i & 1, &past, w2, 0);

		if (ret == -EFAULT) {
			faults++;
			not_stranded(c, FUTEX_WAKE_PRIVATE);
			continue;
		}
		CHECK_EQ(ret, i & 1 ? -EAGAIN : -ETIMEDOUT);
		CHECK_EQ(call_result(c), 0);
	}
	churning = false;
	pthread_join(t, NULL);
	printf("# %d of %d swaps ended with EFAULT\n", faults, rounds);
}

/* Memory that needs a fault, but none that sleeps. */
TEST(uaddr_never_touched)
{
	int shared;

	for (shared = 0; shared < 2; shared++) {
		uint32_t *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *w2 = word(0);
		struct call *c, *s;

		CHECK(w != MAP_FAILED);
		c = wait_on(w2, !shared);
		s = call_new(shared ? FUTEX_SWAP : SWAP_PRIVATE, w, 0, w2);
		call_thread(s);
		call_until_asleep(s);
		CHECK_EQ(call_result(c), 0);
		CHECK_EQ(sys_futex(w, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
		CHECK_EQ(call_result(s), 1);
	}
}

TEST(uaddr_read_only_file)
{
	int fd = memfd_create("ro", MFD_CLOEXEC);
	uint32_t *w, *w2 = word(0);
	struct call *c, *s;

	CHECK(fd >= 0 && !ftruncate(fd, PAGE));
	w = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(w != MAP_FAILED);
	c = wait_on(w2, false);
	s = call_new(FUTEX_SWAP, w, 0, w2);
	call_thread(s);
	call_until_asleep(s);
	CHECK_EQ(call_result(c), 0);
	CHECK_EQ(sys_futex(w, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(call_result(s), 1);
}

/* A thread that waits for a PI lock is not to be woken like this. */
TEST(pi_waiter_is_refused)
{
	uint32_t *w1 = word(0), *pi = word(0);
	struct timespec past = to_ts(1);
	struct call *c;

	CHECK_EQ(sys_futex(pi, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	c = call_new(FUTEX_LOCK_PI_PRIVATE, pi, 0, NULL);
	call_thread(c);
	call_until_asleep(c);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, NULL, pi, 0), -EINVAL);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, NULL, pi, 0), -EINVAL);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, &past, pi, 0), -EINVAL);
	CHECK(call_asleep(c));
	CHECK_EQ(sys_futex(pi, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(call_result(c), 0);
}

TEST(requeue_pi_waiter_is_refused)
{
	uint32_t *w1 = word(0), *w2 = word(0), *pi = word(0);
	struct call *c = call_new(FUTEX_WAIT_REQUEUE_PI_PRIVATE, w2, 0, pi);

	call_thread(c);
	call_until_asleep(c);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 0, NULL, w2, 0), -EINVAL);
	CHECK_EQ(call_now(w1, SWAP_PRIVATE, 1, NULL, w2, 0), -EINVAL);
	CHECK(call_asleep(c));
	CHECK_EQ(sys_futex(w2, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, NULL, pi, 0), 1);
	CHECK_EQ(call_result(c), 0);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A storm: workers that block in anything at random, tasks that wait for slots
 * all the time, and `baton load` that is killed and started again in the middle.
 * Each task must end. STORM_SECONDS in the environment (5).
 */
#include <baton/baton.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "inject.h"
#include "stuck.h"
#include "tap.h"

#define FLIGHT 64
#define STUCK_SECONDS 60
#define STEP_NS 200000000

static struct baton_tenant *tenant;
static _Atomic long ended, submitted;
static pthread_mutex_t foreign = PTHREAD_MUTEX_INITIALIZER;
static int pipes[2], file;

static void block_somehow(unsigned *seed)
{
	struct timespec ts = { .tv_nsec = 1000 * (rand_r(seed) % 300) };
	struct pollfd p = { .fd = pipes[0], .events = POLLIN };
	char buf[512], *map;
	int fd, how = rand_r(seed) % 9;

	stuck_at("a place to block in", how);
	switch (how) {
	case 0:
		nanosleep(&ts, NULL);
		break;
	case 1:
		p.events = 0;
		poll(&p, 1, rand_r(seed) % 2);
		break;
	case 2:
		pthread_mutex_lock(&foreign);
		nanosleep(&ts, NULL);
		pthread_mutex_unlock(&foreign);
		break;
	case 3:
		if (write(pipes[1], buf, sizeof(buf)) < 0 || read(pipes[0], buf, sizeof(buf)) < 0)
			pause_us(10);
		break;
	case 4:
		if (pread(file, buf, sizeof(buf), rand_r(seed) % (1 << 20)) >= 0)
			posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
		break;
	case 5:
		map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
		if (map != MAP_FAILED) {
			map[rand_r(seed) % (1 << 20)] = 1;
			munmap(map, 1 << 20);
		}
		break;
	case 6:
		fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		if (fd >= 0) {
			if (write(fd, buf, sizeof(buf)) > 0)
				fdatasync(fd);
			close(fd);
		}
		break;
	case 7:
		baton_blocking_begin();
		nanosleep(&ts, NULL);
		baton_blocking_end();
		break;
	default:
		sched_yield();
	}
	stuck_at("past it", how);
}

static void child(void *arg)
{
	unsigned seed = (uintptr_t)arg;

	stuck_begin("child");
	block_somehow(&seed);
	stuck_end();
}

static void task(void *arg)
{
	unsigned seed = (uintptr_t)arg;
	struct baton_task *t = NULL;
	int i;

	stuck_begin("task");
	for (i = 0; i < 4; i++) {
		volatile int n;

		if (i == 1)
			baton_task_spawn(&t, child, (void *)(uintptr_t)rand_r(&seed));
		block_somehow(&seed);
		for (n = 0; n < 2000; n++)
			;
		baton_checkpoint();
	}
	stuck_at("join", !!t);
	if (t)
		baton_task_join(t);
	stuck_end();
	ended++;
}

/*
 * Says what it looks like if for a minute no task ended: a minute in which this
 * thread came by, as all of the machine may stand still for longer.
 */
static void watch(const struct baton_sched *s)
{
	static uint64_t last, waited;
	static long seen;
	uint64_t now = now_ns(), since = now - last;

	waited += since < STEP_NS ? since : STEP_NS;
	last = now;
	if (seen != ended) {
		seen = ended;
		waited = 0;
	} else if (waited > STUCK_SECONDS * 1000000000ull) {
		stuck_show(s);
		pause_us(900000);
		stuck_show(s);
		tap_end(1, "no task ends: %ld of %ld did", (long)ended, (long)submitted);
	}
}

static void die_and_come_back(void)
{
	load_kill();
	pause_us(200000);
	load_again();
}

static void storm(unsigned slots, bool die)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = slots };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000 };
	struct baton_request_opts ro = { .sz = sizeof(ro), .cls = BATON_BATCH, .fn = task };
	const char *env = getenv("STORM_SECONDS");
	struct baton_detect_stats st;
	struct baton_sched *s;
	char buf[1 << 12];
	unsigned seed = 1;
	uint64_t end;
	int i;

	ended = submitted = 0;
	CHECK(!pipe2(pipes, O_NONBLOCK));
	file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	memset(buf, 7, sizeof(buf));
	for (i = 0; i < 256; i++)
		CHECK_EQ(write(file, buf, sizeof(buf)), (long)sizeof(buf));
	CHECK(!baton_sched_create(&s, &so));
	CHECK(!baton_tenant_add(s, &tenant, &to));
	end = now_ns() + (env ? atoi(env) : 5) * 500000000ull;
	while (now_ns() < end) {
		watch(s);
		if (submitted - ended >= FLIGHT) {
			pause_us(300);
			continue;
		}
		ro.arg = (void *)(uintptr_t)rand_r(&seed);
		CHECK(!baton_submit(tenant, &ro, NULL));
		submitted++;
		if (die && now_ns() > end - 1000000000ull) {
			die_and_come_back();
			die = false;
		}
	}
	while (ended < submitted) {
		watch(s);
		pause_us(300);
	}
	CHECK(!baton_detect_stats(s, &st, sizeof(st)));
	printf("# %ld tasks, %lu blocks, %lu unannounced, %lu doorbells, %lu of them to a waker, %lu slots taken, %lu us unauthorised\n",
	       (long)ended, (unsigned long)st.blocks, (unsigned long)st.unannounced, (unsigned long)st.rung, (unsigned long)st.notified,
	       (unsigned long)st.taken, (unsigned long)st.unauthorised / 1000);
	CHECK(st.taken > 0);
	CHECK(st.notified > 0 || !strstr(st.how, "hook"));
	CHECK(WITHIN(10, !baton_sched_destroy(s)));
	close(pipes[0]);
	close(pipes[1]);
	close(file);
}

#ifdef BTN_INJECT
/* An idle poller may stand still anywhere for long, and the others go on. */
static int idle_pollers_stand_still(const char *point)
{
	static _Atomic unsigned n;

	if (!strncmp(point, "idle:", 5) && ++n % 4 == 0)
		pause_us(n % 64 ? 500 : 20000);
	return 0;
}
#endif

TEST(two_slots)
{
#ifdef BTN_INJECT
	/* [INJECT-1] before there are other threads. */
	atomic_store_explicit(&btn_inject_hook, idle_pollers_stand_still, memory_order_relaxed); /* [INJECT-1] */
#endif
	load_begin(NULL);
	storm(2, false);
}

TEST(one_slot_and_a_loader_that_dies)
{
	storm(1, true);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

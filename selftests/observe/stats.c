// SPDX-License-Identifier: GPL-2.0-or-later
/* The page of figures: what is counted, who can read it, and what is no page. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/stats.h>

#include "stats.h"
#include "sched_end.h"
#include "run_dir.h"
#include "tap.h"

#define MS 1000000ULL

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BTN_SANITIZED true
#else
#define BTN_SANITIZED false
#endif

static char why[1000];

/* ------------------------------------------------------------- histograms */

/* Each step's upper end belongs to it, and the next ns does not; errors are as stated. */
TEST(hist_steps)
{
	uint64_t low = 0, high, ns;
	unsigned i;

	for (i = 0; i < BATON_HIST_STEPS - 1; i++) {
		high = baton_hist_bound(i);
		CHECK_EQ(btn_hist_step(low), i);
		CHECK_EQ(btn_hist_step(high - 1), i);
		CHECK_EQ(btn_hist_step(high), i + 1);
		CHECK(high - low == 256 || (high - low) * 8 <= low);
		low = high;
	}
	CHECK_CMP(low, >=, 16000 * MS);
	CHECK_EQ(btn_hist_step(UINT64_MAX), BATON_HIST_STEPS - 1);
	CHECK_EQ(baton_hist_bound(BATON_HIST_STEPS - 1), (long long)UINT64_MAX);
	for (ns = 1; ns < 1ULL << 62; ns *= 3)
		CHECK(ns < baton_hist_bound(btn_hist_step(ns)));
}

TEST(hist_quantiles)
{
	struct baton_hist h = { 0 };
	uint64_t i;

	CHECK_EQ(baton_hist_quantile(&h, 0.5), 0);
	for (i = 1; i <= 1000; i++)
		baton_hist_add(&h, i * MS);
	CHECK_EQ(baton_hist_count(&h), 1000);
	CHECK_EQ(h.sum, 500500 * MS);
	CHECK_CMP(baton_hist_quantile(&h, 0.5), >, 500 * MS);
	CHECK_CMP(baton_hist_quantile(&h, 0.5), <=, 501 * MS * 9 / 8);
	CHECK_CMP(baton_hist_quantile(&h, 0.999), >=, 1000 * MS);
	CHECK_CMP(baton_hist_quantile(&h, 1), <=, 1000 * MS * 9 / 8);
	CHECK_CMP(baton_hist_quantile(&h, 0), >, 1 * MS);
	CHECK_CMP(baton_hist_quantile(&h, 0), <=, 1 * MS * 9 / 8);
}

TEST(left)
{
	struct baton_stats_use u = { .quota = 100 * MS, .used = 30 * MS, .used_at = 5000 * MS };

	CHECK_EQ(baton_stats_left(&u, 5000 * MS), 70 * MS);
	CHECK_EQ(baton_stats_left(&u, 5999 * MS), 70 * MS);
	CHECK_EQ(baton_stats_left(&u, 6000 * MS), 100 * MS);
	CHECK_EQ(baton_stats_left(&u, 4999 * MS), 70 * MS);
	u.used = 101 * MS;
	CHECK_EQ(baton_stats_left(&u, 5000 * MS), 0);
}

/* --------------------------------------------------------- what is counted */

static struct baton_sched *s;
static struct baton_tenant *tenant;

static struct baton_tenant *add(const char *name, unsigned low, unsigned high)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .low_ppm = low, .high_ppm = high, .name = name };
	struct baton_tenant *t;

	CHECK_EQ(baton_tenant_add(s, &t, &o), 0);
	return t;
}

static void open_sched(unsigned slots)
{
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = slots };

	CHECK_EQ(baton_sched_create(&s, &o), 0);
	tenant = add("alice", 100000, 500000);
}

static int submit(enum baton_class cls, uint64_t deadline, baton_task_fn *fn, void *arg, struct baton_request **r)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .deadline = deadline, .fn = fn, .arg = arg };

	return baton_submit(tenant, &o, r);
}

static void wait_for(struct baton_request *r, int want)
{
	CHECK_EQ(baton_request_wait(r), want);
	baton_request_put(r);
}

static void until_told(void *arg)
{
	while (!baton_checkpoint())
		;
}

static void nothing(void *arg)
{
}

static void page_of(struct baton_stats_header *h, struct baton_stats_tenant *t, struct baton_stats_slot *slot)
{
	struct baton_stats *st;

	CHECK_EQ(baton_stats_of(&st, s), 0);
	CHECK(baton_stats_alive(st));
	baton_stats_header(st, h, sizeof(*h));
	CHECK_EQ(baton_stats_tenant(st, 0, t, sizeof(*t)), 0);
	/* Room for more of them is there. */
	CHECK_CMP(h->slots, >=, h->capacity / (1000 * MS));
	CHECK_EQ(baton_stats_slot(st, h->capacity / (1000 * MS), slot, sizeof(*slot)), -ENOENT);
	CHECK_EQ(baton_stats_slot(st, 0, slot, sizeof(*slot)), 0);
	baton_stats_close(st);
}

TEST(counts)
{
	static struct baton_stats_tenant t;
	static struct baton_stats_slot slot;
	struct baton_stats_use *low = &t.tier[BATON_TIER_LOW], *high = &t.tier[BATON_TIER_HIGH];
	struct baton_request *r, *late;
	struct baton_stats_header h;
	uint64_t begin;
	int i, err = 0, extra;

	open_sched(1);
	page_of(&h, &t, &slot);
	CHECK_EQ(h.capacity, 1000 * MS);
	CHECK_EQ(h.low_limit, 700 * MS);
	CHECK_EQ(h.low_sold, 100 * MS);
	CHECK_EQ(h.tiers, 2);
	CHECK_EQ(h.tenants_used, 1);
	CHECK_STR(t.name, "alice");
	CHECK_EQ(t.state, 1);
	CHECK_EQ(low->quota, 100 * MS);
	CHECK_EQ(high->quota, 500 * MS);
	CHECK_EQ(slot.tenant, 0);

	/* 10 short ones, and a long one behind which another one is too late. */
	for (i = 0; i < 10; i++) {
		CHECK_EQ(submit(BATON_BATCH, 0, nothing, NULL, &r), 0);
		wait_for(r, 0);
	}
	begin = baton_clock_now();
	CHECK_EQ(submit(BATON_BATCH, 0, until_told, NULL, &r), 0);
	for (extra = -1; err != -ETIME; extra++) {
		/* -EINVAL: less than 10 ms are left when it gets there. */
		while ((err = submit(BATON_BATCH, baton_clock_now() + 30 * MS, nothing, NULL, &late)) == -EINVAL)
			;
		CHECK_EQ(err, 0);
		/* On a busy machine the long one may be asleep in the kernel, and then this one runs. */
		err = baton_request_wait(late);
		CHECK(!err || err == -ETIME);
		baton_request_put(late);
	}
	baton_request_cancel(r);
	wait_for(r, -ECANCELED);
	page_of(&h, &t, &slot);
	CHECK_EQ(high->admitted, 12 + extra);
	CHECK_EQ(high->finished, 11 + extra);
	CHECK_EQ(high->dropped, 1);
	CHECK_EQ(high->rejected, 0);
	CHECK_EQ(low->admitted, 0);
	CHECK_EQ(t.in_flight, 0);
	CHECK_EQ(baton_hist_count(&high->wait), 11 + extra);
	CHECK_EQ(baton_hist_count(&high->run), slot.switches);
	CHECK_EQ(baton_hist_count(&slot.gap), slot.switches);
	CHECK_CMP(slot.switches, >=, 11 + extra);
	CHECK_EQ(slot.steals, 0);
	CHECK_CMP(high->cpu, >, 0);
	/* Time that was charged by the clock and not used was given back. */
	CHECK_CMP(high->run.sum, >=, high->cpu);
	CHECK_CMP(high->used, >, 0);
	/* Time that it did not use after all is taken back from cpu, and from the log where it is known when. */
	CHECK_CMP(high->used, <=, high->cpu + MS);
	CHECK_CMP(high->used_at, >=, begin);
	CHECK_CMP(slot.gap.sum, >, 0);
	CHECK_CMP(slot.gap_worst, <, slot.gap.sum + 1);

	end_sched(s);
}

/* A request uses up all of its 10 ms, and others find nothing left. */
TEST(rejected)
{
	static struct baton_stats_tenant t;
	static struct baton_stats_slot slot;
	struct baton_stats_header h;
	struct baton_request *r;
	uint64_t n = 0;

	open_sched(1);
	baton_tenant_remove(tenant);
	tenant = add("poor", 10000, 0);
	CHECK_EQ(submit(BATON_CRITICAL, 0, until_told, NULL, &r), 0);
	while (!submit(BATON_CRITICAL, 0, nothing, NULL, NULL)) {
		n++;
		usleep(1000);
	}
	page_of(&h, &t, &slot);
	CHECK_EQ(t.tier[BATON_TIER_LOW].admitted, n + 1);
	CHECK_CMP(t.tier[BATON_TIER_LOW].rejected, >=, 1);
	CHECK_CMP(t.tier[BATON_TIER_LOW].cpu, >=, 9 * MS);
	baton_request_cancel(r);
	wait_for(r, -ECANCELED);
	end_sched(s);
}

/* Somebody runs there; throttled and idle time pass. */
TEST(now)
{
	static struct baton_stats_tenant t;
	static struct baton_stats_slot slot;
	struct baton_stats_header h;
	struct baton_request *r;
	uint64_t idle, id;
	int i;

	open_sched(1);
	baton_tenant_remove(tenant);
	tenant = add("poor", 0, 10000);
	page_of(&h, &t, &slot);
	id = t.id;
	idle = slot.idle;
	usleep(20000);
	page_of(&h, &t, &slot);
	CHECK_CMP(slot.idle - idle, >=, 20 * MS);
	CHECK_CMP(slot.idle, <=, baton_clock_now() - h.started);
	CHECK_EQ(submit(BATON_BATCH, 0, until_told, NULL, &r), 0);
	for (i = 0; i < 5000; i++) {
		page_of(&h, &t, &slot);
		if (slot.tenant == id)
			break;
		usleep(1000);
	}
	CHECK_EQ(slot.tenant, id);
	CHECK_EQ(slot.tier, BATON_TIER_HIGH);
	CHECK_EQ(t.in_flight, 1);
	idle = slot.idle;
	/* The tenant bought 10 ms in a second. */
	for (i = 0; i < 20000 && !t.tier[BATON_TIER_HIGH].throttled; i++) {
		usleep(1000);
		page_of(&h, &t, &slot);
	}
	CHECK_CMP(t.tier[BATON_TIER_HIGH].throttled, >, 100 * MS);
	CHECK_CMP(slot.idle - idle, >=, t.tier[BATON_TIER_HIGH].throttled / 2);
	baton_request_cancel(r);
	wait_for(r, -ECANCELED);
	end_sched(s);
}

static void no_checkpoint(void *arg)
{
	struct timespec ts;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < 60);
}

TEST(preemption_and_gap)
{
	static struct baton_stats_tenant t;
	static struct baton_stats_slot slot;
	struct baton_stats_header h;
	struct baton_request *a, *b;

	open_sched(1);
	CHECK_EQ(submit(BATON_BATCH, 0, no_checkpoint, NULL, &a), 0);
	CHECK_EQ(submit(BATON_BATCH, 0, nothing, NULL, &b), 0);
	wait_for(b, 0);
	page_of(&h, &t, &slot);
	CHECK_CMP(slot.forced_preemptions, >=, 1);
	CHECK_CMP(slot.gap_worst, >, 2 * MS);
	wait_for(a, 0);
	end_sched(s);
}

/* ------------------------------------------------------------ other processes */

static char *path(const char *name)
{
	static char p[200];

	snprintf(p, sizeof(p), "%s/%s", dir, name);
	return p;
}

static struct baton_stats *look_at(const char *name)
{
	struct baton_stats *st;
	int err = baton_stats_open(&st, name, why, sizeof(why));

	CHECK_MSG(!err, "%s: %s", name, why);
	return st;
}

static void refused(const char *name, int want, const char *says)
{
	struct baton_stats *st;

	CHECK_EQ(baton_stats_open(&st, name, why, sizeof(why)), want);
	CHECK(!st);
	CHECK_MSG(strstr(why, says), "says \"%s\", not \"%s\"", why, says);
}

TEST(publish)
{
	static struct baton_stats_tenant t, u;
	struct baton_stats_header h;
	struct baton_stats_slot slot;
	struct baton_request *r;
	struct baton_stats *st;
	struct stat file;

	open_sched(2);
	refused("svc", -ENOENT, "No such file");
	refused(NULL, -ENOENT, "no service published");
	CHECK_EQ(submit(BATON_BATCH, 0, nothing, NULL, &r), 0);
	wait_for(r, 0);
	CHECK_EQ(baton_stats_publish(s, "", 0), -EINVAL);
	CHECK_EQ(baton_stats_publish(s, "svc", 0666), -EINVAL);
	errno = 5;
	CHECK_EQ(baton_stats_publish(s, "svc", 0), 0);
	CHECK_EQ(baton_stats_publish(s, "svc2", 0), -EALREADY);
	CHECK_EQ(errno, 5);
	CHECK_EQ(stat(path("svc"), &file), 0);
	CHECK_EQ(file.st_mode & 07777, 0600);
	CHECK_CMP(file.st_blocks, <, 1000);	/* half a MiB, not address space */

	/* Counts from before are there, and those that come later. */
	st = look_at(NULL);
	CHECK(baton_stats_alive(st));
	baton_stats_header(st, &h, sizeof(h));
	CHECK_STR(h.name, "svc");
	CHECK_EQ(h.pid, getpid());
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), 0);
	CHECK_STR(t.name, "alice");
	CHECK_EQ(t.tier[BATON_TIER_HIGH].finished, 1);
	CHECK_EQ(baton_stats_tenant(st, 1, &u, sizeof(u)), -ENOENT);
	CHECK_EQ(submit(BATON_BATCH, 0, nothing, NULL, &r), 0);
	wait_for(r, 0);
	add("bob", 0, 1000);
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), 0);
	CHECK_EQ(t.tier[BATON_TIER_HIGH].finished, 2);
	CHECK_EQ(baton_stats_tenant(st, 1, &u, sizeof(u)), 0);
	CHECK_STR(u.name, "bob");
	CHECK_EQ(baton_stats_slot(st, 1, &slot, sizeof(slot)), 0);
	CHECK_EQ(baton_stats_slot(st, 2, &slot, sizeof(slot)), -ENOENT);

	/* The tenant's record is nobody's, then somebody else's. */
	baton_tenant_remove(tenant);
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), -EAGAIN);
	tenant = add(NULL, 0, 1000);
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), 0);
	CHECK_STR(t.name, "tenant3");
	CHECK_EQ(t.tier[BATON_TIER_HIGH].finished, 0);
	CHECK_EQ(t.tier[BATON_TIER_HIGH].quota, 2 * MS);

	/* The scheduler's end is seen, and the file is gone; what is mapped can still be read. */
	end_sched(s);
	CHECK(!baton_stats_alive(st));
	CHECK_EQ(stat(path("svc"), &file), -1);
	CHECK_EQ(baton_stats_tenant(st, 0, &t, sizeof(t)), -EAGAIN);
	baton_stats_close(st);
}

/* A name is one service's; a dead one's file is read, and replaced. */
TEST(dead_and_alive)
{
	struct baton_stats_tenant *t = calloc(1, sizeof(*t));
	struct baton_stats *st;
	int ready[2], status;
	pid_t pid;
	char c;

	CHECK(t && !pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct baton_sched *child;
		struct baton_tenant *mine;
		struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1, .name = "old" };

		if (baton_sched_create(&child, NULL) || baton_tenant_add(child, &mine, &o) ||
		    baton_stats_publish(child, "svc", 0640) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	open_sched(1);
	CHECK_EQ(baton_stats_publish(s, "svc", 0), -EADDRINUSE);
	st = look_at("svc");
	CHECK(baton_stats_alive(st));
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	CHECK(!baton_stats_alive(st));
	CHECK_EQ(baton_stats_tenant(st, 0, t, sizeof(*t)), 0);
	CHECK_STR(t->name, "old");
	baton_stats_close(st);
	st = look_at("svc");
	CHECK(!baton_stats_alive(st));
	baton_stats_close(st);
	CHECK_EQ(baton_stats_publish(s, "svc", 0), 0);
	st = look_at("svc");
	CHECK(baton_stats_alive(st));
	CHECK_EQ(baton_stats_tenant(st, 0, t, sizeof(*t)), 0);
	CHECK_STR(t->name, "alice");
	baton_stats_close(st);
	end_sched(s);
	close(ready[0]);
	close(ready[1]);
	free(t);
}

/* Not ours: never replaced, never believed. */
TEST(no_page)
{
	static unsigned char whole[16384];
	struct baton_stats_header h;
	struct baton_stats *st;
	struct stat file;
	unsigned i, n = 0;
	ssize_t len;
	int fd, out;

	fd = open(path("notes"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && write(fd, "dear diary,", 11) == 11);
	refused("notes", -EBADMSG, "not a file that baton_stats_publish() made");
	refused("/", -EBADMSG, "not a file");
	refused("../x", -ENOENT, "No such file");
	open_sched(1);
	CHECK_EQ(baton_stats_publish(s, "notes", 0), -EEXIST);
	CHECK_EQ(baton_stats_publish(s, path("none/svc"), 0), -ENOENT);
	CHECK_EQ(baton_stats_publish(s, path("svc"), 0), 0);
	refused(NULL, -ENOENT, "which service? there are: ");
	close(fd);

	/* Pages of another version, cut, and with any byte of the header changed. */
	fd = open(path("svc"), O_RDONLY);
	len = read(fd, whole, sizeof(whole));
	CHECK(len == sizeof(whole) && !fstat(fd, &file));
	memcpy(&h, whole, sizeof(h));
	out = open(path("copy"), O_RDWR | O_CREAT, 0600);
	CHECK(out >= 0 && !ftruncate(out, file.st_size) && pwrite(out, whole, len, 0) == len);
	st = look_at("copy");
	CHECK(!baton_stats_alive(st));
	baton_stats_close(st);
	h.version = 2;
	CHECK_EQ(pwrite(out, &h, sizeof(h), 0), sizeof(h));
	refused("copy", -EPROTONOSUPPORT, "of version 2, and this reads version 1");
	h.version = 1;
	for (i = 0; i < offsetof(struct baton_stats_header, pid); i++) {
		unsigned char bad = whole[i] ^ (1 + i % 255);

		CHECK(pwrite(out, whole, sizeof(h), 0) == sizeof(h) && pwrite(out, &bad, 1, i) == 1);
		if (!baton_stats_open(&st, path("copy"), why, sizeof(why))) {
			struct baton_stats_tenant *t = malloc(sizeof(*t));
			FILE *null = fopen("/dev/null", "w");

			/* A table that is elsewhere in the file, but within it. */
			n++;
			CHECK(t && null && !baton_stats_print(st, null, BATON_STATS_JSON));
			fclose(null);
			free(t);
			baton_stats_close(st);
		}
	}
	CHECK_CMP(n, <, 40);
	CHECK(!ftruncate(out, 100000) && pwrite(out, whole, sizeof(h), 0) == sizeof(h));
	refused("copy", -EBADMSG, "damaged");
	close(out);
	close(fd);
	unlink(path("copy"));
	unlink(path("notes"));
	end_sched(s);
}

/* A full file system is an error, then and later, and no SIGBUS. */
TEST(no_room)
{
	static struct baton_stats_header h;
	struct baton_stats *st;
	char command[300];
	unsigned i;

	if (geteuid())
		SKIP("mounting a small file system wants root");
	snprintf(command, sizeof(command), "mkdir -p %s/full && mount -t tmpfs -o size=64k none %s/full", dir, dir);
	if (system(command))
		SKIP("no tmpfs can be mounted here");
	open_sched(1);
	CHECK_EQ(baton_stats_publish(s, path("full/svc"), 0), -ENOSPC);
	CHECK_EQ(access(path("full/svc"), F_OK), -1);
	snprintf(command, sizeof(command), "mount -o remount,size=400k %s/full", dir);
	CHECK_EQ(system(command), 0);
	CHECK_EQ(baton_stats_publish(s, path("full/svc"), 0), 0);
	for (i = 0; i < 200; i++)
		add(NULL, 0, 1000);
	st = look_at(path("full/svc"));
	baton_stats_header(st, &h, sizeof(h));
	CHECK_CMP(h.tenants_unlisted, >, 100);
	CHECK_EQ(h.tenants_unlisted + h.tenants_used, 201);
	baton_stats_close(st);
	end_sched(s);
	snprintf(command, sizeof(command), "umount %s/full && rmdir %s/full", dir, dir);
	CHECK_EQ(system(command), 0);
}

/* Tenants beyond the first segment of their table, before the file and after: all are there, in their order. */
TEST(many_tenants)
{
	struct baton_stats_tenant *t = calloc(1, sizeof(*t));
	struct baton_stats *mine, *st, *late;
	struct baton_tenant *gone[2] = { NULL };
	unsigned i, n;

	open_sched(1);
	CHECK(t && !baton_stats_of(&mine, s));
	for (n = 1; n < 700; n++)
		add(NULL, 0, n);
	CHECK_EQ(baton_stats_publish(s, "svc", 0), 0);
	st = look_at(NULL);
	for (; n < 1800; n++) {
		struct baton_tenant *a = add(NULL, 0, n);

		if (n == 1500 || n == 1600)
			gone[n == 1600] = a;
	}
	late = look_at(NULL);
	for (i = 1; i < n; i++) {
		CHECK_EQ(baton_stats_tenant(mine, i, t, sizeof(*t)), 0);
		CHECK_EQ(t->tier[BATON_TIER_HIGH].quota, 1000 * i);
		CHECK_EQ(baton_stats_tenant(st, n - i, t, sizeof(*t)), 0);
		CHECK_EQ(t->tier[BATON_TIER_HIGH].quota, 1000 * (n - i));
		CHECK_EQ(baton_stats_tenant(late, i, t, sizeof(*t)), 0);
		CHECK_EQ(t->id, i + 1);
	}
	CHECK_EQ(baton_stats_tenant(st, n, t, sizeof(*t)), -ENOENT);
	/* Places in a later segment are used again. */
	baton_tenant_remove(gone[0]);
	baton_tenant_remove(gone[1]);
	CHECK_EQ(baton_stats_tenant(st, 1500, t, sizeof(*t)), -EAGAIN);
	add("again", 0, 5000);
	add("and again", 0, 5000);
	CHECK_EQ(baton_stats_tenant(st, 1600, t, sizeof(*t)), 0);
	CHECK_STR(t->name, "again");
	CHECK_EQ(baton_stats_tenant(st, 1500, t, sizeof(*t)), 0);
	CHECK_STR(t->name, "and again");
	baton_stats_close(mine);
	baton_stats_close(st);
	baton_stats_close(late);
	free(t);
	end_sched(s);
}

/* A scheduler, its file and who reads that need little address space, where that is limited. */
TEST(address_space)
{
	struct rlimit before, little;
	struct baton_stats *st;
	unsigned long pages;
	FILE *f;

	if (BTN_SANITIZED)
		SKIP("a sanitizer needs address space of its own");
	f = fopen("/proc/self/statm", "r");
	CHECK(f && fscanf(f, "%lu", &pages) == 1);
	fclose(f);
	CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
	little = before;
	little.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + 64000000;
	CHECK_EQ(setrlimit(RLIMIT_AS, &little), 0);
	open_sched(2);
	CHECK_EQ(baton_stats_publish(s, "svc", 0), 0);
	st = look_at(NULL);
	CHECK(baton_stats_alive(st));
	baton_stats_close(st);
	end_sched(s);
	CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

/* ---------------------------------------------------- while it is written */

static _Atomic bool stop;
static _Atomic unsigned long seen, torn, ahead;

/* Tenants come with a mark in all that they have, and go. */
static void *reader(void *arg)
{
	struct baton_stats_tenant *t = malloc(sizeof(*t));
	struct baton_stats *st = arg;
	uint64_t mark, last = 0;

	CHECK_ANY(t);
	while (!atomic_load(&stop)) {
		if (baton_stats_tenant(st, 0, t, sizeof(*t)))
			continue;
		atomic_fetch_add(&seen, 1);
		mark = strtoull(t->name, NULL, 10);
		/* The tenant has its name and both quotas, or is not there yet. */
		if (!mark || t->tier[0].quota != mark * 1000 || t->tier[1].quota != mark * 2000)
			atomic_fetch_add(&torn, 1);
		if (t->id < last)
			atomic_fetch_add(&torn, 1);
		last = t->id;
		/* Far apart, so that much may happen between reading one and the other. */
		if (t->tier[1].finished > t->tier[0].admitted)
			atomic_fetch_add(&ahead, 1);
	}
	free(t);
	return NULL;
}

static struct baton_stats_tenant *marked(struct btn_page *p, unsigned mark)
{
	struct baton_stats_tenant *t = btn_page_tenant(p, NULL);
	char name[20];

	CHECK(t);
	btn_stat_set(&t->tier[0].quota, mark * 1000ULL);
	btn_stat_set(&t->tier[1].quota, mark * 2000ULL);
	snprintf(name, sizeof(name), "%u", mark);
	btn_page_name((uint64_t *)t->name, sizeof(t->name), name);
	btn_page_tenant_show(t);
	return t;
}

TEST(never_torn)
{
	struct btn_page p;
	struct baton_stats_tenant *t;
	struct baton_stats *st;
	pthread_t thread;
	unsigned i;

	CHECK_EQ(btn_page_create(&p, 1, 2), 0);
	CHECK_EQ(btn_stats_attach(&st, &p), 0);
	stop = false;
	CHECK_EQ(pthread_create(&thread, NULL, reader, st), 0);
	for (i = 1; i < 20000 || (seen < 1000 && i < 5000000); i++) {
		unsigned k;

		t = marked(&p, i);
		for (k = 0; k < 20; k++) {
			btn_stat_add(&t->tier[0].admitted, 1);
			btn_stat_add(&t->tier[1].finished, 1);
		}
		btn_page_tenant_free(&p, NULL, t);
	}
	/* A tenant that stays, and counts. */
	t = marked(&p, i);
	for (i = 0; i < 1000000; i++) {
		btn_stat_add(&t->tier[0].admitted, 1);
		btn_stat_add(&t->tier[1].finished, 1);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CHECK_CMP(seen, >, 0);
	CHECK_EQ(torn, 0);
	CHECK_EQ(ahead, 0);
	baton_stats_close(st);
	btn_page_destroy(&p);
}

static void *tracer(void *ring)
{
	uint64_t i;

	for (i = 1; i <= 300000; i++)
		btn_trace_add(ring, i, BATON_TRACE_RUN, 0, 0, 0, i, (void *)(uintptr_t)i);
	atomic_store(&stop, true);
	return NULL;
}

/* Events that are read of a ring are whole and in order, and lost ones are counted. */
TEST(ring)
{
	struct baton_trace_event e[1000];
	uint64_t next = UINT64_MAX, lost = 0, got = 0, last = 0, unread = 0;
	struct baton_stats *st;
	struct btn_page p;
	pthread_t thread;
	unsigned n, i;
	bool end;

	CHECK_EQ(btn_page_create(&p, 1, 2), 0);
	btn_page_trace(&p, 1);
	CHECK(!p.rings);
	btn_stat_set(&p.h->trace_until, 2 + BATON_TRACE_MAX);
	btn_page_trace(&p, 1);
	CHECK(!p.rings);
	btn_stat_set(&p.h->trace_until, 5);
	btn_page_trace(&p, 1);
	CHECK(p.rings);
	CHECK_EQ(btn_stats_attach(&st, &p), 0);
	CHECK_EQ(baton_trace_read(st, 2, &unread, e, 1, &lost), 0);
	CHECK_EQ(baton_trace_read(st, 0, &next, e, 0, &lost), 0);
	CHECK_EQ(next, 0);
	stop = false;
	CHECK_EQ(pthread_create(&thread, NULL, tracer, &p.rings[0]), 0);
	do {
		end = stop;
		while ((n = baton_trace_read(st, 0, &next, e, 1000, &lost)))
			for (i = 0, got += n; i < n; i++) {
				CHECK(e[i].time == e[i].request && e[i].request == e[i].task);
				CHECK_CMP(e[i].time, >, last);
				last = e[i].time;
			}
	} while (!end);
	pthread_join(thread, NULL);
	CHECK_EQ(last, 300000);
	CHECK_EQ(got + lost, 300000);
	/* A reader that never looked lost all but as many as there is room for. */
	lost = 0;
	CHECK_EQ(baton_trace_read(st, 0, &unread, e, 1, &lost), 0);
	CHECK_EQ(lost, 300000 - BTN_RING + 1);
	CHECK_EQ(baton_trace_read(st, 0, &unread, e, 1, &lost), 1);
	CHECK_EQ(e[0].time, lost + 1);
	btn_page_trace(&p, 5);
	CHECK(!p.rings && !baton_trace_active(st));
	baton_stats_close(st);
	btn_page_destroy(&p);
}

int main(int argc, char **argv)
{
	return run_dir_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* <baton/fleet.h>, with an agent that the test plays. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <baton/fleet.h>
#include <baton/sched.h>
#include <baton/stats.h>

#include "sched_end.h"
#include "tap.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL

static struct baton_sched *s;
static struct baton_fleet *f;
static char folder[] = "/tmp/fleet.XXXXXX", path[64];
static int listener, agent;

static uint64_t boot_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void take_client(void)
{
	struct pollfd fd = { .fd = listener, .events = POLLIN };

	CHECK_EQ(poll(&fd, 1, 20000), 1);
	agent = accept(listener, NULL, NULL);
	CHECK(agent >= 0);
}

static void open_all(unsigned low_limit)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 2, .capacity = 2 * SECOND, .low_limit_ppm = low_limit };
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	CHECK(mkdtemp(strcpy(folder, "/tmp/fleet.XXXXXX")));
	snprintf(path, sizeof(path), "%s/s", folder);
	strcpy(at.sun_path, path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(listen(listener, 4), 0);
	CHECK_EQ(baton_sched_create(&s, &so), 0);
	CHECK_EQ(baton_fleet_join(&f, s, path), 0);
	take_client();
}

static void close_all(void)
{
	baton_fleet_leave(f);
	end_sched(s);
	close(agent);
	close(listener);
	unlink(path);
	rmdir(folder);
}

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
	char text[2000];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	CHECK_EQ(send(agent, text, n, MSG_NOSIGNAL), n);
}

static void tell_until(uint64_t ns)
{
	tell("until %llu", (unsigned long long)(boot_now() + ns));
}

struct use {
	unsigned long long seq, u[10];
	char tenant[64], class[8];
	unsigned is_short;
};

/* The next `use` of this class. */
static struct use hear(const char *class)
{
	struct pollfd fd = { .fd = agent, .events = POLLIN };
	struct use u;
	char text[500];
	ssize_t n;

	do {
		CHECK_EQ(poll(&fd, 1, 20000), 1);
		n = recv(agent, text, sizeof(text) - 1, 0);
		CHECK_CMP(n, >, 0);
		text[n] = 0;
		CHECK_MSG(sscanf(text, "use %llu %63s %7s %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", &u.seq, u.tenant, u.class,
				 &u.is_short, &u.u[0], &u.u[1], &u.u[2], &u.u[3], &u.u[4], &u.u[5], &u.u[6], &u.u[7], &u.u[8],
				 &u.u[9]) == 14, "no use: %s", text);
	} while (strcmp(u.class, class));
	return u;
}

static struct use answer(const char *class, unsigned long long seq)
{
	struct use u;

	do {
		u = hear(class);
	} while (u.seq != seq);
	return u;
}

static struct baton_tenant *find(const char *name)
{
	struct baton_tenant *t;

	CHECK_EQ(baton_tenant_find(s, name, &t), 0);
	return t;
}

/* The quotas that are in force, by the figures; and low-latency quota that is sold in all. */
static void quotas(const char *name, uint64_t q[2], uint64_t *sold)
{
	struct baton_stats_header head;
	struct baton_stats_tenant t;
	struct baton_stats *page;
	unsigned i;
	int err;

	q[0] = q[1] = 0;
	CHECK_EQ(baton_stats_of(&page, s), 0);
	for (i = 0; (err = baton_stats_tenant(page, i, &t, sizeof(t))) != -ENOENT; i++)
		if (!err && !strcmp(t.name, name)) {
			q[0] = t.tier[0].quota;
			q[1] = t.tier[1].quota;
		}
	baton_stats_header(page, &head, sizeof(head));
	if (sold)
		*sold = head.low_sold;
	baton_stats_close(page);
}

static uint64_t quota(const char *name, unsigned tier)
{
	uint64_t q[2];

	quotas(name, q, NULL);
	return q[tier];
}

static void wait_quota(const char *name, unsigned tier, uint64_t is)
{
	uint64_t end = baton_clock_now() + 20 * SECOND;

	while (quota(name, tier) != is && baton_clock_now() < end)
		usleep(1000);
	CHECK_EQ(quota(name, tier), is);
}

static struct baton_fleet_stats stats(void)
{
	struct baton_fleet_stats st;

	baton_fleet_stats(f, &st, sizeof(st));
	return st;
}

static void burn(void *arg)
{
	uint64_t cpu = (uintptr_t)arg, began, now;
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	began = t.tv_sec * SECOND + t.tv_nsec;
	do {
		baton_checkpoint();
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		now = t.tv_sec * SECOND + t.tv_nsec;
	} while (now - began < cpu);
}

static struct baton_request *ask(struct baton_tenant *t, enum baton_class cls, uint64_t cpu)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = cls, .fn = burn, .arg = (void *)(uintptr_t)cpu };
	struct baton_request *r;

	CHECK_EQ(baton_submit(t, &o, &r), 0);
	return r;
}

static void finish(struct baton_request *r)
{
	CHECK_EQ(baton_request_wait(r), 0);
	baton_request_put(r);
}

/* A tenant that there is, and one that there is not, get what the agent says, and keep the base when leases end. */
TEST(leases)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .name = "red" };
	struct baton_tenant *red, *blue;
	struct use u;

	open_all(0);
	CHECK_EQ(baton_tenant_add(s, &red, &to), 0);
	tell("rate 1 red low 10000000 500000000");
	u = answer("low", 1);
	CHECK(!strcmp(u.tenant, "red"));
	CHECK_EQ(u.u[0], 0);
	/* No lease holds yet. */
	CHECK_EQ(quota("red", 0), 10 * MS);
	CHECK(!stats().leased);
	tell("rate 7 blue high 20000000 30000000");
	CHECK_EQ(answer("high", 7).is_short, 0);
	tell_until(30 * SECOND);
	wait_quota("red", 0, 510 * MS);
	wait_quota("blue", 1, 50 * MS);
	CHECK_EQ(quota("blue", 0), 0);
	CHECK(stats().leased);
	CHECK(stats().connected);
	CHECK_EQ(stats().tenants, 2);
	blue = find("blue");

	/* Only the fleet sets them. */
	to.low_ppm = 600000;
	to.high_ppm = 100000;
	CHECK_EQ(baton_tenant_set(red, &to), 0);
	CHECK_EQ(quota("red", 0), 510 * MS);
	CHECK_EQ(quota("red", 1), 200 * MS);
	CHECK_EQ(baton_sched_set_capacity(s, SECOND), 0);
	CHECK_EQ(quota("red", 0), 510 * MS);
	CHECK_EQ(quota("red", 1), 100 * MS);
	baton_tenant_remove(blue);
	CHECK_EQ(quota("blue", 1), 50 * MS);
	baton_tenant_put(blue);
	baton_tenant_put(find("blue"));

	/* The agent stops to say anything. */
	tell_until(50 * MS);
	wait_quota("red", 0, 10 * MS);
	CHECK_EQ(quota("blue", 1), 20 * MS);
	CHECK(!stats().leased);
	tell_until(30 * SECOND);
	wait_quota("red", 0, 510 * MS);

	/* Leaving ends them at once. */
	CHECK_EQ(baton_sched_destroy(s), -EBUSY);
	baton_fleet_leave(f);
	CHECK_EQ(quota("red", 0), 10 * MS);
	CHECK_EQ(quota("blue", 1), 20 * MS);
	f = NULL;
	close_all();
}

/* CPU that was used is in the answers, and for a second after a rate is lowered. */
TEST(use)
{
	struct baton_request *r;
	struct baton_tenant *t;
	struct use u;
	unsigned i;

	open_all(0);
	tell("rate 1 red high 1000000 900000000");
	answer("high", 1);
	tell_until(40 * SECOND);
	wait_quota("red", 1, 901 * MS);
	t = find("red");
	finish(ask(t, BATON_BATCH, 50 * MS));
	tell("rate 2 red high 1000000 0");
	u = answer("high", 2);
	CHECK_CMP(u.u[0], >=, 45 * MS);
	for (i = 1; i < 10; i++)
		CHECK_CMP(u.u[i], <=, u.u[i - 1]);
	CHECK_EQ(quota("red", 1), 1 * MS);
	/* A task waits for quota. */
	r = ask(t, BATON_BATCH, 2 * MS);
	do {
		u = hear("high");
	} while (!u.is_short);
	tell("rate 3 red high 1000000 900000000");
	finish(r);
	/* At last nothing of it is left. */
	do {
		u = hear("high");
	} while (u.is_short || u.u[0]);
	baton_tenant_put(t);
	close_all();
}

/* A scheduler that was quiet for long says what is used. */
TEST(wakes)
{
	struct pollfd fd = { .events = POLLIN };
	struct baton_tenant *t;
	unsigned i;

	open_all(0);
	tell("rate 1 red low 100000000 0");
	answer("low", 1);
	t = find("red");
	for (i = 0; i < 3; i++) {
		fd.fd = agent;
		while (poll(&fd, 1, 150) == 1)
			hear("low");
		finish(ask(t, BATON_CRITICAL, 1 * MS));
		while (!hear("low").u[0])
			;
		while (hear("low").u[0])
			;
	}
	baton_tenant_put(t);
	close_all();
}

/* A message that is no agent's ends the connection, and changes nothing. */
TEST(hostile)
{
	static const char *const bad[] = {
		"x", "rate", "rate ", "rate 1", "rate 2 red low 1", "rate 2 red low 1 2 3 4", "rate 2 red low 1 2 ", "rate 2 red low 1 2 x", "rate 2 red low 1 2 3 ", "rate -2 red low 1 2",
		"rate 2 red middle 1 2", "rate 2 red low -1 2", "rate 2 red low 1 99999999999999999999999", "rate 2 red low 4096000000001 2",
		"rate 2 red low 18446744073709551615 18446744073709551615", "rate 2  low 1 2", "rate 2 \xff\xfe low 1 2", "rate 2 red low 0x1 2",
		"rate 2 red low  1 2", "until", "until ", "until -1", "until x", "until 18446744073709551615", "use 1 red low 0", "%s%n", "until 1 2",
		"rate 2 0123456789012345678901234567890123456789012345678901234567890123 low 1 2",
	};
	char longer[1000];
	unsigned i;

	open_all(0);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "rate 2 ", 7);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]) + 2; i++) {
		tell("rate 1 red low 30000000 40000000");
		answer("low", 1);
		if (i < sizeof(bad) / sizeof(bad[0]))
			CHECK_EQ(send(agent, bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
		else if (i == sizeof(bad) / sizeof(bad[0]))
			CHECK_EQ(send(agent, longer, sizeof(longer), 0), (ssize_t)sizeof(longer));
		else
			CHECK_EQ(send(agent, "rate 2 red low 1 2\0", 19, 0), 19);
		while (recv(agent, longer + 7, sizeof(longer) - 8, 0) > 0)
			;
		close(agent);
		take_client();
		CHECK_EQ(quota("red", 0), 30 * MS);
	}
	CHECK_EQ(stats().refused, i);
	CHECK_EQ(stats().tenants, 1);
	close_all();
}

/* An agent that comes after another: what it does not say again ends when it gives a time. */
TEST(another_agent)
{
	open_all(0);
	tell("rate 1 red low 10000000 100000000");
	tell("rate 1 blue low 10000000 100000000");
	answer("low", 1);
	tell_until(50 * SECOND);
	wait_quota("blue", 0, 110 * MS);
	close(agent);
	take_client();
	/* Both go on until the time that the first one said. */
	CHECK_EQ(quota("red", 0), 110 * MS);
	tell("rate 1 red low 10000000 50000000");
	answer("low", 1);
	tell_until(55 * SECOND);
	wait_quota("blue", 0, 10 * MS);
	CHECK_EQ(quota("red", 0), 60 * MS);
	CHECK_EQ(stats().refused, 0);
	close_all();
}

/* Low-latency quota is not more than may be sold here, whatever the agent says. */
TEST(low_limit)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .low_ppm = 200000 };
	struct baton_tenant *own;
	uint64_t q[2], sold;

	open_all(500000);
	CHECK_EQ(baton_tenant_add(s, &own, &to), 0);
	tell_until(50 * SECOND);
	tell("rate 1 red low 100000000 900000000");
	answer("low", 1);
	quotas("red", q, &sold);
	CHECK_EQ(q[0], 600 * MS);
	CHECK_EQ(sold, 1000 * MS);
	CHECK_CMP(stats().cut, >=, 1);
	tell("rate 2 red low 100000000 200000000");
	answer("low", 2);
	CHECK_EQ(quota("red", 0), 300 * MS);
	close_all();
}

/* The agent has another scheduler: this one says so, and tries again. */
TEST(refused)
{
	static const char *const words[2] = { "joined", "told" };
	static const char *const how[2] = { "another scheduler of the node", "the process that had the node's quota" };
	unsigned i;

	open_all(0);
	for (i = 0; i < 2; i++) {
		tell("refused %s", words[i]);
		close(agent);
		while (strncmp(stats().how, how[i], strlen(how[i])))
			usleep(1000);
		CHECK(!stats().leased);
		CHECK_EQ(stats().tenants, 0);
		take_client();
	}
	CHECK_EQ(stats().refused, 0);
	tell("rate 1 red low 10000000 100000000");
	answer("low", 1);
	/* A scheduler that ended is in nobody's way. */
	baton_fleet_leave(f);
	end_sched(s);
	CHECK_EQ(baton_sched_create(&s, &(struct baton_sched_opts){ .sz = sizeof(struct baton_sched_opts), .slots = 2, .capacity = 2 * SECOND }), 0);
	CHECK_EQ(baton_fleet_join(&f, s, path), 0);
	close(agent);
	take_client();
	close_all();
}

TEST(calls)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .capacity = SECOND };
	struct baton_sched *second;
	struct baton_fleet *other;
	char longer[200];

	open_all(0);
	CHECK_EQ(baton_fleet_join(&other, s, path), -EBUSY);
	CHECK(!other);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	CHECK_EQ(baton_fleet_join(&other, s, longer), -ENAMETOOLONG);
	CHECK_EQ(baton_sched_create(&second, &so), 0);
	CHECK_EQ(baton_fleet_join(&other, second, path), -EADDRINUSE);
	CHECK(!other);
	baton_fleet_leave(f);
	close(agent);
	/* A scheduler that left keeps its base shares. */
	CHECK_EQ(baton_fleet_join(&other, second, path), -EADDRINUSE);
	CHECK_EQ(baton_sched_destroy(second), 0);
	/* The same scheduler joins again; nobody is there. */
	close(listener);
	unlink(path);
	CHECK_EQ(baton_fleet_join(&f, s, path), 0);
	while (strcmp(stats().how, "no agent is there"))
		usleep(1000);
	CHECK(!stats().connected);
	agent = listener = -1;
	close_all();
	baton_fleet_leave(NULL);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

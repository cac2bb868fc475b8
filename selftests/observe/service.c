// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small service to look at: two slots, three tenants with work for ever, or until
 * a signal. service NAME
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/stats.h>

static volatile sig_atomic_t ends;

static void end(int sig)
{
	ends = 1;
}

static void part(void *arg)
{
	uint64_t until = baton_clock_now() + 1000000;

	while (baton_clock_now() < until && !baton_checkpoint())
		;
}

static void job(void *arg)
{
	struct baton_task *t;

	if (!baton_task_spawn(&t, part, NULL)) {
		part(NULL);
		baton_task_join(t);
	}
}

int main(int argc, char **argv)
{
	static const struct baton_tenant_opts sold[] = {
		{ .sz = sizeof(sold[0]), .name = "alice", .low_ppm = 100000, .high_ppm = 100000 },
		{ .sz = sizeof(sold[0]), .name = "bob \"B\" \\", .high_ppm = 200000 },
		{ .sz = sizeof(sold[0]), .name = "\xc3\xa9mile", .low_ppm = 2000, .high_ppm = 300000 },
	};
	struct baton_sched_opts o = { .sz = sizeof(o), .slots = 2 };
	struct baton_tenant *t[3];
	struct baton_sched *s;
	unsigned i;
	int err;

	signal(SIGTERM, end);
	err = baton_sched_create(&s, &o);
	for (i = 0; i < 3 && !err; i++)
		err = baton_tenant_add(s, &t[i], &sold[i]);
	if (!err)
		err = baton_stats_publish(s, argv[1], 0);
	if (err) {
		fprintf(stderr, "service: %d\n", err);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!ends) {
		for (i = 0; i < 3; i++) {
			struct baton_request_opts r = { .sz = sizeof(r), .fn = job,
				.cls = i == 1 ? BATON_BATCH : BATON_CRITICAL };

			baton_submit(t[i], &r, NULL);
		}
		usleep(10000);
	}
	while (baton_sched_destroy(s))
		usleep(1000);
	return 0;
}

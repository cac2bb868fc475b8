// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small service to look at: two slots, three tenants with work for ever, or until
 * a signal. With `streams`, two tasks of alice wait for streams as well. service NAME [streams]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <baton/io.h>
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

static struct baton_stream *never[2];
static int pipes[2][2];

static void read_nothing(void *st)
{
	size_t n;
	char c;

	baton_stream_read(st, &c, 1, &n, BATON_FOREVER);
}

/* Two requests, each of which waits until its stream is closed. */
static int wait_for_streams(struct baton_sched *s, struct baton_tenant *t)
{
	struct baton_request_opts r = { .sz = sizeof(r), .cls = BATON_BATCH, .fn = read_nothing };
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++) {
		err = pipe(pipes[i]) ? -1 : baton_stream_open(&never[i], s, pipes[i][0]);
		r.arg = never[i];
		if (!err)
			err = baton_submit(t, &r, NULL);
	}
	return err;
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
	if (!err && argc > 2)
		err = wait_for_streams(s, t[0]);
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
	for (i = 0; i < 2; i++)
		baton_stream_close(never[i]);
	while (baton_sched_destroy(s))
		usleep(1000);
	return 0;
}

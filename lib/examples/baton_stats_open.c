/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A service publishes its figures, and looks at them as another process would. */
#include <baton/stats.h>
#include <baton/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void job(void *arg)
{
	volatile int i;

	(void)arg;
	for (i = 0; i < 1000000; i++)
		baton_checkpoint();
}

static void look(struct baton_stats *st)
{
	struct baton_stats_header h;
	struct baton_stats_tenant t;
	struct baton_stats_slot slot;
	struct baton_stats_tier tier;
	struct baton_hist all = { 0 };
	unsigned i;
	int err;

	baton_stats_header(st, &h, sizeof(h));
	printf("%s: %s\n", h.name, baton_stats_alive(st) ? "runs" : "died");
	for (i = 0; !baton_stats_slot(st, i, &slot, sizeof(slot)); i++)
		printf("slot %u: %llu switches\n", i, (unsigned long long)slot.switches);
	baton_stats_tier(st, BATON_TIER_HIGH, &tier, sizeof(tier));
	for (i = 0; (err = baton_stats_tenant(st, i, &t, sizeof(t))) != -2 /* ENOENT */; i++) {
		const struct baton_stats_use *u = &t.tier[BATON_TIER_HIGH];

		if (err)	/* the record is nobody's now */
			continue;
		baton_hist_add(&all, baton_hist_quantile(&u->wait, 0.5));
		printf("%s: %llu tasks waited for %s, %llu ns of its quota left\n", t.name,
		       (unsigned long long)baton_hist_count(&u->wait), tier.name,
		       (unsigned long long)baton_stats_left(u, baton_clock_now()));
	}
	printf("the longest of their medians is not above %llu ns\n",
	       (unsigned long long)baton_hist_bound(all.sum ? 100 : 0));
}

/* Prints what happens on the first slot, for as long as anybody wants to know. */
static void trace(struct baton_stats *st)
{
	struct baton_trace_event e[100];
	uint64_t next = UINT64_MAX, lost = 0;

	if (!baton_trace_start(st, baton_clock_now() + 1000000) && baton_trace_active(st))
		printf("%u events so far\n", baton_trace_read(st, 0, &next, e, 100, &lost));
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_stats *st;
	struct baton_tenant *tenant;
	struct baton_request *r;
	struct baton_sched *s;
	char dir[] = "/tmp/baton-example-XXXXXX", path[64], why[200];

	to.sz = sizeof(to);
	to.high_ppm = 500000;
	to.name = "alice";
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = job;
	if (!mkdtemp(dir) || baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to))
		return 1;
	snprintf(path, sizeof(path), "%s/example", dir);
	if (baton_stats_publish(s, path, 0600) || baton_submit(tenant, &ro, &r))
		return 1;
	baton_request_wait(r);
	baton_request_put(r);
	if (baton_stats_open(&st, path, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	look(st);
	trace(st);
	baton_stats_close(st);
	/* The process's own figures, without a file. */
	if (baton_stats_of(&st, s) || baton_stats_print(st, stdout, BATON_STATS_PROMETHEUS))
		return 1;
	baton_stats_close(st);
	while (baton_sched_destroy(s))
		usleep(1000);
	return rmdir(dir);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event loop: two requests, of which one is cancelled, and the only thread
 * that waits does so in poll().
 */
#include <baton/completion.h>
#include <poll.h>
#include <stdio.h>

static void answer(void *arg)
{
	*(int *)arg = 42;
}

static void until_told(void *arg)
{
	while (!baton_checkpoint())
		*(int *)arg += 1;
}

int main(void)
{
	struct baton_sched_opts so = { 0 };
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_completion end[8];
	struct baton_completions *q;
	struct baton_request *r;
	struct baton_tenant *tenant;
	struct baton_sched *s;
	struct pollfd p;
	unsigned i, n, left = 2;
	int value = 0, rounds = 0, cancelled = 0;

	so.sz = sizeof(so);
	to.sz = sizeof(to);
	ro.sz = sizeof(ro);
	to.high_ppm = 1000000;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to) || baton_completions_create(&q))
		return 1;
	ro.cls = BATON_BATCH;
	ro.fn = answer;
	ro.arg = &value;
	if (baton_submit(tenant, &ro, &r) || baton_request_notify(r, q, "the answer"))
		return 1;
	ro.fn = until_told;
	ro.arg = &rounds;
	if (baton_submit(tenant, &ro, &r) || baton_request_notify(r, q, "the other one"))
		return 1;
	/* Nobody took its end yet, so the handle is still good. */
	baton_request_cancel(r);
	p.fd = baton_completions_fd(q);
	p.events = POLLIN;
	while (left) {
		poll(&p, 1, -1);
		n = baton_completions_take(q, end, 8);
		for (i = 0; i < n; i++) {
			printf("%s: %s\n", (char *)end[i].arg, end[i].result ? "cancelled" : "there");
			cancelled += end[i].result != 0;
			baton_request_put(end[i].request);
		}
		left -= n;
	}
	if (baton_completions_destroy(q))
		return 1;
	baton_tenant_remove(tenant);
	while (baton_sched_destroy(s))
		;
	return value != 42 || cancelled != 1;
}

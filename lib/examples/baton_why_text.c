/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tenant that bought nothing asks for something; another one has to wait. */
#include <baton/why.h>
#include <stdio.h>

static void job(void *arg)
{
	(void)arg;
	/* Longer than a busy machine lets a thread wait for a CPU. */
	baton_sleep_until(baton_clock_now() + 500000000);
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_tenant *poor, *rich;
	struct baton_request *r;
	struct baton_sched *s;
	struct baton_why why;
	char text[400];
	int err;

	to.sz = sizeof(to);
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = job;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &poor, &to))
		return 1;
	to.high_ppm = 500000;
	if (baton_tenant_add(s, &rich, &to))
		return 1;
	err = baton_submit(poor, &ro, NULL);
	baton_tenant_why(poor, &ro, err, &why, sizeof(why));
	baton_why_text(&why, text, sizeof(text));
	puts(text);
	if (baton_submit(rich, &ro, &r))
		return 1;
	baton_request_wait(r);
	baton_request_why(r, &why, sizeof(why));
	baton_why_text(&why, text, sizeof(text));
	puts(text);
	baton_request_put(r);
	while (baton_sched_destroy(s))
		;
	return why.reason != BATON_WHY_BLOCKED;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A task that works off two channels until it is told to stop, which comes before any work that
 * is still there.
 */
#include <baton/wait.h>
#include <errno.h>
#include <stdio.h>

static struct baton_chan *letters, *parcels;
static struct baton_sem *stop;
static int n_letters, n_parcels;

static void delivers(void *unused)
{
	struct baton_case c[3];
	int which;

	(void)unused;
	c[0].kind = BATON_CASE_SEM;
	c[0].sem = stop;
	c[1].kind = c[2].kind = BATON_CASE_RECV;
	c[1].chan = letters;
	c[2].chan = parcels;
	for (;;) {
		/* First whether to stop; then whichever there is, and each has its turn. */
		which = baton_wait_any(c, 1, 0, 0);
		if (which == -ETIMEDOUT)
			which = baton_wait_any(c, 3, BATON_FOREVER, 0);
		if (which <= 0)
			return;
		if (which == 1)
			n_letters++;
		else
			n_parcels++;
	}
}

static void posts(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < 100; i++) {
		baton_chan_send(letters, &letters);
		baton_chan_send(parcels, &parcels);
	}
	baton_sem_post(stop);
}

int main(void)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_request *worker, *poster;
	struct baton_tenant *tenant;
	struct baton_sched *s;
	int err;

	to.sz = sizeof(to);
	to.high_ppm = 500000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) ||
	    baton_chan_create(&letters, s, 4) || baton_chan_create(&parcels, s, 4) || baton_sem_create(&stop, s, 0))
		return 1;
	ro.fn = delivers;
	if (baton_submit(tenant, &ro, &worker))
		return 1;
	ro.fn = posts;
	if (baton_submit(tenant, &ro, &poster))
		return 1;
	err = baton_request_wait(worker) || baton_request_wait(poster);
	baton_request_put(worker);
	baton_request_put(poster);
	baton_chan_destroy(letters);
	baton_chan_destroy(parcels);
	baton_sem_destroy(stop);
	printf("%d letters, %d parcels delivered\n", n_letters, n_parcels);
	/* The last few may still have been in the channels. */
	return baton_sched_destroy(s) || err || n_letters < 90 || n_parcels < 90;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service with a thread for each connection: the thread itself enters a
 * request for each question, and leaves it with the answer.
 */
#include <baton/sched.h>
#include <stdio.h>

int main(void)
{
	struct baton_sched_opts so = { 0 };
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_tenant *tenant;
	struct baton_sched *s;
	int i, err;

	so.sz = sizeof(so);
	to.sz = sizeof(to);
	to.low_ppm = 100000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_CRITICAL;
	if (baton_sched_create(&s, &so) || baton_tenant_add(s, &tenant, &to))
		return 1;
	for (i = 1; i <= 3; i++) {
		/* ... a question comes in ... */
		err = baton_request_enter(tenant, &ro, NULL);
		if (err)
			return 1;
		printf("answer %d\n", i);
		baton_request_leave();
	}
	return baton_sched_destroy(s) != 0;
}

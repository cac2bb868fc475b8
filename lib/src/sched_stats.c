// SPDX-License-Identifier: LGPL-2.1-or-later
/* The scheduler's figures, for others to read: page.h. */
#include <errno.h>

#include "sched_int.h"

int baton_stats_publish(struct baton_sched *s, const char *name, unsigned mode)
{
	int err, saved = errno;

	btn_sched_lock(s);
	err = btn_page_publish(&s->core.page, name, mode);
	btn_sched_release(s);
	errno = saved;
	return err;
}

int baton_stats_of(struct baton_stats **out, struct baton_sched *s)
{
	return btn_stats_attach(out, &s->core.page);
}

// SPDX-License-Identifier: LGPL-2.1-or-later
#include "birth.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpus.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

int btn_sched_attr_get(struct btn_sched_attr *a)
{
	memset(a, 0, sizeof(*a));
	a->size = sizeof(*a);
	return syscall(SYS_sched_getattr, 0, a, sizeof(*a), 0) ? -errno : 0;
}

int btn_sched_attr_set(struct btn_sched_attr *a)
{
	a->size = sizeof(*a);
	return syscall(SYS_sched_setattr, 0, a, 0) ? -errno : 0;
}

void btn_birth_note(struct btn_birth *b)
{
	int saved = errno;

	memset(b, 0, sizeof(*b));
	/* A thread of that class bears none; and an answer of 0 is none. */
	if (btn_sched_attr_get(&b->attr) || b->attr.policy == SCHED_DEADLINE)
		b->attr.size = 0;
	pthread_sigmask(SIG_SETMASK, NULL, &b->signals);
	b->slack = prctl(PR_GET_TIMERSLACK);
	errno = saved;
}

bool btn_birth_become(const struct btn_birth *b)
{
	struct btn_sched_attr is, to = b->attr;
	bool well = true;

	if (to.size && !btn_sched_attr_get(&is) &&
	    (is.policy != to.policy || is.nice != to.nice || is.priority != to.priority || is.runtime != to.runtime)) {
		to.flags = 0;
		/* A kernel may know no slices. And a nice value may be out of reach, but not the policy. */
		if (btn_sched_attr_set(&to)) {
			to.nice = is.nice;
			btn_sched_attr_set(&to);
		}
		well = to.policy == SCHED_IDLE || btn_sched_attr_get(&is) || is.policy != SCHED_IDLE;
	}
	if (b->slack > 0)
		prctl(PR_SET_TIMERSLACK, b->slack);
	pthread_sigmask(SIG_SETMASK, &b->signals, NULL);
	return well;
}

void btn_birth_own(const char *name)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, name);
}

void btn_birth_cpus(pthread_t like)
{
	struct btn_cpus is, to;

	if (btn_cpus_of(&to, like) || btn_cpus_self(&is) || btn_cpus_equal(&is, &to))
		return;
	btn_cpus_use(&to, 0);
}

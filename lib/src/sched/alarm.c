// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Alarms: timers on the CPU clocks of threads that are asleep.
 *
 * A thread that sleeps in the kernel without having said so has to be seen when it goes on,
 * since what it uses is to be charged, and to be stopped where others wait. To look at it from
 * time to time costs CPU for as long as it sleeps. The thread's CPU clock stands still
 * meanwhile; so a timer on that clock costs nothing, and goes off some microseconds of CPU
 * after the thread woke, however short and often it wakes.
 *
 *	monitor					sleeper			watch
 *	with the lock: its CPU clock is at C
 *	without: timer for C + RAN_NS, absolute
 *						wakes, uses RAN_NS
 *						the timer goes off	alarmed = true
 *									resumes the monitor
 *
 * The time is absolute: a thread that woke before the timer was set is not missed.
 *
 * The kernel looks at such timers in its tick, if the thread runs just then, and tells when
 * the thread leaves the kernel. So the alarm is late by a tick in the middle, and a
 * thread which sleeps whenever the tick comes, or computes in one long system call,
 * escapes it. For those the monitor looks all the same, BTN_ALARM_LOOK_NS later: whatever
 * they used is charged in the same second. And where no timer can be had (each counts as a
 * pending signal, RLIMIT_SIGPENDING) it looks at least each BTN_LOOK_MAX_NS.
 *
 * The timers' signal goes to the watch's thread alone (SIGEV_THREAD_ID), which has it blocked
 * and reads it from a signalfd: no handler is called, no thread's system call is interrupted.
 * The signal is the one that the C library has for its own timers, and which it sends to
 * single threads, too. Any other may be sent to the process by the service, and the watch
 * would take it away from the service's handler.
 *
 * Timers of the pool's workers are made by the monitor, which frees these workers, too: so
 * what is said of them in struct btn_worker is the monitor's alone, with the lock or without. The worker of an attached thread may be gone when the
 * monitor has given up the lock; its timer is made by that thread, and the monitor
 * uses a copy of its number. A number that was deleted is refused by the kernel, and is not
 * used again before it has counted through all of them.
 *
 * [ALARM-1] `alarm_tid` is released by the watch when it has the signal blocked, and acquired by
 * the thread that makes a timer: a signal that is not blocked would end the process. The watch
 * ends after the monitor, so no timer is made for a thread that is gone, and whose number may
 * be another's. `alarmed` orders nothing: the permit that the monitor gets afterwards does.
 */
#include "alarm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <baton/park.h>

#include "../inject.h"

/* SIGTIMER of the C libraries, which their headers keep to themselves. */
#define SIGNAL 32
#define SIGNAL_BIT (1ull << (SIGNAL - 1))

static pid_t alarm_tid(const struct baton_sched *s)
{
	return atomic_load_explicit(&s->alarm_tid, memory_order_acquire); /* [ALARM-1] */
}

/* 0 or -errno. */
static int make_timer(const struct baton_sched *s, clockid_t clock, int *timer)
{
	struct sigevent e;

	memset(&e, 0, sizeof(e));
	e.sigev_notify = SIGEV_THREAD_ID;
	e.sigev_signo = SIGNAL;
	e._sigev_un._tid = alarm_tid(s);
	if (!e._sigev_un._tid || BTN_FAIL("sched:alarm"))
		return -EAGAIN;
	return syscall(SYS_timer_create, clock, &e, timer) ? -errno : 0;
}

bool btn_alarm_want(struct baton_sched *s, struct btn_worker *w, uint64_t at)
{
	struct btn_alarm *a = &s->alarms[s->n_alarms];

	if (!alarm_tid(s) || s->n_alarms == BTN_ALARMS || w->no_timer || (w->attached && !w->has_timer))
		return false;
	a->w = w->attached ? NULL : w;
	a->timer = w->timer;
	a->at = w->alarm_at = at;
	s->n_alarms++;
	return true;
}

bool btn_alarm_set(struct baton_sched *s)
{
	struct itimerspec when = { 0 };
	struct btn_alarm *a;
	bool all = true;

	for (a = s->alarms; a < s->alarms + s->n_alarms; a++) {
		if (a->w && !a->w->has_timer) {
			if (make_timer(s, a->w->cpu_clock, &a->w->timer)) {
				a->w->no_timer = true;
				a->w->alarm_at = 0;
				all = false;
				continue;
			}
			a->w->has_timer = true;
			a->timer = a->w->timer;
		}
		when.it_value = btn_clock_timespec(a->at);
		/* An error: the thread has ended, or its timer was deleted. */
		syscall(SYS_timer_settime, a->timer, TIMER_ABSTIME, &when, NULL);
	}
	s->n_alarms = 0;
	return all;
}

bool btn_alarm_heard(struct baton_sched *s)
{
	return atomic_load_explicit(&s->alarmed, memory_order_relaxed) && /* [ALARM-1] */
	       atomic_exchange_explicit(&s->alarmed, false, memory_order_relaxed); /* [ALARM-1] */
}

void btn_alarm_attach(const struct baton_sched *s, struct btn_worker *w)
{
	int saved = errno;

	if (w->has_timer || w->no_timer || !alarm_tid(s))
		return;
	w->alarm_at = 0;
	w->has_timer = !make_timer(s, w->cpu_clock, &w->timer);
	w->no_timer = !w->has_timer;
	errno = saved;
}

void btn_alarm_free(struct btn_worker *w)
{
	int saved = errno;

	if (w->has_timer)
		syscall(SYS_timer_delete, w->timer);
	w->has_timer = w->no_timer = false;
	errno = saved;
}

int btn_alarm_begin(struct baton_sched *s)
{
	uint64_t set = SIGNAL_BIT;
	int fd;

	if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof(set)))
		return -1;
	fd = syscall(SYS_signalfd4, -1, &set, sizeof(set), SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd >= 0)
		atomic_store_explicit(&s->alarm_tid, gettid(), memory_order_release); /* [ALARM-1] */
	return fd;
}

void btn_alarm_rings(struct baton_sched *s, int fd)
{
	struct signalfd_siginfo those[16];

	if (read(fd, those, sizeof(those)) <= 0)
		return;
	atomic_store_explicit(&s->alarmed, true, memory_order_relaxed); /* [ALARM-1] */
	baton_parker_resume(s->monitor_parker);
}

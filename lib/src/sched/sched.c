// SPDX-License-Identifier: LGPL-2.1-or-later
/* A scheduler is made, and destroyed. */
#include <baton/sched.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../capacity.h"
#include "../core/setup.h"
#include "../cpus.h"
#include "../hazard.h"
#include "../hooks.h"
#include "../io/poller.h"
#include "../opts.h"
#include "gate.h"
#include "leased.h"
#include "monitor.h"
#include "notifier.h"
#include "pool.h"
#include "self.h"
#include "shape.h"
#include "tenant.h"
#include "watch.h"
#include "worker.h"

#define WORKERS_MAX 16384
#define WORKERS_RESERVED 64
#define IDLE_POLL_US 200
#define IDLE_POLL_US_MAX 10000

/* A CPU for each slot. */
static int *bound_cpus(unsigned slots, int *err)
{
	struct btn_cpus set;
	int *cpu, i = -1;
	unsigned n;

	*err = -EINVAL;
	if (btn_cpus_self(&set) || btn_cpus_count(&set) < slots)
		return NULL;
	*err = -ENOMEM;
	cpu = btn_mem_zeroed(slots, sizeof(*cpu));
	for (n = 0; cpu && n < slots; n++)
		cpu[n] = i = btn_cpus_next(&set, i + 1);
	return cpu;
}

/*
 * The scheduler's first shape. *slots_max: room for slots. *allowed: what the machine's rules
 * allow; where the CPUs cannot be asked for, all that the service said. events: for the watch.
 */
static int first_shape(struct btn_shape *to, const struct btn_rules *rules, unsigned tiers, unsigned *slots_max,
		       uint64_t *allowed, int events)
{
	struct btn_capacity there_is;
	struct btn_cpus set;
	unsigned cpus = 0;
	int err = btn_cpus_self(&set);

	if (!err)
		cpus = btn_cpus_count(&set);
	else if (!rules->slots && !rules->capacity)
		return err;
	err = btn_capacity_read(&there_is, "", cpus ? cpus : BTN_SLOTS_MAX, events);
	if (err)
		return err;
	*allowed = there_is.ns;
	btn_shape_of(to, rules, tiers, *allowed);
	if (!*slots_max)
		*slots_max = to->slots > cpus ? to->slots : cpus < BTN_SLOTS_MAX ? cpus : BTN_SLOTS_MAX;
	return to->slots > *slots_max || *slots_max > BTN_SLOTS_MAX ? -EINVAL : 0;
}

int baton_sched_create(struct baton_sched **out, const struct baton_sched_opts *opts)
{
	struct baton_sched_opts o = { 0 };
	struct btn_shape shape = { 0 };
	struct btn_rules rules;
	struct baton_sched *s;
	uint64_t allowed;
	unsigned slots_max;
	int err, n, events, stop_signal = 0;

	*out = NULL;
	err = opts ? btn_opts_take(&o, sizeof(o), opts) : 0;
	if (err)
		return err;
	if (!o.low_limit_ppm)
		o.low_limit_ppm = 700000;
	if (o.low_limit_ppm > 700000 || o.slots > BTN_SLOTS_MAX)
		return -EINVAL;
	if (o.workers_reserved != BATON_WORKERS_NONE && o.workers_reserved >= (o.workers_max ? o.workers_max : WORKERS_MAX))
		return -EINVAL;
	if (o.idle_poll_us > IDLE_POLL_US_MAX && o.idle_poll_us != BATON_IDLE_POLL_NONE)
		return -EINVAL;
	if (!o.idle_poll_us)
		o.idle_poll_us = IDLE_POLL_US;
	if (o.idle_poll_us == BATON_IDLE_POLL_NONE)
		o.idle_poll_us = 0;
	n = btn_shape_rules(&rules, &o);
	if (n < 0)
		return n;
	if (o.preempt == BATON_PREEMPT_STOP)
		stop_signal = o.preempt_signal ? o.preempt_signal : SIGURG;
	else if (o.preempt != BATON_PREEMPT_DEMOTE || o.preempt_signal)
		return -EINVAL;
	slots_max = o.slots_max;
	events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	err = first_shape(&shape, &rules, n, &slots_max, &allowed, events);
	if (!err && stop_signal)
		err = btn_gate_signal_init(stop_signal);
	if (!err)
		err = btn_hazard_init();
	if (!err)
		err = btn_self_init();
	if (err)
		goto no_memory;
	err = -ENOMEM;
	s = btn_mem_aligned(_Alignof(struct baton_sched), sizeof(*s));
	if (!s)
		goto no_memory;
	memset(s, 0, sizeof(*s));
	err = btn_core_init(&s->core, shape.slots, slots_max, shape.capacity, shape.tier, n, shape.low_limit);
	if (err)
		goto no_core;
	btn_lock_watch(&s->lock);
	btn_lock_watch(&s->spare_lock);
	s->rules = rules;
	s->allowed = allowed;
	btn_stat_set(&s->core.page.h->allowed, allowed);
	s->core.prealloc = &s->deferred;
	btn_page_start(&s->core.page, shape.slots, btn_clock_now());
	err = -ENOMEM;
	s->on = btn_mem_zeroed(slots_max, sizeof(*s->on) + sizeof(*s->looks));
	if (!s->on)
		goto no_on;
	s->looks = (struct btn_look *)(s->on + slots_max);
	s->watched.last = &s->watched.first;
	s->dozing.last = &s->dozing.first;
	if (o.bind) {
		s->cpus = bound_cpus(slots_max, &err);
		if (!s->cpus)
			goto no_parker;
	}
	err = baton_parker_create(&s->monitor_parker);
	if (err)
		goto no_parker;
	s->max = o.workers_max ? o.workers_max : WORKERS_MAX;
	s->keep = o.workers_keep ? o.workers_keep : 64;
	s->stack_size = o.stack_size ? o.stack_size : 256 << 10;
	if (s->stack_size < (size_t)PTHREAD_STACK_MIN)
		s->stack_size = PTHREAD_STACK_MIN;
	s->core.workers = s->max;
	if (!o.workers_reserved)
		o.workers_reserved = s->max / 8 < WORKERS_RESERVED ? s->max / 8 : WORKERS_RESERVED;
	s->core.workers_reserved = o.workers_reserved == BATON_WORKERS_NONE ? 0 : o.workers_reserved;
	s->retry_at = s->lease_end = BTN_NEVER;
	s->fleet_wake = -1;
	btn_birth_note(&s->birth);
	/* For the first time: the kernel is asked for its clock source. */
	btn_clock_read(&s->clock);
	s->slotless.last = &s->slotless.first;
	s->parked.last = &s->parked.first;
	s->stop_signal = stop_signal;
	s->process = atomic_load_explicit(&btn_self_process, memory_order_relaxed); /* [FORK-1] */
	s->worker_main = btn_worker_main;
	err = btn_pool_refill(s);
	if (err)
		goto no_thread;
	btn_notifier_begin(s, s->max < 4096 ? s->max : 4096, o.idle_poll_us * 1000ull);
	err = -pthread_create(&s->monitor, NULL, btn_monitor_main, s);
	if (err)
		goto no_thread;
	btn_watch_begin(s, events);
	*out = s;
	return 0;

no_thread:
	btn_notifier_end(s);
	btn_detect_close(s->detect);
	btn_pool_free_workers(s);
	baton_parker_destroy(s->monitor_parker);
no_parker:
	btn_mem_free(s->cpus);
	btn_mem_free(s->on);
no_on:
	btn_core_fini(&s->core);
no_core:
	btn_mem_free(s);
no_memory:
	if (events >= 0)
		close(events);
	return err;
}

int baton_sched_destroy(struct baton_sched *s)
{
	struct btn_worker *w, *next, *dead;

	if (!s)
		return 0;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	btn_gate_settle(s);
	btn_gate_lock(s);
	if (s->requests || atomic_load_explicit(&s->handles, memory_order_acquire) || /* [REQUEST-2] */
	    s->fleet || btn_tenants_busy(s)) {
		btn_gate_release(s);
		return -EBUSY;
	}
	s->stopping = true;
	w = s->idle;
	s->idle = NULL;
	btn_gate_release(s);
	btn_notifier_end(s);
	baton_parker_resume(s->monitor_parker);
	pthread_join(s->monitor, NULL);
	btn_watch_end(s);
	btn_poller_stop(s);
	btn_leased_disown(s);
	if (s->fleet_wake >= 0)
		close(s->fleet_wake);
	/* Idle workers find no task, and end. */
	for (next = w; next; next = next->next)
		baton_parker_resume(next->parker);
	/* A worker whose last task ended may not be idle or dead yet. */
	dead = s->dead;
	for (; w; w = next) {
		next = w->next;
		pthread_join(w->thread, NULL);
		btn_pool_worker_free(w);
	}
	for (; dead; dead = next) {
		next = dead->next;
		pthread_join(dead->thread, NULL);
		btn_pool_worker_free(dead);
	}
	btn_poller_end(s);
	btn_tenants_free(s);
	btn_pool_request_free_mine();
	btn_pool_free_requests(s);
	baton_parker_destroy(s->monitor_parker);
	btn_core_fini(&s->core);
	btn_detect_close(s->detect);
	btn_pool_free_workers(s);
	btn_mem_free(s->cpus);
	btn_mem_free(s->on);
	btn_mem_free(s);
	return 0;
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/* The scheduler's figures: a page for others to read (page.h), and how its tenants and what blocks fare. */
#include <baton/detect.h>
#include <baton/sched.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../hooks.h"
#include "../stats.h"
#include "gate.h"
#include "self.h"
#include "slot.h"

int baton_stats_publish(struct baton_sched *s, const char *name, unsigned mode)
{
	struct btn_page *p = &s->core.page;
	struct btn_page_file file;
	int err, saved = errno;

	if (!btn_self_is_here(s->process))
		return -EPERM;
	btn_gate_lock(s);
	err = btn_page_publish_begin(p);
	btn_gate_release(s);
	if (err)
		return err;
	err = btn_page_file_make(p, &file, name, mode);
	while (!err) {
		btn_gate_lock(s);
		err = btn_page_file_map(p, &file);
		btn_gate_release(s);
		if (err != -EAGAIN)
			break;
		err = btn_page_file_grow(p, &file);
	}
	err = btn_page_file_name(&file, err);
	btn_gate_lock(s);
	btn_page_publish_end(p, &file, err);
	btn_gate_release(s);
	if (file.fd >= 0)
		close(file.fd);
	btn_mem_free(file.path);
	errno = saved;
	return err;
}

int baton_stats_of(struct baton_stats **out, struct baton_sched *s)
{
	*out = NULL;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	return btn_stats_attach(out, &s->core.page);
}

void baton_tenant_stats(struct baton_tenant *t, struct baton_tenant_stats *out, size_t sz)
{
	struct baton_stats_use *use;
	const struct btn_run *run;
	const struct btn_worker *w;
	struct baton_tenant_stats st = { 0 };
	uint64_t open[BTN_TIERS_MAX] = { 0 };
	struct baton_hist wait = { 0 };
	struct baton_sched *s = t->s;
	uint64_t now;
	unsigned i, k;

	if (!btn_self_is_here(s->process)) {
		memset(out, 0, sz);
		return;
	}
	btn_gate_settle(s);
	btn_gate_lock(s);
	now = s->now;
	for (i = 0; t->core && i < s->core.tiers; i++) {
		use = &t->core->stats->tier[i];
		st.admitted += btn_stat_get(&use->admitted);
		st.rejected += btn_stat_get(&use->rejected);
		st.dropped += btn_stat_get(&use->dropped);
		st.finished += btn_stat_get(&use->finished);
		st.throttled += btn_stat_get(&use->throttled);
		st.cpu[i] = btn_stat_get(&use->cpu);
		if (btn_stat_get(&use->overrun) > st.overrun_worst)
			st.overrun_worst = btn_stat_get(&use->overrun);
		for (k = 0; k < BATON_HIST_STEPS; k++)
			wait.n[k] += btn_stat_get(&use->wait.n[k]);
	}
	/*
	 * Tasks that run now are counted by their CPU clocks: time would count what they have
	 * yet to use, and be less the next time.
	 */
	for (i = 0; t->core && i < s->core.slots_in_use; i++) {
		run = &s->core.run[i];
		w = s->on[i];
		if (run->task && run->task->req->tenant == t->core && w->tid)
			open[run->tier->index] += btn_cputime_open(&w->cputime, btn_slot_cpu(w));
		/* Requests that ended in this run without the lock (lazy.c) are counted, too. */
		if (run->task && run->task->req->tenant == t->core) {
			st.admitted += BTN_OWN_GET(w->again);
			st.finished += BTN_OWN_GET(w->again);
		}
	}
	for (i = 0; t->core && i < s->core.tiers; i++)
		if (open[i] > t->core->owed[i])
			st.cpu[i] += open[i] - t->core->owed[i];
	if (t->core) {
		st.low_left = btn_account_left(&t->core->acct[BTN_LOW], now);
		st.high_left = btn_account_left(&t->core->acct[BTN_HIGH], now);
	}
	btn_gate_release(s);
	st.wait_p50 = baton_hist_quantile(&wait, 0.5);
	st.wait_p99 = baton_hist_quantile(&wait, 0.99);
	st.wait_p999 = baton_hist_quantile(&wait, 0.999);
	memcpy(out, &st, sz < sizeof(st) ? sz : sizeof(st));
}

int baton_detect_stats(struct baton_sched *s, struct baton_detect_stats *out, size_t sz)
{
	struct baton_detect_stats st = { 0 };
	struct btn_detect_counts *counts;
	struct btn_cell *cell;
	uint32_t i;

	if (!btn_self_is_here(s->process)) {
		memset(out, 0, sz);
		return -EPERM;
	}
	btn_gate_lock(s);
	st.how = s->how;
	st.taken = s->taken;
	st.unauthorised = s->unauthorised;
	st.active = s->detecting;
	if (s->detect) {
		for (i = BTN_CELL_FIRST; i < s->detect->n_cells; i++) {
			cell = &s->detect->cells[i];
			/* [DETECT-2] counters that one side writes. */
			st.blocks += atomic_load_explicit(&cell->blocks, memory_order_relaxed); /* [DETECT-2] */
			st.unannounced += atomic_load_explicit(&cell->unannounced, memory_order_relaxed); /* [DETECT-2] */
			st.blocked += atomic_load_explicit(&cell->blocked, memory_order_relaxed); /* [DETECT-2] */
		}
		counts = btn_detect_counts(s->detect);
		st.rung = atomic_load_explicit(&counts->rung, memory_order_relaxed); /* [DETECT-2] */
		st.notified = atomic_load_explicit(&counts->notified, memory_order_relaxed); /* [DETECT-2] */
	}
	btn_gate_release(s);
	memcpy(out, &st, sz < sizeof(st) ? sz : sizeof(st));
	return st.active ? 0 : -ENOENT;
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reasons why a request was refused, or took so long: what the core noted, in words. */
#include <baton/why.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../clock.h"
#include "../core/core.h"
#include "gate.h"
#include "request.h"
#include "sample.h"
#include "self.h"

/* Requests that took less are not called late. */
#define LATE_NS 1000000
/* Measured CPU of less than this part of the capacity is worth a word. */
#define LESS_PERCENT 95

static enum baton_reason reason_refused(int err)
{
	switch (err) {
	case -EDQUOT:
		return BATON_WHY_QUOTA;
	case -ETIME:
		return BATON_WHY_DEADLINE;
	case -ECANCELED:
		return BATON_WHY_CANCELLED;
	case -ESHUTDOWN:
		return BATON_WHY_REMOVED;
	case -EAGAIN:
		return BATON_WHY_LIMIT;
	default:
		return BATON_WHY_INVALID;
	}
}

/*
 * The reason that took most of the request's time. Each is counted as it happens, so this is
 * about all of the time, not about what the request waits for just now. What is none of them
 * is time in which a task had a slot and did not run: it slept in the kernel, and no task
 * wanted its slot, or the machine ran another program on its CPU.
 */
static enum baton_reason reason_late(const struct baton_why *w)
{
	uint64_t known = w->waited + w->blocked + w->cpu;
	const struct {
		uint64_t ns;
		enum baton_reason reason;
	} all[] = {
		{ w->cpu, BATON_WHY_RUNNING },
		{ w->blocked - w->locked - w->streamed, BATON_WHY_BLOCKED },
		{ w->locked, BATON_WHY_LOCKED },
		{ w->streamed, BATON_WHY_STREAMS },
		{ w->waited - w->throttled - w->starved, BATON_WHY_SLOTS },
		{ w->starved, BATON_WHY_WORKERS },
		{ w->throttled, BATON_WHY_THROTTLED },
		{ w->elapsed > known ? w->elapsed - known : 0, BATON_WHY_OFF_CPU },
	};
	unsigned i, most = 0;

	if (w->elapsed < LATE_NS)
		return BATON_WHY_NOTHING;
	for (i = 1; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].ns > all[most].ns)
			most = i;
	return all[most].reason;
}

static unsigned home_tier(unsigned cls, unsigned tier)
{
	return cls == BATON_INTERNAL ? tier : cls == BATON_BATCH;
}

/* Less quota than the tenant bought of its fleet is here. t: NULL once the request has ended. Needs the lock. */
static enum baton_reason reason_leased(enum baton_reason reason, const struct baton_tenant *t, unsigned tier)
{
	if (tier > BTN_HIGH || !t || !t->core || !t->leased[tier] || t->bought[tier] <= t->core->acct[tier].quota)
		return reason;
	if (reason == BATON_WHY_QUOTA || reason == BATON_WHY_NO_QUOTA)
		return BATON_WHY_LEASED;
	return reason == BATON_WHY_THROTTLED ? BATON_WHY_LEASED_LATE : reason;
}

void baton_request_why(struct baton_request *r, struct baton_why *out, size_t sz)
{
	struct baton_sched *s = r->s;
	struct baton_why w = { 0 };
	uint64_t now;

	if (!btn_self_is_here(s->process)) {
		w.reason = BATON_WHY_INVALID;
		w.result = -EPERM;
		memcpy(out, &w, sz < sizeof(w) ? sz : sizeof(w));
		return;
	}
	if (r->first.core.attached)
		btn_gate_settle(s);
	btn_gate_lock(s);
	now = r->done ? r->ended : s->now;
	w.result = r->done ? r->result : r->core.cancel_pending;
	w.tier = home_tier(r->core.class, r->core.tier);
	w.elapsed = now > r->core.info.arrival ? now - r->core.info.arrival : 0;
	w.waited = btn_span_sum(&r->core.ready, now);
	w.starved = btn_span_sum(&r->core.starved, now);
	w.throttled = btn_request_throttled(&r->core, now);
	w.blocked = btn_span_sum(&r->core.blocked, now);
	w.locked = btn_span_sum(&r->core.locked, now);
	w.streamed = btn_span_sum(&r->core.streamed, now);
	w.cpu = btn_request_cpu(r, now);
	w.capacity = s->core.capacity;
	w.overdue = r->core.overdue;
	w.given = btn_sample_given(s, s->now);
	w.quota = r->core.quota;
	w.used = r->core.used;
	/* A flow may be throttled while one of its tasks has only no thread. */
	if (w.throttled > w.waited - w.starved)
		w.throttled = w.waited - w.starved;
	w.reason = reason_leased(w.result ? reason_refused(w.result) : reason_late(&w), r->tenant, w.tier);
	btn_gate_release(s);
	memcpy(out, &w, sz < sizeof(w) ? sz : sizeof(w));
}

void baton_tenant_why(struct baton_tenant *t, const struct baton_request_opts *opts, int err,
		      struct baton_why *out, size_t sz)
{
	struct baton_sched *s = t->s;
	struct baton_why w = { .result = err, .reason = reason_refused(err) };
	struct btn_account *a;

	if (!btn_self_is_here(s->process)) {
		memcpy(out, &w, sz < sizeof(w) ? sz : sizeof(w));
		return;
	}
	btn_gate_lock(s);
	w.tier = home_tier(opts->cls, opts->tier);
	if (opts->arrival && opts->arrival < s->now)
		w.elapsed = s->now - opts->arrival;
	if (err == -EDQUOT && t->core && w.tier <= BTN_HIGH) {
		a = &t->core->acct[w.tier];
		btn_account_left(a, s->now);
		w.quota = a->quota;
		w.used = a->used + a->reserved;
		if (!w.quota)
			w.reason = BATON_WHY_NO_QUOTA;
		else
			w.free_at = btn_account_when(a, s->now);
		w.reason = reason_leased(w.reason, t, w.tier);
	}
	btn_gate_release(s);
	memcpy(out, &w, sz < sizeof(w) ? sz : sizeof(w));
}

static double in_ms(uint64_t ns)
{
	return ns / 1e6;
}

size_t baton_why_text(const struct baton_why *w, char *text, size_t room)
{
	static const char *const tiers[] = { "low-latency ", "high-latency " };
	const char *tier = w->tier < 2 ? tiers[w->tier] : "";
	uint64_t now = btn_clock_now();
	const char *says;
	int n;

	switch (w->reason) {
	case BATON_WHY_QUOTA:
	case BATON_WHY_LEASED:
		n = snprintf(text, room, "rejected: %.1f ms of this second's %.1f ms of %squota are used", in_ms(w->used),
			     in_ms(w->quota), tier);
		if (w->free_at > now && w->free_at != BTN_NEVER)
			n += snprintf(n < (int)room ? text + n : NULL, n < (int)room ? room - n : 0,
				      "; some is to be had in %.1f ms", in_ms(w->free_at - now));
		if (w->reason == BATON_WHY_LEASED)
			n += snprintf(n < (int)room ? text + n : NULL, n < (int)room ? room - n : 0,
				      "; the rest of what was bought is leased to other nodes");
		return n;
	case BATON_WHY_NO_QUOTA:
		return snprintf(text, room, "rejected: the tenant has no %squota at all", tier);
	case BATON_WHY_INVALID:
		if (w->result == -EPERM)
			return snprintf(text, room, "refused: its scheduler is the parent process's");
		return snprintf(text, room, "refused: options that contradict each other, or no memory (%d)", w->result);
	case BATON_WHY_REMOVED:
		return snprintf(text, room, "refused: its tenant was removed");
	case BATON_WHY_LIMIT:
		return snprintf(text, room, "rejected: as many requests are in flight as its tenant may have");
	case BATON_WHY_DEADLINE:
		says = "its deadline passed";
		break;
	case BATON_WHY_CANCELLED:
		says = "cancelled";
		break;
	case BATON_WHY_THROTTLED:
		says = "mostly its tenant had no quota left";
		break;
	case BATON_WHY_LEASED_LATE:
		says = "mostly its tenant had no quota left here: what it bought is leased to other nodes";
		break;
	case BATON_WHY_SLOTS:
		says = "mostly all slots had others' tasks";
		break;
	case BATON_WHY_WORKERS:
		says = "mostly there was no thread for it";
		break;
	case BATON_WHY_BLOCKED:
		says = "mostly its tasks waited for something else";
		break;
	case BATON_WHY_LOCKED:
		says = "mostly its tasks waited for locks that others held";
		break;
	case BATON_WHY_STREAMS:
		says = "mostly its tasks waited for streams";
		break;
	case BATON_WHY_OFF_CPU:
		says = "mostly its threads had slots and did not run";
		break;
	case BATON_WHY_RUNNING:
		says = "mostly it ran";
		break;
	default:
		says = "not late";
	}
	n = snprintf(text, room, "%s: %.1f ms in all, %.1f ms ready without a slot (%.1f ms of them without quota, "
			"%.1f ms without a thread), %.1f ms blocked (%.1f ms of them for locks, %.1f ms for streams), %.1f ms of CPU", says,
			in_ms(w->elapsed), in_ms(w->waited), in_ms(w->throttled), in_ms(w->starved), in_ms(w->blocked),
			in_ms(w->locked), in_ms(w->streamed), in_ms(w->cpu));
	if (w->overdue)
		n += snprintf(n < (int)room ? text + n : NULL, n < (int)room ? room - n : 0,
			      "; for %u s its tenant had quota and got no slot", (unsigned)w->overdue);
	if (w->given && w->given < w->capacity / 100 * LESS_PERCENT)
		n += snprintf(n < (int)room ? text + n : NULL, n < (int)room ? room - n : 0,
			      "; the machine gave less: %.2f of %.2f CPUs", w->given / 1e9, w->capacity / 1e9);
	return n;
}

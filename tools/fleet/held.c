// SPDX-License-Identifier: GPL-2.0-or-later
/* A rate in the hands of many nodes; the protocol and its proof are in held.h. */
#include "held.h"

#include <string.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t fleet_share(const struct fleet_entry *e, unsigned n, uint64_t pool, unsigned i)
{
	uint64_t low = 0, high = pool, level, sum, all = 0;
	unsigned k;

	for (k = 0; k < n; k++)
		all += least(e[k].want, pool);
	if (all <= pool)
		return least(e[i].want, pool);
	/* The greatest level at which the pool is enough. */
	while (low < high) {
		level = low + (high - low + 1) / 2;
		for (sum = 0, k = 0; k < n; k++)
			sum += least(e[k].want, level);
		if (sum <= pool)
			low = level;
		else
			high = level - 1;
	}
	return least(e[i].want, low);
}

struct fleet_quota fleet_quota_set(const struct fleet_quota *old, uint64_t rate, uint64_t base, uint64_t places, uint64_t held,
				   bool everybody)
{
	uint64_t most = everybody || old->next > old->base ? old->next : old->base;
	struct fleet_quota q = { .rate = rate, .base = most, .next = least(base, most) };

	if (base > most && places * base + held <= rate)
		q.base = q.next = base;
	return q;
}

uint64_t fleet_held_sum(const struct fleet_held *h)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < h->n; i++)
		sum += h->entry[i].rate;
	for (i = 0; i < h->cools; i++)
		sum += h->cool[i].rate;
	return sum;
}

/* The step of a cooling entry, or of a ramp, as seen by a clock that may be fast. */
static unsigned step_of(uint64_t since, uint64_t now)
{
	uint64_t step = now > since ? (now - since) / fleet_at_most(FLEET_STEP) : 0;

	return step < FLEET_STEPS ? (unsigned)step : FLEET_STEPS;
}

static uint64_t first_seen(const struct fleet_part *p, uint64_t id, uint64_t now)
{
	unsigned i;

	for (i = 0; i < p->firsts; i++)
		if (p->first[i].id == id)
			return p->first[i].at;
	return now;
}

bool fleet_part_see(struct fleet_part *p, uint64_t now, const struct fleet_held *h)
{
	struct fleet_part old = *p;
	unsigned i, oldest = 0;
	uint64_t rate = 0;

	if (h->rev <= p->rev)
		return false;
	p->rev = h->rev;
	for (i = 0; i < h->n; i++)
		if (h->entry[i].place == p->place && h->entry[i].life == p->life)
			rate = h->entry[i].rate;
	/* The entry is changed by this node alone: it grew by the write that is pending, and comes with its ramp. */
	if (rate > p->rate) {
		for (i = 0; i < FLEET_RAMPS; i++)
			if (p->ramp[i].since < p->ramp[oldest].since)
				oldest = i;
		p->ramp[oldest] = p->pending_ramp;
	}
	p->rate = rate;
	if (p->pending && h->rev > p->pending_rev)
		p->pending = false;
	p->firsts = 0;
	for (i = 0; i < h->cools && i < FLEET_COOLS; i++) {
		p->first[p->firsts].id = h->cool[i].id;
		p->first[p->firsts++].at = first_seen(&old, h->cool[i].id, now);
	}
	return true;
}

void fleet_part_refused(struct fleet_part *p, uint64_t no, uint64_t rev)
{
	if (p->pending && p->pending_no == no && p->pending_rev == rev)
		p->pending = false;
}

/* The rate that ramps hold back in the step that is so many steps after now. */
static uint64_t ramps_hold(const struct fleet_part *p, uint64_t now, unsigned later)
{
	uint64_t sum = 0;
	unsigned i, step;

	for (i = 0; i < FLEET_RAMPS; i++) {
		step = step_of(p->ramp[i].since, now) + later;
		if (p->ramp[i].since && step < FLEET_STEPS)
			sum += p->ramp[i].above[step];
	}
	return sum;
}

uint64_t fleet_part_usable(const struct fleet_part *p, uint64_t now)
{
	uint64_t rate = p->rate;

	if (p->pending)
		rate = least(rate, p->pending_rate);
	return less(rate, ramps_hold(p, now, 0));
}

uint64_t fleet_part_next(const struct fleet_part *p, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	unsigned i, step;

	for (i = 0; i < FLEET_RAMPS; i++) {
		step = step_of(p->ramp[i].since, now);
		if (p->ramp[i].since && step < FLEET_STEPS && p->ramp[i].above[step])
			next = least(next, p->ramp[i].since + (step + 1) * fleet_at_most(FLEET_STEP));
	}
	return next;
}

static bool can_ramp(const struct fleet_part *p, uint64_t now)
{
	unsigned i;

	for (i = 0; i < FLEET_RAMPS; i++)
		if (!p->ramp[i].since || step_of(p->ramp[i].since, now) == FLEET_STEPS)
			return true;
	return false;
}

/* Takes x from the record: what is free without a condition first, then what is cooling, with its steps. */
static void take_rate(struct fleet_part *p, uint64_t now, struct fleet_held *out, uint64_t clean, uint64_t x)
{
	struct fleet_cool *c;
	unsigned step, i, k;
	uint64_t part;

	memset(&p->pending_ramp, 0, sizeof(p->pending_ramp));
	p->pending_ramp.since = now;
	x -= least(x, clean);
	for (k = 0; k < out->cools && x; k++) {
		c = &out->cool[k];
		part = least(x, c->rate);
		step = step_of(first_seen(p, c->id, now), now);
		for (i = 0; i < FLEET_STEPS; i++) {
			if (i + step < FLEET_STEPS)
				p->pending_ramp.above[i] += least(part, c->above[i + step]);
			c->above[i] -= least(part, c->above[i]);
		}
		c->rate -= part;
		x -= part;
	}
	for (k = i = 0; k < out->cools; k++)
		if (out->cool[k].rate)
			out->cool[i++] = out->cool[k];
	out->cools = i;
}

/* Gives x, from the entry that will have `rest`; false: there is no place for one more cooling entry now. */
static bool give_rate(const struct fleet_part *p, uint64_t now, const struct fleet_wish *w, struct fleet_held *out, uint64_t rest,
		      uint64_t x)
{
	struct fleet_cool c = { .id = out->rev, .rate = x };
	unsigned i;

	for (i = 0; i < FLEET_STEPS; i++)
		c.above[i] = least(x, less(w->used[i] + ramps_hold(p, now, i), rest));
	if (!c.above[0])
		return true;
	if (out->cools == FLEET_COOLS)
		return false;
	out->cool[out->cools++] = c;
	return true;
}

bool fleet_part_plan(struct fleet_part *p, uint64_t now, const struct fleet_held *h, const struct fleet_wish *w,
		     struct fleet_held *out)
{
	uint64_t held = 0, cooling, share, rate, grain, x;
	struct fleet_entry *e;
	unsigned i, me;

	if (p->pending || h->rev != p->rev)
		return false;
	out->rev = h->rev;
	out->n = out->cools = 0;
	for (i = 0; i < h->n; i++)
		if (h->entry[i].place == p->place ? h->entry[i].life >= p->life :
						    !w->is_void(w->arg, h->entry[i].place, h->entry[i].life))
			out->entry[out->n++] = h->entry[i];
	for (i = 0; i < h->cools; i++)
		if (step_of(first_seen(p, h->cool[i].id, now), now) < FLEET_STEPS)
			out->cool[out->cools++] = h->cool[i];
	for (me = 0; me < out->n && (out->entry[me].place != p->place || out->entry[me].life != p->life); me++)
		;
	if (me == out->n)
		out->entry[out->n++] = (struct fleet_entry){ .place = p->place, .life = p->life };
	e = &out->entry[me];
	rate = e->rate;
	if (e->want == w->want && !rate && !w->want)
		return false;
	e->want = w->want;
	for (i = 0; i < out->n; i++)
		held += out->entry[i].rate;
	cooling = fleet_held_sum(out) - held;
	share = fleet_share(out->entry, out->n, w->pool, me);
	grain = w->pool / FLEET_GRAIN;
	if (rate > share && (rate - share > grain || held > w->pool || share == w->want)) {
		x = rate - share;
		if (!give_rate(p, now, w, out, share, x))
			return false;
		e->rate = share;
	} else {
		x = least(least(less(share, rate), less(w->pool, held)), w->room);
		if ((x < grain && x != share - rate) || !can_ramp(p, now) || now >= w->until ||
		    held + cooling > w->pool)
			x = 0;
		take_rate(p, now, out, less(w->pool, held + cooling), x);
		e->rate += x;
	}
	for (i = 0; i < h->n && (h->entry[i].place != p->place || h->entry[i].life != p->life); i++)
		;
	if (i < h->n && h->entry[i].rate == e->rate && h->entry[i].want == e->want)
		return false;
	p->pending = true;
	p->pending_no++;
	p->pending_rev = h->rev;
	p->pending_rate = e->rate;
	if (!e->rate && !e->want)
		*e = out->entry[--out->n];
	return true;
}

void fleet_used_steps(const uint64_t *amount, const uint64_t *at, unsigned n, uint64_t now, uint64_t used[FLEET_STEPS])
{
	uint64_t age;
	unsigned i, k;

	memset(used, 0, FLEET_STEPS * sizeof(*used));
	for (i = 0; i < n; i++) {
		age = now > at[i] ? now - at[i] : 0;
		for (k = 0; k < FLEET_STEPS && age + k * FLEET_STEP < FLEET_SECOND; k++)
			used[k] += amount[i];
	}
}

uint64_t fleet_want(struct fleet_demand *d, uint64_t now, uint64_t used, bool is_short, uint64_t pool)
{
	uint64_t want = is_short ? pool : least(used + used / 4, pool);

	/* A node that is short wants all that there is: an eighth below would be for ever. */
	if (want > d->want + (is_short ? 0 : d->want / 8) || d->want > pool) {
		d->want = want;
		d->less_since = 0;
	} else if (want < d->want - d->want / 4) {
		if (!d->less_since)
			d->less_since = now;
		if (now >= d->less_since + FLEET_LINGER) {
			d->want = want;
			d->less_since = 0;
		}
	} else {
		d->less_since = 0;
	}
	return d->want;
}

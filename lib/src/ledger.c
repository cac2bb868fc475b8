// SPDX-License-Identifier: LGPL-2.1-or-later
/* The arithmetic of quota; the maths and the proofs are in ledger.h. */
#include "ledger.h"

#include <string.h>

#define TIME_SHIFT	10
#define TIME_MASK	0xffffff
#define AMOUNT_SHIFT	6

/* A tag is no further ahead of its clock: who used so much more than was bought is behind all others anyway. */
#define TAG_AHEAD	(64 * BTN_SECOND)

/* By so much one run changes the margin, at most. */
#define MARGIN_STEP	4000

/* Nobody knows how many runs there were at once. */
#define RUNS_MANY	255

static uint64_t in_ns(uint32_t amount)
{
	return (uint64_t)amount << AMOUNT_SHIFT;
}

/* The entry n places from the oldest. */
static struct btn_log *entry(const struct btn_account *a, unsigned n)
{
	return &a->log[(a->first + n) % BTN_LOG];
}

/* The entry's time: entries are at most seconds older than the newest. */
static uint64_t entry_time(const struct btn_account *a, const struct btn_log *e)
{
	uint64_t last = a->last >> TIME_SHIFT;

	return (last - ((last - e->time) & TIME_MASK)) << TIME_SHIFT;
}

static uint64_t round_up(uint64_t time)
{
	return (time + (1 << TIME_SHIFT) - 1) >> TIME_SHIFT << TIME_SHIFT;
}

void btn_account_init(struct btn_account *a, struct btn_log *log)
{
	memset(a, 0, sizeof(*a));
	a->log = log;
	a->expires = BTN_NEVER;
}

void btn_account_set_scale(struct btn_account *a, uint64_t of)
{
	a->full = of / 384 < 1024 ? 1024 : of / 384;
}

static void set_min(struct btn_account *a, uint64_t quota)
{
	uint64_t min = quota / 1000;

	if (min < 1000)
		min = 1000;
	if (min > 1000000)
		min = 1000000;
	if (a->margin > quota / 8)
		a->margin = quota / 8;
	a->min = min + a->margin;
}

void btn_account_set_quota(struct btn_account *a, uint64_t quota)
{
	set_min(a, quota);
	btn_account_set_scale(a, quota);
	/* The debt is a time, and would be another amount. */
	if (a->quota != quota)
		a->earned = 0;
	a->quota = quota;
	a->pace = quota ? (BTN_SECOND << 20) / quota : 0;
}

/* Forgets what is a second old. */
static void expire(struct btn_account *a, uint64_t now)
{
	/* The rest, too, was used by then. */
	if (a->last + BTN_SECOND <= now) {
		a->n = 0;
		a->used = a->rest = 0;
	}
	a->expires = BTN_NEVER;
	while (a->n) {
		a->expires = entry_time(a, entry(a, 0)) + BTN_SECOND;
		if (a->expires > now)
			break;
		a->expires = BTN_NEVER;
		a->used -= in_ns(entry(a, 0)->amount);
		a->first = (a->first + 1) % BTN_LOG;
		a->n--;
	}
}

static inline void advance(struct btn_account *a, uint64_t now)
{
	if (now >= a->expires)
		expire(a, now);
}

/* Drops what of the oldest entry was used a second ago: (3). All of it is for expire(). */
static void trim(struct btn_account *a, uint64_t now)
{
	struct btn_log *e = entry(a, 0);
	uint64_t most;

	if (!a->n || e->runs == RUNS_MANY)
		return;
	most = (a->expires - now) * e->runs;
	if (in_ns(e->amount) <= most)
		return;
	most = (most + (1 << AMOUNT_SHIFT) - 1) >> AMOUNT_SHIFT;
	a->used -= in_ns(e->amount - (uint32_t)most);
	e->amount = (uint32_t)most;
}

static uint64_t left_of(const struct btn_account *a)
{
	uint64_t taken = a->used + a->reserved;

	return taken < a->quota ? a->quota - taken : 0;
}

uint64_t btn_account_left(struct btn_account *a, uint64_t now)
{
	advance(a, now);
	trim(a, now);
	return now < btn_account_owes_until(a) ? 0 : left_of(a);
}

/* The part of this entry that was used in its last ns leaves from here on to its time, at once where nobody knows. */
static uint64_t begins(const struct btn_log *e, uint64_t end)
{
	return e->runs == RUNS_MANY ? end : end - in_ns(e->amount) / e->runs;
}

/* A run that begins now never finds less than it uses, as others' CPU leaves the log meanwhile: (1). */
static uint64_t ahead(const struct btn_account *a, uint64_t now, uint64_t left, uint64_t max)
{
	uint64_t begin, end = now;
	unsigned n;

	for (n = 0; n < a->n && left < max; n++) {
		begin = end;
		end = entry_time(a, entry(a, n)) + BTN_SECOND;
		if (begin < begins(entry(a, n), end))
			begin = begins(entry(a, n), end);
		if (begin > now + left)
			break;
		left += in_ns(entry(a, n)->amount);
	}
	return left;
}

uint64_t btn_account_reserve(struct btn_account *a, uint64_t now, uint64_t max)
{
	uint64_t left;

	advance(a, now);
	left = left_of(a);
	if (left < max) {
		trim(a, now);
		left = left_of(a);
	}
	if (left < a->min || !max || now < btn_account_owes_until(a))
		return 0;
	if (left < max)
		left = ahead(a, now, left, max);
	if (left > max)
		left = max;
	a->reserved += left;
	if (++a->running == 1 || a->running > a->abreast)
		a->abreast = a->running;
	return left;
}

uint64_t btn_account_earn(const struct btn_account *a, uint64_t cpu)
{
	unsigned __int128 earned = ((unsigned __int128)cpu * a->pace) >> 20;

	return earned < BTN_NEVER ? (uint64_t)earned : BTN_NEVER;
}

static void move_tag(struct btn_account *a, uint64_t vstart, uint64_t cpu)
{
	uint64_t earned = btn_account_earn(a, cpu);

	if (a->tag < vstart)
		a->tag = vstart;
	if (a->tag - vstart < TAG_AHEAD)
		a->tag = earned < TAG_AHEAD - (a->tag - vstart) ? a->tag + earned : vstart + TAG_AHEAD;
}

void btn_account_owe(struct btn_account *a, uint64_t now, uint64_t cpu)
{
	uint64_t begin = now > cpu ? now - cpu : 0, most = now + 2 * BTN_SECOND + BTN_EARN_SLACK;
	uint64_t earned = btn_account_earn(a, cpu);

	if (a->earned < begin)
		a->earned = begin;
	a->earned = a->earned < most && earned < most - a->earned ? a->earned + earned : most;
}

void btn_account_overran(struct btn_account *a, uint64_t over)
{
	uint64_t by = ((over > a->margin ? over - a->margin : a->margin - over) + 7) / 8;

	if (by > MARGIN_STEP)
		by = MARGIN_STEP;
	a->margin = over > a->margin ? a->margin + by : a->margin - by;
	set_min(a, a->quota);
}

static void add(struct btn_account *a, struct btn_log *e, uint64_t cpu, uint8_t runs)
{
	uint32_t amount;

	if (e->runs < runs)
		e->runs = runs;
	a->used += cpu;
	cpu += a->rest;
	amount = cpu >> AMOUNT_SHIFT;
	a->rest = cpu - in_ns(amount);
	e->amount += amount;
}

/* CPU that was used from time to now, which the log does not reach. */
static void append(struct btn_account *a, uint64_t time, uint64_t now, uint8_t runs)
{
	struct btn_log *e;
	uint64_t part;

	while (time < now) {
		part = now - time;
		e = a->n ? entry(a, a->n - 1) : NULL;
		if (a->n < BTN_LOG && (!e || in_ns(e->amount) >= a->full || now - a->opened > BTN_SPAN)) {
			a->opened = time;
			e = entry(a, a->n++);
			e->amount = 0;
			e->runs = 1;
		}
		if (a->n < BTN_LOG && part > a->full - in_ns(e->amount))
			part = a->full - in_ns(e->amount);
		time += part;
		add(a, e, part, runs);
		a->last = round_up(time);
		e->time = (a->last >> TIME_SHIFT) & TIME_MASK;
		/* The oldest, too, if it is the newest. */
		if (a->n == 1)
			a->expires = a->last + BTN_SECOND;
	}
}

void btn_account_settle(struct btn_account *a, uint64_t now, uint64_t slice,
			uint64_t cpu, uint64_t vstart)
{
	uint64_t recent = cpu < BTN_SECOND ? cpu : BTN_SECOND, begin = now > recent ? now - recent : 0, low, high;
	uint8_t runs = RUNS_MANY;
	unsigned n;

	advance(a, now);
	a->reserved -= slice;
	/* CPU that was not given may have been used beside anything. */
	if (slice) {
		btn_account_owe(a, now, cpu);
		a->running--;
		if (a->abreast < RUNS_MANY)
			runs = a->abreast;
	}
	a->total = cpu < UINT64_MAX - a->total ? a->total + cpu : UINT64_MAX;
	move_tag(a, vstart, cpu);

	/* Other slots' runs brought entries that reach into this run. */
	high = a->n && a->last > begin ? a->last : begin;
	if (high > now)
		high = now;
	for (n = a->n, low = high; n && low > begin; n--, high = low) {
		low = n > 1 ? entry_time(a, entry(a, n - 2)) : begin;
		if (low < begin)
			low = begin;
		if (low < high)
			add(a, entry(a, n - 1), high - low, runs);
		else
			low = high;
	}
	if (a->n && a->last > begin)
		begin = a->last;
	append(a, begin, now, runs);
}

void btn_account_refund(struct btn_account *a, uint64_t now, uint64_t since, uint64_t cpu)
{
	uint64_t earned = btn_account_earn(a, cpu);
	uint32_t amount = cpu >> AMOUNT_SHIFT, part;
	struct btn_log *e;
	unsigned n;

	advance(a, now);
	a->total -= cpu < a->total ? cpu : a->total;
	a->tag -= earned < a->tag ? earned : a->tag;
	a->earned -= earned < a->earned ? earned : a->earned;
	/* All later than that: it is in the oldest, or after it. */
	for (n = a->n; n > 1 && entry_time(a, entry(a, n - 1)) > since; n--)
		;
	for (; amount && n; n--) {
		e = entry(a, n - 1);
		part = amount < e->amount ? amount : e->amount;
		e->amount -= part;
		a->used -= in_ns(part);
		amount -= part;
	}
}

void btn_account_recent(const struct btn_account *a, uint64_t at, uint64_t step, unsigned n, uint64_t *recent)
{
	uint64_t sum = 0;
	unsigned left = a->n;

	/* From the last time on: whatever is young enough then is so at each earlier one. */
	while (n--) {
		uint64_t t = at + n * step;

		recent[n] = 0;
		if (!a->n || a->last + BTN_SECOND <= t)
			continue;
		for (; left && entry_time(a, entry(a, left - 1)) + BTN_SECOND > t; left--)
			sum += in_ns(entry(a, left - 1)->amount);
		recent[n] = sum + a->rest;
	}
}

uint64_t btn_account_when(struct btn_account *a, uint64_t now)
{
	uint64_t used, keep, begin = now, end;
	const struct btn_log *e;
	unsigned n;

	if (a->quota < a->min)
		return BTN_NEVER;
	if (now < btn_account_owes_until(a))
		return btn_account_owes_until(a);
	if (btn_account_left(a, now) >= a->min)
		return now;
	/* Reserved CPU will be used: it is not to be had for a second. */
	used = a->used + a->reserved;
	for (n = 0; n < a->n; n++, begin = end) {
		e = entry(a, n);
		used -= in_ns(e->amount);
		end = entry_time(a, e) + BTN_SECOND;
		if (used + a->min > a->quota)
			continue;
		if (e->runs == RUNS_MANY)
			return end;
		/* The part that may still be there, in whole units, as trim() leaves no parts of them. */
		keep = (a->quota - a->min - used) >> AMOUNT_SHIFT << AMOUNT_SHIFT;
		if (keep > in_ns(e->amount))
			keep = in_ns(e->amount);
		end -= keep / e->runs;
		return end > begin ? end : begin;
	}
	return now + BTN_SECOND;
}

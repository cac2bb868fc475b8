// SPDX-License-Identifier: LGPL-2.1-or-later
/* A page as text: JSON, and what Prometheus scrapes. */
#include <baton/stats.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hooks.h"
#include "utf8.h"

struct out {
	FILE *to;
	const struct baton_stats *st;
	struct baton_stats_header h;
	struct baton_stats_tier tier[BATON_TIERS_MAX];
	struct baton_stats_tenant t;
	struct baton_stats_slot slot;
	uint64_t now;
	bool alive;
};

/* In quotes, as JSON and Prometheus both read it. */
static void quoted(FILE *to, const char *text)
{
	size_t n = strlen(text);

	putc('"', to);
	/* A name may have been cut or changed while it was read. */
	if (!btn_utf8_valid(text, n))
		text = "?";
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', to);
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			putc('?', to);
		else
			putc(*text, to);
	}
	putc('"', to);
}

/* The part that the machine gave was measured lately. */
static bool has_supply(const struct out *o)
{
	return o->alive && o->h.supply_at && o->now < o->h.supply_at + BATON_STATS_SUPPLY_OLD;
}

/* ------------------------------------------------------------------- JSON */

static void number(struct out *o, const char *name, uint64_t value)
{
	fprintf(o->to, "\"%s\":%" PRIu64, name, value);
}

static void hist(struct out *o, const char *name, const struct baton_hist *h)
{
	static const struct { const char *name; double q; } at[] = {
		{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "max", 1 },
	};
	unsigned i;

	fprintf(o->to, ",\"%s\":{\"count\":%" PRIu64 ",\"sum\":%" PRIu64, name, baton_hist_count(h), h->sum);
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		uint64_t ns = baton_hist_quantile(h, at[i].q);

		if (ns == UINT64_MAX)	/* longer than it can tell */
			fprintf(o->to, ",\"%s\":null", at[i].name);
		else
			fprintf(o->to, ",\"%s\":%" PRIu64, at[i].name, ns);
	}
	putc('}', o->to);
}

static void json_tier(struct out *o, unsigned i)
{
	const struct baton_stats_tier *t = &o->tier[i];

	fputs(i ? ",{\"name\":" : "{\"name\":", o->to);
	quoted(o->to, t->name);
	fputs(",\"policy\":", o->to);
	quoted(o->to, t->policy);
	fprintf(o->to, ",\"rank\":%" PRIu64 ",\"share\":%" PRIu64 ",\"reserve\":%" PRIu64 ",\"limit\":%" PRIu64 "}",
		t->rank, t->share, t->reserve, t->limit);
}

static void json_slot(struct out *o, unsigned i)
{
	const struct baton_stats_slot *s = &o->slot;

	fprintf(o->to, "%s{\"slot\":%u,\"tenant\":%" PRIu64 ",\"tier\":%" PRIu64 ",\"switches\":%" PRIu64
		",\"steals\":%" PRIu64 ",\"forced_preemptions\":%" PRIu64 ",\"idle\":%" PRIu64 ",\"gap_worst\":%" PRIu64 ",\"polled\":%" PRIu64,
		i ? "," : "", i, s->tenant, s->tier, s->switches, s->steals, s->forced_preemptions, s->idle, s->gap_worst, s->polled);
	hist(o, "gap", &s->gap);
	putc('}', o->to);
}

static void json_tenant(struct out *o, bool first)
{
	const struct baton_stats_tenant *t = &o->t;
	unsigned i;

	fputs(first ? "\n{" : ",\n{", o->to);
	number(o, "id", t->id);
	fputs(",\"name\":", o->to);
	quoted(o->to, t->name);
	fprintf(o->to, ",\"leaving\":%s,\"in_flight\":%" PRIu64 ",\"on_streams\":%" PRIu64 ",\"tiers\":[", t->state == 2 ? "true" : "false",
		t->in_flight, t->on_streams);
	for (i = 0; i < o->h.tiers; i++) {
		const struct baton_stats_use *u = &t->tier[i];

		fputs(i ? ",{\"tier\":" : "{\"tier\":", o->to);
		quoted(o->to, o->tier[i].name);
		fprintf(o->to, ",\"admitted\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"dropped\":%" PRIu64
			",\"finished\":%" PRIu64 ",\"cpu\":%" PRIu64 ",\"throttled\":%" PRIu64
			",\"overrun\":%" PRIu64 ",\"overdue\":%" PRIu64 ",\"quota\":%" PRIu64 ",\"left\":%" PRIu64,
			u->admitted, u->rejected, u->dropped, u->finished, u->cpu, u->throttled, u->overrun,
			u->overdue, u->quota, baton_stats_left(u, o->now));
		hist(o, "wait", &u->wait);
		hist(o, "run", &u->run);
		putc('}', o->to);
	}
	fputs("]}", o->to);
}

static void json(struct out *o)
{
	bool first = true;
	unsigned i;
	int err;

	fputs("{\"service\":", o->to);
	quoted(o->to, o->h.name);
	putc(',', o->to);
	number(o, "version", o->h.version);
	putc(',', o->to);
	number(o, "pid", o->h.pid);
	fprintf(o->to, ",\"alive\":%s,", o->alive ? "true" : "false");
	number(o, "uptime", o->now > o->h.started ? o->now - o->h.started : 0);
	putc(',', o->to);
	number(o, "capacity", o->h.capacity);
	putc(',', o->to);
	number(o, "allowed", o->h.allowed);
	putc(',', o->to);
	if (has_supply(o))
		fprintf(o->to, "\"supply\":%.3f,", (double)o->h.supply / 1e6);
	number(o, "low_limit", o->h.low_limit);
	putc(',', o->to);
	number(o, "low_sold", o->h.low_sold);
	putc(',', o->to);
	number(o, "unlisted", o->h.tenants_unlisted);
	fputs(",\n\"tiers\":[", o->to);
	for (i = 0; i < o->h.tiers; i++)
		json_tier(o, i);
	fputs("],\n\"slots\":[", o->to);
	for (i = 0; !baton_stats_slot(o->st, i, &o->slot, sizeof(o->slot)); i++)
		json_slot(o, i);
	fputs("],\n\"tenants\":[", o->to);
	for (i = 0; (err = baton_stats_tenant(o->st, i, &o->t, sizeof(o->t))) != -ENOENT; i++)
		if (!err) {
			json_tenant(o, first);
			first = false;
		}
	fputs("\n]}\n", o->to);
}

/* ------------------------------------------------------------- Prometheus */

static void family(struct out *o, const char *name, const char *type, const char *help)
{
	fprintf(o->to, "# HELP baton_%s %s\n# TYPE baton_%s %s\n", name, help, name, type);
}

static void labels(struct out *o, const char *name, const char *more)
{
	fprintf(o->to, "baton_%s{service=", name);
	quoted(o->to, o->h.name);
	fputs(more, o->to);
}

static void of_tier(struct out *o, const char *name, unsigned tier)
{
	labels(o, name, ",tenant=");
	quoted(o->to, o->t.name);
	fputs(",tier=", o->to);
	quoted(o->to, o->tier[tier].name);
}

static void seconds(struct out *o, uint64_t ns)
{
	fprintf(o->to, "} %" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

/* A bound for each doubling: between them the steps are too many for a scrape. */
static void prom_hist(struct out *o, const char *name, unsigned tier, const struct baton_hist *h)
{
	char part[64];
	uint64_t sum = 0, bound;
	unsigned i;

	snprintf(part, sizeof(part), "%s_bucket", name);
	for (i = 0; i < BATON_HIST_STEPS - 1; i++) {
		sum += h->n[i];
		if (i % 8 != 7)
			continue;
		bound = baton_hist_bound(i);
		of_tier(o, part, tier);
		fprintf(o->to, ",le=\"%" PRIu64 ".%09" PRIu64 "\"} %" PRIu64 "\n", bound / 1000000000,
			bound % 1000000000, sum);
	}
	sum += h->n[BATON_HIST_STEPS - 1];
	of_tier(o, part, tier);
	fprintf(o->to, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
	snprintf(part, sizeof(part), "%s_sum", name);
	of_tier(o, part, tier);
	seconds(o, h->sum);
	snprintf(part, sizeof(part), "%s_count", name);
	of_tier(o, part, tier);
	fprintf(o->to, "} %" PRIu64 "\n", sum);
}

static const struct {
	const char *name, *type, *help;
	size_t at;
	enum { COUNT, SECONDS, LEFT, HIST } as;
} of_use[] = {
#define FIELD(F) offsetof(struct baton_stats_use, F)
	{ "admitted_total", "counter", "Requests that were let in.", FIELD(admitted), COUNT },
	{ "rejected_total", "counter", "Requests refused for want of quota.", FIELD(rejected), COUNT },
	{ "dropped_total", "counter", "Requests that had not started by their deadline, or were cancelled.",
	  FIELD(dropped), COUNT },
	{ "finished_total", "counter", "Requests that ended.", FIELD(finished), COUNT },
	{ "cpu_seconds_total", "counter", "CPU used.", FIELD(cpu), SECONDS },
	{ "throttled_seconds_total", "counter", "Time in which tasks were ready and no quota was left.",
	  FIELD(throttled), SECONDS },
	{ "overdue_seconds_total", "counter", "Seconds in which tasks were ready and had quota, and none got a slot.",
	  FIELD(overdue), COUNT },
	{ "overrun_worst_seconds", "gauge", "The longest that a task ran past its slice.",
	  FIELD(overrun), SECONDS },
	{ "quota_seconds", "gauge", "CPU bought in each second.", FIELD(quota), SECONDS },
	{ "quota_left_seconds", "gauge", "Of that, left in this second.", 0, LEFT },
	{ "wait_seconds", "histogram", "From ready to the first slot, of each task.", FIELD(wait), HIST },
	{ "run_seconds", "histogram", "CPU from getting a slot to losing it.", FIELD(run), HIST },
};

static void prom_use(struct out *o, unsigned f, unsigned tier)
{
	const struct baton_stats_use *u = &o->t.tier[tier];
	const void *field = (const char *)u + of_use[f].at;

	switch (of_use[f].as) {
	case COUNT:
		of_tier(o, of_use[f].name, tier);
		fprintf(o->to, "} %" PRIu64 "\n", *(const uint64_t *)field);
		break;
	case SECONDS:
		of_tier(o, of_use[f].name, tier);
		seconds(o, *(const uint64_t *)field);
		break;
	case LEFT:
		of_tier(o, of_use[f].name, tier);
		seconds(o, baton_stats_left(u, o->now));
		break;
	case HIST:
		prom_hist(o, of_use[f].name, tier, field);
	}
}

static const struct {
	const char *name, *help;
	size_t at;
} of_tenant[] = {
	{ "requests_in_flight", "Requests that were let in and have not ended.", offsetof(struct baton_stats_tenant, in_flight) },
	{ "tasks_on_streams", "Tasks that wait for a stream.", offsetof(struct baton_stats_tenant, on_streams) },
};

static void prom_tenant(struct out *o, unsigned f)
{
	labels(o, of_tenant[f].name, ",tenant=");
	quoted(o->to, o->t.name);
	fprintf(o->to, "} %" PRIu64 "\n", *(const uint64_t *)((const char *)&o->t + of_tenant[f].at));
}

static void prom_slot(struct out *o, const char *name, unsigned i, uint64_t value, bool time)
{
	char more[32];

	snprintf(more, sizeof(more), ",slot=\"%u\"", i);
	labels(o, name, more);
	if (time)
		seconds(o, value);
	else
		fprintf(o->to, "} %" PRIu64 "\n", value);
}

static void prometheus(struct out *o)
{
	static const struct {
		const char *name, *type, *help;
		size_t at;
		bool time;
	} of_slot[] = {
#define SLOT(F) offsetof(struct baton_stats_slot, F)
		{ "slot_switches_total", "counter", "Tasks that got this slot.", SLOT(switches), false },
		{ "slot_steals_total", "counter", "Of those, that last ran in another one.", SLOT(steals), false },
		{ "slot_forced_preemptions_total", "counter", "Taken from tasks that did not stop.", SLOT(forced_preemptions), false },
		{ "slot_idle_seconds_total", "counter", "Time without a task.", SLOT(idle), true },
		{ "slot_polled_seconds_total", "counter", "CPU of its workers that waited for streams.", SLOT(polled), true },
		{ "slot_gap_worst_seconds", "gauge", "The longest between two checkpoints.", SLOT(gap_worst), true },
	};
	unsigned i, f, tier;
	uint64_t value;
	int err;

	family(o, "up", "gauge", "The service runs.");
	labels(o, "up", "");
	fprintf(o->to, "} %d\n", o->alive);
	family(o, "capacity_seconds", "gauge", "CPU that there is in each second.");
	labels(o, "capacity_seconds", "");
	seconds(o, o->h.capacity);
	family(o, "allowed_seconds", "gauge", "CPU that the machine's rules allow in each second.");
	labels(o, "allowed_seconds", "");
	seconds(o, o->h.allowed);
	if (has_supply(o)) {
		family(o, "supply_ratio", "gauge", "Of the CPU that tasks wanted lately, the part that the machine gave.");
		labels(o, "supply_ratio", "");
		fprintf(o->to, "} %.3f\n", (double)o->h.supply / 1e6);
	}
	family(o, "low_sold_seconds", "gauge", "Of that, sold as low-latency quota.");
	labels(o, "low_sold_seconds", "");
	seconds(o, o->h.low_sold);
	family(o, "tenants_unlisted", "gauge", "Tenants that are not in here for want of memory.");
	labels(o, "tenants_unlisted", "");
	fprintf(o->to, "} %" PRIu64 "\n", o->h.tenants_unlisted);
	for (f = 0; f < sizeof(of_slot) / sizeof(of_slot[0]); f++) {
		family(o, of_slot[f].name, of_slot[f].type, of_slot[f].help);
		for (i = 0; !baton_stats_slot(o->st, i, &o->slot, sizeof(o->slot)); i++) {
			value = *(uint64_t *)((char *)&o->slot + of_slot[f].at);
			prom_slot(o, of_slot[f].name, i, value, of_slot[f].time);
		}
	}
	/* All samples of a family stand together; and another tenant may have the name of one that is being removed. */
	for (f = 0; f < sizeof(of_tenant) / sizeof(of_tenant[0]); f++) {
		family(o, of_tenant[f].name, "gauge", of_tenant[f].help);
		for (i = 0; (err = baton_stats_tenant(o->st, i, &o->t, sizeof(o->t))) != -ENOENT; i++)
			if (!err && o->t.state == 1)
				prom_tenant(o, f);
	}
	for (f = 0; f < sizeof(of_use) / sizeof(of_use[0]); f++) {
		family(o, of_use[f].name, of_use[f].type, of_use[f].help);
		for (i = 0; (err = baton_stats_tenant(o->st, i, &o->t, sizeof(o->t))) != -ENOENT; i++)
			for (tier = 0; !err && o->t.state == 1 && tier < o->h.tiers; tier++)
				prom_use(o, f, tier);
	}
}

int baton_stats_print(const struct baton_stats *st, FILE *to, enum baton_stats_format format)
{
	struct out *o;
	unsigned i;

	if (format != BATON_STATS_JSON && format != BATON_STATS_PROMETHEUS)
		return -EINVAL;
	o = btn_mem_zeroed(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->to = to;
	o->st = st;
	o->alive = baton_stats_alive(st);
	baton_stats_header(st, &o->h, sizeof(o->h));
	o->now = o->alive || !o->h.ended ? btn_clock_now() : o->h.ended;
	for (i = 0; i < o->h.tiers; i++)
		baton_stats_tier(st, i, &o->tier[i], sizeof(o->tier[i]));
	if (format == BATON_STATS_JSON)
		json(o);
	else
		prometheus(o);
	btn_mem_free(o);
	return ferror(to) ? -EIO : 0;
}

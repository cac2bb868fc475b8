// SPDX-License-Identifier: GPL-2.0-or-later
/* Each move of a lease; trace.h. */
#include "config.h"
#ifdef HAVE_FLEET
#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct trace {
	struct fleet_view *v;
	const char *tenant;
	bool json, ended;	/* ended: the watch has */
	uint64_t revision;	/* the last that was seen */
};

static void print_line(const struct trace *t, json_t *line, const char *text)
{
	struct timespec now;

	if (t->json) {
		clock_gettime(CLOCK_REALTIME, &now);
		json_object_set_new(line, "at", json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9));
		json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
		putchar('\n');
	} else {
		puts(text);
	}
	json_decref(line);
	fflush(stdout);
}

static const struct fleet_entry *find_entry(const struct fleet_held *h, uint32_t place, uint32_t life)
{
	unsigned i;

	for (i = 0; h && i < h->n; i++)
		if (h->entry[i].place == place && h->entry[i].life == life)
			return &h->entry[i];
	return NULL;
}

static void print_move(const struct trace *t, const struct fleet_rate *r, const struct fleet_held *h, uint64_t rev, const struct fleet_entry *e,
		       uint64_t before, uint64_t after)
{
	const char *node = e->place < FLEET_PLACES && *t->v->node[e->place].name ? t->v->node[e->place].name : "?";
	uint64_t cooling = 0;
	char text[300];
	unsigned i;

	for (i = 0; i < h->cools; i++)
		cooling += h->cool[i].rate;
	snprintf(text, sizeof(text), "%llu %s %s %.3f -> %.3f CPUs, wants %.3f; %.3f CPUs cool", (unsigned long long)rev, r->key, node,
		 (double)before / 1e9, (double)after / 1e9, (double)e->want / 1e9, (double)cooling / 1e9);
	print_line(t, json_pack("{s:I,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "revision", (json_int_t)rev, "rate", r->key, "node", node, "life",
				(json_int_t)e->life, "before", (json_int_t)before, "after", (json_int_t)after, "want", (json_int_t)e->want,
				"cooling", (json_int_t)cooling), text);
}

/* The record of a rate is another one: whose entries are more, or less, or not there any more. */
static void see_held(struct trace *t, const char *key, const char *value, uint64_t rev)
{
	static const struct fleet_entry gone;
	struct fleet_rate *r = fleet_view_rate(t->v, key);
	const struct fleet_entry *was, *is;
	struct fleet_held *h = NULL;
	unsigned i;

	if (value ? fleet_read_held(value, &h) != NULL : !(h = calloc(1, FLEET_HELD_SIZE(0)))) {
		printf("# revision %llu: held/%s is in another format\n", (unsigned long long)rev, key);
		return;
	}
	for (i = 0; i < h->n; i++) {
		is = &h->entry[i];
		was = find_entry(r->held, is->place, is->life);
		if (is->rate != (was ? was : &gone)->rate)
			print_move(t, r, h, rev, is, was ? was->rate : 0, is->rate);
	}
	for (i = 0; r->held && i < r->held->n; i++) {
		struct fleet_entry e = r->held->entry[i];

		if (!e.rate || find_entry(h, e.place, e.life))
			continue;
		e.want = 0;
		print_move(t, r, h, rev, &e, r->held->entry[i].rate, 0);
	}
	free(r->held);
	r->held = h;
}

static void see_quota(struct trace *t, const char *key, const char *value, uint64_t rev)
{
	struct fleet_rate *r = fleet_view_rate(t->v, key);
	struct fleet_quota q = { 0 };
	char text[200];

	if (value && fleet_read_quota(value, &q))
		return;
	if (q.rate != r->quota.rate) {
		snprintf(text, sizeof(text), "%llu %s sold %.3f CPUs", (unsigned long long)rev, key, (double)q.rate / 1e9);
		print_line(t, json_pack("{s:I,s:s,s:I}", "revision", (json_int_t)rev, "rate", key, "sold", (json_int_t)q.rate), text);
	}
	r->quota = q;
}

static void see_node(struct trace *t, unsigned place, const char *value, uint64_t rev)
{
	struct fleet_node_text n = { 0 };
	char text[200];

	if (!value || fleet_read_node(value, &n))
		return;
	t->v->node[place] = n;
	snprintf(text, sizeof(text), "%llu %s %slife %llu", (unsigned long long)rev, n.name, n.fenced ? "fenced " : "", (unsigned long long)n.life);
	print_line(t, json_pack("{s:I,s:s,s:I,s:b}", "revision", (json_int_t)rev, "node", n.name, "life", (json_int_t)n.life, "fenced", (int)n.fenced),
		   text);
}

static void see_key(struct trace *t, const char *k, const char *value, uint64_t rev)
{
	char tenant[64];
	unsigned place;
	char end;

	if (sscanf(k, "node/%u%c", &place, &end) == 1 && place < FLEET_PLACES)
		see_node(t, place, value, rev);
	else if ((!strncmp(k, "held/", 5) || !strncmp(k, "quota/", 6)) && fleet_view_class(strchr(k, '/') + 1, tenant) >= 0 &&
		 (!t->tenant || !strcmp(t->tenant, tenant)))
		(*k == 'h' ? see_held : see_quota)(t, strchr(k, '/') + 1, value, rev);
}

static void watch_said(void *arg, const json_t *m)
{
	struct trace *t = arg;
	const json_t *events = m ? json_object_get(m, "events") : NULL;
	const char *prefix = t->v->store->prefix;
	char *key, *value;
	uint64_t rev;
	size_t i;

	if (!m || json_is_true(json_object_get(m, "canceled"))) {
		t->ended = true;
		return;
	}
	for (i = 0; i < json_array_size(events); i++) {
		if (!etcd_kv(json_object_get(json_array_get(events, i), "kv"), &key, &value, &rev))
			continue;
		if (!strncmp(key, prefix, strlen(prefix)))
			see_key(t, key + strlen(prefix), value, rev);
		t->revision = rev > t->revision ? rev : t->revision;
		free(key);
		free(value);
	}
}

int fleet_trace(const struct fleet_store *store, const char *tenant, bool json)
{
	struct fleet_view *v = calloc(1, sizeof(*v));
	struct trace t = { .v = v, .tenant = tenant, .json = json };
	char from[300], to[300];
	int rc = fleet_view_open(v, store);

	snprintf(from, sizeof(from), "%sb", store->prefix);
	snprintf(to, sizeof(to), "%sz", store->prefix);
	while (!rc) {
		if (fleet_view_read(v, stderr)) {
			/* A trace that began goes on once the store is back. */
			fprintf(stderr, "baton fleet: %s\n", etcd_error(v->e));
			rc = !t.revision;
			sleep(!rc);
			continue;
		}
		if (!v->has_setup) {
			fprintf(stderr, "baton fleet: there is no fleet under %s; `baton fleet init` makes one\n", store->prefix);
			rc = 1;
			break;
		}
		if (t.revision && v->revision > t.revision)
			fprintf(stderr, "baton fleet: moves between revision %llu and %llu were missed\n", (unsigned long long)t.revision,
				(unsigned long long)v->revision);
		t.revision = v->revision;
		t.ended = false;
		rc = etcd_watch(v->e, from, to, v->revision + 1, watch_said, &t) ? 1 : 0;
		while (!rc && !t.ended)
			etcd_poll(v->e, NULL, 0, 60000);
		etcd_watch_end(v->e);
	}
	fleet_view_close(v);
	free(v);
	return rc;
}
#endif

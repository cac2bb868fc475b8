// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton top --fleet: a fleet as its store has it. What nodes hold is each rate's record; what they use is what their heartbeats say, which is
 * up to a second old. A node without a heartbeat for FLEET_TTL is silent, until another one fences it.
 */
#include "config.h"
#ifdef HAVE_FLEET

#ifdef HAVE_NCURSES
#define NCURSES_WIDECHAR 1
#include <ncurses.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top.h"

#define SECOND 1e9

enum { LOW, HIGH };

/* A tenant, or the sum of all. A rate is ns of CPU in a second. */
struct row {
	char name[64];
	const struct fleet_rate *rate[2];
	uint64_t bought[2], held[2], wanted[2], cooling[2];	/* held: with each node's base */
};

struct node_row {
	uint64_t held[2];
	/* As of the last look at which it had changed. */
	uint64_t alive_rev, since;
};

struct picture {
	struct fleet_view view;
	struct node_row node[FLEET_PLACES];
	uint64_t now, capacity, fenced, there, bases[2];
	struct row *row, all;
	size_t rows, strangers;	/* keys of no tenant's */
};

static const char *const class_name[2] = { "low", "high" };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * FLEET_SECOND + (uint64_t)t.tv_nsec;
}

static void count_rate(struct picture *p, struct row *row, const struct fleet_rate *r, int class)
{
	const struct fleet_held *h = r->held;
	uint64_t base = fleet_base(&r->quota);
	unsigned i;

	row->rate[class] = r;
	row->bought[class] = r->quota.rate;
	row->held[class] = base * (p->there + p->fenced);
	p->bases[class] += base;
	for (i = 0; h && i < h->n; i++) {
		if (!fleet_view_holds(&p->view, &h->entry[i]))
			continue;
		row->held[class] += h->entry[i].rate;
		row->wanted[class] += h->entry[i].want;
		p->node[h->entry[i].place].held[class] += h->entry[i].rate;
	}
	for (i = 0; h && i < h->cools; i++)
		row->cooling[class] += h->cool[i].rate;
	p->all.bought[class] += row->bought[class];
	p->all.held[class] += row->held[class];
	p->all.wanted[class] += row->wanted[class];
	p->all.cooling[class] += row->cooling[class];
}

/* Sums of what was read. Returns false where there is no memory. */
static bool sum_up(struct picture *p)
{
	const struct fleet_view *v = &p->view;
	struct row *row = realloc(p->row, (v->rates + 1) * sizeof(*row));
	char tenant[64];
	size_t i;
	int class;

	if (!row)
		return false;
	p->row = row;
	p->now = now_ns();
	memset(&p->all, 0, sizeof(p->all));
	p->rows = p->strangers = 0;
	p->capacity = p->there = p->fenced = p->bases[LOW] = p->bases[HIGH] = 0;
	for (i = 0; i < v->setup.places; i++) {
		struct node_row *n = &p->node[i];

		memset(n->held, 0, sizeof(n->held));
		if (n->alive_rev != v->alive_rev[i] || !n->since) {
			n->alive_rev = v->alive_rev[i];
			n->since = p->now;
		}
		if (!v->node_rev[i])
			continue;
		p->there += !v->node[i].fenced;
		p->fenced += v->node[i].fenced;
		p->capacity += v->node[i].fenced ? 0 : v->node[i].capacity;
	}
	/* Rates come in the order of their keys: TENANT/high, then TENANT/low. */
	for (i = 0; i < v->rates; i++) {
		class = fleet_view_class(v->rate[i]->key, tenant);
		if (class < 0) {
			p->strangers++;
			continue;
		}
		if (!p->rows || strcmp(p->row[p->rows - 1].name, tenant)) {
			row = &p->row[p->rows++];
			memset(row, 0, sizeof(*row));
			memcpy(row->name, tenant, sizeof(tenant));
		}
		count_rate(p, &p->row[p->rows - 1], v->rate[i], class);
	}
	return true;
}

/* JSON */

static json_t *json_number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *json_rate(const struct picture *p, const struct row *row, int class)
{
	const struct fleet_rate *r = row->rate[class];
	json_t *nodes = json_array();
	unsigned i;

	for (i = 0; r && r->held && i < r->held->n; i++) {
		const struct fleet_entry *e = &r->held->entry[i];

		if (fleet_view_holds(&p->view, e))
			json_array_append_new(nodes, json_pack("{s:s,s:o,s:o}", "node", p->view.node[e->place].name, "leased",
							       json_number(e->rate), "wanted", json_number(e->want)));
	}
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "bought", json_number(row->bought[class]), "base",
			 json_number(r ? fleet_base(&r->quota) : 0), "held", json_number(row->held[class]), "wanted",
			 json_number(row->wanted[class]), "cooling", json_number(row->cooling[class]), "nodes", nodes);
}

static json_t *json_node(const struct picture *p, unsigned place)
{
	const struct fleet_node_text *n = &p->view.node[place];
	const struct fleet_alive_text *a = &p->view.alive[place];
	json_t *j = json_pack("{s:i,s:s,s:o,s:b,s:o,s:o}", "place", (int)place, "name", n->name, "life", json_number(n->life), "fenced",
			      (int)n->fenced, "capacity", json_number(n->capacity), "alive_revision", json_number(p->view.alive_rev[place]));
	int class;
	char text[16];

	json_object_set_new(j, "scheduler", a->has_use && !n->fenced ? json_boolean(a->scheduler) : json_null());
	for (class = LOW; class <= HIGH; class++) {
		snprintf(text, sizeof(text), "%s_held", class_name[class]);
		json_object_set_new(j, text, json_number(p->node[place].held[class] + p->bases[class]));
		snprintf(text, sizeof(text), "%s_used", class_name[class]);
		json_object_set_new(j, text, a->has_use && !n->fenced ? json_number(a->used[class]) : json_null());
	}
	return j;
}

static int print_json(const struct picture *p)
{
	const struct fleet_view *v = &p->view;
	json_t *nodes = json_array(), *tenants = json_array(), *j;
	unsigned i;
	size_t k;
	int rc;

	for (i = 0; i < v->setup.places; i++)
		if (v->node_rev[i])
			json_array_append_new(nodes, json_node(p, i));
	for (k = 0; k < p->rows; k++)
		json_array_append_new(tenants, json_pack("{s:s,s:o,s:o}", "name", p->row[k].name, "low", json_rate(p, &p->row[k], LOW),
							 "high", json_rate(p, &p->row[k], HIGH)));
	j = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:o}", "prefix", v->store->prefix, "revision", json_number(v->revision),
		      "places", json_number(v->setup.places), "base_ppm", json_number(v->setup.base_ppm), "capacity",
		      json_number(p->capacity), "low_limit", json_number(p->capacity / 100 * 70), "low_bought",
		      json_number(p->all.bought[LOW]), "high_bought", json_number(p->all.bought[HIGH]), "unread",
		      (int)(v->unread + p->strangers), "nodes", nodes, "tenants", tenants);
	rc = json_dumpf(j, stdout, JSON_COMPACT) || putchar('\n') < 0 || fflush(stdout);
	json_decref(j);
	if (rc)
		fprintf(stderr, "baton top: cannot write\n");
	return rc;
}

/* The terminal */

#ifdef HAVE_NCURSES

static const struct order {
	int key;
	const char *name;
	size_t at;
} orders[] = {
	{ 'n', "name", 0 },
	{ 'b', "bought", offsetof(struct row, bought) },
	{ 'h', "held", offsetof(struct row, held) },
	{ 'w', "wanted", offsetof(struct row, wanted) },
};

static const struct order *order = orders;

static int by_order(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t p = 0, q = 0;

	if (order->at) {
		const uint64_t *m = (const uint64_t *)((const char *)x + order->at), *n = (const uint64_t *)((const char *)y + order->at);

		p = m[LOW] + m[HIGH];
		q = n[LOW] + n[HIGH];
	}
	return p != q ? (p < q) - (p > q) : strcmp(x->name, y->name);
}

static const char *state_of(const struct picture *p, unsigned place)
{
	const struct fleet_view *v = &p->view;

	if (v->node[place].fenced)
		return "fenced";
	if (p->now - p->node[place].since > FLEET_TTL)
		return "silent";
	return v->alive[place].has_use && !v->alive[place].scheduler ? "unused" : "";
}

static void print_cpus(uint64_t ns)
{
	double cpus = (double)ns / SECOND;

	printw(cpus < 1000 ? " %8.3f" : " %8.0f", cpus);
}

static void draw_head(const char *text, int line, int columns)
{
	attron(A_REVERSE);
	mvprintw(line, 0, "%-*.*s", columns - 1, columns - 1, text);
	attroff(A_REVERSE);
}

static int draw_nodes(const struct picture *p, int line, int most, int columns)
{
	const struct fleet_view *v = &p->view;
	unsigned i, left = 0;
	int class;

	draw_head("NODE            PLACE  LIFE     CPUS  LOW HAS     USES HIGH HAS     USES", line++, columns);
	for (i = 0; i < v->setup.places; i++) {
		if (!v->node_rev[i])
			continue;
		if (!most) {
			left++;
			continue;
		}
		most--;
		move(line++, 0);
		top_print_name(v->node[i].name, 16);
		printw("%5u %5llu", i, (unsigned long long)v->node[i].life);
		if (!v->node[i].fenced)
			print_cpus(v->node[i].capacity);
		for (class = LOW; class <= HIGH && !v->node[i].fenced; class++) {
			print_cpus(p->node[i].held[class] + p->bases[class]);
			if (v->alive[i].has_use)
				print_cpus(v->alive[i].used[class]);
			else
				addstr("        -");
		}
		mvaddstr(line - 1, 73, state_of(p, i));
	}
	if (left)
		mvprintw(line++, 0, "and %u more", left);
	return line;
}

static void draw_tenants(const struct picture *p, int line, int lines, int columns)
{
	size_t i;
	int class;

	draw_head("TENANT                     LOW     HELD   WANTED     HIGH     HELD   WANTED", line++, columns);
	for (i = 0; i < p->rows && line < lines - 1; i++, line++) {
		move(line, 0);
		top_print_name(p->row[i].name, 21);
		for (class = LOW; class <= HIGH; class++) {
			print_cpus(p->row[i].bought[class]);
			print_cpus(p->row[i].held[class]);
			print_cpus(p->row[i].wanted[class]);
		}
	}
}

static void draw_fleet(const struct picture *p, const char *lost)
{
	const struct fleet_view *v = &p->view;
	int lines, columns, line;

	getmaxyx(stdscr, lines, columns);
	erase();
	mvprintw(0, 0, "baton top - fleet %.30s, revision %llu, sorted by %s", v->store->prefix, (unsigned long long)v->revision, order->name);
	if (lost)
		mvprintw(1, 0, "no store: %.*s", columns - 12, lost);
	else if (!v->has_setup)
		mvprintw(1, 0, "no fleet is there: baton fleet init makes one");
	else
		mvprintw(1, 0, "%llu nodes of %llu places, %llu fenced, %zu tenants", (unsigned long long)(p->there + p->fenced),
			 (unsigned long long)v->setup.places, (unsigned long long)p->fenced, p->rows);
	if (!lost && v->unread + p->strangers)
		printw("; %zu keys in another format", v->unread + p->strangers);
	mvprintw(2, 0, "capacity %.2f CPUs, low-latency sold %.2f of %.2f, high-latency sold %.2f", (double)p->capacity / SECOND,
		 (double)p->all.bought[LOW] / SECOND, (double)p->capacity * .7 / SECOND, (double)p->all.bought[HIGH] / SECOND);
	/* Nodes have a half of what is left, if there are so many. */
	line = draw_nodes(p, 3, (lines - 6) / 2, columns);
	draw_tenants(p, line, lines, columns);
	draw_head("q quit  sort: n name b bought h held w wanted", lines - 1, columns);
	refresh();
}

static int show_fleet(struct picture *p, double delay)
{
	const char *lost = NULL;
	int key = 0, rc = 0;
	unsigned k;

	if (!top_screen_begin(delay))
		return 1;
	while (key != 'q' && key != 'Q') {
		if (p->rows)
			qsort(p->row, p->rows, sizeof(*p->row), by_order);
		draw_fleet(p, lost);
		key = getch();
		for (k = 0; k < sizeof(orders) / sizeof(orders[0]); k++)
			if (key == orders[k].key)
				order = &orders[k];
		if (key != ERR)
			continue;
		lost = fleet_view_read(&p->view, NULL) ? etcd_error(p->view.e) : NULL;
		if (!sum_up(p)) {
			rc = 1;
			break;
		}
	}
	top_screen_end();
	if (rc)
		fprintf(stderr, "baton top: no memory\n");
	return rc;
}

#else

static int show_fleet(struct picture *p, double delay)
{
	fprintf(stderr, "baton top: built without ncurses (Debian: apt-get install libncurses-dev, then rebuild); --json says the same\n");
	return 1;
}

#endif

int top_fleet(const struct fleet_store *store, double delay, bool json)
{
	struct picture *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return 1;
	rc = fleet_view_open(&p->view, store);
	if (!rc && fleet_view_read(&p->view, json ? stderr : NULL)) {
		fprintf(stderr, "baton top: %s\n", etcd_error(p->view.e));
		rc = 1;
	}
	if (!rc && !p->view.has_setup) {
		fprintf(stderr, "baton top: there is no fleet under %s; `baton fleet init` makes one\n", store->prefix);
		rc = 1;
	}
	if (!rc && !sum_up(p)) {
		fprintf(stderr, "baton top: no memory\n");
		rc = 1;
	}
	if (!rc)
		rc = json ? print_json(p) : show_fleet(p, delay);
	fleet_view_close(&p->view);
	free(p->row);
	free(p);
	return rc;
}
#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton top - who uses the slots of a service, in a terminal. Reads the page that
 * the service published (<baton/stats.h>); rates are from one look to the next. With
 * b, where its workers block with a slot unannounced (stacks.h), which asks more
 * of whoever looks: then it says what.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <baton/stats.h>

#include "baton.h"
#include "options.h"
#include "top.h"

#ifdef HAVE_NCURSES

#define NCURSES_WIDECHAR 1
#include <locale.h>
#include <ncurses.h>
#include <wchar.h>

#include "detect_load.h"
#include "stacks.h"

#define SECOND 1000000000.0

/* A tenant at one look. */
struct row {
	uint64_t id;
	char name[BATON_STATS_NAME];
	bool leaving;
	uint64_t cpu, admitted, rejected, dropped, throttled, in_flight, on_streams, low_left, low, high;
	struct baton_hist wait;
	/* Since the look before. */
	double cpu_rate, admitted_rate, rejected_rate, dropped_rate, throttled_rate;
	uint64_t p50, p99;
};

struct look {
	uint64_t at;
	struct baton_stats_header h;
	unsigned slots, rows, room;
	struct row *row;
	struct baton_stats_slot *slot;
};

static const struct order {
	int key;
	const char *name;
	size_t at;
} orders[] = {
	{ 'c', "CPU", offsetof(struct row, cpu_rate) },
	{ 'r', "rejected", offsetof(struct row, rejected_rate) },
	{ 't', "throttled", offsetof(struct row, throttled_rate) },
	{ 'a', "admitted", offsetof(struct row, admitted_rate) },
	{ 'w', "wait p99", offsetof(struct row, p99) },
	{ 'n', "name", 0 },
};

static const struct order *order = orders;

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_order(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	double p = 0, q = 0;

	if (order->key == 'n')
		return strcmp(x->name, y->name);
	if (order->key == 'w') {
		p = x->p99;
		q = y->p99;
	} else {
		p = *(const double *)((const char *)x + order->at);
		q = *(const double *)((const char *)y + order->at);
	}
	return p != q ? (p < q) - (p > q) : by_id(a, b);
}

static void read_row(struct row *r, const struct baton_stats_tenant *t, unsigned tiers, uint64_t now)
{
	unsigned i, k;

	memset(r, 0, sizeof(*r));
	r->id = t->id;
	memcpy(r->name, t->name, sizeof(r->name));
	r->leaving = t->state == 2;
	r->in_flight = t->in_flight;
	r->on_streams = t->on_streams;
	r->low = t->tier[BATON_TIER_LOW].quota;
	r->high = t->tier[BATON_TIER_HIGH].quota;
	r->low_left = baton_stats_left(&t->tier[BATON_TIER_LOW], now);
	for (i = 0; i < tiers; i++) {
		const struct baton_stats_use *u = &t->tier[i];

		r->cpu += u->cpu;
		r->admitted += u->admitted;
		r->rejected += u->rejected;
		r->dropped += u->dropped;
		r->throttled += u->throttled;
		for (k = 0; k < BATON_HIST_STEPS; k++)
			r->wait.n[k] += u->wait.n[k];
	}
}

/* False: no memory. */
static bool look_at(const struct baton_stats *st, struct look *l)
{
	static struct baton_stats_tenant t;
	unsigned i;
	int err;

	l->at = baton_clock_now();
	baton_stats_header(st, &l->h, sizeof(l->h));
	if (!l->slot)
		l->slot = calloc(l->h.slots, sizeof(*l->slot));
	if (!l->slot)
		return false;
	for (i = 0; i < l->h.slots && !baton_stats_slot(st, i, &l->slot[i], sizeof(l->slot[i])); i++)
		;
	l->slots = i;
	l->rows = 0;
	for (i = 0; (err = baton_stats_tenant(st, i, &t, sizeof(t))) != -ENOENT; i++) {
		if (err)
			continue;
		if (l->rows == l->room) {
			unsigned room = l->room ? 2 * l->room : 64;
			struct row *more = realloc(l->row, room * sizeof(*more));

			if (!more)
				return false;
			l->row = more;
			l->room = room;
		}
		read_row(&l->row[l->rows++], &t, (unsigned)l->h.tiers, l->at);
	}
	if (l->rows)
		qsort(l->row, l->rows, sizeof(*l->row), by_id);
	return true;
}

/* Figures from the look before to this one; both are in the order of id. */
static void compare(struct look *now, const struct look *before)
{
	double s = (now->at - before->at) / SECOND;
	unsigned i, k;

	for (i = 0; i < now->rows; i++) {
		struct row *r = &now->row[i], *b;
		static const struct row none;
		struct baton_hist wait;

		b = before->rows ? bsearch(r, before->row, before->rows, sizeof(*r), by_id) : NULL;
		if (!b)
			b = (struct row *)&none;
		r->cpu_rate = (r->cpu - b->cpu) / SECOND / s;
		r->throttled_rate = (r->throttled - b->throttled) / SECOND / s;
		r->admitted_rate = (r->admitted - b->admitted) / s;
		r->rejected_rate = (r->rejected - b->rejected) / s;
		r->dropped_rate = (r->dropped - b->dropped) / s;
		wait.sum = 0;
		for (k = 0; k < BATON_HIST_STEPS; k++)
			wait.n[k] = r->wait.n[k] - b->wait.n[k];
		r->p50 = baton_hist_quantile(&wait, 0.5);
		r->p99 = baton_hist_quantile(&wait, 0.99);
	}
	if (now->rows)
		qsort(now->row, now->rows, sizeof(*now->row), by_order);
}

/* In six columns. */
static const char *duration(uint64_t ns)
{
	static char text[4][16];
	static unsigned n;
	char *t = text[n++ % 4];

	if (!ns)
		return "-";
	if (ns == UINT64_MAX)
		return ">17s";
	if (ns < 10000)
		snprintf(t, 16, "%.1fus", ns / 1e3);
	else if (ns < 1000000)
		snprintf(t, 16, "%.0fus", ns / 1e3);
	else if (ns < 10000000)
		snprintf(t, 16, "%.1fms", ns / 1e6);
	else if (ns < 1000000000)
		snprintf(t, 16, "%.0fms", ns / 1e6);
	else
		snprintf(t, 16, "%.1fs", ns / 1e9);
	return t;
}

static SCREEN *screen;

bool top_screen_begin(double delay)
{
	const char *term = getenv("TERM");

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		fprintf(stderr, "baton top: this is no terminal it can use (TERM=%s): try baton stats\n",
			term ? term : "");
		return false;
	}
	cbreak();
	noecho();
	curs_set(0);
	timeout((int)(delay * 1000));
	return true;
}

void top_screen_end(void)
{
	endwin();
	delscreen(screen);
}

void top_print_name(const char *name, int columns)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n;

	for (; *name; name += n) {
		n = mbrtowc(&c, name, strlen(name), &state);
		if (n == (size_t)-1 || n == (size_t)-2 || wcwidth(c) < 1) {
			if (n == (size_t)-1 || n == (size_t)-2)
				n = 1;
			memset(&state, 0, sizeof(state));
			c = L'?';
		}
		if (wcwidth(c) > columns)
			break;
		addnwstr(&c, 1);
		columns -= wcwidth(c);
	}
	printw("%*s", columns, "");
}

static void draw_slots(const struct look *now, const struct look *before, int line)
{
	double s = (now->at - before->at) / SECOND, busy = 0, switches = 0, steals = 0;
	uint64_t forced_preemptions = 0, gap = 0;
	unsigned i;

	for (i = 0; i < now->slots && i < before->slots; i++) {
		const struct baton_stats_slot *a = &now->slot[i], *b = &before->slot[i];
		double idle = (int64_t)(a->idle - b->idle) / SECOND / s;

		busy += idle > 1 ? 0 : idle < 0 ? 1 : 1 - idle;
		switches += (a->switches - b->switches) / s;
		steals += (a->steals - b->steals) / s;
		forced_preemptions += a->forced_preemptions;
		if (a->gap_worst > gap)
			gap = a->gap_worst;
	}
	mvprintw(line, 0, "slots %u: busy %.2f, %.0f switches/s, %.0f steals/s, %llu forced preemptions, worst gap %s",
		 now->slots, busy, switches, steals, (unsigned long long)forced_preemptions, duration(gap));
}

/* Where it blocks: NULL while nobody asked, or it cannot be known. */
static struct stacks *stacks;
static bool show_stacks;
static char *no_stacks;		/* the reason, if so */

/* The first time somebody asks, the programs are loaded; they stay until the end. */
static void want_stacks(pid_t pid)
{
	FILE *said;
	size_t size;

	show_stacks = !show_stacks;
	if (!show_stacks || stacks)
		return;
	free(no_stacks);
	no_stacks = NULL;
	/* Errors do not go to stderr, which is the terminal in use. */
	said = open_memstream(&no_stacks, &size);
	if (!said)
		return;
	stacks_open(&stacks, DETECT_PINS, pid, said);
	fclose(said);
}

static void draw_stacks(int line, int lines, int columns)
{
	static struct stack stack[200];
	int i, n = stacks ? stacks_read(stacks, stack, sizeof(stack) / sizeof(stack[0])) : 0;
	unsigned k;

	attron(A_REVERSE);
	mvprintw(line++, 0, "%-*.*s", columns - 1, columns - 1, "  ASLEEP  TIMES IN THE KERNEL            BLOCKED UNANNOUNCED WITH A SLOT, CALLED FROM");
	attroff(A_REVERSE);
	if (!stacks)
		mvaddnstr(line, 0, no_stacks && *no_stacks ? no_stacks : "cannot be seen: no memory", columns * (lines - line - 1));
	else if (!n)
		mvprintw(line, 0, "nowhere, since b was pressed");
	for (i = 0; i < n && line < lines - 1; i++, line++) {
		mvprintw(line, 0, "%8s %6llu %-24.24s", duration(stack[i].ns), (unsigned long long)stack[i].times, stack[i].kernel);
		for (k = 0; k < stack[i].frames && getcurx(stdscr) < columns - 4 && getcury(stdscr) == line; k++) {
			const char *f = stack[i].frame[k];
			int name = (int)strcspn(f, " "), room;

			addstr(k ? " < " : " ");
			room = columns - getcurx(stdscr);
			addnstr(f, name < room ? name : room);
		}
	}
}

/* Tasks that wait for streams, and the CPU of workers that polled for them, at the end of the first line. */
static void draw_streams(const struct look *now, const struct look *before, uint64_t waiting)
{
	double s = (now->at - before->at) / SECOND, polling = 0;
	unsigned i;

	for (i = 0; i < now->slots && i < before->slots; i++)
		polling += (double)(now->slot[i].polled - before->slot[i].polled) / SECOND / s;
	printw(", %llu wait for streams, polling %.2f", (unsigned long long)waiting, polling);
}

static void draw_tenants(const struct look *now, int name, int lines, bool streams)
{
	int line = 4;
	unsigned i;

	attron(A_REVERSE);
	mvprintw(3, 0, "%-*s %6s %6s %6s %7s %7s %6s %6s %6s %6s", name, "TENANT", "CPU", "LOW", "LEFT", "ADMIT/s",
		 "REJ/s", "DROP/s", "THRTL", "P50", "P99");
	if (streams)
		printw(" %5s", "STRM");
	attroff(A_REVERSE);
	for (i = 0; i < now->rows && line < lines - 1; i++, line++) {
		const struct row *r = &now->row[i];

		move(line, 0);
		top_print_name(r->name, name);
		printw("%c%5.1f%% %5.1f%% %5.1f%% %7.0f %7.0f %6.0f %5.0f%% %6s %6s", r->leaving ? '-' : ' ',
		       100 * r->cpu_rate * SECOND / now->h.capacity, 100.0 * r->low / now->h.capacity,
		       100.0 * r->low_left / now->h.capacity, r->admitted_rate, r->rejected_rate, r->dropped_rate,
		       100 * r->throttled_rate, duration(r->p50), duration(r->p99));
		if (streams)
			printw(" %5llu", (unsigned long long)r->on_streams);
	}
}

static void draw(const struct baton_stats *st, const struct look *now, const struct look *before)
{
	/* Streams are shown from when there was one on. */
	static bool streams;
	bool alive = baton_stats_alive(st);
	int lines, columns, name, beside;
	uint64_t waiting = 0;
	unsigned i;

	for (i = 0; i < now->rows; i++)
		waiting += now->row[i].on_streams;
	streams |= waiting;
	for (i = 0; i < now->slots; i++)
		streams |= now->slot[i].polled;
	getmaxyx(stdscr, lines, columns);
	/* Columns beside the name take so many. */
	beside = streams ? 72 : 66;
	name = columns - beside > 8 ? columns - beside : 8;
	if (name > BATON_STATS_NAME)
		name = BATON_STATS_NAME;
	erase();
	mvprintw(0, 0, "baton top - %.40s (%llu)%s, sorted by %s", now->h.name, (unsigned long long)now->h.pid,
		 alive ? "" : " DIED", order->name);
	if (streams)
		draw_streams(now, before, waiting);
	draw_slots(now, before, 1);
	mvprintw(2, 0, "capacity %.2f CPUs", now->h.capacity / SECOND);
	/* The part that the machine gives, where it is less and known. */
	if (alive && now->h.supply < 1000000 && now->h.supply_at && baton_clock_now() < now->h.supply_at + BATON_STATS_SUPPLY_OLD)
		printw(" (%.0f%% given)", (double)now->h.supply / 1e4);
	printw(", low-latency sold %.1f%% of %.1f%%, %u tenants",
		 now->h.capacity ? 100.0 * now->h.low_sold / now->h.capacity : 0,
		 now->h.capacity ? 100.0 * now->h.low_limit / now->h.capacity : 0, now->rows);
	if (now->h.tenants_unlisted)
		printw(" and %llu not listed", (unsigned long long)now->h.tenants_unlisted);
	if (show_stacks)
		draw_stacks(3, lines, columns);
	else
		draw_tenants(now, name, lines, streams);
	attron(A_REVERSE);
	mvprintw(lines - 1, 0, "%-*.*s", columns - 1, columns - 1,
		 "q quit  b blocking  sort: c CPU r rejected t throttled a admitted w wait n name");
	attroff(A_REVERSE);
	refresh();
}

static int top_service(const char *name, double delay)
{
	struct look look[2] = { 0 };
	struct baton_stats *st;
	char why[1000];
	unsigned turn = 0, k;
	int err, key = 0, rc = 0;

	err = baton_stats_open(&st, name, why, sizeof(why));
	if (err) {
		fprintf(stderr, "baton top: %s\n", *why ? why : strerror(-err));
		return 1;
	}
	if (!top_screen_begin(delay)) {
		baton_stats_close(st);
		return 1;
	}
	/* The first look is compared with one soon before it. */
	rc = !look_at(st, &look[1]);
	napms(100);
	while (!rc && key != 'q' && key != 'Q') {
		struct look *now = &look[turn], *before = &look[!turn];

		if (!look_at(st, now)) {
			rc = 1;
			break;
		}
		if (before->rows)
			qsort(before->row, before->rows, sizeof(*before->row), by_id);
		compare(now, before);
		draw(st, now, before);
		key = getch();
		for (k = 0; k < sizeof(orders) / sizeof(orders[0]); k++)
			if (key == orders[k].key)
				order = &orders[k];
		if (key == 'b' || key == 'B')
			want_stacks((pid_t)now->h.pid);
		/* A key shows at once; what it is compared with stays. */
		if (key == ERR)
			turn = !turn;
	}
	top_screen_end();
	if (rc)
		fprintf(stderr, "baton top: no memory\n");
	for (k = 0; k < 2; k++) {
		free(look[k].row);
		free(look[k].slot);
	}
	stacks_close(stacks);
	free(no_stacks);
	baton_stats_close(st);
	return rc;
}

#else

static int top_service(const char *name, double delay)
{
	fprintf(stderr, "baton top: built without ncurses (Debian: apt-get install libncurses-dev, then rebuild); "
		"baton stats shows the same figures\n");
	return 1;
}

#endif

static const char usage[] =
	"usage: baton top [-d|--delay SECONDS] [SERVICE]\n"
	"       baton top --fleet [-d|--delay SECONDS | --json]\n"
	"\n"
	"SERVICE: as it published itself, or the path of its file; without it, the only\n"
	"one there is. Keys: q quits; c r t a w n sort by CPU, rejected, throttled,\n"
	"admitted, waiting or name; b shows where its workers block with a slot that\n"
	"nobody announced, and back (needs `baton load`, CAP_BPF, CAP_PERFMON).\n"
	"Percentages are of the capacity.\n"
	"\n"
	"--fleet: all nodes and tenants of a fleet, from its etcd; --json: once, as an\n"
	"object. Keys: q quits; n b h w sort by name, bought, held or wanted.\n"
	"\n"
#ifdef HAVE_FLEET
	STORE_USAGE
#endif
	;

int verb_top(int argc, char **argv)
{
	static const struct option rows[] = {
		{ "delay", required_argument, 0, 'd' },
		{ "fleet", no_argument, 0, 'f' },
		{ "json", no_argument, 0, 'j' },
#ifdef HAVE_FLEET
		STORE_ROWS,
#endif
		OPTIONS_COMMON
	};
	struct options o = { .verb = argv[0], .usage = usage };
	bool fleet = false, json = false, asks = false;
	const char *name = NULL;
	double delay = 1;
	char *end;
	int c;
#ifdef HAVE_FLEET
	struct fleet_store store;

	store_defaults(&store);
#endif
	while ((c = options_next(&o, argc, argv, "d:", rows)) != OPTIONS_END)
		switch (c) {
		case OPTIONS_EXIT:
			return o.status;
		case 'd':
			delay = strtod(optarg, &end);
			if (!(delay >= 0.1 && delay <= 3600) || *end)
				return options_wrong(&o, "--delay wants seconds from 0.1 to 3600, not \"%s\"", optarg);
			break;
		case 'f':
			fleet = true;
			break;
		case 'j':
			json = true;
			break;
		default:
			asks = true;
#ifdef HAVE_FLEET
			store_option(&store, c);
#endif
		}
	if (options_service(&o, argc, argv, &name))
		return 2;
	if (!fleet && json)
		return options_wrong(&o, "--json wants --fleet; baton stats --json says what a service published");
	if (!fleet && asks)
		return options_wrong(&o, "a store is asked with --fleet alone");
	if (fleet && name)
		return options_wrong(&o, "--fleet or SERVICE, not both");
	if (!fleet)
		return top_service(name, delay);
#ifdef HAVE_FLEET
	return store_check(&o, &store) ? 2 : top_fleet(&store, delay, json);
#else
	fprintf(stderr, "baton top: built without libcurl and jansson (Debian: apt-get install libcurl4-openssl-dev libjansson-dev, then rebuild)\n");
	return 1;
#endif
}

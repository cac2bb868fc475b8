// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton trace - what happened on each slot of a service, as a trace that Perfetto
 * opens: JSON, one event a line, time in us. A track for each slot with a slice for
 * each time that a task had it; arrows from one slice of a task to its next, and from
 * the slice in which a task made another one ready to that one's next; and a track
 * with what happened to requests.
 *
 * Each slot's ring is in order; all of them together are put in order here. An event
 * bears the time at which the scheduler's lock was taken, and may be written a little
 * later: so what is younger than HOLD_NS is kept for the next time.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <baton/trace.h>

#include "baton.h"
#include "options.h"

#define BATCH		4096
#define TASKS		65536	/* places for tasks whose last slice is remembered, by hash */
#define NAMES		1024
#define HOLD_NS		20000000
/* Instead of a type, and no page can have it: events of this ring were lost; done with. */
#define LOST		254
#define DONE		255
/* Events of one time that are looked at for one of them, so that a page full of one time takes no hours. */
#define SAME_MAX	4096

/* Where an arrow begins, in a slice that is in the trace or will be. */
struct wake {
	uint64_t task, request;		/* the woken task's; 0: none */
	uint64_t time;
	unsigned slot;
};

struct run {
	struct baton_trace_event e;
	struct wake by;
	uint64_t ended;			/* when the slice before ended */
	bool on;
};

struct item {
	struct baton_trace_event e;
	uint64_t seq;
	unsigned ring;
};

struct tracer {
	struct baton_stats *st;
	FILE *to;
	struct baton_stats_header h;
	uint64_t *next;
	struct run *run;		/* by slot */
	struct baton_trace_event buf[BATCH];
	struct item *item;
	size_t items, room;
	struct wake wakes[TASKS];
	struct {
		uint64_t task, request, time;
		unsigned slot;
	} last[TASKS];
	struct {
		uint64_t id;
		char name[2 * BATON_STATS_NAME];
	} names[NAMES];
	struct baton_stats_tenant t;
	uint64_t lost, slices, flows, drains, seq;
	bool first;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

static unsigned type_of(const struct baton_trace_event *e)
{
	return e->what & 0xff;
}

static unsigned detail_of(const struct baton_trace_event *e)
{
	return e->what >> 8 & 0xff;
}

static void begin(struct tracer *t)
{
	fputs(t->first ? "\n{" : ",\n{", t->to);
	t->first = false;
}

static void print_time(struct tracer *t, const char *what, uint64_t ns)
{
	fprintf(t->to, "\"%s\":%" PRIu64 ".%03" PRIu64, what, ns / 1000, ns % 1000);
}

/* All tenants that there are, by id; as JSON can hold them. */
static void learn_names(struct tracer *t)
{
	unsigned i;
	int err;

	for (i = 0; (err = baton_stats_tenant(t->st, i, &t->t, sizeof(t->t))) != -ENOENT; i++) {
		char *to = t->names[t->t.id % NAMES].name;
		const char *c;

		if (err)
			continue;
		t->names[t->t.id % NAMES].id = t->t.id;
		for (c = t->t.name; *c; c++) {
			if (*c == '"' || *c == '\\')
				*to++ = '\\';
			*to++ = (unsigned char)*c < 0x20 ? '?' : *c;
		}
		*to = 0;
	}
}

static void print_tenant(struct tracer *t, const struct baton_trace_event *e)
{
	uint64_t id = e->what >> 32;

	if (t->names[id % NAMES].id == id)
		fprintf(t->to, "\"name\":\"%s\"", t->names[id % NAMES].name);
	else
		fprintf(t->to, "\"name\":\"tenant%" PRIu64 "\"", id);
}

/* An arrow's end: within the slice that the task had then. */
static void flow(struct tracer *t, char phase, const char *name, unsigned slot, uint64_t time, uint64_t id)
{
	begin(t);
	fprintf(t->to, "\"ph\":\"%c\",%s\"cat\":\"%s\",\"name\":\"%s\",\"id\":%" PRIu64 ",\"pid\":%" PRIu64
		",\"tid\":%u,", phase, phase == 'f' ? "\"bp\":\"e\"," : "", name, name, id, t->h.pid, slot + 1);
	print_time(t, "ts", time);
	putc('}', t->to);
}

static unsigned hash_of(uint64_t task)
{
	return (unsigned)(task >> 4) * 2654435761u % TASKS;
}

static void slice(struct tracer *t, unsigned slot, const struct baton_trace_event *from,
		  const struct baton_trace_event *end)
{
	static const char *const why[] = { "has to wait", "blocks", "ended", "it went on when the trace ended" };
	const struct wake *by = &t->run[slot].by;
	unsigned hash = hash_of(from->task);

	begin(t);
	fprintf(t->to, "\"ph\":\"X\",\"pid\":%" PRIu64 ",\"tid\":%u,", t->h.pid, slot + 1);
	print_time(t, "ts", from->time);
	putc(',', t->to);
	print_time(t, "dur", end->time - from->time);
	putc(',', t->to);
	print_tenant(t, from);
	fprintf(t->to, ",\"args\":{\"request\":%" PRIu64 ",\"task\":\"%" PRIx64 "\",\"tier\":%u,\"stop\":\"%s\"}}",
		from->request, from->task, (unsigned)(from->what >> 16 & 0xff),
		detail_of(end) < 4 ? why[detail_of(end)] : "?");
	t->slices++;
	if (t->last[hash].task == from->task && t->last[hash].request == from->request &&
	    t->last[hash].time <= from->time) {
		t->flows++;
		flow(t, 's', "task", t->last[hash].slot, t->last[hash].time, t->flows);
		flow(t, 'f', "task", slot, from->time, t->flows);
	}
	if (by->task) {
		t->flows++;
		flow(t, 's', "wakes", by->slot, by->time, t->flows);
		flow(t, 'f', "wakes", slot, from->time, t->flows);
	}
	t->last[hash].task = detail_of(end) == 2 ? 0 : from->task;
	t->last[hash].request = from->request;
	/* Within that slice, so that the arrow begins there. */
	t->last[hash].time = end->time > from->time ? end->time - 1 : end->time;
	t->last[hash].slot = slot;
}

static void instant(struct tracer *t, const struct baton_trace_event *e)
{
	static const char *const what[BATON_TRACE_OVERDUE + 1] = {
		[BATON_TRACE_ADMITTED] = "admitted", [BATON_TRACE_REJECTED] = "rejected",
		[BATON_TRACE_DROPPED] = "dropped", [BATON_TRACE_OVERDUE] = "overdue",
	};
	unsigned type = type_of(e);

	if (type > BATON_TRACE_OVERDUE || !what[type])
		return;
	begin(t);
	fprintf(t->to, "\"ph\":\"i\",\"s\":\"t\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",", t->h.pid, t->h.slots + 1);
	print_time(t, "ts", e->time);
	putc(',', t->to);
	print_tenant(t, e);
	fprintf(t->to, ",\"args\":{\"what\":\"%s\",\"request\":%" PRIu64 ",\"class\":%u}}",
		what[type], e->request, detail_of(e));
}

/* Nothing that began on this slot before the gap ends after it. */
static void forget(struct tracer *t, unsigned slot)
{
	unsigned i;

	t->run[slot].on = false;
	for (i = 0; i < t->h.slots; i++)
		if (t->run[i].by.slot == slot)
			t->run[i].by.task = 0;
	for (i = 0; i < TASKS; i++)
		if (t->wakes[i].slot == slot)
			t->wakes[i].task = 0;
}

static void on_slot(struct tracer *t, unsigned slot, const struct baton_trace_event *e)
{
	struct run *run = &t->run[slot];
	struct wake *w = &t->wakes[hash_of(e->task)];

	switch (type_of(e)) {
	case LOST:
		forget(t, slot);
		break;
	case BATON_TRACE_RUN:
		run->e = *e;
		run->on = true;
		run->by = *w;
		if (w->task != e->task || w->request != e->request || w->time > e->time)
			run->by.task = 0;
		else
			w->task = 0;
		break;
	case BATON_TRACE_STOP:
		if (run->on && run->e.task == e->task && run->e.time <= e->time) {
			slice(t, slot, &run->e, e);
			run->ended = e->time;
		}
		run->on = false;
		break;
	case BATON_TRACE_WAKES:
		/* By the task that runs there, or by one that ended just then. */
		if (!(run->on ? run->e.time <= e->time : run->ended == e->time && e->time))
			break;
		*w = (struct wake){ e->task, e->request, e->time, slot };
		if (w->time > run->e.time)
			w->time--;	/* within the slice, which may end with it */
		break;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->e.time != y->e.time)
		return x->e.time < y->e.time ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

static void keep(struct tracer *t, unsigned ring, const struct baton_trace_event *e)
{
	struct item *more;

	if (t->items == t->room) {
		more = realloc(t->item, (2 * t->room + BATCH) * sizeof(*more));
		if (!more) {
			t->lost++;
			return;
		}
		t->item = more;
		t->room = 2 * t->room + BATCH;
	}
	t->item[t->items++] = (struct item){ *e, t->seq++, ring };
}

/* Events up to a time, in order. */
static void put(struct tracer *t, uint64_t upto)
{
	struct item *i, *end, *same;

	if (!t->items)
		return;
	i = t->item;
	end = t->item + t->items;
	qsort(t->item, t->items, sizeof(*t->item), by_time);
	for (; i < end && i->e.time <= upto; i++) {
		/* A task that was woken in another slot at the same time was woken first. */
		if (i->ring < t->h.slots && type_of(&i->e) == BATON_TRACE_RUN)
			for (same = i + 1; same < end && same - i < SAME_MAX && same->e.time == i->e.time; same++)
				if (same->ring < t->h.slots && type_of(&same->e) == BATON_TRACE_WAKES &&
				    same->e.task == i->e.task) {
					on_slot(t, same->ring, &same->e);
					same->e.what |= DONE;
				}
		if (i->ring < t->h.slots)
			on_slot(t, i->ring, &i->e);
		else
			instant(t, &i->e);
	}
	t->items = end - i;
	memmove(t->item, i, t->items * sizeof(*i));
}

static void drain(struct tracer *t, bool all)
{
	uint64_t now = baton_clock_now();
	unsigned ring, i, n;

	/* Tenants come and go less often than tasks. */
	if (t->drains++ % 32 == 0)
		learn_names(t);
	for (ring = 0; ring <= t->h.slots; ring++)
		do {
			uint64_t lost = t->lost;

			n = baton_trace_read(t->st, ring, &t->next[ring], t->buf, BATCH, &t->lost);
			if (lost != t->lost && ring < t->h.slots)
				keep(t, ring, &(struct baton_trace_event){ .time = n ? t->buf[0].time : now, .what = LOST });
			for (i = 0; i < n; i++)
				if (type_of(&t->buf[i]) < LOST)
					keep(t, ring, &t->buf[i]);
		} while (n == BATCH);
	put(t, all ? UINT64_MAX : now - HOLD_NS);
	for (i = 0; all && i < t->h.slots; i++)
		if (t->run[i].on && now > t->run[i].e.time)
			slice(t, i, &t->run[i].e, &(struct baton_trace_event){ .time = now, .what = 3 << 8 });
}

static void name_tracks(struct tracer *t)
{
	unsigned i;

	for (i = 0; i <= t->h.slots; i++) {
		begin(t);
		fprintf(t->to, "\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%" PRIu64 ",\"tid\":%u,\"args\":{\"name\":",
			t->h.pid, i + 1);
		if (i < t->h.slots)
			fprintf(t->to, "\"slot %u\"}}", i);
		else
			fputs("\"requests\"}}", t->to);
	}
}

static const char usage[] =
	"usage: baton trace [-s|--seconds N] [-o|--output FILE] [SERVICE]\n"
	"\n"
	"Writes what happens on each slot, for N seconds (5), as a trace that\n"
	"ui.perfetto.dev opens, into FILE (baton-trace.json; - is standard output).\n";

static int record(struct tracer *t, double seconds)
{
	uint64_t end = baton_clock_now() + (uint64_t)(seconds * 1e9);
	const struct timespec pause = { 0, 4000000 };
	struct sigaction act = { .sa_handler = stop };
	unsigned i;
	int err;

	baton_stats_header(t->st, &t->h, sizeof(t->h));
	t->next = malloc((t->h.slots + 1) * sizeof(*t->next));
	t->run = calloc(t->h.slots, sizeof(*t->run));
	if (!t->next || !t->run)
		return -ENOMEM;
	for (i = 0; i <= t->h.slots; i++) {
		t->next[i] = UINT64_MAX;
		baton_trace_read(t->st, i, &t->next[i], t->buf, 0, &t->lost);
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	err = baton_trace_start(t->st, end);
	if (err)
		return err;
	t->first = true;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", t->to);
	name_tracks(t);
	while (!stopped && baton_clock_now() < end && baton_stats_alive(t->st) && !ferror(t->to)) {
		nanosleep(&pause, NULL);
		drain(t, false);
	}
	baton_trace_start(t->st, 0);
	drain(t, true);
	fputs("\n]}\n", t->to);
	return fflush(t->to) || ferror(t->to) ? -EIO : 0;
}

int verb_trace(int argc, char **argv)
{
	const char *name = NULL, *file = "baton-trace.json";
	double seconds = 5;
	struct tracer *t;
	char why[1000], *end;
	static const struct option rows[] = {
		{ "seconds", required_argument, 0, 's' },
		{ "output", required_argument, 0, 'o' },
		OPTIONS_COMMON
	};
	struct options o = { .verb = argv[0], .usage = usage };
	int c, err;

	while ((c = options_next(&o, argc, argv, "s:o:", rows)) != OPTIONS_END) {
		if (c == OPTIONS_EXIT)
			return o.status;
		if (c == 'o') {
			file = optarg;
			continue;
		}
		seconds = strtod(optarg, &end);
		if (!(seconds >= 0.1 && seconds <= 599) || *end)
			return options_wrong(&o, "--seconds wants a number from 0.1 to 599, not \"%s\"", optarg);
	}
	if (options_service(&o, argc, argv, &name))
		return 2;
	t = calloc(1, sizeof(*t));
	if (!t)
		return 1;
	err = baton_stats_open(&t->st, name, why, sizeof(why));
	if (err) {
		fprintf(stderr, "baton trace: %s\n", *why ? why : strerror(-err));
		free(t);
		return 1;
	}
	t->to = strcmp(file, "-") ? fopen(file, "w") : stdout;
	if (!t->to)
		fprintf(stderr, "baton trace: cannot write %s: %s\n", file, strerror(errno));
	err = t->to ? record(t, seconds) : 1;
	if (t->to && t->to != stdout && fclose(t->to) && !err)
		err = -EIO;
	if (err == -ESRCH)
		fprintf(stderr, "baton trace: %s (process %" PRIu64 ") does not run any more\n", options_printable(t->h.name), t->h.pid);
	else if (err == -EACCES)
		fprintf(stderr, "baton trace: tracing wants the right to write the service's file\n");
	else if (err < 0)
		fprintf(stderr, "baton trace: %s: %s\n", file, strerror(-err));
	else if (!err)
		fprintf(stderr, "%" PRIu64 " slices, %" PRIu64 " arrows, %" PRIu64 " events lost%s%s\n", t->slices, t->flows,
			t->lost, t->to == stdout ? "" : "; open it in ui.perfetto.dev: ", t->to == stdout ? "" : file);
	baton_stats_close(t->st);
	free(t->next);
	free(t->run);
	free(t->item);
	free(t);
	return err ? 1 : 0;
}

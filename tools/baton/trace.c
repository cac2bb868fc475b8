// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton trace - what happened on each slot of a service, as a trace that Perfetto
 * opens: JSON, one event a line, time in us. A track for each slot with a slice for
 * each time that a task had it, arrows from one slice of a task to its next, and a
 * track with what happened to requests.
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

#define BATCH		4096
#define TASKS		65536	/* whose last slice is remembered, by hash */
#define NAMES		1024

struct run {
	struct baton_trace_event e;
	bool on;
};

struct tracer {
	struct baton_stats *st;
	FILE *to;
	struct baton_stats_header h;
	uint64_t *next;
	struct run *run;		/* by slot */
	struct baton_trace_event buf[BATCH];
	struct {
		uint64_t task, request, time;
		unsigned slot;
	} last[TASKS];
	struct {
		uint64_t id;
		char name[2 * BATON_STATS_NAME];
	} names[NAMES];
	struct baton_stats_tenant t;
	uint64_t lost, slices, flows, drains;
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
static void flow(struct tracer *t, char phase, unsigned slot, uint64_t time, uint64_t id)
{
	begin(t);
	fprintf(t->to, "\"ph\":\"%c\",%s\"cat\":\"task\",\"name\":\"task\",\"id\":%" PRIu64 ",\"pid\":%" PRIu64
		",\"tid\":%u,", phase, phase == 'f' ? "\"bp\":\"e\"," : "", id, t->h.pid, slot + 1);
	print_time(t, "ts", time);
	putc('}', t->to);
}

static void slice(struct tracer *t, unsigned slot, const struct baton_trace_event *from,
		  const struct baton_trace_event *end)
{
	static const char *const why[] = { "has to wait", "blocks", "ended" };
	unsigned hash = (unsigned)(from->task >> 4) * 2654435761u % TASKS;

	begin(t);
	fprintf(t->to, "\"ph\":\"X\",\"pid\":%" PRIu64 ",\"tid\":%u,", t->h.pid, slot + 1);
	print_time(t, "ts", from->time);
	putc(',', t->to);
	print_time(t, "dur", end->time - from->time);
	putc(',', t->to);
	print_tenant(t, from);
	fprintf(t->to, ",\"args\":{\"request\":%" PRIu64 ",\"task\":\"%" PRIx64 "\",\"tier\":%u,\"stop\":\"%s\"}}",
		from->request, from->task, (unsigned)(from->what >> 16 & 0xff),
		detail_of(end) < 3 ? why[detail_of(end)] : "?");
	t->slices++;
	if (t->last[hash].task == from->task && t->last[hash].request == from->request &&
	    t->last[hash].time <= from->time) {
		t->flows++;
		flow(t, 's', t->last[hash].slot, t->last[hash].time, t->flows);
		flow(t, 'f', slot, from->time, t->flows);
	}
	t->last[hash].task = detail_of(end) == 2 ? 0 : from->task;
	t->last[hash].request = from->request;
	/* Within that slice, so that the arrow begins there. */
	t->last[hash].time = end->time > from->time ? end->time - 1 : end->time;
	t->last[hash].slot = slot;
}

static void instant(struct tracer *t, const struct baton_trace_event *e)
{
	static const char *const what[] = { "admitted", "rejected", "dropped" };
	unsigned type = type_of(e);

	if (type < BATON_TRACE_ADMITTED || type > BATON_TRACE_DROPPED)
		return;
	begin(t);
	fprintf(t->to, "\"ph\":\"i\",\"s\":\"t\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",", t->h.pid, t->h.slots + 1);
	print_time(t, "ts", e->time);
	putc(',', t->to);
	print_tenant(t, e);
	fprintf(t->to, ",\"args\":{\"what\":\"%s\",\"request\":%" PRIu64 ",\"class\":%u}}",
		what[type - BATON_TRACE_ADMITTED], e->request, detail_of(e));
}

static void on_slot(struct tracer *t, unsigned slot, const struct baton_trace_event *e)
{
	struct run *run = &t->run[slot];

	if (type_of(e) == BATON_TRACE_RUN) {
		run->e = *e;
		run->on = true;
	} else if (type_of(e) == BATON_TRACE_STOP) {
		if (run->on && run->e.task == e->task && run->e.time <= e->time)
			slice(t, slot, &run->e, e);
		run->on = false;
	}
}

static void drain(struct tracer *t)
{
	unsigned ring, i, n;

	/* Tenants come and go less often than tasks. */
	if (t->drains++ % 32 == 0)
		learn_names(t);
	for (ring = 0; ring <= t->h.slots; ring++)
		do {
			uint64_t lost = t->lost;

			n = baton_trace_read(t->st, ring, &t->next[ring], t->buf, BATCH, &t->lost);
			/* What began before the gap did not end after it. */
			if (lost != t->lost && ring < t->h.slots)
				t->run[ring].on = false;
			for (i = 0; i < n; i++)
				if (ring < t->h.slots)
					on_slot(t, ring, &t->buf[i]);
				else
					instant(t, &t->buf[i]);
		} while (n == BATCH);
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
	"usage: baton trace [--seconds N] [-o FILE] [SERVICE]\n"
	"\n"
	"Writes what happens on each slot, for N seconds (5), as a trace that\n"
	"ui.perfetto.dev opens, into FILE (baton-trace.json; - is standard output).\n";

static int wrong(const char *what, const char *arg)
{
	fprintf(stderr, "baton trace: %s \"%s\"\n%s", what, arg, usage);
	return 2;
}

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
		drain(t);
	}
	baton_trace_start(t->st, 0);
	drain(t);
	fputs("\n]}\n", t->to);
	return fflush(t->to) || ferror(t->to) ? -EIO : 0;
}

int verb_trace(int argc, char **argv)
{
	const char *name = NULL, *file = "baton-trace.json";
	double seconds = 5;
	struct tracer *t;
	char why[1000], *end;
	int i, err;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		}
		if (!strcmp(argv[i], "--seconds")) {
			seconds = ++i < argc ? strtod(argv[i], &end) : 0;
			if (!(seconds >= 0.1 && seconds <= 599) || *end)
				return wrong("--seconds wants a number from 0.1 to 599, not", i < argc ? argv[i] : "");
		} else if (!strcmp(argv[i], "-o")) {
			if (++i == argc)
				return wrong("no file after", "-o");
			file = argv[i];
		} else if (argv[i][0] == '-' || name) {
			return wrong(name ? "one service, not also" : "no option", argv[i]);
		} else {
			name = argv[i];
		}
	}
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
		fprintf(stderr, "baton trace: %s (process %" PRIu64 ") does not run any more\n", t->h.name, t->h.pid);
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
	free(t);
	return err ? 1 : 0;
}

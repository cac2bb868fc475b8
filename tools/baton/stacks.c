// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton stacks - where workers block with their slot, unannounced. The programs
 * are bpf/stacks.bpf.c; they are attached while this runs and no longer.
 */
#include "config.h"
#include "baton.h"
#include "detect_load.h"
#include "options.h"
#include "stacks.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef HAVE_BPF

int stacks_open(struct stacks **out, const char *pins, pid_t pid, FILE *say)
{
	return detect_look_around("`baton stacks`", say);
}

void stacks_close(struct stacks *s)
{
}

pid_t stacks_pid(const struct stacks *s)
{
	return 0;
}

int stacks_read(struct stacks *s, struct stack *stack, unsigned max)
{
	return -ENOSYS;
}

uint64_t stacks_unlisted(const struct stacks *s)
{
	return 0;
}

#else

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../bpf/stacks.h"
#include "symbols.h"

/* The generated file is as libbpf makes it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include "bpf/stacks.skel.h"
#pragma GCC diagnostic pop

_Static_assert(STACKS_FRAMES == BATON_STACK_FRAMES, "as many frames as the programs keep");

struct seen {
	struct baton_place place;
	struct baton_asleep sum;
};

struct stacks {
	struct stacks_bpf *skel;
	struct symbols *symbols;
	pid_t pid;
	struct seen *seen;
	/* By the number of a user stack, as long as they are. */
	char **names[BATON_STACKS];
};

/* The session of that process; -1, having said which there are. */
static int session_of(const struct detect *d, pid_t pid, FILE *say)
{
	int i, n = 0, found = -1;

	for (i = 0; i < BATON_SESSIONS; i++) {
		if (!d->session[i].token)
			continue;
		n++;
		if (!pid || (pid_t)d->session[i].pid == pid)
			found = i;
	}
	if (found >= 0 && (pid || n == 1))
		return found;
	if (!n)
		fprintf(say, "baton: no service is connected to the programs of `baton load`\n");
	else if (pid)
		fprintf(say, "baton: process %d is not connected to the programs of `baton load`; these are:", (int)pid);
	else
		fprintf(say, "baton: more than one service is connected; which of these processes?");
	for (i = 0; n && i < BATON_SESSIONS; i++)
		if (d->session[i].token)
			fprintf(say, " %u", d->session[i].pid);
	if (n)
		fprintf(say, "\n");
	return -1;
}

/* The maps of the programs that detect, which these ones read. */
static int share_maps(struct stacks_bpf *skel, const struct detect *d, unsigned session)
{
	int err, workers = detect_workers(d);

	err = bpf_map__reuse_fd(skel->maps.baton_cells, d->cells);
	if (!err)
		err = bpf_map__reuse_fd(skel->maps.baton_doorbells, d->doorbells);
	if (!err)
		err = bpf_map__reuse_fd(skel->maps.baton_sessions, d->sessions);
	/* None with the kernel's hook. */
	if (!err && workers >= 0)
		err = bpf_map__reuse_fd(skel->maps.baton_workers, workers);
	if (workers >= 0)
		close(workers);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.baton_sleeps, d->session[session].cells);
	return err;
}

static int load_programs(struct stacks *s, const struct detect *d, unsigned session, FILE *say)
{
	int err;

	s->skel = stacks_bpf__open();
	if (!s->skel)
		return detect_explain(-errno, "cannot read the programs", say);
	s->skel->rodata->session = session;
	err = share_maps(s->skel, d, session);
	if (!err)
		err = stacks_bpf__load(s->skel);
	if (err)
		return detect_explain(err, "the kernel does not take the programs", say);
	err = stacks_bpf__attach(s->skel);
	return err ? detect_explain(err, "the programs cannot be attached to the scheduler's tracepoints", say) : 0;
}

int stacks_open(struct stacks **out, const char *pins, pid_t pid, FILE *say)
{
	struct stacks *s;
	struct detect d;
	int err, session;

	*out = NULL;
	err = detect_look_around("to see the stacks", say);
	if (err)
		return err;
	err = detect_open(&d, pins, say);
	if (err) {
		if (err == -ENOENT)
			fprintf(say, "baton: no programs are loaded in %s; `baton load` does that\n", pins);
		return err;
	}
	session = session_of(&d, pid, say);
	s = session < 0 ? NULL : calloc(1, sizeof(*s));
	err = session < 0 ? -ESRCH : -ENOMEM;
	if (s) {
		s->pid = d.session[session].pid;
		s->seen = calloc(BATON_STACKS, sizeof(*s->seen));
		s->symbols = symbols_open(s->pid);
		if (s->seen && s->symbols)
			err = load_programs(s, &d, session, say);
		else
			fprintf(say, "baton: no memory\n");
	}
	detect_close(&d);
	if (err) {
		stacks_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void stacks_close(struct stacks *s)
{
	unsigned i, k;

	if (!s)
		return;
	stacks_bpf__destroy(s->skel);
	symbols_close(s->symbols);
	for (i = 0; i < BATON_STACKS; i++) {
		for (k = 0; s->names[i] && k < STACKS_FRAMES; k++)
			free(s->names[i][k]);
		free(s->names[i]);
	}
	free(s->seen);
	free(s);
}

pid_t stacks_pid(const struct stacks *s)
{
	return s->pid;
}

uint64_t stacks_unlisted(const struct stacks *s)
{
	return s->skel->bss->unlisted;
}

static int by_time(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->sum.ns != y->sum.ns)
		return x->sum.ns < y->sum.ns ? 1 : -1;
	return (x->sum.times < y->sum.times) - (x->sum.times > y->sum.times);
}

/* How every stack of a sleeper begins, which says nothing of why it sleeps. */
static bool is_the_scheduler(const char *name)
{
	static const char *const prefix[] = { "bpf_", "__bpf_", "__traceiter_", "schedule", "__schedule", "io_schedule",
					      "preempt_schedule", "do_nanosleep" };
	size_t i;

	for (i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (!strncmp(name, prefix[i], strlen(prefix[i])))
			return true;
	return false;
}

/* The function of the kernel that called the scheduler. */
static const char *kernel_name(struct stacks *s, int id)
{
	uint64_t ip[BATON_STACK_FRAMES] = { 0 };
	const char *name;
	unsigned i;

	if (id < 0 || bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.baton_stacks), &id, ip))
		return "?";
	for (i = 0; i < BATON_STACK_FRAMES && ip[i]; i++) {
		name = symbols_kernel(s->symbols, ip[i]);
		if (name && !is_the_scheduler(name))
			return name;
	}
	return "?";
}

/* No: whoever was followed as a frame pointer is none, and what it led to no stack. */
static bool is_code(uint64_t ip)
{
	return ip >= 0x10000 && !(ip >> 56);
}

/* Looked up once: what is mapped there by then is all that can be known. */
static char **user_names(struct stacks *s, int id)
{
	uint64_t ip[BATON_STACK_FRAMES] = { 0 };
	unsigned i;

	if (id < 0 || id >= BATON_STACKS)
		return NULL;
	if (s->names[id] || bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.baton_stacks), &id, ip))
		return s->names[id];
	s->names[id] = calloc(STACKS_FRAMES, sizeof(*s->names[id]));
	for (i = 0; s->names[id] && i < STACKS_FRAMES && is_code(ip[i]); i++)
		s->names[id][i] = symbols_user(s->symbols, ip[i], i);
	return s->names[id];
}

int stacks_read(struct stacks *s, struct stack *stack, unsigned max)
{
	const int fd = bpf_map__fd(s->skel->maps.baton_places);
	struct baton_place *last = NULL, place;
	unsigned n = 0, i, k;
	char **names;

	while (n < BATON_STACKS && !bpf_map_get_next_key(fd, last, &place)) {
		s->seen[n].place = place;
		last = &s->seen[n].place;
		if (!bpf_map_lookup_elem(fd, &place, &s->seen[n].sum))
			n++;
	}
	if (n)
		qsort(s->seen, n, sizeof(*s->seen), by_time);
	if (n > max)
		n = max;
	for (i = 0; i < n; i++) {
		stack[i] = (struct stack){ .times = s->seen[i].sum.times, .ns = s->seen[i].sum.ns,
					   .kernel = kernel_name(s, s->seen[i].place.kernel) };
		names = user_names(s, s->seen[i].place.user);
		for (k = 0; names && k < STACKS_FRAMES && names[k]; k++)
			stack[i].frame[stack[i].frames++] = names[k];
	}
	return (int)n;
}

#endif

static const char usage[] =
	"usage: baton stacks [-s|--seconds N] [--folded] [--pins DIR] [PID]\n\n"
	"Where the workers of a service block with their slot in a place that nobody\n"
	"announced (baton_blocking_begin), by call stack, those with most time first.\n"
	"PID: the service's process; without it, the only one that is connected.\n"
	"Needs the programs of `baton load`, CAP_BPF and CAP_PERFMON. Nothing is counted,\n"
	"and nothing paid for, while nobody looks.\n\n"
	"  --seconds N  count for so long (5), or until Ctrl-C\n"
	"  --folded     a line for each stack, outermost first, and its microseconds:\n"
	"               what flamegraph.pl reads\n"
	"  --pins DIR   where the programs are pinned (" DETECT_PINS ")\n\n"
	"Stacks are followed by frame pointers: build with -fno-omit-frame-pointer to see\n"
	"more than the innermost functions.\n";

#define SHOWN 1000

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = 1;
}

static void show(const struct stack *stack, int n)
{
	unsigned k;
	int i;

	for (i = 0; i < n; i++) {
		printf("\n%9.3f ms %8llu times   %s\n", stack[i].ns / 1e6, (unsigned long long)stack[i].times, stack[i].kernel);
		for (k = 0; k < stack[i].frames; k++)
			printf("             %s\n", stack[i].frame[k]);
		if (!stack[i].frames)
			printf("             ?\n");
	}
}

/* Without what stands in parentheses: a flame graph wants one name for one function. */
static void show_folded(const struct stack *stack, int n)
{
	unsigned k;
	int i;

	for (i = 0; i < n; i++) {
		for (k = stack[i].frames; k--; )
			printf("%.*s;", (int)strcspn(stack[i].frame[k], " "), stack[i].frame[k]);
		printf("%s_[k] %llu\n", stack[i].kernel, (unsigned long long)(stack[i].ns / 1000));
	}
}

int verb_stacks(int argc, char **argv)
{
	const char *pins = DETECT_PINS;
	struct timespec left = { .tv_sec = 5 };
	struct sigaction act = { .sa_handler = on_signal };
	static struct stack stack[SHOWN];
	unsigned long long times = 0, ns = 0;
	struct stacks *s;
	bool folded = false;
	char *end = NULL;
	pid_t pid = 0;
	static const struct option rows[] = {
		{ "folded", no_argument, 0, 'f' },
		{ "pins", required_argument, 0, 'p' },
		{ "seconds", required_argument, 0, 's' },
		OPTIONS_COMMON
	};
	struct options o = { .verb = argv[0], .usage = usage };
	double seconds;
	int c, i, n;

	while ((c = options_next(&o, argc, argv, "s:", rows)) != OPTIONS_END) {
		switch (c) {
		case OPTIONS_EXIT:
			return o.status;
		case 'f':
			folded = true;
			break;
		case 'p':
			pins = optarg;
			break;
		case 's':
			seconds = strtod(optarg, &end);
			if (*end || !(seconds > 0 && seconds <= 86400))
				return options_wrong(&o, "--seconds wants a number up to 86400, not \"%s\"", optarg);
			left.tv_sec = (time_t)seconds;
			left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
			break;
		}
	}
	for (i = optind; i < argc; i++) {
		pid = argv[i][0] >= '1' && argv[i][0] <= '9' && !pid ? (pid_t)strtol(argv[i], &end, 10) : -1;
		if (pid < 1 || *end)
			return options_wrong(&o, "one process by its number, not \"%s\"", argv[i]);
	}
	if (stacks_open(&s, pins, pid, stderr))
		return 1;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	while (!stop && nanosleep(&left, &left) && errno == EINTR)
		;
	n = stacks_read(s, stack, SHOWN);
	if (folded) {
		show_folded(stack, n);
	} else {
		for (i = 0; i < n; i++) {
			times += stack[i].times;
			ns += stack[i].ns;
		}
		printf("process %d: blocked %llu times with a slot, unannounced, for %.3f ms\n", (int)stacks_pid(s), times, ns / 1e6);
		show(stack, n);
	}
	if (stacks_unlisted(s))
		fprintf(stderr, "baton stacks: %llu times more in places that were not listed: there were too many\n",
			(unsigned long long)stacks_unlisted(s));
	stacks_close(s);
	return 0;
}

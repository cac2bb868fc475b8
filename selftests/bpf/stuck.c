// SPDX-License-Identifier: GPL-2.0-or-later
#include "stuck.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "park.h"
#include "sched/self.h"
#include "sched/tick.h"

#define TASKS_MAX 256

/* A worker's task; a worker keeps its place. */
static struct {
	_Atomic(struct btn_worker *) w;
	const char *_Atomic what;
	_Atomic int n;
	_Atomic unsigned begun;
} place[TASKS_MAX];
static _Atomic unsigned places;
static __thread unsigned mine;

void stuck_begin(const char *what)
{
	if (!mine)
		mine = atomic_fetch_add(&places, 1) + 1;
	if (mine > TASKS_MAX)
		return;
	place[mine - 1].w = btn_self;
	place[mine - 1].begun++;
	stuck_at(what, 0);
}

void stuck_at(const char *what, int n)
{
	if (!mine || mine > TASKS_MAX)
		return;
	place[mine - 1].what = what;
	place[mine - 1].n = n;
}

void stuck_end(void)
{
	if (mine && mine <= TASKS_MAX)
		place[mine - 1].what = NULL;
}

/* The first line of a file of the thread's. */
static void show_file(const char *name, int tid)
{
	char path[64], text[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	text[strcspn(text, "\n")] = 0;
	fprintf(stderr, " %s: %s", name, text);
}

static const char *const states[] = { "ready", "starved", "running", "blocked", "ended" };
static const char *const cells[] = { "runs", "blocked", "taken", "parked" };

static void show_worker(const struct baton_sched *s, const struct btn_worker *w)
{
	const struct baton_task *t = w->task;
	struct btn_cell *c = w->cell;

	fprintf(stderr, "# worker %d slot %d flag %u%s%s%s%s%s%s%s%s%s inside %u list %s cpu %lu word %d", w->tid, w->slot,
		w->flag, w->waits ? " waits" : "", w->parked ? " parked" : "", w->given ? " given" : "",
		w->signal_blocked ? " signal_blocked" : "", w->taken ? " taken" : "", w->parked_ready ? " parked_ready" : "", w->in_futex ? " in_futex" : "",
		w->demoted ? " demoted" : "", w->retired ? " retired" : "", w->inside,
		!w->in ? "-" : w->in == &s->slotless ? "slotless" : "parked", (unsigned long)w->cputime.mark, (int)w->parker->word);
	if (c)
		fprintf(stderr, " cell %s armed %u slotless %u owes %u blocks %u", cells[c->state & 3], c->armed, c->slotless,
			c->owes, c->blocks);
	if (t)
		fprintf(stderr, " task %p %s%s", (void *)t, states[t->core.state % 6], t->worker == w ? "" : " of another worker");
	if (t && t->n_at)
		fprintf(stderr, " waits in %u lists, or did so last", t->n_at);
	if (w->tid) {
		show_file("wchan", w->tid);
		show_file("syscall", w->tid);
	}
	fprintf(stderr, "\n");
}

static void show_account(const char *name, const struct btn_account *a)
{
	fprintf(stderr, "# %s: quota %lu min %lu used %lu reserved %lu n %u\n", name, (unsigned long)a->quota,
		(unsigned long)a->min, (unsigned long)a->used, (unsigned long)a->reserved, a->n);
}

void stuck_show(const struct baton_sched *s)
{
	const struct btn_core *c = &s->core;
	const struct baton_tenant *t;
	const struct btn_worker *w;
	unsigned i, n;

	fprintf(stderr, "# now %lu, last looked at %lu, monitor due %lu, its word %d, lock %u, look %d, idle slots %u\n",
		(unsigned long)btn_clock_now(), (unsigned long)s->now, (unsigned long)btn_tick_due(s),
		(int)s->monitor_parker->word, s->lock.word, s->look, c->n_idle);
	fprintf(stderr, "# workers: %u born, %u idle, %u more may start; requests %u; slotless %s, parked %s; starved %s, done %s\n",
		s->born, s->n_idle, c->workers, s->requests, s->slotless.first ? "some" : "none", s->parked.first ? "some" : "none",
		c->starved.top ? "some" : "none", c->done ? "some" : "none");
	if (s->detect)
		fprintf(stderr, "# detecting %d, want %u, doorbell %lu of %lu, taken %lu\n", s->detecting,
			btn_detect_head(s->detect)->want, (unsigned long)*s->detect->consumer,
			(unsigned long)*s->detect->producer, (unsigned long)s->taken);
	/* Slots that a reload took away are shown, too, if they still have a task. */
	for (i = 0; i < c->slots_in_use; i++) {
		fprintf(stderr, "# slot %u: task %p worker %d need_resched %lu cpu %lu\n", i, (void *)c->run[i].task,
			s->on[i] ? s->on[i]->tid : 0, (unsigned long)s->looks[i].resched_at, (unsigned long)s->looks[i].cpu_at);
		if (s->on[i])
			show_worker(s, s->on[i]);
	}
	for (t = s->all_tenants; t; t = t->next_all) {
		if (!t->core)
			continue;
		show_account("low", &t->core->acct[BTN_LOW]);
		show_account("high", &t->core->acct[BTN_HIGH]);
		for (i = 0; i < BTN_FLOW_TIERS; i++) {
			const struct btn_flow *f = &t->core->flow[i];
			const struct btn_heap_node *node;

			for (n = 0, node = f->tasks.first; node && n < 1000; node = node->right)
				n++;
			fprintf(stderr, "# flow %u: %u in line, rest %s, %s, %s\n", i, n, f->tasks.rest.top ? "some" : "none",
				btn_heap_has(&f->node) ? "in its tier" : "not in its tier", f->throttled ? "throttled" : "not throttled");
		}
	}
	for (i = 0; i < places && i < TASKS_MAX; i++) {
		w = place[i].w;
		if (!place[i].what)
			continue;
		fprintf(stderr, "# task %u of its worker, at %s %d:\n", place[i].begun, place[i].what, place[i].n);
		show_worker(s, w);
	}
	for (n = 0, w = s->slotless.first; w && n < 1000; w = w->next_slotless, n++)
		fprintf(stderr, "# slotless: %d\n", w->tid);
	for (n = 0, w = s->parked.first; w && n < 1000; w = w->next_slotless, n++)
		fprintf(stderr, "# parked: %d\n", w->tid);
}

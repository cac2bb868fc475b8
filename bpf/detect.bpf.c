// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who blocks and who wakes, on a kernel as it is.
 *
 * A scheduler in user space gives its workers slots: the right to run on a CPU.
 * A worker that blocks in the kernel with its slot, in a place that nobody
 * announced, takes it to sleep with it. These programs say so.
 *
 * What there is
 *
 *	baton_sessions	who may join: one entry a scheduler, filled in by whoever
 *			loaded the programs
 *	baton_cells	each session's own array of cells, which that scheduler
 *			maps: no other can reach it
 *	baton_bells	each session's own ring buffer
 *	baton_workers	task storage: this thread is the worker of that cell. A
 *			task without it pays for one pointer test at a switch,
 *			and one at a wakeup
 *	baton_join	run by a thread for itself, by the descriptor: nobody
 *			can join for another. It needs no capability, but the
 *			session's token, and the process that was first
 *
 * The cell is the truth, the bell only says "look". Nothing is in the ring
 * buffer that matters: under the run queue's lock it is the only thing that can
 * wake a process, and that is all it is for. So nothing is lost when it is full:
 * then somebody has been told and has not looked yet. Measured against an event
 * in the ring for each block and each wakeup, docs/detect.md.
 *
 * The scheduler is told only if it asked: while a task waits for a slot, `want`
 * is set. What must not happen is this:
 *
 *	worker, in sched_switch			scheduler
 *	looks at want: 0
 *						want = 1
 *						looks at the cell: runs
 *	cell = BLOCKED
 *	(nobody rings, nobody looks again)
 *
 * so each side writes first and looks then, with a full barrier in between
 * [DETECT-1]; one of the two sees the other:
 *
 *	cell = BLOCKED				want = 1
 *	barrier					barrier
 *	want? ring				cell BLOCKED? take its slot
 *
 * The bell is not rung if the CPU goes on with a worker of the same scheduler
 * that has no slot: one that slept, whose slot was taken, and that woke. It gets no
 * further than its next call of the library, where it looks at the cells itself,
 * as it has to wait for a slot there. If it comes to leave the CPU before, the
 * bell is rung then: `owes`. So what is most common where many tasks
 * sleep and wake costs no bell at all; on a virtual machine, where the interrupt that
 * the CPU sends itself to ring it is emulated, a bell is 12 us.
 *
 *	worker, in sched_switch		next, without a slot	scheduler
 *	cell = BLOCKED
 *	barrier
 *	want? next->slotless? owes = 1
 *					slotless = 0, and, whatever want says,
 *					cell BLOCKED? take its slot
 *
 * Only the worker itself ends being without a slot, with the scheduler's lock,
 * and it is not running when it is looked at here: it will still look.
 *
 * Why sched_wakeup and not sched_waking: a waker is in sched_waking as soon as
 * the worker is about to sleep, before that has come to sched_switch, so it can
 * come first and find a cell that runs. sched_wakeup comes when the task is on
 * its run queue again, with that queue's lock, as does sched_switch: for one
 * task they are never at the same time and always in order. A wakeup that no
 * switch went before finds a cell that runs, and is nothing.
 *
 * Why on_rq and not prev_state: that is the state in which the task called
 * schedule(). If a signal was there it does not sleep, which some kernels do not
 * show in prev_state; and there would be no wakeup.
 *
 * Sessions end. Whoever was in it still has it in its task storage, and the next
 * session of that number is somebody else's: the generation tells. It is
 * changed before the arrays are taken away, which waits for programs that may
 * still have seen the old one.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "detect.h"

#define EPERM 1
#define ENOENT 2
#define ENOMEM 12
#define EINVAL 22
#define ESTALE 116

/* A few fields, found where the running kernel has them: no vmlinux.h is needed. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sched_entity {
	__u64 sum_exec_runtime;
	unsigned char sched_delayed;
};

struct task_struct {
	int on_rq;
	struct sched_entity se;
	int tgid;
	struct task_struct *group_leader;
	__u64 start_boottime;
	struct bpf_local_storage *bpf_storage;
};
#pragma clang attribute pop

/* For tests: how long to wait between writing a cell and looking at want. */
const volatile __u32 delay;
/* For tests: look first, then write. */
const volatile __u32 broken;
/* For benchmarks: what it costs to be attached at all. */
const volatile __u32 nothing;

struct cells {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__uint(max_entries, BATON_CELLS_MIN);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct baton_cell));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, BATON_SESSIONS);
	__type(key, __u32);
	__array(values, struct cells);
} baton_cells SEC(".maps");

struct bell {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, BATON_SESSIONS);
	__type(key, __u32);
	__array(values, struct bell);
} baton_bells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BATON_SESSIONS);
	__type(key, __u32);
	__type(value, struct baton_session);
} baton_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} baton_workers SEC(".maps");

/* The session's array; NULL: it ended. */
static __always_inline void *cells_of(__u64 worker)
{
	__u32 session = BATON_WORKER_SESSION(worker);
	struct baton_session *s = bpf_map_lookup_elem(&baton_sessions, &session);

	if (!s || s->gen != BATON_WORKER_GEN(worker))
		return NULL;
	return bpf_map_lookup_elem(&baton_cells, &session);
}

static __always_inline void *cell_of(void *cells, __u32 cell)
{
	return bpf_map_lookup_elem(cells, &cell);
}

/* The cell of a thread that joined, and where it is; NULL: it did not, or its session ended. */
static __always_inline struct baton_cell *its_cell(struct task_struct *p, __u64 *worker, void **cells)
{
	__u64 *w = bpf_task_storage_get(&baton_workers, p, 0, 0);

	if (!w)
		return NULL;
	*worker = *w;
	*cells = cells_of(*w);
	return *cells ? cell_of(*cells, BATON_WORKER_CELL(*w)) : NULL;
}

static long wait_a_bit(__u32 i, void *unused)
{
	return 0;
}

/* `next` is a worker of this session and will look at the cells before long. */
static __always_inline int goes_to_look(struct task_struct *next, __u64 worker, void *cells)
{
	struct baton_cell *cell;
	__u64 *w;

	if (!next->bpf_storage)
		return 0;
	w = bpf_task_storage_get(&baton_workers, next, 0, 0);
	if (!w || BATON_WORKER_SESSION(*w) != BATON_WORKER_SESSION(worker) || BATON_WORKER_GEN(*w) != BATON_WORKER_GEN(worker))
		return 0;
	cell = cell_of(cells, BATON_WORKER_CELL(*w));
	if (!cell || !*(volatile __u32 *)&cell->slotless)
		return 0;
	cell->owes = 1;
	return 1;
}

/* A task waits for a slot, as far as the worker can see. */
static __always_inline int wanted(void *cells)
{
	struct baton_head *head = cell_of(cells, BATON_CELL_HEAD);

	return head && *(volatile __u32 *)&head->want;
}

static __always_inline void ring(__u64 worker, void *cells, struct baton_cell *cell)
{
	__u32 session = BATON_WORKER_SESSION(worker);
	void *bell = bpf_map_lookup_elem(&baton_bells, &session);
	struct baton_counts *counts = cell_of(cells, BATON_CELL_COUNTS);
	__u32 word = BATON_WORKER_CELL(worker);

	if (!bell || !counts)
		return;
	cell->rung++;
	cell->owes = 0;
	__sync_fetch_and_add(&counts->rung, 1);
	bpf_ringbuf_output(bell, &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
}

static __always_inline int blocks(struct task_struct *t)
{
	if (!t->on_rq)
		return 1;
	/* Asleep, and only not yet taken off its run queue. */
	return bpf_core_field_exists(t->se.sched_delayed) && t->se.sched_delayed;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(baton_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct baton_cell *cell;
	__u64 worker;
	__u32 armed;
	int want, sleeps;
	void *cells;

	if (nothing || !prev->bpf_storage)
		return 0;
	sleeps = blocks(prev);
	cell = its_cell(prev, &worker, &cells);
	if (!cell || (!sleeps && !cell->owes))
		return 0;
	armed = *(volatile __u32 *)&cell->armed;
	if (!sleeps || armed == BATON_CELL_NOT) {
		/* In the library it looks, if it sleeps there or not. */
		if (armed != BATON_CELL_NOT && wanted(cells) && !goes_to_look(next, worker, cells))
			ring(worker, cells, cell);
		return 0;
	}
	cell->since = bpf_ktime_get_ns();
	cell->cpu = prev->se.sum_exec_runtime;
	cell->blocks++;
	cell->unannounced += armed == BATON_CELL_ARMED;
	if (broken) {
		want = wanted(cells);
		if (delay)
			bpf_loop(delay, wait_a_bit, NULL, 0);
		__sync_lock_test_and_set(&cell->state, BATON_CELL_BLOCKED);
	} else {
		__sync_lock_test_and_set(&cell->state, BATON_CELL_BLOCKED); /* [DETECT-1] */
		if (delay)
			bpf_loop(delay, wait_a_bit, NULL, 0);
		want = wanted(cells);
	}
	if (want && !goes_to_look(next, worker, cells))
		ring(worker, cells, cell);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(baton_wakeup, struct task_struct *p)
{
	struct baton_cell *cell;
	__u64 worker, now;
	void *cells;

	if (nothing || !p->bpf_storage)
		return 0;
	cell = its_cell(p, &worker, &cells);
	if (!cell || cell->state != BATON_CELL_BLOCKED)
		return 0;
	now = bpf_ktime_get_ns();
	cell->blocked += now - cell->since;
	cell->since = now;
	__sync_lock_test_and_set(&cell->state, BATON_CELL_RUNS); /* [DETECT-1] */
	return 0;
}

/* The new program knows nothing of it. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(baton_exec, struct task_struct *p)
{
	if (p->bpf_storage)
		bpf_task_storage_delete(&baton_workers, p);
	return 0;
}

SEC("syscall")
int baton_join(struct baton_join *arg)
{
	struct task_struct *self = bpf_get_current_task_btf();
	__u64 start = self->group_leader->start_boottime, *worker, token = arg->token;
	__u32 session = arg->session, cell = arg->cell, tgid = self->tgid, first;
	struct baton_session *s = bpf_map_lookup_elem(&baton_sessions, &session);

	if (!s)
		return -EINVAL;
	if (!token || s->token != token)
		return -EPERM;
	/* The first process that comes has it; its children have not. */
	first = __sync_val_compare_and_swap(&s->tgid, 0, tgid);
	if (!first)
		s->start = start;
	else if (first != tgid || s->start != start)
		return -EPERM;
	if (!cell)
		return bpf_task_storage_delete(&baton_workers, self);
	if (cell < BATON_CELL_FIRST || cell >= s->cells)
		return -EINVAL;
	worker = bpf_task_storage_get(&baton_workers, self, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!worker)
		return -ENOMEM;
	*(volatile __u64 *)worker = BATON_WORKER(session, s->gen, cell);
	return 0;
}

char _license[] SEC("license") = "GPL";

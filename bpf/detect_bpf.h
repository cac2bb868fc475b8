/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * detect_bpf.h - what both variants of the programs have: detect.bpf.c, for any
 * kernel, and hook.bpf.c, for one with sched_block_ops. The maps, whose cell a
 * worker has, the doorbell, and who may join.
 *
 * A session's cell goes
 *
 *	RUNS -> BLOCKED		the program: its worker sleeps
 *	BLOCKED -> TAKEN	the scheduler: and has lost its slot
 *	BLOCKED, TAKEN -> RUNS	the program: it woke. The hook's leaves TAKEN, and
 *	TAKEN -> PARKED		when it comes to user space it waits there
 *	TAKEN, PARKED -> RUNS	the scheduler, or the worker: it has a slot again; or it is
 *				stopped by a signal, and waits in the handler instead
 *
 * Each is one atomic exchange, so that of a scheduler that takes a slot and a
 * worker that wakes one is first, and both know which.
 */
#ifndef BATON_DETECT_BPF_H
#define BATON_DETECT_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "detect.h"

#define EPERM 1
#define ENOMEM 12
#define EINVAL 22

/* A few fields, found where the running kernel has them: no vmlinux.h is needed. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sched_entity {
	__u64 sum_exec_runtime;
	unsigned char sched_delayed;
};

struct task_struct {
	int on_rq;
	struct sched_entity se;
	int pid, tgid;
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

struct doorbell {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, BATON_SESSIONS);
	__type(key, __u32);
	__array(values, struct doorbell);
} baton_doorbells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BATON_SESSIONS);
	__type(key, __u32);
	__type(value, struct baton_session);
} baton_sessions SEC(".maps");

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

static long wait_a_bit(__u32 i, void *unused)
{
	return 0;
}

/* A task waits for a slot, as far as the worker can see. */
static __always_inline int wanted(void *cells)
{
	struct baton_head *head = cell_of(cells, BATON_CELL_HEAD);

	return head && *(volatile __u32 *)&head->want;
}

/*
 * Without BPF_RB_FORCE_WAKEUP: who has been woken and did not come yet is not woken
 * once more. It says first that it heard and looks then, and we wrote the cell first, so
 * either it sees that or the ring buffer has something new when it comes to sleep.
 */
static __always_inline void ring(__u64 worker, void *cells, struct baton_cell *cell)
{
	__u32 session = BATON_WORKER_SESSION(worker);
	void *doorbell = bpf_map_lookup_elem(&baton_doorbells, &session);
	struct baton_counts *counts = cell_of(cells, BATON_CELL_COUNTS);
	__u32 word = BATON_WORKER_CELL(worker);

	if (!doorbell || !counts)
		return;
	cell->rung++;
	__sync_fetch_and_add(&counts->rung, 1);
	bpf_ringbuf_output(doorbell, &word, sizeof(word), 0);
}

/* The worker is about to sleep, or does, with its slot. Returns not 0 where somebody wants the slot. */
static __always_inline int falls_asleep(void *cells, struct baton_cell *cell, __u32 armed, __u64 cpu)
{
	int want;

	cell->since = bpf_ktime_get_ns();
	cell->cpu = cpu;
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
	return want;
}

/* The worker wakes. Also where the state says no more that it slept: the scheduler may have set that meanwhile. */
static __always_inline void slept(struct baton_cell *cell)
{
	if (!cell->since)
		return;
	cell->blocked += bpf_ktime_get_ns() - cell->since;
	cell->since = 0;
}

/* May the caller be the worker of the cell it asks for (0: of none)? 0: *worker. */
static __always_inline int may_join(struct baton_join *arg, __u64 *worker)
{
	struct task_struct *self = bpf_get_current_task_btf();
	__u64 start = self->group_leader->start_boottime, token = arg->token;
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
	if (cell && (cell < BATON_CELL_FIRST || cell >= s->cells))
		return -EINVAL;
	*worker = BATON_WORKER(session, s->gen, cell);
	return 0;
}

#endif

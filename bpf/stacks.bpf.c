// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the workers of one session block with their slot and nobody announced
 * it, by call stack: what `baton stacks` shows. Loaded beside the programs that
 * detect, and only while somebody looks.
 *
 * Those have marked the worker's cell before this is called: on a kernel as it
 * is since they were attached to the tracepoint first, with the kernel's hook
 * since that comes before schedule(). A worker that is switched out ARMED and not RUNS
 * is one that blocked unannounced. With the hook it can be preempted then,
 * too, and be seen twice: the cell's count of blocks tells.
 *
 * Its baton_workers is that of the tracepoints' programs, or stays empty.
 *
 * Nothing here allocates, as it runs with the run queue's lock: all maps are
 * filled beforehand.
 */
#include "detect_bpf.h"
#include "stacks.h"
#include "workers_bpf.h"

/* Whose: workers of this one. */
const volatile __u32 session;

/* Tasks that were counted nowhere: as many places as there can be were there. */
__u64 unlisted;

struct block_hook {
	__u64 cookie;
} __attribute__((preserve_access_index));

struct task_struct___hook {
	struct block_hook *block_hook;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, BATON_STACKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, BATON_STACK_FRAMES * sizeof(__u64));
} baton_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BATON_STACKS);
	__type(key, struct baton_place);
	__type(value, struct baton_asleep);
} baton_places SEC(".maps");

/* By cell; the size is the session's. */
struct sleep {
	struct baton_place place;
	__u64 since;		/* 0: it does not sleep, or not here */
	__u32 blocks;
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BATON_CELLS_MIN);
	__type(key, __u32);
	__type(value, struct sleep);
} baton_sleeps SEC(".maps");

/* The worker that this task is; 0: it is none, or another scheduler's. */
static __always_inline __u64 worker_of(struct task_struct *p)
{
	struct task_struct___hook *hooked = (void *)p;
	struct block_hook *hook;
	__u64 *w, cookie = 0;

	if (p->bpf_storage) {
		w = bpf_task_storage_get(&baton_workers, p, 0, 0);
		if (w)
			cookie = *w;
	}
	if (!cookie && bpf_core_field_exists(hooked->block_hook)) {
		hook = BPF_CORE_READ(hooked, block_hook);
		if (hook)
			cookie = BPF_CORE_READ(hook, cookie);
	}
	return BATON_WORKER_SESSION(cookie) == session ? cookie : 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(baton_stack, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u64 worker = worker_of(prev);
	__u32 nr = BATON_WORKER_CELL(worker);
	struct baton_asleep *sum, first = {};
	struct baton_cell *cell;
	struct sleep *sleep;
	void *cells;

	if (!nr)
		return 0;
	cells = cells_of(worker);
	cell = cells ? cell_of(cells, nr) : NULL;
	sleep = bpf_map_lookup_elem(&baton_sleeps, &nr);
	if (!cell || !sleep || *(volatile __u32 *)&cell->armed != BATON_CELL_ARMED ||
	    *(volatile __u32 *)&cell->state == BATON_CELL_RUNS || (sleep->since && sleep->blocks == cell->blocks))
		return 0;
	sleep->place.user = bpf_get_stackid(ctx, &baton_stacks, BPF_F_USER_STACK);
	sleep->place.kernel = bpf_get_stackid(ctx, &baton_stacks, 0);
	sleep->blocks = cell->blocks;
	sleep->since = bpf_ktime_get_ns();
	sum = bpf_map_lookup_elem(&baton_places, &sleep->place);
	if (!sum) {
		bpf_map_update_elem(&baton_places, &sleep->place, &first, BPF_NOEXIST);
		sum = bpf_map_lookup_elem(&baton_places, &sleep->place);
	}
	if (sum) {
		__sync_fetch_and_add(&sum->times, 1);
	} else {
		sleep->since = 0;
		__sync_fetch_and_add(&unlisted, 1);
	}
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(baton_stack_woke, struct task_struct *p)
{
	__u64 worker = worker_of(p);
	__u32 nr = BATON_WORKER_CELL(worker);
	struct baton_asleep *sum;
	struct sleep *sleep;

	if (!nr)
		return 0;
	sleep = bpf_map_lookup_elem(&baton_sleeps, &nr);
	if (!sleep || !sleep->since)
		return 0;
	sum = bpf_map_lookup_elem(&baton_places, &sleep->place);
	if (sum)
		__sync_fetch_and_add(&sum->ns, bpf_ktime_get_ns() - sleep->since);
	sleep->since = 0;
	return 0;
}

char _license[] SEC("license") = "GPL";

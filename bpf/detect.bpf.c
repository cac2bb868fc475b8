// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that block and wake, on a kernel as it is.
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
 *	baton_doorbells	each session's own ring buffer
 *	baton_workers	task storage: this thread is the worker of that cell. A
 *			task without it pays for one pointer test at a switch,
 *			and one at a wakeup
 *	baton_join	run by a thread for itself, by the descriptor: nobody
 *			can join for another. It needs no capability, but the
 *			session's token, and the process that was first
 *
 * The cell is the truth, the doorbell only says "look". Nothing is in the ring
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
 * The doorbell is not rung if the CPU goes on with a worker of the same scheduler
 * that has no slot: one that slept, whose slot was taken, and that woke. It gets no
 * further than its next call of the library, where it looks at the cells itself,
 * as it has to wait for a slot there. Or one that waits for a slot in a call of the
 * library and was woken, most often with one: before it is out of there it looks
 * whether it `owes`, and at the cells if it does. If either comes to leave the CPU before, the
 * doorbell is rung then. Or an idle poller, which runs where nothing else does and tells of them
 * (lib/src/sched/idle.c). So what is most common where many tasks
 * sleep and wake costs no doorbell at all; on a virtual machine, where the interrupt that
 * the CPU sends itself to ring it is emulated, a doorbell is 12 us.
 *
 *	worker, in sched_switch		next, without a slot	scheduler
 *	cell = BLOCKED
 *	barrier
 *	want? next->slotless? owes = 1
 *					slotless = 0
 *					it owes? owes = 0 and, whatever want says,
 *					cell BLOCKED? take its slot
 *
 * Only the worker itself ends being without a slot, before it looks whether it owes,
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
#include "detect_bpf.h"
#include "workers_bpf.h"

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

/* `next` is a worker of the same scheduler, without a slot: it will look at the cells before long. */
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

/* Before the doorbell, and so heard with it. */
static __always_inline void says_idle(void *cells)
{
	struct baton_head *head = cell_of(cells, BATON_CELL_HEAD);

	if (head)
		*(volatile __u32 *)&head->idle = bpf_get_smp_processor_id() + 1;
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
	int sleeps;
	void *cells;

	if (nothing || !prev->bpf_storage)
		return 0;
	sleeps = blocks(prev);
	cell = its_cell(prev, &worker, &cells);
	if (!cell || (!sleeps && !cell->owes))
		return 0;
	armed = *(volatile __u32 *)&cell->armed;
	if (!sleeps || armed == BATON_CELL_NOT) {
		/* The worker goes on, or sleeps where its slot is not taken, and did not look yet. */
		if (cell->owes && wanted(cells)) {
			if (!goes_to_look(next, worker, cells))
				ring(worker, cells, cell);
			cell->owes = 0;
		}
		return 0;
	}
	if (!falls_asleep(cells, cell, armed, prev->se.sum_exec_runtime) || goes_to_look(next, worker, cells))
		return 0;
	if (!next->pid)
		says_idle(cells);
	ring(worker, cells, cell);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(baton_wakeup, struct task_struct *p)
{
	struct baton_cell *cell;
	__u64 worker;
	void *cells;

	if (nothing || !p->bpf_storage)
		return 0;
	cell = its_cell(p, &worker, &cells);
	if (!cell)
		return 0;
	slept(cell);
	if (cell->state == BATON_CELL_RUNS)
		return 0;
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
	__u64 *worker, id;
	int err = may_join(arg, &id);

	if (err)
		return err;
	if (!BATON_WORKER_CELL(id))
		return bpf_task_storage_delete(&baton_workers, self);
	worker = bpf_task_storage_get(&baton_workers, self, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!worker)
		return -ENOMEM;
	*(volatile __u64 *)worker = id;
	return 0;
}

char _license[] SEC("license") = "GPL";

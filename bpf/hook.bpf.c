// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that block and wake, on a kernel with sched_block_ops, which the patches
 * in kernel-patch/ add.
 *
 * The same maps, cells and doorbell as detect.bpf.c, whose head says what they are
 * for and why nothing is lost. What is different:
 *
 *	blocked()	is called by the worker itself, before it sleeps and
 *			without a lock; and for those that joined only, so there
 *			is nothing to look up in the task, and nothing to pay for
 *			all others
 *	woke()		likewise when it runs again. If its slot was taken, the
 *			kernel is asked to stop it before it is in user space
 *	returns()	is it about to be there: the cell is PARKED, the scheduler
 *			is told, and it sleeps for as long as the cell is that. Not
 *			in woke(), because it may sleep again on its way there, and
 *			would be given a slot for that
 *
 * And whom it tells. There is no run queue's lock here, so a thread can be woken at once,
 * without the doorbell's interrupt and without the notifier in between: a worker that waits
 * for a slot in a call of the library and that the scheduler has named for it
 * (`waker`, its cell), most likely the one that is to have the slot. It looks at the
 * cells as the notifier would, gives itself the slot, and goes on. [WAKER-1]
 *
 *	worker, in blocked()		the one that is named
 *	cell = BLOCKED
 *	want?
 *	waker: it -> 0, or the doorbell
 *	its notified = 1
 *	wake its futex: nobody?
 *	the doorbell			woken: no permit, but notified?
 *					notified = 0; with the lock, look at the cells
 *
 * Exchanged for 0, so that one call is one wake and whoever else blocks meanwhile rings.
 * If nobody sleeps there it was on its way there, or had its permit already: the
 * doorbell. What must not be is one that is named and does not come, for it was given a
 * slot just then and has other things to do. So whoever gives it its slot takes its
 * name away first, and finds by the same exchange that the call was first: then
 * it is the one who has to look (lib/src/sched/blocked.c, selftests/model/waker.pml).
 *
 * It parks on its cell's state, in the service's memory, so the service lets it
 * go with a store and a futex wake, whatever becomes of these programs; and if
 * they are detached then the kernel does.
 *
 * A signal handler that runs first keeps it from parking: the cell stays TAKEN
 * (or PARKED), it runs without a slot, and at its next call of the library
 * waits for one, as on a kernel without the hook.
 */
#include "detect_bpf.h"

/* For others the kernel's own type: what is not in its BTF is refused. */
struct sched_block_ops {
	void (*blocked)(struct task_struct *task, __u64 cookie);
	void (*woke)(struct task_struct *task, __u64 cookie);
	int (*returns)(struct task_struct *task, __u64 cookie);
};

extern int bpf_sched_block_join(__u64 cookie, __u64 word) __ksym;
extern int bpf_sched_block_leave(void) __ksym;
extern __u64 bpf_sched_block_runtime(void) __ksym;
extern int bpf_sched_block_park(__u32 val) __ksym;
extern int bpf_sched_block_wake(__u64 uaddr, __u32 nr) __ksym;

/*
 * The scheduler has to look. It is told by waking whom it named for that, or if
 * there is nobody, or did not sleep yet, by the doorbell [WAKER-1].
 */
static __always_inline void tell(__u64 worker, void *cells, struct baton_cell *cell)
{
	struct baton_head *head = cell_of(cells, BATON_CELL_HEAD);
	struct baton_counts *counts = cell_of(cells, BATON_CELL_COUNTS);
	__u32 who = head ? *(volatile __u32 *)&head->waker : 0;
	struct baton_cell *other;

	if (who && counts && __sync_val_compare_and_swap(&head->waker, who, 0) == who) {
		other = cell_of(cells, who);
		if (other) {
			*(volatile __u32 *)&other->notified = 1;
			if (bpf_sched_block_wake(other->parker, 1) > 0) {
				cell->rung++;
				__sync_fetch_and_add(&counts->rung, 1);
				__sync_fetch_and_add(&counts->notified, 1);
				return;
			}
		}
	}
	ring(worker, cells, cell);
}

SEC("struct_ops/blocked")
int BPF_PROG(baton_blocked, struct task_struct *task, __u64 worker)
{
	struct baton_cell *cell;
	__u32 armed;
	void *cells;

	if (nothing)
		return 0;
	cells = cells_of(worker);
	cell = cells ? cell_of(cells, BATON_WORKER_CELL(worker)) : NULL;
	if (!cell)
		return 0;
	armed = *(volatile __u32 *)&cell->armed;
	/* TAKEN: it woke, and sleeps again before it could park. */
	if (armed != BATON_CELL_NOT && *(volatile __u32 *)&cell->state == BATON_CELL_RUNS &&
	    falls_asleep(cells, cell, armed, bpf_sched_block_runtime()))
		tell(worker, cells, cell);
	return 0;
}

SEC("struct_ops/woke")
int BPF_PROG(baton_woke, struct task_struct *task, __u64 worker)
{
	struct baton_cell *cell;
	void *cells;

	if (nothing)
		return 0;
	cells = cells_of(worker);
	cell = cells ? cell_of(cells, BATON_WORKER_CELL(worker)) : NULL;
	if (!cell)
		return 0;
	slept(cell);
	if (*(volatile __u32 *)&cell->state == BATON_CELL_RUNS)
		return 0;
	/* [DETECT-1] */
	if (__sync_val_compare_and_swap(&cell->state, BATON_CELL_BLOCKED, BATON_CELL_RUNS) == BATON_CELL_TAKEN)
		bpf_sched_block_park(BATON_CELL_PARKED);
	return 0;
}

SEC("struct_ops/returns")
int BPF_PROG(baton_returns, struct task_struct *task, __u64 worker)
{
	void *cells = cells_of(worker);
	struct baton_cell *cell = cells ? cell_of(cells, BATON_WORKER_CELL(worker)) : NULL;

	/* [DETECT-1] the session ended, or it has a slot again. */
	if (!cell || __sync_val_compare_and_swap(&cell->state, BATON_CELL_TAKEN, BATON_CELL_PARKED) != BATON_CELL_TAKEN)
		return 0;
	tell(worker, cells, cell);
	return 1;
}

SEC(".struct_ops")
struct sched_block_ops baton_hook = {
	.blocked = (void *)baton_blocked,
	.woke = (void *)baton_woke,
	.returns = (void *)baton_returns,
};

SEC("syscall")
int baton_join(struct baton_join *arg)
{
	__u64 worker;
	int err = may_join(arg, &worker);

	if (err)
		return err;
	if (!BATON_WORKER_CELL(worker))
		return bpf_sched_block_leave();
	return bpf_sched_block_join(worker, arg->word);
}

char _license[] SEC("license") = "GPL";

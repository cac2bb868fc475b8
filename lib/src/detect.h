/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * detect.h - a session with `baton load`: who blocks in the kernel and wakes.
 *
 * One session for a scheduler. The kernel's programs write each worker's cell
 * and, if the scheduler wants to know, ring the doorbell (bpf/detect.bpf.c says the
 * whole protocol). Nothing here is needed for correctness: without a session the
 * scheduler works, and finds out later.
 */
#ifndef BTN_DETECT_H
#define BTN_DETECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "detect_abi.h"

struct btn_detect {
	struct btn_cell *cells;		/* [0] and [1] are head and counts */
	uint32_t n_cells, used;
	uint32_t *free, n_free;		/* detect.c's lock */
	_Atomic uint64_t *consumer;	/* the doorbell's */
	_Atomic uint64_t *producer;
	uint64_t token, id;		/* id: of no other session of this process */
	bool notifies;			/* the kernel, or an idle poller, wakes whom btn_detect_designate() names */
	struct btn_detect *next;
	struct btn_parting *parting;	/* for each cell: detect.c */
	uint32_t session;
	int sock, doorbell, join, stop, told, poll;
	_Atomic unsigned refs;		/* references to the cells and `told`; the rest goes with btn_detect_close() */
	char how[96];
};

/*
 * Opens a session for so many threads, as BATON_DETECT and BATON_DETECT_SOCKET
 * say. 0; or -errno, and `how` (at least 96 bytes) says in words why not.
 * May wait for `baton load` for a few seconds.
 */
int btn_detect_open(struct btn_detect **out, unsigned workers, char *how);
/*
 * Closes the session. Threads with a reference keep the cells and btn_detect_tell(); no other
 * thread uses it any more. NULL: nothing.
 */
void btn_detect_close(struct btn_detect *d);
struct btn_detect *btn_detect_get(struct btn_detect *d);
void btn_detect_put(struct btn_detect *d);

/* A cell for a worker, or NULL: all are taken. */
struct btn_cell *btn_detect_cell(struct btn_detect *d);
/* The session may be closed: then there is nothing to do. */
void btn_detect_cell_put(uint64_t id, struct btn_cell *cell);

/*
 * The calling thread is no worker of `id` any more, if that is still open. Before its
 * cell is another's: a thread that ends still sleeps and wakes on its way, and
 * the kernel would say so there.
 */
void btn_detect_leave(uint64_t id);

/* The calling thread is the worker of this cell; NULL: of none. 0 or -errno. */
int btn_detect_join(struct btn_detect *d, struct btn_cell *cell);

/*
 * Sleeps until the doorbell rings: true. False: btn_detect_stop() was called, or the
 * session is no more. One thread.
 */
bool btn_detect_wait(struct btn_detect *d);
void btn_detect_stop(struct btn_detect *d);
/* Acts as if the doorbell had rung. Any thread. */
void btn_detect_tell(struct btn_detect *d);

static inline struct btn_detect_head *btn_detect_head(struct btn_detect *d)
{
	return (struct btn_detect_head *)&d->cells[BTN_CELL_HEAD];
}

static inline struct btn_detect_counts *btn_detect_counts(struct btn_detect *d)
{
	return (struct btn_detect_counts *)&d->cells[BTN_CELL_COUNTS];
}

/*
 * The calling worker got a slot (ARMED), or is about to block in a place that is
 * announced, or to park (NOT). [DETECT-2] only the kernel, on this thread's own
 * way into the scheduler, and the thread itself look; others take it for a hint.
 */
static inline void btn_cell_arm(struct btn_cell *cell, uint32_t how)
{
	/*
	 * The worker was to park in the kernel, and a signal's handler got it out of that.
	 * Left so, it would be parked after its next sleep, with its slot.
	 */
	if (atomic_load_explicit(&cell->state, memory_order_relaxed) != BTN_CELL_RUNS) /* [DETECT-2] */
		atomic_store_explicit(&cell->state, BTN_CELL_RUNS, memory_order_relaxed); /* [DETECT-2] */
	atomic_store_explicit(&cell->armed, how, memory_order_relaxed); /* [DETECT-2] */
}

/*
 * Slotless (is): with the scheduler's lock, when the slot of this worker, which is blocked, is
 * taken; or by the worker, when it is about to wait for a slot. And not slotless: by the
 * worker, when it has come to the library, or does not wait any more. In between the kernel
 * does not ring for workers that block where this one runs next: if btn_cell_owes() this one
 * has to look at all cells [DETECT-3]. Set when the taking is certain, and not before: a ring
 * too many is nothing, one too few is a task that waits.
 */
static inline void btn_cell_slotless(struct btn_cell *cell, bool is)
{
	atomic_store_explicit(&cell->slotless, is, memory_order_relaxed); /* [DETECT-3] */
	/* The kernel writes it on this thread's own way back to the CPU, and not from here on. */
	atomic_signal_fence(memory_order_seq_cst); /* [DETECT-3] */
}

static inline bool btn_cell_owes(struct btn_cell *cell)
{
	return atomic_load_explicit(&cell->owes, memory_order_relaxed); /* [DETECT-3] */
}

/* The cells are about to be looked at. Needs the scheduler's lock. */
static inline void btn_cell_pays(struct btn_cell *cell)
{
	atomic_store_explicit(&cell->owes, 0, memory_order_relaxed); /* [DETECT-3] */
}

/*
 * The scheduler has a task that waits for a slot. After this it must look at
 * the cells: whoever blocks from here on rings, and who blocked before is seen.
 */
static inline void btn_detect_want(struct btn_detect *d)
{
	atomic_exchange_explicit(&btn_detect_head(d)->want, 1, memory_order_seq_cst); /* [DETECT-1] */
}

static inline void btn_detect_want_no_more(struct btn_detect *d)
{
	/* A ring too many is nothing. */
	atomic_store_explicit(&btn_detect_head(d)->want, 0, memory_order_relaxed); /* [DETECT-2] */
}

static inline bool btn_detect_wanted(struct btn_detect *d)
{
	/* The scheduler alone writes it, with its lock. */
	return atomic_load_explicit(&btn_detect_head(d)->want, memory_order_relaxed); /* [DETECT-2] */
}

/* ns on the CPU clock of a worker that is blocked. [DETECT-1] written before the state. */
static inline uint64_t btn_cell_cpu(struct btn_cell *cell)
{
	return atomic_load_explicit(&cell->cpu, memory_order_relaxed); /* [DETECT-2] */
}

/* True: the worker sleeps in the kernel and has a slot, as far as it knows. */
static inline bool btn_cell_blocked(struct btn_cell *cell)
{
	return atomic_load_explicit(&cell->state, memory_order_seq_cst) == BTN_CELL_BLOCKED && /* [DETECT-1] */
	       atomic_load_explicit(&cell->armed, memory_order_relaxed) != BTN_CELL_NOT; /* [DETECT-2] */
}

/*
 * Takes the slot of a worker that still sleeps: one exchange, as is the kernel's when the
 * worker wakes [DETECT-1]. Then the worker knows, and parks where the kernel can do that.
 */
static inline bool btn_cell_take(struct btn_cell *cell)
{
	uint32_t blocked = BTN_CELL_BLOCKED;

	/* [DETECT-1] */
	return atomic_compare_exchange_strong_explicit(&cell->state, &blocked, BTN_CELL_TAKEN, memory_order_seq_cst, /* [DETECT-1] */
						       memory_order_relaxed); /* [DETECT-1] */
}

/*
 * [WAKER-1] Names the waker that the kernel wakes instead of ringing the doorbell: the worker of this
 * cell, which waits for a slot on its parker. Nobody is named.
 */
static inline void btn_detect_designate(struct btn_detect *d, struct btn_cell *cell)
{
	atomic_store_explicit(&btn_detect_head(d)->waker, cell - d->cells, memory_order_release); /* [WAKER-1] */
}

static inline bool btn_detect_designated(struct btn_detect *d)
{
	return atomic_load_explicit(&btn_detect_head(d)->waker, memory_order_relaxed); /* [WAKER-1] */
}

/* Takes the designated waker, as the kernel does where it can; NULL: none. */
static inline struct btn_cell *btn_detect_take_waker(struct btn_detect *d)
{
	uint32_t who = atomic_load_explicit(&btn_detect_head(d)->waker, memory_order_relaxed); /* [WAKER-1] */

	if (who < BTN_CELL_FIRST || who >= d->n_cells)
		return NULL;
	/* [WAKER-1] */
	if (!atomic_compare_exchange_strong_explicit(&btn_detect_head(d)->waker, &who, 0, memory_order_seq_cst, /* [WAKER-1] */
						     memory_order_seq_cst)) /* [WAKER-1] */
		return NULL;
	return &d->cells[who];
}

/*
 * The CPU from which the doorbell was rung for want of anything else to run, since the last
 * call; or -1.
 */
static inline unsigned btn_detect_idle_cpu(struct btn_detect *d)
{
	return atomic_exchange_explicit(&btn_detect_head(d)->idle, 0, memory_order_relaxed) - 1; /* [DETECT-2] a hint */
}

/*
 * The worker is not the designated waker any more. False: the kernel was first, and has
 * notified it alone.
 */
static inline bool btn_detect_undesignate(struct btn_detect *d, struct btn_cell *cell)
{
	uint32_t who = cell - d->cells;

	/* [WAKER-1] */
	return atomic_compare_exchange_strong_explicit(&btn_detect_head(d)->waker, &who, 0, memory_order_seq_cst, /* [WAKER-1] */
						       memory_order_seq_cst); /* [WAKER-1] */
}

/*
 * The worker, whose slot was taken, is to wait for its permit, and so not to park in the
 * kernel. False: it has parked there already. [DETECT-1] one exchange, as is the kernel's
 * when the worker parks.
 */
static inline bool btn_cell_spare(struct btn_cell *cell)
{
	uint32_t taken = BTN_CELL_TAKEN;

	return atomic_compare_exchange_strong_explicit(&cell->state, &taken, BTN_CELL_RUNS, memory_order_seq_cst, /* [DETECT-1] */
						       memory_order_seq_cst) || /* [DETECT-1] */
	       taken != BTN_CELL_PARKED;
}

/* True: the worker woke slotless, and sleeps in the kernel until btn_cell_let_go(). */
static inline bool btn_cell_parked(struct btn_cell *cell)
{
	return atomic_load_explicit(&cell->state, memory_order_seq_cst) == BTN_CELL_PARKED; /* [DETECT-1] */
}

/*
 * Lets a worker go that is parked in the kernel: first, with the scheduler's lock, its cell says so. True: the worker is to be woken,
 * by btn_cell_wake_parked(), which needs no lock and may come late: a worker that has parked again by then sees its cell, and
 * goes on waiting.
 */
bool btn_cell_release(struct btn_cell *cell);
void btn_cell_wake_parked(struct btn_cell *cell);
/* Both. */
void btn_cell_let_go(struct btn_cell *cell);

/*
 * With the scheduler's lock: as btn_cell_release(), and the cell is in the list, whose head is 0 at first, unless it is another
 * thread's already. Once the lock is given up btn_detect_wake_parked() binds those threads to their CPUs (-1: to none), and wakes them.
 */
void btn_detect_release(struct btn_detect *d, struct btn_cell *cell, pid_t tid, int cpu, uint32_t *list);
void btn_detect_wake_parked(struct btn_detect *d, uint32_t *list);
/*
 * Wakes the notified worker, which waits for a slot on its parker, so that it looks. Returns
 * how many were asleep there: 0, 1.
 */
int btn_cell_wake(struct btn_cell *cell);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Safe points: a thread that the scheduler stops goes on to the next row.
 *
 * The library stops a task that used up its slice by a signal, in whose handler
 * the thread waits for its next turn. A thread of the server that is stopped
 * anywhere may hold a latch of InnoDB's, on a page that paying users want; a
 * tenant without quota would hold it for most of a second:
 *
 *	hostile: scans t			paying: UPDATE t
 *	latches page 7
 *	signal: waits for quota
 *						waits for the latch of page 7
 *
 * So the plugin's handler comes before the library's and says: not here. It sets
 * `asked` and returns, and the thread parks when it comes to the next row, where
 * the server tells the instrumentation interface that a table is read:
 *
 *	hostile: latches page 7
 *	signal: asked = 1
 *	reads its row, lets page 7 go
 *	next row: start_table_io_wait():
 *	asked, so baton_checkpoint(): waits	UPDATE t goes on
 *
 * A thread that comes to no row (it sorts, computes, builds an index) is stopped
 * where it is after safepoint_limit(), for which the handler sets a timer whose
 * signal is the same one: quotas hold for these as well.
 *
 * Scans in batches. For the innermost table of a join, which is where most rows
 * are read, the server makes one call for the whole scan, and none for each row:
 * handler::m_psi_batch_mode says so. The state that is passed with this one call
 * is a member of the same handler object, behind that word:
 *
 *	PSI_table *m_psi;			state - 32
 *	int m_psi_batch_mode;			state - 24
 *	unsigned long long m_psi_numrows;	state - 16
 *	PSI_table_locker *m_psi_locker;		state - 8
 *	PSI_table_locker_state m_psi_locker_state;
 *
 * That is believed only where m_psi is the pointer that was passed, the word says
 * that a batch starts, and the object is not on the stack. Then the handler may
 * say "no batch" there, the next row makes a call, and that call says "batch"
 * again. So a scan that nobody stops pays nothing for it. All of this happens on
 * the one thread that reads the table.
 *
 * What the handler reads is volatile: a batch is written before it is counted.
 * The limit and the counts are for any thread: [SAFE-1], relaxed.
 */
#define _GNU_SOURCE
#include "safepoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <baton/sched.h>

#include "server.h"

__thread struct safepoint safepoint __attribute__((tls_model("initial-exec"))) = { .timer = -1 };

static int stop_signal;
static struct sigaction library;
static _Atomic uint64_t limit_ns, deferred, forced;
static mysql_mutex_t *kill_mutex;
static mysql_cond_t *kill_cond;
static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_err;

static void set_timer(uint64_t ns)
{
	struct itimerspec in = { .it_value = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) } };

	if (safepoint.timer >= 0)
		syscall(SYS_timer_settime, safepoint.timer, 0, &in, NULL);
}

/*
 * KILL broadcasts the condition that the thread says it waits for. Between the two stores
 * of the server's, which change both words and can be interrupted here, one is set: then they
 * are left alone. KILL reads the condition first; both words are volatile, so they are written
 * in this order, and no other thread is to see more of it than the two pointers.
 */
static void tell_kill(void)
{
	struct st_my_thread_var *v = safepoint.var;

	if (!v || v->current_cond || v->current_mutex)
		return;
	v->current_mutex = kill_mutex;
	v->current_cond = kill_cond;
}

static void set_batches(int from, int to)
{
	int i, n = safepoint.batches;

	for (i = 0; i < n; i++)
		if (*safepoint.batch[i] == from)
			*safepoint.batch[i] = to;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	bool late = info->si_code == SI_TIMER && info->si_value.sival_ptr == (void *)&safepoint;
	int saved = errno;

	if (late && !safepoint.asked)
		return;	/* the thread got there meanwhile */
	if (safepoint.on && safepoint.timer >= 0 && !late) {
		if (!safepoint.asked) {
			safepoint.asked = 1;
			atomic_fetch_add_explicit(&deferred, 1, memory_order_relaxed); /* [SAFE-1] */
			set_batches(SERVER_BATCH_STARTED, SERVER_BATCH_NONE);
			set_timer(atomic_load_explicit(&limit_ns, memory_order_relaxed)); /* [SAFE-1] */
		}
		errno = saved;
		return;
	}
	if (late) {
		atomic_fetch_add_explicit(&forced, 1, memory_order_relaxed); /* [SAFE-1] */
		safepoint.asked = 0;
		set_batches(SERVER_BATCH_NONE, SERVER_BATCH_STARTED);
	}
	tell_kill();
	library.sa_sigaction(sig, info, context);
	errno = saved;
}

void safepoint_reached(void)
{
	safepoint.asked = 0;
	set_timer(0);
	set_batches(SERVER_BATCH_NONE, SERVER_BATCH_STARTED);
	tell_kill();
	baton_checkpoint();
}

static void end_thread(void *sp)
{
	if (safepoint.timer >= 0)
		syscall(SYS_timer_delete, safepoint.timer);
	safepoint.timer = -1;
}

static void prepare(void)
{
	once_err = pthread_key_create(&at_exit, end_thread);
}

int safepoint_init(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

	pthread_once(&once, prepare);
	if (once_err)
		return -once_err;
	if (stop_signal)
		return 0;	/* loaded before: the library's handler stands behind ours already */
	sigfillset(&sa.sa_mask);
	if (sigaction(sig, NULL, &library))
		return -errno;
	if (!(library.sa_flags & SA_SIGINFO))
		return -EINVAL;
	if (sigaction(sig, &sa, NULL))
		return -errno;
	stop_signal = sig;
	return 0;
}

void safepoint_off(void)
{
	safepoint.on = 0;
	if (safepoint.asked) {
		safepoint.asked = 0;
		set_timer(0);
		set_batches(SERVER_BATCH_NONE, SERVER_BATCH_STARTED);
	}
}

void safepoint_kill(mysql_mutex_t *mutex, mysql_cond_t *cond)
{
	kill_mutex = mutex;
	kill_cond = cond;
}

void safepoint_limit(uint64_t ns)
{
	atomic_store_explicit(&limit_ns, ns, memory_order_relaxed); /* [SAFE-1] */
}

void safepoint_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = stop_signal };
	pthread_attr_t attr;
	size_t size;
	void *low;

	if (safepoint.stack_end || !stop_signal)
		return;
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (!pthread_attr_getstack(&attr, &low, &size)) {
		safepoint.stack = low;
		safepoint.stack_end = (char *)low + size;
	}
	pthread_attr_destroy(&attr);
	event.sigev_value.sival_ptr = (void *)&safepoint;
	event._sigev_un._tid = gettid();
	/* Without a timer the thread is stopped at once, wherever it is. */
	if (pthread_setspecific(at_exit, &safepoint) || syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &safepoint.timer))
		safepoint.timer = -1;
}

/* The handler that @state is a member of; see the head of this file. */
static int *batch_mode(const void *state)
{
	return (int *)((char *)state - 24);
}

bool safepoint_batch(const void *state, const void *table)
{
	const char *s = state;
	const void *m_psi;

	if (s >= safepoint.stack && s < safepoint.stack_end)
		return false;
	memcpy(&m_psi, s - 32, sizeof(m_psi));
	if (m_psi != table || *batch_mode(state) != SERVER_BATCH_STARTING || safepoint.batches == SAFEPOINT_BATCHES)
		return false;
	safepoint.batch[safepoint.batches] = batch_mode(state);
	safepoint.batches++;
	return true;
}

bool safepoint_is_batch(const void *state)
{
	return safepoint.batches && safepoint.batch[safepoint.batches - 1] == batch_mode(state);
}

void safepoint_batch_end(void)
{
	if (safepoint.batches)
		safepoint.batches--;
}

void safepoint_stats(struct safepoint_stats *out)
{
	out->deferred = atomic_load_explicit(&deferred, memory_order_relaxed); /* [SAFE-1] */
	out->forced = atomic_load_explicit(&forced, memory_order_relaxed); /* [SAFE-1] */
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the plugin is called by the server.
 *
 * The audit interface, which is meant for plugins, tells of connections. It does
 * not do for statements: its events leave out commands that use CPU (preparing,
 * fetching from a cursor), an EXECUTE that fails has a begin and no end, and no
 * plugin can refuse a statement there, for the server forgets errors raised at
 * that point. So the plugin also provides the server's instrumentation interface:
 * PSI_server points to a table of functions, which the performance schema
 * fills, or nobody, and which the server calls for each statement, row and wait.
 * The plugin puts a table of its own there, which passes all calls on to the one
 * before, and does something in a few of them.
 *
 * What it hands to the server where the table before handed NULL ("not
 * instrumented", always so where the performance schema is off) is `nothing`, an
 * object that says of itself that it is to be ignored, for the case that it comes
 * to the performance schema after all; where it comes back it is not passed on.
 *
 *	what the server calls			what it is for
 *	start_idle_wait				the command is over, in whatever way
 *	get_thread_statement_locker, end_...	a statement begins, ends
 *	start_statement				... of an event, which has no command
 *	set_thread_command			which command it is
 *	set_statement_text			... the statement of a query
 *	refine_statement			... it was parsed: the error of a refused one
 *	create_prepared_stmt, set_..., execute_	... the statement of an execute
 *	start_table_io_wait, end_...		a row is read or written: safepoint.c
 *	delete_current_thread			an event has ended
 *
 * (Where the server calls about mutexes, conditions and most matters of threads it
 * does so without the table.)
 *
 * Waits are told through the scheduler's functions (thread_scheduler), which
 * thd_wait_begin() and thd_wait_end() call: nobody is there, or the pool of threads.
 * They are used to say in which state a connection is. The slot of one that waits
 * is not given away in them: the server calls thd_wait_end() with its mutexes held
 * (LOCK_item_func_sleep, the table's lock, a page just read), and whoever waits for a
 * slot there makes all others wait for those. The library sees by itself that a
 * thread sleeps in the kernel.
 *
 * A pool of threads can let go of a statement whose commit is being written, and
 * resume it on another thread. A request is its thread's: so the pool's thd_resume
 * is taken away, without which statements stay where they are. That is for a server
 * that starts; one that is being resumed must not find it gone.
 *
 * Neither table is ever put back, for a thread may be on its way through it at any
 * time, and the plugin's code is never unmapped (-z nodelete). Unloaded, it passes
 * everything on.
 */
#define _GNU_SOURCE
#include "hooks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "safepoint.h"
#include "words.h"

/* [HOOKS-1]: a switch; who sees it late does once more, or once less, what it did. */
static _Atomic bool enabled;

static PSI before, ours;
static bool set;

static PSI_statement_locker_state nothing = { .m_discarded = 1 };
#define NO_STATEMENT ((PSI_statement_locker *)&nothing)
#define NO_TABLE ((struct PSI_table *)&nothing)
#define NO_IO ((struct PSI_table_locker *)&nothing)
/* A batch's, where the table before gave none. */
static char batch_mark;
#define NO_BATCH ((struct PSI_table_locker *)&batch_mark)

static bool on(void)
{
	return atomic_load_explicit(&enabled, memory_order_relaxed); /* [HOOKS-1] */
}

/* ---------------------------------------------------------------- statements */

static PSI_idle_locker *start_idle_wait(PSI_idle_locker_state *state, const char *file, uint line)
{
	conn_idle();
	return before.start_idle_wait(state, file, line);
}

static PSI_statement_locker *get_thread_statement_locker(PSI_statement_locker_state *state, PSI_statement_key key,
							 const void *charset, PSI_sp_share *sp)
{
	PSI_statement_locker *theirs = before.get_thread_statement_locker(state, key, charset, sp);
	MYSQL_THD thd = on() ? server.current_thd() : NULL;

	if (thd)
		conn_begin(thd);
	return theirs ? theirs : NO_STATEMENT;
}

static void start_statement(PSI_statement_locker *locker, const char *db, uint len, const char *file, uint line)
{
	if (locker != NO_STATEMENT)
		before.start_statement(locker, db, len, file, line);
	if (on())
		conn_begin_event();
}

static PSI_statement_locker *refine_statement(PSI_statement_locker *locker, PSI_statement_key key)
{
	PSI_statement_locker *theirs = locker != NO_STATEMENT ? before.refine_statement(locker, key) : NULL;

	if (on())
		conn_parsed();
	return theirs ? theirs : NO_STATEMENT;
}

static void set_statement_text(PSI_statement_locker *locker, const char *text, uint len)
{
	if (locker != NO_STATEMENT)
		before.set_statement_text(locker, text, len);
	if (on())
		conn_text(text, len);
}

static void end_statement(PSI_statement_locker *locker, void *da)
{
	if (locker != NO_STATEMENT)
		before.end_statement(locker, da);
	conn_end();
}

static void set_thread_command(int command)
{
	before.set_thread_command(command);
	if (on())
		conn_command(command);
}

/* Ours is told from theirs by its lowest bit, which no pointer of theirs has. */
struct prepared {
	PSI_prepared_stmt *theirs;
	bool unlocks;
	char text[LATE_TEXT];
};

static struct prepared *prepared_of(PSI_prepared_stmt *p)
{
	return (uintptr_t)p & 1 ? (struct prepared *)((uintptr_t)p & ~(uintptr_t)1) : NULL;
}

static PSI_prepared_stmt *create_prepared_stmt(void *identity, uint id, PSI_statement_locker *locker, const char *name, size_t len)
{
	PSI_prepared_stmt *theirs = locker != NO_STATEMENT ? before.create_prepared_stmt(identity, id, locker, name, len) : NULL;
	struct prepared *p = on() ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return theirs;
	p->theirs = theirs;
	return (PSI_prepared_stmt *)((uintptr_t)p | 1);
}

static void destroy_prepared_stmt(PSI_prepared_stmt *stmt)
{
	struct prepared *p = prepared_of(stmt);

	if (p)
		stmt = p->theirs;
	if (stmt)
		before.destroy_prepared_stmt(stmt);
	free(p);
}

static void reprepare_prepared_stmt(PSI_prepared_stmt *stmt)
{
	struct prepared *p = prepared_of(stmt);

	if (p)
		stmt = p->theirs;
	if (stmt)
		before.reprepare_prepared_stmt(stmt);
}

static void set_prepared_stmt_text(PSI_prepared_stmt *stmt, const char *text, uint len)
{
	struct prepared *p = prepared_of(stmt);

	if (p) {
		p->unlocks = words_unlock(text, len);
		late_cut(p->text, text, len);
		stmt = p->theirs;
	}
	if (stmt)
		before.set_prepared_stmt_text(stmt, text, len);
}

static void execute_prepared_stmt(PSI_statement_locker *locker, PSI_prepared_stmt *stmt)
{
	struct prepared *p = prepared_of(stmt);

	if (p)
		stmt = p->theirs;
	if (stmt && locker != NO_STATEMENT)
		before.execute_prepared_stmt(locker, stmt);
	if (on())
		conn_execute(p ? p->text : "(prepared statement)", p && p->unlocks);
}

/* -------------------------------------------------------------------- tables */

static struct PSI_table *open_table(struct PSI_table_share *share, const void *identity)
{
	struct PSI_table *theirs = before.open_table(share, identity);

	return theirs ? theirs : NO_TABLE;
}

static struct PSI_table *rebind_table(struct PSI_table_share *share, const void *identity, struct PSI_table *table)
{
	struct PSI_table *theirs = before.rebind_table(share, identity, table != NO_TABLE ? table : NULL);

	return theirs ? theirs : NO_TABLE;
}

static void unbind_table(struct PSI_table *table)
{
	if (table != NO_TABLE)
		before.unbind_table(table);
}

static void close_table(struct TABLE_SHARE *share, struct PSI_table *table)
{
	before.close_table(share, table != NO_TABLE ? table : NULL);
}

static struct PSI_table_locker *start_table_io_wait(struct PSI_table_locker_state *state, struct PSI_table *table,
						    enum PSI_table_io_operation op, uint index, const char *file, uint line)
{
	struct PSI_table_locker *theirs = NULL;
	bool batch;

	safepoint_look();
	batch = safepoint.on && safepoint_batch(state, table);
	if (table != NO_TABLE)
		theirs = before.start_table_io_wait(state, table, op, index, file, line);
	return theirs ? theirs : batch ? NO_BATCH : NULL;
}

static void end_table_io_wait(struct PSI_table_locker *locker, ulonglong rows)
{
	/* The performance schema's locker of a batch is the state that the batch began with. */
	if (locker == NO_BATCH || safepoint_is_batch(locker))
		safepoint_batch_end();
	if (locker != NO_BATCH)
		before.end_table_io_wait(locker, rows);
}

static struct PSI_table_locker *start_table_lock_wait(struct PSI_table_locker_state *state, struct PSI_table *table,
						      enum PSI_table_lock_operation op, ulong flags, const char *file, uint line)
{
	return table != NO_TABLE ? before.start_table_lock_wait(state, table, op, flags, file, line) : NULL;
}

static void unlock_table(struct PSI_table *table)
{
	if (table != NO_TABLE)
		before.unlock_table(table);
}

/* ------------------------------------------------------------ threads and waits */

static void delete_current_thread(void)
{
	conn_thread_ends();
	before.delete_current_thread();
}

static void (*pool_wait_begin)(MYSQL_THD thd, int type);
static void (*pool_wait_end)(MYSQL_THD thd);

bool hooks_has_pool(void)
{
	return pool_wait_begin;
}

void hooks_pool_wait_begin(MYSQL_THD thd)
{
	if (pool_wait_begin)
		pool_wait_begin(thd, THD_WAIT_USER_LOCK);
}

void hooks_pool_wait_end(MYSQL_THD thd)
{
	if (pool_wait_end)
		pool_wait_end(thd);
}

static void wait_begin(MYSQL_THD thd, int type)
{
	conn_wait_begin(type);
	if (pool_wait_begin)
		pool_wait_begin(thd, type);
}

static void wait_end(MYSQL_THD thd)
{
	if (pool_wait_end)
		pool_wait_end(thd);
	conn_wait_end();
}

void hooks_enable(bool yes)
{
	atomic_store_explicit(&enabled, yes, memory_order_relaxed); /* [HOOKS-1] */
}

static void set_scheduler(struct scheduler_functions *f)
{
	__atomic_store_n(&f->thd_wait_begin, wait_begin, __ATOMIC_RELEASE);
	__atomic_store_n(&f->thd_wait_end, wait_end, __ATOMIC_RELEASE);
	f->thd_resume = NULL;
}

int hooks_set(bool starting)
{
	if (set)
		return 0;
	if ((*server.scheduler)->thd_resume && !starting)
		return -EBUSY;
	set = true;
	before = **server.psi;
	ours = before;
	ours.start_idle_wait = start_idle_wait;
	ours.get_thread_statement_locker = get_thread_statement_locker;
	ours.start_statement = start_statement;
	ours.refine_statement = refine_statement;
	ours.set_statement_text = set_statement_text;
	ours.end_statement = end_statement;
	ours.set_thread_command = set_thread_command;
	ours.create_prepared_stmt = create_prepared_stmt;
	ours.destroy_prepared_stmt = destroy_prepared_stmt;
	ours.reprepare_prepared_stmt = reprepare_prepared_stmt;
	ours.set_prepared_stmt_text = set_prepared_stmt_text;
	ours.execute_prepared_stmt = execute_prepared_stmt;
	ours.open_table = open_table;
	ours.rebind_table = rebind_table;
	ours.unbind_table = unbind_table;
	ours.close_table = close_table;
	ours.start_table_io_wait = start_table_io_wait;
	ours.end_table_io_wait = end_table_io_wait;
	ours.start_table_lock_wait = start_table_lock_wait;
	ours.unlock_table = unlock_table;
	ours.delete_current_thread = delete_current_thread;
	/* The server reads the pointer, then the table; on its processors that needs no more. [HOOKS-2] */
	__atomic_store_n(server.psi, &ours, __ATOMIC_RELEASE);

	pool_wait_begin = (*server.scheduler)->thd_wait_begin;
	pool_wait_end = (*server.scheduler)->thd_wait_end;
	set_scheduler(*server.scheduler);
	if (*server.extra_scheduler != *server.scheduler && (*server.extra_scheduler)->thd_wait_begin == pool_wait_begin)
		set_scheduler(*server.extra_scheduler);
	return 0;
}

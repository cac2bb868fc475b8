// SPDX-License-Identifier: GPL-2.0-or-later
#include "db.h"

#include <baton/sched.h>
#include <baton/sync.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

/*
 * Files. fsync takes milliseconds, in which the CPU should be somebody else's: the
 * files' method for it is replaced by one that says so. Writes to temporary files and to logs are counted against
 * limits. SQLite has several sets of methods: a log's file is not locked, and has another than
 * its database.
 */
#define METHOD_SETS 8

/* Behind each file's own struct. */
struct extra {
	bool temp, log;
	int64_t size;		/* a temporary file's, as far as it was written */
};

static sqlite3_vfs vfs;
static int own_size;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
/* Filled from the first on, with the lock; a file's set was written before its methods are called. */
static struct {
	const sqlite3_io_methods *real;
	sqlite3_io_methods ours;
} sets[METHOD_SETS];
static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct db_limits limits;
/* Bytes in temporary files of this thread's session. */
static __thread int64_t temp_used;

static __thread struct {
	sqlite3 *db;
	bool (*ended)(void *arg);
	void *arg;
} watch;

void db_watch(sqlite3 *db, bool (*ended)(void *arg), void *arg)
{
	watch.db = db;
	watch.ended = ended;
	watch.arg = arg;
}

static const sqlite3_io_methods *real_of(sqlite3_file *f)
{
	int i = 0;

	while (f->pMethods != &sets[i].ours)
		i++;
	return sets[i].real;
}

static struct extra *extra_of(sqlite3_file *f)
{
	return (struct extra *)((char *)f + own_size);
}

static int sync_away(sqlite3_file *f, int flags)
{
	int rc;

	baton_blocking_begin();
	rc = real_of(f)->xSync(f, flags);
	baton_blocking_end();
	return rc;
}

static int write_counted(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct extra *x = extra_of(f);
	int64_t more;

	if (x->log && limits.database && at + n > limits.database)
		return SQLITE_FULL;
	if (x->temp) {
		more = at + n > x->size ? at + n - x->size : 0;
		if (limits.temp && temp_used + more > limits.temp)
			return SQLITE_FULL;
		x->size += more;
		temp_used += more;
	}
	return real_of(f)->xWrite(f, p, n, at);
}

static int read_watched(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	if (watch.ended && watch.ended(watch.arg))
		sqlite3_interrupt(watch.db);
	return real_of(f)->xRead(f, p, n, at);
}

static int close_counted(sqlite3_file *f)
{
	struct extra *x = extra_of(f);

	if (x->temp)
		temp_used -= x->size;
	return real_of(f)->xClose(f);
}

static int open_file(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
	int rc = real_open(v, name, f, flags, out), i;

	*extra_of(f) = (struct extra){
		.temp = flags & (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL | SQLITE_OPEN_SUBJOURNAL),
		.log = flags & SQLITE_OPEN_WAL,
	};
	if (rc || !f->pMethods)
		return rc;
	pthread_mutex_lock(&sets_lock);
	for (i = 0; i < METHOD_SETS && sets[i].real && sets[i].real != f->pMethods; i++)
		;
	if (i < METHOD_SETS && !sets[i].real) {
		sets[i].ours = *f->pMethods;
		sets[i].ours.xSync = sync_away;
		sets[i].ours.xRead = read_watched;
		sets[i].ours.xWrite = write_counted;
		sets[i].ours.xClose = close_counted;
		sets[i].real = f->pMethods;
	}
	if (i < METHOD_SETS)
		f->pMethods = &sets[i].ours;
	pthread_mutex_unlock(&sets_lock);
	return i < METHOD_SETS ? 0 : (f->pMethods->xClose(f), f->pMethods = NULL, SQLITE_CANTOPEN);
}

/* ------------------------------------------------------------------ memory */

static int m_roundup(int n)
{
	return (n + 7) & ~7;
}

static int m_init(void *arg)
{
	return 0;
}

static void m_shutdown(void *arg)
{
}

int db_setup(const char *temp_dir)
{
	static const sqlite3_mem_methods methods = { mem_alloc, mem_free, mem_realloc, mem_size, m_roundup, m_init, m_shutdown, NULL };
	sqlite3_vfs *unix_vfs;
	int rc;

	/* A connection has one thread; statistics of memory would be a global lock. */
	rc = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	if (!rc)
		rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (!rc)
		rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
	if (!rc)
		rc = sqlite3_initialize();
	unix_vfs = rc ? NULL : sqlite3_vfs_find("unix");
	if (!unix_vfs)
		return rc ? rc : SQLITE_ERROR;
	sqlite3_temp_directory = sqlite3_mprintf("%s", temp_dir);
	vfs = *unix_vfs;
	vfs.pNext = NULL;
	vfs.zName = "batondb";
	own_size = (vfs.szOsFile + 15) & ~15;
	vfs.szOsFile = own_size + (int)sizeof(struct extra);
	real_open = vfs.xOpen;
	vfs.xOpen = open_file;
	return sqlite3_vfs_register(&vfs, 0);
}

void db_limits(const struct db_limits *l)
{
	limits = *l;
}

int db_open(const char *path, struct guard *g, sqlite3 **out, int max_value, bool full_sync)
{
	char sql[300];
	int rc;

	rc = sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, "batondb");
	if (!rc)
		rc = guard_apply(*out, g, max_value);
	if (rc)
		return rc;
	/* The write lock keeps writers apart; this is for checkpoints and mixed modes. */
	sqlite3_busy_timeout(*out, 10000);
	snprintf(sql, sizeof(sql), "pragma journal_mode = wal; pragma synchronous = %s; pragma cache_size = -4096; pragma temp_store = file; "
		 "pragma max_page_count = %lld", full_sync ? "full" : "normal",
		 limits.database ? (long long)(limits.database / 4096) : 4294967294LL);
	g->kind = GUARD_INTERNAL;
	rc = sqlite3_exec(*out, sql, NULL, NULL, NULL);
	g->kind = GUARD_QUERY;
	return rc;
}

/* Nobody can wake a thread that waits for this one: it looks around itself. */
#define LOOK_NS 20000000ULL

static int plain_lock(struct database *d, uint64_t deadline, const _Atomic int *cancel)
{
	struct timespec ts;
	uint64_t until;
	int rc;

	do {
		until = baton_clock_now() + LOOK_NS;
		until = until < deadline ? until : deadline;
		ts = (struct timespec){ (time_t)(until / 1000000000), (long)(until % 1000000000) };
		rc = pthread_mutex_clocklock(&d->plain, CLOCK_MONOTONIC, &ts);
	} while (rc == ETIMEDOUT && until < deadline && !*cancel);
	return !rc ? 0 : until < deadline ? -ECANCELED : -ETIMEDOUT;
}

int db_lock(struct database *d, bool task, uint64_t deadline, const _Atomic int *cancel)
{
	return task ? baton_mutex_lock_until(d->fair, deadline) : plain_lock(d, deadline, cancel);
}

void db_unlock(struct database *d, bool task)
{
	if (task)
		baton_mutex_unlock(d->fair);
	else
		pthread_mutex_unlock(&d->plain);
}

/* ----------------------------------------------------------------- errors */

/* SQLSTATEs: of codes of SQLite's, the extended ones first; and of what messages say, where SQLite has one code for all. */
static const struct {
	int rc;
	const char *code, *hint;
} codes[] = {
	{ SQLITE_CONSTRAINT_UNIQUE, "23505", NULL }, { SQLITE_CONSTRAINT_PRIMARYKEY, "23505", NULL }, { SQLITE_CONSTRAINT_ROWID, "23505", NULL },
	{ SQLITE_CONSTRAINT_NOTNULL, "23502", NULL }, { SQLITE_CONSTRAINT_FOREIGNKEY, "23503", NULL }, { SQLITE_CONSTRAINT_CHECK, "23514", NULL },
	{ SQLITE_CONSTRAINT, "23000", NULL }, { SQLITE_IOERR_NOMEM, "53200", NULL }, { SQLITE_NOMEM, "53200", NULL },
	{ SQLITE_FULL, "53100", "The disk is full, or a limit of batondb's is reached (temp_file_limit, database_size_limit)." },
	{ SQLITE_BUSY_SNAPSHOT, "40001", NULL }, { SQLITE_BUSY, "55P03", NULL }, { SQLITE_LOCKED, "55P03", NULL },
	{ SQLITE_READONLY, "25006", NULL }, { SQLITE_TOOBIG, "54000", NULL }, { SQLITE_IOERR, "58030", NULL },
	{ SQLITE_MISMATCH, "42804", "LIMIT, OFFSET and an INTEGER PRIMARY KEY are integers." },
	{ SQLITE_CORRUPT, "XX001", NULL }, { SQLITE_NOTADB, "XX001", NULL },
};

static const struct {
	const char *part, *code;
} messages[] = {
	{ "no such table", "42P01" }, { "no such view", "42P01" }, { "no such index", "42704" }, { "no such column", "42703" },
	{ "has no column named", "42703" }, { "no such savepoint", "3B001" }, { "no such function", "42883" },
	{ "wrong number of arguments", "42883" }, { "ambiguous column name", "42702" }, { "misuse of aggregate", "42803" },
	{ "too complex", "54000" }, { "too big", "54000" }, { "too many ", "54000" }, { "parser stack overflow", "54001" },
	{ "Expression tree is too large", "54001" }, { "integer overflow", "22003" }, { "already exists", "42P07" }, { "syntax error", "42601" },
	{ "incomplete input", "42601" }, { "unrecognized token", "42601" }, { "values for", "42601" }, { "values were supplied", "42601" },
	{ "permission", "42501" }, { "function", "42883" }, { "reserved", "42939" }, { "not supported", "0A000" },
};

void db_error(sqlite3 *db, int rc, struct guard *g, struct sql_error *e)
{
	const char *code = NULL, *m = sqlite3_errmsg(db);
	unsigned i;

	memset(e, 0, sizeof(*e));
	if (*g->why && ((rc & 255) == SQLITE_AUTH || (rc & 255) == SQLITE_ERROR)) {
		m = g->why;
		e->hint = strstr(m, "function") ? "Functions of SQLite are there as far as they are known to end." : NULL;
	}
	for (i = 0; i < sizeof(codes) / sizeof(*codes) && !code; i++)
		if (rc == codes[i].rc || (rc & 255) == codes[i].rc) {
			code = codes[i].code;
			e->hint = codes[i].hint;
		}
	if ((rc & 255) == SQLITE_INTERRUPT) {
		code = "57014";
		m = "canceling statement due to user request";
	} else if ((rc & 255) == SQLITE_IOERR && sqlite3_system_errno(db) == ENOSPC) {
		code = "53100";
	}
	/* An SQLSTATE of our own functions' making. */
	if (!code && strlen(m) > 6 && m[5] == ':' && strspn(m, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5) {
		snprintf(e->code, sizeof(e->code), "%.5s", m);
		m += 6;
	} else {
		for (i = 0; i < sizeof(messages) / sizeof(*messages) && !code; i++)
			code = strstr(m, messages[i].part) ? messages[i].code : NULL;
		snprintf(e->code, sizeof(e->code), "%s", code ? code : m == g->why ? "0A000" : "42000");
	}
	snprintf(e->text, sizeof(e->text), "%s", m);
	*g->why = 0;
}

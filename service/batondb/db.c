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
	int64_t size;		/* of a temporary file, as far as it was written */
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
/* Of temporary files of this thread's session. */
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

static void *m_alloc(int n)
{
	return mem_alloc((size_t)n);
}

static void *m_realloc(void *p, int n)
{
	return mem_realloc(p, (size_t)n);
}

static int m_size(void *p)
{
	return (int)mem_size(p);
}

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
	static const sqlite3_mem_methods methods = { m_alloc, mem_free, m_realloc, m_size, m_roundup, m_init, m_shutdown, NULL };
	sqlite3_vfs *unix_vfs;
	sqlite3 *db;
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
	rc = sqlite3_vfs_register(&vfs, 0);
	if (!rc)
		rc = sqlite3_open(":memory:", &db);
	if (!rc)
		rc = guard_setup(db);
	if (!rc)
		rc = sqlite3_close(db);
	return rc;
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

static void say(struct db_error *e, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct db_error *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(e->code, sizeof(e->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
}

/* "t.a, t.b": the unique index over these columns. */
static void unique_index(sqlite3 *db, struct guard *g, const char *columns, struct db_error *e)
{
	static const char find[] =
		"select l.name from pragma_index_list(?1) l where l.\"unique\" and "
		"(select group_concat(?1 || '.' || i.name, ', ') from pragma_index_info(l.name) i) = ?2";
	const char *dot = strchr(columns, '.');
	enum guard_kind kind;
	sqlite3_stmt *s;
	int rc;

	if (!dot)
		return;
	snprintf(e->table, sizeof(e->table), "%.*s", (int)(dot - columns), columns);
	kind = g->kind;
	g->kind = GUARD_INTERNAL;
	rc = sqlite3_prepare_v2(db, find, -1, &s, NULL);
	if (rc) {
		g->kind = kind;
		return;
	}
	sqlite3_bind_text(s, 1, e->table, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, columns, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		snprintf(e->constraint, sizeof(e->constraint), "%s", sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	g->kind = kind;
}

static void constraint(sqlite3 *db, struct guard *g, int rc, const char *m, struct db_error *e)
{
	const char *what = strstr(m, "failed: "), *dot;

	what = what ? what + 8 : "";
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		if (!strncmp(what, "index '", 7))
			snprintf(e->constraint, sizeof(e->constraint), "%.*s", (int)strcspn(what + 7, "'"), what + 7);
		else
			unique_index(db, g, what, e);
		say(e, "23505", "duplicate key value violates unique constraint \"%s\"", *e->constraint ? e->constraint : what);
		return;
	case SQLITE_CONSTRAINT_NOTNULL:
		dot = strchr(what, '.');
		if (dot) {
			snprintf(e->table, sizeof(e->table), "%.*s", (int)(dot - what), what);
			snprintf(e->column, sizeof(e->column), "%s", dot + 1);
		}
		say(e, "23502", "null value in column \"%s\" of relation \"%s\" violates not-null constraint", e->column, e->table);
		return;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		say(e, "23503", "insert or update or delete violates a foreign key constraint");
		return;
	case SQLITE_CONSTRAINT_CHECK:
		snprintf(e->constraint, sizeof(e->constraint), "%s", what);
		say(e, "23514", "new row violates check constraint \"%s\"", what);
		return;
	default:
		say(e, "23000", "%s", m);
	}
}

static const struct {
	const char *begins, *code, *message;	/* %s: what follows */
} known[] = {
	{ "no such table: ", "42P01", "relation \"%s\" does not exist" },
	{ "no such view: ", "42P01", "view \"%s\" does not exist" },
	{ "no such index: ", "42704", "index \"%s\" does not exist" },
	{ "no such column: ", "42703", "column \"%s\" does not exist" },
	{ "no such savepoint: ", "3B001", "savepoint \"%s\" does not exist" },
	{ "no such function: ", "42883", "function %s does not exist" },
	{ "wrong number of arguments to function ", "42883", "function %s does not exist with so many arguments" },
	{ "ambiguous column name: ", "42702", "column reference \"%s\" is ambiguous" },
	{ "misuse of aggregate", "42803", "aggregate functions are not allowed here%s" },
	{ "LIKE or GLOB pattern too complex", "54000", "pattern too complex%s" },
	{ "string or blob too big", "54000", "value too large%s" },
	{ "too many ", "54000", "too many %s" },
	{ "parser stack overflow", "54001", "expression too complex%s" },
	{ "Expression tree is too large", "54001", "expression too complex%s" },
	{ "integer overflow", "22003", "bigint out of range%s" },
};

static void plain_error(sqlite3 *db, const char *m, struct db_error *e)
{
	const char *near, *end, *has;
	unsigned i;

	e->at = sqlite3_error_offset(db);

	/* An SQLSTATE of our own functions' making. */
	if (strlen(m) > 6 && m[5] == ':' && strspn(m, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5) {
		char code[6];

		memcpy(code, m, 5);
		code[5] = 0;
		say(e, code, "%s", m + 6);
		return;
	}
	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strncmp(m, known[i].begins, strlen(known[i].begins))) {
			snprintf(e->code, sizeof(e->code), "%s", known[i].code);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(e->message, sizeof(e->message), known[i].message, m + strlen(known[i].begins));
#pragma GCC diagnostic pop
			return;
		}
	if (!strncmp(m, "near \"", 6) && (end = strstr(m, "\": syntax error"))) {
		near = m + 6;
		say(e, "42601", "syntax error at or near \"%.*s\"", (int)(end - near), near);
		return;
	}
	if (!strcmp(m, "incomplete input")) {
		say(e, "42601", "syntax error at end of input");
		return;
	}
	if (!strncmp(m, "table ", 6) && (has = strstr(m, " has no column named "))) {
		say(e, "42703", "column \"%s\" of relation \"%.*s\" does not exist", has + 21, (int)(has - m - 6), m + 6);
		return;
	}
	has = strstr(m, " already exists");
	if (has) {
		near = strchr(m, ' ') + 1;
		say(e, "42P07", "relation \"%.*s\" already exists", (int)(has - near), near);
		return;
	}
	if ((strstr(m, "values for") && strstr(m, "columns")) || (!strncmp(m, "table ", 6) && strstr(m, " values were supplied"))) {
		say(e, "42601", "INSERT has more or fewer expressions than target columns");
		return;
	}
	if (strstr(m, "unrecognized token")) {
		say(e, "42601", "syntax error: %s", m);
		return;
	}
	say(e, "42000", "%s", m);
}

void db_error(sqlite3 *db, int rc, struct guard *g, struct db_error *e)
{
	char m[400];

	memset(e, 0, sizeof(*e));
	e->at = -1;
	snprintf(m, sizeof(m), "%s", sqlite3_errmsg(db));
	if (*g->why && ((rc & 255) == SQLITE_AUTH || (rc & 255) == SQLITE_ERROR)) {
		say(e, strstr(g->why, "permission") ? "42501" : strstr(g->why, "function") ? "42883" : strstr(g->why, "reserved") ? "42939" :
		    "0A000", "%s", g->why);
		if (!strcmp(e->code, "42883"))
			e->hint = "batondb(8) lists the functions that there are.";
		*g->why = 0;
		return;
	}
	switch (rc & 255) {
	case SQLITE_CONSTRAINT:
		constraint(db, g, rc, m, e);
		return;
	case SQLITE_INTERRUPT:
		say(e, "57014", "canceling statement due to user request");
		return;
	case SQLITE_FULL:
		say(e, "53100", "could not write: the disk is full, or a limit of batondb's is reached (temp_file_limit, database_size_limit)");
		return;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_NOMEM)
			say(e, "53200", "out of memory");
		else if (sqlite3_system_errno(db) == ENOSPC)
			say(e, "53100", "could not write to the database: no space left on device");
		else
			say(e, "58030", "could not read or write the database: %s", m);
		return;
	case SQLITE_NOMEM:
		say(e, "53200", "out of memory");
		return;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		if (rc == SQLITE_BUSY_SNAPSHOT)
			say(e, "40001", "could not serialize access due to concurrent update");
		else
			say(e, "55P03", "could not obtain lock on the database");
		return;
	case SQLITE_READONLY:
		say(e, "25006", "cannot write: the database is read-only");
		return;
	case SQLITE_TOOBIG:
		say(e, "54000", "value too large");
		return;
	case SQLITE_MISMATCH:
		say(e, "42804", "datatype mismatch: LIMIT, OFFSET and an INTEGER PRIMARY KEY are integers");
		return;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		say(e, "XX001", "the database file is damaged: %s", m);
		return;
	default:
		plain_error(db, m, e);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parts of SQLite that a statement reaches: every function, table and kind of statement that this
 * SQLite has is tried through batondb's authorizer, and what is let through is in reachable.txt. A SQLite that has
 * more does not reach it; whoever lets something more through changes the list.
 */
#include <stdlib.h>

#include "session.h"
#include "tap.h"

static struct guard guard;
static struct session session;
struct server server;
static char dir[] = "/tmp/batondb-reachable.XXXXXX";

static void remove_all(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		perror(command);
}

static sqlite3 *fresh(void)
{
	static bool ready;
	char path[100];
	sqlite3 *db;

	if (!ready) {
		CHECK(mkdtemp(dir));
		atexit(remove_all);
		CHECK(!db_setup(dir));
		ready = true;
	}
	snprintf(path, sizeof(path), "%s/x.db", dir);
	unlink(path);
	CHECK(!sqlite3_open(path, &db));
	CHECK(!sqlite3_close(db));
	CHECK(!db_open(path, &guard, &db, 1 << 20, false));
	CHECK(!funcs_register(db, &session));
	guard.kind = GUARD_INTERNAL;
	CHECK(!view_register(db));
	CHECK(!sqlite3_exec(db, "create table t (a); create view v as select a from t", NULL, NULL, NULL));
	guard.kind = GUARD_QUERY;
	return db;
}

/* Whether it is prepared; and not refused for another reason, as far as can be told. */
static bool prepared(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	bool ok = !sqlite3_prepare_v2(db, sql, -1, &st, NULL) && st;

	sqlite3_finalize(st);
	return ok;
}

static char *names(sqlite3 *db, const char *sql)
{
	char *all = sqlite3_mprintf("%s", " ");
	sqlite3_stmt *st;

	guard.kind = GUARD_INTERNAL;
	CHECK(!sqlite3_prepare_v2(db, sql, -1, &st, NULL));
	while (sqlite3_step(st) == SQLITE_ROW)
		all = sqlite3_mprintf("%z%s ", all, sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	guard.kind = GUARD_QUERY;
	return all;
}

static bool listed(FILE *f, const char *kind, const char *name)
{
	char line[100], want[100];

	snprintf(want, sizeof(want), "%s %s\n", kind, name);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (!strcmp(line, want))
			return true;
	return false;
}

static void each(char *all, void (*fn)(const char *name))
{
	char *save, *name;

	for (name = strtok_r(all, " ", &save); name; name = strtok_r(NULL, " ", &save))
		fn(name);
	sqlite3_free(all);
}

static sqlite3 *db;
static FILE *list;

static void one_function(const char *name)
{
	static const char *const args[] = { "", "a", "a, a", "a, a, a", "a, a, a, a" };
	bool reached = false;
	char sql[200];
	unsigned i;

	for (i = 0; i < 5; i++) {
		snprintf(sql, sizeof(sql), "select \"%s\"(%s) from t", name, args[i]);
		reached |= prepared(db, sql);
		snprintf(sql, sizeof(sql), "select \"%s\"(%s) over () from t", name, args[i]);
		reached |= prepared(db, sql);
	}
	if (getenv("REACHABLE") && reached)
		printf("# function %s\n", name);
	CHECK_MSG(!reached || listed(list, "function", name), "function %s() is reached", name);
}

static void one_table(const char *name)
{
	char sql[200];
	bool reached;

	snprintf(sql, sizeof(sql), "select * from \"%s\"", name);
	reached = prepared(db, sql);
	snprintf(sql, sizeof(sql), "select * from \"%s\"('t')", name);
	reached |= prepared(db, sql);
	snprintf(sql, sizeof(sql), "create virtual table x using \"%s\"(a)", name);
	CHECK_MSG(!prepared(db, sql) || sqlite3_exec(db, sql, NULL, NULL, NULL), "a virtual table of %s can be made", name);
	if (getenv("REACHABLE") && reached)
		printf("# table %s\n", name);
	CHECK_MSG(!reached || listed(list, "table", name), "table %s is reached", name);
}

static void one_pragma(const char *name)
{
	char sql[200];

	snprintf(sql, sizeof(sql), "pragma %s", name);
	CHECK_MSG(!prepared(db, sql), "%s is reached", sql);
	snprintf(sql, sizeof(sql), "select * from pragma_%s", name);
	CHECK_MSG(!prepared(db, sql), "%s is reached", sql);
	snprintf(sql, sizeof(sql), "select * from pragma_%s('t')", name);
	CHECK_MSG(!prepared(db, sql), "%s is reached", sql);
}

static void open_all(void)
{
	char path[1000];

	db = fresh();
	snprintf(path, sizeof(path), "%s/selftests/service/reachable.txt", getenv("TOP") ? getenv("TOP") : ".");
	list = fopen(path, "r");
	CHECK_MSG(list, "cannot open %s", path);
}

TEST(functions)
{
	open_all();
	each(names(db, "select distinct name from pragma_function_list union select 'load_extension' union select 'fts3_tokenizer' order by 1"),
	     one_function);
}

TEST(tables)
{
	open_all();
	each(names(db, "select name from pragma_module_list union select column1 from (values ('sqlite_schema'), ('sqlite_master'), ('sqlite_sequence'), "
		       "('sqlite_stat1'), ('sqlite_dbpage'), ('dbstat'), ('sqlite_stmt'), ('bytecode'), ('tables_used'), ('fts3tokenize'), "
		       "('json_each'), ('json_tree'), ('sqlite_temp_schema'), ('pragma_table_info'), ('completion'), ('generate_series'), ('baton_roles'), ('baton_databases'), "
		       "('pg_stat_activity'), ('baton_stat_tenants')) order by 1"),
	     one_table);
}

TEST(pragmas)
{
	open_all();
	each(names(db, "select name from pragma_pragma_list"), one_pragma);
}

TEST(statements)
{
	/* ok: as DDL, where it changes the schema. */
	static const struct { const char *sql; bool ddl, ok; } cases[] = {
		{ "select * from t", false, true }, { "insert into t values (1)", false, true }, { "create table x (a int)", true, true },
		{ "create index i on t (a)", true, true }, { "alter table t rename to u", true, true }, { "drop table t", true, true },
		{ "alter table t add column b int not null default 1", true, true }, { "alter table t rename column a to b", true, true },
		{ "insert into sqlite_master values (1, 2, 3, 4, 5)", false, false }, { "update sqlite_schema set sql = 'x'", false, false },
		{ "delete from sqlite_master", true, false }, { "create table sqlite_x (a)", true, false }, { "create table pg_x (a)", true, false },
		{ "create table baton_x (a)", true, false }, { "create table json_each (a)", true, true }, { "create view pragma_x as select 1", true, false },
		{ "create temp table x (a)", true, false }, { "create temp view x as select 1", true, false },
		{ "create trigger x after insert on t begin select 1; end", true, false },
		{ "create virtual table x using fts5(a)", true, false }, { "create virtual table x using rtree(a, b, c)", true, false },
		{ "attach 'x' as y", true, false }, { "attach ':memory:' as y", false, false }, { "detach main", false, false },
		{ "begin", false, false }, { "savepoint x", false, false }, { "commit", false, false },
		{ "drop table sqlite_master", true, false }, { "alter table sqlite_master rename to x", true, false },
		{ "create table x as select load_extension('x')", true, false }, { "create view x as select * from t", true, true },
		{ "select * from v", false, true }, { "analyze", false, false },
	};
	unsigned i;
	bool ok;

	open_all();
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		guard.kind = cases[i].ddl ? GUARD_DDL : GUARD_QUERY;
		ok = prepared(db, cases[i].sql);
		guard.kind = GUARD_QUERY;
		CHECK_MSG(ok == cases[i].ok, "%s: %s", cases[i].sql, ok ? "taken" : sqlite3_errmsg(db));
	}
	/* A view's text is judged when it is used. */
	guard.kind = GUARD_INTERNAL;
	CHECK(!sqlite3_exec(db, "create view w as select pg_sleep(5); create view y as select * from pragma_table_info('t'); "
				"create view z as select * from pg_stat_activity", NULL, NULL, NULL));
	guard.kind = GUARD_QUERY;
	CHECK(!prepared(db, "select * from w"));
	CHECK(!prepared(db, "select * from y"));
	CHECK(!prepared(db, "select * from z"));
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A change of roles, databases or the system is done as a whole or not at all: each of its writes is made to
 * fail in turn, and then neither what is in memory nor what is in the file may be another.
 */
#include <baton/baton.h>
#include <dirent.h>
#include <stdlib.h>

#include "priv.h"
#include "session.h"
#include "tap.h"

struct server server = { .admin = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static char dir[] = "/tmp/batondb-faults.XXXXXX";
static unsigned writes, failing;

static bool fault(void)
{
	return ++writes == failing;
}

static void remove_all(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		perror(command);
}

static void begin(void)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1, .low_limit_ppm = 700000 };
	char why[200];
	struct buf text;

	if (server.control)
		return;
	CHECK(mkdtemp(dir));
	atexit(remove_all);
	conf_init(&server.conf);
	buf_init(&text, 1000);
	buf_fmt(&text, "data_dir %s\n", dir);
	CHECK_MSG(!conf_parse(&server.conf, &text, "test", why, sizeof(why)), "%s", why);
	buf_free(&text);
	CHECK(!baton_sched_create(&server.sched, &so));
	CHECK(!db_setup(dir));
	CHECK(!database_load() && !role_load());
	role_fault = fault;
}

static const char *run(const char *sql, const char *user, const char **code)
{
	const struct lex_tok *at;
	const char *why;
	struct priv p;
	struct lex l;

	CHECK(lex(&l, sql, strlen(sql)));
	CHECK_MSG(priv_parse(&p, l.tok, lex_statement(l.tok), &at, &why), "%s: a syntax error", sql);
	why = role_do(&p, user, code);
	priv_free(&p);
	lex_free(&l);
	return why;
}

static void rows_of(struct buf *b, const char *sql)
{
	sqlite3_stmt *st;
	int i;

	CHECK(!sqlite3_prepare_v2(server.control, sql, -1, &st, NULL));
	for (; sqlite3_step(st) == SQLITE_ROW; buf_ch(b, '\n'))
		for (i = 0; i < sqlite3_column_count(st); i++)
			buf_fmt(b, "%s|", sqlite3_column_text(st, i) ? (const char *)sqlite3_column_text(st, i) : "-");
	sqlite3_finalize(st);
}

/* All there is: in memory, in the scheduler, in the file, in the directory. */
static void state(struct buf *b)
{
	struct baton_tenant_stats ts;
	struct database *d;
	struct role *r;
	unsigned files = 0;
	char path[100];
	DIR *base;

	buf_clear(b, 1 << 16);
	for (r = server.roles; r; r = r->next) {
		if (r->dropped)
			continue;
		memset(&ts, 0, sizeof(ts));
		baton_tenant_stats(r->tenant, &ts, sizeof(ts));
		buf_fmt(b, "%s %d %s %u %u %d %u\n", r->name, r->is.super, r->is.verifier ? r->is.verifier : "-",
			r->is.low_ppm, r->is.high_ppm, r->is.cls, (unsigned)(ts.low_left / 1000000));
	}
	for (d = server.databases; d; d = d->next)
		files++;
	buf_fmt(b, "quotas %d, databases %u\n", (int)server.quotas, files);
	snprintf(path, sizeof(path), "%s/base", dir);
	base = opendir(path);
	CHECK(base);
	for (files = 0; readdir(base);)
		files++;
	closedir(base);
	buf_fmt(b, "files %u\n", files);
	rows_of(b, "select * from role order by name");
	rows_of(b, "select quotas from system");
	CHECK(sqlite3_get_autocommit(server.control));
}

TEST(whole_or_not_at_all)
{
	static const char *const statements[] = {
		"create user a password 'x'", "create role r superuser", "alter user a superuser password 'y'", "alter user a nosuperuser",
		"alter user a set baton.low_latency = '10%'", "alter user a set baton.high_latency = '20%'", "alter user a set baton.class = batch",
		"alter user a reset baton.low_latency", "alter user a reset baton.class", "alter system set baton.quotas = off",
		"alter system reset baton.quotas", "create database d", "drop database d", "alter user a password null",
		"drop user a", "drop role r",
	};
	struct buf before = { 0 }, after = { 0 };
	const char *why, *code;
	unsigned i;

	begin();
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	for (i = 0; i < sizeof(statements) / sizeof(*statements); i++) {
		state(&before);
		for (failing = 1;; failing++) {
			writes = 0;
			why = run(statements[i], "postgres", &code);
			if (writes < failing)
				break;
			CHECK_MSG(why && (!strcmp(code, "58030")), "%s: write %u failed, and it says %s", statements[i], failing, why ? code : "it is done");
			state(&after);
			CHECK_MSG(!strcmp(buf_cstr(&before), buf_cstr(&after)), "%s, write %u failed:\n%s\nwas\n%s", statements[i], failing, buf_cstr(&after),
				  buf_cstr(&before));
		}
		CHECK_MSG(failing > 1, "%s writes nothing", statements[i]);
		CHECK_MSG(!why, "%s: %s", statements[i], why);
	}
	failing = 0;
	buf_free(&before);
	buf_free(&after);
}

TEST(refused_without_a_write)
{
	static const struct { const char *sql, *user, *code; } cases[] = {
		{ "alter user postgres password 'x' superuser", "u", "42501" }, { "alter user u password 'x' superuser", "u", "42501" },
		{ "alter user u set baton.low_latency = '1%'", "u", "42501" }, { "alter user u set baton.class = internal_high", "u", "22023" },
		{ "alter user u set baton.clas = batch", "u", "42704" }, { "alter user u set statement_timeout = '5s'", "u", "42704" },
		{ "create database d", "u", "42501" }, { "create user x", "nobody", "42501" },
		{ "alter user postgres nosuperuser", "postgres", "55006" }, 
		{ "drop user postgres", "postgres", "55006" }, { "alter user u set baton.low_latency = '71%'", "postgres", "53000" },
		{ "alter user u set baton.low_latency = 'much'", "postgres", "22023" }, { "alter system set baton.low_latency = '1%'", "postgres", "42704" },
		{ "create user u", "postgres", "42710" }, { "drop user nobody", "postgres", "42704" }, { "create database \"../x\"", "postgres", "42602" },
		{ "drop database nope", "postgres", "3D000" }, { "create user \"a\nb\"", "postgres", "42602" },
	};
	const char *why, *code;
	unsigned i;

	begin();
	CHECK(!run("create user u", "postgres", &code));
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		writes = 0;
		code = "none";
		why = run(cases[i].sql, cases[i].user, &code);
		CHECK_MSG(why && !strcmp(code, cases[i].code), "%s: %s, not %s", cases[i].sql, why ? code : "done", cases[i].code);
		CHECK_MSG(!writes, "%s has written", cases[i].sql);
	}
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

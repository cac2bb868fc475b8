/* SPDX-License-Identifier: GPL-2.0-or-later */
/* batondb.h - a batondb in this process, for fuzzers of its parts: with a scheduler, its databases and its roles, and no socket. */
#ifndef SELFTESTS_FUZZ_BATONDB_H
#define SELFTESTS_FUZZ_BATONDB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../service/batondb/priv.h"
#include "../../service/batondb/session.h"
#include "fuzz.h"

static char fuzz_dir[] = "/tmp/batondb-fuzz.XXXXXX";

static void fuzz_clean(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", fuzz_dir);
	if (system(command))
		fprintf(stderr, "fuzz: %s is left\n", fuzz_dir);
}

/* Runs a statement about roles, as the superuser. */
static void fuzz_admin(const char *sql)
{
	const struct lex_tok *at;
	const char *why, *code;
	struct priv p;
	struct lex l;

	FUZZ_MUST(lex(&l, sql, strlen(sql)) && priv_parse(&p, l.tok, lex_statement(l.tok), &at, &why));
	why = role_do(&p, "postgres", &code);
	if (why)
		fprintf(stderr, "fuzz: %s: %s\n", sql, why);
	FUZZ_MUST(!why);
	priv_free(&p);
	lex_free(&l);
}

/* how: what the configuration's auth says. */
static void fuzz_batondb(const char *how)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = 1 };
	char why[200];
	struct buf b;

	FUZZ_MUST(mkdtemp(fuzz_dir));
	atexit(fuzz_clean);
	conf_init(&server.conf);
	buf_init(&b, 1000);
	buf_fmt(&b, "data_dir %s\nquotas off\nsynchronous_commit off\nauth %s\n", fuzz_dir, how);
	FUZZ_MUST(!conf_parse(&server.conf, &b, "fuzz", why, sizeof(why)));
	buf_free(&b);
	mem_limits(&(struct mem_limits){ 32 << 20, 64 << 20, 0 });
	db_limits(&(struct db_limits){ 8 << 20, 16 << 20 });
	FUZZ_MUST(!baton_sched_create(&server.sched, &so));
	server.slots = 1;
	FUZZ_MUST(!db_setup(fuzz_dir) && !database_load() && !role_load());
}

#endif

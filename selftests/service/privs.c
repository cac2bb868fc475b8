// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes that batondb allows: each option of each statement, about oneself, about another, as a superuser. */
#include "priv.h"
#include "tap.h"

enum { SELF = 1, OTHER = 2, SUPER = 4, ALL = 7 };

/* %s: the role. may: who may say so about himself, about another, as a superuser. */
static const struct {
	const char *sql;
	unsigned may;
} matrix[] = {
	{ "alter user %s password 'x'", SELF | SUPER },
	{ "alter user %s password null", SELF | SUPER },
	{ "alter user %s with encrypted password ''", SELF | SUPER },
	{ "alter user %s set baton.class = batch", SELF | SUPER },
	{ "alter user %s set statement_timeout to '5s'", SELF | SUPER },
	{ "alter user %s reset statement_timeout", SELF | SUPER },
	{ "alter user %s set baton.low_latency = '10%'", SUPER },
	{ "alter user %s set Baton.High_Latency = '10%'", SUPER },
	{ "alter user %s set \"BATON.LOW_LATENCY\" = '10%'", SUPER },
	{ "alter user %s reset baton.low_latency", SUPER },
	{ "alter user %s superuser", SUPER }, { "alter user %s nosuperuser", SUPER },
	{ "alter user %s password 'x' superuser", SUPER }, { "alter user %s superuser password 'x'", SUPER },
	{ "create user %s", SUPER }, { "create role %s superuser", SUPER }, { "drop user %s", SUPER }, { "drop role if exists %s", SUPER },
	{ "create database %s", SUPER }, { "drop database %s", SUPER }, { "drop database if exists %s", SUPER },
	{ "alter system set baton.quotas = off", SUPER }, { "alter system reset baton.quotas", SUPER },
	{ "select 1", ALL },
};

static const char *const wrong[] = {
	"alter user a", "alter user a passwords 'x'", "alter user a password x", "alter user a password", "alter user a superuser nosuperuser",
	"alter user a password 'x' password 'y'", "alter user a set", "alter user a set x", "alter user a set x =", "alter user a reset x y",
	"alter user a inherit", "alter user a createdb", "alter user a createrole", "alter user a replication", "alter user a bypassrls", "alter user a valid until 'x'",
	"alter user a rename to b", "alter user a connection limit 5", "alter user a login", "create user a nologin",
	"create user", "create user a in role b", "create user a b", "drop user", "drop user a, b", "drop user a cascade", "create database",
	"create database a owner b", "alter system", "alter system set", "alter system superuser",
	"create user 'a'", "alter user all set x = 1",
};

static bool parse(struct priv *p, const char *sql)
{
	const struct lex_tok *at;
	const char *why;
	struct lex l;
	bool ok;

	CHECK(lex(&l, sql, strlen(sql)));
	ok = priv_parse(p, l.tok, lex_statement(l.tok), &at, &why);
	lex_free(&l);
	return ok;
}

TEST(who_may_what)
{
	static const struct { unsigned bit; bool super, self; const char *name; } cases[] = {
		{ SELF, false, true, "himself" }, { OTHER, false, false, "another" }, { SUPER, true, false, "a superuser" },
	};
	struct priv p;
	char sql[200];
	unsigned i, k;
	bool may;

	for (i = 0; i < sizeof(matrix) / sizeof(*matrix); i++) {
		const char *mark = strstr(matrix[i].sql, "%s");

		snprintf(sql, sizeof(sql), "%.*s%s%s", (int)(mark ? mark - matrix[i].sql : 100), matrix[i].sql, mark ? "somebody" : "",
			 mark ? mark + 2 : "");
		CHECK_MSG(parse(&p, sql), "%s: a syntax error", sql);
		for (k = 0; k < 3; k++) {
			may = priv_may(cases[k].super, cases[k].self, &p);
			CHECK_MSG(may == !!(matrix[i].may & cases[k].bit), "%s: %s %s", sql, cases[k].name, may ? "may" : "may not");
		}
		priv_free(&p);
	}
}

TEST(what_is_no_statement)
{
	struct priv p;
	unsigned i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (!strcmp(wrong[i], "alter user all set x = 1"))
			continue;
		CHECK_MSG(!parse(&p, wrong[i]), "%s: taken", wrong[i]);
		priv_free(&p);
	}
}

TEST(what_is_said)
{
	struct priv p;

	CHECK(parse(&p, "create role r superuser password 'it''s'"));
	CHECK_EQ(p.verb, PRIV_CREATE_ROLE);
	CHECK_EQ(p.says, (unsigned)(PRIV_SUPER | PRIV_PASSWORD));
	CHECK(p.super);
	CHECK_STR(p.password, "it's");
	priv_free(&p);
	CHECK(parse(&p, "create user u"));
	CHECK(!p.super);
	priv_free(&p);
	CHECK(parse(&p, "alter user current_user set baton.class to default"));
	CHECK(p.current && !p.value);
	CHECK_STR(p.setting, "baton.class");
	priv_free(&p);
	CHECK(parse(&p, "alter user u set baton.low_latency = 12.5 %"));
	CHECK_STR(p.value, "12.5%");
	priv_free(&p);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What batondb makes of bytes and of SQL, without a server. */
#include <sqlite3.h>

#include "proto.h"
#include "sql.h"
#include "tap.h"

static struct buf b;

static void put_message(char type, const void *p, size_t n)
{
	size_t at = 0;

	if (type)
		at = proto_begin(&b, type);
	else
		proto_put32(&b, (uint32_t)n + 4);
	buf_add(&b, p, n);
	if (type)
		proto_end(&b, at);
}

static long next(struct proto_msg *m, size_t n, bool begin)
{
	const char *why = NULL;
	size_t need;

	return proto_next(b.p, n, begin, 1 << 20, m, &need, &why);
}

TEST(messages_in_pieces)
{
	struct proto_msg m;
	size_t i;

	buf_init(&b, 1 << 20);
	put_message('Q', "select 1", 9);
	for (i = 0; i < b.len; i++)
		CHECK_EQ(next(&m, i, false), 0);
	CHECK_EQ(next(&m, b.len, false), (long)b.len);
	CHECK_EQ(m.type, 'Q');
	CHECK_EQ(m.len, 9);
	buf_free(&b);
}

TEST(lengths_that_lie)
{
	static const uint32_t bad[] = { 0, 3, 1 << 21, UINT32_MAX, 1u << 31 };
	struct proto_msg m;
	unsigned i;

	for (i = 0; i < 5; i++) {
		buf_init(&b, 1 << 20);
		buf_ch(&b, 'Q');
		proto_put32(&b, bad[i]);
		CHECK_EQ(next(&m, b.len, false), -1);
		buf_free(&b);
		buf_init(&b, 1 << 20);
		proto_put32(&b, bad[i] == 3 ? 7 : bad[i]);
		CHECK_EQ(next(&m, b.len, true), -1);
		buf_free(&b);
	}
}

TEST(startup)
{
	static const char p[] = "\0\3\0\0user\0alice\0database\0d\0\0";
	struct proto_startup s;
	struct proto_msg m;
	size_t i;

	buf_init(&b, 1 << 20);
	put_message(0, p, sizeof(p) - 1);
	CHECK(next(&m, b.len, true) > 0);
	CHECK(proto_startup(&m, &s));
	CHECK_STR(proto_param(&s, "user"), "alice");
	CHECK_STR(proto_param(&s, "database"), "d");
	CHECK(!proto_param(&s, "alice"));
	/* Cut anywhere, it is not one. */
	for (i = 4; i < sizeof(p) - 1; i++) {
		m.len = (uint32_t)i;
		CHECK_MSG(!proto_startup(&m, &s) || i == 4, "cut at %zu", i);
	}
	buf_free(&b);
}

TEST(bind_message)
{
	struct proto_bind v;
	struct proto_msg m;
	size_t at, i;
	int32_t n;

	buf_init(&b, 1 << 20);
	at = proto_begin(&b, 'B');
	proto_puts(&b, "");
	proto_puts(&b, "s");
	proto_put16(&b, 1);
	proto_put16(&b, 0);
	proto_put16(&b, 2);
	proto_put32(&b, 2);
	buf_add(&b, "42", 2);
	proto_put32(&b, UINT32_MAX);
	proto_put16(&b, 0);
	proto_end(&b, at);
	CHECK(next(&m, b.len, false) > 0);
	CHECK(proto_bind(&m, &v));
	CHECK_STR(v.stmt, "s");
	CHECK_EQ(v.n, 2);
	CHECK(!memcmp(proto_value(&v.values, &n), "42", 2));
	CHECK_EQ(n, 2);
	CHECK(!proto_value(&v.values, &n));
	CHECK_EQ(n, -1);
	for (i = 0; i < m.len; i++) {
		struct proto_msg cut = m;

		cut.len = (uint32_t)i;
		CHECK_MSG(!proto_bind(&cut, &v), "cut at %zu", i);
	}
	buf_free(&b);
}

/* Bytes as a client might send them, changed at random: nothing is read outside. */
static uint64_t seed = 1;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

static void take_apart(const struct proto_msg *m)
{
	struct proto_startup s;
	struct proto_parse p;
	struct proto_bind v;
	const char *t, *u;
	const uint8_t *q;
	uint32_t rows;
	int32_t n;
	unsigned i;
	char kind;

	if (proto_startup(m, &s))
		proto_param(&s, "user");
	if (proto_parse(m, &p))
		n = (int32_t)(strlen(p.name) + strlen(p.query));
	if (proto_bind(m, &v))
		for (i = 0; i < v.n; i++) {
			q = proto_value(&v.values, &n);
			if (q && n)
				rows = q[0] + q[n - 1];
		}
	proto_target(m, &kind, &t);
	proto_execute(m, &t, &rows);
	proto_query(m, &t);
	proto_sasl_first(m, &u, &q, &n);
}

TEST(mutated_messages)
{
	static const char *const seeds[] = {
		"Q\0\0\0\rselect 1\0", "P\0\0\0\x16s\0select $1\0\0\1\0\0\0\x17", "B\0\0\0\x18\0s\0\0\1\0\0\0\1\0\0\0\2" "42\0\1\0\0",
		"D\0\0\0\7Ss\0", "E\0\0\0\x0b\0\0\0\0\5\0", "p\0\0\0\x18SCRAM-SHA-256\0\0\0\0\0", "C\0\0\0\7Pp\0",
	};
	static const unsigned len[] = { 14, 23, 25, 8, 10, 23, 8 };
	unsigned i, k, round;

	for (round = 0; round < 200000; round++) {
		char *copy;
		struct proto_msg m;
		const char *why;
		size_t need;
		long n;

		i = rnd(7);
		/* On the heap, of just this size: the sanitizer sees every step too far. */
		copy = malloc(len[i]);
		memcpy(copy, seeds[i], len[i]);
		for (k = rnd(4); k; k--)
			copy[rnd(len[i])] = (char)rnd(256);
		n = proto_next(copy, len[i] - rnd(3), rnd(8) == 0, 1 << 16, &m, &need, &why);
		if (n > 0) {
			CHECK_CMP(n, <=, len[i]);
			take_apart(&m);
		}
		m = (struct proto_msg){ 'B', copy, len[i] };
		take_apart(&m);
		free(copy);
	}
}

/* ------------------------------------------------------------------- SQL */

static const char *rewrite(const char *text, struct sql *q)
{
	static char out[2000];
	struct sql_error e;
	struct lex l;

	memset(q, 0, sizeof(*q));
	if (!lex(&l, text, strlen(text))) {
		snprintf(out, sizeof(out), "! %s", l.error);
		lex_free(&l);
		return out;
	}
	q->kind = sql_kind(l.tok, &q->tag);
	if (sql_rewrite(q, l.tok, sql_end(l.tok), &e))
		snprintf(out, sizeof(out), "%s", buf_cstr(&q->text));
	else
		snprintf(out, sizeof(out), "! %s %s", e.code, e.text);
	lex_free(&l);
	return out;
}

TEST(rewrites)
{
	static const char *const pairs[][2] = {
		{ "SELECT Foo, \"Foo\" FROM public.T;", "select foo , \"Foo\" from t" },
		{ "select $1::int, '5'::text", "select baton_int4 ( ?1 ) , baton_text ( '5' )" },
		{ "select (a + b)::numeric(5,2)", "select baton_numeric ( ( a + b ) , 327682 )" },
		{ "select f(x)::bool, t.c::date", "select baton_bool ( f ( x ) ) , baton_date ( t.c )" },
		{ "select cast(a as varchar(3))", "select baton_text ( a , 3 )" },
		{ "select * from t order by a, b desc", "select * from t order by a nulls last , b desc nulls first" },
		{ "select 1 offset 2 limit 3", "select 1 limit 3 offset 2" },
		{ "select 1 fetch first 4 rows only", "select 1 limit 4" },
		{ "select 1 limit all", "select 1" },
		{ "select a from t for update", "select a from t" },
		{ "select a ~ 'x', b !~* 'y', c ilike 'z'", "select a regexp 'x' , b not match 'y' , c glob 'z'" },
		{ "select E'a\\'b\\n', $q$it's$q$", "select 'a''b\n' , 'it''s'" },
		{ "select x = any('{1,2}')", "select x in (select value from baton_unnest( '{1,2}' ))" },
		{ "select extract(year from d)", "select date_part ( 'year' , d )" },
		{ "select 1 -- c\n + /* d /* e */ */ 2", "select 1 + 2" },
		{ "select a operator(pg_catalog.~) 'x' collate pg_catalog.default", "select a regexp 'x'" },
		{ "insert into t values (current_timestamp)", "insert into t values ( now() )" },
		{ "select g from generate_series(1, 3) as g",
		  "select g from (select value as g from generate_series ( 1 , 3 ) ) as g" },
		{ "select a::date + 1", "select baton_calc ( baton_date ( a ) , 1 , '+dn' )" },
		{ "select a - interval '1' day * 2", "select baton_calc ( a , baton_calc ( baton_interval ( '1' , 'day' ) , 2 , '*in' ) , '-?i' )" },
		{ "select 2 * x ^ 3 # 4", "select 2 * baton_xor ( power ( x , 3 ) , 4 )" },
		{ "select true::text, 2.5::int", "select baton_text ( baton_bool_text ( true ) ) , baton_int4 ( round ( 2.5 ) )" },
		{ "select * from (values (1)) as t (n)", "select * from (with baton_t ( n ) as ( values ( 1 ) ) select * from baton_t) as t" },
		{ "select string_agg(a, ',' order by b desc, c nulls first)", "select baton_agg_by( 's-dA' , a , ',' , b , c )" },
		{ "select generate_series(1, 2) + 1", "select generate_series + 1 from (select value as generate_series from generate_series ( 1 , 2 ) ) as generate_series" },
		{ "select a like 'x\\_'", "select a like 'x\\_' escape '\\'" },
		{ "select 'a", "! unterminated quoted string" },
		{ "select 1::nosuch", "! 42704 type \"nosuch\" does not exist" },
		{ "select $0", "! 42P02 there is no parameter $0" },
	};
	struct sql q;
	unsigned i;

	for (i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		CHECK_STR(rewrite(pairs[i][0], &q), pairs[i][1]);
		sql_free(&q);
	}
}

TEST(columns)
{
	static const struct { const char *sql, *name; uint32_t oid; } cases[] = {
		{ "select 1", "?column?", T_INT4 }, { "select 5000000000 x", "x", T_INT8 }, { "select 1.5 as y", "y", T_NUMERIC },
		{ "select 'a' || b", "?column?", T_TEXT }, { "select a = 1", "?column?", T_BOOL },
		{ "select count(*)", "count", T_INT8 }, { "select a::float8", "a", T_FLOAT8 }, { "select '1'::int", "int4", T_INT4 },
		{ "select t.col", "col", 0 }, { "select now()", "now", T_TIMESTAMPTZ }, { "select true", "?column?", T_BOOL },
		{ "select date '2024-01-01' + 1", "?column?", T_DATE }, { "select now() - interval '1' day", "?column?", T_TIMESTAMPTZ },
		{ "select interval '1' day", "interval", T_INTERVAL }, { "select a::date - b::date", "?column?", T_INT4 },
		{ "select a::timestamp at time zone 'UTC'", "timezone", T_TIMESTAMPTZ }, { "select ~1", "?column?", 0 },
		{ "select trim(leading 'x' from a)", "ltrim", T_TEXT },
		{ "select case when a then 1 end", "case", T_INT4 }, { "select 1 + 2", "?column?", T_INT4 },
		{ "select a + 1", "?column?", 0 }, { "with x as (select 'z' q) select 7 n from x", "n", T_INT4 },
		{ "insert into t values (1) returning id, 2 two", "id", 0 }, { "values (1, 'a')", "column1", T_INT4 },
		{ "select (select 1.5)", "?column?", T_NUMERIC }, { "select not a", "?column?", T_BOOL },
	};
	struct sql q;
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rewrite(cases[i].sql, &q);
		CHECK_MSG(q.n_cols >= 1, "%s: no columns", cases[i].sql);
		CHECK_MSG(!strcmp(q.cols[0].name, cases[i].name) && q.cols[0].type.oid == cases[i].oid,
			  "%s: \"%s\" of type %u", cases[i].sql, q.cols[0].name, q.cols[0].type.oid);
		sql_free(&q);
	}
}

TEST(kinds)
{
	static const struct { const char *sql; enum sql_kind kind; } cases[] = {
		{ "", SQL_EMPTY }, { "(select 1)", SQL_READ }, { "with a as (select 1) insert into t select * from a", SQL_WRITE },
		{ "create table t (a int)", SQL_CREATE_TABLE }, { "create table t as select 1", SQL_CREATE_TABLE_AS },
		{ "create table t (a int generated always as identity)", SQL_CREATE_TABLE }, { "end", SQL_COMMIT },
		{ "rollback to savepoint a", SQL_ROLLBACK_TO }, { "alter user a set b = c", SQL_ALTER_ROLE }, { "frob", SQL_UNKNOWN },
	};
	const char *tag;
	struct lex l;
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK(lex(&l, cases[i].sql, strlen(cases[i].sql)));
		CHECK_MSG(sql_kind(l.tok, &tag) == cases[i].kind, "%s", cases[i].sql);
		lex_free(&l);
	}
}

TEST(mutated_sql)
{
	static const char *const seeds[] = {
		"select a::int4, 'x' || $1, E'\\u00e9\\n' from t where b ~ '^a' order by 1 desc limit 5 offset 2",
		"with a as (select 1 x) select cast(x as numeric(5,2)), array[1,2], x = any('{1}') from a for update",
		"insert into t (a, b) values ($1, $$q$$), (extract(day from d), substring(s from 2 for 3)) returning *",
		"select case when a then b::text else (select max(c) from d) end as e, count(*) filter (where f) from g",
		"select a::date + 1 - interval '1' day * 2, string_agg(distinct b, ',' order by c desc nulls last, d) x",
		"select * from (values (1, ~2 ^ 3 # 4)) as t (a, b), unnest('{1}') as u (v) where a at time zone 'UTC' like 'x\\_'",
		"select generate_series(1, 2) * 3, overlay(a placing b from 2), pg_typeof(c), d % 1.5 operator(pg_catalog.~) 'x'",
	};
	static const char bits[] = "()[],;.:'\"$\\-/*+ aE1\n";
	char text[300], *copy;
	unsigned round, k, n;
	struct sql q;
	struct sql_error e;
	struct lex l;

	for (round = 0; round < 30000; round++) {
		n = (unsigned)snprintf(text, sizeof(text), "%s", seeds[rnd(sizeof(seeds) / sizeof(*seeds))]);
		for (k = rnd(6); k; k--)
			text[rnd(n)] = rnd(4) ? bits[rnd(sizeof(bits) - 1)] : (char)(1 + rnd(255));
		n -= rnd(n);
		copy = malloc(n);
		memcpy(copy, text, n);
		if (lex(&l, copy, n)) {
			memset(&q, 0, sizeof(q));
			q.kind = sql_kind(l.tok, &q.tag);
			sql_rewrite(&q, l.tok, sql_end(l.tok), &e);
			sql_free(&q);
		}
		lex_free(&l);
		free(copy);
	}
}

/* ----------------------------------------------------------------- values */

TEST(times)
{
	static const char *const good[][2] = {
		{ "2000-01-01", "2000-01-01 00:00:00" }, { "2024-02-29 23:59:59.5", "2024-02-29 23:59:59.5" },
		{ "1970-01-01T00:00:00Z", "1970-01-01 00:00:00" }, { "1900-03-01 12:00", "1900-03-01 12:00:00" },
		{ "2020-06-01 12:00:00+02", "2020-06-01 10:00:00" },
	};
	static const char *const bad[] = { "", "2023-02-29", "2020-13-01", "x", "2020-01-01 25:00", "2020-01-01 1" };
	unsigned i;
	int64_t us;

	for (i = 0; i < 5; i++) {
		buf_init(&b, 100);
		CHECK_MSG(time_parse(good[i][0], strlen(good[i][0]), true, &us), "%s", good[i][0]);
		time_format(&b, us, T_TIMESTAMP);
		CHECK_STR(buf_cstr(&b), good[i][1]);
		buf_free(&b);
	}
	for (i = 0; i < 6; i++)
		CHECK_MSG(!time_parse(bad[i], strlen(bad[i]), true, &us), "%s", bad[i]);
}

TEST(floats)
{
	static const struct { double d; const char *s; } cases[] = {
		{ 1, "1" }, { 0.1, "0.1" }, { 1.0 / 3, "0.3333333333333333" }, { 1e20, "1e+20" }, { -2.5, "-2.5" }, { 123456789012.0, "123456789012" },
	};
	unsigned i;

	for (i = 0; i < 6; i++) {
		buf_init(&b, 100);
		float_text(&b, cases[i].d, false);
		CHECK_STR(buf_cstr(&b), cases[i].s);
		buf_free(&b);
	}
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

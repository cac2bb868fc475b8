// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes and SQL as batondb reads them, without a server. */
#include <sqlite3.h>

#include "lex.h"
#include "proto.h"
#include "tap.h"
#include "types.h"

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

	return proto_next(b.p, n, begin, 1 << 20, m, &why);
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
	if (proto_read(m, "ssN", &p.name, &p.query, &p.n, &p.oids))
		n = (int32_t)(strlen(p.name) + strlen(p.query));
	if (proto_bind(m, &v))
		for (i = 0; i < v.n; i++) {
			q = proto_value(&v.values, &n);
			if (q && n)
				rows = q[0] + q[n - 1];
		}
	proto_read(m, "1s", &kind, &t);
	proto_read(m, "s4", &t, &rows);
	proto_read(m, "s", &t);
	proto_read(m, "sb", &u, &q, &n);
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
		long n;

		i = rnd(7);
		/* On the heap, of just this size: the sanitizer sees every step too far. */
		copy = malloc(len[i]);
		memcpy(copy, seeds[i], len[i]);
		for (k = rnd(4); k; k--)
			copy[rnd(len[i])] = (char)rnd(256);
		n = proto_next(copy, len[i] - rnd(3), rnd(8) == 0, 1 << 16, &m, &why);
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

/* Kinds of tokens: I name, Q quoted, S string, B blob, 0 integer, 1 number, $ parameter, the rest themselves; [text]. */
static const char *tokens(const char *text)
{
	static const char kinds[] = ".IQSB01$";
	static char out[1000];
	const struct lex_tok *t;
	struct lex l;
	size_t n = 0;

	if (!lex(&l, text, strlen(text)))
		return "!";
	for (t = l.tok; t->kind != LEX_END; t++)
		n += (size_t)(t->kind == LEX_OP ? snprintf(out + n, sizeof(out) - n, "%s ", t->s) :
			      snprintf(out + n, sizeof(out) - n, "%c[%s] ", kinds[t->kind], t->s));
	out[n ? n - 1 : 0] = 0;
	lex_free(&l);
	return out;
}

TEST(tokens_are_sqlites)
{
	static const char *const cases[][2] = {
		{ "SELECT Foo, \"Foo\"\"\", [a b], `c`", "I[select] I[foo] , Q[Foo\"] , Q[a b] , Q[c]" },
		{ "'it''s' x'00FF' X'' 'a", "S[it's] B[00FF] B[] S[a]" },
		{ "1 1.5 .5 1e3 1e 0x1F 12abc", "0[1] 1[1.5] 1[.5] 1[1e3] 0[1] I[e] 0[0x1F] 0[12] I[abc]" },
		{ "$1 ?2 ? :a @b #c $1::int ::", "$[$1] $[?2] $[?] $[:a] $[@b] $[#c] $[$1::int] : :" },
		{ "a||b<=c<>d!=e->f", "I[a] || I[b] <= I[c] <> I[d] != I[e] -> I[f]" },
		{ "1 -- x ; y\n+ /* ; */ 2 /* never", "0[1] + 0[2]" },
		{ "a;b", "I[a] ; I[b]" }, { "", "" }, { "$$ ~ \\", "$[$$] ~ \\" },
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_STR(tokens(cases[i][0]), cases[i][1]);
}

TEST(mutated_sql)
{
	static const char bits[] = "()[],;.:'\"$\\-/*+ aE1\n?x";
	char text[300], *copy;
	unsigned round, k, n;
	struct lex l;

	for (round = 0; round < 30000; round++) {
		n = (unsigned)snprintf(text, sizeof(text), "select a, 'x' || $1 from \"t\" where b = 1.5 -- c\n and d in (x'00', 'it''s') /* e */ limit 5");
		for (k = rnd(8); k; k--)
			text[rnd(n)] = rnd(4) ? bits[rnd(sizeof(bits) - 1)] : (char)(1 + rnd(255));
		n -= rnd(n);
		copy = malloc(n);
		memcpy(copy, text, n);
		CHECK(lex(&l, copy, n));
		for (k = 0; k < l.n; k++)
			CHECK(l.tok[k].at < l.tok[k].end && l.tok[k].end <= n && strlen(l.tok[k].s) <= l.tok[k].n);
		lex_free(&l);
		free(copy);
	}
}

/* ----------------------------------------------------------------- values */

TEST(types)
{
	static const struct { const char *decl; uint32_t type; } decls[] = {
		{ "INTEGER", T_INT8 }, { "int", T_INT4 }, { "VarChar(20)", T_TEXT }, { "character  varying(5)", T_REFUSED }, { "DOUBLE PRECISION", T_FLOAT8 },
		{ "numeric(10,2)", T_REFUSED }, { "decimal", T_REFUSED }, { "serial", T_REFUSED }, { "timestamptz", T_REFUSED }, { NULL, 0 }, { "", 0 },
		{ "bool", T_BOOL }, { "blob", T_BYTEA }, { "interval", T_REFUSED }, { "json", T_REFUSED }, { "date", T_REFUSED }, { "TIMESTAMP", T_REFUSED }, { "t", T_REFUSED }, { "|", T_REFUSED },
	};
	unsigned i;

	for (i = 0; i < sizeof(decls) / sizeof(*decls); i++)
		CHECK_MSG(type_of_decl(decls[i].decl) == decls[i].type, "%s", decls[i].decl);
	CHECK_EQ(type_of_client(1043), T_TEXT);
	CHECK_EQ(type_of_client(705), 0);
	CHECK_EQ(type_of_client(21), T_INT8);
	CHECK_EQ(type_of_client(700), T_FLOAT8);
	CHECK_EQ(type_of_client(1700), T_REFUSED);
}

TEST(texts)
{
	static const struct { const char *s; bool ok; } cases[] = {
		{ "abc", true }, { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true }, { "\xc3", false }, { "\xc0\x80", false }, { "\xe0\x80\x80", false },
		{ "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false }, { "\xff", false }, { "a\x80", false }, { "\xf0\x9f\x98", false },
	};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CHECK_MSG(utf8_ok(cases[i].s, strlen(cases[i].s)) == cases[i].ok, "case %u", i);
	CHECK(!utf8_ok("a\0b", 3));
}

TEST(literals)
{
	static const struct { uint32_t type; const char *s, *code; } cases[] = {
		{ T_INT8, " 12 ", NULL }, { T_INT4, "1.5", "22P02" },
		{ T_INT8, "99999999999999999999", "22003" }, { T_FLOAT8, "1e5", NULL }, { T_FLOAT8, "nan", "22P02" }, { T_FLOAT8, "1e999", "22003" },
		{ T_BOOL, "true", "42804" }, { T_BYTEA, "x", "42804" }, { T_TEXT, "anything", NULL }, { 0, "x", "42804" },
	};
	struct sql_error e;
	unsigned i;
	bool ok;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ok = type_literal(cases[i].type, cases[i].s, strlen(cases[i].s), &e);
		CHECK_MSG(ok == !cases[i].code && (ok || !strcmp(e.code, cases[i].code)), "%s: %s", cases[i].s, ok ? "taken" : e.code);
	}
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

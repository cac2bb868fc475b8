// SPDX-License-Identifier: GPL-2.0-or-later
/* Arrays and aggregates. */
#include "funcs_int.h"

#include <stdlib.h>
#include <string.h>

void array_text(struct buf *b, const char *s, size_t n, bool first)
{
	size_t i;

	if (!first)
		buf_ch(b, ',');
	for (i = 0; i < n && !strchr("{},\"\\ ", s[i]); i++)
		;
	if (n && i == n && !(n == 4 && !strncasecmp(s, "null", 4))) {
		buf_add(b, s, n);
		return;
	}
	buf_ch(b, '"');
	for (i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			buf_ch(b, '\\');
		buf_ch(b, s[i]);
	}
	buf_ch(b, '"');
}

void array_value(struct buf *b, val *v, bool first)
{
	struct coltype none = { 0, -1 };
	struct buf t;

	if (is_null(v)) {
		buf_str(b, first ? "NULL" : ",NULL");
		return;
	}
	buf_init(&t, 1 << 30);
	type_text(&t, none, v);
	array_text(b, buf_cstr(&t), t.len, first);
	buf_free(&t);
}

static void f_array(ctx *c, int n, val **v)
{
	struct buf b;
	int i;

	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	for (i = 0; i < n; i++)
		array_value(&b, v[i], !i);
	result_array(c, &b);
}

static struct buf *agg_buf(ctx *c, bool make)
{
	struct buf *b = sqlite3_aggregate_context(c, make ? sizeof(*b) : 0);

	if (b && make && !b->max)
		buf_init(b, 1 << 30);
	return b;
}

static void array_agg_step(ctx *c, int n, val **v)
{
	struct buf *b = agg_buf(c, true);

	if (b) {
		if (!b->len)
			buf_ch(b, '{');
		array_value(b, v[0], b->len == 1);
	}
}

static void array_agg_final(ctx *c)
{
	struct buf *b = agg_buf(c, false);

	if (b)
		result_array(c, b);
}

static void string_agg_step(ctx *c, int n, val **v)
{
	struct coltype none = { 0, -1 };
	struct buf *b = is_null(v[0]) ? NULL : agg_buf(c, true);

	if (!b)
		return;
	if (b->p && n > 1 && !is_null(v[1]))
		buf_str(b, text_of(v[1]));
	else
		buf_room(b, 1);
	type_text(b, none, v[0]);
}

static void string_agg_final(ctx *c)
{
	struct buf *b = agg_buf(c, false);

	if (b)
		result_buf(c, b);
}

/* Of bits; a truth value is one. */
struct bits {
	int64_t n, all, any;
};

static void bits_add(ctx *c, val *v, int64_t x)
{
	struct bits *b = is_null(v) ? NULL : sqlite3_aggregate_context(c, sizeof(*b));

	if (!b)
		return;
	b->all = (b->n++ ? b->all : -1) & x;
	b->any |= x;
}

static void bits_step(ctx *c, int n, val **v) { bits_add(c, v[0], sqlite3_value_int64(v[0])); }
static void bool_step(ctx *c, int n, val **v) { bits_add(c, v[0], sqlite3_value_int(v[0]) != 0); }

static void and_final(ctx *c)
{
	struct bits *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int64(c, b->all);
}

static void or_final(ctx *c)
{
	struct bits *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int64(c, b->any);
}

/* '{a,"b c"}' to a list: an eponymous virtual table in catalog.c reads it. */
static void f_array_to_string(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *sep = text_of(v[1]);
	bool quoted = false;
	struct buf b;

	if (!s || !sep)
		return;
	buf_init(&b, 1 << 30);
	for (s += *s == '{'; *s && (quoted || *s != '}'); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (*s == '\\' && s[1])
			buf_ch(&b, *++s);
		else if (*s == ',' && !quoted)
			buf_str(&b, sep);
		else
			buf_ch(&b, *s);
	}
	result_buf(c, &b);
}

static void f_string_to_array(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]), *sep = text_of(v[1]), *end;
	struct buf b;

	if (!s)
		return;
	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	while (*s || b.len > 1) {
		end = sep && *sep ? strstr(s, sep) : NULL;
		array_text(&b, s, end ? (size_t)(end - s) : strlen(s), b.len == 1);
		if (!end)
			break;
		s = end + strlen(sep);
	}
	result_array(c, &b);
}

/* Of one dimension. */
static void f_array_length(ctx *c, int n, val **v)
{
	const char *s = text_of(v[0]);
	int64_t k = 0;
	bool quoted = false, empty;

	if (!s || (n > 1 && sqlite3_value_int64(v[1]) != 1))
		return;
	empty = !strcmp(s, "{}");
	for (; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == ',' && !quoted)
			k++;
		else if (*s == '}' && !quoted)
			k += !empty;
	}
	if (k || n == 1)
		sqlite3_result_int64(c, k);
}

static void joined(ctx *c, val *a, val *b, bool whole)
{
	const char *s = is_null(a) ? "{}" : text_of(a), *more = NULL;
	struct buf to;
	size_t len = strlen(s);

	buf_init(&to, 1 << 30);
	buf_add(&to, s, len ? len - 1 : 0);
	if (!whole) {
		array_value(&to, b, to.len == 1);
	} else if (!is_null(b)) {
		more = text_of(b);
		if (to.len > 1 && more[0] && more[1] != '}')
			buf_ch(&to, ',');
		buf_add(&to, more + 1, strlen(more) > 2 ? strlen(more) - 2 : 0);
	}
	result_array(c, &to);
}

static void f_array_append(ctx *c, int n, val **v) { joined(c, v[0], v[1], false); }
static void f_array_cat(ctx *c, int n, val **v) { joined(c, v[0], v[1], true); }

const struct func funcs_agg[] = {
	{ "string_to_array", 2, PURE, f_string_to_array }, { "array_length", 2, PURE, f_array_length },
	{ "array_upper", 2, PURE, f_array_length }, { "cardinality", 1, PURE, f_array_length },
	{ "array_append", 2, PURE, f_array_append }, { "array_cat", 2, PURE, f_array_cat },
	{ "baton_array", FROM(0), PURE, f_array }, { "array_to_string", 2, PURE, f_array_to_string },
	{ 0 }
};

static const struct aggregate funcs_unsorted[] = {
	{ "array_agg", 1, array_agg_step, array_agg_final }, { "string_agg", 2, string_agg_step, string_agg_final },
	{ "bool_and", 1, bool_step, and_final }, { "every", 1, bool_step, and_final },
	{ "bool_or", 1, bool_step, or_final }, { "bit_and", 1, bits_step, and_final }, { "bit_or", 1, bits_step, or_final },
	{ 0 }
};

int funcs_agg_register(sqlite3 *db, struct funcs_env *env)
{
	static const struct aggregate *const all[] = { funcs_unsorted, funcs_sorted };
	const struct aggregate *a;
	unsigned i;
	int err = 0;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (a = all[i]; a->name && !err; a++)
			err = sqlite3_create_function_v2(db, a->name, a->n, PURE, env, NULL, a->step, a->final, NULL);
	return err;
}

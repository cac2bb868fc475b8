// SPDX-License-Identifier: GPL-2.0-or-later
/* Arrays and aggregates. */
#include "funcs_int.h"

#include <stdlib.h>
#include <string.h>

static void array_item(struct buf *b, val *v, bool first)
{
	struct coltype none = { 0, -1 };
	struct buf t;
	size_t i;

	if (!first)
		buf_ch(b, ',');
	if (is_null(v)) {
		buf_str(b, "NULL");
		return;
	}
	buf_init(&t, 1 << 30);
	type_text(&t, none, v);
	if (t.len && !strpbrk(buf_cstr(&t), "{},\"\\ ") && strcasecmp(t.p, "null")) {
		buf_add(b, t.p, t.len);
	} else {
		buf_ch(b, '"');
		for (i = 0; i < t.len; i++) {
			if (t.p[i] == '"' || t.p[i] == '\\')
				buf_ch(b, '\\');
			buf_ch(b, t.p[i]);
		}
		buf_ch(b, '"');
	}
	buf_free(&t);
}

static void f_array(ctx *c, int n, val **v)
{
	struct buf b;
	int i;

	buf_init(&b, 1 << 30);
	buf_ch(&b, '{');
	for (i = 0; i < n; i++)
		array_item(&b, v[i], !i);
	buf_ch(&b, '}');
	result_buf(c, &b);
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
		array_item(b, v[0], b->len == 1);
	}
}

static void array_agg_final(ctx *c)
{
	struct buf *b = agg_buf(c, false);

	if (b) {
		buf_ch(b, '}');
		result_buf(c, b);
	}
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

struct bools {
	int n, all, any;
};

static void bool_step(ctx *c, int n, val **v)
{
	struct bools *b = is_null(v[0]) ? NULL : sqlite3_aggregate_context(c, sizeof(*b));

	if (!b)
		return;
	b->all = sqlite3_value_int(v[0]) && (!b->n || b->all);
	b->any |= sqlite3_value_int(v[0]) != 0;
	b->n++;
}

static void bool_and_final(ctx *c)
{
	struct bools *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int(c, b->all);
}

static void bool_or_final(ctx *c)
{
	struct bools *b = sqlite3_aggregate_context(c, 0);

	if (b && b->n)
		sqlite3_result_int(c, b->any);
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

const struct func funcs_agg[] = {
	{ "baton_array", -1, PURE, f_array }, { "array_to_string", 2, PURE, f_array_to_string },
	{ 0 }
};

static const struct {
	const char *name;
	int n;
	void (*step)(ctx *, int, val **);
	void (*final)(ctx *);
} aggregates[] = {
	{ "array_agg", 1, array_agg_step, array_agg_final }, { "string_agg", 2, string_agg_step, string_agg_final },
	{ "bool_and", 1, bool_step, bool_and_final }, { "every", 1, bool_step, bool_and_final },
	{ "bool_or", 1, bool_step, bool_or_final },
};

int funcs_agg_register(sqlite3 *db, struct funcs_env *env)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < sizeof(aggregates) / sizeof(*aggregates) && !err; i++)
		err = sqlite3_create_function_v2(db, aggregates[i].name, aggregates[i].n, PURE, env, NULL, aggregates[i].step,
						 aggregates[i].final, NULL);
	return err;
}

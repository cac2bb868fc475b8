// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * string_agg(x, y ORDER BY z DESC) and array_agg() likewise, which SQLite cannot say:
 * an aggregate that keeps its rows, and sorts them when it has all. And the spread
 * of numbers.
 */
#include "funcs_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* baton_agg_by(how, value, separator, key...); how: s or a, u or -, and a letter a key. */
struct sorted {
	char how[64];
	val **v;		/* n rows of width */
	size_t n, cap, width;
	bool failed;
};

static void by_step(ctx *c, int n, val **v)
{
	struct sorted *s = sqlite3_aggregate_context(c, sizeof(*s));
	int i;

	if (!s || s->failed)
		return;
	/* sql_call.c makes these calls; whoever makes one by hand, or has more keys than a function may have values, is told. */
	if (n < 4 || is_null(v[0]) || (size_t)sqlite3_value_bytes(v[0]) >= sizeof(s->how) || sqlite3_value_bytes(v[0]) != n - 1) {
		funcs_error(c, "54011", "an aggregate's ORDER BY has from 1 to %d keys", (int)sizeof(s->how) - 3);
		return;
	}
	if (!s->width) {
		s->width = (size_t)n - 1;
		snprintf(s->how, sizeof(s->how), "%s", text_of(v[0]));
	}
	if (*s->how == 's' && is_null(v[1]))
		return;
	if (s->n == s->cap) {
		val **more = realloc(s->v, (s->cap ? 2 * s->cap : 16) * s->width * sizeof(*more));

		if (!more) {
			s->failed = true;
			return;
		}
		s->v = more;
		s->cap = s->cap ? 2 * s->cap : 16;
	}
	for (i = 1; i < n; i++)
		s->v[s->n * s->width + (size_t)i - 1] = sqlite3_value_dup(v[i]);
	s->n++;
}

static int compare(val *a, val *b)
{
	int ta = sqlite3_value_type(a), tb = sqlite3_value_type(b), n;
	double x, y;

	if (ta != SQLITE_TEXT && ta != SQLITE_BLOB && tb != SQLITE_TEXT && tb != SQLITE_BLOB) {
		if (ta == SQLITE_INTEGER && tb == SQLITE_INTEGER)
			return (sqlite3_value_int64(a) > sqlite3_value_int64(b)) - (sqlite3_value_int64(a) < sqlite3_value_int64(b));
		x = sqlite3_value_double(a);
		y = sqlite3_value_double(b);
		return (x > y) - (x < y);
	}
	ta = sqlite3_value_bytes(a);
	tb = sqlite3_value_bytes(b);
	n = memcmp(sqlite3_value_blob(a) ? sqlite3_value_blob(a) : "", sqlite3_value_blob(b) ? sqlite3_value_blob(b) : "",
		   (size_t)(ta < tb ? ta : tb));
	return n ? n : ta - tb;
}

static int row_compare(const void *pa, const void *pb, void *arg)
{
	const struct sorted *s = arg;
	val *const *a = pa, *const *b = pb;
	size_t i;
	int d;

	for (i = 2; i < s->width; i++) {
		char how = s->how[i];
		bool na = !a[i] || is_null(a[i]), nb = !b[i] || is_null(b[i]);

		if (na || nb)
			d = (na - nb) * (strchr("aD", how) ? 1 : -1);
		else
			d = compare(a[i], b[i]) * (strchr("aA", how) ? 1 : -1);
		if (d)
			return d;
	}
	return 0;
}

static void by_final(ctx *c)
{
	struct sorted *s = sqlite3_aggregate_context(c, 0);
	struct coltype none = { 0, -1 };
	bool text, failed;
	struct buf b;
	val **row;
	size_t i;

	if (!s || !s->width)
		return;
	text = *s->how == 's';
	failed = s->failed;
	buf_init(&b, 1 << 30);
	if (s->n)
		qsort_r(s->v, s->n, s->width * sizeof(*s->v), row_compare, s);
	if (!text)
		buf_ch(&b, '{');
	for (i = 0; i < s->n; i++) {
		row = s->v + i * s->width;
		if (!row[0])
			failed = true;
		if (!row[0] || (i && s->how[1] == 'u' && row[-(ptrdiff_t)s->width] &&
				is_null(row[0]) == is_null(row[-(ptrdiff_t)s->width]) &&
				!compare(row[0], row[-(ptrdiff_t)s->width])))
			continue;
		if (!text) {
			array_value(&b, row[0], b.len == 1);
			continue;
		}
		if (i && row[1] && !is_null(row[1]))
			buf_str(&b, text_of(row[1]));
		type_text(&b, none, row[0]);
	}
	if (!text)
		buf_ch(&b, '}');
	for (i = 0; i < s->n * s->width; i++)
		sqlite3_value_free(s->v[i]);
	free(s->v);
	if (failed || (!s->n && text))
		buf_free(&b);
	if (failed)
		sqlite3_result_error_nomem(c);
	else if (s->n || !text)
		result_buf(c, &b);
}

/* Welford's. */
struct spread {
	int64_t n;
	double mean, m2;
};

static void spread_step(ctx *c, int n, val **v)
{
	struct spread *s = is_null(v[0]) ? NULL : sqlite3_aggregate_context(c, sizeof(*s));
	double d;

	if (!s)
		return;
	d = sqlite3_value_double(v[0]) - s->mean;
	s->mean += d / (double)++s->n;
	s->m2 += d * (sqlite3_value_double(v[0]) - s->mean);
}

static void spread_final(ctx *c, bool sample, bool root)
{
	struct spread *s = sqlite3_aggregate_context(c, 0);
	double d;

	if (!s || s->n <= sample)
		return;
	d = s->m2 / (double)(s->n - sample);
	sqlite3_result_double(c, root ? sqrt(d) : d);
}

static void stddev_final(ctx *c) { spread_final(c, true, true); }
static void variance_final(ctx *c) { spread_final(c, true, false); }
static void stddev_pop_final(ctx *c) { spread_final(c, false, true); }
static void var_pop_final(ctx *c) { spread_final(c, false, false); }

const struct aggregate funcs_sorted[] = {
	{ "baton_agg_by", -1, by_step, by_final }, { "stddev", 1, spread_step, stddev_final },
	{ "stddev_samp", 1, spread_step, stddev_final }, { "variance", 1, spread_step, variance_final },
	{ "var_samp", 1, spread_step, variance_final }, { "stddev_pop", 1, spread_step, stddev_pop_final },
	{ "var_pop", 1, spread_step, var_pop_final },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of numbers. */
#include "funcs_int.h"

#include <math.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static void f_random(ctx *c, int n, val **v)
{
	uint64_t r;

	sqlite3_randomness(sizeof(r), &r);
	sqlite3_result_double(c, (double)(r >> 11) / 9007199254740992.0);
}

static void f_round(ctx *c, int n, val **v)
{
	int scale = n > 1 ? sqlite3_value_int(v[1]) : 0;

	if (is_null(v[0]))
		return;
	if (sqlite3_value_type(v[0]) == SQLITE_INTEGER && scale >= 0)
		sqlite3_result_value(c, v[0]);
	else
		sqlite3_result_double(c, funcs_rounded(sqlite3_value_double(v[0]), scale));
}

static void extreme(ctx *c, int n, val **v, int sign)
{
	val *best = NULL;
	int i, d;

	for (i = 0; i < n; i++) {
		if (is_null(v[i]))
			continue;
		if (!best) {
			best = v[i];
			continue;
		}
		if (sqlite3_value_numeric_type(v[i]) == SQLITE_TEXT)
			d = strcmp(text_of(v[i]), text_of(best));
		else
			d = sqlite3_value_double(v[i]) > sqlite3_value_double(best) ? 1 : -1;
		if (d * sign > 0)
			best = v[i];
	}
	if (best)
		sqlite3_result_value(c, best);
}

static void f_greatest(ctx *c, int n, val **v) { extreme(c, n, v, 1); }
static void f_least(ctx *c, int n, val **v) { extreme(c, n, v, -1); }

static void f_trunc(ctx *c, int n, val **v)
{
	double p = pow(10, sqlite3_value_int(v[1])), d = sqlite3_value_double(v[0]) * p;

	if (is_null(v[0]) || is_null(v[1]))
		return;
	/* 5.7 is meant, where 569.9999 is what there is. */
	sqlite3_result_double(c, (fabs(d - round(d)) < 1e-9 * fabs(d) ? round(d) : trunc(d)) / p);
}

static bool two(ctx *c, val **v, double *a, double *b)
{
	*a = sqlite3_value_double(v[0]);
	*b = sqlite3_value_double(v[1]);
	return !is_null(v[0]) && !is_null(v[1]);
}

static void f_div(ctx *c, int n, val **v)
{
	double a, b;

	if (!two(c, v, &a, &b))
		return;
	if (b)
		sqlite3_result_double(c, trunc(a / b));
	else
		funcs_error(c, "22012", "division by zero");
}

static void f_mod(ctx *c, int n, val **v)
{
	double a, b;

	if (!two(c, v, &a, &b))
		return;
	if (!b)
		funcs_error(c, "22012", "division by zero");
	else if (sqlite3_value_type(v[0]) == SQLITE_INTEGER && sqlite3_value_type(v[1]) == SQLITE_INTEGER)
		sqlite3_result_int64(c, sqlite3_value_int64(v[1]) == -1 ? 0 : sqlite3_value_int64(v[0]) % sqlite3_value_int64(v[1]));
	else
		sqlite3_result_double(c, fmod(a, b));
}

static int64_t gcd(int64_t a, int64_t b)
{
	int64_t t;

	for (; b; b = t) {
		t = b == -1 ? 0 : a % b;
		a = b;
	}
	return llabs(a);
}

static void f_gcd(ctx *c, int n, val **v)
{
	if (!is_null(v[0]) && !is_null(v[1]))
		sqlite3_result_int64(c, gcd(sqlite3_value_int64(v[0]), sqlite3_value_int64(v[1])));
}

static void f_lcm(ctx *c, int n, val **v)
{
	int64_t a = sqlite3_value_int64(v[0]), b = sqlite3_value_int64(v[1]), r;

	if (is_null(v[0]) || is_null(v[1]))
		return;
	if (!a || !b)
		sqlite3_result_int64(c, 0);
	else if (__builtin_mul_overflow(a / gcd(a, b), b, &r) || r == INT64_MIN)
		funcs_error(c, "22003", "bigint out of range");
	else
		sqlite3_result_int64(c, llabs(r));
}

static void f_factorial(ctx *c, int n, val **v)
{
	int64_t k = sqlite3_value_int64(v[0]);

	if (is_null(v[0]))
		return;
	if (k < 0 || k > 170)
		funcs_error(c, "22003", k < 0 ? "factorial of a negative number is undefined" : "value overflows numeric format");
	else
		sqlite3_result_double(c, round(tgamma((double)k + 1)));
}

static void f_cbrt(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_double(c, cbrt(sqlite3_value_double(v[0])));
}

static void f_cot(ctx *c, int n, val **v)
{
	if (!is_null(v[0]))
		sqlite3_result_double(c, 1 / tan(sqlite3_value_double(v[0])));
}

static void f_xor(ctx *c, int n, val **v)
{
	if (!is_null(v[0]) && !is_null(v[1]))
		sqlite3_result_int64(c, sqlite3_value_int64(v[0]) ^ sqlite3_value_int64(v[1]));
}

static void f_num_nulls(ctx *c, int n, val **v)
{
	int i, nulls = 0;

	for (i = 0; i < n; i++)
		nulls += is_null(v[i]);
	sqlite3_result_int(c, nulls);
}

static void f_num_nonnulls(ctx *c, int n, val **v)
{
	int i, some = 0;

	for (i = 0; i < n; i++)
		some += !is_null(v[i]);
	sqlite3_result_int(c, some);
}

const struct func funcs_num[] = {
	{ "trunc", 2, PURE, f_trunc }, { "div", 2, PURE, f_div }, { "baton_mod", 2, PURE, f_mod }, { "mod", 2, PURE, f_mod },
	{ "gcd", 2, PURE, f_gcd }, { "lcm", 2, PURE, f_lcm }, { "factorial", 1, PURE, f_factorial }, { "cbrt", 1, PURE, f_cbrt },
	{ "cot", 1, PURE, f_cot }, { "baton_xor", 2, PURE, f_xor }, { "num_nulls", FROM(1), PURE, f_num_nulls },
	{ "num_nonnulls", FROM(1), PURE, f_num_nonnulls },
	{ "pg_random", 0, WORLD, f_random }, { "round", 1, PURE, f_round }, { "round", 2, PURE, f_round },
	{ "greatest", FROM(1), PURE, f_greatest }, { "least", FROM(1), PURE, f_least },
	{ 0 }
};

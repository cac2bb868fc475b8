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

const struct func funcs_num[] = {
	{ "pg_random", 0, WORLD, f_random }, { "round", 1, PURE, f_round }, { "round", 2, PURE, f_round },
	{ "greatest", -1, PURE, f_greatest }, { "least", -1, PURE, f_least },
	{ 0 }
};

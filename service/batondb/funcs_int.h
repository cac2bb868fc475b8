/* SPDX-License-Identifier: GPL-2.0-or-later */
/* funcs_int.h - for funcs*.c: what a function is, and what all of them use. */
#ifndef BATONDB_FUNCS_INT_H
#define BATONDB_FUNCS_INT_H

#include <stdbool.h>

#include "funcs.h"
#include "types.h"

typedef sqlite3_context ctx;
typedef sqlite3_value val;

#define DAY_US 86400000000LL

#define PURE (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)
#define WORLD (SQLITE_UTF8)
#define SLOW (SQLITE_UTF8 | SQLITE_DIRECTONLY)

/* Of that many values and more: f looks at n. */
#define FROM(n) (-1 - (n))

struct func {
	const char *name;	/* NULL: the last one */
	int n;			/* values; f may read so many of v, or FROM() */
	int flags;
	void (*f)(ctx *, int, val **);
};
extern const struct func funcs_cast[], funcs_text[], funcs_regex[], funcs_num[], funcs_time[], funcs_interval[], funcs_agg[];
/* An item of an array's text. */
void array_text(struct buf *b, const char *s, size_t n, bool first);
void array_value(struct buf *b, val *v, bool first);
struct aggregate {
	const char *name;
	int n;
	void (*step)(ctx *, int, val **);
	void (*final)(ctx *);
};
extern const struct aggregate funcs_sorted[];
int funcs_agg_register(sqlite3 *db, struct funcs_env *env);

/* A date or time of this type; false: the error is told. */
bool funcs_time_of(ctx *c, val *v, uint32_t oid, int64_t *us);
/* Half away from zero, at that many digits behind the point. */
double funcs_rounded(double d, int scale);
/* The one value that this query of ?1 has; fail: the error if it has none. */
void funcs_lookup(ctx *c, const char *sql, val *v, const char *fail);
void funcs_result_time(ctx *c, int64_t us, uint32_t oid);

struct interval {
	int64_t months, days, us;
};
bool interval_parse(const char *s, struct interval *iv);
void interval_format(struct buf *b, const struct interval *iv);
/* Times are us since 2000. sign: 1, -1. false: no such time can be said. */
bool interval_add(int64_t *us, const struct interval *iv, int sign);
/* "day" ...; false: no such. */
bool interval_part(const char *field, const struct interval *iv, double *d);

static inline struct funcs_env *env_of(ctx *c)
{
	return sqlite3_user_data(c);
}

static inline const char *text_of(val *v)
{
	return (const char *)sqlite3_value_text(v);
}

static inline bool is_null(val *v)
{
	return sqlite3_value_type(v) == SQLITE_NULL;
}

static inline void result_buf(ctx *c, struct buf *b)
{
	if (b->failed)
		sqlite3_result_error_toobig(c);
	else
		sqlite3_result_text(c, b->p ? b->p : "", (int)b->len, SQLITE_TRANSIENT);
	buf_free(b);
}

/* Begun with a brace, and items put by array_text() or array_value(). */
static inline void result_array(ctx *c, struct buf *b)
{
	buf_ch(b, '}');
	result_buf(c, b);
}

#endif

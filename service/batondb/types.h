/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - PostgreSQL's types: their names, and their values as text, as
 * binary and as SQLite has them (README.md has the table).
 */
#ifndef BATONDB_TYPES_H
#define BATONDB_TYPES_H

#include <sqlite3.h>
#include <stdint.h>

#include "buf.h"
#include "lex.h"

enum {
	T_BOOL = 16, T_BYTEA = 17, T_CHAR = 18, T_NAME = 19, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23,
	T_REGPROC = 24, T_TEXT = 25, T_OID = 26, T_JSON = 114, T_XID = 28, T_FLOAT4 = 700, T_FLOAT8 = 701,
	T_UNKNOWN = 705, T_INT4_ARRAY = 1007, T_TEXT_ARRAY = 1009, T_NAME_ARRAY = 1003, T_BPCHAR = 1042,
	T_VARCHAR = 1043, T_DATE = 1082, T_TIME = 1083, T_TIMESTAMP = 1114, T_TIMESTAMPTZ = 1184,
	T_INTERVAL = 1186, T_NUMERIC = 1700, T_REGCLASS = 2205, T_REGTYPE = 2206, T_VOID = 2278,
	T_UUID = 2950, T_JSONB = 3802, T_REGNAMESPACE = 4089, T_REGROLE = 4096,
};

struct type {
	uint32_t oid;
	const char *name;	/* int4 */
	const char *sql;	/* integer */
	const char *decl;	/* in a table of SQLite, where it is not as sql */
	int16_t len;		/* -1: varies */
	char category;
};

/* What a column or an expression is. mod: as in pg_attribute, -1: none. */
struct coltype {
	uint32_t oid;		/* 0: not known before there is a value */
	int32_t mod;
};

extern const struct type types[];
extern const unsigned n_types;
const struct type *type_of(uint32_t oid);	/* never NULL: text */

/* It counts: an integer, a float or a numeric. */
bool type_is_number(uint32_t oid);

/* A type's name in SQL; *serial: it was serial or the like. Tokens taken, or 0. */
unsigned type_parse(const struct lex_tok *t, struct coltype *out, bool *serial);
/* What was declared for a column of SQLite; oid 0: nothing we know. */
struct coltype type_from_decl(const char *decl);
void type_decl(struct buf *b, struct coltype t);
void type_format(struct buf *b, struct coltype t);	/* as format_type() */

/* A value to a client: its length, then it; text or binary. */
void type_out(struct buf *b, struct coltype t, sqlite3_value *v, bool binary);
/* As text only, without a length. */
void type_text(struct buf *b, struct coltype t, sqlite3_value *v);

struct type_error {
	const char *code;
	char text[160];
};
/* A value from a client to a parameter. */
bool type_bind(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int32_t n, bool binary,
	       struct type_error *e);

/* Microseconds since 2000-01-01. */
bool time_parse(const char *p, size_t n, bool zone, int64_t *us);
/* The SQLSTATE of what could not be parsed: out of range, or no time at all. */
const char *time_error(const char *s);
void time_format(struct buf *b, int64_t us, uint32_t oid);
int64_t time_now(void);
/* Days since 2000-01-01: the one that a time is in, that of a date, and back. */
int64_t time_day(int64_t us);
int64_t day_of_date(int64_t y, int m, int d);
void day_to_date(int64_t days, int64_t *y, int *m, int *d);
/* In small letters, January first. */
extern const char *const month_names[12];
/* "t", "yes", "0" ... 1, 0, or -1. */
int bool_parse(const char *p, size_t n);
/* Shortest text that reads back as the same number. */
void float_text(struct buf *b, double d, bool single);
bool utf8_ok(const char *p, size_t n);
/* n digits, two a byte. */
bool hex_bytes(uint8_t *to, const char *s, size_t n);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types.h - the six types that a column may have here, and their values as text and as
 * SQLite has them. A value that is not of the type that was described is an error, and never sent as another one.
 */
#ifndef BATONDB_TYPES_H
#define BATONDB_TYPES_H

#include <sqlite3.h>
#include <stdint.h>

#include "buf.h"

enum {
	T_BOOL = 16, T_BYTEA = 17, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_TEXT = 25, T_FLOAT4 = 700, T_FLOAT8 = 701,
	T_UNKNOWN = 705, T_BPCHAR = 1042, T_VARCHAR = 1043,
};

/* The type of a column that was declared so; 0: any type; T_REFUSED: one that batondb does not have. */
#define T_REFUSED UINT32_MAX
uint32_t type_of_decl(const char *decl);
/* The type's name in SQL; and its size on the wire, -1: varies. */
const char *type_name(uint32_t oid);
int type_size(uint32_t oid);
/* The type here of a parameter that a client declared so, 0: not said, or T_REFUSED. */
uint32_t type_of_client(uint32_t oid);
/* The type of a value of SQLite's: SQLITE_INTEGER ...; text where it is NULL. */
uint32_t type_of_value(int kind);

/* An error and its SQLSTATE. */
struct sql_error {
	char code[6];
	const char *hint;		/* NULL: none */
	char text[400];
};
/* False, always. */
bool sql_fail(struct sql_error *e, const char *code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A value to a client as text; not of NULL. */
bool type_text(struct buf *b, uint32_t oid, sqlite3_value *v, struct sql_error *e);
/* A value from a client to a parameter; n -1: NULL. raw: in binary, which is for texts and blobs alone. */
bool type_bind(sqlite3_stmt *s, int i, uint32_t oid, const char *p, int32_t n, bool raw, struct sql_error *e);
/* Whether a literal may stand for a value of this type, as SQLite would compare or store it. */
bool type_literal(uint32_t oid, const char *p, size_t n, struct sql_error *e);

/* "t", "yes", "0" ... 1, 0, or -1. */
int bool_parse(const char *p, size_t n);
bool utf8_ok(const char *p, size_t n);

#endif

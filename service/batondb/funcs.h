/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * funcs.h - every function that a statement may call: SQLite's that are allowed, ours, and ours in
 * the place of SQLite's. What is not in the table does not exist here.
 */
#ifndef BATONDB_FUNCS_H
#define BATONDB_FUNCS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct session;
int funcs_register(sqlite3 *db, struct session *s);
/* A function may be called; *type is that of its result, 0: depends. */
bool funcs_allowed(const char *name, uint32_t *type);
/* The type of argument n, from 0: T_TEXT ..., 0: any. */
uint32_t funcs_argument(const char *name, unsigned n);
/* The names, NULL behind the last; for the list of what is reachable. */
const char *funcs_name(unsigned i);

#endif

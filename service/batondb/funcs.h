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

/* What functions want to know about the session that calls them. */
struct funcs_env {
	const char *user, *database;
	int pid;
	const char *(*setting)(void *arg, const char *name);
	/* Cancel or terminate. 1: done, 0: there is none, -1: not allowed. */
	int (*signal)(void *arg, int pid, bool end);
	void (*sleep)(void *arg, double seconds);
	/* Of the request, in ms; false: there is none. */
	bool (*budget)(void *arg, double *ms);
	bool (*deadline)(void *arg, double *ms);
	bool (*charge)(void *arg, double ms);
	/* The statement is to end: asked by functions that take long. */
	bool (*ended)(void *arg);
	void *arg;
};

int funcs_register(sqlite3 *db, struct funcs_env *env);
/* A function may be called; *type is that of its result, 0: depends. */
bool funcs_allowed(const char *name, uint32_t *type);
/* The type of argument n, from 0: T_TEXT ..., 0: any. */
uint32_t funcs_argument(const char *name, unsigned n);
/* All names, NULL behind the last; for the list of what is reachable. */
const char *funcs_name(unsigned i);

#endif

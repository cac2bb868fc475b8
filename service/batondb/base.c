// SPDX-License-Identifier: GPL-2.0-or-later
/* Databases: a file each, in data_dir/base. */
#include <baton/sync.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

struct database *database_find(const char *name)
{
	struct database *d;

	for (d = server.databases; d && strcmp(d->name, name); d = d->next)
		;
	return d;
}

static const char *add_database(const char *name)
{
	struct database *d = calloc(1, sizeof(*d));

	if (!d || baton_mutex_create(&d->fair, server.sched)) {
		free(d);
		return "out of memory";
	}
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->path, sizeof(d->path), "%s/base/%s.db", server.conf.data_dir, name);
	pthread_mutex_init(&d->plain, NULL);
	pthread_mutex_lock(&server.lock);
	d->next = server.databases;
	server.databases = d;
	pthread_mutex_unlock(&server.lock);
	return NULL;
}

static bool is_name(const char *s)
{
	return *s && *s != '.' && strlen(s) < 60 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(s);
}

const char *database_create(const char *name, const char **code)
{
	const char *why = NULL;
	char path[600];
	sqlite3 *db;

	*code = "42602";
	if (!is_name(name))
		return "a database's name is of letters, digits, _ and -, at most 59";
	*code = "42P04";
	if (database_find(name))
		return why_text("database \"%s\" already exists", name);
	*code = "58030";
	if (role_fault && role_fault())
		return why_text("cannot create %s", name);
	snprintf(path, sizeof(path), "%s/base/%s.db", server.conf.data_dir, name);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) ||
	    sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL))
		why = why_text("cannot create %s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	if (!why)
		why = add_database(name);
	if (why)
		unlink(path);
	return why;
}

const char *database_drop(const char *name, const char **code)
{
	static const char *const ends[] = { "-wal", "-shm" };
	struct database *d, **at;
	const char *why;
	char path[600];
	int i;

	/* Out of the list first: nobody connects to one that is being removed. */
	pthread_mutex_lock(&server.lock);
	for (at = &server.databases; (d = *at) && strcmp(d->name, name); at = &d->next)
		;
	if (d && !d->sessions)
		*at = d->next;
	pthread_mutex_unlock(&server.lock);
	*code = d ? "55006" : "3D000";
	if (!d || d->sessions)
		return why_text(d ? "database \"%s\" is being accessed by other users" : "database \"%s\" does not exist", name);
	if ((role_fault && role_fault()) || unlink(d->path)) {
		*code = "58030";
		why = why_text("cannot remove %s: %s", d->path, strerror(errno));
		pthread_mutex_lock(&server.lock);
		d->next = server.databases;
		server.databases = d;
		pthread_mutex_unlock(&server.lock);
		return why;
	}
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s%s", d->path, ends[i]);
		unlink(path);
	}
	baton_mutex_destroy(d->fair);
	pthread_mutex_destroy(&d->plain);
	free(d);
	return NULL;
}

/* Calls fn for each database in dir/base, until it says what is wrong. */
static const char *each_database(const char *dir, const char *(*fn)(const char *name))
{
	char path[600], name[256];
	const char *why = NULL;
	struct dirent *e;
	DIR *d;
	size_t n;

	snprintf(path, sizeof(path), "%s/base", dir);
	d = opendir(path);
	if (!d)
		return why_text("cannot open %s: %s", path, strerror(errno));
	while (!why && (e = readdir(d))) {
		n = strlen(e->d_name);
		if (n < 4 || strcmp(e->d_name + n - 3, ".db"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n - 3, e->d_name);
		why = fn(name);
	}
	closedir(d);
	return why;
}

const char *database_load(void)
{
	const char *why, *code;
	char path[600];

	snprintf(path, sizeof(path), "%s/base", server.conf.data_dir);
	mkdir(path, 0700);
	why = each_database(server.conf.data_dir, add_database);
	return why || database_find("postgres") ? why : database_create("postgres", &code);
}

/* ------------------------------------------------------------------ backup */

static const char *backup_from, *backup_into;

/* A copy is made at once, so that it is the database of one moment. */
static const char *copy_file(const char *name)
{
	const char *why = NULL;
	char *path, *sql;
	sqlite3 *db;

	path = sqlite3_mprintf("%s/%s.db", backup_from, name);
	sql = sqlite3_mprintf("pragma busy_timeout = 60000; vacuum into %Q", sqlite3_mprintf("%s/%s.db", backup_into, name));
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) || sqlite3_exec(db, sql, NULL, NULL, NULL))
		why = why_text("%s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return why;
}

static const char *copy_database(const char *name)
{
	return copy_file(sqlite3_mprintf("base/%s", name));
}

const char *backup_to(const char *data_dir, const char *to)
{
	const char *why;

	backup_from = data_dir;
	backup_into = to;
	if (mkdir(to, 0700) || mkdir(sqlite3_mprintf("%s/base", to), 0700))
		return why_text("%s: %s", to, strerror(errno));
	why = copy_file("control");
	return why ? why : each_database(data_dir, copy_database);
}

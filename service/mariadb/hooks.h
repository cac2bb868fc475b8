/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the plugin is called by the server: hooks.c.
 */
#ifndef BATON_MARIADB_HOOKS_H
#define BATON_MARIADB_HOOKS_H

#include <stdbool.h>

#include "conn.h"
#include "server.h"

/**
 * hooks_set - from now on, and until the process ends; after server_find()
 * @starting: the server has no connections yet
 *
 * Returns 0, or -EBUSY: connections are served by a pool of threads, and there may be some.
 */
int hooks_set(bool starting);

/** hooks_enable - do something where the server calls, or pass everything on */
void hooks_enable(bool on);

/** hooks_has_pool - connections are served by a pool of threads */
bool hooks_has_pool(void);

/** hooks_pool_wait_begin, _end - tell a pool of threads that this one waits */
void hooks_pool_wait_begin(MYSQL_THD thd);
void hooks_pool_wait_end(MYSQL_THD thd);

#endif

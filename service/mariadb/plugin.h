/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plugin as the server sees it: plugin.c.
 */
#ifndef BATON_MARIADB_PLUGIN_H
#define BATON_MARIADB_PLUGIN_H

#include "conn.h"

/** plugin_class - baton_class of this session */
enum conn_class plugin_class(MYSQL_THD thd);

/** plugin_class_name - for messages and tables */
const char *plugin_class_name(enum baton_class cls);

/** plugin_complain - into the server's error log, not more than one line a minute */
void plugin_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

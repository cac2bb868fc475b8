/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plugin's tables in INFORMATION_SCHEMA: schema.c.
 */
#ifndef BATON_MARIADB_SCHEMA_H
#define BATON_MARIADB_SCHEMA_H

struct st_mysql_information_schema;

/* Names that the declarations of the plugins refer to. */
extern struct st_mysql_information_schema schema_info;
int schema_init_tenants(void *table);
int schema_init_statements(void *table);
int schema_init_late(void *table);

#endif

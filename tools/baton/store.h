/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store.h - the options of verbs that ask a fleet's etcd. */
#ifndef TOOLS_STORE_H
#define TOOLS_STORE_H

#include "../fleet/view.h"
#include "options.h"

#define STORE_ROWS						\
	{ "etcd", required_argument, 0, 'e' },			\
	{ "user", required_argument, 0, 'u' },			\
	{ "cacert", required_argument, 0, 'A' },		\
	{ "cert", required_argument, 0, 'C' },			\
	{ "key", required_argument, 0, 'K' },			\
	{ "prefix", required_argument, 0, 'p' }

#define STORE_USAGE						\
	"  --etcd URL[,URL]     default http://127.0.0.1:2379\n"	\
	"  --user NAME:PASSWORD of etcd's; or the environment's BATON_ETCD_USER\n" \
	"  --cacert, --cert, --key FILE   for TLS\n"		\
	"  --prefix KEY/        of all keys, default /baton/\n"

/* Sets the values that hold where no option says otherwise. */
void store_defaults(struct fleet_store *s);
/* Takes an option of STORE_ROWS with optarg; false: c is none. */
bool store_option(struct fleet_store *s, int c);
/* After the last one: 0; or 2, all is said. */
int store_check(const struct options *o, const struct fleet_store *s);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a fleet's store is. */
#include "config.h"
#ifdef HAVE_FLEET
#include "store.h"

#include <stdlib.h>
#include <string.h>

void store_defaults(struct fleet_store *s)
{
	*s = (struct fleet_store){ .etcd = { .endpoints = "http://127.0.0.1:2379", .user = getenv("BATON_ETCD_USER") }, .prefix = "/baton/" };
}

bool store_option(struct fleet_store *s, int c)
{
	switch (c) {
	case 'e':
		s->etcd.endpoints = optarg;
		return true;
	case 'u':
		s->etcd.user = optarg;
		return true;
	case 'A':
		s->etcd.cacert = optarg;
		return true;
	case 'C':
		s->etcd.cert = optarg;
		return true;
	case 'K':
		s->etcd.key = optarg;
		return true;
	case 'p':
		s->prefix = optarg;
		return true;
	}
	return false;
}

int store_check(const struct options *o, const struct fleet_store *s)
{
	if (!*s->prefix || s->prefix[strlen(s->prefix) - 1] != '/' || strlen(s->prefix) > 200)
		return options_wrong(o, "--prefix ends with a slash, and has 200 letters at most");
	return 0;
}
#endif

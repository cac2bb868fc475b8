/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOOLS_DETECT_SERVE_H
#define TOOLS_DETECT_SERVE_H

#include "detect_load.h"

#define DETECT_ALLOW_MAX 64

struct detect_allow {
	bool all;
	unsigned n_uids, n_gids;
	uid_t uid[DETECT_ALLOW_MAX];
	gid_t gid[DETECT_ALLOW_MAX];
	const char *hold;	/* for tests: sessions wait while this file is there; or NULL */
};

/*
 * Serves sessions on a socket until SIGTERM or SIGINT: 0; or -errno, said on
 * stderr. What it refuses and why goes to stderr too.
 */
int detect_serve(struct detect *d, const char *path, const struct detect_allow *allow);

#endif

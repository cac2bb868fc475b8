/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run_dir.h - a test's own directory for pages, in place of the user's: BATON_RUN_DIR. */
#ifndef OBSERVE_RUN_DIR_H
#define OBSERVE_RUN_DIR_H

#include <stdlib.h>
#include <unistd.h>

#include "tap.h"

static char dir[] = "/tmp/baton-observe-XXXXXX";

static inline int run_dir_main(int argc, char **argv)
{
	int rc;

	if (!mkdtemp(dir))
		return 1;
	setenv("BATON_RUN_DIR", dir, 1);
	rc = tap_main(argc, argv);
	rmdir(dir);
	return rc;
}

#endif

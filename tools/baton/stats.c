// SPDX-License-Identifier: GPL-2.0-or-later
/* baton stats - what a service published, as text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <baton/stats.h>

#include "baton.h"

static const char usage[] =
	"usage: baton stats [--json | --prometheus] [SERVICE]\n"
	"\n"
	"SERVICE: as it published itself, or the path of its file; without it, the only\n"
	"one there is. The exit status is 3 where the service has died; what is shown\n"
	"are its last figures.\n";

int verb_stats(int argc, char **argv)
{
	enum baton_stats_format format = BATON_STATS_JSON;
	const char *name = NULL;
	struct baton_stats_header h;
	struct baton_stats *st;
	char why[1000];
	int i, err;
	bool alive;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			format = BATON_STATS_JSON;
		} else if (!strcmp(argv[i], "--prometheus")) {
			format = BATON_STATS_PROMETHEUS;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		} else if (argv[i][0] == '-' || name) {
			fprintf(stderr, "baton stats: %s \"%s\"\n%s", name ? "one service, not also" : "no option",
				argv[i], usage);
			return 2;
		} else {
			name = argv[i];
		}
	}
	err = baton_stats_open(&st, name, why, sizeof(why));
	if (err) {
		fprintf(stderr, "baton stats: %s\n", *why ? why : strerror(-err));
		return 1;
	}
	alive = baton_stats_alive(st);
	baton_stats_header(st, &h, sizeof(h));
	if (!alive)
		fprintf(stderr, "baton stats: %s (process %llu) does not run any more; these are its last figures\n",
			h.name, (unsigned long long)h.pid);
	err = baton_stats_print(st, stdout, format);
	if (!err && fflush(stdout))
		err = -errno;
	if (err)
		fprintf(stderr, "baton stats: cannot write: %s\n", strerror(-err));
	baton_stats_close(st);
	return err ? 1 : alive ? 0 : 3;
}

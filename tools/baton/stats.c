// SPDX-License-Identifier: GPL-2.0-or-later
/* baton stats - what a service published, as text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <baton/stats.h>

#include "baton.h"
#include "options.h"

static const char usage[] =
	"usage: baton stats [--json | --prometheus] [SERVICE]\n"
	"\n"
	"What a service published, as JSON (--json, the default) or for Prometheus.\n"
	"SERVICE: as it published itself, or the path of its file; without it, the only\n"
	"one there is. The exit status is 3 where the service has died; what is shown\n"
	"are its last figures.\n";

int verb_stats(int argc, char **argv)
{
	static const struct option rows[] = {
		{ "json", no_argument, 0, 'j' },
		{ "prometheus", no_argument, 0, 'p' },
		OPTIONS_COMMON
	};
	struct options o = { .verb = argv[0], .usage = usage };
	enum baton_stats_format format = BATON_STATS_JSON;
	struct baton_stats_header h;
	struct baton_stats *st;
	const char *name;
	char why[1000];
	bool alive;
	int c, err;

	while ((c = options_next(&o, argc, argv, "", rows)) != OPTIONS_END) {
		if (c == OPTIONS_EXIT)
			return o.status;
		format = c == 'p' ? BATON_STATS_PROMETHEUS : BATON_STATS_JSON;
	}
	if (options_service(&o, argc, argv, &name))
		return 2;
	err = baton_stats_open(&st, name, why, sizeof(why));
	if (err) {
		fprintf(stderr, "baton stats: %s\n", *why ? why : strerror(-err));
		return 1;
	}
	alive = baton_stats_alive(st);
	baton_stats_header(st, &h, sizeof(h));
	if (!alive)
		fprintf(stderr, "baton stats: %s (process %llu) does not run any more; these are its last figures\n",
			options_printable(h.name), (unsigned long long)h.pid);
	err = baton_stats_print(st, stdout, format);
	if (!err && fflush(stdout))
		err = -errno;
	if (err)
		fprintf(stderr, "baton stats: cannot write: %s\n", strerror(-err));
	baton_stats_close(st);
	return err ? 1 : alive ? 0 : 3;
}

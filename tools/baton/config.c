// SPDX-License-Identifier: GPL-2.0-or-later
/* baton config - look at a configuration before a service does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <baton/config.h>

#include "baton.h"

static int load(int argc, char **argv, struct baton_config **c)
{
	char why[4096];
	int err;

	if (argc != 2 || argv[1][0] == '-') {
		bool help = argc > 1 && !strcmp(argv[1], "--help");

		fprintf(help ? stdout : stderr, "usage: baton config %s FILE\n", argv[0]);
		return help ? 0 : 2;
	}
	err = baton_config_load(c, argv[1], why, sizeof(why));
	if (err == -ENOMEM)
		snprintf(why, sizeof(why), "%s: no memory\n", argv[1]);
	if (err)
		fputs(why, stderr);
	return err ? 1 : 0;
}

static void percent(const char *name, unsigned long ppm, const char *more)
{
	printf("%s %lu.%02lu%%%s", name, ppm / 10000, ppm % 10000 / 100, more);
}

static int check(int argc, char **argv)
{
	struct baton_config *c = NULL;
	struct baton_tenant_opts t;
	struct baton_sched_opts s;
	unsigned long low = 0, high = 0;
	size_t n;
	int rc = load(argc, argv, &c);

	if (!c)
		return rc;
	baton_config_sched(c, &s);
	for (n = 0; baton_config_tenant(c, n, &t); n++) {
		low += t.low_ppm;
		high += t.high_ppm;
	}
	printf("%s: good: %zu tenants, %u tiers;", argv[1], n, s.tiers);
	percent(" low-latency", low, " of");
	percent("", s.low_limit_ppm, " sold,");
	percent(" high-latency", high, "\n");
	baton_config_free(c);
	return 0;
}

static int show(int argc, char **argv)
{
	struct baton_config *c = NULL;
	int rc = load(argc, argv, &c);

	if (!c)
		return rc;
	rc = baton_config_print(c, stdout) || fflush(stdout);
	if (rc)
		fprintf(stderr, "baton config show: cannot write: %s\n", strerror(errno));
	baton_config_free(c);
	return rc;
}

int verb_config(int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "check", check, "what is wrong in a file, line by line" },
		{ "show", show, "the same with all defaults written out" },
		{ NULL, NULL, NULL }
	};

	return verb_dispatch("baton config", verbs, argc, argv);
}

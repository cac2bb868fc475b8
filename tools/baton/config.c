// SPDX-License-Identifier: GPL-2.0-or-later
/* baton config - look at a configuration before a service does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <baton/config.h>

#include "baton.h"
#include "options.h"

static int load(int argc, char **argv, struct baton_config **c)
{
	static const struct option rows[] = { OPTIONS_COMMON };
	char why[4096], verb[32], usage[64];
	struct options o = { .verb = verb, .usage = usage };
	int err;

	snprintf(verb, sizeof(verb), "config %s", argv[0]);
	snprintf(usage, sizeof(usage), "usage: baton config %s FILE\n", argv[0]);
	if (options_next(&o, argc, argv, "", rows) != OPTIONS_END)
		return o.status;
	if (argc - optind != 1)
		return options_wrong(&o, "one file is expected");
	argv[1] = argv[optind];
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

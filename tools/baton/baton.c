// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton - one command with verbs.
 */
#include "baton.h"

#include <stdio.h>
#include <string.h>

#include <baton/base.h>

#include "options.h"

static int verb_version(int argc, char **argv)
{
	static const struct option rows[] = { OPTIONS_COMMON };
	struct options o = { .verb = "version", .usage = "usage: baton version\n\nThe version, and how threads switch on this machine.\n" };
	const char *backend;

	if (options_next(&o, argc, argv, "", rows) == OPTIONS_EXIT)
		return o.status;
	if (optind < argc)
		return options_wrong(&o, "no argument, not \"%s\"", argv[optind]);
	printf("baton %s\n", baton_version());
	if (baton_backend(&backend))
		return 1;
	printf("backend %s\n", backend);
	return 0;
}

static const struct verb verbs[] = {
	{ "bench", verb_bench, "measure: baton bench switch" },
	{ "config", verb_config, "check a configuration: baton config check FILE" },
	{ "fleet", verb_fleet, "one quota over many nodes, leased from etcd" },
	{ "load", verb_load, "load and serve the programs that see who blocks" },
	{ "stacks", verb_stacks, "where a service's workers block unannounced" },
	{ "stats", verb_stats, "what a service does, as JSON or for Prometheus" },
	{ "status", verb_status, "what is loaded, who serves it, who uses it" },
	{ "top", verb_top, "who uses a service's slots, in this terminal" },
	{ "trace", verb_trace, "what happened on each slot, for ui.perfetto.dev" },
	{ "unload", verb_unload, "remove what `baton load` loaded" },
	{ "version", verb_version, "the version, and how this machine switches" },
	{ NULL, NULL, NULL }
};

static void list(FILE *to, const char *prefix, const struct verb *v)
{
	fprintf(to, "usage: %s VERB [ARGUMENTS]\n\n", prefix);
	for (; v->name; v++)
		fprintf(to, "  %-10s %s\n", v->name, v->help);
	fprintf(to, "\n%s VERB --help says more.\n", prefix);
}

int verb_dispatch(const char *prefix, const struct verb *v, int argc, char **argv)
{
	const struct verb *first = v;

	if (argc < 2) {
		list(stderr, prefix, first);
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		list(stdout, prefix, first);
		return 0;
	}
	for (; v->name; v++)
		if (!strcmp(argv[1], v->name))
			return v->run(argc - 1, argv + 1);
	fprintf(stderr, "%s: no verb \"%s\"; `%s --help` lists them\n", prefix, argv[1], prefix);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		argv[1] = "version";
	return verb_dispatch("baton", verbs, argc, argv);
}

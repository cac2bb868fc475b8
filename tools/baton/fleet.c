// SPDX-License-Identifier: GPL-2.0-or-later
/* baton fleet - one quota over many nodes: the agent of a node, and what is sold. */
#include "config.h"

#include "baton.h"
#include "options.h"

#include <stdio.h>

#ifdef HAVE_FLEET

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fleet/agent.h"
#include "../fleet/trace.h"
#include "store.h"

static const char usage[] =
	"usage: baton fleet init PLACES [BASE%]\n"
	"       baton fleet set TENANT low=CPUS high=CPUS\n"
	"       baton fleet show [--json]\n"
	"       baton fleet trace [TENANT] [--json]\n"
	"       baton fleet agent --node NAME --capacity CPUS --socket PATH [--metrics PORT]\n"
	"\n"
	"One quota over many nodes, leased from etcd (docs/fleet.md).\n"
	"\n"
	STORE_USAGE;

struct args {
	struct agent_options a;
	bool json;
};

static bool read_cpus(const char *s, uint64_t *ns)
{
	char *end;
	double d = strtod(s, &end);

	if (end == s || *end || !(d >= 0) || d > 1e6)
		return false;
	*ns = (uint64_t)(d * 1e9 + .5);
	return true;
}

/* Reads the store once. Not 0: the exit status of the verb. */
static int read_fleet(struct fleet_view *v, const struct fleet_store *store)
{
	int rc = fleet_view_open(v, store);

	if (!rc && fleet_view_read(v, stderr)) {
		fprintf(stderr, "baton fleet: %s\n", etcd_error(v->e));
		rc = 1;
	}
	return rc;
}

static char *key_of(const struct fleet_store *o, const char *folder, const char *name)
{
	char *key;

	return asprintf(&key, "%s%s%s", o->prefix, folder, name) < 0 ? NULL : key;
}

static int send_txn(struct fleet_view *f, json_t *compare, json_t *ops)
{
	json_t *answer = etcd_ask(f->e, "kv/txn", etcd_txn(compare, ops, NULL));
	int rc = 0;

	if (!answer) {
		fprintf(stderr, "baton fleet: %s; it is not known whether this was done\n", etcd_error(f->e));
		rc = 1;
	}
	if (answer && !json_is_true(json_object_get(answer, "succeeded")))
		rc = -1;
	json_decref(answer);
	return rc;
}

static int fleet_init(const struct options *o, struct args *x, int argc, char **argv)
{
	struct fleet_view *f = calloc(1, sizeof(*f));
	struct fleet_setup s = { .base_ppm = 20000 };
	double base = 2;
	char *key, *value, *end;
	int rc;

	if (argc < 1 || argc > 2)
		return options_wrong(o, "init wants PLACES, the most nodes that there can be");
	s.places = strtoull(argv[0], &end, 10);
	if (*end || !s.places || s.places > FLEET_PLACES)
		return options_wrong(o, "PLACES is 1 to %d, not \"%s\"", FLEET_PLACES, argv[0]);
	if (argc > 1 && (base = strtod(argv[1], &end), (*end && strcmp(end, "%")) || !(base >= 0 && base <= 50)))
		return options_wrong(o, "BASE is 0%% to 50%%, not \"%s\"", argv[1]);
	s.base_ppm = (uint64_t)(base * 10000 + .5);
	rc = read_fleet(f, &x->a.store);
	if (!rc) {
		key = key_of(&x->a.store, "fleet", "");
		value = fleet_write_setup(&s);
		rc = send_txn(f, json_pack("[o]", etcd_compare(key, 0)), json_pack("[o]", etcd_op_put(key, value)));
		if (rc < 0)
			fprintf(stderr, "baton fleet: there is a fleet under %s, and its places cannot change\n", x->a.store.prefix);
		free(key);
		free(value);
	}
	fleet_view_close(f);
	free(f);
	return rc < 0 ? 1 : rc;
}

/* The sum of low-latency rates, this one being `rate`, is within what the fleet can promise. */
static bool can_sell(const struct fleet_view *f, const char *key, uint64_t rate)
{
	uint64_t sold = rate, have = 0;
	size_t i;

	for (i = 0; i < f->setup.places; i++)
		have += f->node_rev[i] && !f->node[i].fenced ? f->node[i].capacity : 0;
	for (i = 0; i < f->rates; i++)
		if (strcmp(f->rate[i]->key, key) && strlen(f->rate[i]->key) > 4 &&
		    !strcmp(f->rate[i]->key + strlen(f->rate[i]->key) - 4, "/low"))
			sold += f->rate[i]->quota.rate;
	if (sold <= have / 100 * 70)
		return true;
	fprintf(stderr, "baton fleet: %.3f CPUs of low-latency quota would be sold, and 70%% of the nodes' %.3f are %.3f\n",
		(double)sold / 1e9, (double)have / 1e9, (double)have / 1e9 * .7);
	return false;
}

static int set_once(struct fleet_view *f, const struct fleet_store *o, const char *tenant, const uint64_t *want)
{
	static const char *const class[] = { "low", "high" };
	json_t *compare = json_array(), *ops = json_array();
	bool everybody;
	char name[80], *key, *value;
	struct fleet_quota q;
	struct fleet_rate *r;
	unsigned c, i;

	key = key_of(o, "quotas", "");
	json_array_append_new(compare, etcd_compare(key, f->quotas_rev));
	json_array_append_new(ops, etcd_op_put(key, FLEET_QUOTAS_TEXT));
	free(key);
	for (c = 0; c < 2; c++) {
		if (want[c] == UINT64_MAX)
			continue;
		snprintf(name, sizeof(name), "%s/%s", tenant, class[c]);
		r = fleet_view_rate(f, name);
		if (!c && want[c] > r->quota.rate && !can_sell(f, name, want[c])) {
			json_decref(compare);
			json_decref(ops);
			return 1;
		}
		everybody = true;
		for (i = 0; i < f->setup.places; i++)
			everybody &= !f->node_rev[i] || f->alive[i].seen >= r->quota.rev;
		q = fleet_quota_set(&r->quota, want[c], want[c] / 1000000 * f->setup.base_ppm / f->setup.places, f->setup.places,
				    r->held ? fleet_held_sum(r->held) : 0, everybody);
		key = key_of(o, "quota/", name);
		value = fleet_write_quota(&q);
		json_array_append_new(compare, etcd_compare(key, r->quota.rev));
		json_array_append_new(ops, etcd_op_put(key, value));
		free(key);
		free(value);
		if (q.base > r->quota.base) {
			key = key_of(o, "held/", name);
			json_array_append_new(compare, etcd_compare(key, r->held ? r->held->rev : 0));
			free(key);
		}
	}
	return send_txn(f, compare, ops);
}

static int fleet_set(const struct options *o, struct args *x, int argc, char **argv)
{
	uint64_t want[2] = { UINT64_MAX, UINT64_MAX };
	struct fleet_view *f;
	int rc = -1, i;

	if (argc < 2 || !fleet_name_ok(argv[0]))
		return options_wrong(o, "set wants TENANT (printable, no slash, below 64 letters), and low=CPUS, high=CPUS or both");
	for (i = 1; i < argc; i++)
		if (strncmp(argv[i], "low=", 4) ? strncmp(argv[i], "high=", 5) || !read_cpus(argv[i] + 5, &want[1]) :
						  !read_cpus(argv[i] + 4, &want[0]))
			return options_wrong(o, "\"%s\" is neither low=CPUS nor high=CPUS", argv[i]);
	/* Somebody else may write between the look and the write. */
	for (i = 0; i < 10 && rc < 0; i++) {
		f = calloc(1, sizeof(*f));
		rc = read_fleet(f, &x->a.store);
		if (!rc && !f->has_setup) {
			fprintf(stderr, "baton fleet: there is no fleet under %s; `baton fleet init` makes one\n", x->a.store.prefix);
			rc = 1;
		}
		/* A place whose node cannot be read is not an empty place, and a quota that cannot be read was sold. */
		if (!rc && f->unread) {
			fprintf(stderr, "baton fleet: nothing is sold before these keys are right, or deleted\n");
			rc = 1;
		}
		if (!rc)
			rc = set_once(f, &x->a.store, argv[0], want);
		fleet_view_close(f);
		free(f);
	}
	if (rc < 0)
		fprintf(stderr, "baton fleet: others write the same quota all the time\n");
	return rc < 0 ? 1 : rc;
}

static int fleet_show(const struct options *o, struct args *x, int argc, char **argv)
{
	struct fleet_view *f = calloc(1, sizeof(*f));
	size_t i, k;
	int rc = argc ? options_wrong(o, "show wants no argument") : read_fleet(f, &x->a.store);

	if (!rc && x->json) {
		json_t *j = json_object(), *nodes = json_array(), *rates = json_array(), *held;

		for (i = 0; i < f->setup.places; i++)
			if (f->node_rev[i])
				json_array_append_new(nodes, json_pack("{s:i,s:s,s:I,s:I,s:b}", "place", (int)i, "name", f->node[i].name,
					"life", (json_int_t)f->node[i].life, "capacity", (json_int_t)f->node[i].capacity, "fenced",
					(int)f->node[i].fenced));
		for (i = 0; i < f->rates; i++) {
			held = json_array();
			for (k = 0; f->rate[i]->held && k < f->rate[i]->held->n; k++)
				json_array_append_new(held, json_pack("{s:s,s:I,s:I}", "node", f->node[f->rate[i]->held->entry[k].place].name,
					"rate", (json_int_t)f->rate[i]->held->entry[k].rate, "want",
					(json_int_t)f->rate[i]->held->entry[k].want));
			json_array_append_new(rates, json_pack("{s:s,s:I,s:I,s:o}", "rate", f->rate[i]->key, "sold",
				(json_int_t)f->rate[i]->quota.rate, "base", (json_int_t)fleet_base(&f->rate[i]->quota), "held", held));
		}
		json_object_set_new(j, "nodes", nodes);
		json_object_set_new(j, "rates", rates);
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
	} else if (!rc) {
		printf("%zu places, base %.2f%%\n", (size_t)f->setup.places, (double)f->setup.base_ppm / 1e4);
		for (i = 0; i < f->setup.places; i++)
			if (f->node_rev[i])
				printf("place %zu: %s, %.3f CPUs, life %llu%s\n", i, f->node[i].name, (double)f->node[i].capacity / 1e9,
				       (unsigned long long)f->node[i].life, f->node[i].fenced ? ", fenced" : "");
		for (i = 0; i < f->rates; i++) {
			printf("%s: %.3f CPUs, %.4f of them on each node for ever\n", f->rate[i]->key, (double)f->rate[i]->quota.rate / 1e9,
			       (double)fleet_base(&f->rate[i]->quota) / 1e9);
			for (k = 0; f->rate[i]->held && k < f->rate[i]->held->n; k++)
				printf("    %s: %.3f, wants %.3f\n", f->node[f->rate[i]->held->entry[k].place].name,
				       (double)f->rate[i]->held->entry[k].rate / 1e9, (double)f->rate[i]->held->entry[k].want / 1e9);
		}
	}
	if (!argc)
		fleet_view_close(f);
	free(f);
	return rc;
}

static int fleet_agent(const struct options *o, struct args *x)
{
	if (!x->a.name || !fleet_name_ok(x->a.name))
		return options_wrong(o, "agent wants --node NAME (printable, no slash, below 64 letters)");
	if (!x->a.capacity)
		return options_wrong(o, "agent wants --capacity CPUS, what the node's scheduler has");
	if (!x->a.socket)
		return options_wrong(o, "agent wants --socket PATH, where its scheduler joins");
	return agent_run(&x->a);
}

int verb_fleet(int argc, char **argv)
{
	static const struct option rows[] = {
		STORE_ROWS,
		{ "node", required_argument, 0, 'n' },
		{ "capacity", required_argument, 0, 'c' },
		{ "socket", required_argument, 0, 's' },
		{ "metrics", required_argument, 0, 'm' },
		{ "json", no_argument, 0, 'j' },
		OPTIONS_COMMON
	};
	struct options o = { .verb = argv[0], .usage = usage };
	struct args x = { 0 };
	unsigned long port;
	char *end;
	int c;

	store_defaults(&x.a.store);
	while ((c = options_next(&o, argc, argv, "", rows)) != OPTIONS_END)
		switch (c) {
		case OPTIONS_EXIT:
			return o.status;
		case 'n':
			x.a.name = optarg;
			break;
		case 'c':
			if (!read_cpus(optarg, &x.a.capacity) || x.a.capacity > AGENT_RATE_MOST)
				return options_wrong(&o, "--capacity wants a number of CPUs up to 4096, not \"%s\"", optarg);
			break;
		case 's':
			x.a.socket = optarg;
			break;
		case 'm':
			port = strtoul(optarg, &end, 10);
			if (*end || !port || port > 65535)
				return options_wrong(&o, "--metrics wants a port of 127.0.0.1, not \"%s\"", optarg);
			x.a.metrics = (uint16_t)port;
			break;
		case 'j':
			x.json = true;
			break;
		default:
			store_option(&x.a.store, c);
		}
	if (store_check(&o, &x.a.store))
		return 2;
	argc -= optind;
	argv += optind;
	if (argc && !strcmp(argv[0], "init"))
		return fleet_init(&o, &x, argc - 1, argv + 1);
	if (argc && !strcmp(argv[0], "set"))
		return fleet_set(&o, &x, argc - 1, argv + 1);
	if (argc && !strcmp(argv[0], "show"))
		return fleet_show(&o, &x, argc - 1, argv + 1);
	if (argc && !strcmp(argv[0], "trace"))
		return argc > 2 ? options_wrong(&o, "trace wants one tenant, or none") :
				  fleet_trace(&x.a.store, argc > 1 ? argv[1] : NULL, x.json);
	if (argc == 1 && !strcmp(argv[0], "agent"))
		return fleet_agent(&o, &x);
	return options_wrong(&o, "init, set, show, trace or agent?");
}

#else

int verb_fleet(int argc, char **argv)
{
	fprintf(stderr, "baton fleet: built without libcurl and jansson (Debian: apt-get install libcurl4-openssl-dev libjansson-dev, then rebuild)\n");
	return 1;
}

#endif

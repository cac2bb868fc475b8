// SPDX-License-Identifier: GPL-2.0-or-later
/* A fleet's keys, as the store has them. */
#include "config.h"
#ifdef HAVE_FLEET
#include "view.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare_rates(const void *x, const void *y)
{
	return strcmp(((const struct fleet_rate *)x)->key, ((const struct fleet_rate *)y)->key);
}

static int compare_pointers(const void *x, const void *y)
{
	return compare_rates(*(struct fleet_rate *const *)x, *(struct fleet_rate *const *)y);
}

struct fleet_rate *fleet_view_rate(struct fleet_view *v, const char *key)
{
	struct fleet_rate seek, *r, **found;

	snprintf(seek.key, sizeof(seek.key), "%s", key);
	found = tfind(&seek, &v->tree, compare_rates);
	if (found)
		return *found;
	r = calloc(1, sizeof(*r));
	/* The room doubles at each power of two. */
	if (!(v->rates & (v->rates - 1)))
		v->rate = realloc(v->rate, (v->rates ? 2 * v->rates : 1) * sizeof(*v->rate));
	if (!r || !v->rate)
		abort();
	memcpy(r->key, seek.key, sizeof(r->key));
	tsearch(r, &v->tree, compare_rates);
	return v->rate[v->rates++] = r;
}

static void read_pair(struct fleet_view *v, FILE *said, const char *k, const char *value, uint64_t rev)
{
	const char *why = NULL;
	struct fleet_rate *r;
	unsigned place;
	char end;

	if (!strcmp(k, "fleet")) {
		why = fleet_read_setup(value, &v->setup);
		v->has_setup = !why;
	} else if (!strcmp(k, "quotas")) {
		v->quotas_rev = rev;
	} else if (sscanf(k, "node/%u%c", &place, &end) == 1 && place < FLEET_PLACES) {
		why = fleet_read_node(value, &v->node[place]);
		v->node_rev[place] = why ? 0 : rev;
	} else if (sscanf(k, "alive/%u%c", &place, &end) == 1 && place < FLEET_PLACES) {
		why = fleet_read_alive(value, &v->alive[place]);
		v->alive_rev[place] = why ? 0 : rev;
	} else if (!strncmp(k, "quota/", 6) && strlen(k) < 80) {
		r = fleet_view_rate(v, k + 6);
		why = fleet_read_quota(value, &r->quota);
		r->quota.rev = why ? 0 : rev;
	} else if (!strncmp(k, "held/", 5) && strlen(k) < 80) {
		r = fleet_view_rate(v, k + 5);
		free(r->held);
		r->held = NULL;
		why = fleet_read_held(value, &r->held);
		if (r->held)
			r->held->rev = rev;
	}
	if (why) {
		if (said)
			fprintf(said, "baton fleet: %s: %s\n", k, why);
		v->unread++;
	}
}

static void clear_view(struct fleet_view *v)
{
	const struct fleet_store *store = v->store;
	struct etcd *e = v->e;
	size_t i;

	for (i = 0; i < v->rates; i++) {
		tdelete(v->rate[i], &v->tree, compare_rates);
		free(v->rate[i]->held);
		free(v->rate[i]);
	}
	free(v->rate);
	memset(v, 0, sizeof(*v));
	v->store = store;
	v->e = e;
}

int fleet_view_open(struct fleet_view *v, const struct fleet_store *store)
{
	memset(v, 0, sizeof(*v));
	v->store = store;
	if (etcd_open(&v->e, &store->etcd)) {
		fprintf(stderr, "baton fleet: --etcd wants URLs with commas between them, --user NAME:PASSWORD\n");
		return 2;
	}
	if (!etcd_has_user(v->e)) {
		fprintf(stderr, "baton fleet: as the user: %s\n", etcd_error(v->e));
		return 1;
	}
	return 0;
}

int fleet_view_read(struct fleet_view *v, FILE *said)
{
	const char *prefix = v->store->prefix;
	char end[300], *key, *value;
	const json_t *kvs;
	json_t *answer;
	uint64_t rev;
	size_t i;

	clear_view(v);
	snprintf(end, sizeof(end), "%s\x7f", prefix);
	answer = etcd_ask(v->e, "kv/range", etcd_range(prefix, end));
	if (!answer)
		return 1;
	v->revision = etcd_revision(answer);
	kvs = json_object_get(answer, "kvs");
	for (i = 0; i < json_array_size(kvs); i++)
		if (etcd_kv(json_array_get(kvs, i), &key, &value, &rev)) {
			if (value && !strncmp(key, prefix, strlen(prefix)))
				read_pair(v, said, key + strlen(prefix), value, rev);
			free(key);
			free(value);
		}
	json_decref(answer);
	if (v->rates)
		qsort(v->rate, v->rates, sizeof(*v->rate), compare_pointers);
	return 0;
}

int fleet_view_class(const char *key, char tenant[64])
{
	const char *slash = strrchr(key, '/');

	if (!slash || slash - key >= 64 || (strcmp(slash, "/low") && strcmp(slash, "/high")))
		return -1;
	memcpy(tenant, key, (size_t)(slash - key));
	tenant[slash - key] = 0;
	return fleet_name_ok(tenant) ? slash[1] == 'h' : -1;
}

bool fleet_view_holds(const struct fleet_view *v, const struct fleet_entry *e)
{
	return v->node_rev[e->place] && !v->node[e->place].fenced && v->node[e->place].life == e->life;
}

void fleet_view_close(struct fleet_view *v)
{
	clear_view(v);
	etcd_close(v->e);
	v->e = NULL;
}
#endif

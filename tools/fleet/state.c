// SPDX-License-Identifier: GPL-2.0-or-later
/* Knowledge of an agent; state.h. */
#include "config.h"
#ifdef HAVE_FLEET
#include "state.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t agent_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * FLEET_SECOND + (uint64_t)t.tv_nsec;
}

void agent_say(const struct agent *a, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "baton fleet: %s: ", a->o->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

char *agent_key(const struct agent *a, const char *folder, const char *name)
{
	char *key;

	return asprintf(&key, "%s%s%s", a->o->store.prefix, folder, name) < 0 ? NULL : key;
}

char *agent_place_key(const struct agent *a, const char *folder, unsigned place)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", place);
	return agent_key(a, folder, text);
}

static int compare_pairs(const void *x, const void *y)
{
	return strcmp(((const struct pair *)x)->key, ((const struct pair *)y)->key);
}

/* TENANT/low or TENANT/high; NULL: it is neither. */
struct pair *agent_find_pair(struct agent *a, const char *key, bool make)
{
	struct pair seek = { .key = (char *)key }, *p, **found;
	const char *class = strrchr(key, '/');
	char tenant[64];

	if (!class || class - key >= (ptrdiff_t)sizeof(tenant) || (strcmp(class, "/low") && strcmp(class, "/high")))
		return NULL;
	memcpy(tenant, key, (size_t)(class - key));
	tenant[class - key] = 0;
	if (!fleet_name_ok(tenant))
		return NULL;
	found = tfind(&seek, &a->tree, compare_pairs);
	if (found || !make)
		return found ? *found : NULL;
	if (a->pairs == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->pair = realloc(a->pair, a->room * sizeof(*a->pair));
	}
	p = calloc(1, sizeof(*p));
	if (!p || !a->pair)
		abort();
	p->key = strdup(key);
	p->is_low = !strcmp(class, "/low");
	p->cap = AGENT_NO_CAP;
	a->pair[a->pairs++] = p;
	tsearch(p, &a->tree, compare_pairs);
	return p;
}
#endif

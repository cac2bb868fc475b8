// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of the store as JSON. */
#include "config.h"
#ifdef HAVE_FLEET
#include "text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* More than that many ns of CPU in a second is no rate: a million CPUs. */
#define RATE_MAX (FLEET_SECOND * 1000000)

static bool take_number(const json_t *j, uint64_t most, uint64_t *out)
{
	if (!json_is_integer(j) || json_integer_value(j) < 0 || (uint64_t)json_integer_value(j) > most)
		return false;
	*out = (uint64_t)json_integer_value(j);
	return true;
}

static bool take_field(const json_t *j, const char *name, uint64_t most, uint64_t *out)
{
	return take_number(json_object_get(j, name), most, out);
}

bool fleet_name_ok(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/')
			return false;
	return *name && strlen(name) < 64;
}

const char *fleet_read_setup(const char *text, struct fleet_setup *s)
{
	json_t *j = json_loads(text, 0, NULL);
	bool ok = take_field(j, "places", FLEET_PLACES, &s->places) && take_field(j, "base_ppm", 1000000, &s->base_ppm) && s->places;

	json_decref(j);
	return ok ? NULL : "not {\"places\": 1 to 4096, \"base_ppm\": 0 to 1000000}";
}

const char *fleet_read_quota(const char *text, struct fleet_quota *q)
{
	json_t *j = json_loads(text, 0, NULL);
	struct fleet_quota new = { 0 };
	bool ok = take_field(j, "rate", RATE_MAX, &new.rate) && take_field(j, "base", RATE_MAX, &new.base) &&
		  take_field(j, "next", RATE_MAX, &new.next);

	json_decref(j);
	if (!ok)
		return "not {\"rate\", \"base\", \"next\": ns of CPU in a second}";
	*q = new;
	return NULL;
}

const char *fleet_read_node(const char *text, struct fleet_node_text *n)
{
	json_t *j = json_loads(text, 0, NULL);
	const char *name = json_string_value(json_object_get(j, "name"));
	bool ok = name && fleet_name_ok(name) && take_field(j, "life", UINT32_MAX, &n->life) &&
		  take_field(j, "capacity", RATE_MAX, &n->capacity) && json_is_boolean(json_object_get(j, "fenced"));

	if (ok) {
		memcpy(n->name, name, strlen(name) + 1);
		n->fenced = json_is_true(json_object_get(j, "fenced"));
	}
	json_decref(j);
	return ok ? NULL : "not {\"name\", \"life\", \"capacity\", \"fenced\"}";
}

const char *fleet_read_alive(const char *text, struct fleet_alive_text *a)
{
	json_t *j = json_loads(text, 0, NULL);
	const json_t *used = json_object_get(j, "used");
	struct fleet_alive_text new = { .has_use = used, .scheduler = json_is_true(json_object_get(j, "scheduler")) };
	bool ok = take_field(j, "seen", INT64_MAX, &new.seen) &&
		  (!used || (json_array_size(used) == 2 && take_number(json_array_get(used, 0), INT64_MAX, &new.used[0]) &&
			     take_number(json_array_get(used, 1), INT64_MAX, &new.used[1])));

	json_decref(j);
	if (!ok)
		return "not {\"seen\", \"scheduler\", \"used\": [low, high]}";
	*a = new;
	return NULL;
}

static bool take_entry(const json_t *j, struct fleet_entry *e)
{
	uint64_t place, life;

	if (json_array_size(j) != 4 || !take_number(json_array_get(j, 0), FLEET_PLACES - 1, &place) ||
	    !take_number(json_array_get(j, 1), UINT32_MAX, &life) || !take_number(json_array_get(j, 2), RATE_MAX, &e->rate) ||
	    !take_number(json_array_get(j, 3), RATE_MAX, &e->want))
		return false;
	e->place = (uint32_t)place;
	e->life = (uint32_t)life;
	return true;
}

static bool take_cool(const json_t *j, struct fleet_cool *c)
{
	unsigned i;

	if (json_array_size(j) != 2 + FLEET_STEPS || !take_number(json_array_get(j, 0), INT64_MAX, &c->id) ||
	    !take_number(json_array_get(j, 1), RATE_MAX, &c->rate))
		return false;
	for (i = 0; i < FLEET_STEPS; i++)
		if (!take_number(json_array_get(j, 2 + i), c->rate, &c->above[i]))
			return false;
	return true;
}

const char *fleet_read_held(const char *text, struct fleet_held **out)
{
	json_t *j = json_loads(text, 0, NULL), *entries = json_object_get(j, "held"), *cools = json_object_get(j, "cooling");
	size_t n = json_array_size(entries), i;
	struct fleet_held *h;
	bool ok = json_is_array(entries) && json_is_array(cools) && n <= FLEET_PLACES && json_array_size(cools) <= FLEET_COOLS;

	h = ok ? calloc(1, FLEET_HELD_SIZE(n)) : NULL;
	ok = h;
	for (i = 0; ok && i < n; i++)
		ok = take_entry(json_array_get(entries, i), &h->entry[i]);
	for (i = 0; ok && i < json_array_size(cools); i++)
		ok = take_cool(json_array_get(cools, i), &h->cool[i]);
	if (ok) {
		h->n = (uint32_t)n;
		h->cools = (uint32_t)json_array_size(cools);
		*out = h;
	} else {
		free(h);
	}
	json_decref(j);
	return ok ? NULL : "not {\"held\": [[place, life, rate, want]...], \"cooling\": [[revision, rate, steps...]...]}";
}

static char *write_json(json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

char *fleet_write_setup(const struct fleet_setup *s)
{
	return write_json(json_pack("{s:I,s:I}", "places", (json_int_t)s->places, "base_ppm", (json_int_t)s->base_ppm));
}

char *fleet_write_quota(const struct fleet_quota *q)
{
	return write_json(json_pack("{s:I,s:I,s:I}", "rate", (json_int_t)q->rate, "base", (json_int_t)q->base, "next",
				    (json_int_t)q->next));
}

char *fleet_write_node(const struct fleet_node_text *n)
{
	return write_json(json_pack("{s:s,s:I,s:I,s:b}", "name", n->name, "life", (json_int_t)n->life, "capacity",
				    (json_int_t)n->capacity, "fenced", (int)n->fenced));
}

char *fleet_write_alive(const struct fleet_alive_text *a)
{
	return write_json(json_pack("{s:I,s:b,s:[I,I]}", "seen", (json_int_t)a->seen, "scheduler", (int)a->scheduler, "used",
				    (json_int_t)a->used[0], (json_int_t)a->used[1]));
}

char *fleet_write_held(const struct fleet_held *h)
{
	json_t *entries = json_array(), *cools = json_array(), *c;
	unsigned i, k;

	for (i = 0; i < h->n; i++)
		json_array_append_new(entries, json_pack("[I,I,I,I]", (json_int_t)h->entry[i].place, (json_int_t)h->entry[i].life,
							 (json_int_t)h->entry[i].rate, (json_int_t)h->entry[i].want));
	for (i = 0; i < h->cools; i++) {
		c = json_pack("[I,I]", (json_int_t)h->cool[i].id, (json_int_t)h->cool[i].rate);
		for (k = 0; k < FLEET_STEPS; k++)
			json_array_append_new(c, json_integer((json_int_t)h->cool[i].above[k]));
		json_array_append_new(cools, c);
	}
	return write_json(json_pack("{s:o,s:o}", "held", entries, "cooling", cools));
}
#endif

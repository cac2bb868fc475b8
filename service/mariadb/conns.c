// SPDX-License-Identifier: GPL-2.0-or-later
#include "conns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *table[BUCKETS];
static unsigned long connections;

static struct conn **bucket(MYSQL_THD thd)
{
	return &table[((uintptr_t)thd >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

struct conn *conns_find(MYSQL_THD thd)
{
	struct conn *c;

	pthread_mutex_lock(&table_lock);
	for (c = *bucket(thd); c && c->thd != thd; c = c->next)
		;
	pthread_mutex_unlock(&table_lock);
	return c;
}

struct conn *conns_make(MYSQL_THD thd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->thd = thd;
	c->id = thd_get_thread_id(thd);
	c->command = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&table_lock);
	c->next = *bucket(thd);
	*bucket(thd) = c;
	connections++;
	pthread_mutex_unlock(&table_lock);
	return c;
}

void conns_put_life(struct life *l)
{
	/* [CONN-3]: what the other one did with the mutex was done before it is freed. */
	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1) /* [CONN-3] */
		return;
	baton_mutex_destroy(l->mutex);
	free(l);
}

void conns_drop(struct conn *c)
{
	struct conn **p;

	pthread_mutex_lock(&table_lock);
	for (p = bucket(c->thd); *p != c; p = &(*p)->next)
		;
	*p = c->next;
	connections--;
	pthread_mutex_unlock(&table_lock);
	quota_put(&c->user);
	conns_put_life(c->life);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct life *conns_get_life(struct conn *c)
{
	atomic_fetch_add_explicit(&c->life->refs, 1, memory_order_relaxed); /* [CONN-3] */
	return c->life;
}

void conns_walk(bool (*fn)(struct conn *c, void *arg), void *arg)
{
	bool more = true;
	struct conn *c;
	int i;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < BUCKETS && more; i++)
		for (c = table[i]; c && more; c = c->next) {
			pthread_mutex_lock(&c->lock);
			more = fn(c, arg);
			pthread_mutex_unlock(&c->lock);
		}
	pthread_mutex_unlock(&table_lock);
}

/* ---------------------------------------------------------------- for others */

struct copies {
	struct conn_view *v;
	unsigned long n, room;
};

static bool copy_one(struct conn *c, void *arg)
{
	struct copies *to = arg;
	struct conn_view *o = &to->v[to->n];

	if (to->n == to->room)
		return false;
	to->n++;
	o->id = c->id;
	memcpy(o->user, c->account, sizeof(o->user));
	memcpy(o->tenant, c->user.name, sizeof(o->tenant));
	o->cls = c->cls;
	o->state = c->state;
	o->in_transaction = c->in_transaction;
	o->since = c->began;
	memcpy(o->text, c->text, sizeof(o->text));
	if (c->req && c->state != CONN_IDLE) {
		baton_request_times(c->req, &o->times, sizeof(o->times));
		baton_request_why(c->req, &o->why, sizeof(o->why));
	}
	return true;
}

int conns_each(int (*fn)(const struct conn_view *v, void *arg), void *arg)
{
	struct copies to = { 0 };
	unsigned long i;
	int rc = 0;

	/* Connections that come after this are not shown. */
	pthread_mutex_lock(&table_lock);
	to.room = connections;
	pthread_mutex_unlock(&table_lock);
	to.v = calloc(to.room ? to.room : 1, sizeof(*to.v));
	if (!to.v)
		return -ENOMEM;
	conns_walk(copy_one, &to);
	for (i = 0; !rc && i < to.n; i++)
		rc = fn(&to.v[i], arg);
	free(to.v);
	return rc;
}

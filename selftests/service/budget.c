// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory with a budget: what is taken is counted, what is too much is not there, and all is given back. */
#include <pthread.h>

#include "buf.h"
#include "mem.h"
#include "tap.h"

static struct mem_tenant a, b;

TEST(session_has_a_limit)
{
	void *p, *q;

	mem_limits(&(struct mem_limits){ 1000, 0, 0 });
	mem_session(&a);
	p = mem_alloc(600);
	CHECK(p);
	CHECK(!mem_alloc(401));
	q = mem_realloc(p, 1000);
	CHECK(q && !mem_realloc(q, 1001));
	CHECK_EQ(mem_used(), 1000);
	CHECK_EQ(mem_size(q), 1000);
	q = mem_realloc(q, 10);
	CHECK_EQ(mem_used(), 10);
	mem_free(q);
	CHECK_EQ(mem_used(), 0);
	CHECK_EQ(a.used, 0);
	CHECK(!mem_alloc(-1));
}

static void *other_session(void *p)
{
	mem_session(&a);
	/* 600 of the tenant's 1000 are taken already. */
	return mem_alloc(500);
}

static void *frees(void *p)
{
	mem_session(&b);
	mem_free(p);
	return NULL;
}

TEST(tenant_has_a_limit)
{
	pthread_t t;
	void *p, *got;

	mem_limits(&(struct mem_limits){ 0, 1000, 0 });
	mem_session(&a);
	p = mem_alloc(600);
	CHECK(!pthread_create(&t, NULL, other_session, NULL) && !pthread_join(t, &got));
	CHECK(!got);
	/* Freed by a thread of another tenant's, it is still given back to its own. */
	CHECK(!pthread_create(&t, NULL, frees, p) && !pthread_join(t, &got));
	CHECK_EQ(a.used, 0);
	CHECK_EQ(b.used, 0);
}

TEST(server_has_a_limit)
{
	void *p;

	mem_limits(&(struct mem_limits){ 0, 0, 1000 });
	mem_session(&b);
	p = mem_alloc(900);
	CHECK(p && !mem_alloc(200));
	mem_free(p);
	CHECK_EQ(mem_used_all(), 0);
}

TEST(buffers_are_counted)
{
	struct buf x;
	int64_t before = mem_used();
	unsigned i;

	mem_limits(&(struct mem_limits){ 100000, 0, 0 });
	mem_session(&a);
	buf_init(&x, 1 << 30);
	for (i = 0; i < 100000 && !x.failed; i++)
		buf_str(&x, "0123456789");
	CHECK(x.failed);
	CHECK(mem_used() <= 100000);
	buf_free(&x);
	CHECK_EQ(mem_used(), before);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures that benchmarks give of their samples (tools/baton/bench.h). */
#include <math.h>
#include <stdio.h>

#include "../../tools/baton/bench.h"
#include "tap.h"

TEST(quantiles)
{
	static double v[2000];
	struct bench_result r = { 0 };
	unsigned i;

	/* Sorted by the call, not before. */
	for (i = 0; i < 2000; i++)
		v[i] = 2000 - i;
	bench_quantiles(&r, v, 2000);
	CHECK(r.has_quantiles);
	CHECK_EQ(r.n, 2000);
	CHECK_EQ(r.p50, 1000);
	CHECK_EQ(r.p99, 1980);
	CHECK_EQ(r.p999, 1998);
}

/* With few samples the upper ones are the greatest, and never the least. */
TEST(few)
{
	static const uint32_t v[3] = { 7, 1, 9 };
	struct bench_result r = { 0 };

	bench_quantiles_u32(&r, v, 3);
	CHECK_EQ(r.p50, 7);
	CHECK_EQ(r.p99, 9);
	CHECK_EQ(r.p999, 9);
	CHECK_EQ(v[0], 7);
	bench_quantiles_u32(&r, v + 1, 1);
	CHECK_EQ(r.p999, 1);
}

/* A wait that never ended is the greatest of all, and a line with it is JSON still. */
TEST(never)
{
	double v[100];
	struct bench_result r = { .name = "x", .unit = "us", .baseline = "y", .ratio = INFINITY, .never = 2 };
	struct bench b = { .name = "b", .where = "host" };
	char line[400] = "";
	unsigned i;

	for (i = 0; i < 100; i++)
		v[i] = i % 50 == 10 ? INFINITY : i;
	bench_quantiles(&r, v, 100);
	CHECK_EQ(r.p50, 50);
	CHECK(isinf(r.p99));
	r.value = r.p99;
	b.json = fmemopen(line, sizeof(line), "w");
	bench_put(&b, &r);
	fclose(b.json);
	CHECK(!strcmp(line, "{\"bench\":\"b\",\"case\":\"x\",\"where\":\"host\",\"value\":1e999,\"unit\":\"us\",\"n\":100,"
			    "\"p50\":50,\"p99\":1e999,\"p999\":1e999,\"never\":2,\"baseline\":\"y\",\"ratio\":1e999}\n"));
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

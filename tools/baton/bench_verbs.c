// SPDX-License-Identifier: GPL-2.0-or-later
#include "baton.h"

static const struct verb benches[] = {
	{ "switch", bench_switch, "what it costs to hand the CPU to another thread" },
	{ "quota", bench_quota, "what the scheduler costs, and what it keeps" },
	{ "detect", bench_detect, "seeing who blocks in the kernel: its price, and what it brings" },
	{ "io", bench_io, "what a request costs a server of streams, beside epoll and threads" },
	{ "queue", bench_queue, "the queues, against every other that Debian has" },
	{ "tasks", bench_tasks, "what a task costs, beside pools and other schedulers of tasks" },
	{ 0 }
};

int verb_bench(int argc, char **argv)
{
	return verb_dispatch("baton bench", benches, argc, argv);
}

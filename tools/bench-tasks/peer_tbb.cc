// SPDX-License-Identifier: GPL-2.0-or-later
// peer_tbb.cc - oneTBB: a task_arena; for fork and join a task_group in it.
#include "peer.h"

#if __has_include(<oneapi/tbb/task_arena.h>)
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

static tbb::task_arena *arena, *group_arena;

static int start_arena(unsigned threads)
{
	/* The arena's own limit counts the thread that gives tasks; of threads that run them there would be one too few. */
	new tbb::global_control(tbb::global_control::max_allowed_parallelism, threads + 1);
	/* In the first no place is kept for the thread that gives tasks; in the other that thread is one of them. */
	arena = new tbb::task_arena(static_cast<int>(threads), 0);
	group_arena = new tbb::task_arena(static_cast<int>(threads), 1);
	return 0;
}

static void flood_arena(unsigned long n)
{
	unsigned long before = peer_ended();

	for (unsigned long i = 0; i < n; i++)
		arena->enqueue([] { peer_task(); });
	peer_wait(before + n);
}

static void fork_join_group(unsigned long n, unsigned children)
{
	group_arena->execute([=] {
		for (unsigned long i = 0; i < n / children; i++) {
			tbb::task_group g;

			for (unsigned k = 0; k < children; k++)
				g.run([] { peer_task(); });
			g.wait();
		}
	});
}

static struct peer peer_tbb = { "tbb", nullptr, start_arena, flood_arena, fork_join_group, nullptr };
#else
static struct peer peer_tbb = { "tbb", "libtbb-dev", nullptr, nullptr, nullptr, nullptr };
#endif
PEER_ADD(tbb)

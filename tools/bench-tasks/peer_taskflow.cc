// SPDX-License-Identifier: GPL-2.0-or-later
// peer_taskflow.cc - taskflow's executor; for fork and join a task's runtime.
#include "peer.h"

#if __has_include(<taskflow/taskflow.hpp>)
#include <taskflow/taskflow.hpp>

static tf::Executor *executor;

static int start_executor(unsigned threads)
{
	executor = new tf::Executor(threads);
	return 0;
}

static void flood_executor(unsigned long n)
{
	unsigned long before = peer_ended();

	for (unsigned long i = 0; i < n; i++)
		executor->silent_async([] { peer_task(); });
	peer_wait(before + n);
}

static void fork_join_runtime(unsigned long n, unsigned children)
{
	tf::Taskflow flow;

	flow.emplace([=](tf::Runtime &rt) {
		for (unsigned k = 0; k < children; k++)
			rt.silent_async([] { peer_task(); });
		rt.corun();
	});
	for (unsigned long i = 0; i < n / children; i++)
		executor->run(flow).wait();
}

static struct peer peer_taskflow = { "taskflow", nullptr, start_executor, flood_executor, fork_join_runtime, nullptr };
#else
static struct peer peer_taskflow = { "taskflow", "libtaskflow-cpp-dev", nullptr, nullptr, nullptr, nullptr };
#endif
PEER_ADD(taskflow)

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backends.h - a test with real threads, once for each backend.
 *
 *	ON_BACKENDS(storm) { ... CHECK_ANY(...); }
 *
 * makes the tests storm_wakewait and storm_swap. Each runs the body twice, in a
 * process of its own: with the threads on all CPUs, then all on one. A backend
 * that this kernel does not have is skipped; the tests in the VM have both.
 *
 * In an inject variant every point of the library may yield or sleep a little.
 */
#ifndef BACKENDS_H
#define BACKENDS_H

#include "tap.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/base.h>

#include "inject.h"

#define ON_BACKENDS(NAME)                                                      \
	static void on_##NAME(void);                                           \
	TEST(NAME##_wakewait) { backend_run("wakewait", on_##NAME); }          \
	TEST(NAME##_swap) { backend_run("swap", on_##NAME); }                  \
	static void on_##NAME(void)

/* A small random number, cheap, one state a thread. */
__attribute__((unused)) static uint32_t backend_random(void)
{
	static __thread uint64_t s;

	if (!s)
		s = (uint64_t)gettid() * UINT64_C(0x9e3779b97f4a7c15) | 1;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (uint32_t)(s >> 32);
}

#ifdef BTN_INJECT
static int backend_disturb(const char *point)
{
	uint32_t r = backend_random() % 64;

	if (r < 8)
		sched_yield();
	else if (r == 8)
		usleep(backend_random() % 50);
	return 0;
}
#endif

__attribute__((unused)) static void backend_child(const char *backend, void (*fn)(void))
{
	const char *name = "";
	cpu_set_t set, one;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	setenv("BATON_BACKEND", backend, 1);
	if (baton_backend(&name))
		_exit(4);
	CHECK_ANY(!strcmp(name, backend));
#ifdef BTN_INJECT
	/* [INJECT-1] before there are other threads. */
	atomic_store_explicit(&btn_inject_hook, backend_disturb, memory_order_relaxed); /* [INJECT-1] */
#endif
	fn();
	/* Now on one CPU: there the woken thread preempts, or has to wait. */
	CHECK_ANY(!sched_getaffinity(0, sizeof(set), &set));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &set))
			CPU_SET(i, &one);
	CHECK_ANY(!sched_setaffinity(0, sizeof(one), &one));
	fn();
	exit(0);
}

__attribute__((unused)) static void backend_run(const char *backend, void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		/* Complaints about a backend that is not there are no news. */
		if (!strcmp(backend, "swap")) {
			int saved = dup(2);

			if (!freopen("/dev/null", "w", stderr))
				_exit(3);
			setenv("BATON_BACKEND", "swap", 1);
			if (baton_backend(NULL) == -ENOSYS)
				_exit(4);
			dup2(saved, 2);
			close(saved);
		}
		backend_child(backend, fn);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
		SKIP("this kernel has no FUTEX_SWAP");
	CHECK_MSG(!status, "the process ended with status %#x", status);
}

#endif

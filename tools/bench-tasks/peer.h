/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.h - what runs tasks, as the benchmark sees it. All peers run the same task,
 * and count it in the same way.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peer {
	const char *name;
	const char *missing;	/* the package to install, if the peer is not built in */

	/* In a process of its own: threads that run tasks, so many. 0, or not. */
	int (*start)(unsigned threads);
	/* n tasks, each given to the peer by the calling thread; returns when all have ended. */
	void (*flood)(unsigned long n);
	/* n tasks, `children` at a time, each time by a task that then waits for them. NULL: there is no such thing. */
	void (*fork_join)(unsigned long n, unsigned children);

	struct peer *next;
};

extern struct peer *peers;

/* The task: a loop that the benchmark has measured (0: nothing), and one more that has ended. */
void peer_task(void);
/* Tasks that have ended since the process began; and until so many have. */
unsigned long peer_ended(void);
void peer_wait(unsigned long n);

#define PEER_ADD(ID)                                                           \
	__attribute__((constructor)) static void peer_add_##ID(void)           \
	{                                                                      \
		peer_##ID.next = peers;                                        \
		peers = &peer_##ID;                                            \
	}

#ifdef __cplusplus
}
#endif
#endif

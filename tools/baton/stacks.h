/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stacks.h - where a service's workers block with their slot and nobody
 * announced it, by call stack: for `baton stacks` and `baton top`. Needs the
 * programs of `baton load`, and may do what that needs.
 */
#ifndef TOOLS_STACKS_H
#define TOOLS_STACKS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define STACKS_FRAMES	32

/* A place. Its strings are the struct stacks'. */
struct stack {
	uint64_t times;
	uint64_t ns;			/* sleep of threads that have woken */
	const char *kernel;		/* in which function of the kernel; "?" */
	unsigned frames;
	const char *frame[STACKS_FRAMES];	/* innermost first */
};

struct stacks;

/*
 * Counts from now on. pid 0: of the only service there is. 0; or -errno, and
 * `say` has what is wrong and what would be right.
 */
int stacks_open(struct stacks **out, const char *pins, pid_t pid, FILE *say);
void stacks_close(struct stacks *s);
pid_t stacks_pid(const struct stacks *s);

/*
 * The places so far, those with most time first, at most `max` of them; how
 * many, or -errno. Good until the next call.
 */
int stacks_read(struct stacks *s, struct stack *stack, unsigned max);
/* Times that were counted nowhere, as there were more places than there is room for. */
uint64_t stacks_unlisted(const struct stacks *s);

#endif

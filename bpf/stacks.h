/* SPDX-License-Identifier: GPL-2.0-only */
/* stacks.h - what the programs of stacks.bpf.c share with tools/baton/stacks.c. */
#ifndef BATON_BPF_STACKS_H
#define BATON_BPF_STACKS_H

#include <linux/types.h>

#define BATON_STACK_FRAMES	32
#define BATON_STACKS		4096

/* Where somebody blocks: the numbers of two stacks, or below 0, -errno. */
struct baton_place {
	__s32 user, kernel;
};

struct baton_asleep {
	__u64 times;
	__u64 ns;		/* sleep of threads that have woken */
};

#endif

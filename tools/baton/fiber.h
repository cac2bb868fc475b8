/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fiber.h - the least a switch can cost: two stacks in one thread, no kernel.
 * For scale only; everything a thread is for is missing.
 */
#ifndef TOOLS_FIBER_H
#define TOOLS_FIBER_H

/* 0, or -1 where no switch is written for this CPU. */
int fiber_prepare(void);

/* Goes to the other stack and back, n times. */
void fiber_passes(unsigned long n);

#endif

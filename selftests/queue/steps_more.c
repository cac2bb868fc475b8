// SPDX-License-Identifier: GPL-2.0-or-later
/* steps_more.c - steps.c with one preemption more: minutes, not seconds. */
#define MORE 1
#include "steps.c"

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * others.h - what is not a number of items a second: bursts, first items, idle
 * workers, and making a ring.
 */
#ifndef OTHERS_H
#define OTHERS_H

#include "../baton/bench.h"

void others(const struct bench *b);

#endif

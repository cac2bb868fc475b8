// SPDX-License-Identifier: GPL-2.0-or-later
/* The same simulation with more seeds. */
#define SHARDS_SEEDS 300
#include "shards.c"

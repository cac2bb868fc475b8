// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulation with thousands of seeds. */
#define SIM_SEEDS 3000
#include "sim.c"

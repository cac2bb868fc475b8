// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulation with thousands of seeds. */
#define SIM_SEEDS 2000
#include "sim.c"

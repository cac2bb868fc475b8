// SPDX-License-Identifier: GPL-2.0-or-later
/* flood_full.c - flood.c with 10^8 items. */
#define ITEMS 100000000
#include "flood.c"

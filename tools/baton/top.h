/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top.h - the terminal of baton top, and its view of a fleet. */
#ifndef TOOLS_TOP_H
#define TOOLS_TOP_H

#include <stdbool.h>

#include "options.h"
#ifdef HAVE_FLEET
#include "store.h"

/*
 * All nodes and tenants of a fleet, renewed after each delay (in seconds) until q; json: once, as an object. Returns the exit status, all is
 * said.
 */
int top_fleet(const struct fleet_store *store, double delay, bool json);
#endif

#ifdef HAVE_NCURSES
/* The terminal is curses' until top_screen_end(); getch() waits `delay`. False: it cannot be used, and that is said. */
bool top_screen_begin(double delay);
void top_screen_end(void);
/* In so many columns, whatever the name is made of and the terminal can show. */
void top_print_name(const char *name, int columns);
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - each move of a lease in a fleet, as etcd has it: revisions are in one order for all nodes. A line each (JSON with json):
 *
 *	REVISION TENANT/CLASS NODE BEFORE -> AFTER CPUs, wants WANT; COOLING CPUs cool
 *	REVISION TENANT/CLASS sold CPUs
 *	REVISION NODE life LIFE, or REVISION NODE fenced life LIFE: its leases are nobody's
 */
#ifndef FLEET_TRACE_H
#define FLEET_TRACE_H

#include "view.h"

/* Until a signal; tenant NULL: of all. Returns the exit status where the store has no fleet, or cannot be read at the beginning. */
int fleet_trace(const struct fleet_store *store, const char *tenant, bool json);

#endif

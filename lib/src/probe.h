/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h - places where perf, bpftrace and SystemTap can look, as USDT probes
 * of the provider "baton": a nop each while nobody does. Where the library was
 * built without <sys/sdt.h> there are none.
 *
 *	run(slot, task, tenant, request)	the slot was given to the task
 *	stop(slot, task, ns, why)		0: it may go on, 1: it blocks, 2: it ended
 *	request(what, tenant, request, class)	3: admitted, 4: rejected, 5: dropped
 */
#ifndef BTN_PROBE_H
#define BTN_PROBE_H

#include "config.h"

#ifdef HAVE_SYS_SDT
#include <sys/sdt.h>
#define BTN_PROBE4(NAME, A, B, C, D) DTRACE_PROBE4(baton, NAME, A, B, C, D)
#else
#define BTN_PROBE4(NAME, A, B, C, D) ((void)0)
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.h - a node's agent: held.h and member.h against a real etcd, and a scheduler on a unix socket.
 *
 * The socket is SOCK_SEQPACKET, a message each packet, words with spaces between them. One scheduler at a time, of the agent's own user or of
 * root.
 *
 *	agent says	until NS			leases end then, on CLOCK_BOOTTIME
 *			rate SEQ TENANT CLASS BASE RATE BOUGHT
					from now on: BASE always, RATE before `until`; BOUGHT: of all nodes; ns of CPU in a second
 *			refused joined|told	another scheduler has joined; or the process that was told before lives. The agent closes the socket then
 *	scheduler says	use SEQ TENANT CLASS SHORT U0 ... U9
 *
 * use: SEQ is that of the last `rate` for it that the scheduler keeps to, SHORT is 1 where tasks wait for quota, U0 what was used in the last
 * second and Un what of that is still younger than a second after n tenths. The scheduler says it in answer to each `rate`, and
 * when its use has changed. BASE is 0 until the node has a place. `rate` messages come before the `until` under which they hold, and none within a second
 * after another scheduler went away. While the process that was told last lives, the agent listens to no other one (client.h): it closes the socket
 * at once. Where the socket ends, the scheduler goes on: with
 * both until `until`, then with BASE.
 * BASE and RATE are AGENT_RATE_MOST at most: a fleet may sell more, but no node's scheduler has more slots.
 */
#ifndef FLEET_AGENT_H
#define FLEET_AGENT_H

#include "view.h"

#define AGENT_RATE_MOST	(4096 * UINT64_C(1000000000))

struct agent_options {
	struct fleet_store store;
	const char *name;	/* the node's */
	const char *socket;
	uint64_t capacity;	/* ns of CPU in a second */
	uint16_t metrics;	/* port of 127.0.0.1 (figures.h); 0: none */
};

/* Until SIGTERM or SIGINT; the exit status. */
int agent_run(const struct agent_options *o);

#endif

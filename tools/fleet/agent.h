/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.h - a node's agent: held.h and member.h against a real etcd, and a scheduler on a unix socket.
 *
 * The socket is SOCK_SEQPACKET, a message each packet, words with spaces between them. One scheduler at a time, of the agent's own user or of
 * root.
 *
 *	agent says	until NS			leases end then, on CLOCK_BOOTTIME
 *			rate SEQ TENANT CLASS BASE RATE	from now on: BASE always, RATE before `until`; ns of CPU in a second
 *	scheduler says	use SEQ TENANT CLASS SHORT U0 ... U9
 *
 * use: SEQ is that of the last `rate` for it that the scheduler keeps to, SHORT is 1 where tasks wait for quota, U0 what was used in the last
 * second and Un what of that is still younger than a second after n tenths. The scheduler says it in answer to each `rate`, and
 * when its use has changed. BASE is 0 until the node has a place. `rate` messages come before the `until` under which they hold. Where the socket ends, the scheduler goes on: with
 * both until `until`, then with BASE.
 */
#ifndef FLEET_AGENT_H
#define FLEET_AGENT_H

#include "etcd.h"

struct agent_options {
	struct etcd_options etcd;
	const char *prefix;	/* of all keys; ends with a slash */
	const char *name;	/* the node's */
	const char *socket;
	uint64_t capacity;	/* ns of CPU in a second */
	bool verbose;
};

/* Until SIGTERM or SIGINT; the exit status. */
int agent_run(const struct agent_options *o);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * figures.h - what an agent knows, as Prometheus scrapes it (text format 0.0.4): GET /metrics on a port of loopback, by
 * libmicrohttpd, which waits for nothing here: its descriptor is one more that the agent sleeps on.
 */
#ifndef FLEET_FIGURES_H
#define FLEET_FIGURES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct figures;

/* An agent at one moment. Rates and capacities are ns of CPU in a second. */
struct figures_node {
	const char *name;
	uint64_t capacity, places, there, fenced, fleet_capacity;
	uint64_t life;		/* 0: in none */
	uint64_t lease;		/* ns until leases end */
	bool store, scheduler;
	/* Since the agent began: heartbeats that were applied; transactions of rates, by how they ended. */
	uint64_t beats, applied, refused, unanswered;
};

/* A rate on this node. */
struct figures_rate {
	const char *key;	/* TENANT/CLASS */
	uint64_t bought;	/* CPU of all nodes */
	uint64_t base, leased, wanted, used;
	bool is_short;		/* tasks wait for it */
};

void figures_print(FILE *to, const struct figures_node *node, const struct figures_rate *rate, unsigned rates);

/* Writes all that is to be said; called by figures_serve(). */
typedef void figures_write(void *arg, FILE *to);

/* port: of 127.0.0.1. Returns 0, -ENOSYS: built without libmicrohttpd; -EADDRINUSE: nothing can listen there. */
int figures_open(struct figures **out, uint16_t port, figures_write *write, void *arg);
/* Readable once figures_serve() has something to do; and the ms after which it has without, or -1. */
int figures_fd(const struct figures *f);
int figures_timeout(const struct figures *f);
void figures_serve(struct figures *f);
void figures_close(struct figures *f);

#endif

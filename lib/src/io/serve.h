/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* io/serve.h - services: each time a stream is readable there is a request. */
#ifndef BTN_IO_SERVE_H
#define BTN_IO_SERVE_H

#include <baton/io.h>

#include "poller.h"

/* Serves a stream of which the service has a reference, until the service has ended. */
struct btn_serve {
	struct baton_sched *s;
	struct btn_source *source;
	struct baton_stream *st;
	baton_serve_fn *fn;
	void *arg;
	void (*release)(struct baton_stream *st);	/* gives the reference back, without the lock */

	/* Valid with the lock, and while a request is in flight. */
	struct baton_request *r;	/* memory of the request */
	int why;			/* the error that the request tells; 0: none */

	/* With the lock. */
	struct baton_tenant *tenant;	/* the service has a reference */
	struct baton_request_opts opts;	/* deadline: ns after the arrival; 0: none */
	bool flies;			/* the request is in flight */
	bool held;			/* nobody pays for a request: the stream may be readable, and waits for another tenant */

	_Atomic int call;		/* [SERVE-1] */
};

/* Makes a service with a reference to the tenant, which is not yet a stream's. 0; -EINVAL, -ENOMEM, -ESHUTDOWN. */
int btn_serve_new(struct btn_serve **out, struct baton_tenant *t, const struct baton_request_opts *opts);
/* Frees what btn_serve_new() made, and another of the tenants that it had. */
void btn_serve_free(struct btn_serve *sv);

/* With the lock, and btn_dispatch() is to follow: the service begins; or goes on as `as`, which has what it had then. */
void btn_serve_begin(struct btn_serve *sv);
void btn_serve_change(struct btn_serve *sv, struct btn_serve *as);
/*
 * The stream is being closed: no request begins any more. True: the caller calls btn_serve_end() without the lock; else the
 * task does that runs now. With the lock, and btn_dispatch() is to follow.
 */
bool btn_serve_close(struct btn_serve *sv);
/* The last call; frees sv. */
void btn_serve_end(struct btn_serve *sv);

#endif

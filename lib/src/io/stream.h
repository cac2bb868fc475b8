/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* io/stream.h - streams, for calls that wait for more than one thing. */
#ifndef BTN_IO_STREAM_H
#define BTN_IO_STREAM_H

#include "poller.h"

struct baton_stream {
	struct btn_source source;
	struct baton_sched *s;
	int fd;
	bool socket, tcp;
	bool closed;			/* with the lock */
	_Atomic bool watches_out;	/* [STREAM-2] */
	_Atomic uint64_t drained;	/* [STREAM-3] */
	_Atomic unsigned refs;		/* references: the handle, and each call that is under way: [STREAM-1] */
	_Atomic unsigned full_closes;	/* a listener's: [STREAM-4] */
	_Atomic uint64_t full_until;	/* 0: no accept failed for want of a descriptor or of memory: [STREAM-4] */
};

/* A call of st begins, which has st for itself until it ends. */
void btn_stream_enter(struct baton_stream *st);
void btn_stream_leave(struct baton_stream *st);
/* Has events of writing come, from now on. 0 or -errno. */
int btn_stream_watch_out(struct baton_stream *st);

#endif

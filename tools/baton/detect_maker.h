/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detect_maker.h - the thread in which sessions begin and end.
 *
 * A change of the programs' maps of maps waits for an RCU grace period, some 30 ms, and a
 * session is two of them at its begin and two at its end. So these are one job at a time in
 * a thread of their own, and the thread that serves the socket waits for none.
 *
 *	server				maker
 *	maker_start(job)	->	detect_begin() or detect_forget()
 *	poll: maker.done	<-	eventfd
 *	maker_take(): the job, done
 */
#ifndef TOOLS_DETECT_MAKER_H
#define TOOLS_DETECT_MAKER_H

#include <pthread.h>
#include <stdint.h>

#include "detect_load.h"

struct maker_job {
	bool ends;		/* else it begins */
	unsigned session;
	uid_t uid;
	pid_t pid;
	unsigned workers;
	uint64_t peer;		/* the server's name for who asked */
	/* The result of a begin. */
	int err, fd[2];
};

struct maker {
	struct detect *d;
	const char *hold;	/* for tests: jobs wait while this file is there; or NULL */
	int done;		/* readable: maker_take() has something */
	bool busy;		/* the server's: a job was started and not taken */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool waits, stops;	/* `job` is to be done; no more jobs */
	struct maker_job job;
};

/* 0 or -errno. */
int maker_open(struct maker *m, struct detect *d, const char *hold);
/* Only while it is not busy. */
void maker_start(struct maker *m, const struct maker_job *job);
/* The job that is done, once `done` is readable. */
void maker_take(struct maker *m, struct maker_job *job);
/* Waits for the job that is being done: true, and it is in *job; false: there was none. */
bool maker_close(struct maker *m, struct maker_job *job);

#endif

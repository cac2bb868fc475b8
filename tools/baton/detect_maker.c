// SPDX-License-Identifier: GPL-2.0-or-later
#include "detect_maker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void do_job(struct maker *m, struct maker_job *job)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	while (m->hold && !access(m->hold, F_OK))
		nanosleep(&pause, NULL);
	if (job->ends)
		detect_forget(m->d, job->session);
	else
		job->err = detect_begin(m->d, job->session, job->pid, job->uid, job->workers, job->fd);
}

static void *maker_main(void *arg)
{
	struct maker *m = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&m->lock);
	for (;;) {
		while (!m->waits && !m->stops)
			pthread_cond_wait(&m->more, &m->lock);
		if (!m->waits)
			break;
		pthread_mutex_unlock(&m->lock);
		/* The job is this thread's until it is done. */
		do_job(m, &m->job);
		pthread_mutex_lock(&m->lock);
		m->waits = false;
		if (write(m->done, &one, sizeof(one)) != sizeof(one))
			abort();
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int maker_open(struct maker *m, struct detect *d, const char *hold)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->d = d;
	m->hold = hold;
	m->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->done < 0)
		return -errno;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->more, NULL);
	err = pthread_create(&m->thread, NULL, maker_main, m);
	if (err)
		close(m->done);
	return -err;
}

void maker_start(struct maker *m, const struct maker_job *job)
{
	pthread_mutex_lock(&m->lock);
	m->job = *job;
	m->waits = true;
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
	m->busy = true;
}

void maker_take(struct maker *m, struct maker_job *job)
{
	uint64_t n;

	if (read(m->done, &n, sizeof(n)) != sizeof(n))
		abort();
	pthread_mutex_lock(&m->lock);
	*job = m->job;
	pthread_mutex_unlock(&m->lock);
	m->busy = false;
}

bool maker_close(struct maker *m, struct maker_job *job)
{
	bool was_busy = m->busy;

	pthread_mutex_lock(&m->lock);
	m->stops = true;
	pthread_cond_signal(&m->more);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
	if (was_busy)
		maker_take(m, job);
	close(m->done);
	return was_busy;
}

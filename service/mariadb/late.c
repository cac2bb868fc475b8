// SPDX-License-Identifier: GPL-2.0-or-later
#include "late.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct late *ring;
static uint64_t added;

void late_add(const struct late *l)
{
	pthread_mutex_lock(&lock);
	if (!ring)
		ring = calloc(LATE_RING, sizeof(*ring));
	if (ring)
		ring[added % LATE_RING] = *l;
	added++;
	pthread_mutex_unlock(&lock);
}

int late_each(int (*fn)(const struct late *l, void *arg), void *arg)
{
	struct late one;
	uint64_t i, end;
	int rc = 0;

	pthread_mutex_lock(&lock);
	end = added;
	for (i = end > LATE_RING ? end - LATE_RING : 0; !rc && ring && i < end; i++) {
		/* A line that was overwritten meanwhile is newer, and comes in its turn. */
		if (added > LATE_RING && i < added - LATE_RING)
			continue;
		one = ring[i % LATE_RING];
		pthread_mutex_unlock(&lock);
		rc = fn(&one, arg);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

uint64_t late_count(void)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = added;
	pthread_mutex_unlock(&lock);
	return n;
}

void late_cut(char *out, const char *text, size_t len)
{
	if (len >= LATE_TEXT) {
		len = LATE_TEXT - 1;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, text, len);
	out[len] = 0;
}

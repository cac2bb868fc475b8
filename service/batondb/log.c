// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "server.h"

static enum log_level least = LOG_INFO;
static const char *const names[] = { "debug", "info", "warning", "error" };

void log_setup(const char *level)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		if (!strcmp(level, names[i]))
			least = i;
}

void log_line(enum log_level level, const char *message, ...)
{
	const char *name, *value;
	struct timespec ts;
	struct buf b;
	struct tm tm;
	char when[40];
	va_list ap;

	if (level < least)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_init(&b, 1 << 16);
	buf_fmt(&b, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":", when, ts.tv_nsec / 1000000, names[level]);
	buf_json(&b, message);
	va_start(ap, message);
	while ((name = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		buf_ch(&b, ',');
		buf_json(&b, name);
		buf_ch(&b, ':');
		buf_json(&b, value ? value : "");
	}
	va_end(ap);
	buf_str(&b, "}\n");
	/* One write, so that lines of different threads stay whole. */
	if (!b.failed && write(2, b.p, b.len) < 0)
		least = LOG_ERROR;
	buf_free(&b);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "server.h"

void log_line(const char *fmt, ...)
{
	char line[1000];
	va_list ap;
	int n, i;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : n < (int)sizeof(line) - 2 ? n : (int)sizeof(line) - 2;
	/* Names are clients': none ends a line and begins another. */
	for (i = 0; i < n; i++)
		if ((unsigned char)line[i] < 32 || line[i] == 127)
			line[i] = '?';
	line[n] = '\n';
	/* A single write, so that lines of different threads stay whole; nobody is left to hear of one that fails. */
	if (write(2, line, (size_t)n + 1) < 0)
		return;
}

const char *why_text(const char *fmt, ...)
{
	static __thread char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

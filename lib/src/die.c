// SPDX-License-Identifier: LGPL-2.1-or-later
#include "die.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks.h"

void btn_die(const char *what, long code)
{
	unsigned long v = code < 0 ? -(unsigned long)code : (unsigned long)code;
	size_t n = strlen(what), at = 0, i;
	char buf[256], digits[20];

	/* No stdio: this may be a signal handler. */
	if (n > sizeof(buf) - 40)
		n = sizeof(buf) - 40;
	memcpy(buf, "baton: ", 7);
	memcpy(buf + 7, what, n);
	n += 7;
	buf[n++] = ' ';
	buf[n++] = '(';
	if (code < 0)
		buf[n++] = '-';
	do
		digits[at++] = '0' + v % 10;
	while (v /= 10);
	for (i = at; i;)
		buf[n++] = digits[--i];
	buf[n++] = ')';
	buf[n] = 0;
	if (btn_panic(buf + 7))
		abort();
	buf[n++] = '\n';
	while (write(STDERR_FILENO, buf, n) < 0 && errno == EINTR)
		;
	abort();
}

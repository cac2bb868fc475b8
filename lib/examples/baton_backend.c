/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which library this is, and how it switches on this machine.
 */
#include <baton/base.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	const char *name;
	int err = baton_backend(&name);

	if (err) {
		fprintf(stderr, "baton_backend: %s\n", strerror(-err));
		return 1;
	}
	if (baton_thread_prefer_latency())
		fprintf(stderr, "this thread has an ordinary time slice\n");
	printf("baton %s (built with %s), backend %s, %llu ns\n", baton_version(), BATON_VERSION,
	       name, (unsigned long long)baton_clock_now());
	return 0;
}

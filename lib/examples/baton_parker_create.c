/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A parker is made, has its permit, and is ended.
 */
#include <baton/park.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct baton_parker *p;
	int err;

	err = baton_parker_create(&p);
	if (err) {
		fprintf(stderr, "no parker: %s\n", strerror(-err));
		return 1;
	}
	baton_parker_resume(p);
	err = baton_parker_block(p, BATON_FOREVER);	/* the permit was there */
	printf("block: %s\n", err ? strerror(-err) : "has the permit");
	baton_parker_destroy(p);
	return err != 0;
}

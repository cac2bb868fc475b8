/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of four: what happens when it is full, one at a time and several.
 */
#include <baton/ring.h>
#include <stdio.h>

int main(void)
{
	int numbers[6] = { 0, 1, 2, 3, 4, 5 };
	void *some[4], *x;
	struct baton_ring *r;
	size_t i, n;

	if (baton_ring_create(&r, 4))
		return 1;
	for (i = 0; i < 6 && baton_ring_push(r, &numbers[i]); i++)
		;
	printf("%zu went in, %zu are inside\n", i, baton_ring_count(r));
	if (i != 4 || !baton_ring_pop(r, &x) || x != &numbers[0])
		return 1;

	n = baton_ring_pop_n(r, some, 4);
	printf("%zu came out at once\n", n);
	if (n != 3 || baton_ring_push_n(r, some, n) != n)
		return 1;

	/* The items still inside belong to us; here they need no care. */
	baton_ring_destroy(r);
	return 0;
}

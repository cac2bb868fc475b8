/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The owner takes its newest item, a thief half of the oldest.
 */
#include <baton/deque.h>
#include <stdio.h>

int main(void)
{
	int numbers[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct baton_deque *d;
	void *v[8], *x;
	size_t i, n;

	if (baton_deque_create(&d))
		return 1;
	for (i = 0; i < 8; i++)
		if (baton_deque_push(d, &numbers[i]))
			return 1;
	if (!baton_deque_pop(d, &x))
		return 1;
	printf("the owner has %d\n", *(int *)x);

	/* Any other thread may do this. */
	n = baton_deque_steal(d, v, 8);
	printf("a thief has %d to %d, %zu are left\n", *(int *)v[0], *(int *)v[n - 1],
	       baton_deque_count(d));
	n -= 4;
	baton_deque_destroy(d);
	return n != 0;
}

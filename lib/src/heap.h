/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * heap.h - an intrusive priority queue: a leftist heap.
 *
 * One structure for everything the scheduler orders: tasks in a flow, flows
 * in a tier, timers. Chosen because each operation is O(log n) in the worst
 * case and not only on average (a pairing heap's first pop after a flood of
 * 10,000 inserts visits them all, with the scheduler's lock held), nothing is
 * allocated, and any node can be taken out.
 *
 * Invariants: a node is not less than its parent; rank is the length of the
 * shortest way down to a missing child; the left child's rank is at least the
 * right one's. So the right spine of n nodes is at most log2(n + 1) long, and
 * merging walks right spines only.
 *
 * Equal keys come out in the order of seq. No locks: the caller serialises.
 */
#ifndef BTN_HEAP_H
#define BTN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btn_heap_node {
	struct btn_heap_node *up, *left, *right;
	uint64_t key, seq;
	unsigned rank;		/* 0: in no heap */
};

struct btn_heap {
	struct btn_heap_node *top;
};

#define btn_container(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

static inline bool btn_heap_less(const struct btn_heap_node *a, const struct btn_heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static inline unsigned btn_heap_rank(const struct btn_heap_node *n)
{
	return n ? n->rank : 0;
}

/* Puts the deeper child on the left; true where the rank changed. */
static inline bool btn_heap_lean(struct btn_heap_node *n)
{
	unsigned old = n->rank;

	if (btn_heap_rank(n->left) < btn_heap_rank(n->right)) {
		struct btn_heap_node *l = n->left;

		n->left = n->right;
		n->right = l;
	}
	n->rank = btn_heap_rank(n->right) + 1;
	return n->rank != old;
}

static inline struct btn_heap_node *btn_heap_merge(struct btn_heap_node *a, struct btn_heap_node *b)
{
	struct btn_heap_node *last = NULL, *top = NULL, *n;

	/* Down both right spines, always taking the smaller ... */
	while (a && b) {
		if (btn_heap_less(b, a)) {
			n = a;
			a = b;
			b = n;
		}
		a->up = last;
		if (last)
			last->right = a;
		else
			top = a;
		last = a;
		a = a->right;
	}
	if (!a)
		a = b;
	if (a)
		a->up = last;
	if (!last)
		return a;
	last->right = a;
	/* ... and back up, restoring the lean. */
	for (n = last; n; n = n->up)
		btn_heap_lean(n);
	return top;
}

static inline void btn_heap_add(struct btn_heap *h, struct btn_heap_node *n)
{
	n->up = n->left = n->right = NULL;
	n->rank = 1;
	h->top = btn_heap_merge(h->top, n);
}

static inline void btn_heap_del(struct btn_heap *h, struct btn_heap_node *n)
{
	struct btn_heap_node *up = n->up, *m;

	if (n->left)
		n->left->up = NULL;
	if (n->right)
		n->right->up = NULL;
	m = btn_heap_merge(n->left, n->right);
	if (m)
		m->up = up;
	if (!up)
		h->top = m;
	else if (up->left == n)
		up->left = m;
	else
		up->right = m;
	while (up && btn_heap_lean(up))
		up = up->up;
	n->rank = 0;
}

static inline bool btn_heap_has(const struct btn_heap_node *n)
{
	return n->rank != 0;
}

/*
 * A line: a heap for what mostly comes in order. What comes after all of the
 * line, or before all of it, is linked there in O(1), without a look at any node
 * in between; only what comes out of order goes into a heap. Ready tasks of a
 * tenant are like that, and flows of a tier, and there may be thousands.
 */
struct btn_line {
	struct btn_heap_node *first, *last;	/* left: before, right: after */
	struct btn_heap rest;
};

#define BTN_HEAP_IN_LINE (~0u)		/* as a node's rank */

static inline struct btn_heap_node *btn_line_top(const struct btn_line *l)
{
	if (!l->first || (l->rest.top && btn_heap_less(l->rest.top, l->first)))
		return l->rest.top;
	return l->first;
}

/* True: the line has one node, and no other. */
static inline bool btn_line_is_single(const struct btn_line *l)
{
	return l->first ? l->first == l->last && !l->rest.top : l->rest.top && !l->rest.top->left;
}

static inline void btn_line_add(struct btn_line *l, struct btn_heap_node *n)
{
	n->left = n->right = n->up = NULL;
	n->rank = BTN_HEAP_IN_LINE;
	if (!l->first) {
		l->first = l->last = n;
	} else if (btn_heap_less(l->last, n)) {
		n->left = l->last;
		l->last->right = n;
		l->last = n;
	} else if (btn_heap_less(n, l->first)) {
		n->right = l->first;
		l->first->left = n;
		l->first = n;
	} else {
		btn_heap_add(&l->rest, n);
	}
}

static inline void btn_line_del(struct btn_line *l, struct btn_heap_node *n)
{
	if (n->rank != BTN_HEAP_IN_LINE) {
		btn_heap_del(&l->rest, n);
		return;
	}
	if (n->left)
		n->left->right = n->right;
	else
		l->first = n->right;
	if (n->right)
		n->right->left = n->left;
	else
		l->last = n->left;
	n->rank = 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lin.h - is a recorded history linearizable? Every order is tried.
 *
 * A history is a list of operations, each with the moments of its call and its
 * return. It is linearizable if the operations can be put in an order that
 * respects "returned before the other was called" and in which a sequential
 * queue would have given the same answers. For up to 24 operations.
 */
#ifndef LIN_H
#define LIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LIN_OPS 24
#define LIN_BULK 4
#define LIN_OPEN UINT64_MAX	/* never returned: it happened, or it did not */

enum lin_kind {
	LIN_PUSH,		/* n items at the new end; n < asked: full */
	LIN_TAKE_OLD,		/* n items from the old end; 0: empty */
	LIN_TAKE_NEW,		/* an item from the new end; 0: empty */
	LIN_STEAL,		/* like TAKE_OLD, exactly min(asked, half, rounded up) */
};

struct lin_op {
	enum lin_kind kind;
	uint64_t call, ret;
	unsigned int asked, n;
	uintptr_t v[LIN_BULK];
};

struct lin {
	struct lin_op op[LIN_OPS];
	unsigned int nr;
	/* Items that fit; 0: no limit. */
	unsigned int capacity;
	/*
	 * A failure need not be true at a moment if some operation of the
	 * other kind overlaps it (a ring: see <baton/ring.h>).
	 */
	bool weak;
};

struct lin_state {
	uintptr_t item[LIN_OPS * LIN_BULK];
	unsigned int from, to;
};

/* A failure that the weak contract allows. */
static inline bool lin_excused(const struct lin *l, const struct lin_op *o)
{
	unsigned int i;

	if (!l->weak || o->n == o->asked)
		return false;
	for (i = 0; i < l->nr; i++)
		if (&l->op[i] != o && l->op[i].call < o->ret && o->call < l->op[i].ret)
			return true;
	return false;
}

/* Does o give this answer in this state? Then makes the next state. */
static inline bool lin_apply(const struct lin *l, const struct lin_op *o, struct lin_state *s)
{
	unsigned int have = s->to - s->from, i, want;

	/* The operation never returned; it took what it could. (A push says what it has.) */
	if (o->ret == LIN_OPEN && o->kind != LIN_PUSH) {
		want = o->kind == LIN_STEAL ? (have + 1) / 2 : have;
		want = want < o->asked ? want : o->asked;
		if (o->kind == LIN_TAKE_NEW)
			s->to -= want;
		else
			s->from += want;
		return true;
	}
	switch (o->kind) {
	case LIN_PUSH:
		if (o->n < o->asked && !lin_excused(l, o) && (!l->capacity || have + o->n != l->capacity))
			return false;
		if (l->capacity && have + o->n > l->capacity)
			return false;
		for (i = 0; i < o->n; i++)
			s->item[s->to++] = o->v[i];
		return true;
	case LIN_TAKE_NEW:
		if (!o->n)
			return !have;
		return have && s->item[--s->to] == o->v[0];
	case LIN_STEAL:
		want = (have + 1) / 2;
		if (o->n != (want < o->asked ? want : o->asked))
			return false;
		break;
	case LIN_TAKE_OLD:
		if (o->n > have)
			return false;
		/* Several at once may be fewer than there are, but not none. */
		if (!o->n && have && !lin_excused(l, o))
			return false;
		break;
	}
	for (i = 0; i < o->n; i++)
		if (s->item[s->from++] != o->v[i])
			return false;
	return true;
}

static inline bool lin_search(const struct lin *l, uint32_t done, const struct lin_state *s,
			      unsigned long *steps)
{
	uint64_t first_ret = LIN_OPEN;
	bool left = false;
	unsigned int i;

	++*steps;
	for (i = 0; i < l->nr; i++) {
		if (done & (UINT32_C(1) << i))
			continue;
		if (l->op[i].ret != LIN_OPEN)
			left = true;
		if (l->op[i].ret < first_ret)
			first_ret = l->op[i].ret;
	}
	if (!left)
		return true;
	for (i = 0; i < l->nr; i++) {
		struct lin_state next;

		if (done & (UINT32_C(1) << i) || l->op[i].call > first_ret)
			continue;
		next = *s;
		if (lin_apply(l, &l->op[i], &next) &&
		    lin_search(l, done | UINT32_C(1) << i, &next, steps))
			return true;
	}
	return false;
}

static inline bool lin_check(const struct lin *l)
{
	struct lin_state s = { .from = 0, .to = 0 };
	unsigned long steps = 0;

	return lin_search(l, 0, &s, &steps);
}

static inline void lin_print(const struct lin *l, FILE *f)
{
	static const char *const names[] = { "push", "pop", "pop_new", "steal" };
	unsigned int i, k;

	for (i = 0; i < l->nr; i++) {
		const struct lin_op *o = &l->op[i];

		fprintf(f, "#   [%llu, ", (unsigned long long)o->call);
		if (o->ret == LIN_OPEN)
			fprintf(f, "-] ");
		else
			fprintf(f, "%llu] ", (unsigned long long)o->ret);
		fprintf(f, "%s %u/%u:", names[o->kind], o->n, o->asked);
		for (k = 0; k < o->n; k++)
			fprintf(f, " %llx", (unsigned long long)o->v[k]);
		fprintf(f, "\n");
	}
}

#endif

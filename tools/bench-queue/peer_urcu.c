// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer_urcu.c - userspace-rcu: wfcqueue (its dequeue takes a mutex) and the
 * lock-free queue (whose users are in an RCU read-side section). A node for an
 * item comes from malloc(), as it must somewhere.
 */
#include <pthread.h>
#include <stdlib.h>

#include "peer.h"

#if __has_include(<urcu/wfcqueue.h>)
#define URCU_INLINE_SMALL_FUNCTIONS
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>
#include <urcu/rculfqueue.h>
#include <urcu/wfcqueue.h>

struct wfc {
	_Alignas(128) struct cds_wfcq_head head;
	_Alignas(128) struct cds_wfcq_tail tail;
};
struct wfc_item {
	struct cds_wfcq_node node;
	void *x;
};

static void *peer_create_wfcqueue(size_t capacity, unsigned threads)
{
	struct wfc *q = aligned_alloc(128, sizeof(*q));

	cds_wfcq_init(&q->head, &q->tail);
	return q;
}
static void peer_destroy_wfcqueue(void *p)
{
	struct wfc *q = p;

	cds_wfcq_destroy(&q->head, &q->tail);
	free(q);
}
static inline bool wfc_push(struct wfc *q, void *x)
{
	struct wfc_item *i = malloc(sizeof(*i));

	cds_wfcq_node_init(&i->node);
	i->x = x;
	cds_wfcq_enqueue(&q->head, &q->tail, &i->node);
	return true;
}
static inline bool wfc_pop(struct wfc *q, void **x)
{
	struct cds_wfcq_node *n;
	struct wfc_item *i;

	if (cds_wfcq_empty(&q->head, &q->tail))
		return false;
	n = cds_wfcq_dequeue_blocking(&q->head, &q->tail);
	if (!n)
		return false;
	i = caa_container_of(n, struct wfc_item, node);
	*x = i->x;
	free(i);
	return true;
}

#define PEER wfcqueue
#define PEER_NAME "urcu_wfcqueue"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T struct wfc
#define PEER_PUSH(q, x) wfc_push(q, x)
#define PEER_POP(q, x) wfc_pop(q, &x)
#include "loops.h"

struct lfq_item {
	struct cds_lfq_node_rcu node;
	struct rcu_head rcu;
	void *x;
};

static void *peer_create_lfq(size_t capacity, unsigned threads)
{
	struct cds_lfq_queue_rcu *q = aligned_alloc(128, (sizeof(*q) + 127) / 128 * 128);

	cds_lfq_init_rcu(q, urcu_memb_call_rcu);
	return q;
}
static void peer_destroy_lfq(void *p) { free(p); }
static void lfq_free(struct rcu_head *head)
{
	free(caa_container_of(head, struct lfq_item, rcu));
}
static inline bool lfq_push(struct cds_lfq_queue_rcu *q, void *x)
{
	struct lfq_item *i = malloc(sizeof(*i));

	cds_lfq_node_init_rcu(&i->node);
	i->x = x;
	urcu_memb_read_lock();
	cds_lfq_enqueue_rcu(q, &i->node);
	urcu_memb_read_unlock();
	return true;
}
static inline bool lfq_pop(struct cds_lfq_queue_rcu *q, void **x)
{
	struct cds_lfq_node_rcu *n;
	struct lfq_item *i;

	urcu_memb_read_lock();
	n = cds_lfq_dequeue_rcu(q);
	urcu_memb_read_unlock();
	if (!n)
		return false;
	i = caa_container_of(n, struct lfq_item, node);
	*x = i->x;
	urcu_memb_call_rcu(&i->rcu, lfq_free);
	return true;
}

/* The threads of a loop are readers, as long as the loop runs. */
static int lfq_enter(void)
{
	urcu_memb_register_thread();
	return 0;
}
static void lfq_leave(int *unused)
{
	urcu_memb_unregister_thread();
}

#define PEER lfq
#define PEER_NAME "urcu_lfq"
#define PEER_KIND PEER_UNBOUNDED
#define PEER_T struct cds_lfq_queue_rcu
#define PEER_CTX __attribute__((cleanup(lfq_leave))) int in = lfq_enter(); (void)in;
#define PEER_PUSH(q, x) lfq_push(q, x)
#define PEER_POP(q, x) lfq_pop(q, &x)
#define PEER_HOP_CTX __attribute__((cleanup(lfq_leave))) int reader = lfq_enter(); (void)reader;
#define PEER_HOP_PUSH(q, x) lfq_push(q, x)
#define PEER_HOP_POP(q, x) lfq_pop(q, &x)
#include "loops.h"
#else
PEER_MISSING(urcu, "urcu_wfcqueue", PEER_UNBOUNDED, "liburcu-dev")
#endif

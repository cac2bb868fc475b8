/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loops.h - the loops of one queue. Included once for each, after
 *
 *	PEER		an identifier
 *	PEER_NAME	a string
 *	PEER_KIND	PEER_BOUNDED or PEER_UNBOUNDED
 *	PEER_APART	1 if others are not compared with it (peer.h); optional
 *	PEER_SPSC	1 if one thread may push and one pop; optional
 *	PEER_T		the type of the queue
 *	PEER_CTX	a declaration of what a thread keeps; optional
 *	PEER_PUSH(q, x)	true if the pointer x went in
 *	PEER_POP(q, x)	true if x was set
 *	PEER_PUSH_N(q, v, n), PEER_POP_N(q, v, n)	how many; optional
 *	PEER_HOP_CTX, PEER_HOP_PUSH, PEER_HOP_POP	where two queues need other
 *			code than one; `in` and `out` are the queues; optional
 *	peer_create_PEER(), peer_destroy_PEER()
 */
#define PEER_CAT2(A, B) A##_##B
#define PEER_CAT(A, B) PEER_CAT2(A, B)
#define PEER_FN(NAME) PEER_CAT(NAME, PEER)

#ifndef PEER_APART
#define PEER_APART 0
#endif
#ifndef PEER_SPSC
#define PEER_SPSC 0
#endif
#ifndef PEER_CTX
#define PEER_CTX
#endif
#ifndef PEER_HOP_PUSH
#define PEER_HOP_CTX
#define PEER_HOP_PUSH(q, x) PEER_PUSH(q, x)
#define PEER_HOP_POP(q, x) PEER_POP(q, x)
#endif

static void PEER_FN(peer_produce)(void *queue, uintptr_t first, size_t n)
{
	PEER_T *q = (PEER_T *)queue;
	unsigned spins = 0;
	PEER_CTX

	for (; n; n--, first += 16)
		while (!PEER_PUSH(q, (void *)first))
			peer_wait(&spins);
}

static uintptr_t PEER_FN(peer_consume)(void *queue, size_t n)
{
	PEER_T *q = (PEER_T *)queue;
	unsigned spins = 0;
	uintptr_t sum = 0;
	void *x = NULL;
	PEER_CTX

	for (; n; n--) {
		while (!PEER_POP(q, x))
			peer_wait(&spins);
		sum += (uintptr_t)x;
	}
	return sum;
}

static uintptr_t PEER_FN(peer_pair)(void *queue, uintptr_t first, size_t n)
{
	PEER_T *q = (PEER_T *)queue;
	unsigned spins = 0;
	uintptr_t sum = 0;
	void *x = NULL;
	PEER_CTX

	for (; n; n--, first += 16) {
		while (!PEER_PUSH(q, (void *)first))
			peer_wait(&spins);
		while (!PEER_POP(q, x))
			peer_wait(&spins);
		sum += (uintptr_t)x;
	}
	return sum;
}

/* A token goes to and fro between two threads, over a queue each way. */
static void PEER_FN(peer_hop)(void *to, void *from, int first, uint32_t *ns, size_t n)
{
	PEER_T *out = (PEER_T *)to, *in = (PEER_T *)from;
	unsigned spins = 0;
	uint64_t t0 = 0;
	void *x = (void *)16;
	size_t i;
	PEER_HOP_CTX

	for (i = 0; i < n; i++) {
		if (first) {
			t0 = peer_now();
			while (!PEER_HOP_PUSH(out, x))
				peer_wait(&spins);
		}
		while (!PEER_HOP_POP(in, x))
			peer_wait(&spins);
		if (first)
			ns[i] = (uint32_t)((peer_now() - t0) / 2);
		else
			while (!PEER_HOP_PUSH(out, x))
				peer_wait(&spins);
	}
}

#ifdef PEER_PUSH_N
static void PEER_FN(peer_produce_bulk)(void *queue, uintptr_t first, size_t n)
{
	PEER_T *q = (PEER_T *)queue;
	void *v[PEER_BULK];
	unsigned spins = 0;
	size_t i, k, done;
	PEER_CTX

	while (n) {
		k = n < PEER_BULK ? n : PEER_BULK;
		for (i = 0; i < k; i++, first += 16)
			v[i] = (void *)first;
		for (done = 0; done < k; ) {
			size_t got = PEER_PUSH_N(q, v + done, k - done);

			done += got;
			if (!got)
				peer_wait(&spins);
		}
		n -= k;
	}
}

static uintptr_t PEER_FN(peer_consume_bulk)(void *queue, size_t n)
{
	PEER_T *q = (PEER_T *)queue;
	void *v[PEER_BULK];
	unsigned spins = 0;
	uintptr_t sum = 0;
	size_t i;
	PEER_CTX

	while (n) {
		size_t got = PEER_POP_N(q, v, (n < PEER_BULK ? n : PEER_BULK));

		for (i = 0; i < got; i++)
			sum += (uintptr_t)v[i];
		n -= got;
		if (!got)
			peer_wait(&spins);
	}
	return sum;
}
#define PEER_BULK_FNS PEER_FN(peer_produce_bulk), PEER_FN(peer_consume_bulk)
#else
#define PEER_BULK_FNS NULL, NULL
#endif

static struct peer PEER_FN(peer_entry) = {
	PEER_NAME, PEER_KIND, PEER_APART, PEER_SPSC, NULL,
	PEER_FN(peer_create), PEER_FN(peer_destroy),
	PEER_FN(peer_produce), PEER_FN(peer_consume), PEER_FN(peer_pair), PEER_FN(peer_hop),
	PEER_BULK_FNS, NULL,
};
__attribute__((constructor)) static void PEER_FN(peer_add)(void)
{
	PEER_FN(peer_entry).next = peers;
	peers = &PEER_FN(peer_entry);
}

#undef PEER
#undef PEER_NAME
#undef PEER_KIND
#undef PEER_APART
#undef PEER_SPSC
#undef PEER_T
#undef PEER_CTX
#undef PEER_PUSH
#undef PEER_POP
#undef PEER_HOP_CTX
#undef PEER_HOP_PUSH
#undef PEER_HOP_POP
#undef PEER_PUSH_N
#undef PEER_POP_N
#undef PEER_CAT
#undef PEER_CAT2
#undef PEER_FN
#undef PEER_BULK_FNS

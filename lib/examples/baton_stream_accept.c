/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An echo server on loopback with a task for each connection, and its clients:
 * baton_stream_accept [CONNECTIONS]. What the tasks do reads like blocking calls; while
 * one waits, its slot is another's.
 */
#include <baton/io.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROUNDS 20

static struct baton_sched *s;
static struct sockaddr_in where;
static int connections = 20, echoed;

static void echoes(void *arg)
{
	struct baton_stream *st = (struct baton_stream *)arg;
	char buf[256];
	size_t n;

	while (!baton_stream_read(st, buf, sizeof(buf), &n, BATON_FOREVER) && n)
		if (baton_stream_write(st, buf, n, &n, BATON_FOREVER))
			break;
	baton_stream_close(st);
}

/* Accepts until the listening socket is shut down. The stream is this task's, and closed here. */
static void serves(void *arg)
{
	struct baton_stream *l = (struct baton_stream *)arg, *st;
	int err;

	for (;;) {
		err = baton_stream_accept(l, &st, BATON_FOREVER);
		if (err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM)
			baton_sleep_until(baton_clock_now() + 10000000);
		else if (err)
			break;
		else if (baton_task_spawn(NULL, echoes, st))
			baton_stream_close(st);
	}
	baton_stream_close(l);
}

static void asks(void *arg)
{
	uint64_t deadline = baton_clock_now() + 30000000000;
	struct iovec hello[2] = { { (void *)"hel", 3 }, { (void *)"lo", 2 } }, end = { NULL, 1 };
	struct baton_stream *st;
	char in[5];
	size_t n;
	int i;

	(void)arg;
	if (baton_stream_connect(&st, s, (struct sockaddr *)&where, sizeof(where), deadline))
		return;
	for (i = 0; i < ROUNDS; i++) {
		if (baton_stream_writev(st, hello, 2, &n, deadline) ||
		    baton_stream_read_full(st, in, 5, &n, deadline) || n < 5)
			break;
	}
	/* The server sees the end, and then this side does. */
	end.iov_base = in;
	if (i == ROUNDS && !baton_stream_shutdown(st, SHUT_WR) && !baton_stream_readv(st, &end, 1, &n, deadline) && !n)
		__atomic_fetch_add(&echoed, 1, __ATOMIC_RELAXED);
	baton_stream_close(st);
}

static void everything(void *arg)
{
	struct baton_stream *l, *out;
	struct baton_task *server, **client;
	socklen_t len = sizeof(where);
	int i, fd;
	size_t n;

	(void)arg;
	where.sin_family = AF_INET;
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = (struct baton_task **)calloc(connections, sizeof(*client));
	if (!client || baton_stream_listen(&l, s, (struct sockaddr *)&where, len, 4096))
		exit(1);
	getsockname(baton_stream_fd(l), (struct sockaddr *)&where, &len);
	if (baton_task_spawn(&server, serves, l))
		exit(1);
	for (i = 0; i < connections; i++)
		if (baton_task_spawn(&client[i], asks, NULL))
			exit(1);
	for (i = 0; i < connections; i++)
		baton_task_join(client[i]);
	baton_stream_shutdown(l, SHUT_RDWR);
	baton_task_join(server);
	free(client);
	/* Standard output, where it is a pipe, is a stream as well. */
	fd = dup(1);
	if (!baton_stream_open(&out, s, fd)) {
		baton_stream_write(out, "done: ", 6, &n, BATON_FOREVER);
		baton_stream_close(out);
	} else {
		close(fd);
	}
}

int main(int argc, char **argv)
{
	struct baton_tenant_opts to = { 0 };
	struct baton_request_opts ro = { 0 };
	struct baton_request *r;
	struct baton_tenant *tenant;
	int err;

	if (argc > 1)
		connections = atoi(argv[1]);
	to.sz = sizeof(to);
	to.high_ppm = 500000;
	ro.sz = sizeof(ro);
	ro.cls = BATON_BATCH;
	ro.fn = everything;
	if (connections < 1 || baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) || baton_submit(tenant, &ro, &r))
		return 1;
	err = baton_request_wait(r);
	baton_request_put(r);
	printf("%d of %d connections\n", echoed, connections);
	return baton_sched_destroy(s) || err || echoed != connections;
}

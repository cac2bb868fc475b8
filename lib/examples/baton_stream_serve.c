/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small HTTP/1.1 server without a thread for each connection: baton_stream_serve [PORT [FILE]].
 * With a port (0: any, which is printed) it serves FILE, or a greeting, until it is killed; else it asks itself
 * some things, and ends.
 */
#include <baton/io.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct connection {
	size_t used;
	char head[4096];
};

static struct baton_sched *s;
static struct baton_tenant *tenant;
static struct baton_request_opts opts;
static int file = -1;

static bool answer_one(struct baton_stream *st, const char *status, uint64_t deadline)
{
	static const char hello[] = "hello\n";
	struct iovec part[2];
	size_t n = sizeof(hello) - 1, put;
	struct stat what;
	char head[256];

	if (file >= 0 && !fstat(file, &what))
		n = (size_t)what.st_size;
	part[0].iov_base = head;
	part[0].iov_len = (size_t)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, n);
	part[1].iov_base = (void *)hello;
	part[1].iov_len = n;
	if (file < 0)
		return !baton_stream_writev(st, part, 2, &put, deadline);
	return !baton_stream_write(st, head, part[0].iov_len, &put, deadline) &&
	       !baton_stream_sendfile(st, file, 0, n, &put, deadline) && put == n;
}

/* Answers each request whose head is complete, and keeps what follows. False: the connection is to be closed. */
static bool answer_all(struct baton_stream *st, struct connection *c, const char *status)
{
	uint64_t deadline = baton_clock_now() + 5000000000;
	char *end;

	while ((end = strstr(c->head, "\r\n\r\n"))) {
		if (!answer_one(st, strncmp(c->head, "GET ", 4) ? "501 Not Implemented" : status, deadline))
			return false;
		end += 4;
		c->used -= (size_t)(end - c->head);
		memmove(c->head, end, c->used + 1);
	}
	return c->used < sizeof(c->head) - 1;
}

static void serve_connection(struct baton_stream *st, int why, void *arg)
{
	struct connection *c = (struct connection *)arg;
	size_t got;
	int err;

	/* The last call. */
	if (why == -ESHUTDOWN) {
		free(c);
		return;
	}
	err = baton_stream_read(st, c->head + c->used, sizeof(c->head) - 1 - c->used, &got, 0);
	if (err == -ETIMEDOUT)
		return;
	c->used += got;
	c->head[c->used] = 0;
	/* Other errors of `why`: the tenant had no quota, or not in time. */
	if (err || !got || !answer_all(st, c, why ? "503 Service Unavailable" : "200 OK"))
		baton_stream_close(st);
}

static void serve_listener(struct baton_stream *l, int why, void *arg)
{
	struct baton_stream *st;
	struct connection *c;
	int err;

	(void)arg;
	if (why == -ESHUTDOWN)
		return;
	err = baton_stream_accept(l, &st, 0);
	if (err) {
		/* Without descriptors this is called again, and again. */
		if (err != -ETIMEDOUT)
			baton_sleep_until(baton_clock_now() + 10000000);
		return;
	}
	c = (struct connection *)calloc(1, sizeof(*c));
	if (!c || baton_stream_serve(st, tenant, &opts, serve_connection, c)) {
		free(c);
		baton_stream_close(st);
	}
}

/* Twice on one connection. */
static bool asks(const struct sockaddr_in *where)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", want[] = "HTTP/1.1 200 OK";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;
	char in[256];
	bool good = fd >= 0 && !connect(fd, (const struct sockaddr *)where, sizeof(*where));

	for (i = 0; i < 2 && good; i++) {
		/* In two parts. */
		good = write(fd, request, 10) == 10 && write(fd, request + 10, sizeof(request) - 11) == sizeof(request) - 11 &&
		       read(fd, in, sizeof(in)) > 15 && !memcmp(in, want, sizeof(want) - 1);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

int main(int argc, char **argv)
{
	struct sockaddr_in where = { 0 };
	struct baton_tenant_opts to = { 0 };
	socklen_t len = sizeof(where);
	struct baton_stream *l;
	int i, good = 0;

	where.sin_family = AF_INET;
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	where.sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0));
	if (argc > 2) {
		file = open(argv[2], O_RDONLY | O_CLOEXEC);
		if (file < 0) {
			perror(argv[2]);
			return 1;
		}
	}
	to.sz = sizeof(to);
	to.low_ppm = 100000;
	to.high_ppm = 500000;
	opts.sz = sizeof(opts);
	opts.cls = BATON_TOLERANT;
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &tenant, &to) ||
	    baton_stream_listen(&l, s, (struct sockaddr *)&where, len, 512) ||
	    getsockname(baton_stream_fd(l), (struct sockaddr *)&where, &len) ||
	    baton_stream_serve(l, tenant, &opts, serve_listener, NULL))
		return 1;
	if (argc > 1) {
		printf("%d\n", ntohs(where.sin_port));
		fflush(stdout);
		for (;;)
			pause();
	}
	for (i = 0; i < 10; i++)
		good += asks(&where);
	baton_stream_close(l);
	while (baton_sched_destroy(s) == -EBUSY)
		usleep(1000);
	printf("%d of 10 connections were served\n", good);
	return good == 10 ? 0 : 1;
}

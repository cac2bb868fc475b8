// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as what a client says to batondb's HTTP, on loopback. Whatever comes, the answer is one of HTTP or none,
 * and the next client gets the page.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batondb.h"

static struct sockaddr_in address = { .sin_family = AF_INET };

static void find_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = 0;
	FUZZ_MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)));
	FUZZ_MUST(!getsockname(fd, (struct sockaddr *)&address, &len));
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned tries = 0;

	fuzz_batondb("trust");
	fuzz_admin("create user \"a\"\"b\\c\"");
	/* Somebody else may take the port between the two. */
	do {
		find_port();
		FUZZ_MUST(tries++ < 20);
	} while (http_start(ntohs(address.sin_port)));
	atexit(http_stop);
	return 0;
}

/* Reads until the server has nothing more to say: how much, and of it as many bytes as there is room for. */
static size_t ask(const void *p, size_t n, char *answer, size_t room)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char more[65536];
	size_t got = 0;
	ssize_t k;

	FUZZ_MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* No port is kept for a while after the end. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	if (send(fd, p, n, MSG_NOSIGNAL) >= 0)
		shutdown(fd, SHUT_WR);
	do {
		k = got < room ? recv(fd, answer + got, room - got, 0) : recv(fd, more, sizeof(more), 0);
		got += k > 0 ? k : 0;
	} while (k > 0);
	FUZZ_MUST(k == 0 || errno == ECONNRESET);
	close(fd);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char page[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	static unsigned long inputs;
	char answer[64];
	size_t got = ask(p, n, answer, sizeof(answer));

	FUZZ_MUST(!got || (got >= 7 && !memcmp(answer, "HTTP/1.", 7)));
	if (++inputs % 64 == 0) {
		got = ask(page, sizeof(page) - 1, answer, sizeof(answer));
		FUZZ_MUST(got > 1000 && !memcmp(answer, "HTTP/1.1 200", 12));
	}
	return 0;
}

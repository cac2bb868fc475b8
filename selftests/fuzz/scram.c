// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as what a client says to batondb's auth(): SCRAM-SHA-256. An input's first byte says which user; then
 * comes the body of each message, after its length in two bytes. The server's part of the nonce is always the same here, so
 * that an exchange can get to its end (seeds.py has one), and nobody gets in but the user with the password "x".
 */
#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batondb.h"

/* In the place of OpenSSL's. */
int RAND_bytes(unsigned char *p, int n)
{
	memset(p, 'r', n);
	return 1;
}

static unsigned long inputs, let_in;

static void say_how_many(void)
{
	fprintf(stderr, "fuzz: let in %lu of %lu\n", let_in, inputs);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_batondb("scram");
	fuzz_admin("create user x password 'x'");
	fuzz_admin("create user nothing");
	fuzz_admin("create user empty password ''");
	memset(server.secret, 's', sizeof(server.secret));
	atexit(say_how_many);
	return 0;
}

static void discard(int fd)
{
	char answer[4096];

	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const users[] = { "x", "nothing", "empty", "nobody" };
	struct fuzz_in in = { p, n };
	unsigned user = fuzz_byte(&in) % 4;
	struct session s = { .peer = { .text = "[fuzz]", .address = "[fuzz]", .uid = (uid_t)-1 } };
	const uint8_t *body;
	struct buf b;
	size_t at, len;
	bool ok;
	int fd[2];

	inputs++;
	buf_init(&b, 1 << 20);
	while (in.left) {
		len = fuzz_bytes(&in, fuzz_word(&in), &body);
		at = proto_begin(&b, 'p');
		buf_add(&b, body, len);
		proto_end(&b, at);
	}
	FUZZ_MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	FUZZ_MUST(send(fd[1], b.p, b.len, MSG_NOSIGNAL) == (ssize_t)b.len && !shutdown(fd[1], SHUT_WR));
	buf_free(&b);
	s.fd = fd[0];
	s.user = (char *)users[user];
	s.began = baton_clock_now();
	pthread_mutex_init(&s.lock, NULL);
	buf_init(&s.in, server.conf.max_message + 65536);
	buf_init(&s.out, 1 << 20);
	ok = auth(&s);
	net_flush(&s);
	discard(fd[1]);
	FUZZ_MUST(!ok || (user == 0 && s.role && !strcmp(s.role->name, "x")));
	let_in += ok;
	buf_free(&s.in);
	buf_free(&s.out);
	pthread_mutex_destroy(&s.lock);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

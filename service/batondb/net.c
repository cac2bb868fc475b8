// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes from and to the client, with time limits; a wait gives the slot away. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "session.h"

/* A client that takes nothing for so long is gone. */
#define SEND_TIMEOUT_MS 60000

void net_timeout(struct session *s, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	if (s->rcv_timeout == seconds)
		return;
	s->rcv_timeout = seconds;
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

/* Whether the session has not logged in, and its time for that is over. */
static bool is_late(const struct session *s, uint64_t now)
{
	return s->state == STATE_STARTUP && now - s->began > server.conf.auth_timeout * 1000 * MS;
}

/* OpenSSL reads a handshake to its end, however slowly that comes. */
static long before_read(BIO *b, int what, const char *p, size_t n, int argi, long argl, int rc, size_t *done)
{
	return what == BIO_CB_READ && is_late((const struct session *)BIO_get_callback_arg(b), baton_clock_now()) ? -1 : rc;
}

bool net_tls(struct session *s)
{
	struct timeval tv = { .tv_sec = server.conf.auth_timeout };

	s->ssl = SSL_new(server.tls);
	if (!s->ssl || !SSL_set_fd(s->ssl, s->fd))
		return false;
	BIO_set_callback_arg(SSL_get_rbio(s->ssl), (char *)s);
	BIO_set_callback_ex(SSL_get_rbio(s->ssl), before_read);
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	/* Data that a client sent before the handshake would not be protected by it. */
	if (s->in.len > s->in_at)
		return false;
	return SSL_accept(s->ssl) == 1;
}

/* Bytes that there are, at least a byte; 0: closed; -1: timed out or failed. */
static long receive(struct session *s, char *p, size_t n)
{
	long got;

	do {
		if (s->ssl) {
			got = SSL_read(s->ssl, p, (int)n);
			if (got <= 0 && SSL_get_error(s->ssl, (int)got) == SSL_ERROR_ZERO_RETURN)
				return 0;
		} else {
			got = recv(s->fd, p, n, 0);
		}
	} while (got < 0 && errno == EINTR);
	return got;
}

bool net_flush(struct session *s)
{
	struct pollfd pfd = { .fd = s->fd, .events = POLLOUT };
	size_t at = 0;
	long n;
	int rc;

	if (s->out.failed) {
		log_line("%s: no memory for an answer", s->peer.text);
		s->dead = true;
	}
	while (at < s->out.len && !s->dead) {
		size_t left = s->out.len - at;

		if (s->ssl) {
			n = SSL_write(s->ssl, s->out.p + at, left > 1 << 20 ? 1 << 20 : (int)left);
			if (n <= 0)
				s->dead = true;
		} else {
			n = send(s->fd, s->out.p + at, left, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		if (n > 0) {
			at += n;
			continue;
		}
		if (s->dead || (errno != EAGAIN && errno != EINTR)) {
			s->dead = true;
			break;
		}
		baton_blocking_begin();
		rc = poll(&pfd, 1, SEND_TIMEOUT_MS);
		baton_blocking_end();
		if (!rc)
			s->dead = true;
	}
	buf_clear(&s->out, 4 * OUT_HIGH);
	return !s->dead;
}

bool net_message(struct session *s, struct proto_msg *m, bool begin)
{
	const char *why = NULL;
	long n;

	for (;;) {
		n = s->in_at < s->in.len ? proto_next(s->in.p + s->in_at, s->in.len - s->in_at, begin, server.conf.max_message, m, &why) : 0;
		if (n > 0) {
			s->in_at += n;
			return true;
		}
		if (n < 0)
			return fatal(s, "08P01", "%s", why);
		if (s->in_at == s->in.len) {
			buf_clear(&s->in, 4 * OUT_HIGH);
		} else if (s->in_at) {
			s->in.len -= s->in_at;
			memmove(s->in.p, s->in.p + s->in_at, s->in.len);
		}
		s->in_at = 0;
		/* Memory for a long message comes with its bytes, not with what its head says. */
		if (!buf_room(&s->in, 8192))
			return fatal(s, "53200", "out of memory");
		if (!net_flush(s))
			return false;
		work_pause(s);
		n = receive(s, s->in.p + s->in.len, s->in.cap - s->in.len);
		s->arrived = baton_clock_now();
		if (n <= 0) {
			if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !s->ssl)
				fatal(s, s->state == STATE_STARTUP ? "08006" : s->tx ? "25P03" : "57P05",
				      s->state == STATE_STARTUP ? "canceling authentication due to timeout" :
				      s->tx ? "terminating connection due to idle-in-transaction timeout" :
				      "terminating connection due to idle-session timeout");
			s->dead = true;
			return false;
		}
		s->in.len += n;
		if (is_late(s, s->arrived))
			return fatal(s, "08006", "canceling authentication due to timeout");
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* A connection from its beginning to its end, and what others may do to it. */
#include "session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* SQLite calls itself for each view of a view. */
#define STACK (8 << 20)

/* ------------------------------------------------------- from other threads */

int session_end(const struct session *who, uint32_t pid, uint32_t key, int how)
{
	struct baton_request *request;
	struct session *s;

	pthread_mutex_lock(&server.lock);
	for (s = server.sessions; s && (s->pid != pid || (who ? !s->role : s->key != key)); s = s->next)
		;
	if (!s || (who && !who->role->is.super && who->role != s->role)) {
		pthread_mutex_unlock(&server.lock);
		return s ? -1 : 0;
	}
	s->cancel = how;
	request = s->request;
	s->pins++;
	if (how == 2)
		shutdown(s->fd, SHUT_RD);
	pthread_mutex_unlock(&server.lock);
	/* The request stays until its pins are gone. */
	if (request)
		baton_request_cancel(request);
	pthread_mutex_lock(&server.lock);
	s->pins--;
	pthread_cond_broadcast(&server.ended);
	pthread_mutex_unlock(&server.lock);
	return 1;
}

void session_unpin(struct session *s)
{
	struct baton_request *r;

	pthread_mutex_lock(&server.lock);
	r = s->request;
	s->request = NULL;
	while (s->pins)
		pthread_cond_wait(&server.ended, &server.lock);
	pthread_mutex_unlock(&server.lock);
	baton_request_put(r);
}

void session_stop_all(bool now)
{
	struct session *s;

	for (s = server.sessions; s; s = s->next)
		/* A client in a transaction may end it; an idle one is not waited for. */
		if (now || s->state == STATE_STARTUP || (s->state == STATE_IDLE && s->tx == TX_NONE)) {
			s->cancel = 2;
			shutdown(s->fd, SHUT_RD);
		}
}

uint64_t session_cpu(const struct session *s)
{
	struct timespec ts;

	return clock_gettime(s->clock, &ts) ? 0 : ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ------------------------------------------------------------------- begin */

/* Up to a startup packet with a version that we speak. */
static bool negotiate(struct session *s, struct proto_startup *st)
{
	struct proto_msg m;

	for (;;) {
		if (!net_message(s, &m, true))
			return false;
		if (!proto_startup(&m, st))
			return fatal(s, "08P01", "invalid startup packet layout");
		switch (st->code) {
		case PROTO_CANCEL:
			session_end(NULL, st->pid, st->key, 1);
			return false;
		case PROTO_SSL:
			if (s->ssl)
				return fatal(s, "08P01", "a second SSLRequest");
			buf_ch(&s->out, server.tls ? 'S' : 'N');
			if (!net_flush(s) || (server.tls && !net_tls(s)))
				return false;
			s->encrypted = server.tls != NULL;
			break;
		case PROTO_GSS:
			buf_ch(&s->out, 'N');
			break;
		default:
			if (st->code >> 16 == 3)
				return true;
			return fatal(s, "0A000", "unsupported frontend protocol %u.%u: server supports 3.0", st->code >> 16, st->code & 65535);
		}
	}
}

/* -c name=value ..., as PGOPTIONS has it; \ before a blank. NULL, or what is wrong. */
static const char *command_line(struct session *s, const char *p)
{
	const char *why = NULL;
	char word[300], *eq;
	size_t n;

	while (!why && *(p += strspn(p, " "))) {
		if (!strncmp(p, "-c", 2) || !strncmp(p, "--", 2))
			p += 2;
		p += strspn(p, " ");
		for (n = 0; *p && *p != ' ' && n < sizeof(word) - 1; p++) {
			p += *p == '\\' && p[1];
			word[n++] = *p;
		}
		word[n] = 0;
		eq = strchr(word, '=');
		if (!eq)
			return why_text("invalid command-line argument for server process: %s", word);
		*eq = 0;
		why = setting_set(s, word, eq + 1);
	}
	return why;
}

static bool startup_settings(struct session *s, const char *p)
{
	const char *value, *why = NULL;

	settings_begin(s);
	for (; *p && !why; p = value + strlen(value) + 1) {
		value = p + strlen(p) + 1;
		if (!strcmp(p, "options"))
			why = command_line(s, value);
		else if (strcmp(p, "user") && strcmp(p, "database") && strcmp(p, "replication") && strncmp(p, "_pq_.", 5))
			why = setting_set(s, p, value);
	}
	s->initial = s->set;
	return !why || fatal(s, "22023", "%s", why);
}

/* NULL, or why this session is one too many. The lock is held. */
static const char *too_many(const struct session *s)
{
	unsigned same = 0, most = (unsigned)server.conf.max_connections, reserved = (unsigned)server.conf.reserved;
	const struct role *r = s->role;
	const struct session *o;

	if (server.n_sessions - server.n_startup > most || (!r->is.super && server.n_sessions - server.n_startup + reserved > most))
		return "sorry, too many clients already";
	if (r->is.super)
		return NULL;
	if (server.conf.per_user && r->sessions >= (unsigned)server.conf.per_user)
		return "too many connections of one user (max_connections_per_user)";
	for (o = server.sessions; o && server.conf.per_address; o = o->next)
		same += o != s && o->database && !strcmp(o->peer.address, s->peer.address);
	return server.conf.per_address && same >= (unsigned)server.conf.per_address ?
	       why_text("too many connections from %.48s (max_connections_per_address)", s->peer.address) : NULL;
}

static bool open_database(struct session *s)
{
	const char *why = NULL;
	struct database *d;
	int rc;

	pthread_mutex_lock(&server.lock);
	server.n_startup--;
	s->started = true;
	d = database_find(s->database_name);
	why = too_many(s);
	if (d && !why && !s->role->dropped) {
		d->sessions++;
		s->role->sessions++;
		s->database = d;
	}
	pthread_mutex_unlock(&server.lock);
	if (why)
		return fatal(s, "53300", "%s", why);
	if (!s->database)
		return fatal(s, "3D000", "database \"%s\" does not exist", s->database_name);
	mem_session(&s->role->memory);
	rc = db_open(d->path, &s->guard, &s->db, (int)server.conf.max_value, server.conf.full_sync);
	if (!rc)
		rc = funcs_register(s->db, s);
	s->guard.kind = GUARD_INTERNAL;
	if (!rc)
		rc = view_register(s->db);
	s->guard.kind = GUARD_QUERY;
	if (rc)
		return fatal(s, rc == SQLITE_NOMEM ? "53200" : "58030", "cannot open database \"%s\": %s", s->database_name,
		      s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
	work_watch(s, true);
	return true;
}

static bool begin(struct session *s)
{
	struct proto_startup st;
	const char *p;

	net_timeout(s, server.conf.auth_timeout);
	if (!negotiate(s, &st))
		return false;
	/* The parameters lie in the input, which authentication reads on. A name ends the list where it is empty; a value may be. */
	for (p = st.params; *p; p += strlen(p) + 1)
		p += strlen(p) + 1;
	s->params = malloc((size_t)(p - st.params) + 1);
	if (!s->params)
		return fatal(s, "53200", "out of memory");
	st.params = memcpy(s->params, st.params, (size_t)(p - st.params) + 1);
	s->user = proto_param(&st, "user");
	s->database_name = proto_param(&st, "database");
	if (!s->database_name || !*s->database_name)
		s->database_name = s->user;
	if (!s->user || !*s->user)
		return fatal(s, "28000", "no PostgreSQL user name specified in startup packet");
	if (server.conf.tls_required && !s->encrypted && s->peer.uid == (uid_t)-1)
		return fatal(s, "28000", "connections without TLS are refused (tls_required)");
	if (server.stopping)
		return fatal(s, "57P03", "the database system is shutting down");
	if (!auth(s) || !startup_settings(s, s->params) || !open_database(s))
		return false;
	/* A newer minor version is answered with ours. */
	if (st.code != PROTO_V3)
		proto_send(&s->out, 'v', "44", PROTO_V3, 0);
	settings_report(s);
	proto_send(&s->out, 'K', "44", s->pid, s->key);
	proto_send(&s->out, 'Z', "1", 'I');
	s->state = STATE_IDLE;
	net_timeout(s, server.conf.idle_timeout);
	return true;
}

/* -------------------------------------------------------------------- loop */

static void remember(struct session *s, const char *query)
{
	pthread_mutex_lock(&s->lock);
	snprintf(s->query, sizeof(s->query), "%s", query);
	pthread_mutex_unlock(&s->lock);
}

/* The end of what the client sent together: an implicit transaction is done. */
static void finish(struct session *s, bool ok)
{
	if (s->tx == TX_NONE && s->working) {
		if (!ok)
			work_rollback(s);
		else if (s->implicit || s->locked || s->n_portals)
			ok = work_commit(s);
	}
	if (s->working && s->query_start)
		hist_add(&s->role->latency, baton_clock_now() - s->arrived);
	s->skipping = false;
	proto_send(&s->out, 'Z', "1", s->tx == TX_NONE ? 'I' : s->tx == TX_OPEN ? 'T' : 'E');
	/*
	 * A critical user is answered before anybody gets its slot. Others give it away first:
	 * the client that an answer wakes often gets this CPU, and the slot would stand
	 * still meanwhile. What the sending takes is charged with the next request.
	 */
	s->memory = mem_used();
	if (s->tx == TX_NONE && s->set.cls != BATON_CRITICAL)
		work_end(s);
	if (s->in_at == s->in.len)
		net_flush(s);
	if (s->tx == TX_NONE)
		work_end(s);
}

static bool malformed(struct session *s, const struct proto_msg *m)
{
	return fatal(s, "08P01", "malformed message of type '%c'", m->type >= 32 && m->type < 127 ? m->type : '?');
}

/* A message of the extended protocol. False: it has failed. */
static bool extended(struct session *s, const struct proto_msg *m)
{
	bool ok, target = m->type == 'D' || m->type == 'C';
	const char *name = "";
	struct proto_parse p;
	struct proto_bind b;
	uint32_t rows;
	char kind = 'S';

	ok = m->type == 'P' ? proto_read(m, "ssN", &p.name, &p.query, &p.n, &p.oids) : m->type == 'B' ? proto_bind(m, &b) :
	     m->type == 'E' ? proto_read(m, "s4", &name, &rows) : proto_read(m, "1s", &kind, &name);
	if (!ok || (target && kind != 'S' && kind != 'P'))
		return malformed(s, m);
	if (m->type == 'C') {
		exec_close(s, kind, name);
		proto_send(&s->out, '3', "");
		return true;
	}
	if (m->type == 'P')
		remember(s, p.query);
	if (!work_begin(s))
		return false;
	if (m->type == 'P')
		return exec_parse(s, &p);
	if (m->type == 'B')
		return exec_bind(s, &b);
	if (m->type == 'D')
		return exec_describe(s, kind, name);
	work_clock(s);
	/* Negative ones mean no limit, too. */
	return exec_execute(s, name, rows > INT32_MAX ? 0 : rows);
}

static void serve(struct session *s)
{
	struct proto_msg m;
	const char *text;
	bool ok = true;

	while (!s->dead && net_message(s, &m, false)) {
		if (s->cancel == 2 || (server.stopping && s->tx == TX_NONE && !s->working)) {
			fatal(s, "57P01", "terminating connection due to administrator command");
			return;
		}
		s->extended = m.type && strchr("PBDEC", m.type);
		if (m.type == 'Q') {
			if (!proto_read(&m, "s", &text)) {
				malformed(s, &m);
				return;
			}
			remember(s, text);
			ok = work_begin(s);
			if (ok)
				work_clock(s);
			finish(s, ok && exec_simple(s, text));
			ok = true;
		} else if (s->extended) {
			if (!s->skipping)
				ok &= extended(s, &m);
		} else if (m.type == 'S') {
			finish(s, ok);
			ok = true;
		} else if (m.type == 'H') {
			net_flush(s);
		} else if (m.type == 'X') {
			return;
		} else if (!m.type || !strchr("dcf", m.type)) {
			/* The rest of a COPY that failed is passed over. */
			fatal(s, "08P01", "invalid frontend message type %d", (unsigned char)m.type);
			return;
		}
		if (s->out.len > OUT_HIGH)
			net_flush(s);
	}
}

static void end(struct session *s)
{
	/* Others find it no more, then what it held is given back. */
	pthread_mutex_lock(&server.lock);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (s->role && s->clock)
		s->role->cpu += session_cpu(s);
	pthread_mutex_unlock(&server.lock);
	if (s->working && s->away)
		work_begin(s);
	if (s->db)
		work_watch(s, false);
	work_rollback(s);
	exec_forget(s);
	sqlite3_finalize(s->begin);
	sqlite3_finalize(s->commit);
	work_end(s);
	guard_forget(&s->guard);
	sqlite3_close(s->db);
	session_unpin(s);
	if (s->ssl) {
		SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	close(s->fd);
	buf_free(&s->in);
	buf_free(&s->out);
	free(s->params);
	pthread_mutex_lock(&server.lock);
	if (s->database) {
		s->database->sessions--;
		s->role->sessions--;
	}
	server.n_sessions--;
	server.n_startup -= !s->started;
	pthread_cond_broadcast(&server.ended);
	pthread_mutex_unlock(&server.lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void *session_main(void *arg)
{
	struct session *s = arg;

	/* A question is not to wait until another one's answer has had its slice. */
	baton_thread_prefer_latency();
	mem_session(NULL);
	if (pthread_getcpuclockid(pthread_self(), &s->clock))
		s->clock = 0;
	if (begin(s))
		serve(s);
	end(s);
	return NULL;
}

void session_start(int fd, const struct peer *peer)
{
	struct session *s = calloc(1, sizeof(*s));
	static const struct { int level, option, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 10 }, { IPPROTO_TCP, TCP_KEEPCNT, 6 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 90000 },
	};
	static uint32_t pid = 1000;
	pthread_attr_t attr;
	unsigned i;

	if (!s) {
		close(fd);
		return;
	}
	for (i = 0; i < sizeof(options) / sizeof(*options) && !peer->unix_socket; i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int));
	s->fd = fd;
	s->began = baton_clock_now();
	s->peer = *peer;
	pthread_mutex_init(&s->lock, NULL);
	buf_init(&s->in, server.conf.max_message + 65536);
	buf_init(&s->out, server.conf.max_value * 2 + 4 * OUT_HIGH);
	RAND_bytes((unsigned char *)&s->key, sizeof(s->key));
	pthread_mutex_lock(&server.lock);
	s->pid = pid = pid < INT32_MAX ? pid + 1 : 1001;
	s->prev = &server.sessions;
	s->next = server.sessions;
	if (s->next)
		s->next->prev = &s->next;
	server.sessions = s;
	server.n_sessions++;
	server.n_startup++;
	pthread_mutex_unlock(&server.lock);
	server.connections++;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&s->thread, &attr, session_main, s)) {
		fatal(s, "53200", "no thread for the connection");
		end(s);
	}
	pthread_attr_destroy(&attr);
}

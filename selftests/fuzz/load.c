// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as both sides of the conversation with `baton load`: the service's messages, to the
 * server's own sources without the kernel's programs; and an answer with its descriptors, to the library.
 *
 * An input's first byte says which: odd, an answer, of which the second byte says how many descriptors come with it; even,
 * a list of steps, a byte each for what is done and for the connection, of these: connect, send (a byte for the length, and
 * the bytes, with descriptors or without), close, a session more is made, the server looks.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../../tools/baton/detect_serve.c"

#include "detect.h"
#include "fuzz.h"
#include "../send_fds.h"

#define CONNECTIONS 8

static char dir[] = "/tmp/baton-fuzz-load-XXXXXX", path[64];
static int listener, lock = -1, memory;
static struct baton_session session[BATON_SESSIONS];
static struct detect kernel = { .join = -1, .session = session, .how = "fuzz" };

/* ------------------------------------- in the place of the kernel's programs */

/* The jobs are done one at a time, done when the server asks for the result. */
int maker_open(struct maker *m, struct detect *d, const char *hold)
{
	return 0;
}

void maker_start(struct maker *m, const struct maker_job *job)
{
	FUZZ_MUST(!m->busy && job->session < BATON_SESSIONS);
	/* A session begins where none is, and ends where one is that was shut. */
	FUZZ_MUST(job->ends ? session[job->session].cells && !session[job->session].token : !session[job->session].cells);
	m->busy = true;
	m->job = *job;
}

void maker_take(struct maker *m, struct maker_job *job)
{
	struct baton_session *s = &session[m->job.session];

	FUZZ_MUST(m->busy);
	m->busy = false;
	if (m->job.ends) {
		*s = (struct baton_session){ 0 };
	} else if (m->job.workers > 1 << 20) {
		m->job.err = -EINVAL;
	} else {
		*s = (struct baton_session){ .token = 1, .cells = m->job.workers + BTN_CELL_FIRST };
		m->job.fd[0] = dup(memory);
		m->job.fd[1] = dup(memory);
	}
	*job = m->job;
}

bool maker_close(struct maker *m, struct maker_job *job)
{
	return false;
}

void detect_shut(struct detect *d, unsigned i)
{
	FUZZ_MUST(i < BATON_SESSIONS && session[i].token);
	session[i].token = 0;
}

void detect_end(struct detect *d, unsigned i)
{
}

unsigned long long detect_pid_start(pid_t pid)
{
	return 0;
}

int detect_lock(const char *socket)
{
	return 0;
}

/* ---------------------------------------------------------------- the server */

static void server_looks(void)
{
	struct pollfd p = { .events = POLLIN };
	unsigned i;

	for (i = n_peers; i--;) {
		p.fd = peers[i].sock;
		if (poll(&p, 1, 0) > 0 && !hear(&peers[i]))
			drop(&kernel, i);
	}
	while (!maker.busy && next_job(&kernel))
		;
}

static void make_one(void)
{
	struct maker_job job;

	if (maker.busy) {
		maker_take(&maker, &job);
		job_done(&kernel, &job);
	}
}

static int connected(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	FUZZ_MUST(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

static unsigned count_used(void)
{
	unsigned i, n = 0;

	for (i = 0; i < BATON_SESSIONS; i++)
		n += places[i].state != PLACE_FREE;
	return n;
}

/* As what user the server sees the connection: the process's own has no limit but SESSIONS_PER_UID. */
static void accept_as(const struct detect_allow *allow, unsigned who)
{
	unsigned before = n_peers;

	meet(listener, allow);
	if (n_peers > before && who)
		peers[before].who.uid = 1000 + who;
}

static void to_server(struct fuzz_in *in)
{
	static const struct detect_allow allow = { .all = true };
	int fd[CONNECTIONS];
	unsigned i, what, which;
	const uint8_t *bytes;
	size_t n;

	for (i = 0; i < CONNECTIONS; i++)
		fd[i] = -1;
	while (in->left) {
		what = fuzz_byte(in);
		which = what >> 4 & (CONNECTIONS - 1);
		switch (what & 7) {
		case 0:
			if (fd[which] >= 0)
				close(fd[which]);
			fd[which] = connected();
			accept_as(&allow, which & 3);
			break;
		case 1:
		case 2:
			n = fuzz_bytes(in, fuzz_byte(in), &bytes);
			if (fd[which] >= 0)
				send_fds(fd[which], bytes, n, memory, (what & 7) == 2 ? n : 0, MSG_NOSIGNAL | MSG_DONTWAIT);
			break;
		case 3:
			if (fd[which] >= 0)
				close(fd[which]);
			fd[which] = -1;
			break;
		case 4:
			make_one();
			break;
		case 5: {
			/* The greeting that the library itself sends. */
			struct btn_detect_hello hello = { BTN_DETECT_MAGIC, BTN_DETECT_VERSION, fuzz_byte(in) };

			if (fd[which] >= 0)
				send_fds(fd[which], &hello, sizeof(hello), memory, 0, MSG_NOSIGNAL | MSG_DONTWAIT);
			break;
		}
		default:
			server_looks();
		}
		FUZZ_MUST(n_peers <= PENDING_MAX + BATON_SESSIONS && count_used() <= BATON_SESSIONS);
	}
	for (i = 0; i < CONNECTIONS; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	/* All are gone: so is what they had. */
	for (i = 0; i < 4 * BATON_SESSIONS && (n_peers || maker.busy || count_used()); i++) {
		server_looks();
		make_one();
	}
	FUZZ_MUST(!n_peers && !maker.busy && !count_used());
}

/* --------------------------------------------------------------- the library */

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static const uint8_t *reply;
static size_t reply_len;
static unsigned reply_descriptors;
static bool replies;

static void *reply_main(void *arg)
{
	struct btn_detect_hello hello;
	int fd;

	pthread_mutex_lock(&turn);
	for (;;) {
		while (!replies)
			pthread_cond_wait(&turned, &turn);
		do {
			fd = accept(listener, NULL, NULL);
		} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && poll(&(struct pollfd){ listener, POLLIN, 0 }, 1, 1000) >= 0)));
		FUZZ_MUST(fd >= 0 && recv(fd, &hello, sizeof(hello), 0) == sizeof(hello));
		send_fds(fd, reply, reply_len, memory, reply_descriptors, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		replies = false;
		pthread_cond_signal(&turned);
	}
	return NULL;
}

static unsigned open_descriptors(void)
{
	int fd = dup(memory);

	FUZZ_MUST(fd >= 0);
	close(fd);
	return fd;
}

static void to_library(struct fuzz_in *in)
{
	struct btn_detect_answer a = { .magic = BTN_DETECT_MAGIC, .version = BTN_DETECT_VERSION };
	unsigned lowest = open_descriptors(), kind;
	struct btn_detect *d;
	struct btn_cell *cell;
	char how[96];
	int err;

	pthread_mutex_lock(&turn);
	kind = fuzz_byte(in);
	reply_descriptors = kind & 15;
	if (reply_descriptors == 15)
		reply_descriptors = 200;
	reply = in->p;
	reply_len = in->left;
	/* With the head of an answer of this version. */
	if (kind & 16) {
		memcpy((char *)&a + offsetof(struct btn_detect_answer, err), in->p,
		       in->left < sizeof(a) - offsetof(struct btn_detect_answer, err) ?
		       in->left : sizeof(a) - offsetof(struct btn_detect_answer, err));
		/* The library trusts `baton load` in this: there are as many cells as it says. */
		a.cells %= 1024;
		reply = (void *)&a;
		reply_len = sizeof(a);
	}
	replies = true;
	pthread_cond_signal(&turned);
	pthread_mutex_unlock(&turn);
	err = btn_detect_open(&d, 4, how);
	FUZZ_MUST(memchr(how, 0, sizeof(how)));
	if (!err) {
		cell = btn_detect_cell(d);
		if (cell)
			btn_cell_arm(cell, BTN_CELL_ARMED);
		btn_detect_close(d);
	}
	pthread_mutex_lock(&turn);
	while (replies)
		pthread_cond_wait(&turned, &turn);
	pthread_mutex_unlock(&turn);
	/* No descriptor stays open, whatever came. */
	FUZZ_MUST(open_descriptors() == lowest);
}

static void clean(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;

	FUZZ_MUST(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	atexit(clean);
	setenv("BATON_DETECT_SOCKET", path, 1);
	listener = make_socket(path, &lock);
	memory = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_MUST(listener >= 0 && memory >= 0 && !ftruncate(memory, 1 << 20));
	FUZZ_MUST(!pthread_create(&thread, NULL, reply_main, NULL));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz_in in = { p, n };

	if (fuzz_byte(&in) & 1)
		to_library(&in);
	else
		to_server(&in);
	return 0;
}

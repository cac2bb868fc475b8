// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton load, unload, status: the BPF programs that see who blocks and wakes.
 */
#include "baton.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "detect_abi.h"
#include "detect_lock.h"
#include "detect_serve.h"
#include "options.h"

static const char load_help[] =
	"usage: baton load [--allow USER|@GROUP|all]... [--pins DIR] [--socket PATH]\n"
	"                  [--with auto|hook|tracepoints]\n\n"
	"Loads the programs that see which worker blocks and wakes, or takes over those\n"
	"that are loaded, and serves them until it is told to stop (SIGTERM). Needs\n"
	"CAP_BPF, CAP_PERFMON and a BPF file system; services need no privilege.\n\n"
	"  --allow WHOM   who may use them besides root: a user, @GROUP, or all\n"
	"  --pins DIR     where they are pinned (" DETECT_PINS ")\n"
	"  --socket PATH  where services connect (" BTN_DETECT_SOCKET ")\n"
	"  --no-serve     load and leave\n"
	"  --with WHAT    tracepoints, the hook of a kernel that has sched_block_ops, or\n"
	"                 (auto, the default) the hook where there is one\n";

static const char unload_help[] =
	"usage: baton unload [--pins DIR] [--socket PATH] [--timeout SECONDS]\n\n"
	"Ends `baton load` and all sessions and removes the programs. Services go on\n"
	"without them.\n\n"
	"  --timeout SECONDS  how long `baton load` may take to end (30); then it is killed\n";

static const char status_help[] =
	"usage: baton status [--json] [--pins DIR] [--socket PATH]\n\n"
	"What is loaded, who serves it, and who uses it; as one JSON object with --json.\n";

struct where {
	const char *pins, *socket;
	bool serve, json;
	int timeout;		/* s */
	struct detect_allow allow;
	struct detect_knobs knobs;
};

static bool allow(struct detect_allow *a, const char *whom)
{
	struct passwd *user;
	struct group *group;
	char *end;
	long n;

	if (!strcmp(whom, "all")) {
		a->all = true;
		return true;
	}
	if (a->n_uids == DETECT_ALLOW_MAX || a->n_gids == DETECT_ALLOW_MAX) {
		fprintf(stderr, "baton: more than %d times --allow; use a group\n", DETECT_ALLOW_MAX);
		return false;
	}
	n = strtol(whom + (*whom == '@'), &end, 10);
	if (*whom == '@') {
		group = getgrnam(whom + 1);
		if (!group && (*end || !whom[1] || n < 0)) {
			fprintf(stderr, "baton: there is no group \"%s\"\n", whom + 1);
			return false;
		}
		a->gid[a->n_gids++] = group ? group->gr_gid : (gid_t)n;
		return true;
	}
	user = getpwnam(whom);
	if (!user && (*end || !*whom || n < 0)) {
		fprintf(stderr, "baton: there is no user \"%s\" (a group is @GROUP)\n", whom);
		return false;
	}
	a->uid[a->n_uids++] = user ? user->pw_uid : (uid_t)n;
	return true;
}

static bool with(struct detect_knobs *k, const char *what)
{
	if (!strcmp(what, "auto")) {
		k->with = DETECT_AUTO;
	} else if (!strcmp(what, "hook")) {
		k->with = DETECT_HOOK;
	} else if (!strcmp(what, "tracepoints")) {
		k->with = DETECT_TRACEPOINTS;
	} else {
		fprintf(stderr, "baton: --with %s: it is auto, hook or tracepoints\n", what);
		return false;
	}
	return true;
}

static bool seconds(int *out, const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (*end || end == value || n < 1 || n > 3600) {
		fprintf(stderr, "baton: --timeout %s: it is a number from 1 to 3600\n", value);
		return false;
	}
	*out = (int)n;
	return true;
}

enum { ALLOW = 256, PINS, SOCKET, NO_SERVE, WITH, TIMEOUT, TEST_DELAY, TEST_BROKEN, TEST_HOLD, JSON };

#define ROWS_COMMON						\
	{ "pins", required_argument, 0, PINS },			\
	{ "socket", required_argument, 0, SOCKET },		\
	OPTIONS_COMMON

static const struct option load_rows[] = {
	{ "allow", required_argument, 0, ALLOW },
	{ "no-serve", no_argument, 0, NO_SERVE },
	{ "with", required_argument, 0, WITH },
	{ "test-delay", required_argument, 0, TEST_DELAY },
	{ "test-broken", required_argument, 0, TEST_BROKEN },
	{ "test-hold", required_argument, 0, TEST_HOLD },
	ROWS_COMMON
};
static const struct option unload_rows[] = {
	{ "timeout", required_argument, 0, TIMEOUT },
	ROWS_COMMON
};
static const struct option status_rows[] = {
	{ "json", no_argument, 0, JSON },
	ROWS_COMMON
};

/* -1: go on; else the exit status. */
static int read_options(struct where *w, int argc, char **argv, const char *help, const struct option *rows)
{
	struct options o = { .verb = argv[0], .usage = help };
	int c;

	*w = (struct where){ .pins = DETECT_PINS, .socket = BTN_DETECT_SOCKET, .serve = true, .timeout = 30 };
	while ((c = options_next(&o, argc, argv, "", rows)) != OPTIONS_END) {
		switch (c) {
		case OPTIONS_EXIT:
			return o.status;
		case PINS:
			w->pins = optarg;
			break;
		case SOCKET:
			w->socket = optarg;
			break;
		case JSON:
			w->json = true;
			break;
		case NO_SERVE:
			w->serve = false;
			break;
		case TIMEOUT:
			if (!seconds(&w->timeout, optarg))
				return 2;
			break;
		case WITH:
			if (!with(&w->knobs, optarg))
				return 2;
			break;
		case ALLOW:
			if (!allow(&w->allow, optarg))
				return 2;
			break;
		case TEST_DELAY:
			w->knobs.delay = atoi(optarg);
			break;
		case TEST_BROKEN:
			w->knobs.broken = atoi(optarg);
			break;
		case TEST_HOLD:
			w->allow.hold = optarg;
			break;
		}
	}
	if (optind < argc)
		return options_wrong(&o, "no argument \"%s\" is expected", argv[optind]);
	return -1;
}

int verb_load(int argc, char **argv)
{
	struct where w;
	struct detect d;
	int rc = read_options(&w, argc, argv, load_help, load_rows);

	if (rc >= 0)
		return rc;
	if (detect_load(&d, w.pins, &w.knobs))
		return 1;
	rc = w.serve ? detect_serve(&d, w.socket, &w.allow) : 0;
	detect_close(&d);
	return rc ? 1 : 0;
}

static void end_sessions(const char *pins)
{
	struct detect d;
	unsigned i;

	if (detect_open(&d, pins, stderr))
		return;
	for (i = 0; i < BATON_SESSIONS; i++)
		if (d.session[i].token)
			detect_end(&d, i);
	detect_close(&d);
}

int verb_unload(int argc, char **argv)
{
	struct where w;
	pid_t pid;
	int pidfd, rc = read_options(&w, argc, argv, unload_help, unload_rows);

	if (rc >= 0)
		return rc;
	pid = detect_holder(w.socket, &pidfd);
	if (pid < 0)
		return 1;
	/* Before the connections end: a service that then asks hears that its session did. */
	end_sessions(w.pins);
	if (pid) {
		rc = detect_stop(pid, pidfd, 1000 * w.timeout);
		close(pidfd);
		if (rc)
			return 1;
	}
	end_sessions(w.pins);
	rc = detect_unload(w.pins);
	if (rc == -ENOENT)
		fprintf(stderr, "baton: nothing is loaded in %s\n", w.pins);
	return rc ? 1 : 0;
}

static void print_status(const struct where *w, const struct detect *d, int err, pid_t pid)
{
	const struct baton_session *s;
	unsigned i, n = 0;

	if (err == -ENOENT)
		printf("programs  not loaded (`baton load` does that)\n");
	else if (err)
		printf("programs  cannot be looked at: %s\n", strerror(-err));
	else
		printf("programs  loaded, version %d, pinned in %s\n", BATON_DETECT_VERSION, w->pins);
	if (pid > 0)
		printf("server    process %d, %s\n", (int)pid, w->socket);
	else if (pid < 0)
		printf("server    cannot be seen\n");
	else
		printf("server    none on %s\n", w->socket);
	for (i = 0; !err && i < BATON_SESSIONS; i++) {
		s = &d->session[i];
		if (!s->token)
			continue;
		n++;
		printf("session   %u: process %u, user %u, %u cells, %s, for %lld s\n", i, s->pid, s->uid,
		       s->cells, s->tgid ? "in use" : "not in use yet", (long long)(time(NULL) - s->since));
	}
	if (!err && !n)
		printf("sessions  none\n");
}

/* The same facts; what cannot be known is null. */
static void print_status_json(const struct where *w, const struct detect *d, int err, pid_t pid)
{
	const struct baton_session *s;
	const char *comma = "";
	unsigned i;

	printf("{\"loaded\":%s,\"version\":%d,\"pins\":", !err ? "true" : err == -ENOENT ? "false" : "null", BATON_DETECT_VERSION);
	options_put_json(stdout, w->pins);
	printf(",\"socket\":");
	options_put_json(stdout, w->socket);
	if (pid > 0)
		printf(",\"server\":%d", (int)pid);
	else
		printf(",\"server\":%s", pid ? "null" : "0");
	printf(",\"sessions\":[");
	for (i = 0; !err && i < BATON_SESSIONS; i++) {
		s = &d->session[i];
		if (!s->token)
			continue;
		printf("%s{\"session\":%u,\"pid\":%u,\"uid\":%u,\"cells\":%u,\"joined\":%s,\"since\":%lld}", comma, i, s->pid,
		       s->uid, s->cells, s->tgid ? "true" : "false", (long long)s->since);
		comma = ",";
	}
	printf("]}\n");
}

int verb_status(int argc, char **argv)
{
	struct where w;
	struct detect d;
	pid_t pid;
	int pidfd, rc = read_options(&w, argc, argv, status_help, status_rows);

	if (rc >= 0)
		return rc;
	pid = detect_holder(w.socket, &pidfd);
	if (pid > 0)
		close(pidfd);
	rc = detect_open(&d, w.pins, stderr);
	(w.json ? print_status_json : print_status)(&w, &d, rc, pid);
	if (rc)
		return 1;
	detect_close(&d);
	return pid > 0 ? 0 : 1;
}

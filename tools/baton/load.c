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
	"usage: baton status [--pins DIR] [--socket PATH]\n\n"
	"What is loaded, who serves it, and who uses it.\n";

struct where {
	const char *pins, *socket;
	bool serve;
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

/* -1: go on; else the exit status. */
static int read_options(struct where *w, int argc, char **argv, const char *help, bool load)
{
	const char *value;
	int i;

	*w = (struct where){ .pins = DETECT_PINS, .socket = BTN_DETECT_SOCKET, .serve = true, .timeout = 30 };
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return 0;
		}
		if (load && !strcmp(argv[i], "--no-serve")) {
			w->serve = false;
			continue;
		}
		value = argv[i + 1];
		if (!strcmp(argv[i], "--pins") || !strcmp(argv[i], "--socket") ||
		    (!load && !strcmp(argv[0], "unload") && !strcmp(argv[i], "--timeout")) ||
		    (load && (!strcmp(argv[i], "--allow") || !strcmp(argv[i], "--with") || !strcmp(argv[i], "--test-delay") ||
			      !strcmp(argv[i], "--test-broken") || !strcmp(argv[i], "--test-hold")))) {
			if (!value) {
				fprintf(stderr, "baton %s: %s wants a value\n", argv[0], argv[i]);
				return 2;
			}
		} else {
			fprintf(stderr, "baton %s: no option %s\n%s", argv[0], argv[i], help);
			return 2;
		}
		if (!strcmp(argv[i], "--pins"))
			w->pins = value;
		else if (!strcmp(argv[i], "--socket"))
			w->socket = value;
		else if (!strcmp(argv[i], "--timeout") && !seconds(&w->timeout, value))
			return 2;
		else if (!strcmp(argv[i], "--test-delay"))
			w->knobs.delay = atoi(value);
		else if (!strcmp(argv[i], "--test-hold"))
			w->allow.hold = value;
		else if (!strcmp(argv[i], "--test-broken"))
			w->knobs.broken = atoi(value);
		else if (!strcmp(argv[i], "--with") && !with(&w->knobs, value))
			return 2;
		else if (!strcmp(argv[i], "--allow") && !allow(&w->allow, value))
			return 2;
		i++;
	}
	return -1;
}

int verb_load(int argc, char **argv)
{
	struct where w;
	struct detect d;
	int rc = read_options(&w, argc, argv, load_help, true);

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

	if (detect_open(&d, pins))
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
	int pidfd, rc = read_options(&w, argc, argv, unload_help, false);

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

int verb_status(int argc, char **argv)
{
	struct where w;
	struct detect d;
	struct baton_session *s;
	unsigned i, n = 0;
	pid_t pid;
	int pidfd, rc = read_options(&w, argc, argv, status_help, false);

	if (rc >= 0)
		return rc;
	pid = detect_holder(w.socket, &pidfd);
	if (pid > 0)
		close(pidfd);
	rc = detect_open(&d, w.pins);
	if (rc == -ENOENT)
		printf("programs  not loaded (`baton load` does that)\n");
	else if (rc)
		printf("programs  cannot be looked at: %s\n", strerror(-rc));
	else
		printf("programs  loaded, version %d, pinned in %s\n", BATON_DETECT_VERSION, w.pins);
	if (pid > 0)
		printf("server    process %d, %s\n", (int)pid, w.socket);
	else if (pid < 0)
		printf("server    cannot be seen\n");
	else
		printf("server    none on %s\n", w.socket);
	if (rc)
		return 1;
	for (i = 0; i < BATON_SESSIONS; i++) {
		s = &d.session[i];
		if (!s->token)
			continue;
		n++;
		printf("session   %u: process %u, user %u, %u cells, %s, for %lld s\n", i, s->pid, s->uid,
		       s->cells, s->tgid ? "in use" : "not in use yet", (long long)(time(NULL) - s->since));
	}
	if (!n)
		printf("sessions  none\n");
	detect_close(&d);
	return pid > 0 ? 0 : 1;
}

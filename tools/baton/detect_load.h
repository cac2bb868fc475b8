/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detect_load.h - the BPF programs: loaded, pinned, taken over, removed; and the
 * sessions in them.
 */
#ifndef TOOLS_DETECT_LOAD_H
#define TOOLS_DETECT_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "../../bpf/detect.h"

#define DETECT_PINS "/sys/fs/bpf/baton"

/* The programs' maps, by descriptor; pinned under their own names. */
struct detect {
	int cells, doorbells, sessions, join;
	struct baton_session *session;	/* BATON_SESSIONS of them, mapped */
	char pins[256];
	char how[96];			/* the programs that were chosen, and why */
	bool notifies;			/* the programs wake whom a scheduler names */
};

/* By what: the best that the kernel has, or that and nothing else. */
enum detect_with { DETECT_AUTO, DETECT_HOOK, DETECT_TRACEPOINTS };

struct detect_knobs {
	enum detect_with with;
	/* For tests, normally all 0. */
	unsigned delay, broken, nothing;
};

/*
 * Loads, attaches and pins the programs; or takes those over that are pinned,
 * if they are of this version. 0; or -errno, and stderr says what is wrong and
 * what would be right.
 */
int detect_load(struct detect *d, const char *pins, const struct detect_knobs *knobs);
/* Only those that are there: -ENOENT if none are. Other errors are written to `say`, as with the two below. */
int detect_open(struct detect *d, const char *pins, FILE *say);
void detect_close(struct detect *d);
/*
 * Why programs cannot be loaded, as far as that can be known before it is tried:
 * 0, or -errno, having said it; and what the kernel or libbpf said to an attempt.
 */
int detect_look_around(const char *who, FILE *say);
int detect_explain(int err, const char *what, FILE *say);
/* The map of who is which worker; -ENOENT: the programs have none. The caller closes it. */
int detect_workers(const struct detect *d);
/* Removes the pins, and so, when nobody has them open, the programs. */
int detect_unload(const char *pins);

/*
 * Session number `session`, which is in use by nobody, for a process, with cells for so many
 * workers. 0 or -errno. fd: the cells and the doorbell. Waits for grace periods of RCU.
 */
int detect_begin(struct detect *d, unsigned session, pid_t pid, uid_t uid, unsigned workers, int fd[2]);
/* From here on nobody joins the session, and nobody who joined is heard. Waits for nothing. */
void detect_shut(struct detect *d, unsigned session);
/* Frees the memory of a session that was shut; waits for grace periods. */
void detect_forget(struct detect *d, unsigned session);
/* Both of them. */
void detect_end(struct detect *d, unsigned session);
/* When a process began, in ticks since boot: 0 if there is none. */
unsigned long long detect_pid_start(pid_t pid);

#endif

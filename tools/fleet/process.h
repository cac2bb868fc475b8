/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process.h - which process an agent told rates, for the agent that comes after (client.h). */
#ifndef FLEET_PROCESS_H
#define FLEET_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;		/* 0: none that can be seen from here */
	uint64_t began;		/* as /proc says: another process with that pid began at another time */
};

/* The process of that pid. Returns a descriptor that is readable once it has ended, or -1: it has, or cannot be seen. */
int process_open(struct process *p, pid_t pid);
/* Writes it into the file SOCKET.told; 0 or -errno. A pid of 0: nobody knows who it was. */
int process_note(const char *socket, const struct process *p);
/* Reads the note there; false: nothing, or nobody knows. */
bool process_noted(const char *socket, struct process *p);

#endif

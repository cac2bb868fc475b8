/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * common.h - a `baton load` of the test's own: its programs, its socket.
 */
#ifndef BPF_COMMON_H
#define BPF_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "detect.h"

/*
 * Runs `baton load OPTIONS...` (NULL at the end) and sets BATON_DETECT_SOCKET;
 * SKIPs where it cannot be. It ends with the test's process.
 */
void load_begin(const char *option, ...);
void load_end(void);
/* As a crash would; and again, with the same pins. */
void load_kill(void);
void load_again(void);

extern char load_socket[64], load_pins[64], load_log[64];
extern pid_t load_pid;

/* The path of the command under test. */
const char *baton_command(void);
/* Runs the command with these arguments (NULL at the end): its exit status. */
int baton(const char *arg, ...);
/* True if the log of `baton load` has this text. */
bool load_said(const char *text);

/* A session; CHECKs. */
struct btn_detect *session(unsigned workers);

/* Until COND, at most so many seconds. */
#define WITHIN(SECONDS, COND)                                                    \
	({                                                                       \
		uint64_t within_end = now_ns() + (SECONDS) * 1000000000ull;      \
		bool within_ok;                                                  \
		while (!(within_ok = (COND)) && now_ns() < within_end)           \
			pause_us(200);                                           \
		within_ok;                                                       \
	})
uint64_t now_ns(void);
void pause_us(unsigned us);

#endif

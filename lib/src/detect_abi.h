/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * detect_abi.h - what the library shares with the kernel's programs and with
 * `baton load`. The cells are those of bpf/detect.h, said again because that
 * file is not the library's to use; tools/baton/detect_same.c does not compile
 * if they differ.
 */
#ifndef BTN_DETECT_ABI_H
#define BTN_DETECT_ABI_H

#include <stdint.h>

#include "atomic.h"

#define BTN_DETECT_VERSION	6
#define BTN_DETECT_SOCKET	"/run/baton/detect.sock"

/* Which cell is what, of 64 bytes each. */
#define BTN_CELL_HEAD	0
#define BTN_CELL_COUNTS	1
#define BTN_CELL_FIRST	2
/* Workers of one session, at most. */
#define BTN_CELLS_MAX	32768

enum { BTN_CELL_RUNS, BTN_CELL_BLOCKED, BTN_CELL_TAKEN, BTN_CELL_PARKED };
enum { BTN_CELL_NOT, BTN_CELL_ARMED, BTN_CELL_ANNOUNCED };

struct btn_cell {
	/* The kernel. */
	_Atomic uint32_t state;
	_Atomic uint32_t blocks, unannounced, rung;
	_Atomic uint64_t since, cpu, blocked;
	/* The worker. */
	_Atomic uint32_t armed;
	_Atomic uint32_t slotless, owes;
	_Atomic uint32_t notified;
	_Atomic uint64_t parker;
};

struct btn_detect_head {
	_Atomic uint32_t want;
	_Atomic uint32_t waker;
	_Atomic uint32_t idle;
	uint32_t unused[13];
};

struct btn_detect_counts {
	_Atomic uint64_t rung, notified;
	uint64_t unused[6];
};

struct btn_detect_join {
	uint64_t token;
	uint32_t session, cell;
	uint64_t word;
};

/*
 * The conversation: the service connects (SOCK_SEQPACKET) and says what it
 * wants; the answer carries three descriptors, in this order: the cells, the
 * doorbell, and the program that a thread runs to join. The session lasts until
 * either side closes.
 */
#define BTN_DETECT_MAGIC 0x31446e7442ULL

struct btn_detect_hello {
	uint64_t magic;
	uint32_t version;	/* BTN_DETECT_VERSION */
	uint32_t workers;
};

struct btn_detect_answer {
	uint64_t magic;
	uint32_t version;
	int32_t err;		/* 0, or -errno and no descriptors */
	uint64_t token;
	uint32_t session, cells;
	uint32_t notifies;		/* not 0: the programs wake whom the scheduler names */
	uint32_t unused;
	char how[96];		/* how it is seen, or why not */
};

#endif

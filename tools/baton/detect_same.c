// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two descriptions of what the programs and the library share are the same,
 * or this does not compile.
 */
#include <stddef.h>

#include "../../bpf/detect.h"
#include "detect_abi.h"

#define SAME(A, B) _Static_assert((int)(A) == (int)(B), #A " is not " #B)
#define FIELD(KERNEL, LIB, NAME)                                                          \
	SAME(offsetof(struct KERNEL, NAME), offsetof(struct LIB, NAME));                  \
	SAME(sizeof(((struct KERNEL *)0)->NAME), sizeof(((struct LIB *)0)->NAME))

SAME(BATON_DETECT_VERSION, BTN_DETECT_VERSION);
SAME(BATON_CELL_HEAD, BTN_CELL_HEAD);
SAME(BATON_CELL_COUNTS, BTN_CELL_COUNTS);
SAME(BATON_CELL_FIRST, BTN_CELL_FIRST);
SAME(BATON_CELLS_MAX, BTN_CELLS_MAX);
SAME(BATON_CELL_RUNS, BTN_CELL_RUNS);
SAME(BATON_CELL_BLOCKED, BTN_CELL_BLOCKED);
SAME(BATON_CELL_TAKEN, BTN_CELL_TAKEN);
SAME(BATON_CELL_PARKED, BTN_CELL_PARKED);
SAME(BATON_CELL_NOT, BTN_CELL_NOT);
SAME(BATON_CELL_ARMED, BTN_CELL_ARMED);
SAME(BATON_CELL_ANNOUNCED, BTN_CELL_ANNOUNCED);
SAME(sizeof(struct baton_cell), sizeof(struct btn_cell));
SAME(sizeof(struct baton_head), sizeof(struct btn_cell));
SAME(sizeof(struct baton_counts), sizeof(struct btn_cell));
FIELD(baton_cell, btn_cell, state);
FIELD(baton_cell, btn_cell, blocks);
FIELD(baton_cell, btn_cell, unannounced);
FIELD(baton_cell, btn_cell, rung);
FIELD(baton_cell, btn_cell, since);
FIELD(baton_cell, btn_cell, cpu);
FIELD(baton_cell, btn_cell, blocked);
FIELD(baton_cell, btn_cell, armed);
FIELD(baton_cell, btn_cell, slotless);
FIELD(baton_cell, btn_cell, owes);
FIELD(baton_cell, btn_cell, notified);
FIELD(baton_cell, btn_cell, parker);
FIELD(baton_head, btn_detect_head, want);
FIELD(baton_head, btn_detect_head, waker);
FIELD(baton_head, btn_detect_head, idle);
FIELD(baton_counts, btn_detect_counts, rung);
FIELD(baton_counts, btn_detect_counts, notified);
FIELD(baton_join, btn_detect_join, token);
FIELD(baton_join, btn_detect_join, session);
FIELD(baton_join, btn_detect_join, cell);
FIELD(baton_join, btn_detect_join, word);

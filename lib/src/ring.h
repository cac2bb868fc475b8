/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_RING_H
#define BTN_RING_H

#include "inject.h"

#define BATON_POINT(NAME) BTN_POINT(NAME)
#include <baton/ring_inline.h>

/*
 * For tests: an unused ring goes on as if @index items had gone through it.
 * Touches every slot.
 */
void btn_ring_start_at(struct baton_ring *r, uint64_t index);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stats.h - a reader of a page of figures, for the library itself. */
#ifndef BTN_STATS_H
#define BTN_STATS_H

#include <baton/stats.h>

#include "page.h"

/* A reader of this process's own page. -ENOMEM. */
int btn_stats_attach(struct baton_stats **out, const struct btn_page *page);

#endif

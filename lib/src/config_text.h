/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config_text.h - where in its file a configuration says what, for who refuses it later. */
#ifndef BTN_CONFIG_TEXT_H
#define BTN_CONFIG_TEXT_H

#include <baton/config.h>

enum btn_config_what { BTN_CONFIG_SLOTS, BTN_CONFIG_CAPACITY, BTN_CONFIG_LIMIT, BTN_CONFIG_TIER, BTN_CONFIG_TENANT };

/* "NAME:LINE", or "NAME" of what the file does not say; i: of tiers and tenants. Into text. */
const char *btn_config_where(const struct baton_config *c, enum btn_config_what what, size_t i,
			     char *text, size_t room);

#endif

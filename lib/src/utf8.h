/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BTN_UTF8_H
#define BTN_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed: no overlong forms, no surrogates, nothing above U+10FFFF. */
static inline bool btn_utf8_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	while (s < end) {
		unsigned char c = *s++, low = 0x80, high = 0xbf;
		unsigned more;

		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf)
			more = 1;
		else if (c >= 0xe0 && c <= 0xef)
			more = 2;
		else if (c >= 0xf0 && c <= 0xf4)
			more = 3;
		else
			return false;
		if (c == 0xe0)
			low = 0xa0;
		else if (c == 0xed)
			high = 0x9f;
		else if (c == 0xf0)
			low = 0x90;
		else if (c == 0xf4)
			high = 0x8f;
		for (; more; more--, low = 0x80, high = 0xbf)
			if (s == end || *s < low || *s++ > high)
				return false;
	}
	return true;
}

#endif

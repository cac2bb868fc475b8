// SPDX-License-Identifier: GPL-2.0-or-later
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void buf_free(struct buf *b)
{
	mem_free(b->p);
	b->p = NULL;
	b->len = b->cap = 0;
}

void buf_clear(struct buf *b, size_t keep)
{
	b->len = 0;
	b->failed = false;
	if (b->cap > keep)
		buf_free(b);
}

char *buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *p;

	if (b->failed || n > b->max || b->len > b->max - n) {
		b->failed = true;
		return NULL;
	}
	if (b->cap - b->len < n) {
		while (cap - b->len < n)
			cap *= 2;
		p = cap <= INT32_MAX ? mem_realloc(b->p, (int)cap) : NULL;
		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->len;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = n ? buf_room(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_ch(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n >= 0 ? buf_room(b, (size_t)n + 1) : NULL;
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

const char *buf_cstr(struct buf *b)
{
	char *end = buf_room(b, 1);

	if (!end)
		return "";
	*end = 0;
	return b->p;
}

void buf_quoted(struct buf *b, const char *s)
{
	buf_ch(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_ch(b, '\\');
		buf_ch(b, *s);
	}
	buf_ch(b, '"');
}

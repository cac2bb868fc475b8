// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto.h"

#include <endian.h>
#include <string.h>

uint32_t proto_number(const void *p, unsigned n)
{
	const uint8_t *b = p;
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *b++;
	return v;
}

/* NULL, and all that follows likewise: they are not there. */
static const uint8_t *take_bytes(struct proto_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint32_t take_number(struct proto_rd *r, unsigned n)
{
	const uint8_t *p = take_bytes(r, n);

	return p ? proto_number(p, n) : 0;
}

static const char *take_text(struct proto_rd *r)
{
	const uint8_t *p = r->p, *nul;

	nul = r->bad || p == r->end ? NULL : memchr(p, 0, r->end - p);
	r->bad = !nul;
	return nul ? (const char *)take_bytes(r, (size_t)(nul - p) + 1) : "";
}

const uint8_t *proto_value(struct proto_rd *values, int32_t *len)
{
	uint32_t n = take_number(values, 4);

	*len = (int32_t)n;
	if (n == UINT32_MAX)
		return NULL;
	if (n > INT32_MAX)
		values->bad = true;
	return take_bytes(values, n);
}

bool proto_read(const struct proto_msg *m, const char *fields, ...)
{
	struct proto_rd r = { (const uint8_t *)m->body, (const uint8_t *)m->body + m->len, false };
	const uint8_t **p;
	unsigned *n, i;
	int32_t len;
	va_list ap;

	va_start(ap, fields);
	for (; *fields; fields++)
		switch (*fields) {
		case 's':
			*va_arg(ap, const char **) = take_text(&r);
			break;
		case '4':
			*va_arg(ap, uint32_t *) = take_number(&r, 4);
			break;
		case '1':
			*va_arg(ap, char *) = (char)take_number(&r, 1);
			break;
		case 'b':
			p = va_arg(ap, const uint8_t **);
			*p = proto_value(&r, va_arg(ap, int32_t *));
			break;
		case 'n':
		case 'N':
			n = va_arg(ap, unsigned *);
			*n = take_number(&r, 2);
			*va_arg(ap, const uint8_t **) = take_bytes(&r, (*fields == 'n' ? 2 : 4) * (size_t)*n);
			break;
		case 'v':
			n = va_arg(ap, unsigned *);
			*n = take_number(&r, 2);
			*va_arg(ap, struct proto_rd *) = r;
			for (i = 0; i < *n && !r.bad; i++)
				proto_value(&r, &len);
		}
	va_end(ap);
	return !r.bad && r.p == r.end;
}

long proto_next(const char *p, size_t n, bool begin, size_t max, struct proto_msg *m, const char **why)
{
	size_t head = begin ? 4 : 5, len;

	if (n < head)
		return 0;
	len = proto_number(p + head - 4, 4);
	if (begin && (len < 8 || len > PROTO_STARTUP_MAX)) {
		*why = "invalid length of startup packet";
		return -1;
	}
	if (len < 4) {
		*why = "invalid message length";
		return -1;
	}
	if (len > max) {
		*why = "message is longer than this server takes";
		return -1;
	}
	if (n < len + head - 4)
		return 0;
	m->type = begin ? 0 : *p;
	m->body = p + head;
	m->len = len - 4;
	return (long)(len + head - 4);
}

bool proto_startup(const struct proto_msg *m, struct proto_startup *out)
{
	struct proto_rd r = { (const uint8_t *)m->body, (const uint8_t *)m->body + m->len, false };

	memset(out, 0, sizeof(*out));
	out->code = take_number(&r, 4);
	if (out->code == PROTO_SSL || out->code == PROTO_GSS)
		return proto_read(m, "4", &out->code);
	if (out->code == PROTO_CANCEL)
		return proto_read(m, "444", &out->code, &out->pid, &out->key);
	if (out->code >> 16 != 3)
		return !r.bad;
	out->params = (const char *)r.p;
	while (*take_text(&r))
		take_text(&r);
	return !r.bad && r.p == r.end;
}

const char *proto_param(const struct proto_startup *s, const char *name)
{
	const char *p = s->params;

	while (p && *p) {
		const char *value = p + strlen(p) + 1;

		if (!strcmp(p, name))
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

static bool formats_ok(const uint8_t *p, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (proto_number(p + 2 * i, 2) > 1)
			return false;
	return true;
}

bool proto_bind(const struct proto_msg *m, struct proto_bind *out)
{
	return proto_read(m, "ssnvn", &out->portal, &out->stmt, &out->n_formats, &out->formats, &out->n, &out->values, &out->n_results,
			  &out->results) &&
	       formats_ok(out->formats, out->n_formats) && formats_ok(out->results, out->n_results) &&
	       (out->n_formats <= 1 || out->n_formats == out->n);
}

uint16_t proto_format(const uint8_t *formats, unsigned n, unsigned i)
{
	if (!n)
		return 0;
	if (n == 1)
		i = 0;
	return i < n ? (uint16_t)proto_number(formats + 2 * i, 2) : 0;
}

size_t proto_begin(struct buf *b, char type)
{
	buf_ch(b, type);
	buf_add(b, "\0\0\0\0", 4);
	return b->len - 4;
}

void proto_length(struct buf *b, size_t at, size_t len)
{
	uint32_t n = htobe32((uint32_t)len);

	if (!b->failed)
		memcpy(b->p + at, &n, sizeof(n));
}

void proto_end(struct buf *b, size_t at)
{
	proto_length(b, at, b->len - at);
}

void proto_put16(struct buf *b, uint16_t v)
{
	v = htobe16(v);
	buf_add(b, &v, sizeof(v));
}

void proto_put32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof(v));
}

void proto_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s) + 1);
}

void proto_send(struct buf *b, char type, const char *fields, ...)
{
	size_t at = proto_begin(b, type);
	va_list ap;

	va_start(ap, fields);
	for (; *fields; fields++)
		if (*fields == 's')
			proto_puts(b, va_arg(ap, const char *));
		else if (*fields == '4')
			proto_put32(b, va_arg(ap, uint32_t));
		else
			buf_ch(b, (char)va_arg(ap, int));
	va_end(ap);
	proto_end(b, at);
}

void proto_error(struct buf *b, const struct proto_error *e)
{
	const struct { char name; const char *value; } fields[] = {
		{ 'S', e->severity }, { 'V', e->severity }, { 'C', e->code }, { 'M', e->message }, { 'H', e->hint },
	};
	size_t at = proto_begin(b, !strcmp(e->severity, "WARNING") ? 'N' : 'E');
	unsigned i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (!fields[i].value || !*fields[i].value)
			continue;
		buf_ch(b, fields[i].name);
		proto_puts(b, fields[i].value);
	}
	buf_ch(b, 0);
	proto_end(b, at);
}

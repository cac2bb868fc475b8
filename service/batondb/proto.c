// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto.h"

#include <endian.h>
#include <string.h>

struct proto_rd proto_rd(const void *p, size_t n)
{
	struct proto_rd r = { p, (const uint8_t *)p + n, false };

	return r;
}

const uint8_t *proto_bytes(struct proto_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

uint8_t proto_u8(struct proto_rd *r)
{
	const uint8_t *p = proto_bytes(r, 1);

	return p ? *p : 0;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

uint16_t proto_u16(struct proto_rd *r)
{
	const uint8_t *p = proto_bytes(r, 2);

	return p ? be16(p) : 0;
}

uint32_t proto_u32(struct proto_rd *r)
{
	const uint8_t *p = proto_bytes(r, 4);

	return p ? be32(p) : 0;
}

const char *proto_str(struct proto_rd *r)
{
	const uint8_t *p = r->p, *nul;

	nul = r->bad || p == r->end ? NULL : memchr(p, 0, r->end - p);
	if (!nul) {
		r->bad = true;
		return "";
	}
	r->p = nul + 1;
	return (const char *)p;
}

bool proto_done(const struct proto_rd *r)
{
	return !r->bad && r->p == r->end;
}

long proto_next(const char *p, size_t n, bool begin, size_t max, struct proto_msg *m, const char **why)
{
	size_t head = begin ? 4 : 5, len;

	if (n < head)
		return 0;
	len = be32((const uint8_t *)p + head - 4);
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

static struct proto_rd rd_of(const struct proto_msg *m)
{
	return proto_rd(m->body, m->len);
}

bool proto_startup(const struct proto_msg *m, struct proto_startup *out)
{
	struct proto_rd r = rd_of(m);

	memset(out, 0, sizeof(*out));
	out->code = proto_u32(&r);
	switch (out->code) {
	case PROTO_SSL:
	case PROTO_GSS:
		return proto_done(&r);
	case PROTO_CANCEL:
		out->pid = proto_u32(&r);
		out->key = proto_u32(&r);
		return proto_done(&r);
	}
	if (out->code >> 16 != 3)
		return !r.bad;
	out->params = (const char *)r.p;
	while (*proto_str(&r))
		proto_str(&r);
	return proto_done(&r);
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

bool proto_parse(const struct proto_msg *m, struct proto_parse *out)
{
	struct proto_rd r = rd_of(m);

	out->name = proto_str(&r);
	out->query = proto_str(&r);
	out->n = proto_u16(&r);
	out->oids = proto_bytes(&r, 4 * (size_t)out->n);
	return proto_done(&r);
}

const uint8_t *proto_value(struct proto_rd *values, int32_t *len)
{
	uint32_t n = proto_u32(values);

	*len = (int32_t)n;
	if (n == UINT32_MAX)
		return NULL;
	if (n > INT32_MAX)
		values->bad = true;
	return proto_bytes(values, n);
}

static bool formats_ok(const uint8_t *p, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (be16(p + 2 * i) > 1)
			return false;
	return true;
}

bool proto_bind(const struct proto_msg *m, struct proto_bind *out)
{
	struct proto_rd r = rd_of(m);
	unsigned i;
	int32_t len;

	out->portal = proto_str(&r);
	out->stmt = proto_str(&r);
	out->n_formats = proto_u16(&r);
	out->formats = proto_bytes(&r, 2 * (size_t)out->n_formats);
	out->n = proto_u16(&r);
	out->values = r;
	for (i = 0; i < out->n && !r.bad; i++)
		proto_value(&r, &len);
	out->n_results = proto_u16(&r);
	out->results = proto_bytes(&r, 2 * (size_t)out->n_results);
	return proto_done(&r) && formats_ok(out->formats, out->n_formats) &&
	       formats_ok(out->results, out->n_results) &&
	       (out->n_formats <= 1 || out->n_formats == out->n);
}

uint16_t proto_format(const uint8_t *formats, unsigned n, unsigned i)
{
	if (!n)
		return 0;
	if (n == 1)
		i = 0;
	return i < n ? be16(formats + 2 * i) : 0;
}

bool proto_read(const struct proto_msg *m, const char *fields, ...)
{
	struct proto_rd r = rd_of(m);
	va_list ap;

	va_start(ap, fields);
	for (; *fields; fields++)
		if (*fields == 's')
			*va_arg(ap, const char **) = proto_str(&r);
		else if (*fields == '4')
			*va_arg(ap, uint32_t *) = proto_u32(&r);
		else
			*va_arg(ap, char *) = (char)proto_u8(&r);
	va_end(ap);
	return proto_done(&r);
}

bool proto_sasl_first(const struct proto_msg *m, const char **mechanism, const uint8_t **p, int32_t *n)
{
	struct proto_rd r = rd_of(m);

	*mechanism = proto_str(&r);
	*p = proto_value(&r, n);
	return proto_done(&r);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proto.h - the PostgreSQL wire protocol, version 3: bytes to messages and back.
 * Pure: no socket, no allocation, nothing outside of what it is given. What a
 * client sends is believed in nothing: every length is checked before it is
 * used, and what a parsed message points to lies within its body.
 */
#ifndef BATONDB_PROTO_H
#define BATONDB_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define PROTO_V3		196608u		/* 3.0 */
#define PROTO_CANCEL		80877102u
#define PROTO_SSL		80877103u
#define PROTO_GSS		80877104u
#define PROTO_STARTUP_MAX	10000		/* bytes, as PostgreSQL has it */

/* A place in a message's body. */
struct proto_rd {
	const uint8_t *p, *end;
	bool bad;
};

/* A number of n bytes that are there. */
uint32_t proto_number(const void *p, unsigned n);

struct proto_msg {
	char type;		/* 0: of a connection's beginning */
	const char *body;
	uint32_t len;		/* the body's */
};

/*
 * The first message of n bytes; begin: it has no type yet. Returns how many
 * bytes it took; 0: it is not complete; -1: it can never be, *why says so.
 */
long proto_next(const char *p, size_t n, bool begin, size_t max, struct proto_msg *m, const char **why);

struct proto_startup {
	uint32_t code;		/* a version, or PROTO_CANCEL, SSL, GSS */
	uint32_t pid, key;	/* PROTO_CANCEL's */
	const char *params;	/* name, value, name, value ..., each NUL-ended; then NUL */
};
bool proto_startup(const struct proto_msg *m, struct proto_startup *out);
/* The value of a startup parameter, or NULL. */
const char *proto_param(const struct proto_startup *s, const char *name);

struct proto_parse {
	const char *name, *query;
	unsigned n;
	const uint8_t *oids;	/* n of 4 bytes */
};

struct proto_bind {
	const char *portal, *stmt;
	unsigned n_formats, n, n_results;
	const uint8_t *formats, *results;	/* 2 bytes each */
	struct proto_rd values;			/* n of proto_value() */
};
bool proto_bind(const struct proto_msg *m, struct proto_bind *out);
/* The next parameter; *len is -1 for NULL. */
const uint8_t *proto_value(struct proto_rd *values, int32_t *len);
/* Format number i of n in an array: none means text, one means all. */
uint16_t proto_format(const uint8_t *formats, unsigned n, unsigned i);

/*
 * A whole message, into fields by their letters: s const char **, 4 uint32_t *, 1 char *, b const uint8_t ** and int32_t *: a value;
 * unsigned * and: n, N const uint8_t **: so many numbers of 2 or 4 bytes, v struct proto_rd *: so many values. False: it is not so.
 */
bool proto_read(const struct proto_msg *m, const char *fields, ...);

/* Messages of the server. begin..end writes the length of what is between. */
size_t proto_begin(struct buf *b, char type);
void proto_end(struct buf *b, size_t at);
/* len, where a length was to be. */
void proto_length(struct buf *b, size_t at, size_t len);
void proto_put16(struct buf *b, uint16_t v);
void proto_put32(struct buf *b, uint32_t v);
void proto_puts(struct buf *b, const char *s);		/* the NUL, too */
/* A whole one, of fields by their letters: s a text and its NUL, 4 a uint32_t, 1 a byte. */
void proto_send(struct buf *b, char type, const char *fields, ...);

struct proto_error {
	const char *severity;	/* "ERROR", "FATAL", "NOTICE" ... */
	const char *code;	/* SQLSTATE */
	const char *message, *hint;	/* hint: or NULL */
};
void proto_error(struct buf *b, const struct proto_error *e);

#endif

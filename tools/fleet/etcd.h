/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * etcd.h - etcd's v3 gateway (HTTP and JSON), by libcurl and jansson. One thread; nothing waits but etcd_poll() and
 * etcd_ask(). An answer that does not come leaves it open whether the request was applied, now or later.
 */
#ifndef FLEET_ETCD_H
#define FLEET_ETCD_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct etcd_options {
	const char *endpoints;	/* URLs with commas between them; the next is tried where one does not answer */
	const char *user;	/* "name:password", or NULL */
	const char *cacert, *cert, *key;	/* files, or NULL */
};

struct etcd;

/* answer: NULL, or what etcd said, which lives until the call returns. */
typedef void etcd_done(void *arg, const json_t *answer);

int etcd_open(struct etcd **out, const struct etcd_options *o);
void etcd_close(struct etcd *e);
/* Whether etcd knows this user; false too where it did not answer. An agent's requests ask again. */
bool etcd_has_user(const struct etcd *e);
/* The last error, for people. */
const char *etcd_error(const struct etcd *e);

/* A heartbeat's answer is worth nothing once the lease ends. */
#define ETCD_TIMEOUT_MS	2000L

/* Sends a request to path ("kv/txn"); body: a reference that is taken over. done is called once, by etcd_poll(), after ETCD_TIMEOUT_MS at the latest. */
int etcd_send(struct etcd *e, const char *path, json_t *body, etcd_done *done, void *arg);
/* The same, with another time. */
int etcd_send_within(struct etcd *e, const char *path, json_t *body, long ms, etcd_done *done, void *arg);
/* The same, and waits; a new reference, or NULL. */
json_t *etcd_ask(struct etcd *e, const char *path, json_t *body);
/*
 * Watches [from, to) from revision rev on: message is called with each of etcd's messages ("result"), and at the end of the watch,
 * whyever it ends, with NULL. One watch at a time, and message() neither begins nor ends one.
 */
int etcd_watch(struct etcd *e, const char *from, const char *to, uint64_t rev, etcd_done *message, void *arg);
void etcd_watch_end(struct etcd *e);
/* Waits for answers and for `fds`, at most so long, and calls what is to be called. */
void etcd_poll(struct etcd *e, struct curl_waitfd *fds, unsigned n, int timeout_ms);

/* Pieces of requests and answers. Keys and values are strings without zeroes. */
json_t *etcd_range(const char *from, const char *to);
json_t *etcd_compare(const char *key, uint64_t rev);
json_t *etcd_txn(json_t *compare, json_t *success, json_t *failure);
json_t *etcd_op_put(const char *key, const char *value);
json_t *etcd_op_get(const char *key);
/* A pair of an answer or an event: strings to be freed, value NULL if it is none; false: it is not well-formed. */
bool etcd_kv(const json_t *kv, char **key, char **value, uint64_t *rev);
uint64_t etcd_revision(const json_t *answer);
/* The pair of response i of a transaction, NULL where the key is not there. */
const json_t *etcd_response(const json_t *answer, size_t i);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/* etcd's v3 gateway. Numbers of 64 bits are strings in it, keys and values base64. */
#include "config.h"
#ifdef HAVE_FLEET
#include "etcd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINTS	8
#define ANSWER_MAX	(256u << 20)	/* more than that is no answer */
#define PATIENT_MS	30000L	/* people wait longer, and a password is slow to check by design */

struct call {
	struct etcd *e;
	CURL *curl;
	struct curl_slist *headers;
	etcd_done *done;
	void *arg;
	char *in, *body;
	size_t n, room;
	bool watch, begun, too_large;
	unsigned at;		/* the endpoint that was asked */
	struct call *next;
};

struct etcd {
	CURLM *multi;
	char *urls, *url[ENDPOINTS];
	unsigned n, at;
	char *name, *password, *token;
	char *cacert, *cert, *key;
	struct call *watch;
	struct call *calls;
	char error[300];
};

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *encode_text(const char *s)
{
	size_t n = strlen(s), i, k = 0;
	char *out = malloc(n / 3 * 4 + 5);
	json_t *j;
	uint32_t v;

	if (!out)
		return NULL;
	for (i = 0; i < n; i += 3) {
		v = (uint32_t)(unsigned char)s[i] << 16;
		v |= i + 1 < n ? (uint32_t)(unsigned char)s[i + 1] << 8 : 0;
		v |= i + 2 < n ? (unsigned char)s[i + 2] : 0;
		out[k++] = digits[v >> 18];
		out[k++] = digits[v >> 12 & 63];
		out[k++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		out[k++] = i + 2 < n ? digits[v & 63] : '=';
	}
	j = json_stringn(out, k);
	free(out);
	return j;
}

/* NULL: it is not base64, or has a zero in it. */
static char *decode_text(const char *s)
{
	size_t n = strlen(s), i, k = 0;
	uint32_t v = 0, bits = 0;
	const char *d;
	char *out;

	while (n && s[n - 1] == '=')
		n--;
	out = malloc(n * 3 / 4 + 2);
	for (i = 0; out && i < n; i++) {
		d = strchr(digits, s[i]);
		if (!d) {
			free(out);
			return NULL;
		}
		v = v << 6 | (uint32_t)(d - digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[k++] = (char)(v >> bits);
		}
	}
	if (out)
		out[k] = 0;
	if (out && strlen(out) != k) {
		free(out);
		return NULL;
	}
	return out;
}

static uint64_t number_of(const json_t *j)
{
	if (json_is_integer(j))
		return json_integer_value(j) > 0 ? (uint64_t)json_integer_value(j) : 0;
	return json_is_string(j) ? strtoull(json_string_value(j), NULL, 10) : 0;
}

static void end_call(struct call *c)
{
	struct call **p;

	for (p = &c->e->calls; *p && *p != c; p = &(*p)->next)
		;
	if (*p)
		*p = c->next;
	if (c->e->watch == c)
		c->e->watch = NULL;
	curl_multi_remove_handle(c->e->multi, c->curl);
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->headers);
	free(c->in);
	free(c->body);
	free(c);
}

/* A watch's messages are a line each. */
static void take_lines(struct call *c)
{
	char *line = c->in, *end;
	json_t *j, *result;

	while ((end = memchr(line, '\n', c->n - (size_t)(line - c->in)))) {
		j = json_loadb(line, (size_t)(end - line), 0, NULL);
		result = j ? json_object_get(j, "result") : NULL;
		if (result) {
			c->begun = true;
			c->done(c->arg, result);
		}
		json_decref(j);
		line = end + 1;
	}
	c->n -= (size_t)(line - c->in);
	memmove(c->in, line, c->n);
}

static size_t take_data(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	size_t want;
	char *in;

	n *= size;
	if (c->n + n > ANSWER_MAX) {
		c->too_large = true;
		return 0;
	}
	if (c->n + n + 1 > c->room) {
		want = 2 * (c->n + n + 1);
		in = realloc(c->in, want);
		if (!in)
			return 0;
		c->in = in;
		c->room = want;
	}
	memcpy(c->in + c->n, data, n);
	c->n += n;
	c->in[c->n] = 0;
	if (c->watch)
		take_lines(c);
	return n;
}

static int start_call(struct etcd *e, const char *path, json_t *body, etcd_done *done, void *arg, bool watch, long timeout)
{
	struct call *c = calloc(1, sizeof(*c));
	char text[2000];

	if (!c || !(c->curl = curl_easy_init()) || !(c->body = body ? json_dumps(body, JSON_COMPACT) : NULL)) {
		json_decref(body);
		if (c && c->curl)
			curl_easy_cleanup(c->curl);
		free(c);
		return -ENOMEM;
	}
	json_decref(body);
	c->e = e;
	c->done = done;
	c->arg = arg;
	c->watch = watch;
	c->at = e->at;
	snprintf(text, sizeof(text), "%s/v3/%s", e->url[e->at], path);
	curl_easy_setopt(c->curl, CURLOPT_URL, text);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, timeout > ETCD_TIMEOUT_MS ? timeout : ETCD_TIMEOUT_MS);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, timeout);
	if (e->cacert)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, e->cacert);
	if (e->cert)
		curl_easy_setopt(c->curl, CURLOPT_SSLCERT, e->cert);
	if (e->key)
		curl_easy_setopt(c->curl, CURLOPT_SSLKEY, e->key);
	c->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (e->token) {
		snprintf(text, sizeof(text), "Authorization: %s", e->token);
		c->headers = curl_slist_append(c->headers, text);
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	c->next = e->calls;
	e->calls = c;
	if (watch)
		e->watch = c;
	curl_multi_add_handle(e->multi, c->curl);
	return 0;
}

static void got_token(void *arg, const json_t *answer)
{
	struct etcd *e = arg;
	const char *token = answer ? json_string_value(json_object_get(answer, "token")) : NULL;

	if (token) {
		free(e->token);
		e->token = strdup(token);
	}
}

struct asked {
	json_t *answer;
	bool over;
};

static void got_answer(void *arg, const json_t *answer)
{
	struct asked *a = arg;

	a->answer = answer ? json_incref((json_t *)answer) : NULL;
	a->over = true;
}

static int log_in(struct etcd *e)
{
	return start_call(e, "auth/authenticate", json_pack("{s:s,s:s}", "name", e->name, "password", e->password), got_token, e,
			  false, PATIENT_MS);
}

/* The first of several calls that an endpoint does not answer moves on: of three endpoints, two more would come back to it. */
static void next_endpoint(const struct call *c)
{
	if (c->at == c->e->at)
		c->e->at = (c->at + 1) % c->e->n;
}

static void finish_call(struct call *c, CURLcode rc)
{
	struct etcd *e = c->e;
	json_t *j = NULL;
	long status = 0;
	const char *said;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK) {
		if (c->too_large)
			snprintf(e->error, sizeof(e->error), "%s: an answer of more than %u MB", e->url[c->at], ANSWER_MAX >> 20);
		else
			snprintf(e->error, sizeof(e->error), "%s: %s", e->url[c->at], curl_easy_strerror(rc));
		next_endpoint(c);
	} else if (!c->watch) {
		j = c->n ? json_loadb(c->in, c->n, 0, NULL) : NULL;
		if (status != 200) {
			said = j ? json_string_value(json_object_get(j, "error")) : NULL;
			snprintf(e->error, sizeof(e->error), "%s: %s (HTTP %ld)", e->url[c->at], said ? said : "no answer", status);
			/* 14: no leader, or it is too slow. 16: the token is old; without one another error says so. */
			if (j && json_integer_value(json_object_get(j, "code")) == 14)
				next_endpoint(c);
			if (e->name && c->done != got_token && c->done != got_answer && (!e->token || (j && json_integer_value(json_object_get(j, "code")) == 16)))
				log_in(e);
			json_decref(j);
			j = NULL;
		} else if (!j) {
			snprintf(e->error, sizeof(e->error), "%s: the answer is not JSON", e->url[c->at]);
		}
	}
	if (e->watch == c)
		e->watch = NULL;
	c->done(c->arg, c->watch ? NULL : j);
	json_decref(j);
	end_call(c);
}

int etcd_open(struct etcd **out, const struct etcd_options *o)
{
	struct etcd *e = calloc(1, sizeof(*e));
	char *s, *save = NULL;

	if (!e)
		return -ENOMEM;
	e->multi = curl_multi_init();
	e->urls = strdup(o->endpoints);
	for (s = strtok_r(e->urls, ",", &save); s && e->n < ENDPOINTS; s = strtok_r(NULL, ",", &save)) {
		while (*s && s[strlen(s) - 1] == '/')
			s[strlen(s) - 1] = 0;
		e->url[e->n++] = s;
	}
	if (o->user) {
		e->name = strdup(o->user);
		e->password = strchr(e->name, ':');
		if (e->password)
			*e->password++ = 0;
	}
	e->cacert = o->cacert ? strdup(o->cacert) : NULL;
	e->cert = o->cert ? strdup(o->cert) : NULL;
	e->key = o->key ? strdup(o->key) : NULL;
	if (!e->n || !e->multi || (o->user && !e->password)) {
		etcd_close(e);
		return -EINVAL;
	}
	if (e->name)
		json_decref(etcd_ask(e, "auth/authenticate",
				     json_pack("{s:s,s:s}", "name", e->name, "password", e->password)));
	*out = e;
	return 0;
}

void etcd_close(struct etcd *e)
{
	if (!e)
		return;
	while (e->calls)
		end_call(e->calls);
	if (e->multi)
		curl_multi_cleanup(e->multi);
	free(e->urls);
	free(e->name);
	free(e->token);
	free(e->cacert);
	free(e->cert);
	free(e->key);
	free(e);
}

bool etcd_has_user(const struct etcd *e)
{
	return !e->name || e->token;
}

const char *etcd_error(const struct etcd *e)
{
	return *e->error ? e->error : "no answer";
}

int etcd_send(struct etcd *e, const char *path, json_t *body, etcd_done *done, void *arg)
{
	return etcd_send_within(e, path, body, ETCD_TIMEOUT_MS, done, arg);
}

int etcd_send_within(struct etcd *e, const char *path, json_t *body, long ms, etcd_done *done, void *arg)
{
	return start_call(e, path, body, done, arg, false, ms);
}

json_t *etcd_ask(struct etcd *e, const char *path, json_t *body)
{
	struct asked a = { 0 };

	if (start_call(e, path, body, got_answer, &a, false, PATIENT_MS))
		return NULL;
	while (!a.over)
		etcd_poll(e, NULL, 0, 1000);
	if (!strcmp(path, "auth/authenticate"))
		got_token(e, a.answer);
	return a.answer;
}

int etcd_watch(struct etcd *e, const char *from, const char *to, uint64_t rev, etcd_done *message, void *arg)
{
	char start[24];

	etcd_watch_end(e);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)rev);
	return start_call(e, "watch", json_pack("{s:{s:o,s:o,s:s}}", "create_request", "key", encode_text(from), "range_end",
						encode_text(to), "start_revision", start), message, arg, true, 0);
}

void etcd_watch_end(struct etcd *e)
{
	if (e->watch)
		end_call(e->watch);
}

void etcd_poll(struct etcd *e, struct curl_waitfd *fds, unsigned n, int timeout_ms)
{
	struct call *c;
	CURLMsg *m;
	int left;

	curl_multi_perform(e->multi, &left);
	curl_multi_poll(e->multi, fds, n, timeout_ms, NULL);
	curl_multi_perform(e->multi, &left);
	while ((m = curl_multi_info_read(e->multi, &left)))
		if (m->msg == CURLMSG_DONE) {
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
			finish_call(c, m->data.result);
		}
}

json_t *etcd_range(const char *from, const char *to)
{
	return json_pack("{s:o,s:o}", "key", encode_text(from), "range_end", encode_text(to));
}

json_t *etcd_compare(const char *key, uint64_t rev)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)rev);
	return json_pack("{s:o,s:s,s:s,s:s}", "key", encode_text(key), "target", "MOD", "result", "EQUAL", "mod_revision", text);
}

json_t *etcd_txn(json_t *compare, json_t *success, json_t *failure)
{
	return json_pack("{s:o,s:o,s:o}", "compare", compare, "success", success, "failure", failure ? failure : json_array());
}

json_t *etcd_op_put(const char *key, const char *value)
{
	return json_pack("{s:{s:o,s:o}}", "request_put", "key", encode_text(key), "value", encode_text(value));
}

json_t *etcd_op_get(const char *key)
{
	return json_pack("{s:{s:o}}", "request_range", "key", encode_text(key));
}

bool etcd_kv(const json_t *kv, char **key, char **value, uint64_t *rev)
{
	const char *k = json_string_value(json_object_get(kv, "key")), *v = json_string_value(json_object_get(kv, "value"));

	*value = NULL;
	*key = k ? decode_text(k) : NULL;
	if (!*key)
		return false;
	*value = v ? decode_text(v) : NULL;
	/* A value that is no text is there all the same, and was not deleted. */
	if (v && !*value)
		*value = strdup("");
	*rev = number_of(json_object_get(kv, "mod_revision"));
	return true;
}

uint64_t etcd_revision(const json_t *answer)
{
	return number_of(json_object_get(json_object_get(answer, "header"), "revision"));
}

const json_t *etcd_response(const json_t *answer, size_t i)
{
	const json_t *r = json_array_get(json_object_get(answer, "responses"), i);

	return json_array_get(json_object_get(json_object_get(r, "response_range"), "kvs"), 0);
}
#endif

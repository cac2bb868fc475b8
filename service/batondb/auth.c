// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SCRAM-SHA-256 (RFC 5802, 7677) for a role that has a password. A role that has none
 * is let in over the unix socket to a user of the system with its name, to root and to the server's own (auth =
 * peer); from this machine (local); to anybody (trust, which asks nobody); to nobody (scram).
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

#define KEY 32
#define ITERATIONS 4096

static void base64(char *to, const unsigned char *p, int n)
{
	EVP_EncodeBlock((unsigned char *)to, p, n);
}

/* Bytes decoded, or -1. to has room for 3/4 of the text and 2 more. */
static int unbase64(unsigned char *to, const char *p, size_t n)
{
	int got, pad = 0;

	if (n % 4 || !n)
		return -1;
	while (pad < 2 && p[n - 1 - pad] == '=')
		pad++;
	got = EVP_DecodeBlock(to, (const unsigned char *)p, (int)n);
	return got < 0 ? -1 : got - pad;
}

static void hmac(unsigned char *to, const unsigned char *key, const void *p, size_t n)
{
	unsigned len = KEY;

	HMAC(EVP_sha256(), key, KEY, p, n, to, &len);
}

static void sha256(unsigned char *to, const unsigned char *p)
{
	unsigned len = KEY;

	EVP_Digest(p, KEY, to, &len, EVP_sha256(), NULL);
}

struct exchange {
	int iterations;
	char salt[64], nonce[200], first_bare[500], server_first[500];
	unsigned char stored[KEY], serv[KEY];
};

/*
 * For a role that is not there, or has no password, the same is asked, and nothing is right; its salt is always the
 * same, too.
 */
static bool read_verifier(const char *v, const char *name, struct exchange *x)
{
	char stored[64], serv[64];
	unsigned char raw[KEY + 4];

	if (v && strlen(v) < 200 && sscanf(v, "SCRAM-SHA-256$%d:%63[^$]$%63[^:]:%63s", &x->iterations, x->salt, stored, serv) == 4 &&
	    unbase64(raw, stored, strlen(stored)) == KEY) {
		memcpy(x->stored, raw, KEY);
		if (unbase64(raw, serv, strlen(serv)) == KEY) {
			memcpy(x->serv, raw, KEY);
			return true;
		}
	}
	x->iterations = ITERATIONS;
	if (name) {
		hmac(raw, server.secret, name, strlen(name));
		base64(x->salt, raw, 16);
	}
	return false;
}

char *scram_verifier(const char *password)
{
	unsigned char salt[16], salted[KEY], client[KEY], stored[KEY], serv[KEY];
	char salt64[32], stored64[48], serv64[48], *out = NULL;

	struct exchange x = { 0 };

	if (read_verifier(password, NULL, &x))
		return strdup(password);
	/* No proof fits it: whoever sets an empty password is not to be let in without one. */
	if (!*password)
		return strdup("!");
	if (RAND_bytes(salt, sizeof(salt)) != 1 ||
	    !PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, sizeof(salt), ITERATIONS, EVP_sha256(), KEY, salted))
		return NULL;
	hmac(client, salted, "Client Key", 10);
	sha256(stored, client);
	hmac(serv, salted, "Server Key", 10);
	base64(salt64, salt, sizeof(salt));
	base64(stored64, stored, KEY);
	base64(serv64, serv, KEY);
	if (asprintf(&out, "SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS, salt64, stored64, serv64) < 0)
		return NULL;
	return out;
}

static void request(struct session *s, uint32_t kind, const char *p, size_t n)
{
	size_t at = proto_begin(&s->out, 'R');

	proto_put32(&s->out, kind);
	buf_add(&s->out, p, n);
	proto_end(&s->out, at);
}

/* ATTR=VALUE in a message of SCRAM, up to the next comma. */
static const char *attr(const char *m, char name, size_t *n)
{
	while (*m) {
		if (m[0] == name && m[1] == '=') {
			*n = strcspn(m + 2, ",");
			return m + 2;
		}
		m += strcspn(m, ",");
		m += *m == ',';
	}
	return NULL;
}

static bool first(struct session *s, struct exchange *x)
{
	const char *mechanism, *bare, *nonce;
	unsigned char raw[18];
	char text[600], mine[32];
	struct proto_msg m;
	const uint8_t *p;
	size_t n;
	int32_t len;

	if (!net_message(s, &m, false))
		return false;
	if (m.type != 'p' || !proto_read(&m, "sb", &mechanism, &p, &len) || !p || len >= (int)sizeof(x->first_bare))
		return fatal(s, "08P01", "malformed SASL message");
	if (strcmp(mechanism, "SCRAM-SHA-256"))
		return fatal(s, "08P01", "SCRAM-SHA-256 is the only mechanism, not \"%.60s\"", mechanism);
	memcpy(text, p, len);
	text[len] = 0;
	/* "n,," or "y,," and then what both sign. */
	bare = (text[0] == 'n' || text[0] == 'y') && text[1] == ',' ? strchr(text + 2, ',') : NULL;
	nonce = bare ? attr(bare + 1, 'r', &n) : NULL;
	if (!nonce || !n || n > 120)
		return fatal(s, "08P01", "malformed SCRAM message");
	snprintf(x->first_bare, sizeof(x->first_bare), "%s", bare + 1);
	RAND_bytes(raw, sizeof(raw));
	base64(mine, raw, sizeof(raw));
	snprintf(x->nonce, sizeof(x->nonce), "%.*s%s", (int)n, nonce, mine);
	snprintf(x->server_first, sizeof(x->server_first), "r=%s,s=%s,i=%d", x->nonce, x->salt, x->iterations);
	request(s, 11, x->server_first, strlen(x->server_first));
	return true;
}

static bool last(struct session *s, struct exchange *x, bool known)
{
	unsigned char proof[KEY + 4], signature[KEY], key[KEY], hash[KEY];
	char text[700], whole[2000], answer[64] = "v=";
	const char *p64, *nonce;
	struct proto_msg m;
	size_t n, len;
	int i;

	if (!net_message(s, &m, false))
		return false;
	if (m.type != 'p' || m.len >= sizeof(text))
		return fatal(s, "08P01", "malformed SASL message");
	memcpy(text, m.body, m.len);
	text[m.len] = 0;
	nonce = attr(text, 'r', &len);
	if (!nonce || len != strlen(x->nonce) || CRYPTO_memcmp(nonce, x->nonce, len))
		return fatal(s, "08P01", "malformed SCRAM message: not the nonce that was sent");
	p64 = attr(text, 'p', &n);
	if (!p64 || n > 44 || unbase64(proof, p64, n) != KEY || p64 - 3 < text)
		return fatal(s, "08P01", "malformed SCRAM message: no proof");
	snprintf(whole, sizeof(whole), "%s,%s,%.*s", x->first_bare, x->server_first, (int)(p64 - 3 - text), text);
	hmac(signature, x->stored, whole, strlen(whole));
	for (i = 0; i < KEY; i++)
		key[i] = proof[i] ^ signature[i];
	sha256(hash, key);
	if (CRYPTO_memcmp(hash, x->stored, KEY) || !known)
		return false;
	hmac(signature, x->serv, whole, strlen(whole));
	base64(answer + 2, signature, KEY);
	request(s, 12, answer, strlen(answer));
	return true;
}

/* The client's user of the system is one that may be this role. */
static bool is_peer(const struct session *s, const char *role)
{
	struct passwd pw, *found = NULL;
	char text[2048];

	if (s->peer.uid == (uid_t)-1)
		return false;
	if (!s->peer.uid || s->peer.uid == geteuid())
		return true;
	return !getpwuid_r(s->peer.uid, &pw, text, sizeof(text), &found) && found && !strcmp(pw.pw_name, role);
}

bool auth(struct session *s)
{
	const char *name = s->user, *how = server.conf.auth;
	bool ok, known, there;
	struct exchange x = { 0 };
	char *verifier = NULL;
	struct role *r;

	pthread_mutex_lock(&server.lock);
	r = role_find(name);
	there = r != NULL;
	if (r && r->is.verifier)
		verifier = strdup(r->is.verifier);
	pthread_mutex_unlock(&server.lock);
	if (!strcmp(how, "trust") ||
	    (there && !verifier && ((!strcmp(how, "local") && s->peer.local) || (strcmp(how, "scram") && is_peer(s, name))))) {
		ok = there;
	} else {
		known = read_verifier(verifier, name, &x);
		request(s, 10, "SCRAM-SHA-256\0", 15);
		ok = first(s, &x) && last(s, &x, known);
	}
	free(verifier);
	if (ok) {
		s->role = r;
		request(s, 0, "", 0);
		return true;
	}
	if (s->dead)
		return false;
	return fatal(s, "28P01", "password authentication failed for user \"%s\"", name);
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading a configuration; its language is in <baton/config.h>. Pure: text in,
 * a value or complaints out. What is done with it is the callers' affair, so a
 * file with a mistake changes nothing.
 */
#include "config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks.h"
#include "policy.h"
#include "utf8.h"

#define NAME_MAX_LEN	63
#define COMPLAINTS	10
#define WHOLE		1000000u	/* ppm */
#define LOW_LIMIT	700000u
#define SIZE_LIMIT	(64u << 20)
#define CPUS_MAX	4096u

struct entry {
	char name[NAME_MAX_LEN + 1];
	unsigned low, high, requests, workers, line;
};

struct baton_config {
	char *name;				/* the file's, or as it was called */
	unsigned slots, low_limit;
	uint64_t capacity;			/* ns in a second; 0: it is not there */
	unsigned slots_line, capacity_line, limit_line;	/* 0: it is not there */
	unsigned tiers, tier_line[BATON_TIERS_MAX];
	struct baton_tier_opts tier[BATON_TIERS_MAX];
	char tier_name[BATON_TIERS_MAX][NAME_MAX_LEN + 1];
	size_t tenants, room;
	struct entry *tenant;
};

struct parser {
	struct baton_config *c;
	const char *name, *at, *end;	/* the rest of the line */
	unsigned line, complaints;
	char *why;
	size_t room;
	bool no_memory;
	baton_config_own_fn *own;	/* NULL: none */
	void *arg;
};

struct word {
	char text[128];
	bool quoted;
};

__attribute__((format(printf, 3, 4)))
static void complain(struct parser *p, unsigned line, const char *fmt, ...)
{
	char where[32] = "";
	va_list ap;
	int n;

	if (++p->complaints > COMPLAINTS + 1 || !p->room)
		return;
	if (p->complaints > COMPLAINTS) {
		n = snprintf(p->why, p->room, "%s: and more\n", p->name);
	} else {
		if (line)
			snprintf(where, sizeof(where), "%u: ", line);
		n = snprintf(p->why, p->room, "%s:%s%s", p->name, line ? "" : " ", where);
		if (n > 0 && (size_t)n < p->room) {
			va_start(ap, fmt);
			n += vsnprintf(p->why + n, p->room - n, fmt, ap);
			va_end(ap);
		}
		if (n > 0 && (size_t)n + 1 < p->room)
			p->why[n++] = '\n';
	}
	if ((size_t)n >= p->room) {
		p->room = 0;	/* cut, and no more fits */
		return;
	}
	p->why[n] = 0;
	p->why += n;
	p->room -= n;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; false: none, or it was complained about. */
static bool next_word(struct parser *p, struct word *w)
{
	size_t n = 0;
	char c;

	while (p->at < p->end && blank(*p->at))
		p->at++;
	if (p->at == p->end || *p->at == '#')
		return false;
	w->quoted = *p->at == '"';
	if (w->quoted)
		p->at++;
	for (;; p->at++) {
		if (p->at == p->end) {
			if (!w->quoted)
				break;
			complain(p, p->line, "no second \" in this line to end the name");
			return false;
		}
		c = *p->at;
		if (w->quoted ? c == '"' : blank(c))
			break;
		if (w->quoted && c == '\\') {
			if (++p->at == p->end || (*p->at != '"' && *p->at != '\\')) {
				complain(p, p->line, "a \\ in a name: only \\\" and \\\\ are known");
				return false;
			}
			c = *p->at;
		} else if (!w->quoted && c == '"') {
			complain(p, p->line, "a \" within a word: a name in quotes begins and ends with one");
			return false;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f) {
			complain(p, p->line, "a control character (0x%02x)", (unsigned char)c);
			return false;
		}
		if (n == sizeof(w->text) - 1) {
			complain(p, p->line, "a word of more than %zu bytes", sizeof(w->text) - 1);
			return false;
		}
		w->text[n++] = c;
	}
	if (w->quoted && ++p->at < p->end && !blank(*p->at) && *p->at != '#') {
		complain(p, p->line, "a blank is missing after the second \"");
		return false;
	}
	w->text[n] = 0;
	return true;
}

/* The rest of the line is empty, or it is complained about. */
static bool line_ends(struct parser *p)
{
	unsigned before = p->complaints;
	struct word w;

	if (next_word(p, &w))
		complain(p, p->line, "\"%s\" is too much in this line", w.text);
	return p->complaints == before;
}

static bool read_name(struct parser *p, const char *what, char *to)
{
	unsigned before = p->complaints;
	struct word w;

	if (!next_word(p, &w)) {
		if (p->complaints == before)
			complain(p, p->line, "%s without a name", what);
		return false;
	}
	if (!w.text[0] || strlen(w.text) > NAME_MAX_LEN) {
		complain(p, p->line, "the name of a %s has from 1 to %d bytes, not %zu", what,
			 NAME_MAX_LEN, strlen(w.text));
		return false;
	}
	if (!w.quoted && strchr(w.text, '=')) {
		complain(p, p->line, "%s without a name before %s (or write the name in quotes)", what, w.text);
		return false;
	}
	if (!btn_utf8_valid(w.text, strlen(w.text))) {
		complain(p, p->line, "the name of a %s that is not UTF-8", what);
		return false;
	}
	memcpy(to, w.text, strlen(w.text) + 1);
	return true;
}

static bool read_number(struct parser *p, const char *what, const char *text, unsigned min,
			unsigned max, unsigned *out)
{
	unsigned long n = 0;
	const char *s = text;

	for (; *s >= '0' && *s <= '9' && n <= max; s++)
		n = n * 10 + (*s - '0');
	if (s == text || *s || n < min || n > max) {
		complain(p, p->line, "%s is a number from %u to %u, not \"%s\"", what, min, max, text);
		return false;
	}
	*out = n;
	return true;
}

/* CPUs, as ns of CPU in a second. */
static bool read_cpus(struct parser *p, const char *what, const char *text, uint64_t *out)
{
	uint64_t n = 0, unit = BTN_SECOND;
	const char *s = text;

	for (; *s >= '0' && *s <= '9' && n <= CPUS_MAX * BTN_SECOND; s++)
		n = n * 10 + (*s - '0') * BTN_SECOND;
	if (s != text && *s == '.' && s[1]) {
		for (s++; *s >= '0' && *s <= '9' && unit > BTN_SECOND / 10000; s++) {
			unit /= 10;
			n += (*s - '0') * unit;
		}
	}
	if (s == text || *s || n < BTN_SECOND / 1000 || n > CPUS_MAX * BTN_SECOND) {
		complain(p, p->line, "%s is a number of CPUs from 0.001 to %u, with at most four digits after the point, not \"%s\"",
			 what, CPUS_MAX, text);
		return false;
	}
	*out = n;
	return true;
}

/* In parts per million. */
static bool read_percent(struct parser *p, const char *what, const char *text, unsigned max, unsigned *out)
{
	unsigned long n = 0, unit = 10000;
	const char *s = text;

	for (; *s >= '0' && *s <= '9' && n <= WHOLE * 10; s++)
		n = n * 10 + (*s - '0') * unit;
	if (s == text)
		goto wrong;
	if (*s == '.') {
		const char *digits = ++s;

		for (; *s >= '0' && *s <= '9' && unit > 1; s++) {
			unit /= 10;
			n += (*s - '0') * unit;
		}
		if (s == digits)
			goto wrong;
		if (*s >= '0' && *s <= '9') {
			complain(p, p->line, "%s: at most four digits after the point, not \"%s\"", what, text);
			return false;
		}
	}
	if (*s != '%' || s[1])
		goto wrong;
	if (n > max) {
		complain(p, p->line, "%s is at most %u%%, not %s", what, max / 10000, text);
		return false;
	}
	*out = n;
	return true;
wrong:
	complain(p, p->line, "%s is a percentage like 10%% or 2.5%%, not \"%s\"", what, text);
	return false;
}

/* KEY=VALUE; sets *value into w. */
static bool read_pair(struct parser *p, struct word *w, const char *keys, char **value)
{
	if (!next_word(p, w))
		return false;
	*value = w->quoted ? NULL : strchr(w->text, '=');
	if (!*value) {
		complain(p, p->line, "\"%s\" instead of one of %s", w->text, keys);
		return false;
	}
	*(*value)++ = 0;
	return true;
}

/* A key that is known and the first of its kind in this line. */
static bool once(struct parser *p, const char *key, const char *const *known, unsigned *seen,
		 const char *keys, unsigned *which)
{
	unsigned i;

	for (i = 0; known[i]; i++)
		if (!strcmp(key, known[i]))
			break;
	if (!known[i]) {
		complain(p, p->line, "no \"%s=\": there are %s", key, keys);
		return false;
	}
	if (*seen & (1u << i)) {
		complain(p, p->line, "%s= twice in one line", key);
		return false;
	}
	*seen |= 1u << i;
	*which = i;
	return true;
}

static void read_tier(struct parser *p)
{
	static const char *const known[] = { "policy", "rank", "share", "reserve", "limit", NULL };
	static const char keys[] = "policy= rank= share= reserve= limit=";
	struct baton_config *c = p->c;
	struct baton_tier_opts o = { 0 };
	char name[NAME_MAX_LEN + 1], *value;
	const struct btn_policy *policy;
	unsigned i, seen = 0, which = 0, before = p->complaints;
	struct word w;

	if (!read_name(p, "tier", name))
		return;
	for (i = 0; i < c->tiers; i++)
		if (!strcmp(c->tier_name[i], name)) {
			complain(p, p->line, "tier %s a second time; the first is in line %u", name,
				 c->tier_line[i]);
			return;
		}
	if (c->tiers == BATON_TIERS_MAX) {
		complain(p, p->line, "more than %d tiers", BATON_TIERS_MAX);
		return;
	}
	i = c->tiers;
	if (i < 2 && strcmp(name, i ? "high" : "low")) {
		complain(p, p->line, "the %s tier is called %s, not %s: it is what tenants buy with %s=",
			 i ? "second" : "first", i ? "high" : "low", name, i ? "high" : "low");
		return;
	}
	o.policy = "quota";
	o.rank = i ? 1 : 0;
	o.share = 1;
	while (read_pair(p, &w, keys, &value)) {
		if (!once(p, w.text, known, &seen, keys, &which))
			return;
		switch (which) {
		case 0:
			policy = btn_policy_find(value);
			if (!policy) {
				complain(p, p->line, "no policy \"%s\": there are fifo lifo rr arrival quota",
					 value);
				return;
			}
			o.policy = policy->name;
			break;
		case 1:
			if (!read_number(p, "rank", value, 0, BATON_TIERS_MAX - 1, &o.rank))
				return;
			break;
		case 2:
			if (!read_number(p, "share", value, 1, 1000000, &o.share))
				return;
			break;
		case 3:
			if (!read_percent(p, "reserve", value, WHOLE, &o.reserve_ppm))
				return;
			break;
		default:
			if (!read_percent(p, "limit", value, WHOLE, &o.limit_ppm))
				return;
			if (!o.limit_ppm) {
				complain(p, p->line, "limit=0%% would stop the tier; without limit= there is none");
				return;
			}
		}
	}
	if (o.limit_ppm && o.reserve_ppm > o.limit_ppm)
		complain(p, p->line, "more reserved than its limit allows");
	if (p->complaints != before)
		return;
	memcpy(c->tier_name[i], name, sizeof(name));
	c->tier[i] = o;
	c->tier_line[i] = p->line;
	c->tiers++;
}

static void read_tenant(struct parser *p)
{
	static const char *const known[] = { "low", "high", "requests", "workers", NULL };
	static const char keys[] = "low= high= requests= workers=";
	struct baton_config *c = p->c;
	unsigned seen = 0, which = 0, before = p->complaints, value_of[4] = { 0 };
	struct entry *more, *e;
	struct word w;
	char *value;

	if (c->tenants == c->room) {
		c->room = c->room ? 2 * c->room : 16;
		more = btn_mem_grow(c->tenant, c->tenants * sizeof(*more), c->room * sizeof(*more));
		if (!more) {
			p->no_memory = true;
			return;
		}
		c->tenant = more;
	}
	e = &c->tenant[c->tenants];
	if (!read_name(p, "tenant", e->name))
		return;
	while (read_pair(p, &w, keys, &value)) {
		if (!once(p, w.text, known, &seen, keys, &which))
			return;
		if (which < 2 ? !read_percent(p, known[which], value, WHOLE, &value_of[which]) :
				!read_number(p, known[which], value, 1, 1000000, &value_of[which]))
			return;
	}
	if (p->complaints != before)
		return;
	if (!(seen & 3)) {
		complain(p, p->line, "tenant %s has no quota: low=, high= or both", e->name);
		return;
	}
	e->low = value_of[0];
	e->high = value_of[1];
	e->requests = value_of[2];
	e->workers = value_of[3];
	e->line = p->line;
	c->tenants++;
}

static void read_value(struct parser *p, const char *what, unsigned *line)
{
	unsigned before = p->complaints;
	struct word w;

	if (*line) {
		complain(p, p->line, "%s a second time; the first is in line %u", what, *line);
		return;
	}
	*line = p->line;
	if (!next_word(p, &w)) {
		if (p->complaints == before)
			complain(p, p->line, "%s without a value", what);
		return;
	}
	if (!strcmp(what, "slots")    ? !read_number(p, what, w.text, 1, CPUS_MAX, &p->c->slots) :
	    !strcmp(what, "capacity") ? !read_cpus(p, what, w.text, &p->c->capacity) :
					!read_percent(p, what, w.text, LOW_LIMIT, &p->c->low_limit))
		return;
	if (!p->c->low_limit) {
		complain(p, p->line, "low_limit is more than 0%%: with none, sell no low=");
		return;
	}
	line_ends(p);
}

/* A directive that is the caller's: its name is read. */
static void read_own(struct parser *p, const char *name)
{
	unsigned before = p->complaints;
	char why[200] = "";
	struct word w;

	if (!next_word(p, &w)) {
		if (p->complaints == before)
			complain(p, p->line, "%s without a value", name);
		return;
	}
	if (!line_ends(p))
		return;
	if (p->own(p->arg, name, w.text, why, sizeof(why)))
		complain(p, p->line, "%s", why);
}

static void read_line(struct parser *p)
{
	struct word w;

	if (!next_word(p, &w))
		return;
	if (!w.quoted && !strcmp(w.text, "tenant"))
		read_tenant(p);
	else if (!w.quoted && !strcmp(w.text, "tier"))
		read_tier(p);
	else if (!w.quoted && !strcmp(w.text, "slots"))
		read_value(p, "slots", &p->c->slots_line);
	else if (!w.quoted && !strcmp(w.text, "capacity"))
		read_value(p, "capacity", &p->c->capacity_line);
	else if (!w.quoted && !strcmp(w.text, "low_limit"))
		read_value(p, "low_limit", &p->c->limit_line);
	else if (!w.quoted && p->own)
		read_own(p, w.text);
	else
		complain(p, p->line, "\"%s\" instead of one of slots capacity low_limit tier tenant", w.text);
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->line > y->line) - (x->line < y->line);
}

/* Checks that need all of the text. */
static void whole(struct parser *p)
{
	struct baton_config *c = p->c;
	unsigned long low = 0, reserved = c->low_limit;
	size_t i;

	if (!c->tiers) {
		strcpy(c->tier_name[0], "low");
		strcpy(c->tier_name[1], "high");
		c->tier[0] = (struct baton_tier_opts){ .policy = "quota", .share = 1, .rank = 0 };
		c->tier[1] = (struct baton_tier_opts){ .policy = "quota", .share = 1, .rank = 1 };
		c->tiers = 2;
	}
	if (c->tiers == 1)
		complain(p, c->tier_line[0], "tier low alone: a tier high is missing");
	for (i = 0; i < c->tiers; i++)
		reserved += c->tier[i].reserve_ppm;
	if (reserved > WHOLE)
		complain(p, 0, "the tiers' reserves and low_limit add up to %lu.%04lu%%, more than all there is",
			 reserved / 10000, reserved % 10000);
	if (c->tenants)		/* (qsort wants an array) */
		qsort(c->tenant, c->tenants, sizeof(*c->tenant), by_name);
	for (i = 0; i < c->tenants; i++) {
		low += c->tenant[i].low;
		if (i && !strcmp(c->tenant[i].name, c->tenant[i - 1].name))
			complain(p, c->tenant[i].line, "tenant %s a second time; before it, in line %u",
				 c->tenant[i].name, c->tenant[i - 1].line);
	}
	if (low > c->low_limit)
		complain(p, c->limit_line, "the tenants' low= add up to %lu.%04lu%%, more than low_limit %u.%04u%%",
			 low / 10000, low % 10000, c->low_limit / 10000, c->low_limit % 10000);
}

int baton_config_parse_own(struct baton_config **out, const char *text, size_t len, const char *name,
			   baton_config_own_fn *own, void *arg, char *why, size_t room)
{
	const char *all = text + len, *nl;
	struct parser p = { .name = name, .why = why, .room = why ? room : 0, .own = own, .arg = arg };
	struct baton_config *c;

	*out = NULL;
	if (p.room)
		*why = 0;
	c = btn_mem_zeroed(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	p.c = c;
	c->name = btn_mem_text(name);
	p.no_memory = !c->name;
	c->low_limit = LOW_LIMIT;
	for (; text < all && !p.no_memory; text = nl + 1) {
		nl = memchr(text, '\n', all - text);
		if (!nl)
			nl = all;
		p.at = text;
		p.end = nl;
		p.line++;
		read_line(&p);
	}
	if (!p.complaints && !p.no_memory)
		whole(&p);
	if (p.complaints || p.no_memory) {
		baton_config_free(c);
		return p.no_memory ? -ENOMEM : -EINVAL;
	}
	*out = c;
	return 0;
}

int baton_config_parse(struct baton_config **out, const char *text, size_t len, const char *name,
		       char *why, size_t room)
{
	return baton_config_parse_own(out, text, len, name, NULL, NULL, why, room);
}

/* The whole file into *text. */
static int slurp(const char *path, char **text, size_t *len)
{
	size_t room = 4096;
	char *more;
	ssize_t n;
	int fd, err = 0;

	*text = NULL;
	*len = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	for (;;) {
		more = btn_mem_grow(*text, *len, room);
		if (!more) {
			err = -ENOMEM;
			break;
		}
		*text = more;
		n = read(fd, *text + *len, room - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		*len += n;
		if (*len == room)
			room *= 2;
		if (*len > SIZE_LIMIT) {
			err = -EFBIG;
			break;
		}
	}
	close(fd);
	return err;
}

int baton_config_load(struct baton_config **out, const char *path, char *why, size_t room)
{
	int err, saved = errno;
	char *text, says[128];
	size_t len;

	*out = NULL;
	err = slurp(path, &text, &len);
	if (!err)
		err = baton_config_parse(out, text, len, path, why, room);
	else if (why && room)
		snprintf(why, room, "%s: %s\n", path, strerror_r(-err, says, sizeof(says)));
	btn_mem_free(text);
	errno = saved;
	return err;
}

void baton_config_free(struct baton_config *c)
{
	if (!c)
		return;
	btn_mem_free(c->tenant);
	btn_mem_free(c->name);
	btn_mem_free(c);
}

const char *btn_config_where(const struct baton_config *c, enum btn_config_what what, size_t i,
			     char *text, size_t room)
{
	unsigned line;

	switch (what) {
	case BTN_CONFIG_SLOTS:
		line = c->slots_line;
		break;
	case BTN_CONFIG_CAPACITY:
		line = c->capacity_line;
		break;
	case BTN_CONFIG_LIMIT:
		line = c->limit_line;
		break;
	case BTN_CONFIG_TIER:
		line = i < c->tiers ? c->tier_line[i] : 0;
		break;
	default:
		line = i < c->tenants ? c->tenant[i].line : 0;
	}
	if (line)
		snprintf(text, room, "%s:%u", c->name, line);
	else
		snprintf(text, room, "%s", c->name);
	return text;
}

static void print_name(FILE *to, const char *name)
{
	putc('"', to);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			putc('\\', to);
		putc(*name, to);
	}
	putc('"', to);
}

static void print_percent(FILE *to, const char *what, unsigned ppm)
{
	fprintf(to, "%s%u.%04u%%", what, ppm / 10000, ppm % 10000);
}

int baton_config_print(const struct baton_config *c, FILE *to)
{
	size_t i;

	if (c->slots)
		fprintf(to, "slots %u\n", c->slots);
	if (c->capacity)
		fprintf(to, "capacity %u.%04u\n", (unsigned)(c->capacity / BTN_SECOND),
			(unsigned)(c->capacity % BTN_SECOND / (BTN_SECOND / 10000)));
	print_percent(to, "low_limit ", c->low_limit);
	putc('\n', to);
	for (i = 0; i < c->tiers; i++) {
		const struct baton_tier_opts *t = &c->tier[i];

		fputs("tier ", to);
		print_name(to, c->tier_name[i]);
		fprintf(to, " policy=%s rank=%u share=%u", t->policy, t->rank, t->share);
		print_percent(to, " reserve=", t->reserve_ppm);
		if (t->limit_ppm)
			print_percent(to, " limit=", t->limit_ppm);
		putc('\n', to);
	}
	for (i = 0; i < c->tenants; i++) {
		fputs("tenant ", to);
		print_name(to, c->tenant[i].name);
		print_percent(to, " low=", c->tenant[i].low);
		print_percent(to, " high=", c->tenant[i].high);
		if (c->tenant[i].requests)
			fprintf(to, " requests=%u", c->tenant[i].requests);
		if (c->tenant[i].workers)
			fprintf(to, " workers=%u", c->tenant[i].workers);
		putc('\n', to);
	}
	return ferror(to) ? -EIO : 0;
}

void baton_config_sched(const struct baton_config *c, struct baton_sched_opts *out)
{
	*out = (struct baton_sched_opts){
		.sz = sizeof(*out),
		.slots = c->slots,
		.capacity = c->capacity,
		.low_limit_ppm = c->low_limit,
		.tiers = c->tiers,
		.tier = c->tier,
	};
}

const char *baton_config_tier(const struct baton_config *c, unsigned i)
{
	return i < c->tiers ? c->tier_name[i] : NULL;
}

const char *baton_config_tenant(const struct baton_config *c, size_t i, struct baton_tenant_opts *out)
{
	if (i >= c->tenants)
		return NULL;
	if (out)
		*out = (struct baton_tenant_opts){
			.sz = sizeof(*out),
			.low_ppm = c->tenant[i].low,
			.high_ppm = c->tenant[i].high,
			.requests_max = c->tenant[i].requests,
			.workers_max = c->tenant[i].workers,
		};
	return c->tenant[i].name;
}

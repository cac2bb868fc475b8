// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Quotas: from the table mysql.baton_quotas to the scheduler's tenants.
 *
 * The table is the administrator's; what holds is in memory. quota_load() reads
 * the whole table, makes a configuration of it (<baton/config.h>) and applies
 * that, which the library does as a whole or not at all, also under load. Where
 * the table says something that cannot be, nothing changes and the caller is told
 * the row.
 *
 * A tenant is made for each row, which names a user or a role, and for each user
 * without one that was seen since, who gets what the row '%' says. A user without
 * a row who is granted a role that has one, also through other roles, is a part
 * of the role's tenant; of several such roles, the one whose name comes first. All
 * tenants belong to the configuration: a new user is a new configuration with one
 * tenant more. Rows and users are few, and change rarely.
 *
 * Connections hold a handle of their tenant. Each change makes a new generation
 * [QUOTA-1], and who sees another one than its own looks its tenant up again; a
 * statement that runs meanwhile ends under the old one, which the library allows.
 */
#include "quota.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <baton/config.h>
#include <baton/detect.h>
#include <baton/stats.h>

#include <my_global.h>
#include <mysql.h>
#include <mysql/plugin.h>
#include <mysqld_error.h>

#include "debt.h"

#define PPM 1000000u

struct row {
	char *user;
	unsigned low, high;
	enum baton_class cls;
	bool bought;		/* a row of the table's; else a user that was seen */
};

struct member {
	char *user, *role;
};

struct book {
	struct row *row;	/* in the order of names */
	size_t rows;
	struct member *member;	/* sorted by user, too */
	size_t members;
	struct row each;	/* a user without a row: '%' */
};

/* Guards what follows; never held over a call of the server's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Held for a change, reading the table included: there is one at a time. */
static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static struct book book;
static unsigned slots;
static struct baton_sched *sched;
static bool lifted;
static unsigned readers;		/* threads that read the figures */
static pthread_cond_t less = PTHREAD_COND_INITIALIZER;	/* somebody let go of the scheduler */
static _Atomic unsigned long generation = 1;
/* [QUOTA-2]: which scheduler; a connection that sees it late has a mutex of one that has ended, for which nobody waits. */
static _Atomic unsigned long epoch;

static int fails(int err, char *why, size_t room, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int fails(int err, char *why, size_t room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, room, fmt, ap);
	va_end(ap);
	return err;
}

static void free_book(struct book *b)
{
	size_t i;

	for (i = 0; i < b->rows; i++)
		free(b->row[i].user);
	for (i = 0; i < b->members; i++) {
		free(b->member[i].user);
		free(b->member[i].role);
	}
	free(b->row);
	free(b->member);
	memset(b, 0, sizeof(*b));
}

static struct row *find_row(const struct book *b, const char *user)
{
	size_t low = 0, high = b->rows;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(user, b->row[mid].user);

		if (!order)
			return &b->row[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* In its place by name. */
static int add_row(struct book *b, const struct row *r)
{
	struct row *more = realloc(b->row, (b->rows + 1) * sizeof(*more));
	size_t i;

	if (!more)
		return -ENOMEM;
	b->row = more;
	for (i = b->rows; i && strcmp(r->user, b->row[i - 1].user) < 0; i--)
		;
	memmove(&b->row[i + 1], &b->row[i], (b->rows - i) * sizeof(*more));
	b->row[i] = *r;
	b->row[i].user = strdup(r->user);
	if (!b->row[i].user) {
		memmove(&b->row[i], &b->row[i + 1], (b->rows - i) * sizeof(*more));
		return -ENOMEM;
	}
	b->rows++;
	return 0;
}

static const char *role_of(const struct book *b, const char *user)
{
	size_t i;

	for (i = 0; i < b->members; i++)
		if (!strcmp(b->member[i].user, user))
			return b->member[i].role;
	return NULL;
}

/* ------------------------------------------------------------- the scheduler's side */

/* The tiers of quota.h, in its order. */
static const char tiers[] =
	"tier low    policy=quota   rank=0\n"
	"tier high   policy=quota   rank=1\n"
	/* Administrators: a twentieth comes first, and besides what nobody else wants. */
	"tier admin  policy=arrival rank=2 reserve=5%\n"
	/* Saying no, and commands that are no statements of anybody without quota. */
	"tier short  policy=arrival rank=1 limit=5%\n"
	/* Transactions whose row locks somebody waits for. */
	"tier unlock policy=arrival rank=0 limit=25%\n"
	/* The same ones, with what nobody else wants; the reserve is for the thread that lends. */
	"tier spare  policy=arrival rank=3 reserve=1%\n";

static void write_name(FILE *f, const char *name)
{
	putc('"', f);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			putc('\\', f);
		putc(*name, f);
	}
	putc('"', f);
}

static char *config_text(const struct book *b)
{
	char *text = NULL;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);
	bool bad;

	if (!f)
		return NULL;
	if (slots)
		fprintf(f, "slots %u\n", slots);
	fputs(tiers, f);
	for (i = 0; i < b->rows; i++) {
		const struct row *r = &b->row[i];

		fputs("tenant ", f);
		write_name(f, r->user);
		fprintf(f, " low=%u.%04u%% high=%u.%04u%%\n", r->low / 10000, r->low % 10000, r->high / 10000, r->high % 10000);
	}
	bad = ferror(f);
	if (fclose(f) || bad) {
		free(text);
		return NULL;
	}
	return text;
}

static int parse(struct baton_config **c, const struct book *b, char *why, size_t room)
{
	char *text = config_text(b);
	int err;

	*c = NULL;
	if (!text)
		return fails(-ENOMEM, why, room, "out of memory");
	err = baton_config_parse(c, text, strlen(text), "mysql.baton_quotas", why, room);
	free(text);
	/* Lines become a sentence. */
	while (*why && why[strlen(why) - 1] == '\n')
		why[strlen(why) - 1] = 0;
	for (char *p = why; (p = strchr(p, '\n')); p++)
		*p = ' ';
	return err;
}

/* As a quota where quotas are lifted. */
static struct row unlimited(const struct row *r)
{
	return (struct row){ .user = r->user, .high = PPM };
}

/* With `lock` held: the scheduler is what @b says, or nothing changed. */
static int apply_book(const struct book *b, char *why, size_t room)
{
	struct book all = { 0 };
	struct baton_config *c;
	size_t i;
	/* A book that is not to hold now has to be one that could, too. */
	int err = parse(&c, b, why, room);

	if (!err && lifted) {
		baton_config_free(c);
		for (i = 0; !err && i < b->rows; i++) {
			struct row r = unlimited(&b->row[i]);

			err = add_row(&all, &r);
		}
		if (!err)
			err = parse(&c, &all, why, room);
		free_book(&all);
	}
	if (err)
		return err;
	err = baton_config_apply(c, sched, why, room);
	baton_config_free(c);
	return err;
}

/* With `lock` held: the scheduler is what @b says, and @b is the book; or neither. */
static int use_book(struct book *b, char *why, size_t room)
{
	int err = apply_book(b, why, room);

	if (err)
		return err;
	if (b != &book) {
		free_book(&book);
		book = *b;
		memset(b, 0, sizeof(*b));
	}
	/* Readers of it take the lock next. */
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed); /* [QUOTA-1] */
	return 0;
}

int quota_init(unsigned n, const char *page, char *why, size_t room)
{
	struct baton_sched_opts opts;
	struct baton_config *c;
	int err = 0, published;

	*why = 0;
	pthread_mutex_lock(&lock);
	if (!sched) {
		slots = n;
		book.each = (struct row){ .high = PPM, .cls = BATON_TOLERANT };
		err = parse(&c, &book, why, room);
		if (!err) {
			baton_config_sched(c, &opts);
			err = baton_sched_create(&sched, &opts);
			baton_config_free(c);
			atomic_fetch_add_explicit(&epoch, 1, memory_order_relaxed); /* [QUOTA-2] */
			if (err)
				fails(err, why, room, "the scheduler was not made: %s", strerror(-err));
		}
		if (!err && page && *page) {
			published = baton_stats_publish(sched, page, 0644);
			if (published)
				fails(0, why, room, "baton_page: %s was not published: %s; baton top has nothing to look at", page,
				      strerror(-published));
		}
	}
	pthread_mutex_unlock(&lock);
	return err;
}

void quota_lift(bool lift)
{
	char why[200];

	pthread_mutex_lock(&lock);
	lifted = lift;
	if (sched)
		apply_book(&book, why, sizeof(why));
	pthread_mutex_unlock(&lock);
}

void quota_end(void)
{
	struct timespec until;
	int err = 0;

	quota_lift(true);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&lock);
	while (sched) {
		err = readers ? -EBUSY : baton_sched_destroy(sched);
		if (!err)
			sched = NULL;
		else if (pthread_cond_timedwait(&less, &lock, &until))
			break;
	}
	if (!sched) {
		free_book(&book);
		debt_forget();
	}
	pthread_mutex_unlock(&lock);
}

int quota_stats(struct baton_stats **out)
{
	int err;

	pthread_mutex_lock(&lock);
	err = sched ? baton_stats_of(out, sched) : -ESHUTDOWN;
	readers += !err;
	pthread_mutex_unlock(&lock);
	return err;
}

void quota_stats_end(struct baton_stats *st)
{
	baton_stats_close(st);
	pthread_mutex_lock(&lock);
	readers--;
	pthread_cond_broadcast(&less);
	pthread_mutex_unlock(&lock);
}

void quota_detection(char *text, size_t room)
{
	struct baton_detect_stats d;

	*text = 0;
	pthread_mutex_lock(&lock);
	if (sched) {
		baton_detect_stats(sched, &d, sizeof(d));
		snprintf(text, room, "%s", d.how);
	}
	pthread_mutex_unlock(&lock);
}

unsigned long quota_generation(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed); /* [QUOTA-1] */
}

unsigned long quota_epoch(void)
{
	return atomic_load_explicit(&epoch, memory_order_relaxed); /* [QUOTA-2] */
}

int quota_mutex_create(struct baton_mutex **out, unsigned long *of)
{
	int err;

	pthread_mutex_lock(&lock);
	*of = quota_epoch();
	err = sched ? baton_mutex_create(out, sched) : -ESHUTDOWN;
	pthread_mutex_unlock(&lock);
	return err;
}

int quota_helper_begin(struct baton_tenant **tenant, unsigned tier)
{
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_INTERNAL, .tier = tier };
	struct baton_tenant_opts none = { .sz = sizeof(none) };
	int err;

	pthread_mutex_lock(&lock);
	err = sched ? baton_tenant_add(sched, tenant, &none) : -ESHUTDOWN;
	pthread_mutex_unlock(&lock);
	if (err)
		return err;
	err = baton_request_enter(*tenant, &o, NULL);
	if (err)
		baton_tenant_remove(*tenant);
	return err;
}

void quota_helper_end(struct baton_tenant *tenant)
{
	baton_request_leave();
	baton_tenant_remove(tenant);
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&less);
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------- the users */

/* A tenant's name is UTF-8 of at most 63 bytes without controls; a user's may be longer. */
static void tenant_name(char *out, const char *user, size_t len)
{
	uint64_t hash = 14695981039346656037u;
	bool plain = len < QUOTA_NAME && len;
	size_t i;

	for (i = 0; i < len; i++) {
		hash = (hash ^ (unsigned char)user[i]) * 1099511628211u;
		plain &= (unsigned char)user[i] >= ' ' && user[i] != 127;
	}
	if (plain) {
		memcpy(out, user, len);
		out[len] = 0;
	} else if (!len) {
		strcpy(out, "(anonymous)");
	} else {
		snprintf(out, QUOTA_NAME, "user-%016llx", (unsigned long long)hash);
	}
}

int quota_find(struct quota_user *q, const char *user, size_t len)
{
	char name[QUOTA_NAME], why[200];
	const char *role;
	struct row *r;
	int err = 0;

	quota_put(q);
	tenant_name(name, user, len);
	pthread_mutex_lock(&lock);
	if (!sched) {
		pthread_mutex_unlock(&lock);
		return -ESHUTDOWN;
	}
	r = find_row(&book, name);
	role = r && r->bought ? NULL : role_of(&book, name);
	if (role) {
		snprintf(name, sizeof(name), "%s", role);
		r = find_row(&book, name);
	}
	if (!r) {
		struct row fresh = book.each;

		fresh.user = name;
		fresh.bought = false;
		err = add_row(&book, &fresh);
		if (!err) {
			err = use_book(&book, why, sizeof(why));
			r = find_row(&book, name);
			if (err) {
				free(r->user);
				memmove(r, r + 1, (size_t)(book.row + book.rows - r - 1) * sizeof(*r));
				book.rows--;
			}
		}
	}
	if (!err)
		err = baton_tenant_find(sched, name, &q->tenant);
	if (!err) {
		q->generation = quota_generation();
		q->cls = r->cls;
		q->low_ppm = r->low;
		memcpy(q->name, name, sizeof(name));
	}
	pthread_mutex_unlock(&lock);
	return err;
}

void quota_put(struct quota_user *q)
{
	if (!q->tenant)
		return;
	baton_tenant_put(q->tenant);
	q->tenant = NULL;
	q->generation = 0;
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&less);
	pthread_mutex_unlock(&lock);
}

size_t quota_users(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = book.rows;
	pthread_mutex_unlock(&lock);
	return n;
}

bool quota_class(const char *tenant, enum baton_class *cls, bool *has_row)
{
	const struct row *r;

	pthread_mutex_lock(&lock);
	r = find_row(&book, tenant);
	if (r) {
		*cls = r->cls;
		*has_row = r->bought;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* --------------------------------------------------------------- the table's side */

static int parse_class(const char *text, enum baton_class *out)
{
	static const char *const names[] = { "critical", "tolerant", "batch" };
	int i;

	for (i = 0; i < 3; i++)
		if (!strcasecmp(text, names[i])) {
			*out = (enum baton_class)i;
			return 0;
		}
	return -EINVAL;
}

/* "12.5" is 125000. */
static int parse_percent(const char *text, unsigned *out)
{
	char *end;
	double d = strtod(text, &end);

	if (end == text || *end || !(d >= 0 && d <= 100))
		return -EINVAL;
	*out = (unsigned)(d * 10000 + 0.5);
	return 0;
}

static int take_row(struct book *b, MYSQL_ROW v, char *why, size_t room)
{
	struct row r = { .bought = true };
	char name[QUOTA_NAME];

	if (!v[0] || !v[1] || !v[2] || !v[3])
		return fails(-EINVAL, why, room, "mysql.baton_quotas: no column may be NULL");
	if (parse_percent(v[1], &r.low) || parse_percent(v[2], &r.high))
		return fails(-EINVAL, why, room, "mysql.baton_quotas: user '%s': low_latency %s and high_latency %s must be "
			     "percentages from 0 to 100", v[0], v[1], v[2]);
	if (parse_class(v[3], &r.cls))
		return fails(-EINVAL, why, room, "mysql.baton_quotas: user '%s': class '%s' is none of critical, tolerant, batch",
			     v[0], v[3]);
	if (!strcmp(v[0], "%")) {
		if (r.low)
			return fails(-EINVAL, why, room, "mysql.baton_quotas: low_latency of '%%' must be 0: what each user without a "
				     "row would get cannot be sold in advance");
		if (r.cls == BATON_CRITICAL)
			return fails(-EINVAL, why, room, "mysql.baton_quotas: class of '%%' must be tolerant or batch: it has no "
				     "low_latency");
		b->each = r;
		b->each.bought = false;
		return 0;
	}
	if (r.cls == BATON_CRITICAL && !r.low)
		return fails(-EINVAL, why, room, "mysql.baton_quotas: user '%s' is critical and has no low_latency: each of its "
			     "statements would be rejected", v[0]);
	if (r.cls == BATON_BATCH && !r.high)
		return fails(-EINVAL, why, room, "mysql.baton_quotas: user '%s' is batch and has no high_latency: none of its "
			     "statements could ever run", v[0]);
	if (!r.low && !r.high)
		return fails(-EINVAL, why, room, "mysql.baton_quotas: user '%s' has neither low_latency nor high_latency: none of its "
			     "statements could ever run", v[0]);
	tenant_name(name, v[0], strlen(v[0]));
	r.user = name;
	return add_row(b, &r) ? fails(-ENOMEM, why, room, "out of memory") : 0;
}

static int take_member(struct book *b, MYSQL_ROW v, char *why, size_t room)
{
	struct member *more = realloc(b->member, (b->members + 1) * sizeof(*more));
	char user[QUOTA_NAME], role[QUOTA_NAME];
	struct member *m;

	if (!more)
		return fails(-ENOMEM, why, room, "out of memory");
	b->member = more;
	m = &more[b->members];
	tenant_name(user, v[0], strlen(v[0]));
	tenant_name(role, v[1], strlen(v[1]));
	m->user = strdup(user);
	m->role = strdup(role);
	if (!m->user || !m->role) {
		free(m->user);
		free(m->role);
		return fails(-ENOMEM, why, room, "out of memory");
	}
	b->members++;
	return 0;
}

static int read_all(MYSQL *sql, const char *query, struct book *b,
		    int (*take)(struct book *b, MYSQL_ROW v, char *why, size_t room), bool *missing, char *why, size_t room)
{
	MYSQL_RES *res;
	MYSQL_ROW v;
	int err = 0;

	if (mysql_real_query(sql, query, strlen(query))) {
		if (missing && mysql_errno(sql) == ER_NO_SUCH_TABLE) {
			*missing = true;
			return 0;
		}
		return fails(-EIO, why, room, "reading the quotas: %s", mysql_error(sql));
	}
	res = mysql_store_result(sql);
	if (!res)
		return fails(-EIO, why, room, "reading the quotas: %s", mysql_error(sql));
	while (!err && (v = mysql_fetch_row(res)))
		err = take(b, v, why, room);
	mysql_free_result(res);
	return err;
}

/* Users that were seen stay tenants; what they have is what '%' says now. */
static int keep_seen(struct book *b)
{
	size_t i;

	for (i = 0; i < book.rows; i++) {
		struct row r = b->each;

		if (book.row[i].bought || find_row(b, book.row[i].user))
			continue;
		r.user = book.row[i].user;
		if (add_row(b, &r))
			return -ENOMEM;
	}
	return 0;
}

int quota_load(bool *missing, char *why, size_t room)
{
	struct book b = { .each = { .high = PPM, .cls = BATON_TOLERANT } };
	MYSQL *sql;
	int err;

	*missing = false;
	pthread_mutex_lock(&changing);
	sql = mysql_init(NULL);
	if (!sql || !mysql_real_connect_local(sql))
		err = fails(-EIO, why, room, "the server gives the plugin no connection of its own");
	else
		err = read_all(sql, "SELECT user, low_latency, high_latency, class FROM mysql.baton_quotas", &b, take_row, missing,
			       why, room);
	if (!err && !*missing)
		err = read_all(sql,
			       "WITH RECURSIVE has (user, role) AS ("
			       " SELECT user, role FROM mysql.roles_mapping WHERE host <> ''"
			       " UNION SELECT h.user, m.role FROM has h JOIN mysql.roles_mapping m ON m.host = '' AND m.user = h.role)"
			       " SELECT user, MIN(role) FROM has WHERE role IN (SELECT user FROM mysql.baton_quotas) GROUP BY user",
			       &b, take_member, NULL, why, room);
	if (sql)
		mysql_close(sql);
	pthread_mutex_lock(&lock);
	if (!err && keep_seen(&b))
		err = fails(-ENOMEM, why, room, "out of memory");
	if (!err && !sched)
		err = fails(-ESHUTDOWN, why, room, "the plugin is being unloaded");
	if (!err)
		err = use_book(&b, why, room);
	pthread_mutex_unlock(&lock);
	free_book(&b);
	pthread_mutex_unlock(&changing);
	return err;
}

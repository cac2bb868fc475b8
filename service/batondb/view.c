// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Figures: latencies, what tenants use; and the tables that the server fills: who is connected, what tenants use, roles, databases.
 * Nothing of the library's is called with a lock, and of SQLite's only what makes a text.
 *
 * These tables are temporary ones of each connection. A statement that reads some of them, as the authorizer notes, has them filled
 * before its first row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

void hist_add(struct baton_hist *h, uint64_t ns)
{
	unsigned lo = 0, hi = BATON_HIST_STEPS - 1, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (baton_hist_bound(mid) < ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	__atomic_fetch_add(&h->n[lo], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->sum, ns, __ATOMIC_RELAXED);
}

static double in_ms(uint64_t ns)
{
	return ns == UINT64_MAX ? NAN : (double)ns / 1e6;
}

unsigned session_tenants(struct tenant_figures **out)
{
	struct baton_tenant_stats st;
	struct baton_tenant *tenant;
	struct tenant_figures *f;
	const struct session *s;
	const struct role *r;
	unsigned n = 0, i;

	pthread_mutex_lock(&server.lock);
	for (r = server.roles; r; r = r->next)
		n++;
	*out = calloc(n + 1, sizeof(**out));
	for (r = server.roles, n = 0; *out && r; r = r->next) {
		if (r->dropped)
			continue;
		f = *out + n++;
		f->role = r;
		f->cls = class_name(r->is.cls);
		f->v[TENANT_LOW] = r->is.low_ppm / 1e4;
		f->v[TENANT_HIGH] = r->is.high_ppm / 1e4;
		f->v[TENANT_CPU] = (double)r->cpu / 1e6;
		f->v[TENANT_MEMORY] = (double)r->memory.used;
		for (s = server.sessions; s; s = s->next) {
			if (s->role != r)
				continue;
			f->v[TENANT_CPU] += s->clock ? (double)session_cpu(s) / 1e6 : 0;
			f->v[TENANT_QUEUED] += s->state == STATE_QUEUED || s->state == STATE_LOCK;
			f->v[TENANT_RUNNING] += s->state == STATE_ACTIVE;
		}
	}
	pthread_mutex_unlock(&server.lock);
	/* Roles stay, and a tenant is found by its name or is gone: the library is asked without a lock. */
	for (i = 0; i < n; i++) {
		f = *out + i;
		memset(&st, 0, sizeof(st));
		if (!baton_tenant_find(server.sched, f->role->name, &tenant)) {
			baton_tenant_stats(tenant, &st, sizeof(st));
			baton_tenant_put(tenant);
		}
		f->v[TENANT_CPU_LOW] = (double)st.cpu[BATON_TIER_LOW] / 1e6;
		f->v[TENANT_CPU_HIGH] = (double)st.cpu[BATON_TIER_HIGH] / 1e6;
		f->v[TENANT_ADMITTED] = (double)st.admitted;
		f->v[TENANT_REJECTED] = (double)st.rejected;
		f->v[TENANT_DROPPED] = (double)st.dropped;
		f->v[TENANT_FINISHED] = (double)st.finished;
		f->v[TENANT_THROTTLED] = (double)st.throttled / 1e6;
		/* Longer than the library can tell is NULL. */
		f->v[TENANT_WAIT_P50] = in_ms(st.wait_p50);
		f->v[TENANT_WAIT_P99] = in_ms(st.wait_p99);
		f->v[TENANT_P50] = in_ms(baton_hist_quantile(&f->role->latency, 0.5));
		f->v[TENANT_P99] = in_ms(baton_hist_quantile(&f->role->latency, 0.99));
		f->v[TENANT_P999] = in_ms(baton_hist_quantile(&f->role->latency, 0.999));
	}
	return n;
}

/* -------------------------------------------------------------------- rows */

static void add_number(sqlite3_str *rows, double d)
{
	sqlite3_str_appendf(rows, isnan(d) ? ",null" : ",%!.17g", d);
}

static void add_activity(sqlite3_str *rows, const struct session *who)
{
	struct baton_request_times t = { 0 };
	uint64_t now = baton_clock_now();
	struct session *s;
	const char *state;
	bool mine, self;

	if (who->request)
		baton_request_times(who->request, &t, sizeof(t));
	pthread_mutex_lock(&server.lock);
	for (s = server.sessions; s; s = s->next) {
		if (!s->role || !s->database)
			continue;
		/* Others' statements and addresses are theirs; times are known of one's own request. */
		mine = who->role->is.super || who->role == s->role;
		self = s == who;
		state = s->state == STATE_QUEUED ? "queued" : s->state != STATE_IDLE ? "active" :
			s->tx == TX_FAILED ? "idle in transaction (aborted)" : s->tx ? "idle in transaction" : "idle";
		pthread_mutex_lock(&s->lock);
		sqlite3_str_appendf(rows, "(%Q,%u,%Q,%Q,%Q,%Q,%Q,%Q,%Q,%lld", s->database->name, s->pid, s->role->name,
				    mine ? s->set.application : NULL, mine ? s->peer.text : NULL, state,
				    s->state == STATE_LOCK ? "Lock" : s->state == STATE_QUEUED ? "baton" : NULL,
				    mine ? s->query : "<insufficient privilege>", class_name(s->set.cls), s->memory);
		pthread_mutex_unlock(&s->lock);
		add_number(rows, s->query_start ? (double)(now - s->query_start) / 1e9 : NAN);
		add_number(rows, self ? (double)t.waited / 1e6 : NAN);
		add_number(rows, self ? (double)t.throttled / 1e6 : NAN);
		add_number(rows, self ? (double)t.cpu / 1e6 : NAN);
		sqlite3_str_appendall(rows, "),");
	}
	pthread_mutex_unlock(&server.lock);
}

static void add_tenants(sqlite3_str *rows, const struct session *who)
{
	struct tenant_figures *f;
	unsigned n = session_tenants(&f), i, k;

	for (i = 0; i < n; i++) {
		sqlite3_str_appendf(rows, "(%Q,%Q", f[i].role->name, f[i].cls);
		for (k = 0; k < TENANT_VALUES; k++)
			add_number(rows, f[i].v[k]);
		sqlite3_str_appendall(rows, "),");
	}
	free(f);
}

static void add_databases(sqlite3_str *rows, const struct session *who)
{
	const struct database *d;

	pthread_mutex_lock(&server.lock);
	for (d = server.databases; d; d = d->next)
		sqlite3_str_appendf(rows, "(%Q),", d->name);
	pthread_mutex_unlock(&server.lock);
}

static void add_roles(sqlite3_str *rows, const struct session *who)
{
	const struct role *r;

	pthread_mutex_lock(&server.lock);
	for (r = server.roles; r; r = r->next)
		if (!r->dropped)
			sqlite3_str_appendf(rows, "(%Q,%d,%d,%g,%g,%Q),", r->name, r->is.super, r->is.verifier != NULL, r->is.low_ppm / 1e4,
					    r->is.high_ppm / 1e4, class_name(r->is.cls));
	pthread_mutex_unlock(&server.lock);
}

/* ------------------------------------------------------------------- tables */

static const struct table {
	const char *name, *columns;
	void (*add)(sqlite3_str *rows, const struct session *who);	/* each row as "(...)," */
} tables[] = {
	{ "baton_roles", "rolname text, superuser boolean, haspassword boolean, low_latency real, high_latency real, class text", add_roles },
	{ "baton_databases", "datname text", add_databases },
	{ "pg_stat_activity",
	  "datname text, pid integer, usename text, application_name text, client_addr text, state text, wait_event_type text, "
	  "query text, class text, memory integer, query_s real, waiting_ms real, throttled_ms real, cpu_ms real", add_activity },
	{ "baton_stat_tenants",
	  "usename text, class text, low_latency real, high_latency real, cpu_low_ms real, cpu_high_ms real, "
	  "admitted real, rejected real, dropped real, finished real, throttled_ms real, wait_p50_ms real, wait_p99_ms real, "
	  "latency_p50_ms real, latency_p99_ms real, latency_p999_ms real, queued real, running real, cpu_ms real, memory real", add_tenants },
};
#define N_TABLES (sizeof(tables) / sizeof(*tables))

unsigned view_is(const char *table)
{
	unsigned i;

	for (i = 0; i < N_TABLES && sqlite3_stricmp(table, tables[i].name); i++)
		;
	return i < N_TABLES ? 1U << i : 0;
}

static int fill_table(struct session *s, const struct table *t)
{
	sqlite3_str *rows = sqlite3_str_new(s->db);
	char *text, *sql;
	int rc;

	t->add(rows, s);
	text = sqlite3_str_finish(rows);
	sql = text ? sqlite3_mprintf("delete from temp.%s; insert into temp.%s values %.*s", t->name, t->name, (int)strlen(text) - 1, text) : NULL;
	rc = sql ? sqlite3_exec(s->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	sqlite3_free(text);
	return rc;
}

int view_fill(struct session *s, unsigned which)
{
	sqlite3_int64 row = sqlite3_last_insert_rowid(s->db);
	unsigned i;
	int rc = 0;

	s->memory = mem_used();
	s->guard.kind = GUARD_INTERNAL;
	for (i = 0; i < N_TABLES && !rc; i++)
		if (which & 1U << i)
			rc = fill_table(s, &tables[i]);
	s->guard.kind = GUARD_QUERY;
	sqlite3_set_last_insert_rowid(s->db, row);
	return rc;
}

int view_register(sqlite3 *db)
{
	char sql[600];
	unsigned i;
	int rc = 0;

	for (i = 0; i < N_TABLES && !rc; i++) {
		sqlite3_snprintf(sizeof(sql), sql, "create temp table %s (%s)", tables[i].name, tables[i].columns);
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	return rc;
}

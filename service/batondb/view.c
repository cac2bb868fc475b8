// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of the tables that the server fills. Nothing of the library's is called with a lock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

static void activity(struct buf *rows, const struct session *who)
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
		vtab_row(rows, "tittttttdtdddi", s->database->name, (int64_t)s->pid, s->role->name,
			 mine ? s->set.application : NULL, mine ? s->peer.text : NULL, state,
			 s->state == STATE_LOCK ? "Lock" : s->state == STATE_QUEUED ? "baton" : NULL,
			 mine ? s->query : "<insufficient privilege>", s->query_start ? (double)(now - s->query_start) / 1e9 : NAN,
			 class_name(s->set.cls), self ? (double)t.waited / 1e6 : NAN, self ? (double)t.throttled / 1e6 : NAN,
			 self ? (double)t.cpu / 1e6 : NAN, s->memory);
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_unlock(&server.lock);
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
		f->v[TENANT_WAIT_P50] = st.wait_p50 == UINT64_MAX ? NAN : (double)st.wait_p50 / 1e6;
		f->v[TENANT_WAIT_P99] = st.wait_p99 == UINT64_MAX ? NAN : (double)st.wait_p99 / 1e6;
		f->v[TENANT_P50] = hist_quantile_ms(&f->role->latency, 0.5);
		f->v[TENANT_P99] = hist_quantile_ms(&f->role->latency, 0.99);
		f->v[TENANT_P999] = hist_quantile_ms(&f->role->latency, 0.999);
	}
	return n;
}

static void tenants(struct buf *rows)
{
	struct tenant_figures *f;
	unsigned n = session_tenants(&f), i, k;

	for (i = 0; i < n; i++) {
		vtab_row(rows, "tt", f[i].role->name, f[i].cls);
		for (k = 0; k < TENANT_VALUES; k++)
			vtab_row(rows, "d", f[i].v[k]);
	}
	free(f);
}

void view_fill(void *arg, const char *table, struct buf *rows)
{
	struct session *s = arg;
	const struct database *d;
	const struct role *r;

	s->memory = mem_used();
	if (!strcmp(table, "pg_stat_activity")) {
		activity(rows, s);
		return;
	}
	if (!strcmp(table, "baton_stat_tenants")) {
		tenants(rows);
		return;
	}
	pthread_mutex_lock(&server.lock);
	if (!strcmp(table, "baton_databases"))
		for (d = server.databases; d; d = d->next)
			vtab_row(rows, "t", d->name);
	else
		for (r = server.roles; r; r = r->next)
			if (!r->dropped)
				vtab_row(rows, "tiiiddt", r->name, (int64_t)r->is.super, (int64_t)r->is.createdb, (int64_t)(r->is.verifier != NULL),
					 r->is.low_ppm / 1e4, r->is.high_ppm / 1e4, class_name(r->is.cls));
	pthread_mutex_unlock(&server.lock);
}

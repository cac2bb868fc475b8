// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * On loopback: /metrics for Prometheus, /live with the same as server-sent
 * events, one a second, and / a page that shows them. Each viewer has a thread.
 */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "session.h"

static struct MHD_Daemon *daemon_;

static const char page[] =
	"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>batondb</title><link rel=icon href=data:,><style>"
	"body{font:15px sans-serif;margin:2em;color:#222}table{border-collapse:collapse}th,td{padding:.3em .8em;text-align:right;"
	"border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}.bar{position:relative;width:12em;height:1em;"
	"background:#eee}.bar i{position:absolute;left:0;top:0;bottom:0;background:#3465a4}.bar b{position:absolute;top:-2px;"
	"bottom:-2px;width:2px;background:#c00}</style><h1>batondb</h1><p>CPU of the last second, in % of the machine; "
	"the red line is what was bought.</p><table><thead><tr><th>user<th>class<th>CPU<th>%<th>bought %<th>running<th>queued"
	"<th>rejected<th>p50 ms<th>p99 ms<th>p99.9 ms</thead><tbody id=t></tbody></table><p id=s></p><script>"
	"let last={};const e=new EventSource('/live');e.onmessage=m=>{const d=JSON.parse(m.data);const b=document.getElementById('t');"
	"b.textContent='';for(const u of d.tenants){const l=last[u.user]||{cpu:u.cpu,at:d.at-1};const use=Math.max(0,100*(u.cpu-l.cpu)/"
	"(d.at-l.at)/d.slots);last[u.user]={cpu:u.cpu,at:d.at};const r=b.insertRow();const put=x=>{r.insertCell().textContent=x};"
	"put(u.user);put(u.class);const c=r.insertCell();const g=document.createElement('div');g.className='bar';const i=document."
	"createElement('i');i.style.width=Math.min(100,use)+'%';const k=document.createElement('b');k.style.left=Math.min(100,u.bought)+'%';"
	"g.append(i,k);c.append(g);put(use.toFixed(1));put(u.bought.toFixed(1));put(u.running);put(u.queued);put(u.rejected);"
	"put(u.p50.toFixed(2));put(u.p99.toFixed(2));put(u.p999.toFixed(2))}document.getElementById('s').textContent="
	"d.connections+' connections, quotas '+(d.quotas?'on':'off')};e.onerror=()=>{document.getElementById('s').textContent="
	"'no connection to the server'}</script></html>";

struct tenant {
	const char *user, *cls;
	double v[TENANT_COLUMNS];
};

/* rows has what the texts point to. */
static unsigned tenants(struct tenant **out, struct vtab_rows *rows)
{
	const struct vtab_cell *c;
	struct tenant *t;
	unsigned i, k;

	memset(rows, 0, sizeof(*rows));
	buf_init(&rows->cells, 64 << 20);
	session_tenants(rows);
	t = calloc(rows->n + 1, sizeof(*t));
	*out = t;
	c = (const struct vtab_cell *)rows->cells.p;
	for (i = 0; t && !rows->cells.failed && i < rows->n; i++)
		for (k = 0; k < TENANT_COLUMNS; k++, c = vtab_next(c)) {
			t[i].v[k] = c->kind == SQLITE_INTEGER ? (double)c->i : c->kind == SQLITE_FLOAT ? c->d : 0;
			if (k == 0)
				t[i].user = vtab_cell_text(c);
			else if (k == 1)
				t[i].cls = vtab_cell_text(c);
		}
	return t ? i : 0;
}

static const struct {
	const char *name, *help, *type, *label;
	int field;
	double scale;
} metrics[] = {
	{ "batondb_quota_ratio", "what was bought, as a part of the machine", "gauge", ",tier=\"low\"", TENANT_LOW, 0.01 },
	{ "batondb_quota_ratio", NULL, NULL, ",tier=\"high\"", TENANT_HIGH, 0.01 },
	{ "batondb_cpu_seconds_total", "CPU that was used, by the kernel's count", "counter", "", TENANT_CPU, 0.001 },
	{ "batondb_requests_total", "requests, by how they ended", "counter", ",end=\"finished\"", TENANT_FINISHED, 1 },
	{ "batondb_requests_total", NULL, NULL, ",end=\"rejected\"", TENANT_REJECTED, 1 },
	{ "batondb_requests_total", NULL, NULL, ",end=\"dropped\"", TENANT_DROPPED, 1 },
	{ "batondb_throttled_seconds_total", "time in which tasks were ready and no quota was left", "counter", "", TENANT_THROTTLED, 0.001 },
	{ "batondb_connections", "connections, by what they do", "gauge", ",state=\"queued\"", TENANT_QUEUED, 1 },
	{ "batondb_connections", NULL, NULL, ",state=\"running\"", TENANT_RUNNING, 1 },
	{ "batondb_memory_bytes", "memory of a user's connections", "gauge", "", TENANT_MEMORY, 1 },
};

/* Those of several servers may be added up: from a statement's arrival to the end of its answer. */
static void histograms(struct buf *b)
{
	struct role *r;
	unsigned k;

	buf_str(b, "# HELP batondb_latency_seconds from a statement's arrival to the end of its answer\n# TYPE batondb_latency_seconds histogram\n");
	pthread_mutex_lock(&server.lock);
	for (r = server.roles; r; r = r->next) {
		if (r->dropped)
			continue;
		/* 64 us to 67 s. */
		for (k = 6; k <= 26; k += 2) {
			buf_str(b, "batondb_latency_seconds_bucket{user=");
			buf_json(b, r->name);
			buf_fmt(b, ",le=\"%.10g\"} %llu\n", (double)(1UL << k) / 1e6, (unsigned long long)hist_below(&r->latency, k));
		}
		buf_str(b, "batondb_latency_seconds_bucket{user=");
		buf_json(b, r->name);
		buf_fmt(b, ",le=\"+Inf\"} %llu\nbatondb_latency_seconds_sum{user=", (unsigned long long)r->latency.count);
		buf_json(b, r->name);
		buf_fmt(b, "} %.10g\nbatondb_latency_seconds_count{user=", (double)r->latency.sum_us / 1e6);
		buf_json(b, r->name);
		buf_fmt(b, "} %llu\n", (unsigned long long)r->latency.count);
	}
	pthread_mutex_unlock(&server.lock);
}

static void prometheus(struct buf *b)
{
	struct vtab_rows rows;
	struct tenant *t;
	unsigned n = tenants(&t, &rows), i, k;

	for (i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		if (metrics[i].help)
			buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type);
		for (k = 0; k < n; k++) {
			buf_fmt(b, "%s{user=", metrics[i].name);
			buf_json(b, t[k].user);
			buf_fmt(b, "%s} %.10g\n", metrics[i].label, t[k].v[metrics[i].field] * metrics[i].scale);
		}
	}
	buf_fmt(b, "# HELP batondb_connections_total connections that were made\n# TYPE batondb_connections_total counter\n"
		   "batondb_connections_total %llu\n", (unsigned long long)server.connections);
	histograms(b);
	buf_free(&rows.cells);
	free(t);
}

static void event(struct buf *b)
{
	struct vtab_rows rows;
	struct tenant *t;
	unsigned n = tenants(&t, &rows), k;

	buf_fmt(b, "data: {\"at\":%.3f,\"quotas\":%d,\"slots\":%d,\"connections\":%u,\"tenants\":[", (double)baton_clock_now() / 1e9,
		(int)server.quotas, server.conf.slots ? server.conf.slots : server.cpus, server.n_sessions);
	for (k = 0; k < n; k++) {
		buf_fmt(b, "%s{\"user\":", k ? "," : "");
		buf_json(b, t[k].user);
		buf_fmt(b, ",\"class\":\"%s\",\"cpu\":%.4f,\"bought\":%.4g,\"running\":%.0f,\"queued\":%.0f,\"rejected\":%.0f,"
			"\"p50\":%.4g,\"p99\":%.4g,\"p999\":%.4g}", t[k].cls, t[k].v[TENANT_CPU] / 1e3,
			t[k].v[TENANT_LOW] + t[k].v[TENANT_HIGH] > 100 ? 100 : t[k].v[TENANT_LOW] + t[k].v[TENANT_HIGH], t[k].v[TENANT_RUNNING], t[k].v[TENANT_QUEUED],
			t[k].v[TENANT_REJECTED], t[k].v[TENANT_P50], t[k].v[TENANT_P99], t[k].v[TENANT_P999]);
	}
	buf_str(b, "]}\n\n");
	buf_free(&rows.cells);
	free(t);
}

struct live {
	struct buf b;
	size_t at;
	uint64_t due;
};

#define MAX_VIEWERS 8

static ssize_t live_read(void *arg, uint64_t pos, char *to, size_t max)
{
	struct live *l = arg;
	size_t n;

	if (l->at == l->b.len) {
		uint64_t now = baton_clock_now();

		if (server.stopping)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (now < l->due) {
			struct timespec ts = { 0, (long)(l->due - now > 200 * MS ? 200 * MS : l->due - now) };

			nanosleep(&ts, NULL);
			return 0;
		}
		l->due = now + 1000 * MS;
		buf_clear(&l->b, 1 << 16);
		l->at = 0;
		event(&l->b);
		if (l->b.failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	n = l->b.len - l->at < max ? l->b.len - l->at : max;
	memcpy(to, l->b.p + l->at, n);
	l->at += n;
	return (ssize_t)n;
}

static void live_free(void *arg)
{
	struct live *l = arg;

	buf_free(&l->b);
	free(l);
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **state)
{
	struct MHD_Response *r;
	enum MHD_Result ok;
	struct live *l;
	struct buf b;
	int code = MHD_HTTP_OK;

	if (strcmp(method, "GET"))
		return MHD_NO;
	if (!strcmp(url, "/live")) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return MHD_NO;
		buf_init(&l->b, 16 << 20);
		r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 8192, live_read, l, live_free);
		MHD_add_response_header(r, "Content-Type", "text/event-stream");
		MHD_add_response_header(r, "Cache-Control", "no-store");
	} else if (!strcmp(url, "/metrics")) {
		buf_init(&b, 64 << 20);
		prometheus(&b);
		r = MHD_create_response_from_buffer(b.len, (void *)buf_cstr(&b), MHD_RESPMEM_MUST_COPY);
		buf_free(&b);
		MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4");
	} else {
		if (strcmp(url, "/"))
			code = MHD_HTTP_NOT_FOUND;
		r = MHD_create_response_from_buffer(code == MHD_HTTP_OK ? sizeof(page) - 1 : 0, (void *)page, MHD_RESPMEM_PERSISTENT);
		MHD_add_response_header(r, "Content-Type", "text/html; charset=utf-8");
	}
	if (!r)
		return MHD_NO;
	ok = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return ok;
}

int http_start(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	daemon_ = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, port, NULL, NULL,
				   answer, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&sa, MHD_OPTION_CONNECTION_LIMIT,
				   MAX_VIEWERS, MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_THREAD_STACK_SIZE,
				   (size_t)(256 << 10), MHD_OPTION_END);
	return daemon_ ? 0 : -1;
}

void http_stop(void)
{
	if (daemon_)
		MHD_stop_daemon(daemon_);
}

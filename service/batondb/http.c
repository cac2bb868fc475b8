// SPDX-License-Identifier: GPL-2.0-or-later
/* HTTP on loopback: /metrics for Prometheus, and / a page that shows what is there, each second anew. */
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

static struct MHD_Daemon *daemon_;

/* With a NUL at its end. */
extern const char page[];
__asm__(".pushsection .rodata\n.globl page\npage: .incbin \"page.html\"\n.byte 0\n.popsection");

static const struct {
	const char *name, *help, *type, *label;
	int field;
	double scale;
} metrics[] = {
	{ "quota_ratio", "what was bought, as a part of the machine", "gauge", ",tier=\"low\"", TENANT_LOW, 0.01 },
	{ "quota_ratio", NULL, NULL, ",tier=\"high\"", TENANT_HIGH, 0.01 },
	{ "cpu_seconds_total", "CPU that was used, by the kernel's count", "counter", "", TENANT_CPU, 0.001 },
	{ "requests_total", "requests, by how they ended", "counter", ",end=\"finished\"", TENANT_FINISHED, 1 },
	{ "requests_total", NULL, NULL, ",end=\"rejected\"", TENANT_REJECTED, 1 },
	{ "requests_total", NULL, NULL, ",end=\"dropped\"", TENANT_DROPPED, 1 },
	{ "throttled_seconds_total", "time in which tasks were ready and no quota was left", "counter", "", TENANT_THROTTLED, 0.001 },
	{ "connections", "connections, by what they do", "gauge", ",state=\"queued\"", TENANT_QUEUED, 1 },
	{ "connections", NULL, NULL, ",state=\"running\"", TENANT_RUNNING, 1 },
	{ "memory_bytes", "memory of a user's connections", "gauge", "", TENANT_MEMORY, 1 },
	{ "latency_ms", "from a statement's arrival to the end of its answer, since the start", "gauge", ",quantile=\"0.5\"", TENANT_P50, 1 },
	{ "latency_ms", NULL, NULL, ",quantile=\"0.99\"", TENANT_P99, 1 },
	{ "latency_ms", NULL, NULL, ",quantile=\"0.999\"", TENANT_P999, 1 },
};

static void head(struct buf *b, const char *name, const char *help, const char *type)
{
	buf_fmt(b, "# HELP batondb_%s %s\n# TYPE batondb_%s %s\n", name, help, name, type);
}

static void value(struct buf *b, const char *name, const char *user, const char *label, double v)
{
	buf_fmt(b, "batondb_%s{user=", name);
	buf_quoted(b, user);
	buf_fmt(b, "%s} %.10g\n", label, v);
}

static void whole(struct buf *b, const char *name, const char *help, const char *type, double v)
{
	head(b, name, help, type);
	buf_fmt(b, "batondb_%s %.10g\n", name, v);
}

/* Histograms of several servers may be added up. */
static void histogram(struct buf *b, const struct role *r)
{
	uint64_t sum = 0;
	char label[40];
	unsigned k;

	/* A bound for each four times as long. */
	for (k = 0; k < BATON_HIST_STEPS - 1; k++) {
		sum += r->latency.n[k];
		if (k % 16 != 7)
			continue;
		snprintf(label, sizeof(label), ",le=\"%.10g\"", (double)baton_hist_bound(k) / 1e9);
		value(b, "latency_seconds_bucket", r->name, label, (double)sum);
	}
	value(b, "latency_seconds_bucket", r->name, ",le=\"+Inf\"", (double)baton_hist_count(&r->latency));
	value(b, "latency_seconds_sum", r->name, "", (double)r->latency.sum / 1e9);
	value(b, "latency_seconds_count", r->name, "", (double)baton_hist_count(&r->latency));
}

static void prometheus(struct buf *b)
{
	struct tenant_figures *f;
	unsigned n = session_tenants(&f), i, k;
	char label[60];

	for (i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		if (metrics[i].help)
			head(b, metrics[i].name, metrics[i].help, metrics[i].type);
		for (k = 0; k < n; k++)
			value(b, metrics[i].name, f[k].role->name, metrics[i].label, f[k].v[metrics[i].field] * metrics[i].scale);
	}
	head(b, "class", "what statements pay with", "gauge");
	for (k = 0; k < n; k++) {
		snprintf(label, sizeof(label), ",class=\"%s\"", f[k].cls);
		value(b, "class", f[k].role->name, label, 1);
	}
	head(b, "latency_seconds", "from a statement's arrival to the end of its answer", "histogram");
	for (k = 0; k < n; k++)
		histogram(b, f[k].role);
	free(f);
	whole(b, "connections_total", "connections that were made", "counter", (double)server.connections);
	whole(b, "sessions", "connections that there are", "gauge", server.n_sessions);
	whole(b, "slots", "connections that run at once", "gauge", server.slots);
	whole(b, "quotas", "whether quotas hold", "gauge", server.quotas);
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **state)
{
	bool metric = !strcmp(url, "/metrics");
	int code = metric || !strcmp(url, "/") ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND;
	struct MHD_Response *r;
	enum MHD_Result ok;
	struct buf b;

	if (strcmp(method, "GET"))
		return MHD_NO;
	buf_init(&b, 64 << 20);
	if (metric)
		prometheus(&b);
	else if (code == MHD_HTTP_OK)
		buf_str(&b, page);
	r = MHD_create_response_from_buffer(b.len, (void *)buf_cstr(&b), MHD_RESPMEM_MUST_COPY);
	buf_free(&b);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", metric ? "text/plain; version=0.0.4" : "text/html; charset=utf-8");
	ok = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return ok;
}

int http_start(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	daemon_ = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, port, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR,
				   (struct sockaddr *)&sa, MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
	return daemon_ ? 0 : -1;
}

void http_stop(void)
{
	if (daemon_)
		MHD_stop_daemon(daemon_);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* An agent's figures for Prometheus. Other processes of the machine connect, each with a limit of time and memory. */
#include "config.h"
#ifdef HAVE_FLEET
#include "figures.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void put_family(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP baton_fleet_%s %s\n# TYPE baton_fleet_%s %s\n", name, help, name, type);
}

static void put_seconds(FILE *to, uint64_t ns)
{
	fprintf(to, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

/* Names are printable, but may have what ends a label's value. */
static void put_label(FILE *to, const char *label, const char *name, size_t n)
{
	fprintf(to, "%s=\"", label);
	for (; n--; name++) {
		if (*name == '"' || *name == '\\')
			putc('\\', to);
		putc(*name, to);
	}
	putc('"', to);
}

static void put_node(FILE *to, const struct figures_node *node, const char *name, const char *more)
{
	fprintf(to, "baton_fleet_%s{", name);
	put_label(to, "node", node->name, strlen(node->name));
	fprintf(to, "%s} ", more);
}

static void put_count(FILE *to, const struct figures_node *node, const char *name, const char *more, uint64_t n)
{
	put_node(to, node, name, more);
	fprintf(to, "%" PRIu64 "\n", n);
}

static const struct {
	const char *name, *help;
	size_t at;
	bool flag;
} rate_figures[] = {
	{ "bought_cpus", "what the tenant bought of all nodes", offsetof(struct figures_rate, bought), false },
	{ "base_cpus", "what this node has of it for ever", offsetof(struct figures_rate, base), false },
	{ "leased_cpus", "what this node leases of it, and may use now", offsetof(struct figures_rate, leased), false },
	{ "wanted_cpus", "what this node would lease", offsetof(struct figures_rate, wanted), false },
	{ "used_cpus", "CPU that the scheduler used of it in the last second", offsetof(struct figures_rate, used), false },
	{ "waits", "whether tasks wait for it, or were refused for want of it", offsetof(struct figures_rate, is_short), true },
};

static void put_rates(FILE *to, const struct figures_node *node, const struct figures_rate *rate, unsigned rates)
{
	const char *at, *class;
	unsigned i, k;

	for (k = 0; k < sizeof(rate_figures) / sizeof(*rate_figures); k++) {
		put_family(to, rate_figures[k].name, "gauge", rate_figures[k].help);
		for (i = 0; i < rates; i++) {
			class = strrchr(rate[i].key, '/');
			at = (const char *)&rate[i] + rate_figures[k].at;
			fprintf(to, "baton_fleet_%s{", rate_figures[k].name);
			put_label(to, "node", node->name, strlen(node->name));
			put_label(to, ",tenant", rate[i].key, (size_t)(class - rate[i].key));
			put_label(to, ",class", class + 1, strlen(class + 1));
			fputs("} ", to);
			if (rate_figures[k].flag)
				fprintf(to, "%d\n", *(const bool *)at);
			else
				put_seconds(to, *(const uint64_t *)at);
		}
	}
}

void figures_print(FILE *to, const struct figures_node *node, const struct figures_rate *rate, unsigned rates)
{
	put_family(to, "store", "gauge", "whether the store answers");
	put_count(to, node, "store", "", node->store);
	put_family(to, "scheduler", "gauge", "whether a scheduler has joined");
	put_count(to, node, "scheduler", "", node->scheduler);
	put_family(to, "life", "gauge", "lives of the node's place until now; 0: it has none");
	put_count(to, node, "life", "", node->life);
	put_family(to, "lease_seconds", "gauge", "until all that is leased ends, unless a heartbeat arrives");
	put_node(to, node, "lease_seconds", "");
	put_seconds(to, node->lease);
	put_family(to, "node_capacity_cpus", "gauge", "what this node's scheduler has");
	put_node(to, node, "node_capacity_cpus", "");
	put_seconds(to, node->capacity);
	put_family(to, "capacity_cpus", "gauge", "what the nodes that are there have");
	put_node(to, node, "capacity_cpus", "");
	put_seconds(to, node->fleet_capacity);
	put_family(to, "places", "gauge", "the most nodes that there can be");
	put_count(to, node, "places", "", node->places);
	put_family(to, "nodes", "gauge", "nodes, by whether they were heard of");
	put_count(to, node, "nodes", ",state=\"there\"", node->there);
	put_count(to, node, "nodes", ",state=\"fenced\"", node->fenced);
	put_family(to, "heartbeats_total", "counter", "heartbeats that the store has taken");
	put_count(to, node, "heartbeats_total", "", node->beats);
	put_family(to, "transactions_total", "counter", "transactions of rates, by how they ended");
	put_count(to, node, "transactions_total", ",end=\"applied\"", node->applied);
	put_count(to, node, "transactions_total", ",end=\"refused\"", node->refused);
	put_count(to, node, "transactions_total", ",end=\"unanswered\"", node->unanswered);
	put_rates(to, node, rate, rates);
}

#ifdef HAVE_HTTPD
#include <microhttpd.h>
#include <netinet/in.h>

struct figures {
	struct MHD_Daemon *daemon;
	figures_write *write;
	void *arg;
};

static enum MHD_Result answer_request(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				      const char *data, size_t *size, void **state)
{
	int code = strcmp(url, "/metrics") ? MHD_HTTP_NOT_FOUND : MHD_HTTP_OK;
	const struct figures *f = arg;
	struct MHD_Response *r;
	enum MHD_Result ok;
	char *text = NULL;
	size_t n = 0;
	FILE *to;

	if (strcmp(method, "GET"))
		return MHD_NO;
	to = open_memstream(&text, &n);
	if (!to)
		return MHD_NO;
	if (code == MHD_HTTP_OK)
		f->write(f->arg, to);
	fclose(to);
	r = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4");
	ok = MHD_queue_response(c, (unsigned)code, r);
	MHD_destroy_response(r);
	return ok;
}

int figures_open(struct figures **out, uint16_t port, figures_write *write, void *arg)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct figures *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->write = write;
	f->arg = arg;
	f->daemon = MHD_start_daemon(MHD_USE_EPOLL, port, NULL, NULL, answer_request, f, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at,
				     MHD_OPTION_CONNECTION_LIMIT, 8u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (!f->daemon) {
		free(f);
		return -EADDRINUSE;
	}
	*out = f;
	return 0;
}

int figures_fd(const struct figures *f)
{
	return MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int figures_timeout(const struct figures *f)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(f->daemon, &ms) == MHD_YES ? (int)(ms < 60000 ? ms : 60000) : -1;
}

void figures_serve(struct figures *f)
{
	MHD_run(f->daemon);
}

void figures_close(struct figures *f)
{
	if (f)
		MHD_stop_daemon(f->daemon);
	free(f);
}

#else

int figures_open(struct figures **out, uint16_t port, figures_write *write, void *arg)
{
	return -ENOSYS;
}

int figures_fd(const struct figures *f)
{
	return -1;
}

int figures_timeout(const struct figures *f)
{
	return -1;
}

void figures_serve(struct figures *f)
{
}

void figures_close(struct figures *f)
{
}
#endif
#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mariadb-load: one user's load, for the demo, the benchmarks and the tests.
 *
 * Each of the clients has a connection and a thread, and runs transactions: the
 * statements of a file, a line each, of which {a,b} is a random number from a to
 * b. Blocks of the file that a line of "--" separates are alternatives; each
 * time one of them is chosen, and one that begins with "--N" N times as often. With a
 * rate, transactions are due at random times, whether or not the server keeps up,
 * and their latency counts from then on.
 *
 * The result is one object of JSON. With -l each transaction is a line of that
 * file: when it ended (s of the wall clock), its latency (us), and 0, or the number of
 * the error that ended it. A client whose transaction was rejected tries the next one.
 * SIGINT and SIGTERM end the load before its time: what was begun is finished, and reported.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000ull
#define LINES 64
#define BLOCKS 32

struct block {
	char *line[LINES];
	int lines, weight;
};

struct sample {
	double end;
	uint32_t us, error;
};

struct client {
	pthread_t thread;
	MYSQL *db;
	struct drand48_data random;
	struct sample *sample;
	size_t samples, room;
	uint64_t errors, rejected, lost;
	char last_error[512];
};

static struct block block[BLOCKS];
static int blocks, weights;
static const char *sock, *host, *user = "root", *password, *database, *class_name, *log_name;
static unsigned port, clients = 1;
static double rate, seconds = 10, pause_ms;
static bool prepared;
static uint64_t begin_at, end_at;
/* [LOAD-1]: when a signal came, or 0; a client that sees that late begins one transaction more. */
static _Atomic uint64_t stopped_at;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t next_due;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at)
{
	struct timespec t = { .tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "mariadb-load: %s: %s\n", what, why);
	exit(1);
}

static double uniform(struct client *c)
{
	double d;

	drand48_r(&c->random, &d);
	return d;
}

/* A line with numbers in the place of {a,b}. */
static size_t fill_in(struct client *c, const char *line, char *out, size_t room)
{
	size_t n = 0;
	long a, b;
	int used;

	while (*line && n + 32 < room) {
		if (*line == '{' && sscanf(line, "{%ld,%ld}%n", &a, &b, &used) == 2) {
			n += (size_t)snprintf(out + n, room - n, "%ld", a + (long)(uniform(c) * (double)(b - a + 1)));
			line += used;
		} else {
			out[n++] = *line++;
		}
	}
	out[n] = 0;
	return n;
}

static void connect_one(struct client *c)
{
	char set[100];

	c->db = mysql_init(NULL);
	if (!mysql_real_connect(c->db, host, user, password, database, port, sock, CLIENT_MULTI_STATEMENTS))
		die("cannot connect", mysql_error(c->db));
	if (class_name) {
		snprintf(set, sizeof(set), "SET SESSION baton_class = '%s'", class_name);
		if (mysql_query(c->db, set))
			die(set, mysql_error(c->db));
	}
}

static int run_text(struct client *c, const char *sql, size_t len)
{
	MYSQL_RES *r;
	int more;

	if (mysql_real_query(c->db, sql, len))
		return (int)mysql_errno(c->db);
	do {
		r = mysql_store_result(c->db);
		if (r)
			mysql_free_result(r);
		else if (mysql_errno(c->db))
			return (int)mysql_errno(c->db);
		more = mysql_next_result(c->db);
	} while (!more);
	return more > 0 ? (int)mysql_errno(c->db) : 0;
}

static int run_prepared(struct client *c, const char *sql, size_t len)
{
	MYSQL_STMT *s = mysql_stmt_init(c->db);
	int err = 0;

	if (mysql_stmt_prepare(s, sql, len) || mysql_stmt_execute(s) || mysql_stmt_store_result(s)) {
		err = (int)mysql_stmt_errno(s);
		snprintf(c->last_error, sizeof(c->last_error), "%s", mysql_stmt_error(s));
	}
	mysql_stmt_close(s);
	return err;
}

static int transaction(struct client *c)
{
	int at = (int)(uniform(c) * weights), i, err = 0;
	const struct block *b = block;
	char sql[4096];
	size_t len;

	for (; at >= b->weight; b++)
		at -= b->weight;
	for (i = 0; !err && i < b->lines; i++) {
		len = fill_in(c, b->line[i], sql, sizeof(sql));
		err = prepared ? run_prepared(c, sql, len) : run_text(c, sql, len);
	}
	if (err && !prepared)
		snprintf(c->last_error, sizeof(c->last_error), "%s", mysql_error(c->db));
	if (err && b->lines > 1)
		mysql_rollback(c->db);
	return err;
}

static void add_sample(struct client *c, uint64_t due, int err)
{
	struct timespec wall;

	if (c->samples == c->room) {
		c->room = c->room ? 2 * c->room : 1024;
		c->sample = realloc(c->sample, c->room * sizeof(*c->sample));
		if (!c->sample)
			die("samples", "out of memory");
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	c->sample[c->samples++] = (struct sample){ (double)wall.tv_sec + (double)wall.tv_nsec / 1e9,
						   (uint32_t)((now_ns() - due) / 1000), (uint32_t)err };
}

static uint64_t take_due(struct client *c)
{
	uint64_t due;

	if (!rate)
		return now_ns();
	pthread_mutex_lock(&lock);
	due = next_due;
	next_due += (uint64_t)(-log(1 - uniform(c)) / rate * 1e9);
	pthread_mutex_unlock(&lock);
	return due;
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	uint64_t due;
	int err;

	mysql_thread_init();
	sleep_until(begin_at);
	while ((due = take_due(c)) < end_at && !atomic_load_explicit(&stopped_at, memory_order_relaxed)) { /* [LOAD-1] */
		if (rate)
			sleep_until(due);
		err = transaction(c);
		add_sample(c, due, err);
		if (err == ER_USER_LIMIT_REACHED)
			c->rejected++;
		else if (err)
			c->errors++;
		if (err >= 2000 && err < 3000) {	/* the client library's own: the connection is gone */
			c->lost++;
			mysql_close(c->db);
			connect_one(c);
		}
		if (pause_ms > 0)
			sleep_until(now_ns() + (uint64_t)(pause_ms * 1e6));
	}
	mysql_thread_end();
	return NULL;
}

static void stop_early(int sig)
{
	atomic_store_explicit(&stopped_at, now_ns(), memory_order_relaxed); /* [LOAD-1] */
}

static void read_file(const char *name)
{
	FILE *f = fopen(name, "r");
	struct block *b = &block[0];
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		die(name, strerror(errno));
	b->weight = 1;
	while ((n = getline(&line, &room, f)) >= 0) {
		while (n && isspace((unsigned char)line[n - 1]))
			line[--n] = 0;
		if (!strncmp(line, "--", 2)) {
			if (b->lines && ++b == &block[BLOCKS])
				die(name, "too many blocks");
			b->weight = line[2] ? atoi(line + 2) : 1;
		} else if (n) {
			if (b->lines == LINES)
				die(name, "too many lines");
			b->line[b->lines++] = strdup(line);
		}
	}
	free(line);
	fclose(f);
	blocks = (int)(b - block) + 1;
	for (b = block; b < block + blocks; b++)
		weights += b->weight;
	if (!block[0].lines)
		die(name, "no statements");
}

static int by_latency(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->us < y->us ? -1 : x->us > y->us;
}

static double quantile(const struct sample *s, size_t n, double q)
{
	size_t i = (size_t)(q * (double)n);

	return n ? (double)s[i < n ? i : n - 1].us / 1e3 : 0;
}

static void report(struct client *all)
{
	struct sample *s = NULL;
	size_t n = 0, done = 0, i;
	uint64_t errors = 0, rejected = 0, lost = 0;
	const char *error = "";
	FILE *log_file = log_name ? fopen(log_name, "w") : NULL;
	uint64_t stopped = atomic_load_explicit(&stopped_at, memory_order_relaxed); /* [LOAD-1] */
	double ran = stopped > begin_at ? (double)(stopped - begin_at) / 1e9 : seconds;
	unsigned k;

	if (log_name && !log_file)
		die(log_name, strerror(errno));
	for (k = 0; k < clients; k++) {
		n += all[k].samples;
		errors += all[k].errors;
		rejected += all[k].rejected;
		lost += all[k].lost;
		if (all[k].errors)
			error = all[k].last_error;
	}
	s = calloc(n + 1, sizeof(*s));
	if (!s)
		die("samples", "out of memory");
	for (k = 0; k < clients; k++)
		for (i = 0; i < all[k].samples; i++) {
			const struct sample *one = &all[k].sample[i];

			if (log_file)
				fprintf(log_file, "%.6f %u %u\n", one->end, one->us, one->error);
			if (!one->error)
				s[done++] = *one;
		}
	if (log_file && fclose(log_file))
		die(log_name, strerror(errno));
	qsort(s, done, sizeof(*s), by_latency);
	printf("{\"user\":\"%s\",\"n\":%zu,\"tps\":%.2f,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f,\"rejected\":%llu,"
	       "\"errors\":%llu,\"lost\":%llu", user, done, (double)done / ran, quantile(s, done, .5), quantile(s, done, .99),
	       quantile(s, done, .999), quantile(s, done, 1), (unsigned long long)rejected, (unsigned long long)errors,
	       (unsigned long long)lost);
	if (errors) {
		printf(",\"error\":\"");
		for (; *error; error++)
			if (*error >= ' ' && *error != '"' && *error != '\\')
				putchar(*error);
		putchar('"');
	}
	puts("}");
	free(s);
}

static const char usage[] =
	"usage: mariadb-load [OPTION]... -f FILE\n"
	"\n"
	"  -S, --socket=FILE  -H, --host=HOST  -P, --port=N  -u, --user=NAME  -p, --password=TEXT  -d, --database=NAME\n"
	"  -f, --file=FILE    what to run; {a,b}: a random number; --: another alternative\n"
	"  -c, --clients=N    connections (1)\n"
	"  -r, --rate=X       transactions per second, whether or not the server keeps up; without: as many as it can\n"
	"  -w, --wait=MS      each client waits after a transaction\n"
	"  -t, --time=S       for so long (10)\n"
	"  -b, --binary       prepared statements\n"
	"  -x, --class=NAME   SET SESSION baton_class\n"
	"  -l, --log=FILE     a line for each transaction\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", 1, NULL, 'S' }, { "host", 1, NULL, 'H' }, { "port", 1, NULL, 'P' }, { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'p' }, { "database", 1, NULL, 'd' }, { "file", 1, NULL, 'f' }, { "clients", 1, NULL, 'c' },
		{ "rate", 1, NULL, 'r' }, { "wait", 1, NULL, 'w' }, { "time", 1, NULL, 't' }, { "binary", 0, NULL, 'b' },
		{ "class", 1, NULL, 'x' }, { "log", 1, NULL, 'l' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	const char *file = NULL;
	struct client *all;
	unsigned k;
	int o;

	while ((o = getopt_long(argc, argv, "S:H:P:u:p:d:f:c:r:w:t:bx:l:h", options, NULL)) != -1)
		switch (o) {
		case 'S': sock = optarg; break;
		case 'H': host = optarg; break;
		case 'P': port = (unsigned)atoi(optarg); break;
		case 'u': user = optarg; break;
		case 'p': password = optarg; break;
		case 'd': database = optarg; break;
		case 'f': file = optarg; break;
		case 'c': clients = (unsigned)atoi(optarg); break;
		case 'r': rate = atof(optarg); break;
		case 'w': pause_ms = atof(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 'b': prepared = true; break;
		case 'x': class_name = optarg; break;
		case 'l': log_name = optarg; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs(usage, stderr); return 2;
		}
	if (!file || optind != argc || !clients) {
		fputs(usage, stderr);
		return 2;
	}
	read_file(file);
	all = calloc(clients, sizeof(*all));
	if (!all || mysql_library_init(0, NULL, NULL))
		die("start", "out of memory");
	for (k = 0; k < clients; k++) {
		srand48_r((long)(now_ns() + k * 7919), &all[k].random);
		connect_one(&all[k]);
	}
	begin_at = next_due = now_ns() + SECOND / 20;
	end_at = begin_at + (uint64_t)(seconds * 1e9);
	signal(SIGINT, stop_early);
	signal(SIGTERM, stop_early);
	for (k = 0; k < clients; k++)
		if (pthread_create(&all[k].thread, NULL, client_main, &all[k]))
			die("a thread", strerror(errno));
	for (k = 0; k < clients; k++) {
		pthread_join(all[k].thread, NULL);
		mysql_close(all[k].db);
	}
	report(all);
	return 0;
}

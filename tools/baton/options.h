/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - arguments of every verb, by getopt_long(): -h, --help and --version are the same
 * everywhere, and so is what is said about an option that there is not, or that wants a value.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <getopt.h>
#include <stdio.h>

struct options {
	const char *verb;	/* for messages: "stats", "bench switch" */
	const char *usage;
	int status;		/* the verb's, once options_next() returned OPTIONS_EXIT */
	int begun;
};

enum { OPTIONS_END = -1, OPTIONS_EXIT = -2 };

/*
 * The next option, as getopt_long() returns it: its letter, or `val` of its row; its value is optarg. OPTIONS_END: there are
 * no more, and argv[optind] is the first other argument. OPTIONS_EXIT: the verb ends with o->status, all
 * is said. Rows with the letters h and V are --help and --version: they need no case of their own.
 */
int options_next(struct options *o, int argc, char **argv, const char *letters, const struct option *rows);

/* Says what is wrong with the command line, and how it is used; returns 2. */
__attribute__((format(printf, 2, 3))) int options_wrong(const struct options *o, const char *fmt, ...);

/*
 * The only argument that is no option, a service's name or path: *service is NULL where there is none. Returns 0; or 2, all is
 * said.
 */
int options_service(const struct options *o, int argc, char **argv, const char **service);

/* The text as a terminal can show it: what would control the terminal becomes question marks, in place. */
char *options_printable(char *text);

/* A string of JSON, whatever is in it. */
void options_put_json(FILE *to, const char *s);

/* The rows that every verb has. */
#define OPTIONS_COMMON							\
	{ "help", no_argument, 0, 'h' },				\
	{ "version", no_argument, 0, 'V' },				\
	{ 0 }

#endif

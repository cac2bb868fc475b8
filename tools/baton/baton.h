/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baton.h - what the verbs of the command share. A verb is a function
 * `int verb_NAME(int argc, char **argv)`, argv[0] being its own name, that
 * returns the exit status; baton.c lists it with a line of help.
 */
#ifndef TOOLS_BATON_H
#define TOOLS_BATON_H

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

/* Runs argv[1] of `verbs` (which ends with a NULL name), or explains. */
int verb_dispatch(const char *prefix, const struct verb *verbs, int argc, char **argv);

int verb_bench(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_fleet(int argc, char **argv);
int verb_load(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_unload(int argc, char **argv);
int verb_stacks(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_trace(int argc, char **argv);

int bench_quota(int argc, char **argv);
int bench_switch(int argc, char **argv);
int bench_io(int argc, char **argv);
int bench_queue(int argc, char **argv);
int bench_tasks(int argc, char **argv);
int bench_detect(int argc, char **argv);

#endif

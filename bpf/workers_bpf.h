/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * workers_bpf.h - which worker a task is, for the tracepoints' programs: task
 * storage, so that a task that is none pays for one pointer test.
 */
#ifndef BATON_WORKERS_BPF_H
#define BATON_WORKERS_BPF_H

#include "detect_bpf.h"

/* By BATON_WORKER(). */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} baton_workers SEC(".maps");

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <baton/baton.h> - the whole public interface of libbaton.
 */
#ifndef BATON_BATON_H
#define BATON_BATON_H

#include <baton/base.h>
#include <baton/burst.h>
#include <baton/completion.h>
#include <baton/config.h>
#include <baton/deque.h>
#include <baton/detect.h>
#include <baton/fleet.h>
#include <baton/hooks.h>
#include <baton/io.h>
#include <baton/park.h>
#include <baton/queue.h>
#include <baton/ring.h>
#include <baton/runq.h>
#include <baton/sched.h>
#include <baton/stats.h>
#include <baton/sync.h>
#include <baton/trace.h>
#include <baton/wait.h>
#include <baton/why.h>

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sched/monitor.h - the monitor's thread. */
#ifndef BTN_SCHED_MONITOR_H
#define BTN_SCHED_MONITOR_H

void *btn_monitor_main(void *sched);

#endif

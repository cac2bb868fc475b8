// SPDX-License-Identifier: LGPL-2.1-or-later
/* The notifier: it sleeps until the kernel rings, and looks who blocks then (blocked.c). */
#include "notifier.h"

#include <string.h>

#include "../birth.h"
#include "../core/core.h"
#include "../detect.h"
#include "blocked.h"
#include "gate.h"
#include "idle.h"

static void *notifier_main(void *arg)
{
	struct baton_sched *s = arg;

	btn_birth_own("baton-notifier");
	while (btn_detect_wait(s->detect)) {
		struct btn_wakes wakes = { 0 };

		btn_gate_lock(s);
		btn_blocked_woken(s, s->now);
		if (btn_core_waits(&s->core, s->now))
			btn_blocked_take(s, s->now);
		btn_gate_unlock(s, &wakes);
		btn_idle_rung(s);
	}
	btn_gate_lock(s);
	s->detecting = false;
	btn_gate_release(s);
	return NULL;
}

void btn_notifier_begin(struct baton_sched *s, unsigned workers, uint64_t idle_ns)
{
	if (btn_detect_open(&s->detect, workers + btn_idle_max(), s->how))
		return;
	s->detecting = true;
	btn_idle_begin(s, idle_ns);
	if (pthread_create(&s->notifier, NULL, notifier_main, s)) {
		strcpy(s->how, "no thread for it");
		btn_idle_end(s);
		btn_detect_close(s->detect);
		s->detect = NULL;
		s->detecting = false;
	}
}

void btn_notifier_end(struct baton_sched *s)
{
	if (!s->detect)
		return;
	btn_detect_stop(s->detect);
	pthread_join(s->notifier, NULL);
	btn_idle_end(s);
}

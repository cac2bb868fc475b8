// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The fleet's thread: it hears from the node's agent what the scheduler may use of each quota, and says what was used. What
 * goes over the socket stands in tools/fleet/agent.h, why no second of the fleet is oversold in tools/fleet/held.h, and
 * what ends leases in leased.h.
 *
 * What held.h asks of a scheduler:
 *
 *   - A rate is in force before it is answered. The quota is set with the lock, and what is said was read after that.
 *   - An answer's steps are no less than what the last second's use still has in n tenths: entries of the log count as
 *     a whole until all of them is a second old (btn_account_recent()), and what slices reserved is in each step, as it may be used
 *     at any time from now on. After the last step only such slices can be above the new quota; so a rate is not answered
 *     while more than that quota is reserved.
 *   - Nothing is forgotten: a tenant is not removed, and its account not made anew, while its quota may be another's next.
 *   - Leases end by CLOCK_BOOTTIME, which the agent's words are in. `lease_end` is the same moment of CLOCK_MONOTONIC,
 *     read first, and so not later, as long as the machine is not suspended; after that a timer of CLOCK_BOOTTIME
 *     wakes this thread. In between, for as long as the thread takes to wake, tasks go on by their leases.
 *
 * Another thread is not waited for: what has to be said and finds no room in the socket is said at the next look. The agent is the node's own,
 * and may be wrong all the same: what is no message ends the connection, and nothing of it was done.
 */
#include <baton/fleet.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "../birth.h"
#include "../core/flow.h"
#include "../core/setup.h"
#include "../hooks.h"
#include "../utf8.h"
#include "dispatch.h"
#include "gate.h"
#include "leased.h"
#include "names.h"
#include "pool.h"
#include "self.h"
#include "tenant.h"

#define STACK_SIZE	(256 << 10)
#define STEPS		10
#define STEP		(BTN_SECOND / STEPS)
#define LOOK		(BTN_SECOND / 20)	/* between looks at tenants that use something */
#define LOOK_SOON	(BTN_SECOND / 200)	/* while slices are out of which a quota has less */
#define RETRY		BTN_SECOND		/* between attempts to meet an agent, in the end */
#define RETRY_FIRST	(BTN_SECOND / 100)
#define UNTIL_MOST	(60 * BTN_SECOND)	/* leases that are longer are no agent's */
#define RATE_MOST	(4096 * BTN_SECOND)

/* A quota of a tenant. */
struct share {
	bool told;		/* by the agent of this connection */
	bool due;		/* an answer */
	uint64_t seq, acked;	/* the last rate's, and the last one's that was answered */
	uint64_t base, rate, bought;
	uint64_t rejected;	/* requests, as of the last look */
	uint64_t used[STEPS];	/* as was said last */
	bool is_short, owes;	/* owes: more is reserved than the quota */
	bool failed;		/* no memory for the quota: it is tried again when leases are */
};

struct btn_member {
	struct btn_member *next;
	struct baton_tenant *t;
	struct share share[2];	/* BTN_LOW's and BTN_HIGH's */
	char name[BATON_STATS_NAME];
};

struct baton_fleet {
	struct baton_sched *s;
	struct btn_member *members;
	uint64_t until;		/* CLOCK_BOOTTIME: leases end */
	uint64_t retry, look;	/* likewise: the next of each; BTN_NEVER: none */
	uint64_t pause;		/* before the next attempt to meet an agent */
	unsigned quiet;		/* looks at which nothing was used */
	int sock, timer, stop;
	struct baton_fleet_stats stats;	/* written with the scheduler's lock */
	pthread_t thread;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static const char *const class_name[2] = { "low", "high" };

static uint64_t boot_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * BTN_SECOND + t.tv_nsec;
}

static void note_connection(struct baton_fleet *f, bool connected, const char *how, bool refused)
{
	btn_gate_lock(f->s);
	if (f->stats.connected != connected || !f->stats.since)
		f->stats.since = f->s->now;
	f->stats.connected = connected;
	f->stats.how = how;
	f->stats.refused += refused;
	btn_gate_release(f->s);
}

static void lose_agent(struct baton_fleet *f, const char *how, bool refused)
{
	struct btn_member *m;
	unsigned k;

	if (f->sock >= 0) {
		/* A child of fork() may have the socket, too. */
		shutdown(f->sock, SHUT_RDWR);
		close(f->sock);
	}
	f->sock = -1;
	f->retry = boot_now() + f->pause;
	f->pause = 2 * f->pause < RETRY ? 2 * f->pause : RETRY;
	for (m = f->members; m; m = m->next)
		for (k = 0; k < 2; k++)
			m->share[k].told = m->share[k].due = false;
	note_connection(f, false, how, refused);
}

static void meet_agent(struct baton_fleet *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t len = sizeof(peer);

	f->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, f->path);
	if (f->sock < 0) {
		lose_agent(f, "no more files can be opened", false);
	} else if (connect(f->sock, (struct sockaddr *)&addr, sizeof(addr))) {
		lose_agent(f, "no agent is there", false);
	} else if (getsockopt(f->sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) || (peer.uid && peer.uid != geteuid())) {
		lose_agent(f, "the agent is neither root's nor this user's", true);
	} else {
		f->retry = BTN_NEVER;
		note_connection(f, true, "", false);
	}
}

/* Tasks wait for this quota, or were refused for want of it since the last look. Needs the lock. */
static bool look_short(struct share *h, struct btn_tenant *t, unsigned tier)
{
	uint64_t rejected = btn_stat_get(&btn_tenant_use(t, tier)->rejected);
	bool is_short = rejected != h->rejected;
	const struct btn_flow *f;
	unsigned i;

	h->rejected = rejected;
	for (i = 0; i < BTN_FLOW_TIERS; i++) {
		f = &t->flow[i];
		if (f->throttled && f->tier->index == tier)
			is_short = true;
	}
	/* Tolerant tasks stand in the other tier while this one's quota is used up. */
	f = &t->flow[BTN_FLOW_TOLERANT];
	return is_short || (tier == BTN_LOW && !btn_flow_empty(f) && f->tier && f->tier->index == BTN_HIGH);
}

/* Notes what was used of a share, and what may be yet. Returns whether an answer is due that can be given. Needs the lock. */
static bool look_at(struct baton_fleet *f, struct btn_member *m, unsigned tier)
{
	struct btn_account *a = &m->t->core->acct[tier];
	struct share *h = &m->share[tier];
	bool is_short = look_short(h, m->t->core, tier);
	uint64_t used[STEPS];
	unsigned i;

	btn_account_recent(a, f->s->now, STEP, STEPS, used);
	for (i = 0; i < STEPS; i++)
		used[i] += a->reserved;
	h->owes = a->reserved > a->quota;
	if (!h->owes && h->acked != h->seq) {
		h->acked = h->seq;
		h->due = true;
	}
	if (memcmp(used, h->used, sizeof(used)) || is_short != h->is_short)
		h->due = true;
	memcpy(h->used, used, sizeof(used));
	h->is_short = is_short;
	return h->due;
}

static void say_use(struct baton_fleet *f, struct btn_member *m, unsigned tier)
{
	struct share *h = &m->share[tier];
	char text[400];
	unsigned i;
	int n;

	n = snprintf(text, sizeof(text), "use %llu %s %s %d", (unsigned long long)h->acked, m->name, class_name[tier], h->is_short);
	for (i = 0; i < STEPS; i++)
		n += snprintf(text + n, sizeof(text) - n, " %llu", (unsigned long long)h->used[i]);
	if (send(f->sock, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == n)
		h->due = false;
}

static void answer_agent(struct baton_fleet *f, struct btn_member *m, unsigned tier)
{
	bool due;

	btn_gate_lock(f->s);
	due = look_at(f, m, tier);
	f->stats.uses += due;
	btn_gate_release(f->s);
	if (due && f->sock >= 0)
		say_use(f, m, tier);
}

/* The quota that a rate makes now; low-latency quota no more than may be sold. Needs the lock. */
static uint64_t quota_of(struct baton_fleet *f, const struct btn_member *m, unsigned tier)
{
	const struct btn_core *c = &f->s->core;
	const struct share *h = &m->share[tier];
	uint64_t quota = h->base + (f->s->lease_end == BTN_NEVER ? 0 : h->rate), has = m->t->core->acct[tier].quota, room;

	if (tier != BTN_LOW || quota <= has)
		return quota;
	room = c->low_limit > c->low_sold - has ? c->low_limit - (c->low_sold - has) : 0;
	if (quota <= room)
		return quota;
	f->stats.cut++;
	return room > has ? room : has;
}

/* 0, or -ENOMEM: the quota stays what it was. */
static int set_quota(struct baton_fleet *f, struct btn_member *m, unsigned tier)
{
	struct btn_prealloc mine = { 0 };
	struct baton_sched *s = f->s;
	struct btn_tenant *core;
	struct btn_wakes wakes;
	uint64_t quota;
	int err;

	do {
		wakes = (struct btn_wakes){ 0 };
		btn_gate_lock(s);
		btn_pool_prealloc_begin(s, &mine);
		btn_dispatch_end_cached(s, &wakes);
		core = m->t->core;
		quota = quota_of(f, m, tier);
		err = btn_core_tenant_set(&s->core, core, tier == BTN_LOW ? quota : core->acct[BTN_LOW].quota,
					  tier == BTN_HIGH ? quota : core->acct[BTN_HIGH].quota, s->now);
		if (!err) {
			m->t->leased[tier] = true;
			m->t->base[tier] = m->share[tier].base;
			m->t->bought[tier] = m->share[tier].bought;
		}
		btn_pool_prealloc_end(s, &mine);
		btn_gate_unlock(s, &wakes);
	} while (err == -ENOMEM && btn_prealloc_fill(&mine) > 0);
	btn_prealloc_free(&mine);
	m->share[tier].failed = err;
	return err;
}

/* The member of that name, and its tenant, if there has to be a new one. NULL: no memory. */
static struct btn_member *find_member(struct baton_fleet *f, const char *name)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .name = name };
	struct btn_member *m = NULL;
	struct baton_tenant *t;

	while (baton_tenant_find(f->s, name, &t)) {
		int err = baton_tenant_add(f->s, &t, &o);

		if (err && err != -EEXIST)
			return NULL;
	}
	if (!t->fleet)
		m = btn_mem_zeroed(1, sizeof(*m));
	btn_gate_lock(f->s);
	if (t->fleet || !m || !t->core || t->core->leaving) {
		/* A tenant that is in the fleet already, or was removed just now. */
		btn_mem_free(m);
		m = t->fleet;
		btn_gate_release(f->s);
		baton_tenant_put(t);
		return m;
	}
	t->fleet = m;
	f->stats.tenants++;
	btn_gate_release(f->s);
	m->t = t;
	strcpy(m->name, name);
	m->next = f->members;
	f->members = m;
	return m;
}

/* Reads a word of digits; *text is after it, and after a blank that another word follows. */
static bool read_number(const char **text, uint64_t most, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	do {
		if (*p < '0' || *p > '9' || n > UINT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (uint64_t)(*p++ - '0');
	} while (*p && *p != ' ');
	if (*p && !p[1])
		return false;
	*text = *p ? p + 1 : p;
	*out = n;
	return n <= most;
}

static bool hear_until(struct baton_fleet *f, const char *text)
{
	struct baton_sched *s = f->s;
	uint64_t mono = btn_clock_now(), boot = boot_now(), until;
	struct btn_member *m;
	unsigned k;
	bool before;

	if (!read_number(&text, boot + UNTIL_MOST, &until) || *text)
		return false;
	/* Rates that another agent told, or this one before it lost the socket, are not prolonged. */
	for (m = f->members; m; m = m->next)
		for (k = 0; k < 2; k++)
			if (!m->share[k].told && m->share[k].rate) {
				m->share[k].rate = 0;
				set_quota(f, m, k);
			}
	f->until = until;
	btn_gate_lock(s);
	before = s->lease_end != BTN_NEVER;
	if (until > boot)
		s->lease_end = mono + (until - boot);
	else if (before)
		btn_leased_end(s);
	btn_gate_release(s);
	/* Quotas were base shares until now, if no lease held. */
	for (m = f->members; m && until > boot; m = m->next)
		for (k = 0; k < 2; k++)
			if (m->share[k].told && (!before || m->share[k].failed))
				set_quota(f, m, k);
	return true;
}

/* SEQ TENANT CLASS BASE RATE [BOUGHT], of which an older agent does not say the last. False: it is not that. */
static bool hear_rate(struct baton_fleet *f, const char *text)
{
	uint64_t seq, base, rate, bought = 0;
	char name[BATON_STATS_NAME];
	struct btn_member *m;
	struct share *h;
	const char *end;
	unsigned tier;

	if (!read_number(&text, UINT64_MAX, &seq))
		return false;
	end = strchr(text, ' ');
	if (!end || end == text || end - text >= BATON_STATS_NAME || !btn_utf8_valid(text, end - text))
		return false;
	memcpy(name, text, end - text);
	name[end - text] = 0;
	text = end + 1;
	for (tier = 0; tier < 2; tier++)
		if (!strncmp(text, class_name[tier], strlen(class_name[tier])) && text[strlen(class_name[tier])] == ' ')
			break;
	if (tier == 2)
		return false;
	text += strlen(class_name[tier]) + 1;
	if (!read_number(&text, RATE_MOST, &base) || !read_number(&text, RATE_MOST, &rate) ||
	    (*text && !read_number(&text, UINT64_MAX, &bought)) || *text)
		return false;
	m = find_member(f, name);
	/* Without memory the agent gets no answer, and counts on nothing. */
	if (!m)
		return true;
	h = &m->share[tier];
	h->base = base;
	h->rate = rate;
	h->bought = bought;
	h->seq = seq;
	h->told = true;
	h->acked = 0;
	if (!set_quota(f, m, tier))
		answer_agent(f, m, tier);
	return true;
}

/* The reason for which the agent listens to another scheduler, in words; NULL: the message says no such thing. */
static const char *refusal_of(const char *text)
{
	if (!strcmp(text, "refused joined"))
		return "another scheduler of the node has joined its agent: one has quota at a time";
	if (!strcmp(text, "refused told"))
		return "the process that had the node's quota before lives, and may use its base share";
	return NULL;
}

static void hear_agent(struct baton_fleet *f)
{
	const char *refusal;
	char text[256];
	ssize_t n;
	bool ok;

	while (f->sock >= 0) {
		n = recv(f->sock, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			lose_agent(f, "the agent is gone", false);
			return;
		}
		ok = (size_t)n < sizeof(text);
		if (ok) {
			text[n] = 0;
			ok = strlen(text) == (size_t)n &&
			     (refusal_of(text) || (!strncmp(text, "until ", 6) && hear_until(f, text + 6)) ||
			      (!strncmp(text, "rate ", 5) && hear_rate(f, text + 5)));
		}
		if (ok && (refusal = refusal_of(text))) {
			lose_agent(f, refusal, false);
			return;
		}
		if (!ok) {
			lose_agent(f, "what it said is no agent's", true);
			return;
		}
		btn_gate_lock(f->s);
		f->stats.rates++;
		btn_gate_release(f->s);
		f->pause = RETRY_FIRST;
		f->quiet = 0;
	}
}

/* Looks at each tenant, and says what has changed. */
static void look_at_all(struct baton_fleet *f)
{
	bool used = false, owes = false;
	struct btn_member *m;
	struct share *h;
	unsigned k;

	for (m = f->members; m; m = m->next)
		for (k = 0; k < 2; k++) {
			h = &m->share[k];
			if (!h->told)
				continue;
			answer_agent(f, m, k);
			used = used || h->due || h->is_short || h->used[0];
			owes = owes || (h->owes && h->acked != h->seq);
		}
	f->quiet = used || owes ? 0 : f->quiet + 1;
	f->look = f->sock < 0 ? BTN_NEVER : boot_now() + (owes ? LOOK_SOON : LOOK);
	if (f->sock < 0)
		f->quiet = 1;
	if (f->quiet < 2)
		return;
	f->look = BTN_NEVER;
	btn_gate_lock(f->s);
	atomic_store_explicit(&f->s->fleet_sleeps, true, memory_order_release); /* [FLEET-1] */
	btn_gate_release(f->s);
}

/* The timer goes off at the next of three times; one that is past is now. */
static void set_timer(struct baton_fleet *f)
{
	uint64_t at = f->retry < f->look ? f->retry : f->look;
	struct itimerspec when = { 0 };

	if (f->until && f->until < at)
		at = f->until;
	if (at != BTN_NEVER)
		when.it_value = btn_clock_timespec(at ? at : 1);
	timerfd_settime(f->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void *fleet_main(void *arg)
{
	enum { STOP, WAKE, TIMER, SOCK, N };
	struct baton_fleet *f = arg;
	struct pollfd fd[N] = { { .fd = f->stop }, { .fd = f->s->fleet_wake }, { .fd = f->timer } };
	uint64_t count, now;
	int i;

	btn_birth_own("baton-fleet");
	for (i = 0; i < N; i++)
		fd[i].events = POLLIN;
	for (;;) {
		set_timer(f);
		fd[SOCK].fd = f->sock;
		if (poll(fd, N, -1) < 0 && errno != EINTR)
			break;
		if (fd[STOP].revents)
			break;
		if (fd[TIMER].revents && read(f->timer, &count, sizeof(count)) != sizeof(count))
			continue;
		if (fd[WAKE].revents && eventfd_read(f->s->fleet_wake, &count) == 0) {
			f->quiet = 0;
			f->look = 0;
		}
		now = boot_now();
		if (f->until && now >= f->until) {
			f->until = 0;
			btn_gate_lock(f->s);
			btn_leased_end(f->s);
			btn_gate_release(f->s);
		}
		if (f->sock >= 0)
			hear_agent(f);
		else if (now >= f->retry)
			meet_agent(f);
		if (now >= f->look || (f->look == BTN_NEVER && !f->quiet))
			look_at_all(f);
	}
	return NULL;
}

static void let_go(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int begin_thread(struct baton_fleet *f)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	err = pthread_create(&f->thread, &attr, fleet_main, f);
	pthread_attr_destroy(&attr);
	return -err;
}

/* The scheduler is in the fleet f, or NULL: in none. -EBUSY: in another one. */
static int set_fleet(struct baton_sched *s, struct baton_fleet *f, int *wake)
{
	int err = 0;

	btn_gate_lock(s);
	if (f && s->fleet) {
		err = -EBUSY;
	} else {
		s->fleet = f;
		if (f && s->fleet_wake < 0) {
			s->fleet_wake = *wake;
			*wake = -1;
		}
	}
	btn_gate_release(s);
	return err;
}

static void free_fleet(struct baton_fleet *f)
{
	let_go(f->sock);
	let_go(f->timer);
	let_go(f->stop);
	btn_mem_free(f);
}

int baton_fleet_join(struct baton_fleet **out, struct baton_sched *s, const char *socket)
{
	int saved = errno, err = 0, wake;
	struct baton_fleet *f;
	bool before;

	*out = NULL;
	if (!btn_self_is_here(s->process))
		return -EPERM;
	if (!*socket || strlen(socket) >= sizeof(f->path))
		return -ENAMETOOLONG;
	f = btn_mem_zeroed(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->s = s;
	f->look = BTN_NEVER;
	f->pause = RETRY_FIRST;
	f->stats.how = "no agent was asked yet";
	strcpy(f->path, socket);
	f->sock = -1;
	f->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	f->stop = eventfd(0, EFD_CLOEXEC);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->timer < 0 || f->stop < 0 || wake < 0)
		err = -errno;
	if (!err)
		err = set_fleet(s, f, &wake);
	before = *s->fleet_socket;
	if (!err && !btn_leased_own(s, socket)) {
		set_fleet(s, NULL, NULL);
		err = -EADDRINUSE;
	}
	if (!err) {
		err = begin_thread(f);
		if (err) {
			set_fleet(s, NULL, NULL);
			/* A scheduler that was told nothing has nothing to keep. */
			if (!before)
				btn_leased_disown(s);
		}
	}
	let_go(wake);
	if (err)
		free_fleet(f);
	else
		*out = f;
	errno = saved;
	return err;
}

void baton_fleet_leave(struct baton_fleet *f)
{
	struct btn_member *m, *next;
	struct baton_sched *s;
	int saved = errno;

	if (!f || !btn_self_is_here(f->s->process))
		return;
	s = f->s;
	eventfd_write(f->stop, 1);
	pthread_join(f->thread, NULL);
	/* The agent gives to others what is not used from here on, a second later. */
	btn_gate_lock(s);
	atomic_store_explicit(&s->fleet_sleeps, false, memory_order_release); /* [FLEET-1] */
	btn_leased_end(s);
	for (m = f->members; m; m = m->next)
		m->t->fleet = NULL;
	btn_gate_release(s);
	for (m = f->members; m; m = next) {
		next = m->next;
		baton_tenant_put(m->t);
		btn_mem_free(m);
	}
	set_fleet(s, NULL, NULL);
	free_fleet(f);
	errno = saved;
}

void baton_fleet_stats(struct baton_fleet *f, struct baton_fleet_stats *out, size_t sz)
{
	struct baton_fleet_stats st = { 0 };

	if (btn_self_is_here(f->s->process)) {
		btn_gate_lock(f->s);
		st = f->stats;
		st.leased = f->s->lease_end != BTN_NEVER;
		st.until = st.leased ? f->s->lease_end : 0;
		btn_gate_release(f->s);
	}
	memcpy(out, &st, sz < sizeof(st) ? sz : sizeof(st));
}

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading a page, somebody else's or one's own; what is written how is in
 * page.h. Whatever the file holds, no read goes outside of its mapping; and where
 * the file is cut short while it is read, the mapping becomes zeros (guard.h).
 */
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "guard.h"
#include "hooks.h"

struct baton_stats {
	const char *map;		/* all but the tenants */
	struct baton_stats_header h;	/* the part that does not change */
	int fd;				/* -1: this process's */
	const struct btn_page *page;	/* the page of the process itself, or NULL */
	size_t mapped, per_segment, segments;
	struct btn_guard *guard;	/* a file that became shorter reads as zeros */
	/*
	 * [STATS-2] Segments of the file, mapped by the first thread that needs one; whoever finds
	 * another's there unmaps its own. A release, so that whoever loads it sees what the
	 * mapping has. The guard is written by the one whose mapping stays, and read at the close.
	 */
	struct segment {
		const char *_Atomic at;
		struct btn_guard *guard;
	} *segment;
};

uint64_t baton_hist_bound(unsigned step)
{
	if (step >= BATON_HIST_STEPS - 1)
		return UINT64_MAX;
	if (step < 8)
		return (step + 1) * 256ULL;
	return ((9ULL + step % 8) << (step / 8 - 1)) * 256;
}

uint64_t baton_hist_count(const struct baton_hist *h)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < BATON_HIST_STEPS; i++)
		n += h->n[i];
	return n;
}

uint64_t baton_hist_quantile(const struct baton_hist *h, double q)
{
	uint64_t n = baton_hist_count(h), want, sum = 0;
	unsigned i;

	if (!n)
		return 0;
	/* A bad page may have an n so large that the product is no 64-bit number. */
	want = q * n < 0x1p64 ? (uint64_t)(q * n) : n - 1;
	if (want >= n)
		want = n - 1;
	for (i = 0; i < BATON_HIST_STEPS; i++) {
		sum += h->n[i];
		if (sum > want)
			break;
	}
	return baton_hist_bound(i);
}

void baton_hist_add(struct baton_hist *h, uint64_t ns)
{
	h->sum += ns;
	h->n[btn_hist_step(ns)]++;
}

uint64_t baton_stats_left(const struct baton_stats_use *u, uint64_t now)
{
	uint64_t used = now > u->used_at && now - u->used_at >= 1000000000 ? 0 : u->used;

	return u->quota > used ? u->quota - used : 0;
}

/* ------------------------------------------------------------------ copying */

static uint64_t look(const uint64_t *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_acquire); /* [STATS-1] */
}

/* From the last word to the first. */
static void copy(void *to, const void *from, size_t size)
{
	const uint64_t *f = from;
	uint64_t *t = to;
	size_t n;

	for (n = size / sizeof(*t); n--;)
		t[n] = look(&f[n]);
}

/* Gives what of the record the caller knows, and zeros where it knows more. */
static void give(void *out, size_t sz, const void *from, size_t size)
{
	memcpy(out, from, sz < size ? sz : size);
	if (sz > size)
		memset((char *)out + size, 0, sz - size);
}

static const void *table(const struct baton_stats *st, uint64_t at, uint64_t size, uint64_t i)
{
	return st->map + at + i * size;
}

/* A tenant's record, below tenants_used; NULL: it cannot be mapped. */
static const struct baton_stats_tenant *tenant_record(const struct baton_stats *st, uint64_t i)
{
	size_t k = i / st->per_segment, size = st->per_segment * st->h.tenant_size;
	const char *m, *theirs = NULL;
	struct btn_guard *guard;
	off_t at = (off_t)(st->h.tenants_at + k * size);

	if (st->page) {
		m = st->page->segment[k];
	} else {
		m = atomic_load_explicit(&st->segment[k].at, memory_order_acquire); /* [STATS-2] */
		if (!m) {
			m = mmap(NULL, size, PROT_READ, MAP_SHARED, st->fd, at);
			if (m == MAP_FAILED)
				return NULL;
			guard = btn_guard_add(m, size);
			if (guard && atomic_compare_exchange_strong_explicit(&st->segment[k].at, &theirs, m,
				memory_order_release, memory_order_acquire)) { /* [STATS-2] */
				st->segment[k].guard = guard;
			} else {
				btn_guard_drop(guard);
				munmap((void *)m, size);
				m = theirs;
			}
			if (!m)
				return NULL;
		}
	}
	return (const struct baton_stats_tenant *)(m + i % st->per_segment * st->h.tenant_size);
}

void baton_stats_header(const struct baton_stats *st, struct baton_stats_header *out, size_t sz)
{
	struct baton_stats_header h;

	copy(&h, st->map, sizeof(h));
	h.name[sizeof(h.name) - 1] = 0;
	/* These are looked at once, so that nobody can change them afterwards. */
	memcpy(&h, &st->h, offsetof(struct baton_stats_header, pid));
	if (h.tenants_used > h.tenants)
		h.tenants_used = h.tenants;
	give(out, sz, &h, sizeof(h));
}

int baton_stats_tier(const struct baton_stats *st, unsigned i, struct baton_stats_tier *out, size_t sz)
{
	struct baton_stats_tier t;

	if (i >= st->h.tiers)
		return -ENOENT;
	copy(&t, table(st, st->h.tiers_at, st->h.tier_size, i), sizeof(t));
	t.name[sizeof(t.name) - 1] = t.policy[sizeof(t.policy) - 1] = 0;
	give(out, sz, &t, sizeof(t));
	return 0;
}

int baton_stats_slot(const struct baton_stats *st, unsigned i, struct baton_stats_slot *out, size_t sz)
{
	struct baton_stats_slot s;

	if (i >= st->h.slots || i >= look(&((const struct baton_stats_header *)st->map)->slots_open))
		return -ENOENT;
	copy(&s, table(st, st->h.slots_at, st->h.slot_size, i), sizeof(s));
	s.idle = btn_stat_idle(s.idle, btn_clock_now());
	give(out, sz, &s, sizeof(s));
	return 0;
}

int baton_stats_tenant(const struct baton_stats *st, unsigned i, struct baton_stats_tenant *out, size_t sz)
{
	const struct baton_stats_tenant *from;
	struct baton_stats_tenant t;
	uint64_t generation, used = look(&((const struct baton_stats_header *)st->map)->tenants_used);
	unsigned tries = 100;

	if (i >= used || i >= st->h.tenants)
		return -ENOENT;
	from = tenant_record(st, i);
	if (!from)
		return -EAGAIN;
	do {
		generation = look(&from->generation);
		if (!generation || generation & 1)
			return -EAGAIN;
		copy(&t, from, st->h.tenant_size);
	} while (look(&from->generation) != generation && --tries);
	if (!tries)
		return -EAGAIN;
	t.name[sizeof(t.name) - 1] = 0;
	give(out, sz, &t, st->h.tenant_size);
	return 0;
}

/* ------------------------------------------------------------------ opening */

__attribute__((format(printf, 4, 5)))
static int refuse(int err, char *why, size_t room, const char *fmt, ...)
{
	va_list ap;

	if (why && room) {
		va_start(ap, fmt);
		vsnprintf(why, room, fmt, ap);
		va_end(ap);
	}
	return err;
}

/* A table of n records within a file of so many bytes. */
static bool fits(uint64_t at, uint64_t n, uint64_t size, uint64_t want, uint64_t whole)
{
	return size == want && !(at & 7) && at >= sizeof(struct baton_stats_header) && at <= whole &&
	       n <= (whole - at) / size;
}

/* No more than a service can have: so a reader's work and memory are limited. */
static bool sound(const struct baton_stats_header *h, uint64_t whole)
{
	/* The tenants' table is the last one: what is before it is mapped as one. */
	uint64_t fixed = h->tenants_at < whole ? h->tenants_at : whole;

	return h->size == whole && h->rings == h->slots + 1 &&
	       fits(h->rings_at, h->rings, h->ring_size, sizeof(struct btn_ring), fixed) &&
	       h->slots <= BTN_PAGE_SLOTS && h->header_size == sizeof(*h) && h->tiers <= BATON_TIERS_MAX &&
	       h->tenants <= BTN_PAGE_TENANTS &&
	       fits(h->tiers_at, h->tiers, h->tier_size, sizeof(struct baton_stats_tier), fixed) &&
	       fits(h->slots_at, h->slots, h->slot_size, sizeof(struct baton_stats_slot), fixed) &&
	       fits(h->tenants_at, h->tenants, h->tenant_size,
		    offsetof(struct baton_stats_tenant, tier) + h->tiers * sizeof(struct baton_stats_use), whole);
}

static int open_path(struct baton_stats **out, const char *path, char *why, size_t room)
{
	struct baton_stats *st = btn_mem_zeroed(1, sizeof(*st));
	struct stat file;
	char says[128];
	void *map;
	int err;

	if (!st)
		return -ENOMEM;
	st->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (st->fd < 0 || fstat(st->fd, &file)) {
		err = -errno;
		refuse(err, why, room, "%s: %s", path, strerror_r(errno, says, sizeof(says)));
		goto fail;
	}
	err = -EBADMSG;
	if (!S_ISREG(file.st_mode) || pread(st->fd, &st->h, sizeof(st->h), 0) < 16 ||
	    st->h.magic != BATON_STATS_MAGIC) {
		refuse(err, why, room, "%s: not a file that baton_stats_publish() made", path);
		goto fail;
	}
	if (st->h.version != BATON_STATS_VERSION) {
		err = refuse(-EPROTONOSUPPORT, why, room, "%s: of version %llu, and this reads version %d: "
			     "use the baton that the service was built with", path,
			     (unsigned long long)st->h.version, BATON_STATS_VERSION);
		goto fail;
	}
	if (!sound(&st->h, file.st_size)) {
		refuse(err, why, room, "%s: damaged: what its header says does not fit its size", path);
		goto fail;
	}
	st->mapped = st->h.tenants_at;
	st->per_segment = btn_page_per_segment(st->h.tenant_size);
	st->segments = (st->h.tenants + st->per_segment - 1) / st->per_segment;
	st->segment = btn_mem_zeroed(st->segments + 1, sizeof(*st->segment));
	map = st->segment ? mmap(NULL, st->mapped, PROT_READ, MAP_SHARED, st->fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED) {
		err = -errno;
		refuse(err, why, room, "%s: %s", path, strerror_r(errno, says, sizeof(says)));
		goto fail;
	}
	st->guard = btn_guard_add(map, st->mapped);
	if (!st->guard) {
		munmap(map, st->mapped);
		err = -ENOMEM;
		goto fail;
	}
	st->map = map;
	*out = st;
	return 0;
fail:
	if (st->fd >= 0)
		close(st->fd);
	btn_mem_free(st->segment);
	btn_mem_free(st);
	return err;
}

/* The only file of the directory, by its path. */
static int only_one(char *path, size_t size, char *why, size_t room)
{
	char names[512] = "";
	struct dirent *e;
	int found = 0, n;
	size_t at = 0;
	DIR *dir;

	path[strlen(path) - 1] = 0;	/* leave out the name ".", which was asked for */
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.') {
			n = snprintf(names + at, sizeof(names) - at, "%s%s", found++ ? " " : "", e->d_name);
			at = at + n < sizeof(names) ? at + n : sizeof(names) - 1;
		}
	if (dir)
		closedir(dir);
	if (!found)
		return refuse(-ENOENT, why, room, "no service published its figures in %s", path);
	if (found > 1)
		return refuse(-ENOENT, why, room, "which service? there are: %s", names);
	n = snprintf(path + strlen(path), size - strlen(path), "%s", names);
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int baton_stats_open(struct baton_stats **out, const char *name, char *why, size_t room)
{
	char path[4096];
	int err, saved = errno;

	*out = NULL;
	if (why && room)
		*why = 0;
	err = btn_page_path(name && *name ? name : "-", path, sizeof(path), false);
	if (err == -ENOENT)
		refuse(err, why, room, "neither XDG_RUNTIME_DIR nor BATON_RUN_DIR is set, which say where services are");
	else if (err)
		refuse(err, why, room, "\"%s\" is no name of a service", name);
	if (!err && (!name || !*name))
		err = only_one(path, sizeof(path), why, room);
	if (!err)
		err = open_path(out, path, why, room);
	errno = saved;
	return err;
}

void baton_stats_close(struct baton_stats *st)
{
	size_t i;
	void *m;

	if (!st)
		return;
	for (i = 0; i < st->segments; i++) {
		m = (void *)atomic_load_explicit(&st->segment[i].at, memory_order_relaxed); /* [STATS-2] */
		btn_guard_drop(st->segment[i].guard);
		if (m)
			munmap(m, st->per_segment * st->h.tenant_size);
	}
	if (st->fd >= 0) {
		btn_guard_drop(st->guard);
		munmap((void *)st->map, st->mapped);
		close(st->fd);
	}
	btn_mem_free(st->segment);
	btn_mem_free(st);
}

bool baton_stats_alive(const struct baton_stats *st)
{
	int saved = errno;
	bool alive;

	if (st->fd < 0)
		return true;
	/* The magic word is gone where the file was cut short. */
	alive = btn_page_locked(st->fd) && !look(&((const struct baton_stats_header *)st->map)->ended) &&
		look(&((const struct baton_stats_header *)st->map)->magic) == BATON_STATS_MAGIC;
	errno = saved;
	return alive;
}

/* ------------------------------------------------------------------ tracing */

static struct baton_stats_header *header(const struct baton_stats *st)
{
	return (struct baton_stats_header *)st->map;
}

int baton_trace_start(struct baton_stats *st, uint64_t until)
{
	uint64_t now = btn_clock_now();
	int fd, err = 0, saved = errno;
	char path[64];

	if (until > now && until - now > BATON_TRACE_MAX)
		return -EINVAL;
	if (!baton_stats_alive(st))
		return -ESRCH;
	if (st->fd < 0) {
		btn_stat_set(&header(st)->trace_until, until);
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", st->fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &until, sizeof(until), offsetof(struct baton_stats_header, trace_until)) !=
			      sizeof(until))
		err = -errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return err;
}

bool baton_trace_active(const struct baton_stats *st)
{
	return look(&header(st)->trace_until) != 0;
}

unsigned baton_trace_read(const struct baton_stats *st, unsigned ring, uint64_t *next,
			  struct baton_trace_event *out, unsigned max, uint64_t *lost)
{
	const struct btn_ring *r;
	uint64_t head, first;
	unsigned n, skip;

	if (ring >= st->h.rings)
		return 0;
	r = table(st, st->h.rings_at, st->h.ring_size, ring);
	head = look(&r->head);
	if (*next > head)
		*next = head;
	if (head - *next > BTN_RING) {
		*lost += head - *next - BTN_RING;
		*next = head - BTN_RING;
	}
	first = *next;
	for (n = 0; n < max && first + n < head; n++)
		copy(&out[n], &r->event[(first + n) % BTN_RING], sizeof(out[n]));
	/* Drop the events that may have been overwritten meanwhile. */
	head = look(&r->head);
	skip = head - first < BTN_RING ? 0 : head - first - BTN_RING + 1 < n ? head - first - BTN_RING + 1 : n;
	if (skip)
		memmove(out, out + skip, (n - skip) * sizeof(*out));
	*lost += skip;
	*next = first + n;
	return n - skip;
}

int btn_stats_attach(struct baton_stats **out, const struct btn_page *page)
{
	struct baton_stats *st = *out = btn_mem_zeroed(1, sizeof(*st));

	if (!st)
		return -ENOMEM;
	st->fd = -1;
	st->page = page;
	st->per_segment = page->per_segment;
	st->map = (const char *)page->h;
	copy(&st->h, page->h, sizeof(st->h));
	return 0;
}

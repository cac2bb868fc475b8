// SPDX-License-Identifier: LGPL-2.1-or-later
/* The page's memory and its file; who may write and how is in page.h. */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "inject.h"

#define TENANTS		BTN_PAGE_TENANTS
/* A segment has at least so many records. */
#define SEGMENT_MIN	512
/* Records that get their part of the file at once. */
#define TENANTS_BATCH	16
#define HEADER_SIZE	4096
/* A free record's `added` is the place of the next one. */
#define FREE_NEXT(T)	((T)->added)

static size_t pages(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) & ~(page - 1);
}

struct baton_stats_tier *btn_page_tier(struct btn_page *p, unsigned i)
{
	return (struct baton_stats_tier *)((char *)p->h + p->h->tiers_at) + i;
}

static struct baton_stats_tenant *record(struct btn_page *p, uint64_t i)
{
	return (struct baton_stats_tenant *)(p->segment[i / p->per_segment] + i % p->per_segment * p->tenant_size);
}

static size_t segment_size(const struct btn_page *p)
{
	return p->per_segment * p->tenant_size;
}

static size_t segments_of(const struct btn_page *p)
{
	return (TENANTS + p->per_segment - 1) / p->per_segment;
}

size_t btn_page_per_segment(size_t tenant_size)
{
	size_t n = SEGMENT_MIN;

	while (pages(n * tenant_size) != n * tenant_size)
		n *= 2;
	return n;
}

size_t btn_page_segments(const struct btn_page *p, size_t more, size_t *size)
{
	size_t used = btn_stat_get(&p->h->tenants_used), first, last;

	*size = segment_size(p);
	last = used + more < TENANTS ? used + more : TENANTS;
	first = (used + p->per_segment - 1) / p->per_segment;
	last = (last + p->per_segment - 1) / p->per_segment;
	while (first < last && p->segment[first])
		first++;
	return last - first;
}

int btn_page_create(struct btn_page *p, unsigned slots, unsigned tiers)
{
	struct baton_stats_header h = {
		.magic = BATON_STATS_MAGIC,
		.version = BATON_STATS_VERSION,
		.header_size = sizeof(h),
		.tiers = tiers,
		.tier_size = sizeof(struct baton_stats_tier),
		.slots = slots,
		.slot_size = sizeof(struct baton_stats_slot),
		.tenants = TENANTS,
		.tenant_size = offsetof(struct baton_stats_tenant, tier) + tiers * sizeof(struct baton_stats_use),
	};
	void *m;

	h.tiers_at = HEADER_SIZE;
	h.slots_at = h.tiers_at + pages(tiers * h.tier_size);
	h.rings = slots + 1;
	h.ring_size = sizeof(struct btn_ring);
	h.rings_at = h.slots_at + pages(slots * h.slot_size);
	h.tenants_at = h.rings_at + pages(h.rings * h.ring_size);
	memset(p, 0, sizeof(*p));
	p->tenant_size = h.tenant_size;
	p->per_segment = btn_page_per_segment(h.tenant_size);
	h.size = h.tenants_at + segments_of(p) * segment_size(p);
	p->segment = calloc(segments_of(p), sizeof(*p->segment));
	if (!p->segment)
		return -ENOMEM;
	p->size = h.tenants_at;
	m = BTN_FAIL("page:map") ? MAP_FAILED :
	    mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED) {
		free(p->segment);
		return -ENOMEM;
	}
	p->h = m;
	p->slots = (struct baton_stats_slot *)((char *)m + h.slots_at);
	p->fd = -1;
	*p->h = h;
	return 0;
}

void btn_page_start(struct btn_page *p, unsigned slots, uint64_t now)
{
	unsigned i;

	btn_stat_set(&p->h->started, now);
	for (i = 0; i < slots; i++) {
		btn_stat_set(&p->slots[i].since, now);
		btn_stat_set(&p->slots[i].idle, -now);
	}
}

void btn_page_destroy(struct btn_page *p)
{
	struct stat mine, there;
	size_t i;

	if (p->path) {
		btn_stat_set(&p->h->ended, btn_clock_now());
		/* Unless somebody put another file there. */
		if (!fstat(p->fd, &mine) && !stat(p->path, &there) && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			unlink(p->path);
		close(p->fd);
		free(p->path);
	}
	for (i = 0; i < segments_of(p); i++)
		if (p->segment[i])
			btn_prealloc_unmap(p->segment[i], segment_size(p));
	free(p->segment);
	munmap(p->h, p->size);
}

/* ------------------------------------------------------------------ tenants */

/* Memory of the file up to this record. */
static bool have_room(struct btn_page *p, uint64_t i)
{
	uint64_t upto = i + TENANTS_BATCH;
	int err;

	if (p->fd < 0 || i < p->allocated)
		return true;
	if (upto > TENANTS)
		upto = TENANTS;
	BTN_EXCUSED("memory of the published file",
		    err = posix_fallocate(p->fd, p->h->tenants_at + p->allocated * p->tenant_size,
					  (upto - p->allocated) * p->tenant_size));
	if (err)
		return false;
	p->allocated = upto;
	return true;
}

/* The file's part at the segment's address. */
static bool map_segment(struct btn_page *p, size_t i, int fd)
{
	void *at;

	BTN_EXCUSED("memory of the published file",
		    at = mmap(p->segment[i], segment_size(p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			      p->h->tenants_at + i * segment_size(p)));
	return at != MAP_FAILED;
}

/* The segment of this record; false: the pool has none, or the file could not be mapped. */
static bool have_segment(struct btn_page *p, struct btn_prealloc *prealloc, uint64_t i)
{
	size_t k = i / p->per_segment;

	if (p->segment[k])
		return true;
	p->segment[k] = btn_prealloc_take(prealloc, BTN_PREALLOC_SEGMENT, segment_size(p));
	if (!p->segment[k] || p->fd < 0 || map_segment(p, k, p->fd))
		return p->segment[k];
	btn_prealloc_unmap(p->segment[k], segment_size(p));
	p->segment[k] = NULL;
	return false;
}

/* The place of a record in the table, plus 1; 0: it is not in the table. */
static uint64_t place_of(const struct btn_page *p, const struct baton_stats_tenant *t)
{
	const char *at = (const char *)t;
	size_t i;

	for (i = 0; i < segments_of(p) && p->segment[i]; i++)
		if (at >= p->segment[i] && at < p->segment[i] + segment_size(p))
			return i * p->per_segment + (at - p->segment[i]) / p->tenant_size + 1;
	return 0;
}

struct baton_stats_tenant *btn_page_tenant(struct btn_page *p, struct btn_prealloc *prealloc)
{
	struct baton_stats_tenant *t = p->free;
	uint64_t used = btn_stat_get(&p->h->tenants_used), next, *w, *end;

	if (t) {
		next = btn_stat_get(&FREE_NEXT(t));
		p->free = next ? record(p, next - 1) : NULL;
	} else if (used < TENANTS && have_room(p, used)) {
		if (!have_segment(p, prealloc, used))
			return NULL;
		t = record(p, used);
		btn_stat_set(&p->h->tenants_used, used + 1);
	} else {
		t = btn_prealloc_take(prealloc, BTN_PREALLOC_STATS, p->tenant_size);
		if (!t)
			return NULL;
		btn_stat_add(&p->h->tenants_unlisted, 1);
	}
	/* Odd since it was given up; 0 where it is new. */
	next = btn_stat_get(&t->generation) | 1;
	btn_stat_set(&t->generation, next);
	end = (uint64_t *)((char *)t + p->tenant_size);
	for (w = &t->generation + 1; w < end; w++)
		if (btn_stat_get(w))
			btn_stat_set(w, 0);
	btn_stat_set(&t->id, ++p->ids);
	btn_stat_set(&t->state, 1);
	return t;
}

void btn_page_tenant_show(struct baton_stats_tenant *t)
{
	uint64_t generation = btn_stat_get(&t->generation);

	if (generation & 1)
		btn_stat_set(&t->generation, generation + 1);
}

void btn_page_tenant_free(struct btn_page *p, struct btn_prealloc *prealloc, struct baton_stats_tenant *t)
{
	uint64_t place = place_of(p, t);

	if (!place) {
		btn_stat_add(&p->h->tenants_unlisted, -1);
		btn_prealloc_give(prealloc, t);
		return;
	}
	/* Odd, and another one, also where it was never shown. */
	btn_stat_set(&t->generation, (btn_stat_get(&t->generation) + 1) | 1);
	btn_stat_set(&t->state, 0);
	btn_stat_set(&FREE_NEXT(t), p->free ? place_of(p, p->free) : 0);
	p->free = t;
}

void btn_page_name(uint64_t *words, size_t bytes, const char *name)
{
	uint64_t w[BATON_STATS_NAME / sizeof(uint64_t)] = { 0 };
	size_t n = strlen(name), i;

	if (n >= bytes)
		for (n = bytes - 1; n && ((unsigned char)name[n] & 0xc0) == 0x80; n--)
			;
	memcpy(w, name, n);
	for (i = 0; i < bytes / sizeof(uint64_t); i++)
		btn_stat_set(&words[i], w[i]);
}

/* ------------------------------------------------------------------- tracing */

void btn_trace_add(struct btn_ring *ring, uint64_t now, unsigned type, unsigned detail, unsigned tier,
		   uint64_t tenant, uint64_t request, const void *task)
{
	uint64_t head = btn_stat_get(&ring->head);
	struct baton_trace_event *e = &ring->event[head % BTN_RING];

	btn_stat_set(&e->time, now);
	btn_stat_set(&e->what, type | detail << 8 | tier << 16 | tenant << 32);
	btn_stat_set(&e->request, request);
	btn_stat_set(&e->task, (uintptr_t)task);
	btn_stat_set(&ring->head, head + 1);
}

void btn_page_trace(struct btn_page *p, uint64_t now)
{
	struct baton_stats_header *h = p->h;
	uint64_t until = btn_stat_get(&h->trace_until);

	if (!until && !p->rings)
		return;
	if (until <= now || until - now > BATON_TRACE_MAX) {
		p->rings = NULL;
		btn_stat_set(&h->trace_until, 0);
	} else if (!p->rings) {
		if (p->fd >= 0 && posix_fallocate(p->fd, h->rings_at, h->rings * h->ring_size))
			btn_stat_set(&h->trace_until, 0);
		else
			p->rings = (struct btn_ring *)((char *)h + h->rings_at);
	}
}

/* ----------------------------------------------------------------- the file */

int btn_page_path(const char *name, char *path, size_t room, bool make)
{
	const char *dir, *sub = "/baton", *own = secure_getenv("BATON_RUN_DIR");
	int n;

	if (strchr(name, '/'))
		return snprintf(path, room, "%s", name) < (int)room ? 0 : -ENAMETOOLONG;
	if (strlen(name) >= BATON_STATS_NAME || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	if (own) {
		dir = own;
		sub = "";
	} else {
		dir = geteuid() ? secure_getenv("XDG_RUNTIME_DIR") : "/run";
		if (!dir)
			return -ENOENT;
	}
	n = snprintf(path, room, "%s%s", dir, sub);
	if (n < (int)room && make && mkdir(path, geteuid() ? 0700 : 0755) && errno != EEXIST)
		return -errno;
	if (n < (int)room)
		n += snprintf(path + n, room - n, "/%s", name);
	return n < (int)room ? 0 : -ENAMETOOLONG;
}

/*
 * The locks here are open file description locks, and only write locks count: they
 * want a descriptor that can write, which a reader of the file does not get. Who
 * may read a page can lock it (flock, F_RDLCK), and its directory too (flock); nothing here
 * waits for such a lock or fails because of it.
 */
bool btn_page_locked(int fd)
{
	/* Against F_RDLCK stands a write lock and nothing else. */
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_WRLCK;
}

/* Looks at what stands under @base: 0 for nothing, or for what a dead process left. */
static int look_there(int dir, const char *base)
{
	uint64_t magic = 0;
	struct stat st;
	int fd = openat(dir, base, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err = -EEXIST;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno == ELOOP ? -EEXIST : -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    (!st.st_size || (pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == BATON_STATS_MAGIC)))
		err = btn_page_locked(fd) ? -EADDRINUSE : 0;
	close(fd);
	return err;
}

static int write_all(int fd, const char *from, size_t n, off_t to)
{
	size_t at;
	ssize_t done;

	for (at = 0; at < n; at += done) {
		done = pwrite(fd, from + at, n - at, to + at);
		if (done < 0 && errno == EINTR)
			done = 0;
		if (done < 0)
			return -errno;
	}
	return 0;
}

/*
 * Everything so far into the file, and the file where the memory was. Where the mapping of a part
 * fails, those before it are the file's and the others are not: the figures go on, and the file
 * is removed. Events of a trace are lost: their rings get memory when the next one is asked for.
 */
static int take_over(struct btn_page *p, int fd)
{
	uint64_t used = btn_stat_get(&p->h->tenants_used), upto, at = p->h->tenants_at, left;
	size_t i, n;
	int err;

	upto = used + TENANTS_BATCH < TENANTS ? used + TENANTS_BATCH : TENANTS;
	if (ftruncate(fd, p->h->size))
		return -errno;
	err = -posix_fallocate(fd, 0, p->h->rings_at);
	if (!err)
		err = -posix_fallocate(fd, at, upto * p->tenant_size);
	if (!err)
		err = write_all(fd, (const char *)p->h, p->h->rings_at, 0);
	for (left = used, i = 0; !err && left; left -= n, i++) {
		n = left < p->per_segment ? left : p->per_segment;
		err = write_all(fd, p->segment[i], n * p->tenant_size, at + i * segment_size(p));
	}
	if (err)
		return err;
	if (mmap(p->h, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	for (i = 0; i < segments_of(p) && p->segment[i]; i++)
		if (!map_segment(p, i, fd))
			return -errno;
	p->rings = NULL;
	p->allocated = upto;
	return 0;
}

static bool has_name(int dir, const char *name, const struct stat *st)
{
	struct stat there;

	return !fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) && there.st_ino == st->st_ino &&
	       there.st_dev == st->st_dev;
}

#define TRIES 100

/*
 * The file under another name, which only this user can open: the descriptor. Its lock is
 * what two publishers of one name exclude each other by, from before they look whether the name is in
 * use until it is theirs:
 *
 *	without				with
 *	A: no service there		A: locks .svc.tmp
 *	B: no service there		A: no service there
 *	A: rename			B: .svc.tmp is locked: in use
 *	B: rename, over A's page	A: rename: the locked file is svc
 *
 * A dead process may have left the file: then it is locked by no process, and used again. The mode
 * that lets others read is set after the file has its name, so no leftover is theirs to lock.
 */
static int open_new(int dir, const char *tmp)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	int fd, err, tries;

	for (tries = 0; tries < TRIES; tries++) {
		fd = openat(dir, tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0)
			return errno == ELOOP ? -EEXIST : -errno;
		err = fstat(fd, &st) ? -errno : 0;
		if (!err && has_name(dir, tmp, &st)) {
			if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077 || st.st_nlink > 1)
				err = -EEXIST;
			else if (fcntl(fd, F_OFD_SETLK, &lock))
				err = errno == EAGAIN || errno == EACCES ? -EADDRINUSE : -errno;
			/* The process that had the lock until now may have renamed the file, or removed it. */
			else if (has_name(dir, tmp, &st))
				return fd;
		}
		close(fd);
		if (err)
			return err;
	}
	return -EADDRINUSE;
}

static int make_file(struct btn_page *p, int dir, const char *base, unsigned mode)
{
	char tmp[NAME_MAX + 1];
	int fd, err;

	if (snprintf(tmp, sizeof(tmp), ".%s.tmp", base) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open_new(dir, tmp);
	if (fd < 0)
		return fd;
	err = look_there(dir, base);
	if (!err && ftruncate(fd, 0))
		err = -errno;
	if (!err)
		err = take_over(p, fd);
	if (!err && renameat(dir, tmp, dir, base))
		err = -errno;
	if (err) {
		unlinkat(dir, tmp, 0);
		close(fd);
		return err;
	}
	if (mode != 0600 && fchmod(fd, mode)) {
		err = -errno;
		unlinkat(dir, base, 0);
		close(fd);
		return err;
	}
	p->fd = fd;
	return 0;
}

int btn_page_publish(struct btn_page *p, const char *name, unsigned mode)
{
	char path[PATH_MAX], whole[PATH_MAX], *base;
	int dir, err;

	if (p->fd >= 0)
		return -EALREADY;
	if (!mode)
		mode = 0600;
	if (!*name || (mode != 0600 && mode != 0640 && mode != 0644))
		return -EINVAL;
	err = btn_page_path(name, path, sizeof(path), true);
	if (err)
		return err;
	base = strrchr(path, '/');
	*base++ = 0;
	/* Wherever the service goes, at its end it removes the same file. */
	if (!realpath(*path ? path : "/", whole))
		return -errno;
	dir = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (asprintf(&p->path, "%s/%s", whole, base) < 0) {
		p->path = NULL;
		close(dir);
		return -ENOMEM;
	}
	btn_page_name((uint64_t *)p->h->name, sizeof(p->h->name), base);
	btn_stat_set(&p->h->pid, getpid());
	err = make_file(p, dir, base, mode);
	close(dir);
	if (err) {
		free(p->path);
		p->path = NULL;
	}
	return err;
}

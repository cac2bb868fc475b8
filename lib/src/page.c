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
#include "hooks.h"
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

static uint64_t segment_at(const struct btn_page *p, size_t i)
{
	return p->h->tenants_at + i * segment_size(p);
}

static uint64_t record_at(const struct btn_page *p, uint64_t i)
{
	return p->h->tenants_at + i * p->tenant_size;
}

/* The file is to have memory for the records from what it has to this one, and some more. */
static void want_room(const struct btn_page *p, struct btn_prealloc *prealloc, uint64_t upto)
{
	struct btn_prealloc_file *f = &prealloc->file;

	upto = upto + TENANTS_BATCH < TENANTS ? upto + TENANTS_BATCH : TENANTS;
	if (p->fd < 0 || upto <= p->allocated)
		return;
	if (f->number != p->files)
		*f = (struct btn_prealloc_file){ .number = p->files, .fd = p->fd };
	f->at = record_at(p, p->allocated);
	f->upto = record_at(p, upto);
	f->asked = false;
}

void btn_page_want(const struct btn_page *p, struct btn_prealloc *prealloc, size_t more)
{
	size_t used = btn_stat_get(&p->h->tenants_used), first, last, all = used + more < TENANTS ? used + more : TENANTS;

	first = (used + p->per_segment - 1) / p->per_segment;
	last = (all + p->per_segment - 1) / p->per_segment;
	while (first < last && p->segment[first])
		first++;
	btn_prealloc_want_segments(prealloc, last - first, segment_size(p), p->fd < 0 ? 0 : p->files, p->fd, segment_at(p, first));
	if (all > p->allocated && !(prealloc->file.asked && prealloc->file.upto >= record_at(p, all)))
		want_room(p, prealloc, all);
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
	p->segment = btn_mem_zeroed(segments_of(p), sizeof(*p->segment));
	if (!p->segment)
		return -ENOMEM;
	p->size = h.tenants_at;
	m = BTN_FAIL("page:map") ? MAP_FAILED :
	    mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED) {
		btn_mem_free(p->segment);
		return -ENOMEM;
	}
	p->h = m;
	p->slots = (struct baton_stats_slot *)((char *)m + h.slots_at);
	p->fd = p->orphan = -1;
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
		btn_mem_free(p->path);
	}
	if (p->fd >= 0)
		close(p->fd);
	if (p->orphan >= 0)
		close(p->orphan);
	for (i = 0; i < segments_of(p); i++)
		if (p->segment[i])
			btn_prealloc_unmap(p->segment[i], segment_size(p));
	btn_mem_free(p->segment);
	munmap(p->h, p->size);
}

/* ------------------------------------------------------------------ tenants */

enum room { NO_ROOM, ROOM, ROOM_WANTED };

/* Whether the file has memory up to this record; WANTED: the pool's next filling sees to that. */
static enum room have_room(struct btn_page *p, struct btn_prealloc *prealloc, uint64_t i)
{
	const struct btn_prealloc_file *f;

	if (p->fd < 0 || i < p->allocated)
		return ROOM;
	/* For callers without a lock. */
	if (!prealloc) {
		struct btn_prealloc own = { 0 };

		want_room(p, &own, i);
		btn_prealloc_fill(&own);
		return have_room(p, &own, i);
	}
	f = &prealloc->file;
	if (f->number != p->files || !f->asked || f->upto <= record_at(p, i) || f->at > record_at(p, p->allocated)) {
		want_room(p, prealloc, i);
		return ROOM_WANTED;
	}
	if (f->err)
		return NO_ROOM;
	p->allocated = (f->upto - p->h->tenants_at) / p->tenant_size;
	return ROOM;
}

/* The file's part at the segment's address. */
static bool map_segment(struct btn_page *p, size_t i, int fd)
{
	return mmap(p->segment[i], segment_size(p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, segment_at(p, i)) != MAP_FAILED;
}

/* The segment of this record; false: the pool has none. */
static bool have_segment(struct btn_page *p, struct btn_prealloc *prealloc, uint64_t i)
{
	size_t k = i / p->per_segment;

	if (!p->segment[k])
		p->segment[k] = btn_prealloc_take_segment(prealloc, segment_size(p), p->fd < 0 ? 0 : p->files, p->fd, segment_at(p, k));
	return p->segment[k];
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
	enum room room;

	if (t) {
		next = btn_stat_get(&FREE_NEXT(t));
		p->free = next ? record(p, next - 1) : NULL;
	} else if (used < TENANTS && (room = have_room(p, prealloc, used)) != NO_ROOM) {
		if (room == ROOM_WANTED || !have_segment(p, prealloc, used))
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

int btn_page_trace_room(const struct btn_page *p)
{
	return posix_fallocate(p->fd, p->h->rings_at, p->h->rings * p->h->ring_size);
}

void btn_page_trace_begin(struct btn_page *p, int err)
{
	if (err)
		btn_stat_set(&p->h->trace_until, 0);
	else
		p->rings = (struct btn_ring *)((char *)p->h + p->h->rings_at);
}

bool btn_page_trace(struct btn_page *p, uint64_t now)
{
	struct baton_stats_header *h = p->h;
	uint64_t until = btn_stat_get(&h->trace_until);

	if (!until && !p->rings)
		return false;
	if (until <= now || until - now > BATON_TRACE_MAX) {
		p->rings = NULL;
		btn_stat_set(&h->trace_until, 0);
	} else if (!p->rings) {
		if (p->fd >= 0)
			return true;
		btn_page_trace_begin(p, 0);
	}
	return false;
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

/* Memory of the file for what is always mapped, but for the rings, and for the tenants that there are, and some more. */
static int allocate_file(const struct btn_page *p, struct btn_page_file *f)
{
	uint64_t used = btn_stat_get(&p->h->tenants_used);
	int err = -posix_fallocate(f->fd, 0, p->h->rings_at);

	f->upto = used + TENANTS_BATCH < TENANTS ? used + TENANTS_BATCH : TENANTS;
	return err ? err : -posix_fallocate(f->fd, p->h->tenants_at, f->upto * p->tenant_size);
}

int btn_page_file_grow(const struct btn_page *p, struct btn_page_file *f)
{
	return allocate_file(p, f);
}

/*
 * Everything so far into the file, and the file where the memory was. Where the mapping of a part
 * fails, those before it are the file's and the others are not: the figures go on, and the file
 * is removed. Events of a trace are lost: their rings get memory when the next one is asked for.
 */
static int take_over(struct btn_page *p, int fd)
{
	uint64_t used = btn_stat_get(&p->h->tenants_used), left;
	size_t i, n;
	int err;

	err = write_all(fd, (const char *)p->h, p->h->rings_at, 0);
	for (left = used, i = 0; !err && left; left -= n, i++) {
		n = left < p->per_segment ? left : p->per_segment;
		err = write_all(fd, p->segment[i], n * p->tenant_size, segment_at(p, i));
	}
	if (err)
		return err;
	p->rings = NULL;
	if (mmap(p->h, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	for (i = 0; i < segments_of(p) && p->segment[i]; i++)
		if (!map_segment(p, i, fd))
			return -errno;
	return 0;
}

int btn_page_file_map(struct btn_page *p, struct btn_page_file *f)
{
	int err;

	if (btn_stat_get(&p->h->tenants_used) > f->upto)
		return -EAGAIN;
	btn_page_name((uint64_t *)p->h->name, sizeof(p->h->name), f->base);
	btn_stat_set(&p->h->pid, f->pid);
	/*
	 * The one thing here that is done with the lock, once in the scheduler's life: a figure that was counted after it was copied,
	 * and before the file is there, would be lost.
	 */
	BTN_EXCUSED("the page becomes the file's", err = take_over(p, f->fd));
	if (err)
		return err;
	p->orphan = p->fd;
	p->fd = f->fd;
	p->files++;
	p->allocated = f->upto;
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

static int tmp_name(char *tmp, size_t room, const char *base)
{
	return snprintf(tmp, room, ".%s.tmp", base) < (int)room ? 0 : -ENAMETOOLONG;
}

int btn_page_publish_begin(struct btn_page *p)
{
	if (p->publishing || p->path || p->orphan >= 0)
		return -EALREADY;
	p->publishing = true;
	return 0;
}

static int make_file(struct btn_page *p, struct btn_page_file *f)
{
	char tmp[NAME_MAX + 1];
	int err = tmp_name(tmp, sizeof(tmp), f->base);

	if (err)
		return err;
	f->fd = open_new(f->dir, tmp);
	if (f->fd < 0)
		return f->fd;
	err = look_there(f->dir, f->base);
	if (!err && (ftruncate(f->fd, 0) || ftruncate(f->fd, p->h->size)))
		err = -errno;
	return err ? err : allocate_file(p, f);
}

int btn_page_file_make(struct btn_page *p, struct btn_page_file *f, const char *name, unsigned mode)
{
	char path[PATH_MAX], whole[PATH_MAX], *base;
	int err;

	*f = (struct btn_page_file){ .dir = -1, .fd = -1, .pid = getpid(), .mode = mode ? mode : 0600 };
	if (!*name || (f->mode != 0600 && f->mode != 0640 && f->mode != 0644))
		return -EINVAL;
	err = btn_page_path(name, path, sizeof(path), true);
	if (err)
		return err;
	base = strrchr(path, '/');
	*base++ = 0;
	/* Wherever the service goes, at its end it removes the same file. */
	if (!realpath(*path ? path : "/", whole))
		return -errno;
	f->dir = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0)
		return -errno;
	f->path = btn_mem_get(strlen(whole) + strlen(base) + 2);
	if (!f->path)
		return -ENOMEM;
	f->base = f->path + sprintf(f->path, "%s/", whole);
	strcpy(f->base, base);
	return make_file(p, f);
}

int btn_page_file_name(struct btn_page_file *f, int err)
{
	char tmp[NAME_MAX + 1];

	if (f->fd >= 0) {
		tmp_name(tmp, sizeof(tmp), f->base);
		if (!err && renameat(f->dir, tmp, f->dir, f->base))
			err = -errno;
		else if (!err && f->mode != 0600 && fchmod(f->fd, f->mode)) {
			err = -errno;
			unlinkat(f->dir, f->base, 0);
		} else if (!err) {
			goto named;
		}
		unlinkat(f->dir, tmp, 0);
	}
named:
	if (f->dir >= 0)
		close(f->dir);
	return err;
}

void btn_page_publish_end(struct btn_page *p, struct btn_page_file *f, int err)
{
	p->publishing = false;
	if (!err) {
		p->path = f->path;
		f->path = NULL;
	}
	/* A file that is mapped stays open: threads that add tenants may be about to use it. */
	if (p->fd == f->fd)
		f->fd = -1;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as changes of a page that a service published: whatever the file holds, its readers read no byte
 * outside of it, end, and print what is well-formed. `baton trace` is one of the readers, with its sources.
 *
 * An input is a list of changes: a byte for the part (of PARTS, or a new length of the file), two for the place in it, one for
 * the length, and the bytes.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/baton/trace.c"

#include <baton/sched.h>

#include "fuzz.h"
#include "page.h"

#define SLOTS 2
enum { HEADER, TIERS, SLOT, TENANTS, RING_HEAD, EVENTS, PARTS, LENGTH = PARTS };

static char dir[] = "/tmp/baton-fuzz-page-XXXXXX", path[64];
static struct baton_stats_header h;
/* The page as it was published. */
static char *good;
static size_t good_len;
static int file;
static bool was_cut;

static void clean(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct baton_sched_opts so = { .sz = sizeof(so), .slots = SLOTS };
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000, .name = "a \"tenant\"" };
	struct baton_tenant *tenant;
	struct baton_stats *st;
	struct baton_sched *s;
	char why[200];
	int fd, i;

	FUZZ_MUST(mkdtemp(dir));
	atexit(clean);
	setenv("BATON_RUN_DIR", dir, 1);
	setenv("BATON_DETECT", "off", 1);
	FUZZ_MUST(!baton_sched_create(&s, &so));
	for (i = 0; i < 3; i++) {
		to.name = (const char *[]){ "a \"tenant\"", "b", "c\\" }[i];
		FUZZ_MUST(!baton_tenant_add(s, &tenant, &to));
	}
	FUZZ_MUST(!baton_stats_publish(s, "good", 0600));
	FUZZ_MUST(!baton_stats_open(&st, "good", why, sizeof(why)));
	baton_stats_header(st, &h, sizeof(h));
	baton_stats_close(st);
	/* As far as its first tenants; the rest is a hole of the file. */
	good_len = h.tenants_at + 4 * h.tenant_size;
	good = malloc(good_len);
	snprintf(path, sizeof(path), "%s/good", dir);
	fd = open(path, O_RDONLY);
	FUZZ_MUST(good && fd >= 0 && pread(fd, good, good_len, 0) == (ssize_t)good_len);
	close(fd);
	FUZZ_MUST(!baton_sched_destroy(s));
	snprintf(path, sizeof(path), "%s/bad", dir);
	file = open(path, O_RDWR | O_CREAT, 0600);
	FUZZ_MUST(file >= 0 && pwrite(file, good, good_len, 0) == (ssize_t)good_len);
	return 0;
}

static size_t place_of(unsigned part, unsigned at)
{
	switch (part) {
	case HEADER: return at % sizeof(h);
	case TIERS: return h.tiers_at + at % (h.tiers * h.tier_size);
	case SLOT: return h.slots_at + at % (h.slots * h.slot_size);
	case TENANTS: return h.tenants_at + at % (4 * h.tenant_size);
	case RING_HEAD: return h.rings_at + at % h.rings * h.ring_size;
	default: return h.rings_at + at % h.rings * h.ring_size + offsetof(struct btn_ring, event) + (at / h.rings & 0xfff);
	}
}

/* Applies an input, or takes its changes back. */
static void change(const uint8_t *p, size_t n, bool back)
{
	struct fuzz_in in = { p, n };
	const uint8_t *bytes;
	unsigned part, at;
	size_t len, where;

	while (in.left >= 4) {
		part = fuzz_byte(&in) % (PARTS + 1);
		at = fuzz_word(&in);
		len = fuzz_bytes(&in, fuzz_byte(&in), &bytes);
		if (part == LENGTH) {
			was_cut = true;
			if (!back)
				FUZZ_MUST(!ftruncate(file, at & 0x8000 ? (off_t)h.size - (at & 0x7fff) : (off_t)at * 64));
			continue;
		}
		where = place_of(part, at);
		if (where + len > good_len)
			len = good_len - where;
		FUZZ_MUST(pwrite(file, back ? good + where : (const char *)bytes, len, where) == (ssize_t)len);
	}
}

static void read_page(struct baton_stats *st, FILE *to)
{
	static struct baton_stats_tenant tenant;
	struct baton_stats_header head;
	struct baton_stats_slot slot;
	struct baton_stats_tier tier;
	unsigned i;

	baton_stats_header(st, &head, sizeof(head));
	FUZZ_MUST(head.slots <= BTN_PAGE_SLOTS && head.tiers <= BATON_TIERS_MAX && head.tenants_used <= head.tenants);
	for (i = 0; !baton_stats_tier(st, i, &tier, sizeof(tier)); i++)
		FUZZ_MUST(memchr(tier.name, 0, sizeof(tier.name)));
	for (i = 0; i < 8; i++) {
		baton_stats_slot(st, i, &slot, sizeof(slot));
		if (!baton_stats_tenant(st, i, &tenant, sizeof(tenant)))
			FUZZ_MUST(memchr(tenant.name, 0, sizeof(tenant.name)));
	}
	baton_stats_alive(st);
	baton_trace_active(st);
	baton_stats_print(st, to, BATON_STATS_JSON);
	baton_stats_print(st, to, BATON_STATS_PROMETHEUS);
}

/* Does what `baton trace` does once, from the oldest event on. */
static void trace_page(struct baton_stats *st, FILE *to)
{
	static struct tracer t;

	memset(&t, 0, offsetof(struct tracer, t));
	t.st = st;
	t.to = to;
	t.lost = t.slices = t.flows = t.drains = t.seq = 0;
	t.first = true;
	baton_stats_header(st, &t.h, sizeof(t.h));
	t.next = calloc(t.h.slots + 1, sizeof(*t.next));
	t.run = calloc(t.h.slots + 1, sizeof(*t.run));
	FUZZ_MUST(t.next && t.run);
	name_tracks(&t);
	drain(&t, true);
	free(t.next);
	free(t.run);
	free(t.item);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct baton_stats *st;
	FILE *to = fopen("/dev/null", "w");
	char why[200];
	int err;

	FUZZ_MUST(to);
	was_cut = false;
	change(p, n, false);
	err = baton_stats_open(&st, "bad", why, sizeof(why));
	FUZZ_MUST(err ? *why : !*why);
	if (!err) {
		read_page(st, to);
		trace_page(st, to);
		/* While it is read its service makes it shorter. */
		if (n % 8 == 7) {
			FUZZ_MUST(!ftruncate(file, n * 512));
			was_cut = true;
		}
		read_page(st, to);
		baton_stats_close(st);
	}
	fclose(to);
	FUZZ_MUST(!ftruncate(file, h.size));
	change(p, n, true);
	if (was_cut)
		FUZZ_MUST(pwrite(file, good, good_len, 0) == (ssize_t)good_len);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ext.c - hand-overs while a sched_ext scheduler is loaded: threads that it was not
 * given change places as ever, and those that it was given take the ordinary way.
 *
 * The scheduler is the smallest there is: partial, and without a program, for each
 * callback has a default. So there is nothing to compile; the map that registers it
 * is filled here by what the kernel's BTF says of its type.
 */
#include "config.h"
#include "pair.h"

#ifdef HAVE_BPF
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

/* Newer than some headers. */
#define POLICY_EXT 7
#define F_LINK 0x2000
#define ATTACH_STRUCT_OPS 44
#define SWITCH_PARTIAL (1ull << 3)	/* SCX_OPS_SWITCH_PARTIAL */

/* Where in the type @id is the member? Ends the test where there is none. */
static unsigned int offset_of(const struct btf *btf, int id, const char *name)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	const struct btf_member *m = btf_members(t);
	int i;

	for (i = 0; i < btf_vlen(t); i++, m++)
		if (!strcmp(btf__name_by_offset(btf, m->name_off), name))
			return btf_member_bit_offset(t, i) / 8;
	CHECK_MSG(false, "no member %s in the kernel's BTF", name);
	return 0;
}

/* The link that keeps the scheduler: until it is closed, if only by the end of a test that failed. */
static int load_scheduler(void)
{
	struct btf *btf = btf__load_vmlinux_btf(), *own = btf__new_empty();
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	union bpf_attr attr = { 0 };
	int ops, value, fd, link;
	uint32_t zero = 0;
	unsigned int data;
	char *buf;

	CHECK(btf && own);
	ops = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT);
	value = btf__find_by_name_kind(btf, "bpf_struct_ops_sched_ext_ops", BTF_KIND_STRUCT);
	if (ops < 0 || value < 0)
		SKIP("no sched_ext in this kernel");
	btf__add_int(own, "int", 4, BTF_INT_SIGNED);
	CHECK(!btf__load_into_kernel(own));
	opts.btf_fd = btf__fd(own);
	opts.btf_vmlinux_value_type_id = value;
	opts.map_flags = F_LINK;
	fd = bpf_map_create(BPF_MAP_TYPE_STRUCT_OPS, "ext", sizeof(zero), btf__resolve_size(btf, value), 1, &opts);
	CHECK_MSG(fd >= 0, "the map: %s", strerror(errno));
	buf = calloc(1, btf__resolve_size(btf, value));
	data = offset_of(btf, value, "data");
	strcpy(buf + data + offset_of(btf, ops, "name"), "baton_test");
	*(uint64_t *)(buf + data + offset_of(btf, ops, "flags")) = SWITCH_PARTIAL;
	CHECK_MSG(!bpf_map_update_elem(fd, &zero, buf, 0), "the scheduler: %s", strerror(errno));
	free(buf);
	attr.link_create.prog_fd = fd;
	attr.link_create.attach_type = ATTACH_STRUCT_OPS;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	CHECK_MSG(link >= 0, "the link: %s", strerror(errno));
	close(fd);
	return link;
}

static bool is_enabled(void)
{
	char state[32] = "";

	return read_line("/sys/kernel/sched_ext/state", state, sizeof(state)) && !strcmp(state, "enabled");
}

static bool is_disabled(void *arg)
{
	return !is_enabled();
}

static void unload(int link)
{
	close(link);
	CHECK(until(is_disabled, NULL));
}

static struct pair *pinned_pair(void)
{
	struct pair *p = pair_new(is_debug_kernel() ? 300 : 2000);

	p->side[0].cpu = p->side[1].cpu = n_cpus() - 1;
	return p;
}

TEST(threads_that_are_not_its)
{
	struct pair *p;
	int link;

	fresh_start();
	link = load_scheduler();
	CHECK(is_enabled());
	p = pinned_pair();
	counters_reset();
	pair_run(p);
	counters_show("two of the fair class");
	CHECK_CMP(counter("direct") * 100, >=, (long)pair_swaps(p) * 95);
	CHECK(is_enabled());
	unload(link);
}

/* A thread of the class below waits for the CPU all the time, and is in nobody's way. */
TEST(one_of_its_threads_waits)
{
	struct spinner *s;
	struct pair *p;
	int link;

	fresh_start();
	link = load_scheduler();
	p = pinned_pair();
	s = spinner_start(p->side[0].cpu, false, NULL);
	CHECK_EQ(set_policy(s->tid, POLICY_EXT, 0, 0), 0);
	counters_reset();
	pair_run(p);
	counters_show("beside one of the ext class");
	CHECK_CMP(counter("direct") * 100, >=, (long)pair_swaps(p) * 90);
	spinner_stop(s);
	unload(link);
}

TEST(threads_that_are)
{
	struct pair *p;
	int i, link;

	fresh_start();
	link = load_scheduler();
	for (i = 1; i < 4; i++) {
		p = pinned_pair();
		p->side[0].policy = i & 1 ? POLICY_EXT : SCHED_OTHER;
		p->side[1].policy = i & 2 ? POLICY_EXT : SCHED_OTHER;
		counters_reset();
		pair_run(p);
		counters_show("of the ext class");
		CHECK_EQ(counter("direct"), 0);
		CHECK_CMP(counter("fallback_class") * 100, >=, (long)pair_swaps(p) * 50);
	}
	CHECK(is_enabled());
	unload(link);
}

/* The scheduler comes and goes, and threads become the scheduler's, while they swap. */
TEST(it_comes_and_goes)
{
	struct pair *p;
	int i, link;

	fresh_start();
	p = pinned_pair();
	p->limit = 0;
	pair_start(p);
	pair_go(p);
	for (i = 0; i < 10; i++) {
		uint64_t turns = pair_turns(p);

		link = load_scheduler();
		CHECK_EQ(set_policy(p->side[i & 1].tid, POLICY_EXT, 0, 0), 0);
		while (pair_turns(p) < turns + 10)
			nap();
		CHECK_EQ(set_policy(p->side[i & 1].tid, SCHED_OTHER, 0, 0), 0);
		unload(link);
	}
	pair_stop(p);
	pair_join(p);
}

int main(int argc, char **argv)
{
	return swap_absent() ? 1 : tap_main(argc, argv);
}
#else
int main(void)
{
	printf("1..0 # SKIP mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)\n");
	return 4;
}
#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The service's allocator, log and panic. The linker's --wrap sends each call of malloc() and its kin in the
 * library here: with hooks set there is none, and all that was had from the hook comes back to it.
 */
#include <stdatomic.h>
#include <string.h>

#include <baton/baton.h>

#include "sched_ask.h"
#include "sched_end.h"
#include "tap.h"

static _Atomic long had, freed, bypassed;
static _Atomic bool set, none_left;
static _Atomic int messages;
static char said[600];

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
	bypassed += set;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	bypassed += set;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	bypassed += set;
	return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	bypassed += set;
	return __real_aligned_alloc(align, size);
}

void __wrap_free(void *memory)
{
	bypassed += set;
	__real_free(memory);
}

/* The hook's memory is not malloc's: a block begins 4096 bytes after what malloc gave. Its content is not zero. */
static void *alloc_hook(void *ctx, size_t size, size_t align)
{
	char *block;

	CHECK_ANY(ctx == said && size && align && !(align & (align - 1)) && align <= 4096);
	if (none_left)
		return NULL;
	block = __real_aligned_alloc(4096, (size + 2 * 4096) / 4096 * 4096);
	had++;
	memset(block, 0xa5, 4096 + size);
	return block + 4096;
}

static void free_hook(void *ctx, void *memory)
{
	CHECK_ANY(ctx == said && memory);
	CHECK_ANY(*((unsigned char *)memory - 1) == 0xa5);
	freed++;
	__real_free((char *)memory - 4096);
}

static void log_hook(void *ctx, enum baton_log_level level, const char *text)
{
	CHECK_ANY(level == BATON_LOG_ERROR);
	messages++;
	strcpy(ctx, text);
}

static void panic_hook(void *ctx, const char *text)
{
	char line[300] = "mine: ";
	size_t n = strlen(text);

	memcpy(line + 6, text, n);
	CHECK_ANY(write(2, line, n + 6) == (ssize_t)n + 6);
}

static struct baton_hooks hooks(void)
{
	return (struct baton_hooks){ .sz = sizeof(struct baton_hooks), .ctx = said, .alloc = alloc_hook,
		.free = free_hook, .log = log_hook, .panic = panic_hook };
}

/* In a child: the exit status is what it found. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(fn());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int late(void)
{
	struct baton_hooks h = hooks();
	struct baton_completions *q;

	if (baton_completions_create(&q))
		return 1;
	if (baton_hooks_set(&h) != -EBUSY)
		return 2;
	/* Memory that was had from malloc() is not given to the hook. */
	baton_completions_destroy(q);
	return had != freed ? 3 : 0;
}

static int wrong(void)
{
	struct baton_hooks h = hooks();

	h.free = NULL;
	if (baton_hooks_set(&h) != -EINVAL)
		return 1;
	h = hooks();
	h.sz = 3;
	if (baton_hooks_set(&h) != -EINVAL)
		return 2;
	h = hooks();
	none_left = true;
	if (baton_hooks_set(&h) != -ENOMEM)
		return 3;
	none_left = false;
	return baton_hooks_set(&h) || baton_hooks_set(&h) != -EBUSY || had != freed + 1 ? 4 : 0;
}

static int says(void)
{
	struct baton_hooks h = hooks();
	const char *name;

	setenv("BATON_BACKEND", "none", 1);
	if (baton_hooks_set(&h) || baton_backend(&name) != -EINVAL || messages != 1)
		return 1;
	return strncmp(said, "BATON_BACKEND=none: no such backend", 35) ? 2 : 0;
}

static void dies(void)
{
	struct baton_hooks h = hooks();
	struct baton_parker *p;

	CHECK_EQ(baton_hooks_set(&h), 0);
	CHECK_EQ(baton_parker_create(&p), 0);
	baton_parker_destroy(p);
	baton_parker_destroy(p);
}

/* Before any other use of the library in this process. */
TEST(refused)
{
	CHECK_EQ(in_child(late), 0);
	CHECK_EQ(in_child(wrong), 0);
}

TEST(messages_and_panic)
{
	CHECK_EQ(in_child(says), 0);
	tap_dies(dies, "mine: baton_parker_destroy: this parker is destroyed already (0)");
}

static struct baton_mutex *m;
static struct baton_sem *sem;
static struct baton_chan *chan;

static void child(void *arg)
{
	CHECK_ANY(!baton_mutex_lock(m));
	baton_mutex_unlock(m);
	baton_sem_post(sem);
}

static void works(void *arg)
{
	struct baton_task *t;
	void *item;
	int i;

	for (i = 0; i < 20; i++) {
		CHECK_ANY(!baton_task_spawn(&t, child, NULL));
		CHECK_ANY(!baton_task_spawn(NULL, child, NULL));
		CHECK_ANY(!baton_task_join(t));
	}
	for (i = 0; i < 40; i++)
		CHECK_ANY(!baton_sem_wait(sem));
	CHECK_ANY(!baton_chan_send(chan, arg) && !baton_chan_recv(chan, &item));
}

static void use_config(void)
{
	struct baton_config *c;
	char text[4000] = "", *at = text;
	char why[200] = "";
	int i;

	for (i = 0; i < 40; i++)
		at += sprintf(at, "tenant t%d high=1%%\n", i);
	CHECK_EQ(baton_config_parse(&c, text, at - text, "text", why, sizeof(why)), 0);
	baton_config_free(c);
}

static void use_queues(void)
{
	struct baton_runq_opts ro = { .sz = sizeof(ro), .slots = 1 };
	void *item;
	struct baton_queue *q;
	struct baton_deque *d;
	struct baton_ring *r;
	struct baton_runq *rq;
	struct baton_burst *b;

	CHECK_EQ(baton_queue_create(&q), 0);
	CHECK_EQ(baton_queue_push(q, said), 0);
	CHECK(baton_queue_pop(q, &item) && item == said);
	baton_queue_destroy(q);
	CHECK_EQ(baton_deque_create(&d), 0);
	baton_deque_destroy(d);
	CHECK_EQ(baton_ring_create(&r, 8), 0);
	baton_ring_destroy(r);
	CHECK_EQ(baton_runq_create(&rq, &ro), 0);
	baton_runq_destroy(rq);
	CHECK_EQ(baton_burst_create(&b), 0);
	baton_burst_destroy(b);
}

TEST(nothing_bypasses)
{
	struct baton_tenant_opts to = { .sz = sizeof(to), .high_ppm = 1000000, .low_ppm = 100000, .name = "one" };
	struct baton_request_opts o = { .sz = sizeof(o), .cls = BATON_BATCH };
	struct baton_hooks h = hooks();
	struct baton_tenant *t[5], *found;
	struct baton_request *r[30];
	struct baton_completions *q;
	struct baton_stream *in;
	struct baton_sched *s;
	int i, fd[2];

	CHECK_EQ(baton_hooks_set(&h), 0);
	set = true;
	CHECK_EQ(baton_sched_create(&s, NULL), 0);
	for (i = 0; i < 5; i++) {
		CHECK_EQ(baton_tenant_add(s, &t[i], &to), 0);
		to.name = NULL;
	}
	CHECK_EQ(baton_tenant_find(s, "one", &found), 0);
	baton_tenant_put(found);
	CHECK_EQ(baton_mutex_create(&m, s) | baton_sem_create(&sem, s, 0) | baton_chan_create(&chan, s, 4), 0);
	CHECK_EQ(baton_completions_create(&q), 0);
	for (i = 0; i < 30; i++)
		r[i] = ask_batch(t[i % 5], i ? child : works, NULL);
	for (i = 0; i < 30; i++)
		end_request(r[i], 0);
	CHECK_EQ(baton_request_enter(t[0], &o, NULL), 0);
	baton_request_leave();
	CHECK_EQ(pipe(fd), 0);
	CHECK_EQ(baton_stream_open(&in, s, fd[0]), 0);
	baton_stream_close(in);
	close(fd[1]);
	baton_completions_destroy(q);
	baton_mutex_destroy(m);
	baton_sem_destroy(sem);
	baton_chan_destroy(chan);
	end_sched(s);
	use_config();
	use_queues();
	CHECK_EQ(bypassed, 0);
	CHECK_CMP(had, >, 20);
	/* The copy of the hooks, and what this thread keeps: its worker, and memory for its next request. */
	CHECK_CMP(had - freed, <=, 3);
	CHECK_CMP(had - freed, >=, 1);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

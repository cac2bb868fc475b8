// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Places where a thread can block: in each the cell says so and the doorbell rings,
 * and the cell says when it woke. And what is no blocking at all.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string.h>

#include "common.h"
#include "tap.h"

static struct btn_detect *d;

/* A thread that is the worker of a cell while it runs fn. */
struct worker {
	pthread_t thread;
	struct btn_cell *cell;
	void (*fn)(void);
	_Atomic int tid;
	_Atomic int joined;		/* 1: yes; else -errno - 1 */
	_Atomic int done;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	int err = btn_detect_join(d, w->cell);

	w->tid = gettid();
	w->joined = err ? err - 1 : 1;
	if (!err) {
		btn_cell_arm(w->cell, BTN_CELL_ARMED);
		w->fn();
		btn_cell_arm(w->cell, BTN_CELL_NOT);
		btn_detect_join(d, NULL);
	}
	w->done = 1;
	return NULL;
}

static void start(struct worker *w, void (*fn)(void))
{
	memset(w, 0, sizeof(*w));
	w->fn = fn;
	w->cell = btn_detect_cell(d);
	CHECK(w->cell);
	memset(w->cell, 0, sizeof(*w->cell));
	CHECK(!pthread_create(&w->thread, NULL, worker_main, w));
}

static void finish(struct worker *w)
{
	CHECK(WITHIN(20, w->done));
	pthread_join(w->thread, NULL);
	CHECK_EQ(w->joined, 1);
	CHECK_EQ(w->cell->state, BTN_CELL_RUNS);
	btn_detect_cell_put(d->id, w->cell);
}

static bool heard(void)
{
	struct pollfd p = { .fd = d->doorbell, .events = POLLIN };

	if (poll(&p, 1, 0) != 1)
		return false;
	return btn_detect_wait(d);
}

static void fresh(void)
{
	if (!d)
		load_begin(NULL);
	if (!d)
		d = session(16);
	btn_detect_want_no_more(d);
	heard();
}

/* fn blocks until wake. */
static void blocks(void (*fn)(void), void (*wake)(void))
{
	struct worker w;
	uint64_t began;

	fresh();
	btn_detect_want(d);
	began = now_ns();
	start(&w, fn);
	CHECK_MSG(WITHIN(20, heard() && btn_cell_blocked(w.cell)), "no doorbell rang: state %u armed %u, %u blocks, %u rung, want %u, done %d",
		  w.cell->state, w.cell->armed, w.cell->blocks, w.cell->rung, btn_detect_wanted(d), w.done);
	/* The worker may have blocked for something else before; here it stays. */
	CHECK(WITHIN(20, btn_cell_blocked(w.cell) && now_ns() - w.cell->since > 5000000));
	CHECK(w.cell->unannounced >= 1);
	CHECK_EQ(w.cell->unannounced, w.cell->blocks);
	CHECK(w.cell->since >= began);
	wake();
	finish(&w);
	CHECK(w.cell->blocked >= 5000000);
	CHECK(w.cell->blocked < now_ns() - began);
}

/* ------------------------------------------------------------------ places */

static int fds[2];
static _Atomic uint32_t word;
static char byte;

static void read_byte(void)
{
	CHECK_ANY(read(fds[0], &byte, 1) == 1);
}

static void write_byte(void)
{
	CHECK_ANY(write(fds[1], &byte, 1) == 1);
}

TEST(a_pipe)
{
	CHECK(!pipe(fds));
	blocks(read_byte, write_byte);
	close(fds[0]);
	close(fds[1]);
}

TEST(a_socket)
{
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	blocks(read_byte, write_byte);
	close(fds[0]);
	close(fds[1]);
}

static void wait_word(void)
{
	while (!word)
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void wake_word(void)
{
	word = 1;
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

TEST(a_futex_of_somebody_else)
{
	word = 0;
	blocks(wait_word, wake_word);
}

static void sleep_a_bit(void)
{
	pause_us(50000);
}

static void nothing(void)
{
}

TEST(nanosleep_)
{
	blocks(sleep_a_bit, nothing);
}

/* A page that is there when somebody says so. */
static char *page;
static int uffd;

static bool make_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		return false;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg = (struct uffdio_register){ .range = { (uintptr_t)page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	CHECK(!ioctl(uffd, UFFDIO_API, &api));
	CHECK(!ioctl(uffd, UFFDIO_REGISTER, &reg));
	return true;
}

static void give_page(void)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, 4096 } };

	CHECK_ANY(!ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
}

static void drop_page(void)
{
	munmap(page, 4096);
	close(uffd);
}

static void touch_page(void)
{
	*(volatile char *)page = 1;
}

TEST(a_page_fault)
{
	if (!make_page())
		SKIP("no userfaultfd");
	blocks(touch_page, give_page);
	drop_page();
}

/*
 * A mutex in the kernel: one thread lists a directory into memory that is not
 * there, and sleeps with the directory's lock; another one makes a file in it.
 */
static char a_dir[] = "/tmp/baton-dir-XXXXXX";

static void *list_dir(void *unused)
{
	int fd = open(a_dir, O_RDONLY | O_DIRECTORY);

	syscall(SYS_getdents64, fd, page, 4096);
	close(fd);
	return NULL;
}

static void make_file(void)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/f", a_dir);
	close(open(name, O_CREAT | O_WRONLY, 0600));
	unlink(name);
}

TEST(a_lock_of_a_directory)
{
	struct pollfd p = { .events = POLLIN };
	pthread_t thread;

	fresh();
	if (!make_page())
		SKIP("no userfaultfd");
	CHECK(mkdtemp(a_dir));
	pthread_create(&thread, NULL, list_dir, NULL);
	p.fd = uffd;
	CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
	blocks(make_file, give_page);
	pthread_join(thread, NULL);
	rmdir(a_dir);
	drop_page();
}

/* Sleeps that last as long as the disk takes: only that they were seen. */
static char a_file[] = "/var/tmp/baton-file-XXXXXX";
static int file;
#define FILE_SIZE (8 << 20)

static void read_file(void)
{
	static char buf[1 << 16];

	while (read(file, buf, sizeof(buf)) > 0)
		;
}

static void touch_file(void)
{
	volatile char *p = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, file, 0);
	size_t i;

	madvise((void *)p, FILE_SIZE, MADV_RANDOM);
	for (i = 0; i < FILE_SIZE; i += 65536)
		(void)p[i];
	munmap((void *)p, FILE_SIZE);
}

static void from_disk(void (*fn)(void))
{
	static char buf[1 << 20];
	struct worker w;
	int i;

	fresh();
	strcpy(a_file + sizeof(a_file) - 7, "XXXXXX");
	file = mkstemp(a_file);
	CHECK(file >= 0);
	unlink(a_file);
	for (i = 0; i < FILE_SIZE / (int)sizeof(buf); i++)
		CHECK_EQ(write(file, buf, sizeof(buf)), (long)sizeof(buf));
	fsync(file);
	posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	lseek(file, 0, SEEK_SET);
	start(&w, fn);
	finish(&w);
	i = w.cell->blocks;
	close(file);
	if (!i)
		SKIP("this file system reads without sleeping");
	CHECK(w.cell->blocked > 0);
}

TEST(a_disk) { from_disk(read_file); }
TEST(a_cold_page_of_a_file) { from_disk(touch_file); }

static void vfork_child(void)
{
	if (!vfork())
		_exit(read(fds[0], &byte, 1) != 1);
	wait(NULL);
}

TEST(vfork_)
{
	CHECK(!pipe(fds));
	blocks(vfork_child, write_byte);
	close(fds[0]);
	close(fds[1]);
}

/* ------------------------------------------------ stopped by somebody else */

static _Atomic int stop_spinning;

static void spin(void)
{
	while (!stop_spinning)
		;
}

static struct worker spinner;

static void begin_spinning(void)
{
	fresh();
	btn_detect_want(d);
	stop_spinning = 0;
	start(&spinner, spin);
	CHECK(WITHIN(10, spinner.joined == 1));
}

TEST(a_debugger)
{
	pid_t tracer;
	int out[2];

	begin_spinning();
	CHECK(!pipe(fds) && !pipe(out));
	tracer = fork();
	if (!tracer) {
		/* The tracer's end detaches. */
		_exit(ptrace(PTRACE_SEIZE, spinner.tid, 0, 0) || ptrace(PTRACE_INTERRUPT, spinner.tid, 0, 0) ||
		      read(fds[0], &byte, 1) != 1);
	}
	CHECK(WITHIN(10, btn_cell_blocked(spinner.cell) && now_ns() - spinner.cell->since > 5000000));
	CHECK(heard());
	write_byte();
	CHECK(WITHIN(10, !btn_cell_blocked(spinner.cell)));
	waitpid(tracer, NULL, 0);
	stop_spinning = 1;
	finish(&spinner);
}

TEST(sigstop)
{
	struct btn_cell *cell;
	struct btn_detect *mine;
	pid_t pid;

	fresh();
	mine = session(4);
	cell = btn_detect_cell(mine);
	btn_detect_want(mine);
	pid = fork();
	if (!pid) {
		if (btn_detect_join(mine, cell))
			_exit(1);
		btn_cell_arm(cell, BTN_CELL_ARMED);
		for (;;)
			;
	}
	CHECK(WITHIN(10, cell->armed == BTN_CELL_ARMED));
	kill(pid, SIGSTOP);
	CHECK(WITHIN(10, btn_cell_blocked(cell)));
	kill(pid, SIGCONT);
	CHECK(WITHIN(10, !btn_cell_blocked(cell)));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	btn_detect_close(mine);
}

/* ------------------------------------------------------- what is no blocking */

static void pinned(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK_ANY(!sched_setaffinity(0, sizeof(set), &set));
}

static long switches(const char *what)
{
	char name[64], line[128];
	long n = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/task/%d/status", gettid());
	f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			n = atol(line + strlen(what) + 1);
	if (f)
		fclose(f);
	return n;
}

/* Two that want one CPU, by the counters of the kernel itself. */
static _Atomic long preempted;

static void want_the_cpu(void)
{
	uint64_t end;

	pinned();
	end = now_ns() + 200000000;
	while (now_ns() < end)
		;
	preempted += switches("nonvoluntary_ctxt_switches:");
}

TEST(preempted_is_not_blocked)
{
	struct worker a, b;
	uint32_t before;

	fresh();
	preempted = 0;
	start(&a, want_the_cpu);
	start(&b, want_the_cpu);
	CHECK(WITHIN(10, a.joined == 1 && b.joined == 1));
	pause_us(50000);
	before = a.cell->blocks + b.cell->blocks;
	pause_us(50000);
	CHECK_EQ(a.cell->blocks + b.cell->blocks, before);
	finish(&a);
	finish(&b);
	CHECK(preempted > 0);
}

/*
 * As often as the kernel counts, in a storm of sleeping, waking early, waking
 * late and being preempted: a wakeup without a switch counts for nothing.
 */
static _Atomic uint32_t turn;
static _Atomic long counted, waited;

static void play(uint32_t mine)
{
	long before = switches("voluntary_ctxt_switches:"), i;

	for (i = 0; i < 3000; i++) {
		while (turn != mine)
			waited += !syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);
		turn = !mine;
		syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	counted += switches("voluntary_ctxt_switches:") - before;
}
static void play0(void) { play(0); }
static void play1(void) { play(1); }

TEST(as_often_as_the_kernel_counts)
{
	uint64_t seen, began = now_ns();
	struct worker a, b;

	fresh();
	turn = 0;
	counted = waited = 0;
	start(&a, play0);
	start(&b, play1);
	finish(&a);
	finish(&b);
	seen = a.cell->blocks + b.cell->blocks;
	printf("# waited %ld times, counted %ld, seen %lu\n", (long)waited, (long)counted, (unsigned long)seen);
	/* Each of them slept for no longer than it took. */
	CHECK(a.cell->blocked <= now_ns() - began && b.cell->blocked <= now_ns() - began);
	/* Reading the counters may have slept, before the first and after the last look. */
	CHECK(seen >= (uint64_t)counted);
	/*
	 * The hook is before the sleep: a thread that is woken just then does not sleep, and is not counted,
	 * but has waited. How many those are depends on the machine.
	 */
	CHECK(seen <= (uint64_t)(strstr(d->how, "hook") && waited > counted ? waited : counted) + 8);
}

TEST(no_bell_that_nobody_wants)
{
	struct worker w;

	fresh();
	start(&w, sleep_a_bit);
	finish(&w);
	CHECK(w.cell->blocks >= 1);
	CHECK_EQ(w.cell->rung, 0);
	CHECK(!heard());
}

static void sleep_unarmed(void)
{
	struct btn_cell *cell = &d->cells[d->used - 1];

	btn_cell_arm(cell, BTN_CELL_NOT);
	pause_us(10000);
}

TEST(not_who_parks)
{
	struct worker w;

	fresh();
	btn_detect_want(d);
	d->n_free = 0;		/* the newest cell is the last */
	start(&w, sleep_unarmed);
	finish(&w);
	CHECK(!w.cell->rung);
	/* A wakeup that no switch went before does not count. */
	CHECK_EQ(w.cell->blocked, 0);
}

static void sleep_announced(void)
{
	btn_cell_arm(&d->cells[d->used - 1], BTN_CELL_ANNOUNCED);
	pause_us(10000);
}

TEST(who_said_so_is_counted_apart)
{
	struct worker w;
	uint32_t other;

	fresh();
	d->n_free = 0;
	start(&w, sleep_announced);
	finish(&w);
	other = w.cell->unannounced;
	CHECK(w.cell->blocks > other);
	CHECK(other <= 1);
}

/* A shell sleeps many times: as soon as it is one, nothing is counted. */
static bool quiet(struct btn_cell *cell)
{
	uint32_t before = cell->blocks;

	pause_us(300000);
	return cell->blocks == before && cell->state == BTN_CELL_RUNS;
}

TEST(not_after_exec)
{
	struct btn_detect *mine;
	struct btn_cell *cell;
	pid_t pid;

	fresh();
	mine = session(4);
	cell = btn_detect_cell(mine);
	pid = fork();
	if (!pid) {
		if (btn_detect_join(mine, cell))
			_exit(1);
		btn_cell_arm(cell, BTN_CELL_ARMED);
		execl("/bin/sh", "sh", "-c", "while sleep 0.02; do :; done", NULL);
		_exit(1);
	}
	CHECK(WITHIN(10, cell->armed == BTN_CELL_ARMED));
	CHECK(WITHIN(20, quiet(cell)));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	btn_detect_close(mine);
}

/* A thread that has left is not seen: its cell may be another's. */
TEST(not_after_it_left)
{
	struct btn_detect *mine;
	struct btn_cell *cell;
	uint32_t before;

	fresh();
	mine = session(4);
	cell = btn_detect_cell(mine);
	CHECK_EQ(btn_detect_join(mine, cell), 0);
	btn_cell_arm(cell, BTN_CELL_ARMED);
	pause_us(1000);
	CHECK_CMP(cell->blocks, >, 0);
	btn_detect_leave(mine->id);
	before = cell->blocks;
	pause_us(1000);
	CHECK_EQ(cell->blocks, before);
	CHECK_EQ(cell->state, BTN_CELL_RUNS);
	btn_detect_close(mine);
	/* A closed one stays as it is. */
	btn_detect_leave(1);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

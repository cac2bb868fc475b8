// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages and those who may read them: readers do nothing to a service that publishes, and
 * bad pages nothing to readers.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/stats.h>
#include <baton/trace.h>

#include "sched_end.h"
#include "run_dir.h"
#include "tap.h"

static char why[1000];

static const char *path(const char *name)
{
	static char p[4][200];
	static unsigned n;

	snprintf(p[++n % 4], sizeof(p[0]), "%s/%s", dir, name);
	return p[n % 4];
}

/* Runs fn() in a process of its own, which has a minute. Returns what fn() does, 0 to 99, or 100 and the process's signal. */
static int alone(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		alarm(60);
		_exit(fn());
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static struct baton_sched *s;

static int publish_mode(unsigned mode)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1, .name = "old" };
	struct baton_tenant *t;

	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &t, &o))
		return 99;
	return -baton_stats_publish(s, "svc", mode);
}

static int publish(void)
{
	return publish_mode(0644);
}

/* As a service that dies leaves it: its page, and no lock. */
static int publish_and_die(void)
{
	int err = publish();

	if (!err)
		raise(SIGKILL);
	return err;
}

static int read_lock(const char *name)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open(path(name), O_RDONLY);

	CHECK(fd >= 0);
	CHECK(!fcntl(fd, F_OFD_SETLK, &lock));
	CHECK(!flock(fd, LOCK_EX | LOCK_NB));
	return fd;
}

/* Each user can lock a directory that the user can read. */
TEST(lock_on_the_directory)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0 && !flock(fd, LOCK_EX));
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	close(fd);
	CHECK(!unlink(path("svc")));
}

/* A dead service is dead, whatever locks its readers have; and is replaced. */
TEST(lock_on_a_dead_page)
{
	struct baton_stats *st;
	int fd;

	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	fd = read_lock("svc");
	CHECK_EQ(baton_stats_open(&st, "svc", why, sizeof(why)), 0);
	CHECK(!baton_stats_alive(st));
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	baton_stats_close(st);
	close(fd);
	CHECK(!unlink(path("svc")));
}

/* A file that stands under the name of the file that is not complete yet. */
TEST(leftovers)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	int fd;

	/* A dead publisher's file, longer than what comes; then one that publishes now. */
	fd = open(path(".svc.tmp"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && pwrite(fd, "x", 1, 1ll << 40) == 1);
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	CHECK(!stat(path("svc"), &st) && st.st_size < 1ll << 40 && (st.st_mode & 07777) == 0644);
	CHECK_EQ(access(path(".svc.tmp"), F_OK), -1);
	close(fd);
	fd = open(path(".svc.tmp"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && !fcntl(fd, F_OFD_SETLK, &lock));
	CHECK_EQ(alone(publish), EADDRINUSE);
	CHECK(!access(path(".svc.tmp"), F_OK));
	/* Others could lock it: none of ours. */
	lock.l_type = F_UNLCK;
	CHECK(!fcntl(fd, F_OFD_SETLK, &lock) && !fchmod(fd, 0644));
	CHECK_EQ(alone(publish), EEXIST);
	close(fd);
	CHECK(!unlink(path(".svc.tmp")) && !symlink("svc", path(".svc.tmp")));
	CHECK_EQ(alone(publish), EEXIST);
	CHECK(!unlink(path(".svc.tmp")) && !mkfifo(path(".svc.tmp"), 0600));
	CHECK_EQ(alone(publish), EEXIST);
	CHECK(!unlink(path(".svc.tmp")) && !unlink(path("svc")));
}

static int publish_at_once(int start, int end, int to)
{
	struct baton_tenant_opts o = { .sz = sizeof(o), .high_ppm = 1 };
	struct baton_tenant *t;
	unsigned char err;
	char c;

	alarm(200);
	if (baton_sched_create(&s, NULL) || baton_tenant_add(s, &t, &o) || read(start, &c, 1))
		return 1;
	err = -baton_stats_publish(s, "svc", 0644);
	if (write(to, &err, 1) != 1)
		return 1;
	/* Until all have tried. */
	return read(end, &c, 1) != 0;
}

/* Many publish one name at once, where a dead service's page is: exactly one does. */
TEST(one_publishes)
{
	enum { N = 6, ROUNDS = 3 };
	int start[2], end[2], to[2], i, status, won, round;
	unsigned char err[N];

	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	for (round = 0; round < ROUNDS; round++) {
		CHECK(!pipe(start) && !pipe(end) && !pipe(to));
		for (i = 0; i < N; i++) {
			if (fork())
				continue;
			close(start[1]);
			close(end[1]);
			_exit(publish_at_once(start[0], end[0], to[1]));
		}
		close(start[1]);
		for (i = won = 0; i < N; i++) {
			CHECK_EQ(read(to[0], &err[i], 1), 1);
			won += !err[i];
			CHECK(!err[i] || err[i] == EADDRINUSE);
		}
		CHECK_EQ(won, 1);
		close(end[1]);
		close(end[0]);
		close(start[0]);
		close(to[0]);
		close(to[1]);
		for (i = 0; i < N; i++)
			CHECK(wait(&status) > 0 && WIFEXITED(status) && !WEXITSTATUS(status));
	}
	CHECK(!unlink(path("svc")));
}

/* ------------------------------------------------------------ bad pages */

static int use_page(struct baton_stats *st)
{
	static struct baton_stats_tenant t;
	struct baton_trace_event event[16];
	struct baton_stats_header h;
	struct baton_stats_slot slot;
	struct baton_stats_tier tier;
	uint64_t next = 0, lost = 0;
	FILE *null = fopen("/dev/null", "w");
	int err;

	baton_stats_header(st, &h, sizeof(h));
	baton_stats_tier(st, 0, &tier, sizeof(tier));
	baton_stats_slot(st, 0, &slot, sizeof(slot));
	err = baton_stats_tenant(st, 0, &t, sizeof(t));
	baton_trace_read(st, 0, &next, event, 16, &lost);
	baton_trace_active(st);
	baton_stats_print(st, null, BATON_STATS_JSON);
	baton_stats_print(st, null, BATON_STATS_PROMETHEUS);
	fclose(null);
	return -err;
}

static int cut_at(off_t size)
{
	struct baton_stats *st;

	if (baton_stats_open(&st, "svc", NULL, 0) || use_page(st) || truncate(path("svc"), size) ||
	    use_page(st) != ENOENT || baton_stats_alive(st) || use_page(st) != ENOENT)
		return 1;
	baton_stats_close(st);
	return 0;
}

static int cut_to_nothing(void)
{
	return cut_at(0);
}

static int cut_after_the_header(void)
{
	return cut_at(4096);
}

/* A service that makes its page shorter does nothing to those who read it. */
TEST(cut_short)
{
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	CHECK_EQ(alone(cut_after_the_header), 0);
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	CHECK_EQ(alone(cut_to_nothing), 0);
	CHECK(!unlink(path("svc")));
}

static volatile sig_atomic_t handled;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	handled = 1;
	if (info->si_code > 0)
		_exit(42);
}

/* A fault that is not in a page is another handler's, as before. */
static int other_fault(void)
{
	struct sigaction act = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct baton_stats *st;
	volatile char *p;
	int fd = open(path("short"), O_RDWR | O_CREAT, 0600);

	sigaction(SIGBUS, &act, NULL);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || baton_stats_open(&st, "svc", NULL, 0))
		return 1;
	raise(SIGBUS);
	if (!handled)
		return 2;
	return *p + 3;
}

#ifndef __SANITIZE_ADDRESS__	/* the sanitizer has a handler of its own */
static int no_handler(void)
{
	struct baton_stats *st;
	volatile char *p;
	int fd = open(path("short"), O_RDWR | O_CREAT, 0600);

	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || baton_stats_open(&st, "svc", NULL, 0))
		return 1;
	return *p + 3;
}

static int sent_without_a_handler(void)
{
	struct baton_stats *st;

	if (baton_stats_open(&st, "svc", NULL, 0))
		return 1;
	raise(SIGBUS);
	return 2;
}
#endif

TEST(other_faults)
{
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	CHECK_EQ(alone(other_fault), 42);
#ifndef __SANITIZE_ADDRESS__
	CHECK_EQ(alone(no_handler), 100 + SIGBUS);
	CHECK_EQ(alone(sent_without_a_handler), 100 + SIGBUS);
#endif
	CHECK(!unlink(path("svc")) && !unlink(path("short")));
}

/* More pages at once than one block of guards has. */
static int many_pages(void)
{
	static struct baton_stats *st[100];
	unsigned i;

	for (i = 0; i < 100; i++)
		if (baton_stats_open(&st[i], "svc", NULL, 0))
			return 1;
	for (i = 0; i < 100; i += 2)
		baton_stats_close(st[i]);
	if (truncate(path("svc"), 0))
		return 2;
	for (i = 1; i < 100; i += 2) {
		if (use_page(st[i]) != ENOENT)
			return 3;
		baton_stats_close(st[i]);
	}
	return 0;
}

TEST(many)
{
	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	CHECK_EQ(alone(many_pages), 0);
	CHECK(!unlink(path("svc")));
}

/* A header that promises a thousand million tenants in a file of holes. */
TEST(too_large)
{
	struct baton_stats_header h;
	struct baton_stats *st;
	int fd;

	CHECK_EQ(alone(publish_and_die), 100 + SIGKILL);
	fd = open(path("svc"), O_RDWR);
	CHECK(fd >= 0 && pread(fd, &h, sizeof(h), 0) == sizeof(h));
	h.tenants = h.tenants_used = 1 << 20;
	h.rings_at = h.tenants_at + h.tenants * h.tenant_size;
	h.size = h.rings_at + h.rings * h.ring_size;
	CHECK(pwrite(fd, &h, sizeof(h), 0) == sizeof(h) && !ftruncate(fd, h.size));
	CHECK_EQ(baton_stats_open(&st, "svc", why, sizeof(why)), -EBADMSG);
	CHECK_MSG(strstr(why, "damaged"), "says \"%s\"", why);
	close(fd);
	CHECK(!unlink(path("svc")));
}

int main(int argc, char **argv)
{
	return run_dir_main(argc, argv);
}

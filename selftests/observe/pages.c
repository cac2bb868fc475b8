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
#include "tap.h"

static char dir[] = "/tmp/baton-pages-XXXXXX", why[1000];

static const char *path(const char *name)
{
	static char p[4][200];
	static unsigned n;

	snprintf(p[++n % 4], sizeof(p[0]), "%s/%s", dir, name);
	return p[n % 4];
}

/* What fn() returns in a process of its own, 0 to 99; 100 and its signal. The process has a minute. */
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

/* What stands under the name of the file that is not complete yet. */
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

/* Of many that publish one name at once, where a dead service's page is, exactly one does. */
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

int main(int argc, char **argv)
{
	int rc;

	if (!mkdtemp(dir))
		return 1;
	setenv("BATON_RUN_DIR", dir, 1);
	rc = tap_main(argc, argv);
	rmdir(dir);
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "tap.h"

#define ARGS 16

char load_socket[64], load_pins[64], load_log[64];
pid_t load_pid;
static pid_t load_owner;
static char dir[32];
static const char *options[ARGS];

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void pause_us(unsigned us)
{
	struct timespec ts = { .tv_nsec = us * 1000 };

	nanosleep(&ts, NULL);
}

const char *baton_command(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/tools/baton/baton", getenv("O") ? getenv("O") : "build");
	return path;
}

static pid_t start(const char *verb, const char **more)
{
	const char *argv[ARGS + 8] = { baton_command(), verb, "--pins", load_pins, "--socket", load_socket };
	unsigned i;
	pid_t pid;
	int fd;

	for (i = 0; more && more[i]; i++)
		argv[6 + i] = more[i];
	pid = fork();
	if (pid)
		return pid;
	fd = open(load_log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, 1);
	dup2(fd, 2);
	execv(argv[0], (char **)argv);
	_exit(127);
}

int baton(const char *arg, ...)
{
	int status;
	pid_t pid = start(arg, NULL);

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The log lies where only the test can read it, so a failure quotes it. */
static const char *read_log(void)
{
	static char log[1 << 16];
	int fd = open(load_log, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, log, sizeof(log) - 1);

	if (fd >= 0)
		close(fd);
	log[n < 0 ? 0 : n] = 0;
	return log;
}

static const char *last_words(void)
{
	const char *log = read_log();
	size_t n = strlen(log);

	return log + (n > 200 ? n - 200 : 0);
}

bool load_said(const char *text)
{
	return strstr(read_log(), text);
}

void load_again(void)
{
	int status;

	load_pid = start("load", options);
	/* The socket is there before it is listened to. A debug kernel takes minutes to check the programs. */
	if (!WITHIN(400, (access(load_socket, F_OK) == 0 && load_said("serving")) ||
			waitpid(load_pid, &status, WNOHANG) == load_pid))
		tap_end(1, "`baton load` does not come up: %s", last_words());
	CHECK_MSG(!access(load_socket, F_OK), "`baton load` failed: %s", last_words());
}

void load_kill(void)
{
	kill(load_pid, SIGKILL);
	waitpid(load_pid, NULL, 0);
	unlink(load_socket);
	unlink(load_log);
}

void load_end(void)
{
	char lock[80];

	if (getpid() != load_owner)
		return;
	load_owner = 0;
	baton("unload");
	waitpid(load_pid, NULL, 0);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	snprintf(lock, sizeof(lock), "%s.owner", load_socket);
	unlink(lock);
	unlink(load_log);
}

void load_begin(const char *option, ...)
{
	const char *with;
	unsigned n = 0;
	va_list ap;

	load_end();
	if (geteuid())
		SKIP("mend: run as root");
#ifndef HAVE_BPF
	SKIP("mend: built without BPF (Debian: apt-get install clang libbpf-dev bpftool)");
#endif
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		SKIP("this kernel has no BTF");
	va_start(ap, option);
	for (; option && n < ARGS - 1; option = va_arg(ap, const char *))
		options[n++] = option;
	options[n] = NULL;
	va_end(ap);
	/*
	 * Each test runs on each variant that the kernel has (vm/bpf.sh); in the
	 * VM's groups on the hook, for attaching to a tracepoint patches code, of
	 * which an emulated CPU may die (ACCEL in tools/vm/run).
	 */
	with = getenv("LOAD_WITH");
	if (!with && getenv("BATON_GROUP"))
		with = "hook";
	if (with && n < ARGS - 2) {
		options[n++] = "--with";
		options[n++] = with;
		options[n] = NULL;
	}
	strcpy(dir, "/tmp/baton-bpf-XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK(!mount("bpf", dir, "bpf", 0, NULL));
	snprintf(load_pins, sizeof(load_pins), "%s/p", dir);
	snprintf(load_socket, sizeof(load_socket), "%s.sock", dir);
	snprintf(load_log, sizeof(load_log), "%s.log", dir);
	setenv("BATON_DETECT_SOCKET", load_socket, 1);
	load_owner = getpid();
	atexit(load_end);
	load_again();
}

struct btn_detect *session(unsigned workers)
{
	struct btn_detect *d;
	char how[96];
	int err = btn_detect_open(&d, workers, how);

	CHECK_MSG(!err, "no session: %s (%d)", how, err);
	return d;
}

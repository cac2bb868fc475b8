/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.h - the tests' output: TAP 12, one test function a line.
 *
 * A test file defines functions and lists them:
 *
 *	TEST(adds) { CHECK_EQ(1 + 1, 2); }
 *	int main(int argc, char **argv) { return tap_main(argc, argv); }
 *
 * CHECK* end the test function on failure; SKIP ends it with a reason. A reason
 * that begins with "mend:" is one the user can do something about and is
 * repeated at the end of the run. Only the main thread of a test may CHECK;
 * other threads report through variables, or use CHECK_ANY, which aborts.
 * `TEST --list` prints the names, `TEST NAME...` runs only those.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct tap_test {
	const char *name;
	void (*fn)(void);
	struct tap_test *next;
};

__attribute__((unused)) static struct tap_test *tap_first, **tap_last = &tap_first;
/* Weak: one for the program, so that a helper in another file may CHECK too. */
__attribute__((weak)) jmp_buf tap_env;
__attribute__((weak)) char tap_why[1024];

#define TEST(NAME)                                                             \
	static void test_##NAME(void);                                         \
	static struct tap_test tap_##NAME = { #NAME, test_##NAME, NULL };      \
	__attribute__((constructor)) static void tap_add_##NAME(void)          \
	{                                                                      \
		*tap_last = &tap_##NAME;                                       \
		tap_last = &tap_##NAME.next;                                   \
	}                                                                      \
	static void test_##NAME(void)

__attribute__((format(printf, 2, 3), noreturn, unused))
static void tap_end(int how, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(tap_why, sizeof(tap_why), fmt, ap);
	va_end(ap);
	longjmp(tap_env, how);
}

#define CHECK_MSG(COND, ...)                                                   \
	do {                                                                   \
		if (!(COND))                                                   \
			tap_end(1, __VA_ARGS__);                               \
	} while (0)

#define CHECK(COND)                                                            \
	CHECK_MSG(COND, "%s:%d: %s is false", __FILE__, __LINE__, #COND)

#define CHECK_CMP(A, OP, B)                                                    \
	do {                                                                   \
		long long tap_a = (long long)(A), tap_b = (long long)(B);      \
		CHECK_MSG(tap_a OP tap_b,                                      \
			  "%s:%d: %s %s %s is false: %lld and %lld", __FILE__, \
			  __LINE__, #A, #OP, #B, tap_a, tap_b);                \
	} while (0)

#define CHECK_EQ(A, B) CHECK_CMP(A, ==, B)

#define CHECK_STR(A, B)                                                        \
	do {                                                                   \
		const char *tap_a = (A), *tap_b = (B);                         \
		CHECK_MSG(!strcmp(tap_a, tap_b),                               \
			  "%s:%d: %s is \"%s\", not \"%s\"", __FILE__,         \
			  __LINE__, #A, tap_a, tap_b);                         \
	} while (0)

#define CHECK_ANY(COND)                                                        \
	do {                                                                   \
		if (!(COND)) {                                                 \
			fprintf(stderr, "# %s:%d: %s is false (errno %d)\n",   \
				__FILE__, __LINE__, #COND, errno);             \
			abort();                                               \
		}                                                              \
	} while (0)

#define SKIP(...) tap_end(2, __VA_ARGS__)

/* fn must abort, and say why on stderr: in a child. */
__attribute__((unused)) static void tap_dies(void (*fn)(void), const char *why)
{
	char said[256];
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	CHECK_EQ(pipe(fd), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		dup2(fd[1], 2);
		fn();
		_exit(0);
	}
	close(fd[1]);
	n = read(fd[0], said, sizeof(said) - 1);
	close(fd[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_MSG(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x, not an abort", status);
	CHECK(n > 0);
	said[n] = 0;
	CHECK_MSG(strstr(said, why), "said \"%s\", not \"%s\"", said, why);
}

/* In a function of its own, so that nothing it needs later lives across setjmp. */
__attribute__((noinline, unused)) static int tap_run(const struct tap_test *t)
{
	int how = setjmp(tap_env);

	if (!how)
		t->fn();
	return how;
}

__attribute__((unused)) static int tap_main(int argc, char **argv)
{
	int n = 0, ran = 0, failed = 0, skipped = 0;
	struct tap_test *t;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (t = tap_first; t; t = t->next)
			puts(t->name);
		return 0;
	}
	for (t = tap_first; t; t = t->next) {
		for (i = 1; i < argc && strcmp(argv[i], t->name); i++)
			;
		n += argc == 1 || i < argc;
	}
	printf("1..%d\n", n);
	for (t = tap_first; t; t = t->next) {
		for (i = 1; i < argc && strcmp(argv[i], t->name); i++)
			;
		if (argc > 1 && i == argc)
			continue;
		ran++;
		switch (tap_run(t)) {
		case 0:
			printf("ok %d - %s\n", ran, t->name);
			break;
		case 1:
			failed++;
			printf("not ok %d - %s\n# %s\n", ran, t->name, tap_why);
			break;
		default:
			skipped++;
			printf("ok %d - %s # SKIP %s\n", ran, t->name, tap_why);
		}
	}
	if (failed || !ran)
		return 1;
	return skipped == ran ? 4 : 0;
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * baton stacks, of this process: who blocks with a slot where nobody announced
 * it is named with its callers, and who announced it is not.
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "tap.h"

static struct btn_detect *d;
static int pipes[2][2];
static _Atomic bool over;
static _Atomic unsigned rounds[2];

/* Not inlined, nor left by a jump: they are what is looked for. */
#define FRAME __attribute__((noinline, noclone))

FRAME static bool read_unannounced(int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	__asm__ volatile("" ::: "memory");
	return n == 1;
}

FRAME static bool read_announced(int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	__asm__ volatile("" ::: "memory");
	return n == 1;
}

FRAME static bool a_request(unsigned me)
{
	bool ok = me ? read_announced(pipes[me][0]) : read_unannounced(pipes[me][0]);

	__asm__ volatile("" ::: "memory");
	return ok;
}

static void *worker(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct btn_cell *cell = btn_detect_cell(d);

	CHECK(cell && !btn_detect_join(d, cell));
	while (!over) {
		btn_cell_arm(cell, me ? BTN_CELL_ANNOUNCED : BTN_CELL_ARMED);
		CHECK_ANY(a_request(me));
		btn_cell_arm(cell, BTN_CELL_NOT);
		rounds[me]++;
	}
	btn_detect_join(d, NULL);
	btn_detect_cell_put(d->id, cell);
	return NULL;
}

static void *writer(void *unused)
{
	while (!over) {
		CHECK_ANY(write(pipes[0][1], "", 1) == 1 && write(pipes[1][1], "", 1) == 1);
		pause_us(3000);
	}
	CHECK_ANY(write(pipes[0][1], "", 1) == 1 && write(pipes[1][1], "", 1) == 1);
	return NULL;
}

/* Output of `baton stacks`, which must exit with rc. */
static char *stacks(int rc, const char *options)
{
	static char text[65536];
	char command[512];
	int status;
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "%s stacks --pins %s %s 2>&1", baton_command(), load_pins, options);
	f = popen(command, "r");
	CHECK(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	status = pclose(f);
	CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == rc, "status %#x: %s", status, text);
	return text;
}

TEST(who_blocks_is_named_with_its_callers)
{
	pthread_t t[3];
	char mine[64], *text, *line;

	load_begin(NULL);
	d = session(16);
	CHECK(!pipe(pipes[0]) && !pipe(pipes[1]));
	pthread_create(&t[0], NULL, worker, (void *)0);
	pthread_create(&t[1], NULL, worker, (void *)1);
	pthread_create(&t[2], NULL, writer, NULL);
	CHECK(WITHIN(20, rounds[0] > 2 && rounds[1] > 2));

	snprintf(mine, sizeof(mine), "--seconds 2 %d", (int)getpid());
	text = stacks(0, mine);
	CHECK_MSG(strstr(text, "pipe_read"), "%s", text);
	CHECK_MSG(!strstr(text, "read_announced"), "%s", text);
	/* The kernel's way skips who called read() where read() has no frame. */
	if (strstr(text, "(libc"))
		CHECK_MSG(strstr(text, "a_request") || strstr(text, "read_unannounced"), "%s", text);

	/* Only one service is there, so it need not be named. */
	text = stacks(0, "--seconds 2 --folded");
	for (line = strtok(text, "\n"); line && !strstr(line, "pipe_read_[k] "); line = strtok(NULL, "\n"))
		;
	CHECK(line);
	/* Asleep nearly always: in two seconds, more than a tenth of one. */
	CHECK_MSG(strtoull(strrchr(line, ' '), NULL, 10) > 100000, "%s", line);

	over = true;
	pthread_join(t[2], NULL);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

TEST(what_is_wrong_is_said)
{
	char *text, mine[32];

	load_begin(NULL);
	text = stacks(2, "--seconds no");
	CHECK_MSG(strstr(text, "--seconds wants a number up to 86400, not \"no\""), "%s", text);
	text = stacks(2, "here");
	CHECK_MSG(strstr(text, "not \"here\""), "%s", text);
	text = stacks(1, "");
	CHECK_MSG(strstr(text, "no service is connected"), "%s", text);
	d = session(16);
	snprintf(mine, sizeof(mine), " %d\n", (int)getpid());
	text = stacks(1, "1");
	CHECK_MSG(strstr(text, "process 1 is not connected") && strstr(text, mine), "%s", text);
	load_end();
	text = stacks(1, "");
	CHECK_MSG(strstr(text, "`baton load` does that"), "%s", text);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

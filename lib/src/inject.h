/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inject.h - named points in the critical windows, for the tests.
 *
 *	BTN_POINT("park:resume:given");		may delay, yield or kill here
 *	if (BTN_FAIL("park:chunk")) ...		may pretend that this failed
 *
 * They are nothing at all unless BTN_INJECT is defined. Then they call the
 * function that a test put into btn_inject_hook, from whatever thread gets
 * there; BTN_FAIL is true where that returns non-zero.
 *
 *	BTN_HELD_BEGIN(); ...; BTN_HELD_END();	no system call may happen in between
 *	BTN_EXCUSED("why", call());		but this one
 *
 * A point stands immediately before each access to a shared word and is named
 * FILE:FUNCTION:WHAT, so that a test can also take every such access for a
 * step and try the steps of several threads in every order.
 */
#ifndef BTN_INJECT_H
#define BTN_INJECT_H

#ifdef BTN_INJECT

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef int btn_inject_fn(const char *point);

/* A variable for the program, without a file of its own. */
__attribute__((weak)) btn_inject_fn *_Atomic btn_inject_hook;

/*
 * A lock is held, or no more: a system call of this thread ends the process until then, with a
 * word that says where it was (inject.c). Excuse returns what resume needs.
 */
void btn_held_begin(void);
void btn_held_end(void);
bool btn_held_excuse(void);
void btn_held_resume(bool was);

static inline int btn_inject_hit(const char *point)
{
	bool held = btn_held_excuse();
	/* [INJECT-1] set before the threads that look are started. */
	btn_inject_fn *fn = atomic_load_explicit(&btn_inject_hook,
						 memory_order_relaxed); /* [INJECT-1] */
	int saved = errno, fails = fn ? fn(point) : 0;

	/* A delay that a signal ends early is no error of the code that was delayed. */
	errno = saved;
	btn_held_resume(held);
	return fails;
}

#define BTN_POINT(NAME) ((void)btn_inject_hit(NAME))
#define BTN_FAIL(NAME) btn_inject_hit(NAME)
#define BTN_HELD_BEGIN() btn_held_begin()
#define BTN_HELD_END() btn_held_end()
#define BTN_EXCUSED(WHY, ...) do { bool held_ = btn_held_excuse(); __VA_ARGS__; btn_held_resume(held_); } while (0)

#else

#define BTN_POINT(NAME) ((void)0)
#define BTN_FAIL(NAME) 0
#define BTN_HELD_BEGIN() ((void)0)
#define BTN_HELD_END() ((void)0)
#define BTN_EXCUSED(WHY, ...) do { __VA_ARGS__; } while (0)

#endif
#endif

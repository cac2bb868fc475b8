/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pairs.h - what begins something that another call has to end, on every way out of a
 * function. clang's analysis (-Wthread-safety) sees a way that does not, and refuses it:
 * selftests/check/pairs.sh. Other compilers see nothing here.
 */
#ifndef BTN_PAIRS_H
#define BTN_PAIRS_H

#ifdef __clang__
#define BTN_PAIR __attribute__((capability("call")))
#define BTN_BEGINS(...) __attribute__((acquire_capability(__VA_ARGS__)))
/* Where the function returns this. */
#define BTN_BEGINS_IF(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define BTN_ENDS(...) __attribute__((release_capability(__VA_ARGS__)))
#define BTN_BETWEEN(...) __attribute__((requires_capability(__VA_ARGS__)))
/* The function that does it. */
#define BTN_BEGINS_OR_ENDS __attribute__((no_thread_safety_analysis))
#else
#define BTN_PAIR
#define BTN_BEGINS(...)
#define BTN_BEGINS_IF(...)
#define BTN_ENDS(...)
#define BTN_BETWEEN(...)
#define BTN_BEGINS_OR_ENDS
#endif

/* Names for the analysis alone: they are declared, and no code or data has them. */
struct BTN_PAIR btn_pair {
	char none;
};

/* The calling thread is inside the library: gate.h. */
extern struct btn_pair btn_inside;
/* The calling thread has a scheduler's lock by btn_gate_lock(). */
extern struct btn_pair btn_locked;

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tsan.h - what ThreadSanitizer is told, in a program that was built with -fsanitize=thread and uses this library
 * as it is installed.
 *
 * The sanitizer sees neither the library's atomics nor its futex calls. Without a word it would take all that a
 * mutex of the library's guards for a race. So each call that hands something on names the object twice: the thread
 * that hands on releases it, before it does so, and the thread that goes on acquires it, afterwards. The names are the objects' addresses.
 * The scheduler's own lock is not named: nearly every call takes it, and a program's races would hide behind that.
 *
 * The functions are the sanitizer's own, and weak: in other programs they are NULL, and a call is a load and a
 * branch. In the library's own tests under the sanitizer the library is instrumented, and is to be right without.
 *
 * btn_tsan_ignore_begin() and _end() are around what the sanitizer sees of the library's inside all the same, by
 * libc's functions that it replaces: malloc() and free(). Memory that goes from thread to thread under
 * the library's own locks would look raced for.
 */
#ifndef BTN_TSAN_H
#define BTN_TSAN_H

#ifdef BTN_TSAN

static inline void btn_tsan_acquire(const volatile void *object) { }
static inline void btn_tsan_release(const volatile void *object) { }
static inline void btn_tsan_ignore_begin(void) { }
static inline void btn_tsan_ignore_end(void) { }

#else

extern __attribute__((weak)) void __tsan_acquire(void *object);
extern __attribute__((weak)) void __tsan_release(void *object);
extern __attribute__((weak)) void AnnotateIgnoreWritesBegin(const char *file, int line);
extern __attribute__((weak)) void AnnotateIgnoreWritesEnd(const char *file, int line);

static inline void btn_tsan_acquire(const volatile void *object)
{
	if (__builtin_expect(__tsan_acquire != 0, 0))
		__tsan_acquire((void *)object);
}

static inline void btn_tsan_release(const volatile void *object)
{
	if (__builtin_expect(__tsan_release != 0, 0))
		__tsan_release((void *)object);
}

static inline void btn_tsan_ignore_begin(void)
{
	if (__builtin_expect(AnnotateIgnoreWritesBegin != 0, 0))
		AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

static inline void btn_tsan_ignore_end(void)
{
	if (__builtin_expect(AnnotateIgnoreWritesEnd != 0, 0))
		AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}

#endif
#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * atomic.h - C11 atomics, written out, and what they need beside them.
 *
 * There are no wrappers here: the order stands at every access, with the tag
 * of its partner. Code that ThreadSanitizer must follow uses no fences.
 */
#ifndef BTN_ATOMIC_H
#define BTN_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

/* x86-64 and most arm64; where lines are longer it costs time, not truth. */
#define BTN_CACHELINE 64
#define BTN_ALIGNED _Alignas(BTN_CACHELINE)

#define btn_likely(x) __builtin_expect(!!(x), 1)
#define btn_unlikely(x) __builtin_expect(!!(x), 0)

/* Tells the CPU that this is a spin loop. */
static inline void btn_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

/*
 * Somebody else was first. Keeps off the cache line for 0.5 to 1 us, and for
 * twice that when it happens again: meanwhile the others do a hundred operations
 * in their own cache, where each in turn would do one and wait for the line. By
 * the CPU's counter, of 2 to 4 GHz, where there is such a one: a pause takes 10
 * to 140 cycles, depending on who made the CPU.
 */
static inline void btn_back_off(unsigned int *times)
{
#if defined(__x86_64__)
	const uint64_t from = __builtin_ia32_rdtsc();

	do
		btn_cpu_relax();
	while (__builtin_ia32_rdtsc() - from < UINT64_C(2048) << *times);
#else
	unsigned int i, n = 32u << *times;

	for (i = 0; i < n; i++)
		btn_cpu_relax();
#endif
	*times = 1;
}

#endif

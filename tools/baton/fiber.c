// SPDX-License-Identifier: GPL-2.0-or-later
#include "fiber.h"

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__aarch64__)

/* Saves what a call must preserve, leaves the stack at *save, takes up `load`. */
void fiber_switch(void **save, void *load);

#if defined(__x86_64__)
__asm__(".text\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".size fiber_switch, . - fiber_switch\n");
#define SAVED 6			/* words below the return address */
#define RETURN_AT SAVED
#define FRAME (SAVED + 2)	/* a word more: the stack is aligned as after a call */
#else
__asm__(".text\n"
	".type fiber_switch, %function\n"
	"fiber_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x29, x30, [sp]\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x29, x30, [sp]\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size fiber_switch, . - fiber_switch\n");
#define RETURN_AT 1		/* x30 */
#define FRAME 20
#endif

static void *here, *there;
static _Alignas(16) uintptr_t stack[2048];

__attribute__((noreturn)) static void other_side(void)
{
	for (;;)
		fiber_switch(&there, here);
}

int fiber_prepare(void)
{
	uintptr_t *sp = stack + 2048 - FRAME;

	sp[RETURN_AT] = (uintptr_t)other_side;
	there = sp;
	return 0;
}

void fiber_passes(unsigned long n)
{
	while (n--)
		fiber_switch(&here, there);
}

#else

int fiber_prepare(void)
{
	return -1;
}

void fiber_passes(unsigned long n)
{
}

#endif

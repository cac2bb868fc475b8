/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz.h - what libFuzzer calls, and how a fuzzer says that what it looks at is wrong. */
#ifndef SELFTESTS_FUZZ_H
#define SELFTESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* libFuzzer keeps the input of a process that aborts. */
#define FUZZ_MUST(x) do { \
	if (!(x)) { \
		fprintf(stderr, "ERROR: fuzz: %s:%d: false: %s\n", __FILE__, __LINE__, #x); \
		abort(); \
	} \
} while (0)

/* An input, taken from its beginning; zeros after its end. */
struct fuzz_in {
	const uint8_t *p;
	size_t left;
};

static inline unsigned fuzz_byte(struct fuzz_in *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline unsigned fuzz_word(struct fuzz_in *in)
{
	unsigned high = fuzz_byte(in);

	return high << 8 | fuzz_byte(in);
}

/* At most n bytes: how many, and at *out where they are. */
static inline size_t fuzz_bytes(struct fuzz_in *in, size_t n, const uint8_t **out)
{
	if (n > in->left)
		n = in->left;
	*out = in->p;
	in->p += n;
	in->left -= n;
	return n;
}

#endif

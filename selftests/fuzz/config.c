// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer's inputs as a configuration (<baton/config.h>): what is refused says why, in complete lines;
 * what is taken, printed and read again, is the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <baton/config.h>

#include "fuzz.h"

/* A service's own directives: some it takes, some it refuses. */
static int own(void *arg, const char *name, const char *value, char *why, size_t room)
{
	unsigned *n = arg;

	++*n;
	if (strlen(name) & 1)
		return 0;
	snprintf(why, room, "%.20s is not \"%.20s\"", name, value);
	return -22;
}

static char *printed(const struct baton_config *c, size_t *len)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len);

	FUZZ_MUST(to && !baton_config_print(c, to));
	fclose(to);
	return text;
}

static void use_config(const struct baton_config *c)
{
	struct baton_sched_opts so;
	struct baton_tenant_opts to;
	unsigned i;

	baton_config_sched(c, &so);
	for (i = 0; baton_config_tier(c, i); i++)
		;
	for (i = 0; baton_config_tenant(c, i, &to); i++)
		FUZZ_MUST(to.low_ppm <= 1000000 && to.high_ppm <= 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char why[600], small[7], *first, *second;
	struct baton_config *c, *again;
	size_t first_len, second_len;
	unsigned calls = 0;
	int err;

	err = baton_config_parse(&c, (const char *)p, n, "fuzz", why, sizeof(why));
	FUZZ_MUST(err ? err == -22 && !c && *why : c && !*why);
	if (!err) {
		use_config(c);
		first = printed(c, &first_len);
		FUZZ_MUST(!baton_config_parse(&again, first, first_len, "again", why, sizeof(why)));
		second = printed(again, &second_len);
		FUZZ_MUST(first_len == second_len && !memcmp(first, second, first_len));
		free(first);
		free(second);
		baton_config_free(again);
		baton_config_free(c);
	}
	err = baton_config_parse_own(&c, (const char *)p, n, "fuzz", own, &calls, small, sizeof(small));
	FUZZ_MUST(!err == !!c && memchr(small, 0, sizeof(small)));
	baton_config_free(c);
	return 0;
}

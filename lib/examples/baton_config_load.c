/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A scheduler with its tenants as a file says, or a text (-e TEXT), or the text below; or what is wrong in it. */
#include <baton/config.h>
#include <stdio.h>
#include <string.h>

static const char text[] =
	"tier low\n"
	"tier high policy=arrival\n"
	"tenant alice low=10% high=25%\n"
	"greeting \"good morning\"\n"
	"tenant \"Bob & Co\" high=50%\n";

/* A directive of our own. */
static int own(void *arg, const char *name, const char *value, char *why, size_t room)
{
	(void)arg;
	if (strcmp(name, "greeting")) {
		snprintf(why, room, "\"%s\" instead of greeting or one of slots capacity low_limit tier tenant", name);
		return -1;
	}
	printf("%s\n", value);
	return 0;
}

int main(int argc, char **argv)
{
	struct baton_tenant_opts to;
	struct baton_sched_opts so;
	struct baton_tenant *tenant;
	struct baton_config *c;
	struct baton_sched *s;
	const char *name;
	char why[1000];
	size_t i;

	if (argc > 2 ? baton_config_parse(&c, argv[2], strlen(argv[2]), argv[1], why, sizeof(why)) :
	    argc > 1 ? baton_config_load(&c, argv[1], why, sizeof(why)) :
		       baton_config_parse_own(&c, text, strlen(text), "example", own, NULL, why, sizeof(why))) {
		fputs(why, stderr);
		return 1;
	}
	baton_config_sched(c, &so);
	if (baton_sched_create(&s, &so))
		return 1;
	/* At the start, and again whenever the text has changed. */
	if (baton_config_apply(c, s, why, sizeof(why))) {
		fputs(why, stderr);
		return 1;
	}
	for (i = 0; (name = baton_config_tenant(c, i, &to)); i++)
		printf("%s has %u ppm\n", name, to.low_ppm + to.high_ppm);
	if (!baton_tenant_find(s, "alice", &tenant))
		puts("alice may come in");
	baton_tenant_put(tenant);
	printf("tiers: %s and %s\n", baton_config_tier(c, 0), baton_config_tier(c, 1));
	baton_config_print(c, stdout);
	baton_config_free(c);
	return baton_sched_destroy(s) ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration's language: what it says, and what it says about mistakes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <baton/config.h>

#include "tap.h"

#define GOOD                                                  \
	"# all there is\n"                                    \
	"slots 4\r\n"                                         \
	"\n"                                                  \
	"capacity 2.5\n"                                      \
	"  low_limit 60.5%\t# at most\n"                      \
	"tier low  policy=quota\n"                            \
	"tier high policy=arrival rank=1\n"                   \
	"tier backup rank=2 share=3 reserve=2% limit=10%\n"   \
	"tenant zoe low=10% high=2.0001%\n"                   \
	"tenant \"Bob \\\"B\\\" #1\" high=100%\n"             \
	"tenant caf\xc3\xa9 low=0.5% requests=7 workers=5"

#define CAPACITY(TEXT)                                                                               \
	"f:1: capacity is a number of CPUs from 0.001 to 4096, with at most four digits after the " \
	"point, not \"" TEXT "\"\n"

static char why[4000];

static int parse(struct baton_config **c, const char *text)
{
	return baton_config_parse(c, text, strlen(text), "f", why, sizeof(why));
}

/* Exactly these complaints. */
static void wrong(const char *text, const char *want)
{
	struct baton_config *c;

	CHECK_EQ(parse(&c, text), -EINVAL);
	CHECK(!c);
	CHECK_STR(why, want);
}

static char *printed(const struct baton_config *c)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	CHECK(f);
	CHECK_EQ(baton_config_print(c, f), 0);
	fclose(f);
	return text;
}

/* Directives of which the service was told, and those that it does not know. */
static int own(void *arg, const char *name, const char *value, char *to, size_t room)
{
	char *all = arg;

	snprintf(to, room, "no %s here", name);
	if (!strcmp(name, "nope"))
		return -EINVAL;
	strcat(strcat(strcat(strcat(all, name), "="), value), ";");
	return 0;
}

static int parse_own(const char *text, char *all)
{
	struct baton_config *c;
	int err = baton_config_parse_own(&c, text, strlen(text), "f", own, all, why, sizeof(why));

	baton_config_free(c);
	return err;
}

TEST(own_directives)
{
	char all[200] = "";

	CHECK_EQ(parse_own("slots 2\nport 5433 # one\ndir \"/a b\"\nempty \"\"\ntenant a low=1%\n", all), 0);
	CHECK_STR(all, "port=5433;dir=/a b;empty=;");
	all[0] = 0;
	CHECK_EQ(parse_own("nope 1\nport\nport 1 2\n\"slots\" 3\nport 3\n", all), -EINVAL);
	CHECK_STR(why, "f:1: no nope here\nf:2: port without a value\nf:3: \"2\" is too much in this line\n"
		       "f:4: \"slots\" instead of one of slots capacity low_limit tier tenant\n");
	CHECK_STR(all, "port=3;");
}

TEST(good)
{
	struct baton_tenant_opts t;
	struct baton_sched_opts s;
	struct baton_config *c;

	CHECK_EQ(parse(&c, GOOD), 0);
	CHECK_STR(why, "");
	baton_config_sched(c, &s);
	CHECK_EQ(s.sz, sizeof(s));
	CHECK_EQ(s.slots, 4);
	CHECK_EQ(s.capacity, 2500000000);
	CHECK_EQ(s.low_limit_ppm, 605000);
	CHECK_EQ(s.tiers, 3);
	CHECK_STR(s.tier[0].policy, "quota");
	CHECK_EQ(s.tier[0].rank, 0);
	CHECK_STR(s.tier[1].policy, "arrival");
	CHECK_EQ(s.tier[2].rank, 2);
	CHECK_EQ(s.tier[2].share, 3);
	CHECK_EQ(s.tier[2].reserve_ppm, 20000);
	CHECK_EQ(s.tier[2].limit_ppm, 100000);
	CHECK_STR(baton_config_tier(c, 2), "backup");
	CHECK(!baton_config_tier(c, 3));
	CHECK_STR(baton_config_tenant(c, 0, &t), "Bob \"B\" #1");
	CHECK_EQ(t.low_ppm, 0);
	CHECK_EQ(t.high_ppm, 1000000);
	CHECK_STR(baton_config_tenant(c, 1, &t), "caf\xc3\xa9");
	CHECK_EQ(t.low_ppm, 5000);
	CHECK_STR(baton_config_tenant(c, 2, &t), "zoe");
	CHECK_EQ(t.high_ppm, 20001);
	CHECK(!baton_config_tenant(c, 3, &t));
	baton_config_free(c);
}

/* Nothing at all is a configuration, too: two tiers, no tenant. */
TEST(defaults)
{
	struct baton_sched_opts s;
	struct baton_config *c;
	struct baton_sched *sched;

	CHECK_EQ(parse(&c, ""), 0);
	baton_config_sched(c, &s);
	CHECK_EQ(s.slots, 0);
	CHECK_EQ(s.capacity, 0);
	CHECK_EQ(s.low_limit_ppm, 700000);
	CHECK_EQ(s.tiers, 2);
	CHECK_EQ(s.tier[1].rank, 1);
	CHECK_EQ(baton_sched_create(&sched, &s), 0);
	CHECK_EQ(baton_sched_destroy(sched), 0);
	baton_config_free(c);
}

TEST(prints_what_it_read)
{
	struct baton_config *c, *again;
	char *a, *b;

	CHECK_EQ(parse(&c, GOOD), 0);
	a = printed(c);
	CHECK_EQ(parse(&again, a), 0);
	b = printed(again);
	CHECK_STR(b, a);
	CHECK(strstr(a, "capacity 2.5000\n"));
	CHECK(strstr(a, "tenant \"Bob \\\"B\\\" #1\" low=0.0000% high=100.0000%\n"));
	CHECK(strstr(a, " high=0.0000% requests=7 workers=5\n"));
	free(a);
	free(b);
	baton_config_free(c);
	baton_config_free(again);
}

TEST(words)
{
	wrong("slots 2\nteant x low=1%\n", "f:2: \"teant\" instead of one of slots capacity low_limit tier tenant\n");
	wrong("# a comment\n\n  # another\nx\n", "f:4: \"x\" instead of one of slots capacity low_limit tier tenant\n");
	wrong("tenant\n", "f:1: tenant without a name\n");
	wrong("tenant low=1%\n", "f:1: tenant without a name before low=1% (or write the name in quotes)\n");
	wrong("tenant \"a\n", "f:1: no second \" in this line to end the name\n");
	wrong("tenant \"a\"low=1%\n", "f:1: a blank is missing after the second \"\n");
	wrong("tenant a\"b low=1%\n", "f:1: a \" within a word: a name in quotes begins and ends with one\n");
	wrong("tenant \"a\\n\" low=1%\n", "f:1: a \\ in a name: only \\\" and \\\\ are known\n");
	wrong("tenant \"\" low=1%\n", "f:1: the name of a tenant has from 1 to 63 bytes, not 0\n");
	wrong("tenant a\x01 low=1%\n", "f:1: a control character (0x01)\n");
	wrong("tenant \xc3\x28 low=1%\n", "f:1: the name of a tenant that is not UTF-8\n");
	wrong("tenant a quota=1%\n", "f:1: no \"quota=\": there are low= high= requests= workers=\n");
	wrong("tenant a low\n", "f:1: \"low\" instead of one of low= high= requests= workers=\n");
	wrong("tenant a workers=3\n", "f:1: tenant a has no quota: low=, high= or both\n");
	wrong("tenant a low=1% low=2%\n", "f:1: low= twice in one line\n");
	wrong("tenant a\n", "f:1: tenant a has no quota: low=, high= or both\n");
	wrong("slots\n", "f:1: slots without a value\n");
	wrong("slots 2 3\n", "f:1: \"3\" is too much in this line\n");
	wrong("slots 2\nslots 3\n", "f:2: slots a second time; the first is in line 1\n");
}

TEST(numbers)
{
	wrong("slots 0\n", "f:1: slots is a number from 1 to 4096, not \"0\"\n");
	wrong("slots 99999999999999999999\n",
	      "f:1: slots is a number from 1 to 4096, not \"99999999999999999999\"\n");
	wrong("capacity 0\n", CAPACITY("0"));
	wrong("capacity 0.0009\n", CAPACITY("0.0009"));
	wrong("capacity 4096.1\n", CAPACITY("4096.1"));
	wrong("capacity 99999999999999999999\n", CAPACITY("99999999999999999999"));
	wrong("capacity 1.\n", CAPACITY("1."));
	wrong("capacity .5\n", CAPACITY(".5"));
	wrong("capacity 1.00001\n", CAPACITY("1.00001"));
	wrong("capacity 50%\n", CAPACITY("50%"));
	wrong("capacity 2\ncapacity 2\n", "f:2: capacity a second time; the first is in line 1\n");
	wrong("slots -1\n", "f:1: slots is a number from 1 to 4096, not \"-1\"\n");
	wrong("tenant a low=10\n", "f:1: low is a percentage like 10% or 2.5%, not \"10\"\n");
	wrong("tenant a low=%\n", "f:1: low is a percentage like 10% or 2.5%, not \"%\"\n");
	wrong("tenant a low=1.%\n", "f:1: low is a percentage like 10% or 2.5%, not \"1.%\"\n");
	wrong("tenant a low=1%%\n", "f:1: low is a percentage like 10% or 2.5%, not \"1%%\"\n");
	wrong("tenant a high=100.0001%\n", "f:1: high is at most 100%, not 100.0001%\n");
	wrong("tenant a high=99999999999999999999%\n", "f:1: high is a percentage like 10% or 2.5%, "
	      "not \"99999999999999999999%\"\n");
	wrong("tenant a high=1.00001%\n",
	      "f:1: high: at most four digits after the point, not \"1.00001%\"\n");
	wrong("tenant a high=1% workers=0\n", "f:1: workers is a number from 1 to 1000000, not \"0\"\n");
	wrong("low_limit 71%\n", "f:1: low_limit is at most 70%, not 71%\n");
	wrong("low_limit 0%\n", "f:1: low_limit is more than 0%: with none, sell no low=\n");
	wrong("tier low share=0\n", "f:1: share is a number from 1 to 1000000, not \"0\"\n");
	wrong("tier low rank=8\n", "f:1: rank is a number from 0 to 7, not \"8\"\n");
}

TEST(tiers)
{
	wrong("tier fast\n", "f:1: the first tier is called low, not fast: it is what tenants buy with low=\n");
	wrong("tier low\ntier x\n",
	      "f:2: the second tier is called high, not x: it is what tenants buy with high=\n");
	wrong("tier low\n", "f:1: tier low alone: a tier high is missing\n");
	wrong("tier low\ntier low\n", "f:2: tier low a second time; the first is in line 1\n");
	wrong("tier low policy=edf\n", "f:1: no policy \"edf\": there are fifo lifo rr arrival quota\n");
	wrong("tier low limit=0%\n",
	      "f:1: limit=0% would stop the tier; without limit= there is none\n");
	wrong("tier low reserve=5% limit=4%\n", "f:1: more reserved than its limit allows\n");
	wrong("tier low\ntier high\ntier a\ntier b\ntier c\ntier d\ntier e\ntier f\ntier g\n",
	      "f:9: more than 8 tiers\n");
}

/* Mistakes that only the whole shows. */
TEST(sums)
{
	wrong("low_limit 50%\ntenant a low=30%\ntenant b low=20.0001%\n",
	      "f:1: the tenants' low= add up to 50.0001%, more than low_limit 50.0000%\n");
	wrong("tenant a low=70%\ntenant b low=1%\n",
	      "f: the tenants' low= add up to 71.0000%, more than low_limit 70.0000%\n");
	wrong("tier low reserve=20%\ntier high reserve=20%\n",
	      "f: the tiers' reserves and low_limit add up to 110.0000%, more than all there is\n");
	wrong("tenant a low=1%\ntenant b low=1%\ntenant a high=1%\n",
	      "f:3: tenant a a second time; before it, in line 1\n");
}

TEST(many_mistakes)
{
	char small[30];
	struct baton_config *c;

	wrong("a\nb\ntenant c low=1%\nd\n",
	      "f:1: \"a\" instead of one of slots capacity low_limit tier tenant\n"
	      "f:2: \"b\" instead of one of slots capacity low_limit tier tenant\n"
	      "f:4: \"d\" instead of one of slots capacity low_limit tier tenant\n");
	CHECK_EQ(parse(&c, "a\na\na\na\na\na\na\na\na\na\na\na\na\n"), -EINVAL);
	CHECK(strstr(why, "f:10: \"a\"") && !strstr(why, "f:11:"));
	CHECK_STR(strrchr(why, ':'), ": and more\n");
	/* Text that does not fit is cut, and nothing else is written. */
	memset(small, 'x', sizeof(small));
	CHECK_EQ(baton_config_parse(&c, "a\nb\n", 4, "f", small, 20), -EINVAL);
	CHECK_EQ(strlen(small), 19);
	CHECK_EQ(small[20], 'x');
	CHECK_EQ(baton_config_parse(&c, "a\n", 2, "f", NULL, 0), -EINVAL);
}

TEST(files)
{
	char name[] = "/tmp/baton-config-XXXXXX";
	struct baton_config *c;
	int fd = mkstemp(name), i;

	CHECK(fd >= 0);
	/* Longer than one read. */
	for (i = 0; i < 1000; i++)
		dprintf(fd, "tenant tenant-number-%d high=1%%\n", i);
	CHECK_EQ(baton_config_load(&c, name, why, sizeof(why)), 0);
	CHECK(baton_config_tenant(c, 999, NULL) && !baton_config_tenant(c, 1000, NULL));
	baton_config_free(c);
	dprintf(fd, "slots 1\nslots 2\n");
	CHECK_EQ(baton_config_load(&c, name, why, sizeof(why)), -EINVAL);
	CHECK(strstr(why, ":1002: slots a second time; the first is in line 1001\n"));
	CHECK_EQ(ftruncate(fd, 65 << 20), 0);
	errno = 7;
	CHECK_EQ(baton_config_load(&c, name, why, sizeof(why)), -EFBIG);
	close(fd);
	unlink(name);
	CHECK_EQ(baton_config_load(&c, name, why, sizeof(why)), -ENOENT);
	CHECK(!c && strstr(why, "No such file or directory\n") && !strncmp(why, name, strlen(name)));
	CHECK_EQ(baton_config_load(&c, "/tmp", why, sizeof(why)), -EISDIR);
	CHECK_EQ(errno, 7);
}

static uint64_t rng;

static unsigned rnd(unsigned n)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(rng >> 33) % n;
}

/* Changes a text a little: bytes, words, lines, cuts. */
static size_t mutate(char *text, size_t len, size_t room)
{
	static const char *const bits[] = {
		"tenant ", "tier ", "low=", "high=", "%", "\"", "\\", "\n", "#", "=", "policy=", "rr",
		"99999999999", "0.0001%", "reserve=", "limit=", "slots ", "low_limit ", "\xc3\xa9", "\xed\xa0\x80",
	};
	unsigned n = 1 + rnd(3);
	const char *bit;
	size_t at, k;

	while (n--) {
		at = len ? rnd(len) : 0;
		switch (rnd(5)) {
		case 0:
			if (len)
				text[at] = rnd(256);
			break;
		case 1:
			k = rnd(20);
			k = k < len - at ? k : len - at;
			memmove(text + at, text + at + k, len - at - k);
			len -= k;
			break;
		case 2:
		case 3:
			bit = bits[rnd(sizeof(bits) / sizeof(bits[0]))];
			k = strlen(bit);
			if (len + k > room)
				break;
			memmove(text + at + k, text + at, len - at);
			memcpy(text + at, bit, k);
			len += k;
			break;
		default:
			k = rnd(60);
			if (at + k > len || len + k > room)
				break;
			memmove(text + at + k, text + at, len - at);
			len += k;
		}
	}
	return len;
}

/*
 * Any text is refused with a message that names a line of it, or
 * understood, and then what is printed of it means the same.
 */
TEST(any_text)
{
	static const char seed[] = GOOD;
	struct baton_config *c, *again;
	unsigned good = 0, i, rounds = 100000;
	char text[1000], *a, *b;
	size_t len = 0;

	for (i = 0; i < rounds; i++) {
		char *exact;

		rng = i;
		if (i % 2 == 0) {
			memcpy(text, seed, sizeof(seed) - 1);
			len = sizeof(seed) - 1;
		}
		len = mutate(text, len, sizeof(text));
		/* Exactly so long: reading past it is seen. */
		exact = malloc(len ? len : 1);
		CHECK(exact);
		memcpy(exact, text, len);
		if (baton_config_parse(&c, exact, len, "f", why, sizeof(why))) {
			CHECK_MSG(!strncmp(why, "f:", 2) && strchr(why, '\n'), "text %u: %s", i, why);
			CHECK(!c);
		} else {
			good++;
			a = printed(c);
			CHECK_MSG(parse(&again, a) == 0, "text %u: %s: %s", i, a, why);
			b = printed(again);
			CHECK_STR(b, a);
			free(a);
			free(b);
			baton_config_free(again);
			baton_config_free(c);
		}
		free(exact);
	}
	CHECK_CMP(good, >, rounds / 100);
	CHECK_CMP(good, <, rounds);
}

int main(int argc, char **argv)
{
	return tap_main(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <baton/base.h>

int options_wrong(const struct options *o, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "baton %s: ", o->verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", o->usage);
	return 2;
}

int options_service(const struct options *o, int argc, char **argv, const char **service)
{
	if (argc - optind > 1)
		return options_wrong(o, "one service, not also \"%s\"", argv[optind + 1]);
	*service = argv[optind];
	return 0;
}

/* The option that getopt_long() just refused, as it was written. */
static const char *refused(char **argv)
{
	static char letter[3] = "-";

	/* A long one has been passed; a letter may be one of several in an argument. */
	if (!optopt || !strncmp(argv[optind - 1], "--", 2))
		return argv[optind - 1];
	letter[1] = (char)optopt;
	return letter;
}

int options_next(struct options *o, int argc, char **argv, const char *letters, const struct option *rows)
{
	char all[32];
	int c;

	if (!o->begun) {
		/* 0, for a verb's verb: glibc begins anew. */
		optind = 0;
		opterr = 0;
		o->begun = 1;
	}
	snprintf(all, sizeof(all), ":hV%s", letters);
	c = getopt_long(argc, argv, all, rows, NULL);
	switch (c) {
	case 'h':
		fputs(o->usage, stdout);
		o->status = 0;
		return OPTIONS_EXIT;
	case 'V':
		printf("baton %s\n", baton_version());
		o->status = 0;
		return OPTIONS_EXIT;
	case ':':
		o->status = options_wrong(o, "%s wants a value", refused(argv));
		return OPTIONS_EXIT;
	case '?':
		o->status = options_wrong(o, "no option %s", refused(argv));
		return OPTIONS_EXIT;
	default:
		return c;
	}
}

char *options_printable(char *text)
{
	unsigned char *c;

	/* Controls of 8 bits, too, as UTF-8 has them: 0xc2 and 0x80 to 0x9f. */
	for (c = (unsigned char *)text; *c; c++) {
		if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
		else if (*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return text;
}

void options_put_json(FILE *to, const char *s)
{
	putc('"', to);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(to, "\\u%04x", (unsigned char)*s);
		else
			putc(*s, to);
	}
	putc('"', to);
}

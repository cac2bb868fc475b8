// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of times. */
#include "funcs_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void f_now(ctx *c, int n, val **v)
{
	funcs_result_time(c, env_of(c)->now, T_TIMESTAMPTZ);
}

static void f_clock(ctx *c, int n, val **v)
{
	funcs_result_time(c, time_now(), T_TIMESTAMPTZ);
}

static void parts_of(int64_t us, struct tm *tm, int64_t *clock)
{
	int64_t days = time_day(us);
	time_t t = (time_t)(days * 86400 + 946684800);

	*clock = us - days * DAY_US;
	gmtime_r(&t, tm);
	tm->tm_hour = (int)(*clock / 3600000000LL);
	tm->tm_min = (int)(*clock / 60000000LL % 60);
	tm->tm_sec = (int)(*clock / 1000000LL % 60);
}

static int iso_week(const struct tm *tm)
{
	char week[4];

	strftime(week, sizeof(week), "%V", tm);
	return atoi(week);
}

static void f_date_part(ctx *c, int n, val **v)
{
	struct interval iv;
	const char *f = text_of(v[0]);
	int64_t us, clock;
	struct tm tm;
	double d;

	if (!f || is_null(v[1]))
		return;
	/* A time of day is 00:00 and an interval more. */
	if (sqlite3_value_type(v[1]) == SQLITE_TEXT && interval_parse(text_of(v[1]), &iv) && strlen(text_of(v[1])) &&
	    (strlen(text_of(v[1])) < 8 || text_of(v[1])[4] != '-') && interval_part(f, &iv, &d)) {
		sqlite3_result_double(c, d);
		return;
	}
	if (!funcs_time_of(c, v[1], T_TIMESTAMPTZ, &us))
		return;
	parts_of(us, &tm, &clock);
	if (!strcasecmp(f, "epoch"))
		d = (double)us / 1e6 + 946684800;
	else if (!strcasecmp(f, "year"))
		d = tm.tm_year + 1900;
	else if (!strcasecmp(f, "month"))
		d = tm.tm_mon + 1;
	else if (!strcasecmp(f, "day"))
		d = tm.tm_mday;
	else if (!strcasecmp(f, "hour"))
		d = tm.tm_hour;
	else if (!strcasecmp(f, "minute"))
		d = tm.tm_min;
	else if (!strcasecmp(f, "second"))
		d = (double)(clock % 60000000LL) / 1e6;
	else if (!strcasecmp(f, "dow"))
		d = tm.tm_wday;
	else if (!strcasecmp(f, "isodow"))
		d = tm.tm_wday ? tm.tm_wday : 7;
	else if (!strcasecmp(f, "doy"))
		d = tm.tm_yday + 1;
	else if (!strcasecmp(f, "quarter"))
		d = tm.tm_mon / 3 + 1;
	else if (!strcasecmp(f, "week"))
		d = iso_week(&tm);
	else if (!strcasecmp(f, "century"))
		d = (tm.tm_year + 1999) / 100;
	else if (!strcasecmp(f, "decade"))
		d = (tm.tm_year + 1900) / 10;
	else if (!strcasecmp(f, "milliseconds"))
		d = (double)(clock % 60000000LL) / 1e3;
	else if (!strcasecmp(f, "microseconds"))
		d = (double)(clock % 60000000LL);
	else {
		funcs_error(c, "0A000", "unit \"%.40s\" not supported", f);
		return;
	}
	sqlite3_result_double(c, d);
}

static void f_date_trunc(ctx *c, int n, val **v)
{
	static const char *const units[] = { "second", "minute", "hour", "day", "month", "year", NULL };
	static const char *const zero[] = { ":00", ":00:00", " 00:00:00", "-01 00:00:00", "-01-01 00:00:00" };
	static const int keep[] = { 19, 16, 13, 10, 7, 4 };
	const char *f = text_of(v[0]);
	bool week, quarter;
	int64_t us, clock;
	struct tm tm;
	struct buf b;
	int i;

	if (!f || !funcs_time_of(c, v[1], T_TIMESTAMPTZ, &us))
		return;
	week = !strcasecmp(f, "week");
	quarter = !strcasecmp(f, "quarter");
	parts_of(us, &tm, &clock);
	if (week) {
		us -= ((tm.tm_wday + 6) % 7) * DAY_US;
		f = "day";
	} else if (quarter) {
		struct interval back = { .months = tm.tm_mon % 3 };

		us -= (tm.tm_mday - 1) * DAY_US;
		interval_add(&us, &back, -1);
		f = "month";
	}
	for (i = 0; units[i] && strcasecmp(f, units[i]); i++)
		;
	if (!units[i]) {
		funcs_error(c, "0A000", "unit \"%.40s\" not supported", f);
		return;
	}
	buf_init(&b, 100);
	time_format(&b, us, T_TIMESTAMP);
	b.len = keep[i];
	if (i)
		buf_str(&b, zero[i - 1]);
	/* A date is one with a zone. */
	if (strchr(text_of(v[1]), '+') || strlen(text_of(v[1])) == 10)
		buf_str(&b, "+00");
	result_buf(c, &b);
}

/* A day's or a month's name, in the case that the pattern f has, of the width of the longest unless it is 0. */
static void put_name(struct buf *b, const char *f, const char *name, int width)
{
	char s[12];
	size_t i;

	for (i = 0; name[i] && i < sizeof(s) - 1; i++)
		s[i] = (char)(isupper((unsigned char)f[0]) && (!i || isupper((unsigned char)f[1])) ? toupper((unsigned char)name[i]) :
												 tolower((unsigned char)name[i]));
	s[i] = 0;
	buf_fmt(b, "%-*s", width, s);
}

enum { C_YEAR4, C_YEAR3, C_YEAR2, C_YEAR1, C_ISO_YEAR, C_MONTH, C_MON, C_MM, C_DAY, C_DDD, C_DD, C_DY, C_D, C_HH24, C_HH12, C_MI, C_SSSS, C_SS,
       C_MS, C_US, C_AM, C_Q, C_IW, C_WW, C_CC, C_J, C_TZ };

/* One of a longer name stands before those that it begins with. */
static const struct {
	const char *name;
	int what, width;
} char_fields[] = {
	{ "YYYY", C_YEAR4, 4 }, { "YYY", C_YEAR3, 3 }, { "YY", C_YEAR2, 2 }, { "Y", C_YEAR1, 1 }, { "IYYY", C_ISO_YEAR, 4 },
	{ "MONTH", C_MONTH, 9 }, { "MON", C_MON, 0 }, { "MM", C_MM, 2 }, { "DAY", C_DAY, 9 }, { "DDD", C_DDD, 3 }, { "DD", C_DD, 2 },
	{ "DY", C_DY, 0 }, { "D", C_D, 1 }, { "HH24", C_HH24, 2 }, { "HH12", C_HH12, 2 }, { "HH", C_HH12, 2 }, { "MI", C_MI, 2 },
	{ "SSSSS", C_SSSS, 0 }, { "SSSS", C_SSSS, 0 }, { "SS", C_SS, 2 }, { "MS", C_MS, 3 }, { "US", C_US, 6 }, { "AM", C_AM, 0 },
	{ "PM", C_AM, 0 }, { "Q", C_Q, 1 }, { "IW", C_IW, 2 }, { "WW", C_WW, 2 }, { "CC", C_CC, 2 }, { "J", C_J, 0 }, { "TZ", C_TZ, 0 },
};

static void put_field(struct buf *b, int what, int width, const char *f, const struct tm *tm, int64_t us, int64_t clock)
{
	static const char *const days[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday" };
	int64_t year = tm->tm_year + 1900LL, n = 0;
	char s[12];

	switch (what) {
	case C_YEAR4: n = year; break;
	case C_YEAR3: n = year % 1000; break;
	case C_YEAR2: n = year % 100; break;
	case C_YEAR1: n = year % 10; break;
	case C_MM: n = tm->tm_mon + 1; break;
	case C_DDD: n = tm->tm_yday + 1; break;
	case C_DD: n = tm->tm_mday; break;
	case C_D: n = tm->tm_wday + 1; break;
	case C_HH24: n = tm->tm_hour; break;
	case C_HH12: n = (tm->tm_hour + 11) % 12 + 1; break;
	case C_MI: n = tm->tm_min; break;
	case C_SS: n = tm->tm_sec; break;
	case C_SSSS: n = clock / 1000000; break;
	case C_MS: n = clock % 1000000 / 1000; break;
	case C_US: n = clock % 1000000; break;
	case C_Q: n = tm->tm_mon / 3 + 1; break;
	case C_WW: n = tm->tm_yday / 7 + 1; break;
	case C_CC: n = (year + 99) / 100; break;
	case C_J: n = time_day(us) + 2451545; break;
	case C_ISO_YEAR:
	case C_IW:
		strftime(s, sizeof(s), what == C_IW ? "%V" : "%G", tm);
		n = atoll(s);
		break;
	case C_MONTH: put_name(b, f, month_names[tm->tm_mon], width); return;
	case C_DAY: put_name(b, f, days[tm->tm_wday], width); return;
	case C_MON:
	case C_DY:
		snprintf(s, sizeof(s), "%.3s", what == C_MON ? month_names[tm->tm_mon] : days[tm->tm_wday]);
		put_name(b, f, s, 0);
		return;
	case C_AM: put_name(b, f, tm->tm_hour < 12 ? "am" : "pm", 0); return;
	case C_TZ: put_name(b, f, "utc", 0); return;
	}
	buf_fmt(b, "%0*lld", width, (long long)n);
}

static void f_to_char(ctx *c, int n, val **v)
{
	const size_t fields = sizeof(char_fields) / sizeof(*char_fields);
	const char *f = text_of(v[1]);
	int64_t us, clock;
	struct buf b;
	struct tm tm;
	bool bare;
	size_t i;

	if (!f || is_null(v[0]))
		return;
	if (sqlite3_value_type(v[0]) != SQLITE_TEXT) {
		funcs_error(c, "0A000", "to_char() of numbers is not supported");
		return;
	}
	if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &us))
		return;
	parts_of(us, &tm, &clock);
	buf_init(&b, 1 << 24);
	while (*f) {
		if (*f == '"') {
			for (f++; *f && *f != '"'; f++)
				buf_ch(&b, *f);
			f += *f == '"';
			continue;
		}
		/* FM: neither blanks nor zeros to fill it. */
		bare = !strncasecmp(f, "FM", 2);
		f += bare ? 2 : 0;
		for (i = 0; i < fields && strncasecmp(f, char_fields[i].name, strlen(char_fields[i].name)); i++)
			;
		if (i < fields) {
			put_field(&b, char_fields[i].what, bare ? 0 : char_fields[i].width, f, &tm, us, clock);
			f += strlen(char_fields[i].name);
		} else if (*f) {
			buf_ch(&b, *f++);
		}
	}
	result_buf(c, &b);
}

static void f_to_timestamp(ctx *c, int n, val **v)
{
	double us = (sqlite3_value_double(v[0]) - 946684800) * 1e6;

	if (is_null(v[0]))
		return;
	if (fabs(us) < 9.2e18)
		funcs_result_time(c, (int64_t)us, T_TIMESTAMPTZ);
	else
		funcs_error(c, "22008", "timestamp out of range: \"%g\"", sqlite3_value_double(v[0]));
}

const struct func funcs_time[] = {
	{ "now", 0, WORLD, f_now }, { "transaction_timestamp", 0, WORLD, f_now }, { "statement_timestamp", 0, WORLD, f_now },
	{ "clock_timestamp", 0, WORLD, f_clock }, { "date_part", 2, PURE, f_date_part },
	{ "date_trunc", 2, PURE, f_date_trunc }, { "to_char", 2, PURE, f_to_char },
	{ "to_timestamp", 1, PURE, f_to_timestamp },
	{ 0 }
};

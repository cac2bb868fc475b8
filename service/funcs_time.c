// SPDX-License-Identifier: GPL-2.0-or-later
/* Functions of times. */
#include "funcs_int.h"

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

static void f_to_char(ctx *c, int n, val **v)
{
	static const struct { const char *from, *to; } pat[] = {
		{ "YYYY", "%Y" }, { "MM", "%m" }, { "DD", "%d" }, { "HH24", "%H" }, { "HH12", "%I" }, { "HH", "%I" },
		{ "MI", "%M" }, { "SS", "%S" }, { "Month", "%B" }, { "Mon", "%b" }, { "Day", "%A" }, { "Dy", "%a" },
	};
	const char *f = text_of(v[1]);
	char fmt[200], out[300];
	int64_t us, clock;
	size_t at = 0, i;
	struct tm tm;

	if (!f || is_null(v[0]))
		return;
	if (sqlite3_value_type(v[0]) != SQLITE_TEXT) {
		funcs_error(c, "0A000", "to_char() of numbers is not supported");
		return;
	}
	if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &us))
		return;
	parts_of(us, &tm, &clock);
	while (*f && at < sizeof(fmt) - 4) {
		for (i = 0; i < sizeof(pat) / sizeof(*pat) && strncmp(f, pat[i].from, strlen(pat[i].from)); i++)
			;
		if (i < sizeof(pat) / sizeof(*pat)) {
			at += sprintf(fmt + at, "%s", pat[i].to);
			f += strlen(pat[i].from);
		} else if (*f != '"') {
			if (*f == '%')
				fmt[at++] = '%';
			fmt[at++] = *f++;
		} else {
			f++;
		}
	}
	fmt[at] = 0;
	sqlite3_result_text(c, out, (int)strftime(out, sizeof(out), fmt, &tm), SQLITE_TRANSIENT);
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

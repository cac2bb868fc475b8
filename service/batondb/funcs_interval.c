// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Intervals, and sums of times. An interval is kept as the text that PostgreSQL shows:
 * months, days and microseconds, which only a date makes into each other.
 */
#include "catalog.h"
#include "funcs_int.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000LL
#define HOUR (3600 * SECOND)

static const struct {
	const char *name;
	int months;
	double days, us;
} units[] = {
	{ "microsecond", 0, 0, 1 }, { "us", 0, 0, 1 }, { "usec", 0, 0, 1 }, { "millisecond", 0, 0, 1e3 }, { "ms", 0, 0, 1e3 },
	{ "second", 0, 0, 1e6 }, { "sec", 0, 0, 1e6 }, { "s", 0, 0, 1e6 }, { "minute", 0, 0, 60e6 }, { "min", 0, 0, 60e6 },
	{ "m", 0, 0, 60e6 }, { "hour", 0, 0, 3600e6 }, { "hr", 0, 0, 3600e6 }, { "h", 0, 0, 3600e6 }, { "day", 0, 1, 0 },
	{ "d", 0, 1, 0 }, { "week", 0, 7, 0 }, { "w", 0, 7, 0 }, { "month", 1, 0, 0 }, { "mon", 1, 0, 0 },
	{ "year", 12, 0, 0 }, { "yr", 12, 0, 0 }, { "y", 12, 0, 0 }, { "decade", 120, 0, 0 }, { "century", 1200, 0, 0 },
};

/* So many of this unit; what is no whole one goes to the smaller ones. false: too many. */
static bool add(struct interval *iv, double months, double days, double us)
{
	double whole = trunc(days);

	months += (double)iv->months;
	us += (days - whole) * (double)DAY_US;
	whole += (double)iv->days;
	if (!(fabs(months) <= INT32_MAX && fabs(whole) <= INT32_MAX && fabs(us) < 9e18))
		return false;
	iv->months = (int64_t)months;
	iv->days = (int64_t)whole;
	return !__builtin_add_overflow(iv->us, llround(us), &iv->us);
}

static bool unit_add(struct interval *iv, double v, const char *name, size_t n)
{
	double m;
	unsigned i;

	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t len = strlen(units[i].name);

		if (strncasecmp(units[i].name, name, len) || !(n == len || (n == len + 1 && tolower((unsigned char)name[len]) == 's')))
			continue;
		m = v * units[i].months;
		return add(iv, trunc(m), v * units[i].days + (units[i].months ? (m - trunc(m)) * 30 : 0), v * units[i].us);
	}
	return false;
}

bool interval_parse(const char *s, struct interval *iv)
{
	double v, sign;
	bool any = false;
	char *end;
	size_t n;

	*iv = (struct interval){ 0 };
	for (;;) {
		while (isspace((unsigned char)*s) || *s == '@')
			s++;
		if (!*s)
			return any;
		if (any && !strcasecmp(s, "ago")) {
			*iv = (struct interval){ -iv->months, -iv->days, -iv->us };
			return true;
		}
		sign = *s == '-' ? -1 : 1;
		if (!isdigit((unsigned char)s[*s == '-' || *s == '+']) && s[*s == '-' || *s == '+'] != '.')
			return false;
		v = strtod(s, &end);
		if (end == s)
			return false;
		if (*end == ':') {
			double part[3] = { fabs(v), 0, 0 };
			int i;

			for (i = 1; i < 3 && *end == ':'; i++)
				part[i] = strtod(end + 1, &end);
			if (!add(iv, 0, 0, sign * (part[0] * 3600e6 + part[1] * 60e6 + part[2] * 1e6)))
				return false;
		} else {
			while (isspace((unsigned char)*end))
				end++;
			for (n = 0; isalpha((unsigned char)end[n]); n++)
				;
			/* A number alone is seconds. */
			if (!unit_add(iv, v, n ? end : "second", n ? n : 6))
				return false;
			end += n;
		}
		any = true;
		s = end;
	}
}

void interval_format(struct buf *b, const struct interval *iv)
{
	int64_t v[3] = { iv->months / 12, iv->months % 12, iv->days }, us = iv->us;
	static const char *const name[3] = { "year", "mon", "day" };
	bool before = false;
	size_t begun = b->len;
	int i;

	for (i = 0; i < 3; i++) {
		if (!v[i])
			continue;
		buf_fmt(b, "%s%s%lld %s%s", b->len > begun ? " " : "", before && v[i] > 0 ? "+" : "", (long long)v[i], name[i],
			v[i] == 1 ? "" : "s");
		before = v[i] < 0;
	}
	if (us || b->len == begun) {
		buf_fmt(b, "%s%s", b->len > begun ? " " : "", us < 0 ? "-" : before ? "+" : "");
		us = llabs(us);
		buf_fmt(b, "%02lld:%02lld:%02lld", (long long)(us / HOUR), (long long)(us / (60 * SECOND) % 60),
			(long long)(us / SECOND % 60));
		if (us % SECOND) {
			buf_fmt(b, ".%06lld", (long long)(us % SECOND));
			while (b->p[b->len - 1] == '0')
				b->len--;
		}
	}
}

static int month_days(int64_t y, int m)
{
	return (int)(m == 12 ? 31 : day_of_date(y, m + 1, 1) - day_of_date(y, m, 1));
}

bool interval_add(int64_t *us, const struct interval *iv, int sign)
{
	int64_t day = time_day(*us), clock = *us - day * DAY_US, y, k;
	int m, d;

	if (iv->months) {
		day_to_date(day, &y, &m, &d);
		k = y * 12 + m - 1 + sign * iv->months;
		y = k >= 0 ? k / 12 : -((11 - k) / 12);
		m = (int)(k - y * 12) + 1;
		if (d > month_days(y, m))
			d = month_days(y, m);
		day = day_of_date(y, m, d);
	}
	return !__builtin_mul_overflow(day + sign * iv->days, DAY_US, &day) && !__builtin_add_overflow(clock, sign * iv->us, &clock) &&
	       !__builtin_add_overflow(day, clock, us);
}

static void result_interval(ctx *c, const struct interval *iv)
{
	struct buf b;

	buf_init(&b, 200);
	interval_format(&b, iv);
	result_buf(c, &b);
}

static bool interval_of(ctx *c, val *v, struct interval *iv)
{
	if (is_null(v))
		return false;
	if (interval_parse(text_of(v), iv))
		return true;
	funcs_error(c, "22007", "invalid input syntax for type interval: \"%.60s\"", text_of(v));
	return false;
}

static void f_interval(ctx *c, int n, val **v)
{
	struct interval iv;
	struct buf b;

	if (n > 1 && !is_null(v[0])) {
		buf_init(&b, 1000);
		buf_fmt(&b, "%s %s", text_of(v[0]), text_of(v[1]));
		if (interval_parse(buf_cstr(&b), &iv))
			result_interval(c, &iv);
		else
			funcs_error(c, "22007", "invalid input syntax for type interval: \"%.60s\"", text_of(v[0]));
		buf_free(&b);
	} else if (interval_of(c, v[0], &iv)) {
		result_interval(c, &iv);
	}
}

static char kind_of(char said, val *v)
{
	const char *s;

	if (said != '?')
		return said;
	if (sqlite3_value_numeric_type(v) != SQLITE_TEXT)
		return 'n';
	s = text_of(v);
	if (strlen(s) < 10 || s[4] != '-' || s[7] != '-')
		return 'i';
	return strlen(s) == 10 ? 'd' : strchr(s, '+') ? 'z' : 's';
}

static uint32_t oid_of(char kind)
{
	return kind == 'd' ? T_DATE : kind == 'z' ? T_TIMESTAMPTZ : T_TIMESTAMP;
}

static bool clock_of(ctx *c, val *v, int64_t *us)
{
	struct interval iv;

	if (!interval_of(c, v, &iv))
		return false;
	*us = iv.us;
	return true;
}

static void out_of_range(ctx *c, const char *what)
{
	funcs_error(c, "22008", "%s out of range", what);
}

static void scaled(ctx *c, val *v, double by)
{
	struct interval iv, to = { 0 };
	double months;

	if (!interval_of(c, v, &iv))
		return;
	months = (double)iv.months * by;
	if (add(&to, trunc(months), (double)iv.days * by + (months - trunc(months)) * 30, (double)iv.us * by))
		result_interval(c, &to);
	else
		out_of_range(c, "interval");
}

/* a OP b; the third says OP and what they are, as far as that was known: "+di". */
static void f_calc(ctx *c, int n, val **v)
{
	const char *how = text_of(v[2]);
	val *turned[2] = { v[1], v[0] };
	struct interval iv, more;
	char a, b, other;
	int64_t x, y;
	int sign;

	if (is_null(v[0]) || is_null(v[1]) || !how || strlen(how) != 3)
		return;
	sign = *how == '-' ? -1 : 1;
	a = kind_of(how[1], v[0]);
	b = kind_of(how[2], v[1]);
	if (*how == '*' || *how == '/') {
		double by = sqlite3_value_double(v[a == 'i']);

		if (*how == '/' && !by)
			funcs_error(c, "22012", "division by zero");
		else
			scaled(c, v[a != 'i'], *how == '/' ? 1 / by : by);
		return;
	}
	/* What may be turned round is; SQLite's own array stays, the next row has it again. */
	if (sign > 0 && strchr("in", a) && !strchr("in", b)) {
		v = turned;
		other = a;
		a = b;
		b = other;
	}
	if (a == 'i' && b == 'i') {
		if (!interval_of(c, v[0], &iv) || !interval_of(c, v[1], &more))
			return;
		if (add(&iv, sign * (double)more.months, sign * (double)more.days, 0) &&
		    !__builtin_add_overflow(iv.us, sign * more.us, &iv.us))
			result_interval(c, &iv);
		else
			out_of_range(c, "interval");
	} else if (a == 't') {
		if (!clock_of(c, v[0], &x) || !interval_of(c, v[1], &iv))
			return;
		if (b == 'i')
			y = ((x % DAY_US + sign * (iv.us % DAY_US)) % DAY_US + DAY_US) % DAY_US;
		else if (__builtin_add_overflow(x, sign * iv.us, &y))
			return out_of_range(c, "interval");
		iv = (struct interval){ .us = y };
		result_interval(c, &iv);
	} else if (b == 'i') {
		if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &x) || !interval_of(c, v[1], &iv))
			return;
		if (interval_add(&x, &iv, sign))
			funcs_result_time(c, x, a == 'd' ? T_TIMESTAMP : oid_of(a));
		else
			out_of_range(c, "timestamp");
	} else if (b == 'n') {
		if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &x))
			return;
		iv = (struct interval){ .days = sqlite3_value_int64(v[1]) };
		if (iv.days <= INT32_MAX && iv.days >= INT32_MIN && interval_add(&x, &iv, sign))
			funcs_result_time(c, x, T_DATE);
		else
			out_of_range(c, "date");
	} else if (funcs_time_of(c, v[0], T_TIMESTAMPTZ, &x) && funcs_time_of(c, v[1], T_TIMESTAMPTZ, &y)) {
		if (sign > 0) {
			funcs_error(c, "42883", "operator does not exist: %s + %s", type_of(oid_of(a))->sql, type_of(oid_of(b))->sql);
		} else if (a == 'd' && b == 'd') {
			sqlite3_result_int64(c, (x - y) / DAY_US);
		} else {
			iv = (struct interval){ 0, (x - y) / DAY_US, (x - y) % DAY_US };
			result_interval(c, &iv);
		}
	}
}

/* Years, months and days as a calendar counts them. */
static void f_age(ctx *c, int n, val **v)
{
	int64_t a, b, ya, yb, months, days, us, da, db;
	struct interval iv;
	int ma, mb, d1, d2;
	bool neg;

	if (n == 1) {
		if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &b))
			return;
		a = time_day(env_of(c)->now) * DAY_US;
	} else if (!funcs_time_of(c, v[0], T_TIMESTAMPTZ, &a) || !funcs_time_of(c, v[1], T_TIMESTAMPTZ, &b)) {
		return;
	}
	neg = a < b;
	if (neg) {
		us = a;
		a = b;
		b = us;
	}
	da = time_day(a);
	db = time_day(b);
	day_to_date(da, &ya, &ma, &d1);
	day_to_date(db, &yb, &mb, &d2);
	us = a - da * DAY_US - (b - db * DAY_US);
	days = d1 - d2;
	months = (ya - yb) * 12 + ma - mb;
	if (us < 0) {
		us += DAY_US;
		days--;
	}
	if (days < 0) {
		days += month_days(yb, mb);
		months--;
	}
	iv = neg ? (struct interval){ -months, -days, -us } : (struct interval){ months, days, us };
	result_interval(c, &iv);
}

bool interval_part(const char *field, const struct interval *iv, double *d)
{
	const char *const name[] = { "year", "month", "day", "hour", "minute", "second", "epoch", "quarter" };
	const double is[] = {
		(double)(iv->months / 12), (double)(iv->months % 12), (double)iv->days, (double)(iv->us / HOUR),
		(double)(iv->us / (60 * SECOND) % 60), (double)(iv->us % (60 * SECOND)) / 1e6,
		(double)iv->us / 1e6 + (double)iv->days * 86400 + (double)(iv->months / 12) * 31557600 +
			(double)(iv->months % 12) * 2592000, (double)(iv->months % 12 / 3 + 1),
	};
	unsigned i;

	for (i = 0; i < sizeof(name) / sizeof(*name); i++)
		if (!strcasecmp(field, name[i])) {
			*d = is[i];
			return true;
		}
	return false;
}

static void f_justify(ctx *c, int n, val **v)
{
	struct interval iv;

	if (!interval_of(c, v[0], &iv))
		return;
	/* Neither is near a limit: 9e18 us are 1e8 days. */
	iv.days += iv.us / DAY_US;
	iv.us %= DAY_US;
	result_interval(c, &iv);
}

static void f_make_date(ctx *c, int n, val **v)
{
	int64_t y = sqlite3_value_int64(v[0]), us;
	int m = sqlite3_value_int(v[1]), d = sqlite3_value_int(v[2]), i;

	for (i = 0; i < n; i++)
		if (is_null(v[i]))
			return;
	if (y < 1 || y > 294276 || m < 1 || m > 12 || d < 1 || d > month_days(y, m)) {
		funcs_error(c, "22008", "date field value out of range: %lld-%02d-%02d", (long long)y, m, d);
		return;
	}
	us = day_of_date(y, m, d) * DAY_US;
	if (n > 3) {
		int64_t h = sqlite3_value_int64(v[3]), min = sqlite3_value_int64(v[4]);
		double s = sqlite3_value_double(v[5]);

		if (h < 0 || h > 24 || min < 0 || min > 59 || !(s >= 0 && s <= 60)) {
			funcs_error(c, "22008", "time field value out of range: %lld:%02lld:%02g", (long long)h, (long long)min, s);
			return;
		}
		us += h * HOUR + min * 60 * SECOND + llround(s * 1e6);
	}
	funcs_result_time(c, us, n > 3 ? T_TIMESTAMP : T_DATE);
}

/* All times are UTC's: with a zone and without one. */
static void f_zone(ctx *c, int n, val **v)
{
	const char *zone = text_of(v[1]);
	int64_t us;

	if (!zone || !funcs_time_of(c, v[0], T_TIMESTAMPTZ, &us))
		return;
	if (strcasecmp(zone, "utc") && strcasecmp(zone, "gmt") && strcasecmp(zone, "z") && strcasecmp(zone, "etc/utc"))
		funcs_error(c, "0A000", "AT TIME ZONE is supported for UTC alone");
	else
		funcs_result_time(c, us, strchr(text_of(v[0]), '+') ? T_TIMESTAMP : T_TIMESTAMPTZ);
}

bool funcs_time_series(struct cat_rows *rows, int n, val **v)
{
	const char *from = text_of(v[0]), *to = n > 1 ? text_of(v[1]) : NULL;
	int64_t us, end, one = 0;
	struct interval iv, zero = { 0 };
	int i, sign;
	struct buf b;
	bool zone;

	if (n < 3 || !from || !to || !text_of(v[2]) || !time_parse(from, strlen(from), true, &us) ||
	    !time_parse(to, strlen(to), true, &end) || !interval_parse(text_of(v[2]), &iv))
		return false;
	zone = strlen(from) == 10 || strchr(from, '+');
	if (!memcmp(&iv, &zero, sizeof(iv)) || !interval_add(&one, &iv, 1))
		return false;
	sign = one > 0 ? 1 : -1;
	/* Each from the last one, as a month is not always as long. */
	for (i = 0; (sign > 0 ? us <= end : us >= end) && i < 1000000; i++) {
		buf_init(&b, 100);
		time_format(&b, us, zone ? T_TIMESTAMPTZ : T_TIMESTAMP);
		cat_text(rows, buf_cstr(&b));
		buf_free(&b);
		if (!interval_add(&us, &iv, 1))
			break;
	}
	return true;
}

const struct func funcs_interval[] = {
	{ "baton_interval", 1, PURE, f_interval }, { "baton_interval", 2, PURE, f_interval }, { "baton_calc", 3, PURE, f_calc }, { "age", 1, WORLD, f_age },
	{ "age", 2, PURE, f_age }, { "justify_hours", 1, PURE, f_justify }, { "make_date", 3, PURE, f_make_date },
	{ "make_timestamp", 6, PURE, f_make_date }, { "baton_zone", 2, PURE, f_zone },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * binary SOCKET USER DATABASE OPERATION...: what PyMySQL cannot do, by Connector/C,
 * on one connection. For each operation a line of JSON: errno, error, rows.
 *
 *	q:SQL	a query			p:SQL	prepared and executed
 *	c:SQL	likewise, with a cursor, ten rows at a time
 *	P:SQL	only prepared, kept as x:, which executes what was prepared last
 *	u:USER	change user		r	reset the connection		i	ping
 */
#include <mysql.h>
#include <stdio.h>
#include <string.h>

static void say(unsigned number, const char *error, unsigned long long rows)
{
	printf("{\"errno\":%u,\"error\":\"", number);
	for (; *error; error++)
		if (*error >= ' ' && *error != '"' && *error != '\\')
			putchar(*error);
	printf("\",\"rows\":%llu}\n", rows);
	fflush(stdout);
}

static void query(MYSQL *db, const char *sql)
{
	unsigned long long rows = 0;
	MYSQL_RES *r;

	if (mysql_query(db, sql)) {
		say(mysql_errno(db), mysql_error(db), 0);
		return;
	}
	do {
		r = mysql_store_result(db);
		if (r)
			rows += mysql_num_rows(r);
		mysql_free_result(r);
	} while (!mysql_next_result(db));
	say(mysql_errno(db), mysql_error(db), rows);
}

static void execute(MYSQL_STMT *s, int with_cursor)
{
	unsigned long cursor = CURSOR_TYPE_READ_ONLY, ten = 10;
	unsigned long long rows = 0;
	int rc = 0;

	if (with_cursor) {
		mysql_stmt_attr_set(s, STMT_ATTR_CURSOR_TYPE, &cursor);
		mysql_stmt_attr_set(s, STMT_ATTR_PREFETCH_ROWS, &ten);
	}
	if (!mysql_stmt_execute(s)) {
		if (mysql_stmt_field_count(s))
			while (!(rc = mysql_stmt_fetch(s)) || rc == MYSQL_DATA_TRUNCATED)
				rows++;
	}
	say(mysql_stmt_errno(s), mysql_stmt_error(s), rows);
}

int main(int argc, char **argv)
{
	MYSQL *db = mysql_init(NULL);
	MYSQL_STMT *kept = NULL, *s;
	int i;

	if (argc < 4 || !mysql_real_connect(db, NULL, argv[2], NULL, argv[3], 0, argv[1], CLIENT_MULTI_STATEMENTS)) {
		fprintf(stderr, "binary: %s\n", argc < 4 ? "SOCKET USER DATABASE OPERATION..." : mysql_error(db));
		return 1;
	}
	for (i = 4; i < argc; i++) {
		const char *sql = argv[i] + 2;

		switch (argv[i][0]) {
		case 'q':
			query(db, sql);
			break;
		case 'P':
			kept = mysql_stmt_init(db);
			if (mysql_stmt_prepare(kept, sql, strlen(sql)))
				say(mysql_stmt_errno(kept), mysql_stmt_error(kept), 0);
			break;
		case 'x':
			execute(kept, 0);
			break;
		case 'p':
		case 'c':
			s = mysql_stmt_init(db);
			if (mysql_stmt_prepare(s, sql, strlen(sql)))
				say(mysql_stmt_errno(s), mysql_stmt_error(s), 0);
			else
				execute(s, argv[i][0] == 'c');
			mysql_stmt_close(s);
			break;
		case 'u':
			mysql_change_user(db, sql, NULL, argv[3]);
			say(mysql_errno(db), mysql_error(db), 0);
			break;
		case 'r':
			mysql_reset_connection(db);
			say(mysql_errno(db), mysql_error(db), 0);
			break;
		case 'i':
			mysql_ping(db);
			say(mysql_errno(db), mysql_error(db), 0);
			break;
		}
	}
	mysql_close(db);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What kind of statement it is, by its first words. */
#include "sql_out.h"

static const struct {
	const char *words;
	enum sql_kind kind;
	const char *tag;
} kinds[] = {
	{ "select", SQL_READ, "SELECT" }, { "values", SQL_READ, "SELECT" }, { "table", SQL_READ, "SELECT" },
	{ "insert", SQL_WRITE, "INSERT 0" }, { "update", SQL_WRITE, "UPDATE" }, { "delete", SQL_WRITE, "DELETE" },
	{ "begin", SQL_BEGIN, "BEGIN" }, { "start transaction", SQL_BEGIN, "START TRANSACTION" },
	{ "commit", SQL_COMMIT, "COMMIT" }, { "end", SQL_COMMIT, "COMMIT" },
	{ "rollback to", SQL_ROLLBACK_TO, "ROLLBACK" }, { "rollback transaction to", SQL_ROLLBACK_TO, "ROLLBACK" },
	{ "rollback work to", SQL_ROLLBACK_TO, "ROLLBACK" },
	{ "rollback", SQL_ROLLBACK, "ROLLBACK" }, { "abort", SQL_ROLLBACK, "ROLLBACK" },
	{ "savepoint", SQL_SAVEPOINT, "SAVEPOINT" }, { "release", SQL_RELEASE, "RELEASE" },
	{ "set", SQL_SET, "SET" }, { "reset", SQL_RESET, "RESET" }, { "show", SQL_SHOW, "SHOW" },
	{ "discard", SQL_DISCARD, "DISCARD ALL" }, { "copy", SQL_COPY, "COPY" },
	{ "create table", SQL_CREATE_TABLE, "CREATE TABLE" }, { "create unlogged table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create temp table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create temporary table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create local temporary table", SQL_CREATE_TABLE, "CREATE TABLE" },
	{ "create index", SQL_CREATE_INDEX, "CREATE INDEX" }, { "create unique index", SQL_CREATE_INDEX, "CREATE INDEX" },
	{ "create view", SQL_CREATE_VIEW, "CREATE VIEW" }, { "create or replace view", SQL_CREATE_VIEW, "CREATE VIEW" },
	{ "create sequence", SQL_CREATE_SEQUENCE, "CREATE SEQUENCE" },
	{ "create user", SQL_CREATE_ROLE, "CREATE ROLE" }, { "create role", SQL_CREATE_ROLE, "CREATE ROLE" },
	{ "alter user", SQL_ALTER_ROLE, "ALTER ROLE" }, { "alter role", SQL_ALTER_ROLE, "ALTER ROLE" },
	{ "drop user", SQL_DROP_ROLE, "DROP ROLE" }, { "drop role", SQL_DROP_ROLE, "DROP ROLE" },
	{ "create database", SQL_CREATE_DATABASE, "CREATE DATABASE" },
	{ "drop database", SQL_DROP_DATABASE, "DROP DATABASE" },
	{ "drop table", SQL_DROP, "DROP TABLE" }, { "drop index", SQL_DROP, "DROP INDEX" },
	{ "drop view", SQL_DROP, "DROP VIEW" }, { "drop sequence", SQL_DROP, "DROP SEQUENCE" },
	{ "alter table", SQL_ALTER_TABLE, "ALTER TABLE" }, { "alter index", SQL_ALTER_TABLE, "ALTER INDEX" },
	{ "alter system", SQL_ALTER_SYSTEM, "ALTER SYSTEM" },
	{ "truncate", SQL_TRUNCATE, "TRUNCATE TABLE" }, { "vacuum", SQL_VACUUM, "VACUUM" },
	{ "analyze", SQL_ANALYZE, "ANALYZE" }, { "lock", SQL_LOCK, "LOCK TABLE" },
	{ "checkpoint", SQL_CHECKPOINT, "CHECKPOINT" }, { "explain", SQL_EXPLAIN, "EXPLAIN" },
	{ "prepare transaction", SQL_FOREIGN, "PREPARE TRANSACTION" }, { "prepare", SQL_PREPARE, "PREPARE" }, { "execute", SQL_EXECUTE, "EXECUTE" },
	{ "deallocate", SQL_DEALLOCATE, "DEALLOCATE" }, { "declare", SQL_DECLARE, "DECLARE CURSOR" },
	{ "grant", SQL_GRANT, "GRANT" }, { "alter default privileges", SQL_GRANT, "ALTER DEFAULT PRIVILEGES" },
	{ "revoke", SQL_REVOKE, "REVOKE" }, { "reindex", SQL_REINDEX, "REINDEX" },
	{ "fetch", SQL_FETCH, "FETCH" }, { "move", SQL_FETCH, "MOVE" }, { "close", SQL_CLOSE, "CLOSE CURSOR" },
	{ "create schema", SQL_FOREIGN, "CREATE SCHEMA" }, { "drop schema", SQL_FOREIGN, "DROP SCHEMA" },
	{ "create extension", SQL_FOREIGN, "CREATE EXTENSION" }, { "drop extension", SQL_FOREIGN, "DROP EXTENSION" },
	{ "create type", SQL_FOREIGN, "CREATE TYPE" }, { "drop type", SQL_FOREIGN, "DROP TYPE" },
	{ "create domain", SQL_FOREIGN, "CREATE DOMAIN" }, { "create function", SQL_FOREIGN, "CREATE FUNCTION" },
	{ "create or replace function", SQL_FOREIGN, "CREATE FUNCTION" }, { "drop function", SQL_FOREIGN, "DROP FUNCTION" },
	{ "create procedure", SQL_FOREIGN, "CREATE PROCEDURE" }, { "create trigger", SQL_FOREIGN, "CREATE TRIGGER" },
	{ "create materialized view", SQL_FOREIGN, "CREATE MATERIALIZED VIEW" }, { "create rule", SQL_FOREIGN, "CREATE RULE" },
	{ "create policy", SQL_FOREIGN, "CREATE POLICY" }, { "create tablespace", SQL_FOREIGN, "CREATE TABLESPACE" },
	{ "create aggregate", SQL_FOREIGN, "CREATE AGGREGATE" }, { "create publication", SQL_FOREIGN, "CREATE PUBLICATION" },
	{ "create subscription", SQL_FOREIGN, "CREATE SUBSCRIPTION" }, { "create operator", SQL_FOREIGN, "CREATE OPERATOR" },
	{ "comment on", SQL_FOREIGN, "COMMENT ON" }, { "listen", SQL_FOREIGN, "LISTEN" }, { "notify", SQL_FOREIGN, "NOTIFY" },
	{ "unlisten", SQL_FOREIGN, "UNLISTEN" }, { "do", SQL_FOREIGN, "DO" }, { "call", SQL_FOREIGN, "CALL" },
	{ "merge", SQL_FOREIGN, "MERGE" }, { "cluster", SQL_FOREIGN, "CLUSTER" }, { "refresh", SQL_FOREIGN, "REFRESH" },
	{ "alter database", SQL_FOREIGN, "ALTER DATABASE" },
	{ "alter view", SQL_FOREIGN, "ALTER VIEW" }, { "alter sequence", SQL_FOREIGN, "ALTER SEQUENCE" },
	{ "alter schema", SQL_FOREIGN, "ALTER SCHEMA" }, { "alter type", SQL_FOREIGN, "ALTER TYPE" },
	{ "alter function", SQL_FOREIGN, "ALTER FUNCTION" }, { "reassign", SQL_FOREIGN, "REASSIGN OWNED" },
	{ "drop owned", SQL_FOREIGN, "DROP OWNED" }, { "security label", SQL_FOREIGN, "SECURITY LABEL" },
};

enum sql_kind sql_kind(const struct lex_tok *t, const char **tag)
{
	const struct lex_tok *end = sql_end(t);
	unsigned i;

	*tag = "";
	if (t == end)
		return SQL_EMPTY;
	while (lex_is(t, "("))
		t++;
	if (lex_is(t, "with")) {
		/* What stands behind the common table expressions; or writes in one of them. */
		static const char *const verbs[] = { "select", "values", "table", "insert", "update", "delete", NULL };

		t = sql_word(t, end, verbs);
		if (t == end)
			return SQL_UNKNOWN;
	}
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (lex_are(t, kinds[i].words)) {
			*tag = kinds[i].tag;
			if (kinds[i].kind == SQL_CREATE_TABLE) {
				static const char *const as[] = { "as", NULL };

				t = sql_word(t, end, as);
				if (t < end) {
					*tag = "SELECT";
					return SQL_CREATE_TABLE_AS;
				}
			}
			return kinds[i].kind;
		}
	return SQL_UNKNOWN;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include "words.h"

#include <string.h>
#include <strings.h>

/* The next word of SQL, without comments; its length. */
static size_t next_word(const char **at, const char *end)
{
	const char *p = *at, *begin;

	while (p < end) {
		if (strchr(" \t\r\n", *p)) {
			p++;
		} else if (end - p > 2 && p[0] == '/' && p[1] == '*' && p[2] != '!' && p[2] != 'M') {
			p = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
			if (!p)
				return 0;
			p += 2;
		} else {
			break;
		}
	}
	for (begin = p; p < end && ((*p | 32) >= 'a' && (*p | 32) <= 'z'); p++)
		;
	*at = p;
	return (size_t)(p - begin);
}

static bool word_is(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp(at - len, word, len);
}

bool words_unlock(const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	size_t n = next_word(&at, end);

	if (!word_is(at, n, "commit") && !word_is(at, n, "rollback"))
		return false;
	n = next_word(&at, end);
	if (word_is(at, n, "work"))
		n = next_word(&at, end);
	/* ROLLBACK TO, COMMIT AND CHAIN and RELEASE are not just an end. */
	return !n && (at == end || *at == ';' || !*at);
}

/* SET SESSION baton_class = 'batch': who may run nothing else is to be able to run that. */
bool words_set_class(const char *text, size_t len)
{
	const char *at = text;
	size_t n = next_word(&at, text + len);

	return word_is(at, n, "set") && memmem(text, len, "baton_class", strlen("baton_class")) && !memchr(text, '(', len);
}

/* Reading takes no locks that a writer waits for, but where it says so. */
bool words_take_locks(const char *text, size_t len)
{
	const char *at = text;
	size_t n = next_word(&at, text + len);

	return !word_is(at, n, "select") || memmem(text, len, "FOR UPDATE", strlen("FOR UPDATE")) ||
	       memmem(text, len, "for update", strlen("for update"));
}

/*
 * A statement that is executed with an error raised and killed does nothing: the server looks for
 * the one when it has resolved its expressions, for the other when it opens tables. Others
 * (DROP TABLE, CREATE DATABASE) do their work first.
 */
bool words_stop_at_error(const char *text)
{
	static const char *const words[] = { "select", "insert", "update", "delete", "replace", "with", "call", "do", "set", "values" };
	const char *at = text;
	size_t n = next_word(&at, text + strlen(text)), i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (word_is(at, n, words[i]))
			return true;
	return !n && *at == '(';
}

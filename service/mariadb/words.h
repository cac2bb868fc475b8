/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A statement by its first words, before the server has parsed it. Pure. */
#ifndef BATON_MARIADB_WORDS_H
#define BATON_MARIADB_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/** words_unlock - does this statement end a transaction, and nothing else? */
bool words_unlock(const char *text, size_t len);

/** words_set_class - does it set baton_class, and compute nothing? */
bool words_set_class(const char *text, size_t len);

/** words_take_locks - may it take locks that a writer waits for? */
bool words_take_locks(const char *text, size_t len);

/** words_stop_at_error - does it do nothing where an error was raised and it was killed before? */
bool words_stop_at_error(const char *text);

#endif

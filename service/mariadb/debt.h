/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debts of tenants: CPU that their statements used in the tier "unlock", where nobody's quota pays for
 * it. The next statement of the tenant's, on whatever connection, is charged with it.
 */
#ifndef BATON_MARIADB_DEBT_H
#define BATON_MARIADB_DEBT_H

#include <stdint.h>

/** debt_add - @tenant owes @ns more. Any thread. Without memory for it, it is forgiven. */
void debt_add(const char *tenant, uint64_t ns);

/** debt_take - what @tenant owes, ns, which the caller charges. Any thread. */
uint64_t debt_take(const char *tenant);

/** debt_forget - nobody owes anything: the scheduler has ended */
void debt_forget(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shard/setup.h - shards and their tenants: made, changed under load, freed. The caller serialises
 * these calls; slots go on meanwhile. Memory is had here, and nowhere else.
 *
 * A tenant has a part in each shard: about 1 KiB, and 4 KiB for each quota above 0 once for all.
 */
#ifndef BTN_SHARD_SETUP_H
#define BTN_SHARD_SETUP_H

#include "types.h"

/*
 * slots: all there may be; shards: 1 to BTN_SHARDS_MAX, each for slots / shards of them, which is whole.
 * Else as btn_core_init().
 */
int btn_shards_init(struct btn_shards *s, unsigned slots, unsigned shards, const struct btn_tier_setup *tiers,
		    unsigned n_tiers, uint64_t low_limit);
/* No slot is in any call, and all tenants were freed. */
void btn_shards_fini(struct btn_shards *s);

/*
 * The first `slots` slots take tasks from now on, 1 to all. A slot that is closed stops at its next checkpoint, and its
 * shard's tasks are taken by the others; a slot that sleeps is on the board no more. The caller wakes those that
 * were opened.
 */
void btn_shards_open(struct btn_shards *s, unsigned slots);

/* -ENOSPC: more of BTN_LOW sold than low_limit. -ENOMEM. */
int btn_shards_tenant(struct btn_shards *s, struct btn_shard_tenant **out, uint64_t low, uint64_t high, uint64_t now);
/* Other quotas. -ENOSPC, -ENOMEM: nothing changed. */
int btn_shards_tenant_set(struct btn_shards *s, struct btn_shard_out *out, struct btn_shard_tenant *t, uint64_t low,
			  uint64_t high, uint64_t now);
/* From now on no request is admitted. */
void btn_shards_tenant_leave(struct btn_shards *s, struct btn_shard_tenant *t, uint64_t now);
/*
 * -EBUSY: a request is in flight, a lease is out, or a post on its way; each ends by itself. The caller
 * lets each slot finish the call in which it is before, after btn_shards_tenant_leave().
 */
int btn_shards_tenant_free(struct btn_shards *s, struct btn_shard_tenant *t, uint64_t now);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal_limit.h"

#include <stddef.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: spreads to the high bits */

/* The terminating zero is hashed too, so that ("ab", "c") differs from ("a", "bc"). */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    const char *at = text ? text : "";

    do
        hash = (hash ^ (unsigned char)*at) * FNV_PRIME;
    while (*at++ != '\0');
    return hash;
}

static bool slot_is_over(const struct journal_limit_slot *slot, int64_t now_ns)
{
    return slot->said == 0 || now_ns - slot->began_ns >= JOURNAL_LIMIT_WINDOW_NS;
}

/* The slot of this key, else one to be taken over, else NULL. */
static struct journal_limit_slot *slot_find(struct journal_limit_slot *slots, size_t count,
                                            uint64_t key, int64_t now_ns)
{
    struct journal_limit_slot *spare = NULL;

    for (size_t i = 0; i < count; i++) {
        struct journal_limit_slot *slot = &slots[i];

        if (slot->said > 0 && slot->key == key)
            return slot;
        /* One that still has a count to tell is taken last. */
        if (slot_is_over(slot, now_ns) && (!spare || slot->left_out < spare->left_out))
            spare = slot;
    }
    if (spare)
        *spare = (struct journal_limit_slot){.key = key};
    return spare;
}

static bool slot_pass(struct journal_limit_slot *slot, int64_t now_ns, uint32_t *left_out)
{
    if (slot_is_over(slot, now_ns)) {
        *left_out = slot->left_out;
        slot->began_ns = now_ns;
        slot->said = 1;
        slot->left_out = 0;
        return true;
    }
    if (slot->said < JOURNAL_LIMIT_LINES) {
        *left_out = 0;
        slot->said++;
        return true;
    }
    if (slot->left_out < UINT32_MAX)
        slot->left_out++;
    return false;
}

bool journal_limit_pass(struct journal_limit *limit, const char *message_id, const char *peer,
                        const char *text, int64_t now_ns, uint32_t *left_out)
{
    uint64_t kind = hash_text(FNV_BASIS, message_id);
    uint64_t key = hash_text(message_id ? kind : hash_text(kind, text), peer);
    struct journal_limit_slot *slot;

    slot = slot_find(limit->lines[(key * GOLDEN >> 32) % JOURNAL_LIMIT_SETS], JOURNAL_LIMIT_WAYS,
                     key, now_ns);
    if (!slot)
        slot = slot_find(limit->kinds, JOURNAL_LIMIT_KINDS, kind, now_ns);
    if (slot)
        return slot_pass(slot, now_ns, left_out);
    *left_out = 0;
    return true;
}

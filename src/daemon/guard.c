/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASH_BITS 12
#define CHAINS (1U << HASH_BITS)
#define NOWHERE UINT16_MAX
#define ONE \
    UINT64_C(1000000) /* connection, in the unit of levels: per_second gives it in a second */

struct place {
    struct prefix block;
    uint64_t level; /* what may still come */
    uint64_t since_us;
    uint16_t next;         /* in its chain */
    uint16_t newer, older; /* by the last attempt */
};

struct guard {
    struct guard_rules rules;
    uint64_t factors[3];
    uint16_t chains[CHAINS];
    uint16_t newest, oldest;
    uint16_t used;
    struct place places[GUARD_PLACES];
};

static bool seed(struct guard *guard)
{
    const size_t size = sizeof guard->factors;

    /* Chains nobody can foresee need no better entropy than a booting machine has. */
    if (getrandom(guard->factors, size, GRND_INSECURE) == (ssize_t)size)
        return true;
    return getrandom(guard->factors, size, 0) == (ssize_t)size;
}

struct guard *guard_new(const struct guard_rules *rules)
{
    struct guard *guard = calloc(1, sizeof *guard);

    if (!guard || !seed(guard)) {
        free(guard);
        return NULL;
    }
    guard->rules = *rules;
    for (size_t i = 0; i < CHAINS; i++)
        guard->chains[i] = NOWHERE;
    guard->newest = guard->oldest = NOWHERE;
    return guard;
}

void guard_free(struct guard *guard)
{
    free(guard);
}

void guard_rule(struct guard *guard, const struct guard_rules *rules)
{
    guard->rules = *rules;
}

/* h(x) = (a0 + a1 x1 + a2 x2) mod 2^64 >> (64 - HASH_BITS), the x of 32 bits, the a random:
 * whichever two blocks somebody picks, they meet in one chain with a chance of 1 in CHAINS. */
static uint16_t *chain_of(struct guard *guard, const struct prefix *block)
{
    uint32_t words[2];
    uint64_t sum = guard->factors[0];

    memcpy(words, block->bytes, sizeof words);
    for (size_t i = 0; i < 2; i++)
        sum += guard->factors[i + 1] * words[i];
    return &guard->chains[sum >> (64 - HASH_BITS)];
}

static bool same_block(const struct prefix *a, const struct prefix *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void unlink_age(struct guard *guard, uint16_t at)
{
    const struct place *place = &guard->places[at];

    *(place->newer == NOWHERE ? &guard->newest : &guard->places[place->newer].older) = place->older;
    *(place->older == NOWHERE ? &guard->oldest : &guard->places[place->older].newer) = place->newer;
}

static void link_newest(struct guard *guard, uint16_t at)
{
    struct place *place = &guard->places[at];

    place->newer = NOWHERE;
    place->older = guard->newest;
    *(guard->newest == NOWHERE ? &guard->oldest : &guard->places[guard->newest].newer) = at;
    guard->newest = at;
}

static void unlink_chain(struct guard *guard, uint16_t at)
{
    uint16_t *link = chain_of(guard, &guard->places[at].block);

    while (*link != at)
        link = &guard->places[*link].next;
    *link = guard->places[at].next;
}

static uint16_t free_place(struct guard *guard)
{
    const uint16_t at = guard->oldest;

    if (guard->used < GUARD_PLACES)
        return guard->used++;
    unlink_age(guard, at);
    unlink_chain(guard, at);
    return at;
}

static uint64_t most(const struct guard *guard)
{
    return 2 * ONE * guard->rules.per_second;
}

/* The place of the block, the newest one from now on. */
static struct place *place_of(struct guard *guard, const struct prefix *block, uint64_t now_us)
{
    uint16_t *chain = chain_of(guard, block);
    uint16_t at = *chain;

    while (at != NOWHERE && !same_block(&guard->places[at].block, block))
        at = guard->places[at].next;
    if (at != NOWHERE) {
        unlink_age(guard, at);
    } else {
        at = free_place(guard);
        guard->places[at] = (struct place){
            .block = *block, .level = most(guard), .since_us = now_us, .next = *chain};
        *chain = at;
    }
    link_newest(guard, at);
    return &guard->places[at];
}

/* A level of L fills at per_second a microsecond, and never beyond two seconds' worth. */
static bool take_one(const struct guard *guard, struct place *place, uint64_t now_us)
{
    const uint64_t passed = now_us > place->since_us ? now_us - place->since_us : 0;

    place->level =
        passed >= 2 * ONE ? most(guard) : place->level + passed * guard->rules.per_second;
    if (place->level > most(guard))
        place->level = most(guard);
    place->since_us += passed;
    if (place->level < ONE)
        return false;
    place->level -= ONE;
    return true;
}

static bool held(const struct prefix *prefixes, size_t count, const struct sockaddr *address)
{
    for (size_t i = 0; i < count; i++) {
        if (prefix_holds(&prefixes[i], address))
            return true;
    }
    return false;
}

bool guard_permits(const struct guard *guard, const struct sockaddr *address)
{
    const struct guard_rules *rules = &guard->rules;

    if (held(rules->deny, rules->denied, address))
        return false;
    return rules->allowed == 0 || held(rules->allow, rules->allowed, address);
}

enum guard_verdict guard_judge(struct guard *guard, const struct sockaddr *address, uint64_t now_us)
{
    struct prefix block;

    if (!guard_permits(guard, address))
        return GUARD_DENIED;
    if (guard->rules.per_second == 0 || !prefix_of(address, GUARD_BITS4, GUARD_BITS6, &block))
        return GUARD_ADMITTED;
    return take_one(guard, place_of(guard, &block, now_us), now_us) ? GUARD_ADMITTED
                                                                    : GUARD_TOO_OFTEN;
}

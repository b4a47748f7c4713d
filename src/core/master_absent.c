/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slaves that left a moment ago.  A connection ends for many reasons that are none of the
 * clock's, a new key among them: who is soon back, still synchronised, takes up the link and
 * the standing it had.  Its first exchange must bear that out: a machine that was started anew
 * meanwhile has another RAW clock.
 */
#include "master_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ABSENT_NS (10 * NS_PER_S)
#define RETURN_SD 8                 /* beyond this, and what queues do, it is another RAW clock */
#define RETURN_FLOOR_NS NS_PER_MS

struct absent {
    struct peer peer;
    int64_t left_raw_ns;
};

void master_absent_free(struct master *master)
{
    for (size_t i = 0; i < master->absent_count; i++)
        estimator_free(master->absent[i].peer.estimator);
    free(master->absent);
}

static bool is_over(const struct absent *absent, int64_t raw_ns)
{
    return absent->left_raw_ns == INT64_MIN || raw_ns - absent->left_raw_ns > ABSENT_NS;
}

/* A place that is free, or of somebody who is gone for good; a new one; or that of whoever left
 * first.  NULL when out of memory. */
static struct absent *find_place(struct master *master, int64_t raw_ns)
{
    struct absent *more, *first = master->absent;

    for (size_t i = 0; i < master->absent_count; i++) {
        if (is_over(&master->absent[i], raw_ns))
            return &master->absent[i];
        if (master->absent[i].left_raw_ns < first->left_raw_ns)
            first = &master->absent[i];
    }
    if (master->absent_count >= master->config.max_slaves)
        return first;
    more = realloc(master->absent, (master->absent_count + 1) * sizeof *more);
    if (!more)
        return NULL;
    master->absent = more;
    more[master->absent_count] = (struct absent){.left_raw_ns = INT64_MIN};
    return &more[master->absent_count++];
}

void master_absent_keep(struct master *master, struct peer *peer, int64_t raw_ns)
{
    struct absent *absent;

    if (!peer->welcomed || !peer->epoch_known)
        return;
    absent = find_place(master, raw_ns);
    if (!absent)
        return;
    estimator_free(absent->peer.estimator);
    *absent = (struct absent){.peer = *peer, .left_raw_ns = raw_ns};
    peer->estimator = NULL;
}

static void take_up(struct peer *peer, const struct peer *before)
{
    peer->answered_before = before->answered_before;
    peer->expected = true;
    peer->returned = true;
    peer->told = before->told;
    peer->claimed_sd_ns = before->claimed_sd_ns;
    peer->epoch_known = true;
    peer->epoch = before->epoch;
    peer->jumps = before->jumps;
    peer->jump_said_raw_ns = before->jump_said_raw_ns;
    peer->departures.told = before->departures.told;
    peer->departures.lag_ns = before->departures.lag_ns;
    peer->standing = before->standing;
    peer->given_sd_ppb = before->given_sd_ppb;
    peer->estimate = before->estimate;
}

void master_absent_return(struct master *master, struct peer *peer, int64_t raw_ns)
{
    for (size_t i = 0; i < master->absent_count; i++) {
        struct absent *absent = &master->absent[i];
        struct estimator *fresh = peer->estimator;

        if (is_over(absent, raw_ns) || peer->state == SYNC_UNSYNCHRONISED ||
            peer->kind != absent->peer.kind ||
            strcmp(peer->name, absent->peer.name) != 0 ||
            strcmp(peer->owner, absent->peer.owner) != 0 ||
            memcmp(peer->id, absent->peer.id, sizeof peer->id) != 0)
            continue;
        peer->estimator = absent->peer.estimator;
        take_up(peer, &absent->peer);
        *absent = (struct absent){.peer.estimator = fresh, .left_raw_ns = INT64_MIN};
        return;
    }
}

bool master_absent_bears_out(struct peer *peer, const struct exchange *exchange,
                             int64_t offset_ns, int64_t delay_ns)
{
    const int64_t middle_ns = exchange->t1_ns + (exchange->t4_ns - exchange->t1_ns) / 2;
    struct estimate known;

    if (!peer->returned)
        return true;
    peer->returned = false;
    return estimator_estimate(peer->estimator, middle_ns, &known) == 0 &&
           fabs((double)offset_ns - (double)known.offset_ns) <=
               (double)delay_ns + RETURN_SD * known.offset_sd_ns + (double)RETURN_FLOOR_NS;
}

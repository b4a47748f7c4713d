/* SPDX-License-Identifier: BSD-2-Clause */
/* How a group gets its time: at a cold start, after a dispute, and when its
 * master comes back. */
#include "master_state.h"

#include <errno.h>

#define QUIET_ROUNDS 2       /* of the rounds of forming without anybody joining, ... */
#define RATE_SD_PPB 100000.0 /* ... and each frequency known to a fifth of the cold gate; ... */
#define ROUNDS_MAX 12        /* ... but the group waits no longer than this */
/* The same where the group stood before: */
#define AGAIN_QUIET_ROUNDS 8
#define AGAIN_RATE_SD_PPB 50.0 /* 50 ns a second */
#define AGAIN_ROUNDS_MAX 60

static size_t count_claims(struct master *master, const struct ballot *ballot)
{
    size_t claims = 0;

    for (size_t i = 0; i < ballot->count; i++) {
        const struct peer *peer = ballot->peers[i];
        unsigned state = peer ? peer->state : (unsigned)discipline_state(master->discipline);

        ballot->clocks[i].votes = state != SYNC_UNSYNCHRONISED || ballot->clocks[i].reference;
        claims += ballot->clocks[i].votes;
    }
    return claims;
}

/* Makes those who claim it the voters. */
static bool stood_together(struct master *master, const struct ballot *ballot)
{
    size_t claims = count_claims(master, ballot);

    return claims > 0 && 2 * claims >= ballot->count;
}

/* The first time, and after a dispute.  Clocks that say they are synchronised
 * know the group's time if they are half of those present or more: a restarted
 * master then finds the group as it left it, even if its clocks have drifted apart
 * meanwhile.  Otherwise all are equal. */
static int elect(struct master *master, struct ballot *ballot, bool together,
                 struct average *average, bool *cold)
{
    struct average_rule rule = {.quorum = 1};

    *cold = false;
    if (together && average_compute(ballot->clocks, ballot->count, &rule, average) == 0)
        return 0;
    *cold = rule.cold = true;
    if (together && average_compute(ballot->clocks, ballot->count, &rule, average) == 0)
        return 0;
    rule.quorum = master->config.quorum;
    for (size_t i = 0; i < ballot->count; i++)
        ballot->clocks[i].votes = true;
    return average_compute(ballot->clocks, ballot->count, &rule, average);
}

/* Clocks that stood together before and still hold the group's time can wait: until no
 * more of them come back, and until the new links to them are known so well that to go
 * on with them moves nobody. */
static bool is_found_again(const struct master *master, const struct ballot *ballot)
{
    bool known = true;

    for (size_t i = 0; i < ballot->count; i++)
        if (ballot->clocks[i].votes)
            known &= ballot->clocks[i].rate_sd_ppb <= AGAIN_RATE_SD_PPB;
    return (known && master->quiet_rounds >= AGAIN_QUIET_ROUNDS) ||
           master->forming_rounds >= AGAIN_ROUNDS_MAX;
}

static bool may_form(struct master *master, const struct ballot *ballot, bool together)
{
    bool enough = ballot->count >= master->config.quorum;
    bool known = true;

    for (size_t i = 0; i < ballot->count; i++) {
        enough |= ballot->clocks[i].reference;
        known &= ballot->clocks[i].rate_sd_ppb <= RATE_SD_PPB;
    }
    if (!enough) {
        master->forming_rounds = 0;
        return false;
    }
    master->forming_rounds++;
    if (together && master->disputed_rounds == 0)
        return is_found_again(master, ballot);
    return master->forming_rounds >= ROUNDS_MAX ||
           (master->forming_rounds >= MASTER_FORM_ROUNDS && master->quiet_rounds >= QUIET_ROUNDS &&
            known);
}

/* A clock just averaged is not in yet: it has to be brought there first. */
static void demote(struct master *master, const struct ballot *ballot, bool cold)
{
    for (size_t i = 0; i < ballot->count; i++) {
        struct average_clock *clock = &ballot->clocks[i];
        bool in = !cold && clock->votes && clock->verdict == VERDICT_COUNTED;
        struct standing *standing = master_ballot_standing(master, ballot, i);

        standing->in = in || clock->verdict == VERDICT_REFERENCE;
        standing->founder = clock->votes && clock->verdict == VERDICT_COUNTED;
        standing->founding_ppb =
            ballot->peers[i] ? ballot->peers[i]->freq_ppb : master->freq_ppb;
        if (clock->verdict == VERDICT_COUNTED && !in)
            clock->verdict = VERDICT_NEWCOMER;
        if (clock->verdict == VERDICT_NOISY)
            clock->verdict = VERDICT_NEWCOMER;
    }
}

/* Clocks too far apart to start from: said once. */
static void note_torn(struct master *master, const struct average *average,
                      struct actions *actions)
{
    struct note *note;

    if (master->torn)
        return;
    master->torn = true;
    master->counted = average->members;
    note = master_note_group(master, NOTE_QUORUM_LOST, actions);
    note->state = 1;
}

void master_form(struct master *master, struct ballot *ballot, struct actions *actions)
{
    struct average average;
    struct note *note;
    bool together = stood_together(master, ballot);
    bool cold;
    int r;

    if (!may_form(master, ballot, together))
        return;
    r = elect(master, ballot, together, &average, &cold);
    if (r == -EAGAIN)
        note_torn(master, &average, actions);
    if (r < 0)
        return;
    master_adopt(master, ballot, &average);
    master->formed = true;
    master->settled = false;
    master->torn = false;
    master->quorum = true;
    master->disputed_rounds = 0;
    master->counted = average.members;
    note = master_note_group(master, NOTE_GROUP_FORMED, actions);
    note->offset_ns = average.spread_ns;
    note->state = !cold;
    for (size_t i = 0; i < ballot->count; i++)
        if (ballot->clocks[i].verdict == VERDICT_FAR || ballot->clocks[i].verdict == VERDICT_FAST)
            master_exclude(master, ballot, i, actions);
    demote(master, ballot, cold);
}

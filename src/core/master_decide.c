/* SPDX-License-Identifier: BSD-2-Clause */
#include "master_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORM_ROUNDS 4        /* rounds of measuring before the group gets its time */
#define FORM_QUIET_ROUNDS 2  /* of them without anybody joining ... */
#define FORM_ROUNDS_MAX 12   /* ... but not longer than this */
#define SUSPEND_ROUNDS 4     /* an excluded clock is left alone for so many */
#define ADMIT_SHARE 4        /* of the gate: what the last slew may leave to a newcomer */
#define DISPUTE_ROUNDS 4     /* without a majority: then the group forms afresh */
/* What a clock may claim: leaves the group's time room to go on without overflow. */
#define PHASE_LIMIT_NS (TIMESTAMP_LIMIT_NS - 1000000 * NS_PER_S)
#define RATE_LIMIT_PPB 1e7   /* 1 %: beyond any oscillator */

/* The clocks of one round. */
struct ballot {
    struct average_clock *clocks;
    struct peer **peers;         /* NULL: the master's own */
    size_t count;
    int64_t raw_ns;              /* the instant all phases are for, on the master's RAW */
};

static struct standing *standing_of(struct master *master, const struct ballot *ballot, size_t i)
{
    return ballot->peers[i] ? &ballot->peers[i]->standing : &master->own;
}

/* p = theta + A and r = (1 + f)(1 + phi) - 1 of a slave at the ballot's instant.
 * phi came from an earlier estimate of f, whose error is ours and not the slave's. */
static bool measure(struct peer *peer, const struct ballot *ballot, struct average_clock *clock)
{
    struct estimate *estimate = &peer->estimate;
    int64_t slave_raw_ns, phase_ns;

    if (estimator_estimate(peer->estimator, ballot->raw_ns, estimate) < 0 ||
        timestamp_add(ballot->raw_ns, estimate->offset_ns, &slave_raw_ns) < 0 ||
        timestamp_add(estimate->offset_ns, peer->slave.total_ns, &phase_ns) < 0 ||
        !timestamp_valid(slave_raw_ns) || !timestamp_valid(phase_ns))
        return false;
    phase_ns += timestamp_drift(slave_raw_ns - peer->slave.raw_ns, peer->freq_ppb);
    if (timestamp_abs(phase_ns) > PHASE_LIMIT_NS)
        return false;
    *clock = (struct average_clock){
        .phase_ns = phase_ns,
        .rate_ppb = estimate->freq_ppb + peer->freq_ppb + estimate->freq_ppb * peer->freq_ppb / 1e9,
        .phase_sd_ns = estimate->offset_sd_ns,
        .rate_sd_ppb = hypot(estimate->freq_sd_ppb, peer->given_sd_ppb),
        .votes = peer->standing.in || peer->reference,
        .reference = peer->reference};
    return fabs(clock->rate_ppb) <= RATE_LIMIT_PPB;
}

static bool takes_part(const struct peer *peer)
{
    return peer->welcomed && peer->answers > 0;
}

static void add_own(struct master *master, struct ballot *ballot, const struct reading *now)
{
    bool reference = master_is_reference(master, master->config.name);

    if (!master->config.discipline && !reference)
        return;
    ballot->peers[ballot->count] = NULL;
    ballot->clocks[ballot->count++] =
        (struct average_clock){.phase_ns = now->total_ns,
                               .rate_ppb = master->freq_ppb,
                               .votes = master->own.in || reference,
                               .reference = reference};
}

static int ballot_open(struct master *master, const struct reading *now, struct ballot *ballot)
{
    size_t most = master->peer_count + 1;

    *ballot = (struct ballot){.raw_ns = now->raw_ns};
    ballot->clocks = calloc(most, sizeof *ballot->clocks);
    ballot->peers = calloc(most, sizeof(struct peer *));
    if (!ballot->clocks || !ballot->peers)
        return -ENOMEM;
    add_own(master, ballot, now);
    for (size_t i = 0; i < master->peer_count; i++) {
        struct peer *peer = &master->peers[i];
        struct average_clock *clock = &ballot->clocks[ballot->count];

        peer->standing.verdict = peer->welcomed && peer->polls[0].sequence ? VERDICT_SILENT
                                                                            : VERDICT_NONE;
        if (!takes_part(peer))
            continue;
        peer->standing.verdict = VERDICT_NONE;
        if (!measure(peer, ballot, clock))
            continue;
        if (peer->kind == CLOCK_KIND_OBSERVED && !peer->reference) {
            peer->standing.verdict = VERDICT_OBSERVER;
            continue;
        }
        ballot->peers[ballot->count++] = peer;
    }
    return 0;
}

static void ballot_close(struct ballot *ballot)
{
    free(ballot->clocks);
    free(ballot->peers);
}

static struct note *note_group(const struct master *master, enum note_kind kind,
                               struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    note->round = master->round;
    note->counted = master->counted;
    note->present = master->present;
    return note;
}

static struct note *note_clock(const struct master *master, const struct peer *peer,
                               enum note_kind kind, struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    memcpy(note->name, peer ? peer->name : master->config.name, sizeof note->name);
    if (peer)
        memcpy(note->address, peer->address, sizeof note->address);
    note->round = master->round;
    return note;
}

/* A clock that jumped is out.  But if most of those that are in did so at once, it
 * was the master's own, against which all are measured. */
static void settle_jumps(struct master *master, struct actions *actions)
{
    unsigned in = 0, jumped = 0;
    bool own;

    for (size_t i = 0; i < master->peer_count; i++) {
        in += master->peers[i].standing.in;
        jumped += master->peers[i].standing.in && master->peers[i].jumped;
    }
    own = jumped > 1 && 2 * jumped > in;
    if (own) {
        master->own.in = false;
        note_clock(master, NULL, NOTE_CLOCK_JUMPED, actions);
    }
    for (size_t i = 0; i < master->peer_count; i++) {
        struct peer *peer = &master->peers[i];

        if (peer->jumped && !own) {
            peer->standing.in = false;
            note_clock(master, peer, NOTE_CLOCK_JUMPED, actions);
        }
        peer->jumped = false;
    }
}

static void exclude(struct master *master, const struct ballot *ballot, size_t i,
                    struct actions *actions)
{
    const struct average_clock *clock = &ballot->clocks[i];
    struct standing *standing = standing_of(master, ballot, i);
    struct note *note = note_clock(master, ballot->peers[i], NOTE_CLOCK_EXCLUDED, actions);

    standing->in = false;
    standing->suspended = SUSPEND_ROUNDS;
    note->verdict = (uint8_t)clock->verdict;
    note->offset_ns = clock->phase_ns - master->average.phase_ns;
    note->freq_ppb = clock->rate_ppb - master->average.rate_ppb;
    note->limit_ns = master->average.gate_ns;
    note->count = SUSPEND_ROUNDS;
}

static void admit(struct master *master, const struct ballot *ballot, size_t i,
                  struct actions *actions)
{
    struct standing *standing = standing_of(master, ballot, i);
    int64_t group_ns = map_total_at(&master->group, ballot->raw_ns);

    standing->in = true;
    note_clock(master, ballot->peers[i], NOTE_CLOCK_IN, actions)->offset_ns =
        ballot->clocks[i].phase_ns - group_ns;
}

/* Has a newcomer arrived?  Well inside the gate, so that one that narrows does not
 * exclude it while its last slew still runs; by its own sds if its link is noisier
 * than most. */
static bool has_arrived(const struct master *master, const struct average_clock *clock,
                        int64_t group_ns)
{
    int64_t gate_ns;
    double gate_ppb;

    average_gates(clock->phase_sd_ns, clock->rate_sd_ppb, &gate_ns, &gate_ppb);
    if (gate_ns < master->average.gate_ns)
        gate_ns = master->average.gate_ns;
    return average_judge(clock, group_ns, master->group.freq_ppb, gate_ns / ADMIT_SHARE,
                         fmax(gate_ppb, master->average.gate_ppb)) == VERDICT_COUNTED;
}

/* A clock that does not vote this time: in, noisy, still coming, or left alone. */
static void settle_other(struct master *master, const struct ballot *ballot, size_t i,
                         struct actions *actions)
{
    struct standing *standing = standing_of(master, ballot, i);
    struct average_clock *clock = &ballot->clocks[i];
    int64_t group_ns = map_total_at(&master->group, ballot->raw_ns);
    enum clock_verdict verdict;

    if (standing->suspended > 0) {
        standing->suspended--;
        clock->verdict = VERDICT_SUSPENDED;
        return;
    }
    verdict = average_judge(clock, group_ns, master->group.freq_ppb, master->average.gate_ns,
                            master->average.gate_ppb);
    if (!standing->in && has_arrived(master, clock, group_ns))
        admit(master, ballot, i, actions);
    else if (verdict != VERDICT_COUNTED && verdict != VERDICT_NOISY)
        standing->in = false;
    clock->verdict = standing->in ? verdict : VERDICT_NEWCOMER;
}

static void settle(struct master *master, const struct ballot *ballot, struct actions *actions)
{
    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];

        if (clock->verdict == VERDICT_FAR || clock->verdict == VERDICT_FAST)
            exclude(master, ballot, i, actions);
        else if (clock->verdict == VERDICT_COUNTED || clock->verdict == VERDICT_NEWCOMER)
            settle_other(master, ballot, i, actions);
    }
}

static void adopt(struct master *master, const struct ballot *ballot, const struct average *average)
{
    double delay_ns = 0;

    master->average = *average;
    master->group = (struct map){.raw_ns = ballot->raw_ns,
                                 .total_ns = average->phase_ns,
                                 .freq_ppb = average->rate_ppb};
    for (size_t i = 0; i < ballot->count; i++)
        if (ballot->peers[i] && ballot->clocks[i].verdict == VERDICT_COUNTED)
            delay_ns += ballot->peers[i]->estimate.delay_ns;
    master->mean_delay_ns = average->members ? delay_ns / average->members : 0;
}

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

/* The first time, and after a dispute.  Clocks that say they are synchronised
 * know the group's time if they are half of those present or more: a restarted
 * master then finds the group as it left it. */
static int elect(struct master *master, struct ballot *ballot, struct average *average, bool *cold)
{
    struct average_rule rule = {.quorum = 1};
    size_t claims = count_claims(master, ballot);
    int r = -EAGAIN;

    *cold = false;
    if (claims > 0 && 2 * claims >= ballot->count)
        r = average_compute(ballot->clocks, ballot->count, &rule, average);
    if (r == 0)
        return 0;
    *cold = true;
    rule = (struct average_rule){.cold = true, .quorum = master->config.quorum};
    for (size_t i = 0; i < ballot->count; i++)
        ballot->clocks[i].votes = true;
    return average_compute(ballot->clocks, ballot->count, &rule, average);
}

static bool may_form(struct master *master, const struct ballot *ballot)
{
    bool enough = ballot->count >= master->config.quorum;

    for (size_t i = 0; i < ballot->count; i++)
        enough |= ballot->clocks[i].reference;
    if (!enough) {
        master->forming_rounds = 0;
        return false;
    }
    master->forming_rounds++;
    return master->forming_rounds >= FORM_ROUNDS_MAX ||
           (master->forming_rounds >= FORM_ROUNDS && master->quiet_rounds >= FORM_QUIET_ROUNDS);
}

/* A clock just averaged is not in yet: it has to be brought there first. */
static void demote(struct master *master, const struct ballot *ballot, bool cold)
{
    for (size_t i = 0; i < ballot->count; i++) {
        struct average_clock *clock = &ballot->clocks[i];
        bool in = !cold && clock->votes && clock->verdict == VERDICT_COUNTED;

        standing_of(master, ballot, i)->in = in || clock->verdict == VERDICT_REFERENCE;
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
    note = note_group(master, NOTE_QUORUM_LOST, actions);
    note->state = 1;
}

static void form(struct master *master, struct ballot *ballot, struct actions *actions)
{
    struct average average;
    struct note *note;
    bool cold;
    int r;

    if (!may_form(master, ballot))
        return;
    r = elect(master, ballot, &average, &cold);
    if (r == -EAGAIN)
        note_torn(master, &average, actions);
    if (r < 0)
        return;
    adopt(master, ballot, &average);
    master->formed = true;
    master->torn = false;
    master->quorum = true;
    master->disputed_rounds = 0;
    master->counted = average.members;
    note = note_group(master, NOTE_GROUP_FORMED, actions);
    note->offset_ns = average.spread_ns;
    note->state = !cold;
    for (size_t i = 0; i < ballot->count; i++)
        if (ballot->clocks[i].verdict == VERDICT_FAR || ballot->clocks[i].verdict == VERDICT_FAST)
            exclude(master, ballot, i, actions);
    demote(master, ballot, cold);
}

/* Enough voters, but no majority among them: nobody is moved; and if it stays
 * so, all start afresh as equals. */
static void dispute(struct master *master, const struct ballot *ballot, struct actions *actions)
{
    if (master->disputed_rounds++ == 0)
        note_group(master, NOTE_QUORUM_LOST, actions);
    discipline_hold(master->discipline);
    for (size_t i = 0; i < ballot->count; i++)
        ballot->clocks[i].verdict = VERDICT_NO_QUORUM;
    if (master->disputed_rounds < DISPUTE_ROUNDS)
        return;
    master->formed = false;
    master->forming_rounds = FORM_ROUNDS;
    for (size_t i = 0; i < ballot->count; i++)
        *standing_of(master, ballot, i) = (struct standing){.verdict = VERDICT_NO_QUORUM};
}

/* Too few who agree to speak for the group: its time goes on as it went. */
static void carry_on(struct master *master, struct ballot *ballot, const struct average *average,
                     struct actions *actions)
{
    if (master->quorum && master->own.in)
        discipline_hold(master->discipline);
    master->average.gate_ns = average->gate_ns;
    master->average.gate_ppb = average->gate_ppb;
    for (size_t i = 0; i < ballot->count; i++)
        settle_other(master, ballot, i, actions);
    master->disputed_rounds = 0;
}

static void convene(struct master *master, struct ballot *ballot, struct actions *actions)
{
    struct average_rule rule = {.quorum = master->config.quorum};
    struct average average;
    int r = average_compute(ballot->clocks, ballot->count, &rule, &average);

    if (r == -ENOMEM || r == -EINVAL)
        return;
    master->counted = average.members;
    if (r == 0) {
        adopt(master, ballot, &average);
        if (master->disputed_rounds > 0)
            note_group(master, NOTE_QUORUM_BACK, actions);
        master->disputed_rounds = 0;
        settle(master, ballot, actions);
    } else if (average.voters >= master->config.quorum && 2 * average.members <= average.voters) {
        dispute(master, ballot, actions);
    } else {
        carry_on(master, ballot, &average, actions);
    }
    master->quorum = r == 0;
}

/* From the ballot back to the clocks. */
static void publish(struct master *master, const struct ballot *ballot)
{
    master->own.verdict = master->config.discipline ? VERDICT_NONE : VERDICT_OBSERVER;
    master->counted = 0;
    for (size_t i = 0; i < ballot->count; i++) {
        struct standing *standing = standing_of(master, ballot, i);

        standing->verdict = ballot->clocks[i].verdict;
        standing->phase_ns = ballot->clocks[i].phase_ns;
        standing->rate_ppb = ballot->clocks[i].rate_ppb;
        master->counted += standing->verdict == VERDICT_COUNTED ||
                           standing->verdict == VERDICT_REFERENCE;
    }
}

/* Largest minus smallest phase of those that are in the group or on their way. */
static int64_t spread(const struct ballot *ballot)
{
    int64_t lowest = INT64_MAX, highest = INT64_MIN;

    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];

        if (clock->verdict == VERDICT_FAR || clock->verdict == VERDICT_FAST ||
            clock->verdict == VERDICT_SUSPENDED)
            continue;
        lowest = clock->phase_ns < lowest ? clock->phase_ns : lowest;
        highest = clock->phase_ns > highest ? clock->phase_ns : highest;
    }
    return highest > lowest ? highest - lowest : 0;
}

static void note_round(const struct master *master, const struct ballot *ballot,
                       struct actions *actions)
{
    struct note *note = note_group(master, NOTE_ROUND, actions);

    note->offset_ns = spread(ballot);
    note->state = (uint8_t)discipline_state(master->discipline);
    note->correction_ns =
        map_total_at(&master->group, ballot->raw_ns) - master->own.phase_ns;
}

void master_decide(struct master *master, const struct reading *now, struct actions *actions)
{
    struct ballot ballot;

    settle_jumps(master, actions);
    if (ballot_open(master, now, &ballot) == 0) {
        master->present = (unsigned)ballot.count;
        master->counted = 0;
    }
    if (ballot.count > 0) {
        if (master->formed)
            convene(master, &ballot, actions);
        else
            form(master, &ballot, actions);
        publish(master, &ballot);
        master_correct(master, now, actions);
        if (master->formed)
            note_round(master, &ballot, actions);
    }
    ballot_close(&ballot);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The clocks of a round, measured for one instant, and notes about them. */
#include "master_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a clock may claim: leaves the group's time room to go on without overflow. */
#define PHASE_LIMIT_NS (TIMESTAMP_LIMIT_NS - 1000000 * NS_PER_S)
#define SUSPEND_ROUNDS 4 /* an excluded clock is left alone for so many */
#define JUMP_SAID_NS (600 * NS_PER_S) /* a clock that jumps again and again is no news */
#define RATE_LIMIT_PPB 1e7 /* 1 %: beyond any oscillator */
/* A reference that is connected anew is not followed before its link is known so well, ... */
#define REFERENCE_RATE_SD_PPB 50.0
#define REFERENCE_SAMPLES 1000 /* ... or as well as it ever will be */
/* So long, and so many rounds, what is learned of a clock is rather its link's news than its own. */
#define NEW_NS (120 * NS_PER_S)
#define NEW_ROUNDS 30

struct standing *master_ballot_standing(struct master *master, const struct ballot *ballot,
                                        size_t i)
{
    return ballot->peers[i] ? &ballot->peers[i]->standing : &master->own;
}

static struct sight *sight_of(struct master *master, const struct ballot *ballot, size_t i)
{
    return ballot->peers[i] ? &ballot->peers[i]->sight : &master->own_sight;
}

/* p = theta + A and r of a slave at the ballot's instant.
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
        .rate_ppb = master_rate(estimate->freq_ppb, peer->freq_ppb),
        .phase_sd_ns = estimate->offset_sd_ns,
        .rate_sd_ppb = hypot(estimate->freq_sd_ppb, peer->given_sd_ppb),
        .wander_ppb = estimate->wander_ppb,
        .votes = peer->standing.in || peer->reference,
        .reference = peer->reference};
    return fabs(clock->rate_ppb) <= RATE_LIMIT_PPB;
}

/* What a new link says of a reference would drag the whole group about. */
static bool is_too_new(const struct master *master, const struct peer *peer,
                       const struct average_clock *clock)
{
    return master->formed && peer->reference && !peer->standing.in &&
           clock->rate_sd_ppb > REFERENCE_RATE_SD_PPB &&
           peer->estimate.samples < REFERENCE_SAMPLES;
}

static bool takes_part(const struct peer *peer)
{
    return peer->welcomed && peer->answers > 0;
}

static void add_own(struct master *master, struct ballot *ballot, const struct reading *now)
{
    bool reference = master_is_reference(master, master->config.name);

    master->own_sight = (struct sight){
        .taken = true, .phase_ns = now->total_ns, .rate_ppb = master->freq_ppb};
    if ((!master->config.discipline && !reference) ||
        !discipline_vouches(master->discipline, now))
        return;
    ballot->peers[ballot->count] = NULL;
    ballot->clocks[ballot->count++] =
        (struct average_clock){.phase_ns = now->total_ns,
                               .rate_ppb = master->freq_ppb,
                               .votes = master->own.in || reference,
                               .reference = reference};
}

int master_ballot_open(struct master *master, const struct reading *now, struct ballot *ballot)
{
    size_t most = master->peer_count + 1;

    *ballot = (struct ballot){.raw_ns = now->raw_ns};
    ballot->clocks = calloc(most, sizeof *ballot->clocks);
    ballot->peers = calloc(most, sizeof(struct peer *));
    if (!ballot->clocks || !ballot->peers)
        return -ENOMEM;
    master->seen_raw_ns = now->raw_ns;
    add_own(master, ballot, now);
    for (size_t i = 0; i < master->peer_count; i++) {
        struct peer *peer = &master->peers[i];
        struct average_clock *clock = &ballot->clocks[ballot->count];

        peer->standing.verdict = peer->welcomed && peer->polls[0].sequence ? VERDICT_SILENT
                                                                            : VERDICT_NONE;
        peer->sight = (struct sight){0};
        if (!takes_part(peer)) {
            peer->standing.coming = false;
            continue;
        }
        peer->standing.verdict = VERDICT_NONE;
        if (!measure(peer, ballot, clock))
            continue;
        peer->sight = (struct sight){
            .taken = true, .phase_ns = clock->phase_ns, .rate_ppb = clock->rate_ppb};
        if (peer->kind == CLOCK_KIND_OBSERVED && !peer->reference) {
            peer->standing.verdict = VERDICT_OBSERVER;
            continue;
        }
        if (is_too_new(master, peer, clock)) {
            peer->standing.verdict = VERDICT_REFERENCE;
            continue;
        }
        peer->standing.in |= peer->reference && master->formed;
        ballot->peers[ballot->count++] = peer;
    }
    return 0;
}

bool master_ballot_has_reference(const struct ballot *ballot)
{
    for (size_t i = 0; i < ballot->count; i++)
        if (ballot->clocks[i].verdict == VERDICT_REFERENCE)
            return true;
    return false;
}

void master_ballot_close(struct ballot *ballot)
{
    free(ballot->clocks);
    free(ballot->peers);
}

bool master_ballot_excludes(const struct ballot *ballot, size_t i)
{
    enum clock_verdict verdict = ballot->clocks[i].verdict;

    return verdict == VERDICT_FAR || verdict == VERDICT_FAST || verdict == VERDICT_SUSPENDED;
}

/* Largest minus smallest phase of those that are counted. */
int64_t master_ballot_spread(const struct ballot *ballot)
{
    int64_t lowest = INT64_MAX, highest = INT64_MIN;

    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];

        if (clock->verdict != VERDICT_COUNTED && clock->verdict != VERDICT_REFERENCE)
            continue;
        lowest = clock->phase_ns < lowest ? clock->phase_ns : lowest;
        highest = clock->phase_ns > highest ? clock->phase_ns : highest;
    }
    return highest > lowest ? highest - lowest : 0;
}

struct note *master_note_group(const struct master *master, enum note_kind kind,
                               struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    note->round = master->round;
    note->counted = master->counted;
    note->present = master->present;
    return note;
}

struct note *master_note_clock(const struct master *master, const struct peer *peer,
                               enum note_kind kind, struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    memcpy(note->name, peer ? peer->name : master->config.name, sizeof note->name);
    if (peer)
        memcpy(note->address, peer->address, sizeof note->address);
    note->round = master->round;
    return note;
}

void master_note_jump(const struct master *master, struct peer *peer, int64_t raw_ns,
                      struct actions *actions)
{
    peer->jumps++;
    if (peer->jump_said_raw_ns && raw_ns - peer->jump_said_raw_ns < JUMP_SAID_NS)
        return;
    master_note_clock(master, peer, NOTE_CLOCK_JUMPED, actions)->count = peer->jumps;
    peer->jump_said_raw_ns = raw_ns;
    peer->jumps = 0;
}

void master_exclude(struct master *master, const struct ballot *ballot, size_t i,
                    struct actions *actions)
{
    const struct average_clock *clock = &ballot->clocks[i];
    struct standing *standing = master_ballot_standing(master, ballot, i);
    struct note *note = master_note_clock(master, ballot->peers[i], NOTE_CLOCK_EXCLUDED, actions);
    double gate_ppb;

    standing->in = standing->coming = false;
    standing->censured = false;
    standing->suspended = SUSPEND_ROUNDS;
    note->verdict = (uint8_t)clock->verdict;
    note->offset_ns = clock->phase_ns - master->average.phase_ns;
    note->freq_ppb = clock->rate_ppb - master->average.rate_ppb;
    average_gates_of(&master->average, clock->reference, &note->limit_ns, &gate_ppb);
    note->count = SUSPEND_ROUNDS;
}

/* Of the mean of the members' rates, as variances: how well it is known, how much of that is the
 * doubt about those that are new in it, and how far it walks in a second. */
struct rate_noise {
    double all_ppb2, new_ppb2, walk_ppb2;
};

static struct rate_noise rate_noise_of(struct master *master, const struct ballot *ballot)
{
    int64_t new_ns = NEW_ROUNDS * master->config.interval_ns;
    struct rate_noise noise = {0};
    double members = 0;

    if (new_ns < NEW_NS)
        new_ns = NEW_NS;
    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];
        const struct standing *standing = master_ballot_standing(master, ballot, i);
        double var_ppb2;

        if (!clock->votes || clock->verdict != VERDICT_COUNTED)
            continue;
        members++;
        if (!ballot->peers[i])
            continue;
        var_ppb2 = pow(master_link_doubt(ballot->peers[i]) * clock->rate_sd_ppb, 2);
        noise.all_ppb2 += var_ppb2;
        noise.new_ppb2 += ballot->raw_ns - standing->in_raw_ns < new_ns ? var_ppb2 : 0;
        noise.walk_ppb2 += pow(clock->wander_ppb, 2);
    }
    members = fmax(1, members * members);
    return (struct rate_noise){noise.all_ppb2 / members, noise.new_ppb2 / members,
                               noise.walk_ppb2 / members};
}

/* The group's rate is the mean of its members' own.  A new one comes in at the group's, by what
 * its link says of it at first; whatever is learned of it later changes the mean.  So if most are
 * new, the group's time would be turned off its course by what was only guessed, and who is in
 * holdover hears nothing of it: r += k (mean - r), k = P / s^2 < 1, with s^2 the variance that
 * those who are new bring in, and P that of r.  Beyond 3 sd that is no guess: it is the master's
 * own oscillator, against which all are measured. */
static double adopt_rate(struct master *master, const struct ballot *ballot,
                         const struct average *average, bool references)
{
    double age_s = fmax(0, (double)(ballot->raw_ns - master->group.raw_ns) / 1e9);
    double change_ppb = average->rate_ppb - master->group.freq_ppb;
    struct rate_noise noise = rate_noise_of(master, ballot);

    master->rate_var_ppb2 += noise.walk_ppb2 * age_s;
    if (references || !master->settled || noise.new_ppb2 <= master->rate_var_ppb2 ||
        pow(change_ppb, 2) > 9 * (noise.new_ppb2 + master->rate_var_ppb2)) {
        master->rate_var_ppb2 = noise.all_ppb2;
        return average->rate_ppb;
    }
    return master->group.freq_ppb + change_ppb * master->rate_var_ppb2 / noise.new_ppb2;
}

void master_adopt(struct master *master, const struct ballot *ballot, const struct average *average)
{
    bool references = master_ballot_has_reference(ballot);
    double delay_ns = 0;

    master->average = *average;
    master->group = (struct map){.raw_ns = ballot->raw_ns,
                                 .total_ns = average->phase_ns,
                                 .freq_ppb = adopt_rate(master, ballot, average, references)};
    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];

        if (references ? clock->verdict != VERDICT_REFERENCE
                       : !clock->votes || clock->verdict != VERDICT_COUNTED)
            continue;
        sight_of(master, ballot, i)->weight = 1.0 / average->members;
        if (ballot->peers[i])
            delay_ns += ballot->peers[i]->estimate.delay_ns;
    }
    master->mean_delay_ns = average->members ? delay_ns / average->members : 0;
}

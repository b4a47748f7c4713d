/* SPDX-License-Identifier: BSD-2-Clause */
/* What a round's decision means for each clock: CORRECT for the slaves, a
 * target for the master's own discipline. */
#include "master_state.h"

#include <math.h>

#define TOLD_SHARE 3.0
#define CONTRADICTION_SD 4.0 /* one round in 10^4 by chance */

/* A clock that is left alone keeps the map it has; so does one that is in while
 * too few are in to speak for the group: that is holdover. */
static bool gets_map(const struct master *master, enum clock_verdict verdict)
{
    if (clock_verdict_is_in(verdict))
        return master->quorum;
    return verdict == VERDICT_NEWCOMER || verdict == VERDICT_OBSERVER;
}

/* At the slave's RAW time R0 = M + theta its clock shall show the group's time
 * M + G, so A0 = G - theta; and it shall run at the group's rate. */
static bool map_for(const struct master *master, const struct estimate *estimate, int64_t raw_ns,
                    struct map *map)
{
    int64_t group_ns = map_total_at(&master->group, raw_ns);

    map->freq_ppb = master_steering(master->group.freq_ppb, estimate->freq_ppb);
    return fabs(map->freq_ppb) <= wire_ppb_from_fs(WIRE_FREQ_LIMIT_FS) &&
           timestamp_add(raw_ns, estimate->offset_ns, &map->raw_ns) == 0 &&
           timestamp_sub(group_ns, estimate->offset_ns, &map->total_ns) == 0 &&
           timestamp_valid(map->raw_ns) && timestamp_valid(map->total_ns);
}

/* Does what was measured say that this clock is not where the group is? */
static bool contradicts(const struct master *master, const struct peer *peer,
                        int64_t correction_ns)
{
    const struct estimate *estimate = &peer->estimate;
    double rate_ppb = master_rate(estimate->freq_ppb, peer->freq_ppb) - master->group.freq_ppb;
    double sds = CONTRADICTION_SD * master_link_doubt(peer);

    return fabs((double)correction_ns) > sds * estimate->offset_sd_ns ||
           fabs(rate_ppb) > sds * estimate->freq_sd_ppb;
}

/* A clock that was synchronised a moment ago and is connected again, or whose master
 * was started again, still knows the group's time better than a link that has just
 * been made can tell.  Once told by this link it knows no more than that: unless the link
 * has become much worse meanwhile, as when one of its two crystals has jumped.  As long
 * as nothing contradicts it, it is left with what it has.  So is a newcomer, whom
 * corrections of pure noise would only drag about, as long as its link is fresh. */
static bool is_left_as_it_is(const struct master *master, const struct peer *peer,
                             int64_t correction_ns)
{
    double claimed_ns = (double)peer->claimed_sd_ns * (peer->told ? TOLD_SHARE : 1);
    bool better = peer->state != SYNC_UNSYNCHRONISED && claimed_ns < peer->estimate.offset_sd_ns;
    bool fresh = peer->standing.verdict == VERDICT_NEWCOMER &&
                 peer->estimate.samples < MASTER_SEASONED_SAMPLES;

    return (better || fresh) && !contradicts(master, peer, correction_ns);
}

/* Of a clock's error to the mean of n: a member is part of the mean,
 * var = s_i^2 - 2 s_i^2 / n + s^2, with s_i its own sd and s that of the mean. */
static double sd_to_mean(const struct master *master, const struct peer *peer, double own,
                          double mean)
{
    unsigned clocks = master->mean.clocks;
    bool member = clocks > 1 && (master->mean.references
                                     ? peer->standing.verdict == VERDICT_REFERENCE
                                     : peer->standing.in);

    own *= master_link_doubt(peer);
    return sqrt(own * own * (member ? 1 - 2.0 / clocks : 1) + mean * mean);
}

double master_offset_sd(const struct master *master, const struct peer *peer)
{
    return sd_to_mean(master, peer, peer->estimate.offset_sd_ns, master->mean.phase_sd_ns);
}

/* Of the mean from now on until the next round. */
static double mean_sd(const struct master *master)
{
    return master->mean.phase_sd_ns +
           master->mean.rate_sd_ppb * (double)master->config.interval_ns / 1e9;
}

/* Nothing is filled in for a clock so far off that no frame can say it. */
static void fill_map(const struct master *master, struct peer *peer, int64_t raw_ns,
                     struct wire_correct *correct)
{
    const struct estimate *estimate = &peer->estimate;
    int64_t slave_total_ns, correction_ns;
    struct map map;

    if (!map_for(master, estimate, raw_ns, &map))
        return;
    if (timestamp_add(peer->slave.total_ns,
                      timestamp_drift(map.raw_ns - peer->slave.raw_ns, peer->freq_ppb),
                      &slave_total_ns) < 0 ||
        timestamp_sub(map.total_ns, slave_total_ns, &correction_ns) < 0 ||
        !timestamp_valid(correction_ns))
        return;
    correct->has_map =
        gets_map(master, peer->standing.verdict) && !is_left_as_it_is(master, peer, correction_ns);
    if (correct->has_map) {
        peer->given_sd_ppb = estimate->freq_sd_ppb;
        peer->told = true;
    }
    correct->map = map;
    correct->correction_ns = correction_ns;
    correct->offset_sd_ns = timestamp_round(master_offset_sd(master, peer));
    correct->freq_sd_fs = wire_fs_from_ppb(
        sd_to_mean(master, peer, estimate->freq_sd_ppb, master->mean.rate_sd_ppb));
    correct->wander_fs = wire_fs_from_ppb(estimate->wander_ppb);
    correct->scatter_ns = master->mean.scatter_ns;
    if (!correct->has_map) /* then the sds below say nothing of a map that is kept */
        correct->scatter_ns += timestamp_round(DISCIPLINE_BOUND_SD * mean_sd(master));
    correct->asymmetry_ns = timestamp_round(fmax(0, estimate->delay_ns + master->mean_delay_ns));
}

static void correct_peer(struct master *master, struct peer *peer, int64_t raw_ns)
{
    enum clock_verdict verdict = peer->standing.verdict;
    struct wire_correct *correct = &peer->correct;

    peer->correct_due = peer->welcomed && verdict != VERDICT_NONE && verdict != VERDICT_SILENT;
    if (!peer->correct_due)
        return;
    *correct = (struct wire_correct){.round = master->round};
    correct->epoch = peer->epoch;
    correct->state = (uint8_t)(master->formed && !master->quorum
                                   ? SYNC_HOLDOVER
                                   : discipline_state(master->discipline));
    correct->verdict = (uint8_t)verdict;
    correct->counted = (uint16_t)master->counted;
    correct->present = (uint16_t)master->present;
    if (master->formed)
        fill_map(master, peer, raw_ns, correct);
}

/* The master's own clock: theta = 0, f = 0. */
static void correct_own(struct master *master)
{
    enum clock_verdict verdict = master->own.verdict;
    const struct target target = {
        .map = master->group,
        .offset_sd_ns = timestamp_round(master->mean.phase_sd_ns),
        .freq_sd_ppb = master->mean.rate_sd_ppb,
        .wander_ppb = master->mean.wander_ppb,
        .scatter_ns = master->mean.scatter_ns,
        .asymmetry_ns = timestamp_round(master->mean_delay_ns),
        .in = clock_verdict_is_in(verdict),
        .hands_off = verdict == VERDICT_REFERENCE,
    };

    if (!master->formed || verdict == VERDICT_NO_QUORUM)
        return;
    if (clock_verdict_is_in(verdict) && !master->quorum)
        return;
    if (gets_map(master, verdict))
        (void)discipline_follow(master->discipline, &target);
    else
        discipline_disown(master->discipline);
}

void master_correct(struct master *master, int64_t raw_ns)
{
    correct_own(master);
    for (uint32_t i = 0; i < master->peer_count; i++)
        correct_peer(master, &master->peers[i], raw_ns);
}

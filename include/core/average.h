/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * average: all clocks to one group phase and rate, and a verdict on each clock.
 *
 * The rule (Gusella and Zatti's fault-tolerant average with the median in the
 * place of the largest agreeing set):
 *
 *   m_p = median of the voters' phases,  m_r = median of their rates
 *   g   = 8 * sqrt(s^2 + W^2 t^3 / 3) + 1 us,   h = 8 * sqrt(f^2 + W^2 t) + 1e-8
 *         with s, f, W the medians of offset sd, frequency sd and wander, and t the
 *         time since the last round, in which nobody was corrected
 *         (medians over all clocks present but the one that measures, which has
 *         none; of an even number the lower middle one, so that among two
 *         links the better one sets the gate)
 *   members = voters with |p - m_p| <= g and |r - m_r| <= h
 *   group phase, group rate = mean over the members
 *
 * At a cold start (nobody was synchronised) g = 10 s and h = 500 ppm, so that
 * clocks far apart still average, but a clock that the kernel cannot steer
 * (beyond 500 ppm) does not take part.
 *
 * Median first, so fewer than half of the voters can never move the group by
 * more than g.
 *
 * Quorum: the round counts only if more than half of the voters are members,
 * and at least `quorum` of them.  A voter outside the gate but within 8 of its own
 * sd is noisy: it contradicts nobody, is not counted, and abstains.  So at a cold
 * start {0, 500 ms} gives 250 ms and {0, 500 ms, 1 s} gives 500 ms, all counted;
 * among clocks that were synchronised {0, 500 ms} and {0, 500 ms, 1 s} give no
 * group phase at all: nobody can say who is wrong, and nobody is moved.
 *
 * References: if any voter is marked as one, only references vote, and one is
 * quorum enough; the others follow.  References err by what keeps them, however
 * well the links to them are known: they are members within 1 ms and 1 ppm of
 * their medians, or within g and h if those are wider.  Followers are judged by
 * g and h.
 */
#ifndef BERKELEY_CORE_AVERAGE_H
#define BERKELEY_CORE_AVERAGE_H

#include "core/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct average_clock {
    int64_t phase_ns;      /* p = theta + A: corrected clock minus the master's RAW; a valid timestamp */
    double rate_ppb;       /* r = (1 + f)(1 + phi) - 1 */
    double phase_sd_ns;    /* 0: the clock that all others are measured against */
    double rate_sd_ppb;
    double wander_ppb;     /* W of its link: sd of the rate after one second */
    bool votes;            /* is in the group already, or it is a cold start */
    bool reference;        /* named by the configuration; votes alone */

    /* filled in by average_compute() */
    enum clock_verdict verdict;
};

struct average_rule {
    bool cold;
    unsigned quorum; /* fewest members that may speak for the group; >= 1 */
    double apart_s;  /* how long the clocks were left to themselves since the last round */
};

struct average {
    int64_t phase_ns;   /* group phase */
    double rate_ppb;    /* group rate */
    double phase_sd_ns; /* of the mean, from the members' own */
    double rate_sd_ppb;
    int64_t gate_ns;    /* g */
    double gate_ppb;    /* h */
    int64_t spread_ns;  /* largest minus smallest phase among the members */
    unsigned voters;
    unsigned members; /* of them, those in the mean */
    unsigned noisy;   /* of them, those that abstain */
};

/*
 * 0 with *average set and every clock's verdict filled in: VERDICT_COUNTED or
 * VERDICT_REFERENCE (a member), VERDICT_NOISY (outside a gate, but within 8 of
 * its own sd), VERDICT_FAR, VERDICT_FAST, and for clocks that do not vote
 * VERDICT_NEWCOMER if outside the gates, VERDICT_COUNTED if inside (it may vote
 * next time; it is not in this mean).
 * -EAGAIN: no quorum; verdicts are all VERDICT_NO_QUORUM for voters and
 * VERDICT_NEWCOMER for others; *average holds the medians' gates and the counts
 * but no phase or rate.  -ENOMEM, -EINVAL (no clock at all): nothing is written.
 */
int average_compute(struct average_clock *clocks, size_t count, const struct average_rule *rule,
                    struct average *average);

/* g and h for these sds. */
void average_gates(double phase_sd_ns, double rate_sd_ppb, int64_t *gate_ns, double *gate_ppb);

/* What a clock was held against: references have wider gates. */
void average_gates_of(const struct average *average, bool reference, int64_t *gate_ns,
                      double *gate_ppb);

/* The gates' verdict on one clock against a phase and rate known otherwise. */
enum clock_verdict average_judge(const struct average_clock *clock, int64_t phase_ns,
                                 double rate_ppb, int64_t gate_ns, double gate_ppb);

#endif

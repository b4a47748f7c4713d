/* SPDX-License-Identifier: BSD-2-Clause */
/* link: two RAW clocks and the ways between them, for tests of estimates. */
#ifndef BERKELEY_TESTS_LINK_H
#define BERKELEY_TESTS_LINK_H

#include "core/estimator.h"
#include "core/timestamp.h"

#include <math.h>

#include "dice.h"

#define LINK_EXCHANGES 8
#define LINK_GAP_NS (5 * NS_PER_MS)
#define LINK_HOLD_NS (50 * NS_PER_US)

struct link {
    struct dice dice;
    int64_t now_ns;       /* the master's RAW */
    int64_t interval_ns;  /* between rounds */
    int64_t since_ns;     /* slave RAW - master RAW = offset_ns + freq * (R - since_ns) */
    int64_t offset_ns;
    double freq_ppb;
    double wander_ppb;    /* random walk of the frequency per square root of a second */
    int64_t base_ns[2];   /* of each enum direction */
    double queue_ns[2];   /* mean of what comes on top, exponential */
};

static inline double link_uniform(struct link *link)
{
    return ((double)(dice_u64(&link->dice) >> 11) + 0.5) / 0x1p53;
}

static inline int64_t link_delay(struct link *link, enum direction direction)
{
    return link->base_ns[direction] -
           timestamp_round(link->queue_ns[direction] * log(link_uniform(link)));
}

/* The truth that estimates are measured by. */
static inline int64_t link_offset(const struct link *link, int64_t raw_ns)
{
    return link->offset_ns + timestamp_drift(raw_ns - link->since_ns, link->freq_ppb);
}

/* One question and answer.  True if the estimator started afresh. */
static inline bool link_exchange(struct link *link, struct estimator *estimator)
{
    int64_t t1 = link->now_ns;
    int64_t arrival = t1 + link_delay(link, FORWARD);
    int64_t departure = arrival + LINK_HOLD_NS;
    int64_t t4 = departure + link_delay(link, BACKWARD);

    estimator_observe(estimator, FORWARD, t1, arrival + link_offset(link, arrival));
    return estimator_observe(estimator, BACKWARD, t4, departure + link_offset(link, departure));
}

/* The sum of two uniforms is round enough for a walk. */
static inline void link_wander(struct link *link, int64_t span_ns)
{
    double gauss = (link_uniform(link) + link_uniform(link) - 1) * sqrt(6);

    link->offset_ns = link_offset(link, link->now_ns);
    link->since_ns = link->now_ns;
    link->freq_ppb += link->wander_ppb * sqrt((double)span_ns / 1e9) * gauss;
}

/* A burst of exchanges; the next one is due an interval later. */
static inline bool link_round(struct link *link, struct estimator *estimator)
{
    int64_t start_ns = link->now_ns;
    bool jumped = false;

    for (unsigned i = 0; i < LINK_EXCHANGES; i++) {
        jumped |= link_exchange(link, estimator);
        link->now_ns += LINK_GAP_NS;
    }
    link->now_ns = start_ns + link->interval_ns;
    link_wander(link, link->interval_ns);
    return jumped;
}

#endif

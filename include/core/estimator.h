/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estimator: one link between two RAW clocks, from frames to offset, frequency,
 * delay and how uncertain they are.
 *
 * Every frame that crosses is one observation.  RAW clocks are never corrected,
 * so no correction disturbs what is estimated here.
 */
#ifndef BERKELEY_CORE_ESTIMATOR_H
#define BERKELEY_CORE_ESTIMATOR_H

#include <stdbool.h>
#include <stdint.h>

enum direction {
    FORWARD = 0,  /* master to slave: POLL, CORRECT */
    BACKWARD = 1, /* slave to master: REPLY */
};

struct estimate {
    int64_t offset_ns;    /* theta: slave RAW minus master RAW at the asked instant */
    double freq_ppb;      /* f: how much faster the slave's RAW runs */
    double delay_ns;      /* d: base one-way delay */
    double offset_sd_ns;  /* of offset_ns at the asked instant */
    double freq_sd_ppb;
    double wander_ppb;    /* W: random walk of f, sd after one second */
    double jitter_ns;     /* mean queueing delay of the better direction */
    unsigned samples;     /* observations behind it since the start */
};

struct estimator;

/* Owned by the caller; NULL when out of memory. */
struct estimator *estimator_new(void);
void estimator_free(struct estimator *estimator);

/* Forget everything: the link or one of its clocks is not what it was. */
void estimator_reset(struct estimator *estimator);

/* What is known before the first frame: both ends were synchronised a moment ago. */
struct estimator_prior {
    int64_t master_raw_ns;
    int64_t offset_ns; /* theta then */
    double offset_sd_ns;
    double freq_ppb;
    double freq_sd_ppb;
};

/* For the next start of an estimator that knows nothing yet; used only if it says
 * more than the first exchange does (sd below half a round trip). */
void estimator_expect(struct estimator *estimator, const struct estimator_prior *prior);

/* One frame: the master's RAW stamp of its departure or arrival and the
 * slave's.  The caller has matched and checked it (core/exchange.h).  Returns
 * true when this observation has shown that the slave's RAW clock jumped against
 * the master's (beyond 50 us and what queues explain), or nothing fits any more.
 * A path's change in one direction looks the same. */
bool estimator_observe(struct estimator *estimator, enum direction direction, int64_t master_raw_ns,
                       int64_t slave_raw_ns);

/* The estimate for an instant of the master's RAW clock.  0, or -ENODATA before the
 * first frame in each direction.  After one pair freq_sd_ppb is still a crystal's
 * 300 ppm or more.  The sds are no normal distribution's: in simulation the largest
 * offset error was 6.3 of them. */
int estimator_estimate(const struct estimator *estimator, int64_t master_raw_ns,
                       struct estimate *estimate);

#endif

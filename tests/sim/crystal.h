/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crystal: a machine's RAW as a function of true time.  The frequency walks at
 * random on a fixed grid of true time, so that it does not matter when, or how
 * often, RAW is read.
 */
#ifndef BERKELEY_SIM_CRYSTAL_H
#define BERKELEY_SIM_CRYSTAL_H

#include "dice.h"

#include <stdbool.h>
#include <stdint.h>

struct crystal {
    int64_t true_ns; /* since when the frequency is what it is */
    int64_t raw_ns;  /* RAW then ... */
    double raw_part; /* ... and the fraction of a ns above it */
    double freq;     /* it runs 1 + freq times as fast as true time */
    double walk;     /* sd of a step of the walk */
    int64_t step_ns; /* when the walk takes the next */
    bool asleep;     /* stands still */
    struct dice dice;
};

/* From true time 0 on.  wander: sd of the walk after one second. */
void crystal_init(struct crystal *crystal, int64_t raw_ns, double freq, double wander,
                  struct dice dice);

/* RAW at true_ns, which must not be before any earlier instant asked for. */
int64_t crystal_raw(struct crystal *crystal, int64_t true_ns);

/* When RAW will show raw_ns if the frequency stays what it is: the first whole ns
 * of true time.  Not for a sleeping one. */
int64_t crystal_true(const struct crystal *crystal, int64_t raw_ns);

void crystal_shift(struct crystal *crystal, int64_t true_ns, double freq_change);
void crystal_sleep(struct crystal *crystal, int64_t true_ns, bool asleep);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_clock: a machine's RAW clock at a constant frequency, and the kernel's
 * correction of it, which delivers a quarter of the PLL's remainder and up to 500 us of
 * adjtime's in each second of the corrected clock.
 */
#ifndef BERKELEY_TESTS_MODEL_CLOCK_H
#define BERKELEY_TESTS_MODEL_CLOCK_H

#include "core/timestamp.h"

#include <stdbool.h>
#include <stdint.h>

struct model_clock {
    int64_t true_ns; /* RAW was raw_ns at that instant and runs on from there */
    int64_t raw_ns;
    double raw_ppm;
    int64_t total_raw_ns; /* A was total_ns + part at that RAW time */
    int64_t total_ns;
    double part_ns;
    double freq_ppb, slew_ns, adjtime_ns, chunk_ns, chunk_left_ns;
    int64_t second_raw_ns; /* next second boundary */
    bool jumped;           /* to be told by the next tick */
    double steepest_ppm;   /* slew, since the test set it to 0 */
};

/* RAW at that instant of true time. */
int64_t model_clock_raw(const struct model_clock *clock, int64_t true_ns);

/* Brings A forward to that RAW time. */
void model_clock_advance(struct model_clock *clock, int64_t raw_ns);

#endif

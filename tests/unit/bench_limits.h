/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_limits: the defaults of berkeley.conf(5), for a discipline that steers a clock. */
#ifndef BERKELEY_TESTS_BENCH_LIMITS_H
#define BERKELEY_TESTS_BENCH_LIMITS_H

#include "core/discipline.h"

static const struct discipline_limits bench_limits = {.max_slew_ppm = 500,
                                                      .initial_slew_ppm = 100000,
                                                      .panic_threshold_ns = 1000 * NS_PER_S,
                                                      .holdover_limit_ns = 3600 * NS_PER_S,
                                                      .asymmetry_max_ns = -1};

#endif

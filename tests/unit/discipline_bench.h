/* SPDX-License-Identifier: BSD-2-Clause */
/* discipline_bench: a discipline, the clock that it steers, and what it was told. */
#ifndef BERKELEY_TESTS_DISCIPLINE_BENCH_H
#define BERKELEY_TESTS_DISCIPLINE_BENCH_H

#include "core/discipline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench_limits.h"
#include "slewed_clock.h"

#define FREQ_PPB 37000.0
#define BENCH_PARTS 8 /* of the time between two ticks: the clock is looked at after each */

struct bench {
    struct discipline *discipline;
    struct slewed_clock clock;
    struct target target;
    struct discipline_outcome outcome;
};

/* A clock that is to be ahead_ns further on than it is, phase_ns into its second. */
static inline struct bench bench_new(const struct discipline_limits *limits, int64_t ahead_ns,
                                     bool in, double phase_ns)
{
    struct bench bench = {.discipline = discipline_new(limits),
                          .clock = slewed_clock(5 * NS_PER_S, phase_ns)};

    assert_non_null(bench.discipline);
    bench.target.map.raw_ns = bench.clock.raw_ns;
    bench.target.map.total_ns = bench.clock.base_ns + ahead_ns;
    bench.target.map.freq_ppb = bench.clock.freq_ppb = FREQ_PPB;
    bench.target.in = in;
    assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
    return bench;
}

static inline void bench_free(struct bench *bench)
{
    discipline_free(bench->discipline);
}

static inline void bench_tick(struct bench *bench)
{
    double pause_ns = slewed_clock_pause(&bench->clock);

    bench->outcome = slewed_clock_tick(&bench->clock, bench->discipline, pause_ns);
}

/* What is outstanding as the clock stands, by the map that is followed. */
static inline int64_t bench_ahead(const struct bench *bench)
{
    struct clock_status status = slewed_clock_status(&bench->clock);

    return map_total_at(&bench->target.map, status.now.raw_ns) - status.now.total_ns;
}

/* What the last order had to care for: the chunk under way comes anyway. */
static inline int64_t bench_left(const struct bench *bench)
{
    return bench->outcome.outstanding_ns - slewed_clock_status(&bench->clock).underway_ns;
}

#endif

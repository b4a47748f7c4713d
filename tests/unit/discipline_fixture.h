/* SPDX-License-Identifier: BSD-2-Clause */
/* discipline_fixture: a discipline and ticks to show it. */
#ifndef BERKELEY_TESTS_DISCIPLINE_FIXTURE_H
#define BERKELEY_TESTS_DISCIPLINE_FIXTURE_H

#include "core/discipline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bound_sds.h"

#define MS NS_PER_MS
#define RAW_NS (1000 * NS_PER_S)
#define TOTAL_NS (5 * NS_PER_S)
#define PANIC_NS (1000 * NS_PER_S)
#define HOLDOVER_NS (60 * NS_PER_S)
#define SD_NS 1000 /* of target_ahead() as long as it is fresh */
#define SD_PART_NS ((int64_t)(BOUND_SDS * SD_NS)) /* of the bound */

static const struct discipline_limits limits = {.max_slew_ppm = 500,
                                                .initial_slew_ppm = 100000,
                                                .panic_threshold_ns = PANIC_NS,
                                                .holdover_limit_ns = HOLDOVER_NS,
                                                .asymmetry_max_ns = -1};

static inline struct discipline *fresh(void)
{
    struct discipline *discipline = discipline_new(&limits);

    assert_non_null(discipline);
    return discipline;
}

static inline struct target target_ahead(int64_t ahead_ns, bool in)
{
    return (struct target){.map = {RAW_NS, TOTAL_NS + ahead_ns, 0},
                           .offset_sd_ns = SD_NS,
                           .asymmetry_ns = 50000,
                           .in = in};
}

static inline void follow(struct discipline *discipline, int64_t ahead_ns, bool in)
{
    struct target target = target_ahead(ahead_ns, in);

    assert_int_equal(discipline_follow(discipline, &target), 0);
}

static inline struct clock_status status_at(int64_t raw_ns)
{
    return (struct clock_status){
        .now = {raw_ns, TOTAL_NS}, .freq_ppb = 12.5, .slew_left_ns = 3600, .underway_ns = 200,
        .adjtime_left_ns = 3000};
}

static inline struct discipline_outcome tick(struct discipline *discipline,
                                             struct clock_status status)
{
    struct discipline_outcome outcome;

    memset(&outcome, 0x5a, sizeof outcome);
    discipline_tick(discipline, &status, &outcome);
    return outcome;
}

/* A tick of a clock that rests at what was asked of it. */
static inline struct discipline_outcome rest(struct discipline *discipline, int64_t raw_ns)
{
    struct clock_status status = {.now = {raw_ns, TOTAL_NS}};

    return tick(discipline, status);
}

/* Ordered is something, what is outstanding at most (but the last microsecond fourfold),
 * and at no more than rate_ppm. */
static inline bool slews_towards(const struct discipline_outcome *outcome, int64_t rate_ppm)
{
    const struct order *order = &outcome->order;
    int64_t sum_ns = order->slew_ns + order->adjtime_ns;
    int64_t adjtime_ns = timestamp_clamp(order->adjtime_ns, MS / 2);

    return sum_ns != 0 && (sum_ns > 0) == (outcome->outstanding_ns > 0) &&
           timestamp_abs(sum_ns) <= timestamp_abs(outcome->outstanding_ns) + 3 * NS_PER_US &&
           timestamp_abs(order->slew_ns / 4 + adjtime_ns) <= rate_ppm * NS_PER_US;
}

/* Neither a step nor anything else that goes with an event. */
static inline bool sets_nothing_else(const struct discipline_outcome *outcome)
{
    return outcome->step_ns == 0 && outcome->foreign_ns == 0 && outcome->wanted_ppb == 0;
}

#endif

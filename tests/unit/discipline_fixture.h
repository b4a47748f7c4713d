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

#define MS NS_PER_MS
#define RAW_NS (1000 * NS_PER_S)
#define TOTAL_NS (5 * NS_PER_S)
#define PANIC_NS (1000 * NS_PER_S)
#define HOLDOVER_NS (60 * NS_PER_S)

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
                           .offset_sd_ns = 1000,
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
        .now = {raw_ns, TOTAL_NS}, .freq_ppb = 12.5, .slew_left_ns = 900, .underway_ns = 200};
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

/* Neither a step nor anything else that goes with an event. */
static inline bool sets_nothing_else(const struct discipline_outcome *outcome)
{
    return outcome->step_ns == 0 && outcome->foreign_ns == 0 && outcome->wanted_ppb == 0;
}

#endif

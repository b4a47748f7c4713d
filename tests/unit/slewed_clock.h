/* SPDX-License-Identifier: BSD-2-Clause */
/* slewed_clock: how a kernel's clock obeys, steered by a discipline once a second.
 * At every second of the corrected clock a quarter of the remainder becomes the
 * chunk under way, which is spread over a second of RAW and ends with the second
 * of the corrected clock: at high rates it delivers less or more than it says. */
#ifndef BERKELEY_TESTS_SLEWED_CLOCK_H
#define BERKELEY_TESTS_SLEWED_CLOCK_H

#include "core/discipline.h"

#include <math.h>

struct slewed_clock {
    int64_t raw_ns;
    int64_t base_ns;      /* A = base_ns + moved_ns */
    double moved_ns;
    double freq_ppb;
    double remainder_ns;  /* of the PLL */
    double adjtime_ns;    /* what adjtime has left: up to 500 us a second */
    double chunk_ns;
    double second_ns;     /* what is left of the corrected clock's second */
    double extra_ns;      /* what the chunks so far deliver beyond what the remainder said */
    double fastest_ppm;   /* largest rate of a slew so far */
    bool soon;            /* the discipline asked for an early tick */
    bool late;            /* a second's end is taken in when somebody looks, not before */
};

static inline struct slewed_clock slewed_clock(int64_t total_ns, double phase_ns)
{
    return (struct slewed_clock){
        .raw_ns = 1000 * NS_PER_S, .base_ns = total_ns, .second_ns = 1e9 - phase_ns};
}

static inline double slewed_clock_rate(const struct slewed_clock *clock)
{
    return 1 + (clock->freq_ppb + clock->chunk_ns) / 1e9;
}

static inline void slewed_clock_next_second(struct slewed_clock *clock)
{
    double adjtime_ns = fmax(-5e5, fmin(5e5, clock->adjtime_ns));

    clock->second_ns += 1e9;
    clock->chunk_ns = clock->remainder_ns / 4 + adjtime_ns;
    clock->remainder_ns -= clock->remainder_ns / 4;
    clock->adjtime_ns -= adjtime_ns;
    clock->extra_ns += clock->chunk_ns / slewed_clock_rate(clock) - clock->chunk_ns;
}

static inline void slewed_clock_run(struct slewed_clock *clock, double span_ns)
{
    clock->raw_ns += timestamp_round(span_ns);
    while (span_ns > 0) {
        double rate = slewed_clock_rate(clock);
        double part_ns = clock->late ? span_ns : fmin(span_ns, clock->second_ns / rate);

        clock->moved_ns += part_ns * (rate - 1);
        clock->second_ns -= part_ns * rate;
        span_ns -= part_ns;
        clock->fastest_ppm = fmax(clock->fastest_ppm, fabs(clock->chunk_ns) / 1e3);
        while (clock->second_ns <= 0.001)
            slewed_clock_next_second(clock);
    }
}

static inline struct clock_status slewed_clock_status(const struct slewed_clock *clock)
{
    double rest_ns = clock->second_ns / slewed_clock_rate(clock);
    int64_t underway_ns = timestamp_round(clock->chunk_ns * rest_ns / 1e9);

    return (struct clock_status){
        .now = {clock->raw_ns, clock->base_ns + timestamp_round(clock->moved_ns)},
        .freq_ppb = clock->freq_ppb,
        .slew_left_ns =
            timestamp_round(clock->remainder_ns + clock->adjtime_ns) + underway_ns,
        .underway_ns = underway_ns,
        .adjtime_left_ns = timestamp_round(clock->adjtime_ns)};
}

/* What the kernel makes of an order if nobody orders again. */
static inline double slewed_clock_delivers(const struct order *order)
{
    struct slewed_clock clock = slewed_clock(0, 0);

    clock.freq_ppb = order->freq_ppb;
    clock.remainder_ns = (double)order->slew_ns;
    clock.adjtime_ns = (double)order->adjtime_ns;
    while (fabs(clock.remainder_ns) > 1 || clock.adjtime_ns != 0)
        slewed_clock_next_second(&clock);
    return (double)order->slew_ns + (double)order->adjtime_ns + clock.extra_ns;
}

static inline void slewed_clock_obey(struct slewed_clock *clock,
                                     const struct discipline_outcome *outcome)
{
    if (outcome->events & DISCIPLINE_STEP) {
        clock->base_ns += outcome->step_ns;
        clock->remainder_ns = clock->adjtime_ns = clock->chunk_ns = 0;
    }
    clock->soon = outcome->steer && outcome->order.soon;
    if (!outcome->steer)
        return;
    clock->freq_ppb = fmax(-DISCIPLINE_FREQ_LIMIT_PPB,
                           fmin(DISCIPLINE_FREQ_LIMIT_PPB, outcome->order.freq_ppb));
    clock->remainder_ns = (double)timestamp_clamp(outcome->order.slew_ns, NS_PER_S / 2);
    clock->adjtime_ns = (double)outcome->order.adjtime_ns;
}

/* From one tick to the next. */
static inline double slewed_clock_pause(const struct slewed_clock *clock)
{
    return clock->soon ? (double)DISCIPLINE_SOON_NS : 1e9;
}

/* Some time passes, and the discipline looks at the clock and steers it. */
static inline struct discipline_outcome slewed_clock_tick(struct slewed_clock *clock,
                                                          struct discipline *discipline,
                                                          double span_ns)
{
    struct discipline_outcome outcome;
    struct clock_status status;

    slewed_clock_run(clock, span_ns);
    status = slewed_clock_status(clock);
    discipline_tick(discipline, &status, &outcome);
    slewed_clock_obey(clock, &outcome);
    return outcome;
}

#endif

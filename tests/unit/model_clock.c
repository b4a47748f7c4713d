/* SPDX-License-Identifier: BSD-2-Clause */
#include "model_clock.h"

#include <math.h>

#define ADJTIME_NS 500000.0 /* in a second */

int64_t model_clock_raw(const struct model_clock *clock, int64_t true_ns)
{
    int64_t span_ns = true_ns - clock->true_ns;

    return clock->raw_ns + span_ns + timestamp_round((double)span_ns * clock->raw_ppm / 1e6);
}

static void add_total(struct model_clock *clock, double part_ns)
{
    int64_t whole_ns = timestamp_round(clock->part_ns + part_ns);

    clock->part_ns += part_ns - (double)whole_ns;
    clock->total_ns += whole_ns;
}

static void next_second(struct model_clock *clock)
{
    double adjtime_ns = fmax(-ADJTIME_NS, fmin(ADJTIME_NS, clock->adjtime_ns));
    double slew_ns = clock->slew_ns / 4;
    double span;

    add_total(clock, clock->chunk_left_ns);
    clock->slew_ns -= slew_ns;
    clock->adjtime_ns -= adjtime_ns;
    clock->chunk_ns = slew_ns + adjtime_ns;
    span = 1 / (1 + (clock->freq_ppb + clock->chunk_ns) / 1e9);
    clock->chunk_left_ns = clock->chunk_ns * span;
    clock->second_raw_ns += timestamp_round(1e9 * span);
    clock->steepest_ppm = fmax(clock->steepest_ppm, fabs(clock->chunk_ns) / 1e3);
}

void model_clock_advance(struct model_clock *clock, int64_t raw_ns)
{
    while (clock->total_raw_ns < raw_ns) {
        int64_t to_ns = raw_ns < clock->second_raw_ns ? raw_ns : clock->second_raw_ns;
        double span_s = (double)(to_ns - clock->total_raw_ns) / 1e9;

        add_total(clock, (clock->freq_ppb + clock->chunk_ns) * span_s);
        clock->chunk_left_ns -= clock->chunk_ns * span_s;
        clock->total_raw_ns = to_ns;
        if (to_ns == clock->second_raw_ns)
            next_second(clock);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "crystal.h"

#include <math.h>

#define STEP_NS INT64_C(250000000)
#define STEPS_PER_SECOND 4.0

/* Sub-nanosecond: the whole part of a span never goes through a double. */
static void move(struct crystal *crystal, int64_t true_ns)
{
    double part = crystal->raw_part;
    int64_t span_ns = true_ns - crystal->true_ns;

    crystal->true_ns = true_ns;
    if (crystal->asleep)
        return;
    part += (double)span_ns * crystal->freq;
    crystal->raw_ns += span_ns + (int64_t)floor(part);
    crystal->raw_part = part - floor(part);
}

static void advance(struct crystal *crystal, int64_t true_ns)
{
    while (crystal->step_ns <= true_ns) {
        move(crystal, crystal->step_ns);
        crystal->freq += crystal->walk * dice_normal(&crystal->dice);
        crystal->step_ns += STEP_NS;
    }
}

void crystal_init(struct crystal *crystal, int64_t raw_ns, double freq, double wander,
                  struct dice dice)
{
    *crystal = (struct crystal){.raw_ns = raw_ns,
                                .freq = freq,
                                .walk = wander / sqrt(STEPS_PER_SECOND),
                                .step_ns = STEP_NS,
                                .dice = dice};
}

int64_t crystal_raw(struct crystal *crystal, int64_t true_ns)
{
    int64_t span_ns;

    advance(crystal, true_ns);
    if (crystal->asleep)
        return crystal->raw_ns;
    span_ns = true_ns - crystal->true_ns;
    return crystal->raw_ns + span_ns +
           (int64_t)floor(crystal->raw_part + (double)span_ns * crystal->freq);
}

int64_t crystal_true(const struct crystal *crystal, int64_t raw_ns)
{
    int64_t gap_ns = raw_ns - crystal->raw_ns;

    /* x = gap / (1 + f) = gap - gap f / (1 + f) */
    return crystal->true_ns + gap_ns -
           (int64_t)floor(((double)gap_ns * crystal->freq + crystal->raw_part) /
                          (1 + crystal->freq));
}

void crystal_shift(struct crystal *crystal, int64_t true_ns, double freq_change)
{
    advance(crystal, true_ns);
    move(crystal, true_ns);
    crystal->freq += freq_change;
}

void crystal_sleep(struct crystal *crystal, int64_t true_ns, bool asleep)
{
    advance(crystal, true_ns);
    move(crystal, true_ns);
    crystal->asleep = asleep;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_stamp.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define AGE_MAX_NS NS_PER_S
#define MARK_NS (10 * NS_PER_MS)
#define RATE_MAX 0.15            /* of a slew at most 0.1, and crystals differ */
#define TICK_NS (10 * NS_PER_MS) /* so late the kernel takes in that a second has begun */
#define READ_NS 500.0            /* a reading by a busy machine */
#define DOUBT_MAX_NS 1e3

static int64_t now_ns(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) < 0)
        return -1;
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_bracket(clockid_t outer, clockid_t inner, int reads, int64_t *outer_ns,
                      int64_t *inner_ns)
{
    int64_t width_ns = INT64_MAX;

    for (int i = 0; i < reads; i++) {
        int64_t before_ns = now_ns(outer);
        int64_t between_ns = now_ns(inner);
        int64_t after_ns = now_ns(outer);

        if (after_ns - before_ns < width_ns) {
            width_ns = after_ns - before_ns;
            *outer_ns = before_ns + width_ns / 2;
            *inner_ns = between_ns;
        }
    }
    return width_ns;
}

void clock_marks_note(struct clock_marks *marks, const struct reading *now)
{
    if (marks->at[0].raw_ns != 0 && now->raw_ns - marks->at[0].raw_ns < MARK_NS)
        return;
    memmove(&marks->at[1], &marks->at[0], sizeof marks->at - sizeof marks->at[0]);
    marks->at[0] = *now;
}

static int64_t real_of(const struct reading *reading)
{
    return reading->raw_ns + reading->total_ns;
}

/* real = (1 + rate) raw, from the one reading to the other. */
static double rate_between(const struct reading *from, const struct reading *to)
{
    int64_t span_ns = to->raw_ns - from->raw_ns;

    if (from->raw_ns == 0 || span_ns <= 0)
        return 0;
    return (double)(to->total_ns - from->total_ns) / (double)span_ns;
}

/* From the two marks before `from`; nothing that the readings themselves could be wrong by. */
static double rate_change(const struct reading *from, double rate)
{
    if (from[1].raw_ns == 0)
        return 0;
    double span_ns = (double)(from->raw_ns - from[1].raw_ns);
    return fmax(0, fabs(rate - rate_between(from + 1, from)) - READ_NS / span_ns);
}

/* How far a moment of the line between two marks may be wrong if the rate changed on the way, when
 * a second had begun: what it gained on the rate of before, or is to lose to that of after. */
static double doubt_ns(const struct reading *from, const struct reading *to, int64_t real_ns,
                       double change)
{
    int64_t second_ns = real_of(to) / NS_PER_S * NS_PER_S;
    double before_ns = (double)(second_ns + TICK_NS - real_of(from));
    double after_ns = (double)(real_of(to) - second_ns - TICK_NS);
    double gained_ns = change * fabs((double)(real_ns - real_of(from)));

    if (before_ns <= 0)
        return 0;
    if (after_ns <= 0 || real_ns < second_ns)
        return gained_ns;
    return fmin(gained_ns, change * before_ns / after_ns * (double)(real_of(to) - real_ns));
}

/* to - real = (1 + rate) (raw of to - raw) */
int clock_stamp_raw(const struct clock_marks *marks, const struct reading *now, int64_t real_ns,
                    int64_t *raw_ns)
{
    const struct reading *to = now, *from = marks->at;
    int64_t age_ns;
    double rate;

    if (timestamp_sub(real_of(now), real_ns, &age_ns) < 0 || !(age_ns >= 0 && age_ns <= AGE_MAX_NS))
        return -ERANGE;
    rate = rate_between(from, to);
    while (from < marks->at + CLOCK_MARKS - 2 && from[1].raw_ns != 0 && fabs(rate) <= RATE_MAX &&
           (real_of(from) > real_ns || from->raw_ns == now->raw_ns)) {
        to = from++;
        rate = rate_between(from, to);
    }
    if (!(fabs(rate) <= RATE_MAX) ||
        !(doubt_ns(from, to, real_ns, rate_change(from, rate)) <= DOUBT_MAX_NS))
        return -ERANGE;
    *raw_ns = to->raw_ns - timestamp_round((double)(real_of(to) - real_ns) / (1 + rate));
    return 0;
}

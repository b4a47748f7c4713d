/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_trail.h"

#include "core/timestamp.h"

#define SCALE (INT64_C(1) << 32)
#define SHIFT_PLL 2

/* After so many quarters taken nothing is left of the kernel's 0.5 s. */
#define SECONDS_MAX 160

/* The kernel keeps the remainder in shares of a tick and cuts it towards zero
 * twice on the way back. */
#define TOLERANCE_NS 2

static int64_t quarter(int64_t value)
{
    return value < 0 ? -(-value >> SHIFT_PLL) : value >> SHIFT_PLL;
}

static struct clock_trail after(struct clock_trail trail, int64_t seconds)
{
    if (seconds > SECONDS_MAX)
        trail.left = trail.underway = 0;
    for (int64_t i = 0; i < seconds && i <= SECONDS_MAX; i++) {
        trail.underway = quarter(trail.left);
        trail.left -= trail.underway;
    }
    return trail;
}

static bool fits(const struct clock_trail *trail, int64_t left_ns)
{
    return timestamp_abs(trail->left / SCALE - left_ns) <= TOLERANCE_NS;
}

void clock_trail_set(struct clock_trail *trail, int64_t second, int64_t left_ns)
{
    *trail = after(*trail, second - trail->second);
    trail->second = second;
    trail->left = left_ns * SCALE;
}

void clock_trail_clear(struct clock_trail *trail, int64_t second)
{
    *trail = (struct clock_trail){.second = second};
}

bool clock_trail_follow(struct clock_trail *trail, int64_t second, int64_t left_ns)
{
    int64_t seconds = second - trail->second;

    if (seconds < 0)
        return false;

    struct clock_trail now = after(*trail, seconds);
    struct clock_trail late = after(*trail, seconds + 1);
    struct clock_trail early = after(*trail, seconds - 1);

    if (fits(&now, left_ns)) {
        *trail = now;
        trail->second = second;
    } else if (fits(&late, left_ns)) {
        *trail = late;
        trail->second = second;
    } else if (seconds > 0 && fits(&early, left_ns)) {
        *trail = early;
        trail->second = second - 1;
    } else {
        return false;
    }
    return true;
}

void clock_trail_guess(struct clock_trail *trail, int64_t second, int64_t left_ns, int shift)
{
    *trail = (struct clock_trail){
        .second = second,
        .left = left_ns * SCALE,
        .underway = left_ns * SCALE / ((INT64_C(1) << shift) - 1),
    };
}

int64_t clock_trail_underway(const struct clock_trail *trail, int64_t second, int64_t part_ns)
{
    if (second != trail->second)
        return 0;
    double chunk_ns = (double)trail->underway / (double)SCALE;

    return timestamp_round(chunk_ns * (double)(NS_PER_S - part_ns) / (double)NS_PER_S);
}

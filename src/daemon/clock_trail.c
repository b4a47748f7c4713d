/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_trail.h"

#include "core/timestamp.h"

#define SCALE (INT64_C(1) << 32)
#define SHIFT_PLL 2
#define CONSTANT_MAX 10

/* What fits a remainder in 2^-32 ns: no slew of ours is longer. */
#define LEFT_LIMIT_NS (2 * NS_PER_S)

#define ADJTIME_CHUNK (500 * NS_PER_US * SCALE)

/* After so many seconds nothing is left of LEFT_LIMIT_NS. */
#define SECONDS_PLL 160
#define SECONDS_ADJTIME 4001

#define MAXERROR_GROWTH_US 500
#define MAXERROR_LIMIT_US 16000000

/* No tick takes a boundary in as late as this: 10 ms at 100 Hz. */
#define LATE_MAX_NS (12 * NS_PER_MS)

/* The kernel keeps the remainder in shares of a tick and cuts it towards zero
 * twice on the way back. */
#define TOLERANCE_NS 2

struct clock_instant clock_instant_of(const struct timex *timex)
{
    bool nano = timex->status & STA_NANO;

    return (struct clock_instant){
        .second = timex->time.tv_sec,
        .part_ns = nano ? timex->time.tv_usec : timex->time.tv_usec * NS_PER_US,
        .maxerror_us = timex->maxerror,
    };
}

static int64_t scaled(int64_t ns)
{
    return timestamp_clamp(ns, LEFT_LIMIT_NS) * SCALE;
}

static int64_t quarter(int64_t value)
{
    return value < 0 ? -(-value >> SHIFT_PLL) : value >> SHIFT_PLL;
}

static int64_t chunk_of(const struct clock_trail *trail)
{
    return trail->law == CLOCK_TRAIL_PLL ? quarter(trail->left)
                                         : timestamp_clamp(trail->left, ADJTIME_CHUNK);
}

static struct clock_trail after(struct clock_trail trail, int64_t seconds)
{
    int64_t most = trail.law == CLOCK_TRAIL_PLL ? SECONDS_PLL : SECONDS_ADJTIME;

    if (seconds > most)
        trail.left = trail.underway = 0;
    for (int64_t i = 0; i < seconds && i < most; i++) {
        trail.underway = chunk_of(&trail);
        trail.left -= trail.underway;
    }
    return trail;
}

static bool fits(const struct clock_trail *trail, int64_t left_ns)
{
    return timestamp_abs(trail->left / SCALE - left_ns) <= TOLERANCE_NS;
}

void clock_trail_set(struct clock_trail *trail, int64_t left_ns)
{
    trail->left = scaled(left_ns);
}

static void adopt(struct clock_trail *trail, const struct clock_trail *now, int64_t second,
                  const struct clock_instant *at)
{
    *trail = *now;
    trail->second = second;
    trail->seen_second = at->second;
    trail->maxerror_us = at->maxerror_us;
}

/* Or -1 if maxerror does not tell. */
static int64_t counted(const struct clock_trail *trail, const struct clock_instant *at)
{
    int64_t grown_us = at->maxerror_us - trail->maxerror_us;

    if (at->maxerror_us >= MAXERROR_LIMIT_US || grown_us < 0 || grown_us % MAXERROR_GROWTH_US != 0)
        return -1;
    return grown_us / MAXERROR_GROWTH_US;
}

/* The second whose boundary was taken in last: this one, unless that is still to come. */
static int64_t second_after(const struct clock_trail *trail, int64_t boundaries,
                            const struct clock_instant *at)
{
    bool late = trail->second + boundaries < at->second && at->part_ns < LATE_MAX_NS;

    return late ? at->second - 1 : at->second;
}

int64_t clock_trail_pass(struct clock_trail *trail, const struct clock_instant *at)
{
    int64_t boundaries = counted(trail, at);
    int64_t before = trail->left;
    struct clock_trail now = after(*trail, boundaries);

    adopt(trail, &now, boundaries > 0 ? second_after(trail, boundaries, at) : trail->second, at);
    return (before - trail->left) / SCALE;
}

void clock_trail_clear(struct clock_trail *trail, const struct clock_instant *at)
{
    *trail = (struct clock_trail){
        .law = trail->law,
        .second = at->second,
        .seen_second = at->second,
        .maxerror_us = at->maxerror_us,
    };
}

bool clock_trail_follow_uncounted(struct clock_trail *trail, const struct clock_instant *at,
                                  int64_t left_ns)
{
    int64_t seconds = at->second - trail->second;

    if (seconds < 0)
        return false;

    struct clock_trail now = after(*trail, seconds);
    struct clock_trail late = after(*trail, seconds + 1);
    struct clock_trail early = after(*trail, seconds - 1);

    if (at->second == trail->seen_second && fits(trail, left_ns))
        adopt(trail, trail, trail->second, at);
    else if (fits(&now, left_ns))
        adopt(trail, &now, at->second, at);
    else if (fits(&late, left_ns))
        adopt(trail, &late, at->second, at);
    else if (seconds > 0 && fits(&early, left_ns))
        adopt(trail, &early, at->second - 1, at);
    else
        return false;
    return true;
}

bool clock_trail_follow(struct clock_trail *trail, const struct clock_instant *at, int64_t left_ns)
{
    int64_t boundaries = counted(trail, at);
    struct clock_trail now = after(*trail, boundaries);

    if (boundaries < 0 || !fits(&now, left_ns))
        return clock_trail_follow_uncounted(trail, at, left_ns);
    adopt(trail, &now, second_after(trail, boundaries, at), at);
    return true;
}

void clock_trail_align(struct clock_trail *trail, const struct clock_trail *other)
{
    *trail = after(*trail, other->second - trail->second);
    trail->second = other->second;
    trail->seen_second = other->seen_second;
    trail->maxerror_us = other->maxerror_us;
}

void clock_trail_guess(struct clock_trail *trail, const struct clock_instant *at, int64_t left_ns,
                       int64_t time_constant)
{
    int64_t constant = time_constant < 0 ? 0 : timestamp_clamp(time_constant, CONSTANT_MAX);

    *trail = (struct clock_trail){
        .law = CLOCK_TRAIL_PLL,
        .second = at->second,
        .seen_second = at->second,
        .maxerror_us = at->maxerror_us,
        .left = scaled(left_ns),
        .underway = scaled(left_ns) / ((INT64_C(1) << (SHIFT_PLL + constant)) - 1),
    };
}

/* A second that leaves something had a full chunk. */
void clock_trail_guess_adjtime(struct clock_trail *trail, const struct clock_instant *at,
                               int64_t left_ns)
{
    int64_t sign = (left_ns > 0) - (left_ns < 0);

    *trail = (struct clock_trail){
        .law = CLOCK_TRAIL_ADJTIME,
        .second = at->second,
        .seen_second = at->second,
        .maxerror_us = at->maxerror_us,
        .left = scaled(left_ns),
        .underway = sign * ADJTIME_CHUNK,
    };
}

double clock_trail_chunk(const struct clock_trail *trail, const struct clock_instant *at)
{
    if (at->second != trail->second)
        return 0;
    return (double)trail->underway / (double)SCALE / (double)NS_PER_S;
}

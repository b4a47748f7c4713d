/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_trail: where a slew handed to the kernel must be by now.
 *
 * At each second boundary of the corrected clock a part of the remainder R becomes
 * that second's chunk and leaves the remainder, by one of two laws:
 *
 *   PLL:     chunk = R / 4 (shifted, towards zero)
 *   adjtime: chunk = R, but at most 500 us either way
 *
 * A set replaces the remainder alone: until the next boundary the earlier chunk is
 * still under way.
 *
 * Remainders and chunks are what the kernel counts.  Delivered is a little else: what
 * chunks of c in all add to a second of the corrected clock is c / (1 + c), for that
 * second is 1 / (1 + c) long.
 */
#ifndef BERKELEY_DAEMON_CLOCK_TRAIL_H
#define BERKELEY_DAEMON_CLOCK_TRAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

/* When something was read or written, as clock_adjtime() told with it. */
struct clock_instant {
    int64_t second, part_ns; /* of the corrected clock */
    int64_t maxerror_us;     /* grows by 500 us at each boundary: counts those taken in */
};

enum clock_trail_law {
    CLOCK_TRAIL_PLL,
    CLOCK_TRAIL_ADJTIME,
};

struct clock_trail {
    enum clock_trail_law law;
    int64_t second;      /* the last boundary taken in */
    int64_t seen_second; /* when last looked at: may be one more */
    int64_t maxerror_us; /* then */
    int64_t left;        /* remainder, 2^-32 ns */
    int64_t underway;    /* chunk of this second, 2^-32 ns */
};

struct clock_instant clock_instant_of(const struct timex *timex);

/* A remainder of left_ns was put in place of the old one after the boundaries
 * that the trail knows of. */
void clock_trail_set(struct clock_trail *trail, int64_t left_ns);

/* Takes in the boundaries that maxerror counts up to `at`: what they took from
 * the remainder, ns. */
int64_t clock_trail_pass(struct clock_trail *trail, const struct clock_instant *at);

/* The clock was stepped: the kernel dropped remainder and chunk. */
void clock_trail_clear(struct clock_trail *trail, const struct clock_instant *at);

/* At `at` left_ns was read back.  True, with the trail brought forward, if
 * that is what the law leaves after the boundaries that maxerror counts; or, if it does
 * not count them, after the seconds that passed: one more or fewer then, for
 * the kernel takes a boundary in at its next tick, some ms late. */
bool clock_trail_follow(struct clock_trail *trail, const struct clock_instant *at, int64_t left_ns);

/* The same after maxerror was written. */
bool clock_trail_follow_uncounted(struct clock_trail *trail, const struct clock_instant *at,
                                  int64_t left_ns);

/* Takes in the boundaries that another trail knows of. */
void clock_trail_align(struct clock_trail *trail, const struct clock_trail *other);

/* left_ns was read back and nothing is known about how it came there; at
 * least one boundary is taken to have passed. */
void clock_trail_guess(struct clock_trail *trail, const struct clock_instant *at, int64_t left_ns,
                       int64_t time_constant);
void clock_trail_guess_adjtime(struct clock_trail *trail, const struct clock_instant *at,
                               int64_t left_ns);

/* The chunk under way, as a share of its second of the corrected clock: how much
 * faster the clock runs until that second ends.  0 if the boundary before `at` was not
 * taken in yet. */
double clock_trail_chunk(const struct clock_trail *trail, const struct clock_instant *at);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_trail: where a slew handed to the kernel must be by now.
 *
 * At each second boundary of the corrected clock a quarter of the remainder
 * becomes that second's chunk: chunk = R / 4 (shifted, towards zero), R -= chunk.
 * Until the first boundary after a set the earlier chunk is still under way.
 */
#ifndef BERKELEY_DAEMON_CLOCK_TRAIL_H
#define BERKELEY_DAEMON_CLOCK_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

struct clock_trail {
    int64_t second;   /* of the corrected clock: the last boundary taken in */
    int64_t left;     /* remainder, 2^-32 ns */
    int64_t underway; /* chunk of this second, 2^-32 ns */
};

/* A remainder of left_ns was put in place of the old one in `second`. */
void clock_trail_set(struct clock_trail *trail, int64_t second, int64_t left_ns);

/* The clock was stepped: the kernel dropped remainder and chunk. */
void clock_trail_clear(struct clock_trail *trail, int64_t second);

/* In `second` left_ns was read back.  True, with the trail brought forward, if
 * that is what the law leaves.  The kernel takes a boundary in at its next
 * tick, some ms late: one boundary more or fewer is the law too. */
bool clock_trail_follow(struct clock_trail *trail, int64_t second, int64_t left_ns);

/* left_ns was read back and nothing is known about how it came there; at
 * least one boundary is taken to have passed. shift: 2 + time constant. */
void clock_trail_guess(struct clock_trail *trail, int64_t second, int64_t left_ns, int shift);

/* What is still to come of the chunk under way, part_ns into `second`. */
int64_t clock_trail_underway(const struct clock_trail *trail, int64_t second, int64_t part_ns);

#endif

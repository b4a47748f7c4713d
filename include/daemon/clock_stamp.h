/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_stamp: from a moment of CLOCK_REALTIME, a short while ago, to
 * CLOCK_MONOTONIC_RAW; and the readings of two clocks at one instant.
 */
#ifndef BERKELEY_DAEMON_CLOCK_STAMP_H
#define BERKELEY_DAEMON_CLOCK_STAMP_H

#include "core/timestamp.h"

#include <time.h>

/* `inner` between two readings of `outer`, the narrowest pair of a few. Returns
 * its width. */
int64_t clock_bracket(clockid_t outer, clockid_t inner, int reads, int64_t *outer_ns,
                      int64_t *inner_ns);

/* Earlier readings of both, the newest first: between two of them REALTIME runs evenly, but for
 * the beginning of a second, where the kernel's slews change their rates.  All zero at the start. */
#define CLOCK_MARKS 16
struct clock_marks {
    struct reading at[CLOCK_MARKS];
};

/* Whenever both were read: remembers it if it is time to. */
void clock_marks_note(struct clock_marks *marks, const struct reading *now);

/* RAW when REALTIME was real_ns.  0; -ERANGE if that is later than now or more than a second ago,
 * if REALTIME was set since the mark before it, or if it cannot be told to a microsecond because a
 * slew began or ended meanwhile. */
int clock_stamp_raw(const struct clock_marks *marks, const struct reading *now, int64_t real_ns,
                    int64_t *raw_ns);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock: the one thing this daemon turns.  A set of operations with two
 * implementations behind it: clock_kernel (the decisions about adjtimex) over
 * the real kernel, and the same over an emulated one (clock_emulated.h).
 */
#ifndef BERKELEY_DAEMON_CLOCK_H
#define BERKELEY_DAEMON_CLOCK_H

#include "core/discipline.h"
#include "core/timestamp.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;

/* Both outputs of one instant, the narrowest of a few bracketed readings.
 * 0 or -errno. Cheap: called for every frame. */
int clock_read(struct clock *clock, struct reading *reading);

/* What this clock read when the kernel stamped a packet with the host's
 * CLOCK_REALTIME real_ns, a moment ago.  0 or -errno; -ERANGE if that moment is
 * in the future or more than a second past (the clock was set meanwhile). */
int clock_convert(struct clock *clock, int64_t real_ns, struct reading *reading);

/* Once a second, before the order: frequency in force, slew outstanding, and
 * whether the machine was suspended since last asked.  Notices interference
 * and says so in the journal.  0 or -errno. */
int clock_look(struct clock *clock, struct clock_status *status);

/* Carries out an order and checks by reading back that it is in force.
 * A clock that only observes returns 0 and does nothing.  0 or -errno. */
int clock_steer(struct clock *clock, const struct order *order);

/* Adds delta_ns > 0 or (only while the order is to step at start) < 0 at once.
 * 0 or -errno. */
int clock_step(struct clock *clock, int64_t delta_ns);

/* False if it only observes: `discipline = false`, or no right to adjust. */
bool clock_adjusts(const struct clock *clock);

/* Width of one reading, ns. */
uint32_t clock_precision_ns(const struct clock *clock);

/* A descriptor that becomes readable when somebody sets the clock, or -1. After
 * it did, clock_look() tells; clock_acknowledge() arms it again. */
int clock_watch_fd(const struct clock *clock);
void clock_acknowledge(struct clock *clock);

/* Leaves the kernel's clock as it is (learned frequency, slew ending by itself)
 * and frees. */
void clock_free(struct clock *clock);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_slew: puts a new remainder in place of what one of the kernel's two slews
 * has left.
 *
 * The order rests on what was seen a moment ago.  A boundary since then turned a
 * part of the old remainder into a chunk that comes on top of the new one:
 * the new one is made less by it, so that in total what was ordered and
 * what was under way is delivered, whenever the boundary passes.
 *
 * The call that replaces adjtime's remainder tells the old one.  That of the PLL does
 * not: therefore the errors go first, in a call of their own (clock_slew_errors).
 * It tells the PLL's remainder, thereby what was taken up to then; from then on maxerror
 * counts the boundaries, however late the kernel's tick takes them in.
 */
#ifndef BERKELEY_DAEMON_CLOCK_SLEW_H
#define BERKELEY_DAEMON_CLOCK_SLEW_H

#include "daemon/clock_kernel.h"
#include "daemon/clock_trail.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

struct clock_slews {
    struct clock_trail pll, adjtime;
};

/* Writes order->maxerror and esterror.  seen_ns: the PLL's remainder that the order
 * rests on; order->offset is made less by what was taken since.  0 or -errno. */
int clock_slew_errors(const struct kernel_port *port, struct clock_slews *slews, int64_t seen_ns,
                      struct timex *order);

/* Writes the rest of the order, all its modes; order->offset is what was written
 * in the end, `got` what was read back.  0 or -errno. */
int clock_slew_pll(const struct kernel_port *port, struct clock_slews *slews, struct timex *order,
                   struct timex *got);

/* Orders wanted_us from adjtime.  *left_us: seen before; read back after.
 * *in_force: that is what was ordered.  Calls nothing if there is nothing to do.
 * 0 or -errno. */
int clock_slew_adjtime(const struct kernel_port *port, struct clock_slews *slews, int64_t wanted_us,
                       int64_t *left_us, bool *in_force);

/* What both chunks under way will still deliver, ns: each was read with an instant of
 * its own.  freq_ppb: in force, that of the tick included. */
int64_t clock_slew_underway(const struct clock_slews *slews, const struct clock_instant *pll_at,
                            const struct clock_instant *adjtime_at, double freq_ppb);

/* Whole microseconds of adjtime, any that the kernel may tell, in ns. */
int64_t clock_slew_adjtime_ns(int64_t us);

#endif

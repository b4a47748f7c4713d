/* SPDX-License-Identifier: BSD-2-Clause */
/* discipline_slew: a correction to what the kernel's two slews are told. */
#ifndef BERKELEY_CORE_DISCIPLINE_SLEW_H
#define BERKELEY_CORE_DISCIPLINE_SLEW_H

#include "core/discipline.h"

/*
 * Fills in slew_ns and adjtime_ns so that left_ns is delivered as fast as may be, at
 * no more than rate_ppm, and so that the kernel by itself comes to rest at the
 * target (to a few microseconds) should nobody ever order again.
 *
 * hurry: nobody relies on this clock yet (it was never synchronised).  Then the PLL
 * is ordered twice what is left and adjtime takes the second half back: the clock
 * gets there at half the remainder a second instead of a quarter.  Were the daemon
 * killed at that instant, the clock would pass the target, by no more than it was
 * away from it, and adjtime would bring it back at 500 ppm.
 */
void slew_order(int64_t left_ns, double rate_ppm, bool hurry, struct order *order);

#endif

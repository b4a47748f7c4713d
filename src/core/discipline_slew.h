/* SPDX-License-Identifier: BSD-2-Clause */
/* discipline_slew: a correction to what the kernel's two slews are told. */
#ifndef BERKELEY_CORE_DISCIPLINE_SLEW_H
#define BERKELEY_CORE_DISCIPLINE_SLEW_H

#include "core/discipline.h"

#define SLEW_PLL_SHARE 4 /* the PLL delivers a quarter of its remainder a second */

/*
 * Fills in slew_ns, adjtime_ns and soon of an order whose freq_ppb is set, so that left_ns
 * is delivered as fast as may be, at no more than rate_ppm, and so that the kernel by
 * itself comes to rest at the target (to a few microseconds) should nobody ever order
 * again.
 *
 * hurry: nobody relies on this clock yet (it was never synchronised).  The PLL is
 * then ordered four times what is left, so that all of it is delivered in one second,
 * and adjtime takes three quarters back again.  The next order, soon after the second
 * has begun, ends both.  Should there be none, the clock passes the target (at 100000 ppm
 * by some 300 ms at most) and adjtime brings it back to it at 500 ppm.
 */
void slew_order(int64_t left_ns, double rate_ppm, bool hurry, struct order *order);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_meddling: what another program changed in the kernel's clock, and who
 * it may have been.
 */
#ifndef BERKELEY_DAEMON_CLOCK_MEDDLING_H
#define BERKELEY_DAEMON_CLOCK_MEDDLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/timex.h>

/* The kernel's clock as it was left, or as it was found. */
struct clock_settings {
    int64_t second;      /* of the corrected clock */
    int64_t freq_scaled; /* 2^-16 ppm */
    int64_t tick_us;
    int64_t constant;
    int64_t remainder_ns;
    int64_t maxerror_us;
    int64_t adjtime_us; /* what adjtime has left */
    int status;
};

/* As clock_adjtime() told, adjtime excepted. */
struct clock_settings clock_settings_of(const struct timex *timex);

enum clock_slew {
    CLOCK_SLEW_PLL = 1 << 0,
    CLOCK_SLEW_ADJTIME = 1 << 1,
};

/* True if `found` differs from what the kernel itself makes of `left` in the
 * seconds between: one line of old -> new values in `text` then.  That the time was set is not in
 * it: the discipline notices and says by how much.  lost: which of the slews are not where the
 * laws of clock_trail have them. */
bool clock_meddling_describe(const struct clock_settings *left, const struct clock_settings *found,
                             unsigned lost, char *text, size_t size);

/* Who it may have been: the running time services by name, "chrony.service or ntp.service", which
 * have a directory in `units`; else the running programs that are known to turn clocks, "chronyd
 * (process 812)", which have one in `processes`; else "another program".  NULL: not looked for. */
void clock_meddling_culprit(const char *units, const char *processes, char *text, size_t size);

#endif

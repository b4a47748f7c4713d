/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_kernel: every decision about adjtimex, over a port of three functions,
 * so that it can be tested and emulated without touching a clock.
 */
#ifndef BERKELEY_DAEMON_CLOCK_KERNEL_H
#define BERKELEY_DAEMON_CLOCK_KERNEL_H

#include "daemon/clock.h"

#include <sys/timex.h>

/* The way to a kernel's clock.  All return 0 or more, or -errno. */
struct kernel_port {
    /* clock_adjtime(CLOCK_REALTIME, ...): the clock state (TIME_OK ...), or -errno. */
    int (*adjust)(void *context, struct timex *timex);
    int (*read)(void *context, struct reading *reading);
    /* As clock_convert(). */
    int (*convert)(void *context, int64_t real_ns, struct reading *reading);
    /* Time spent suspended since boot (BOOTTIME minus MONOTONIC), ns. */
    int (*suspended)(void *context, int64_t *ns);
    int (*watch_fd)(void *context); /* or -1 */
    void (*acknowledge)(void *context);
    void (*release)(void *context); /* frees the context; the clock goes on */
    void *context;
    uint32_t precision_ns; /* width of one reading */
    /* Who else may turn this clock: directories with one directory for each running unit, and
     * one for each process as in proc(5).  NULL: nobody can be named. */
    const char *units, *processes;
};

/* Opens a clock over the port and takes the port over (also on failure).
 * adjust = false, or -EPERM at the first harmless write: observes only.
 * 0 or -errno. */
int clock_kernel_open(const struct kernel_port *port, bool adjust, struct clock **clock);

/* The port to this machine's own kernel.  0 or -errno. */
int clock_kernel_port(struct kernel_port *port);

/* After a crash (ExecStopPost): puts the tick back to its nominal length and
 * clears the status bits that only make sense under a running daemon; leaves
 * frequency, slews that are ending by themselves, and STA_UNSYNC (the growing maxerror
 * says how much the time is worth) alone, but ends two slews that run against
 * each other.  A clock that does not bear the marks of
 * clock_steer() is somebody else's: nothing is written then.  The port stays the
 * caller's.  0 or -errno. */
int clock_kernel_tidy(const struct kernel_port *port);

#endif

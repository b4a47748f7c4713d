/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_clock: the clock that the configuration names, opened. */
#ifndef BERKELEY_DAEMON_DAEMON_CLOCK_H
#define BERKELEY_DAEMON_DAEMON_CLOCK_H

#include "daemon/clock.h"
#include "daemon/clock_kernel.h"
#include "daemon/config.h"

/* The path of the socket of `berkeleyd --clock`: $BERKELEY_CLOCK for the machine's clock,
 * $BERKELEY_EMULATED_CLOCK for an emulated one; NULL if it is not set. */
const char *daemon_clock_socket(const struct config *config);

/* The way to that clock, with this process's own rights; said in the journal if it fails.  0 or
 * -errno. */
int daemon_clock_port(const struct config *config, struct kernel_port *port);

/* The clock itself, by way of `berkeleyd --clock` if that has a socket; adjust = false: it
 * only observes.  0 or -errno, said. */
int daemon_clock_open(const struct config *config, bool adjust, struct clock **clock);

/* After a crash: that clock's tick and status put right. 0 or -errno, said. */
int daemon_clock_tidy(const struct config *config);

#endif

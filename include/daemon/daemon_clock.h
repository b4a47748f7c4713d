/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_clock: the clock that the configuration names, opened. */
#ifndef BERKELEY_DAEMON_DAEMON_CLOCK_H
#define BERKELEY_DAEMON_DAEMON_CLOCK_H

#include "daemon/clock.h"
#include "daemon/clock_kernel.h"
#include "daemon/config.h"

/* The way to that clock; said in the journal if it fails. 0 or -errno. */
int daemon_clock_port(const struct config *config, struct kernel_port *port);

/* The clock itself; adjust = false: it only observes. 0 or -errno, said. */
int daemon_clock_open(const struct config *config, bool adjust, struct clock **clock);

/* After a crash: that clock's tick and status put right. 0 or -errno, said. */
int daemon_clock_tidy(const struct config *config);

#endif

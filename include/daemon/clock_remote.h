/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_remote: a kernel_port whose adjust() asks the clock_server at a socket.  Everything else,
 * which needs no right to set the clock, stays in this process.
 */
#ifndef BERKELEY_DAEMON_CLOCK_REMOTE_H
#define BERKELEY_DAEMON_CLOCK_REMOTE_H

#include "daemon/clock_kernel.h"

/* How long an answer may take: at first the server may have to be started, on a slow machine that
 * is booting.  Less than the 90 s after which the service manager gives up on this process. */
#define CLOCK_REMOTE_WAIT_NS NS_PER_S
#define CLOCK_REMOTE_FIRST_WAIT_NS (75 * NS_PER_S)
/* After one that did not come, until one does. */
#define CLOCK_REMOTE_LATE_WAIT_NS (20 * NS_PER_MS)

/* Connects.  local: for all but adjust(), taken over, also on failure.  A server that went away is
 * looked for again at the next call, which fails with -errno of connect(2) until there is one;
 * -ETIMEDOUT: no answer in time, the call was not and will not be carried out, unless it was just
 * then; -ECONNRESET: lost while it was; -EPROTO: the server speaks otherwise.  0 or -errno. */
int clock_remote_port(const char *path, const struct kernel_port *local, struct kernel_port *port);

#endif

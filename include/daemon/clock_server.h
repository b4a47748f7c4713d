/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_server: turns the clock for the one process that is connected, within clock_policy.  Beside
 * it root may connect, for as long as it takes to permit one step (step.h).
 *
 * When that process goes away, however, the clock is tidied at once (clock_kernel_tidy), and so
 * it is at the start, after whoever was there before.  What it
 * was allowed once is allowed once in the server's life: a client that connects again
 * starts nothing anew.
 */
#ifndef BERKELEY_DAEMON_CLOCK_SERVER_H
#define BERKELEY_DAEMON_CLOCK_SERVER_H

#include "daemon/clock_policy.h"

#include <systemd/sd-event.h>

struct clock_server;

/* listener: SOCK_SEQPACKET; both it and the port are taken over, also on failure.  0 or -errno. */
int clock_server_new(sd_event *loop, int listener, const struct kernel_port *port,
                     const struct clock_limits *limits, struct clock_server **server);
void clock_server_limit(struct clock_server *server, const struct clock_limits *limits);
/* Before the first call.  path, borrowed: a file of this process's own that is gone at the next
 * boot, made when a clock is synchronised.  Where there is one, no clock is set forward to a time
 * saved any more: what saved it might be lying. */
void clock_server_remember(struct clock_server *server, const char *path);
/* NULL is allowed. */
void clock_server_free(struct clock_server *server);

/* The socket that systemd passed, else a new one at `path` for this user only, in the place of one
 * that nobody answers on.  The descriptor or -errno: -EINVAL if something else was passed,
 * -EDESTADDRREQ if path is NULL. */
int clock_server_listen(const char *path);

#endif

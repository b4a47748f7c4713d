/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_shell: what the source files of the daemon's middle share: everything that is open.
 * Nobody else includes this.
 */
#ifndef BERKELEY_DAEMON_DAEMON_SHELL_H
#define BERKELEY_DAEMON_DAEMON_SHELL_H

#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/daemon_control.h"
#include "daemon/daemon_signals.h"
#include "daemon/daemon_state.h"
#include "daemon/keyring.h"
#include "daemon/transport.h"

#include <systemd/sd-event.h>

#define UNREACHABLE_SIZE 512

struct daemon {
    const struct daemon_options *options;
    const struct role *role;
    struct config config;
    sd_event *loop;
    sd_event_source *wake, *tick, *clock_set;
    sd_event_source *signals[DAEMON_SIGNALS];
    struct clock *clock;
    struct daemon_state *state;
    struct keyring *keyring; /* until the transport has it */
    bool keyed;
    struct transport *transport;
    struct daemon_control *control;
    void *machine;
    struct actions actions;
    bool dispatching;
    bool soon; /* the next tick */
    unsigned blind; /* ticks in a row at which the clock could not be looked at */
    char unreachable[UNREACHABLE_SIZE]; /* said last; empty while there is a connection */
};

/* What the clock shows; ends the loop if that is of no use. */
struct reading daemon_read_clock(struct daemon *daemon);

/* Does what the machine wants done, in order. */
void daemon_perform(struct daemon *daemon);

#endif

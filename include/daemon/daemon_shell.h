/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_shell: what the source files of the daemon's middle share: everything that is open.
 * Nobody else includes this.
 */
#ifndef BERKELEY_DAEMON_DAEMON_SHELL_H
#define BERKELEY_DAEMON_DAEMON_SHELL_H

#include "daemon/chronicle.h"
#include "daemon/clock.h"
#include "daemon/daemon.h"
#include "daemon/daemon_control.h"
#include "daemon/daemon_metrics.h"
#include "daemon/daemon_segment.h"
#include "daemon/daemon_signals.h"
#include "daemon/daemon_source.h"
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
    struct daemon_metrics *metrics;
    struct daemon_segment *segment;
    void *machine;
    struct chronicle *chronicle;
    struct actions actions;
    bool dispatching;
    bool trace; /* asked for on the control socket */
    bool soon;        /* the next tick, which is due after so long: */
    int64_t pause_ns;
    int64_t stepped_ns; /* what the clock was told last to step by, ... */
    int step_error;     /* ... and what came of it */
    unsigned blind; /* ticks in a row at which the clock could not be looked at */
    char unreachable[UNREACHABLE_SIZE]; /* said last; empty while there is a connection */
};

/* What the clock shows; ends the loop if that is of no use. */
struct reading daemon_read_clock(struct daemon *daemon);

/* The machine's summary as of now. */
void daemon_summarise(struct daemon *daemon, struct summary *summary);

/* What the daemon tells of itself; all of it. */
void daemon_source(struct daemon *daemon, struct daemon_source *source);

/* The journal's level: as configured or, while that is asked for, every round. */
void daemon_set_level(const struct daemon *daemon);

/* A tick, now. */
void daemon_look(struct daemon *daemon);

/* Does what the machine wants done, in order. */
void daemon_perform(struct daemon *daemon);

#endif

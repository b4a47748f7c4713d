/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon: one role's machine, a clock, a transport and the journal on one event
 * loop.  The only place that sees both the core's machines and the adapters.
 */
#ifndef BERKELEY_DAEMON_DAEMON_H
#define BERKELEY_DAEMON_DAEMON_H

#include "daemon/config.h"
#include "daemon/daemon_role.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_ERROR = 1,
    EXIT_BAD_USAGE = 64,
    EXIT_PERMISSION = 77,
    EXIT_BAD_CONFIG = 78,
    EXIT_PANIC = 80, /* a correction beyond clock.panic_threshold: a person has to look */
};

struct daemon_options {
    const struct role *role;
    const char *config_path;
    int log_level; /* overrides the configuration's; -1: does not */
    bool observe;  /* never touch the clock, whatever the configuration says */
};

/* Runs until it is told to stop; the exit code. */
int daemon_run(const struct daemon_options *options, const struct config *config);

#endif

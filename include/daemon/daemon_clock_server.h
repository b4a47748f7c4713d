/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_clock_server: `berkeleyd --clock`, the one process that may set the clock. */
#ifndef BERKELEY_DAEMON_DAEMON_CLOCK_SERVER_H
#define BERKELEY_DAEMON_DAEMON_CLOCK_SERVER_H

#include "daemon/config.h"

/* Serves until it is told to stop; the exit code. */
int daemon_clock_serve(const char *config_path, const struct config *config);

#endif

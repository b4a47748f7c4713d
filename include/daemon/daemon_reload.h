/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_reload: the configuration read again while it is in force. */
#ifndef BERKELEY_DAEMON_DAEMON_RELOAD_H
#define BERKELEY_DAEMON_DAEMON_RELOAD_H

#include "daemon/config.h"

#include <stdbool.h>

/* True with what shall be in force from now on in *fresh; false if the file is invalid and
 * what runs is kept.  Either is said, and so is each key that changed. */
bool daemon_reload(const char *path, const struct config *running, struct config *fresh);

#endif

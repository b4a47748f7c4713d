/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_reload: the configuration read again while it is in force. */
#ifndef BERKELEY_DAEMON_DAEMON_RELOAD_H
#define BERKELEY_DAEMON_DAEMON_RELOAD_H

#include "daemon/config.h"

#include <stdbool.h>

/* True with what may be in force from now on in *fresh; false if the file is invalid and what runs
 * is kept.  The latter is said, and so is each key that takes a restart. */
bool daemon_reload(const char *path, const struct config *running, struct config *fresh);

/* Says each key that changed, once it is in force. */
void daemon_reload_tell(const struct config *running, const struct config *fresh);

#endif

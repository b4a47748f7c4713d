/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_control: what the daemon answers on its control socket, and where that is.  NULL stands
 * for no socket, and is allowed everywhere.
 *
 * The names in the answers are documented in berkeleyctl(1): they do not change.
 */
#ifndef BERKELEY_DAEMON_DAEMON_CONTROL_H
#define BERKELEY_DAEMON_DAEMON_CONTROL_H

#include "daemon/config.h"
#include "daemon/daemon_source.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

struct daemon_control;

/* Where it is; false: nowhere.  The usual place is the unit's runtime directory. */
bool daemon_control_path(const struct config *config, bool master, char path[CONFIG_PATH_SIZE]);

/* config: borrowed.  A daemon that cannot listen there works without; the journal says so. */
struct daemon_control *daemon_control_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_source *source);
void daemon_control_close(struct daemon_control *control);

#endif

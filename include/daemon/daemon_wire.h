/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_wire: the transport as the configuration wants it. */
#ifndef BERKELEY_DAEMON_DAEMON_WIRE_H
#define BERKELEY_DAEMON_DAEMON_WIRE_H

#include "daemon/config.h"
#include "daemon/transport.h"

/* Listens as master, connects as slave; keyring is taken over, NULL: without keys.  Said in the
 * journal if it fails; 0 or -errno. */
int daemon_wire_open(sd_event *loop, const struct transport_handler *handler,
                     const struct config *config, bool master, struct keyring *keyring,
                     struct transport **transport);

/* What a new configuration changes, and new keys (taken over; NULL: as they are).  keyed: there are
 * keys now. */
void daemon_wire_apply(struct transport *transport, const struct config *config, bool master,
                       struct keyring *keyring, bool keyed);

#endif

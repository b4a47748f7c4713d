/* SPDX-License-Identifier: BSD-2-Clause */
/* notify: what the service manager is told (sd_notify(3)); silent without one. */
#ifndef BERKELEY_DAEMON_NOTIFY_H
#define BERKELEY_DAEMON_NOTIFY_H

#include <systemd/sd-event.h>

void notify_ready(void);                  /* READY=1 */
void notify_status(const char *sentence); /* STATUS=, one line, only if it changed */
void notify_reloading(void);              /* RELOADING=1 with MONOTONIC_USEC */
void notify_stopping(void);               /* STOPPING=1 */

/* WATCHDOG=1 from the loop, between half and three quarters of the asked
 * interval; nothing if none is asked. 0 or -errno. */
int notify_watchdog(sd_event *loop);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_signals: SIGTERM and SIGINT stop, SIGHUP reloads, whichever process it is. */
#ifndef BERKELEY_DAEMON_DAEMON_SIGNALS_H
#define BERKELEY_DAEMON_DAEMON_SIGNALS_H

#include <systemd/sd-event.h>

#define DAEMON_SIGNALS 3

/* Blocks them and has the loop call back.  0 or -errno; what is in `sources` then is for
 * daemon_signals_close() either way. */
int daemon_signals_open(sd_event *loop, sd_event_signal_handler_t stop,
                        sd_event_signal_handler_t reload, void *context,
                        sd_event_source *sources[DAEMON_SIGNALS]);
void daemon_signals_close(sd_event_source *sources[DAEMON_SIGNALS]);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_signals.h"

#include <errno.h>
#include <signal.h>

int daemon_signals_open(sd_event *loop, sd_event_signal_handler_t stop,
                        sd_event_signal_handler_t reload, void *context,
                        sd_event_source *sources[DAEMON_SIGNALS])
{
    const struct {
        int signal;
        sd_event_signal_handler_t handler;
    } table[DAEMON_SIGNALS] = {{SIGTERM, stop}, {SIGINT, stop}, {SIGHUP, reload}};
    sigset_t mask;
    int r = 0;

    sigemptyset(&mask);
    for (size_t i = 0; i < DAEMON_SIGNALS; i++)
        sigaddset(&mask, table[i].signal);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < DAEMON_SIGNALS && r >= 0; i++)
        r = sd_event_add_signal(loop, &sources[i], table[i].signal, table[i].handler, context);
    return r < 0 ? r : 0;
}

void daemon_signals_close(sd_event_source *sources[DAEMON_SIGNALS])
{
    for (size_t i = 0; i < DAEMON_SIGNALS; i++)
        sd_event_source_unref(sources[i]);
}

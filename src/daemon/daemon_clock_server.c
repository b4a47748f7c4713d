/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_clock_server.h"

#include "daemon/clock_server.h"
#include "daemon/daemon.h"
#include "daemon/daemon_clock.h"
#include "daemon/daemon_reload.h"
#include "daemon/daemon_signals.h"
#include "daemon/directory.h"
#include "daemon/journal.h"
#include "daemon/notify.h"

#include <limits.h>

struct serving {
    const char *config_path;
    struct config config;
    sd_event *loop;
    sd_event_source *signals[DAEMON_SIGNALS];
    struct clock_server *server;
    char settled_file[PATH_MAX];
};

static struct clock_limits limits_of(const struct config *config)
{
    return (struct clock_limits){.adjust = config->clock.discipline,
                                 .max_slew_ppm = config->clock.max_slew_ppm,
                                 .initial_slew_ppm = config->clock.initial_slew_ppm,
                                 .step_threshold_ns = config->clock.step_threshold_ns};
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    (void)source;
    (void)info;
    notify_stopping();
    return sd_event_exit(((struct serving *)context)->loop, EXIT_OK);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    struct serving *serving = context;
    struct config fresh;

    (void)source;
    (void)info;
    notify_reloading();
    if (daemon_reload(serving->config_path, &serving->config, &fresh)) {
        daemon_reload_tell(&serving->config, &fresh);
        serving->config = fresh;
        struct clock_limits limits = limits_of(&fresh);
        clock_server_limit(serving->server, &limits);
    }
    notify_ready();
    return 0;
}

/* The unit names a directory that is kept until the machine is booted anew. */
static void remember(struct serving *serving)
{
    if (directory_file("RUNTIME_DIRECTORY", "synchronised", serving->settled_file,
                       sizeof serving->settled_file) == 0)
        clock_server_remember(serving->server, serving->settled_file);
}

static int open_server(struct serving *serving, int listener)
{
    struct clock_limits limits = limits_of(&serving->config);
    struct kernel_port port;
    int r = daemon_clock_port(&serving->config, &port);

    if (r < 0)
        return r;
    r = clock_server_new(serving->loop, listener, &port, &limits, &serving->server);
    if (r < 0)
        return journal_errno(r, "Cannot serve the clock: %m");
    remember(serving);
    return 0;
}

static int open_all(struct serving *serving)
{
    int listener, r = sd_event_new(&serving->loop);

    if (r >= 0)
        r = daemon_signals_open(serving->loop, on_stop, on_reload, serving, serving->signals);
    if (r >= 0)
        r = notify_watchdog(serving->loop);
    if (r < 0)
        return journal_errno(r, "Cannot start: %m");
    listener = clock_server_listen(daemon_clock_socket(&serving->config));
    if (listener < 0)
        return journal_errno(listener,
                             "No socket to serve the clock at, neither from the service manager "
                             "nor at $BERKELEY_CLOCK: %m");
    return open_server(serving, listener);
}

static void close_all(struct serving *serving)
{
    clock_server_free(serving->server);
    daemon_signals_close(serving->signals);
    sd_event_unref(serving->loop);
}

int daemon_clock_serve(const char *config_path, const struct config *config)
{
    struct serving serving = {.config_path = config_path, .config = *config};
    int r = open_all(&serving);

    if (r >= 0) {
        notify_ready();
        r = sd_event_loop(serving.loop);
        if (r < 0)
            journal_errno(r, "The event loop failed: %m");
    }
    close_all(&serving);
    return r < 0 ? EXIT_ERROR : EXIT_OK;
}

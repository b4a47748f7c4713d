/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_clock.h"

#include "daemon/clock_emulated.h"
#include "daemon/clock_remote.h"
#include "daemon/journal.h"
#include "daemon/notify.h"

#include <errno.h>
#include <stdlib.h>

int daemon_clock_port(const struct config *config, struct kernel_port *port)
{
    struct emulated_oscillator oscillator = {.offset_ns = config->emulated.offset_ns,
                                             .frequency_ppb = config->emulated.frequency_ppm * 1e3,
                                             .wander_ppb = config->emulated.wander_ppm * 1e3,
                                             .seed = (uint64_t)config->emulated.seed};
    int r;

    if (config->clock.kind == CONFIG_CLOCK_KERNEL) {
        r = clock_kernel_port(port);
        return r < 0 ? journal_errno(r, "Cannot open the kernel's clock: %m") : 0;
    }
    r = clock_emulated_port(config->emulated.file, &oscillator, port);
    if (r == -EBADMSG)
        journal_error("%s is not an emulated clock's file: remove it, or name another one as "
                      "emulated.file.",
                      config->emulated.file);
    else if (r < 0)
        journal_errno(r, "Cannot open the emulated clock %s: %m", config->emulated.file);
    return r;
}

const char *daemon_clock_socket(const struct config *config)
{
    const char *path = getenv(
        config->clock.kind == CONFIG_CLOCK_KERNEL ? "BERKELEY_CLOCK" : "BERKELEY_EMULATED_CLOCK");

    return path && *path ? path : NULL;
}

static int reach_server(const char *path, struct kernel_port *port)
{
    int r = clock_remote_port(path, port, port);

    if (r < 0)
        journal_errno(r,
                      "Cannot reach the process that sets the clock, berkeleyd --clock, at "
                      "%s: %m",
                      path);
    else
        notify_status("waiting for the process that sets the clock, berkeleyd --clock");
    return r;
}

int daemon_clock_open(const struct config *config, bool adjust, struct clock **clock)
{
    struct kernel_port port;
    const char *server = daemon_clock_socket(config);
    int r = daemon_clock_port(config, &port);

    if (r >= 0 && server)
        r = reach_server(server, &port);
    if (r < 0)
        return r;
    r = clock_kernel_open(&port, adjust, clock);
    return r < 0 ? journal_errno(r, "Cannot use the clock: %m") : 0;
}

int daemon_clock_tidy(const struct config *config)
{
    struct kernel_port port;
    int r = daemon_clock_port(config, &port);

    if (r < 0)
        return r;
    r = clock_kernel_tidy(&port);
    port.release(port.context);
    if (r == -EPERM)
        return 0; /* no right to adjust: then nothing was adjusted either */
    return r < 0 ? journal_errno(r, "Cannot tidy up the clock: %m") : 0;
}

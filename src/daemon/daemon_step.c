/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/daemon_step.h"

#include "daemon/daemon_shell.h"

#include <errno.h>

int daemon_step_offer(struct daemon *daemon, int64_t *correction_ns, int64_t *slewing_ns)
{
    const struct reading now = daemon_read_clock(daemon);
    int r = daemon->role->may_step(daemon->machine, &now, correction_ns);

    if (r >= 0)
        *slewing_ns = timestamp_round((double)timestamp_abs(*correction_ns) * 1e6 /
                                      daemon->config.clock.initial_slew_ppm);
    return r;
}

int daemon_step(struct daemon *daemon, int64_t confirmed_ns, int64_t *stepped_ns)
{
    const struct reading now = daemon_read_clock(daemon);
    int r = daemon->role->allow_step(daemon->machine, confirmed_ns, &now);

    if (r < 0)
        return r;
    daemon->step_error = -ECANCELED;
    daemon_look(daemon);
    /* What was made of it shows in the next look. */
    daemon_look(daemon);
    /* No tick came: who is told so shall not see it stepped by a later one. */
    if (daemon->step_error == -ECANCELED)
        (void)daemon->role->allow_step(daemon->machine, 0, &now);
    if (daemon->step_error < 0)
        return daemon->step_error;
    *stepped_ns = daemon->stepped_ns;
    return 0;
}

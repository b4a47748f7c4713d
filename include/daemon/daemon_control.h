/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon_control: what the daemon answers on its control socket, and where that is.  NULL stands
 * for no socket, and is allowed everywhere.
 *
 * The names in the answers are documented in berkeleyctl(1): they do not change.
 */
#ifndef BERKELEY_DAEMON_DAEMON_CONTROL_H
#define BERKELEY_DAEMON_DAEMON_CONTROL_H

#include "core/machine.h"
#include "core/view.h"
#include "daemon/chronicle.h"
#include "daemon/config.h"
#include "daemon/transport.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

/* Who knows the answers; asked each time, from the loop. */
struct daemon_control_source {
    void (*summarise)(void *context, struct summary *summary);
    void (*count)(void *context, struct transport_counters *counters);
    void (*read)(void *context, struct reading *now);
    bool (*adjusts)(void *context); /* or only observes the clock */
    /* Master: see core/view.h. */
    size_t (*views)(void *context);
    bool (*view)(void *context, size_t i, const struct reading *now, struct clock_view *view);
    const struct chronicle *chronicle; /* borrowed */
    /* Whether every round is logged, by wish or by configuration; and the wish. */
    bool (*traces)(void *context);
    void (*trace)(void *context, bool on);
    /* See daemon/daemon_step.h. */
    int (*step_offer)(void *context, int64_t *correction_ns, int64_t *slewing_ns);
    int (*step)(void *context, int64_t confirmed_ns, int64_t *stepped_ns);
    void *context;
};

struct daemon_control;

/* Where it is; false: nowhere.  The usual place is the unit's runtime directory. */
bool daemon_control_path(const struct config *config, bool master, char path[CONFIG_PATH_SIZE]);

/* config: borrowed.  A daemon that cannot listen there works without; the journal says so. */
struct daemon_control *daemon_control_open(sd_event *loop, const struct config *config, bool master,
                                           const struct daemon_control_source *source);
void daemon_control_close(struct daemon_control *control);

#endif

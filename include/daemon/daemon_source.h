/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_source: what the daemon tells of itself, for those who tell it on: control socket,
 * metrics, and the bound for other programs.  Who asks for less may be given less. */
#ifndef BERKELEY_DAEMON_DAEMON_SOURCE_H
#define BERKELEY_DAEMON_DAEMON_SOURCE_H

#include "core/machine.h"
#include "core/view.h"
#include "daemon/chronicle.h"
#include "daemon/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asked each time, from the loop. */
struct daemon_source {
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

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon_role: master or slave behind one face, and the way from configuration to either. */
#ifndef BERKELEY_DAEMON_DAEMON_ROLE_H
#define BERKELEY_DAEMON_DAEMON_ROLE_H

#include "core/discipline.h"
#include "core/machine.h"
#include "core/view.h"
#include "daemon/config.h"

#include <stdbool.h>
#include <stdint.h>

struct role {
    const char *name; /* "master", "slave" */
    bool master;
    /* NULL when out of memory. adjusts: the clock can be steered. */
    void *(*create)(const struct config *config, bool adjusts, uint32_t precision_ns,
                    const struct reading *now);
    void (*configure)(void *machine, const struct config *config, bool adjusts);
    /* See master_bind(); NULL for a slave. */
    void (*bind)(void *machine, bool (*is_bound)(void *context, const char *name), void *context);
    void (*handle)(void *machine, const struct event *event, struct actions *actions);
    int64_t (*wake_at)(const void *machine);
    /* What the next run should know; and back: 0, or -ERANGE if no run left this behind. */
    void (*recall)(const void *machine, struct discipline_memory *memory);
    int (*resume)(void *machine, const struct discipline_memory *memory, bool same_raw);
    /* See discipline_may_step() and discipline_allow_step(). */
    int (*may_step)(const void *machine, const struct reading *now, int64_t *correction_ns);
    int (*allow_step)(void *machine, int64_t confirmed_ns, const struct reading *now);
    void (*summarise)(const void *machine, const struct reading *now, struct summary *summary);
    /* See core/view.h; NULL for a slave. */
    size_t (*views)(const void *machine);
    bool (*view)(const void *machine, size_t i, const struct reading *now,
                 struct clock_view *view);
    void (*destroy)(void *machine);
};

extern const struct role role_master;
extern const struct role role_slave;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slave: answers POLL, follows CORRECT, reports what it measured of that.  All its
 * timeouts are kept by EVENT_TICK; it never asks for EVENT_WAKE.
 */
#ifndef BERKELEY_CORE_SLAVE_H
#define BERKELEY_CORE_SLAVE_H

#include "core/discipline.h"
#include "core/machine.h"

struct slave_config {
    char name[WIRE_NAME_SIZE];
    char group[WIRE_NAME_SIZE];
    uint8_t id[WIRE_ID_SIZE];
    enum clock_kind kind;
    uint32_t precision_ns;
    struct discipline_limits limits;
    int64_t hello_time_ns; /* for the master's WELCOME; 0: 5 s */
    int64_t silence_ns;    /* after which the master is gone; see machine_silence() */
};

struct slave;

/* NULL when out of memory. */
struct slave *slave_new(const struct slave_config *config, const struct reading *now);
void slave_free(struct slave *slave);

/* New limits; name, group, id and kind never change. */
void slave_configure(struct slave *slave, const struct slave_config *config);

/* For the next start, and right after slave_new(): see core/discipline.h. */
void slave_recall(const struct slave *slave, struct discipline_memory *memory);
int slave_resume(struct slave *slave, const struct discipline_memory *memory, bool same_raw);

/* Its own clock's step by hand: see core/discipline.h. */
int slave_may_step(const struct slave *slave, const struct reading *now, int64_t *correction_ns);
int slave_allow_step(struct slave *slave, int64_t confirmed_ns, const struct reading *now);

/* At most one connection is up at a time. */
void slave_handle(struct slave *slave, const struct event *event, struct actions *actions);

void slave_summary(const struct slave *slave, const struct reading *now, struct summary *summary);

#endif

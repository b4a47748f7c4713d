/* SPDX-License-Identifier: BSD-2-Clause */
/* machine_guard: what must never be, whatever happens to a machine.  (That frames decode and
 * that nothing is done to a closed connection, the probe sees to.) */
#ifndef BERKELEY_TESTS_MACHINE_GUARD_H
#define BERKELEY_TESTS_MACHINE_GUARD_H

#include "machine_probe.h"

/* What happened to the machines watched: a bit each. */
enum deed {
    DEED_FORMED = 1 << 0,      /* master: the group got a time */
    DEED_CLOCK_IN = 1 << 1,    /* master: a slave's clock */
    DEED_EXCLUDED = 1 << 2,    /* master */
    DEED_FOLLOWED = 1 << 3,    /* slave: a CORRECT was taken */
    DEED_STEERED = 1 << 4,
    DEED_SYNCHRONISED = 1 << 5,
    DEED_HELD = 1 << 6,
    DEED_STEPPED = 1 << 7,
    DEED_PANICKED = 1 << 8,
    DEED_FOREIGN = 1 << 9,
    DEED_RESUMED = 1 << 10,    /* went on in holdover */
    DEED_STEPPED_BY_HAND = 1 << 11,
    DEED_COUNT = 12,
};

struct guard {
    struct discipline_limits limits; /* in force */
    bool was_in;      /* the first synchronisation was seen */
    bool unsure;      /* or may have been before a restart */
    bool stepped;     /* as the machine says */
    bool tried;       /* by itself, under the limits in force */
    int64_t asked_ns; /* for a step that was allowed, at the next tick; 0: none */
    int64_t interval_ns; /* master: of the rounds to come; 0: RAW ran backwards, ask nothing */
    unsigned deeds;
};

/* A machine begins. */
void guard_begin(struct guard *guard, const struct discipline_limits *limits, bool resumed);

/* New ones. */
void guard_limit(struct guard *guard, const struct discipline_limits *limits);

/* After each event; tick: what an EVENT_TICK told, else NULL. */
void guard_check(struct guard *guard, const struct probe *probe, const struct clock_status *tick);

#endif

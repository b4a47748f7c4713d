/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view: the clocks of the group as the master sees them, for people and tools.  Nothing is
 * decided by it.
 */
#ifndef BERKELEY_CORE_VIEW_H
#define BERKELEY_CORE_VIEW_H

#include "core/machine.h"
#include "core/master.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_view {
    char name[WIRE_NAME_SIZE];
    char address[MACHINE_ADDRESS_SIZE]; /* "": the master's own clock */
    bool own;
    bool reference;
    uint8_t kind;        /* enum clock_kind; 0: the own, if the configuration does not tell */
    uint8_t state;       /* what it says of itself, enum sync_state */
    uint8_t verdict;     /* enum clock_verdict of the last round; VERDICT_NONE: of none yet */
    unsigned suspended;  /* rounds for which an excluded clock is still left alone */
    double freq_ppb;     /* the correction of its frequency in force: as in struct summary */
    int64_t bound_ns;    /* what it reported last; INT64_MAX: unknown */
    int64_t heard_ns;    /* since its last word; 0 for the own */
    unsigned refused;    /* frames of this connection */
    int64_t gate_ns;     /* how far from the group's time is allowed, ... */
    double gate_ppb;     /* ... and how much faster or slower: what FAR and FAST hang on; 0: the
                          * group has no time yet */

    /* By the last decided round, if it was measured in it and the group has a time; else all
     * of this is 0.  A clock that did not answer in time (VERDICT_SILENT) is not measured: what
     * it was found to be before may be true no more. */
    bool measured;
    int64_t offset_ns;   /* ahead of the group's time in that round */
    double rate_ppb;     /* how much faster it runs than the group, as corrected */
    int64_t sd_ns;       /* of offset_ns */
    double weight;       /* its share in that round's mean, 0 .. 1; all together 1, or 0 without a
                          * quorum */
    int64_t delay_ns;    /* base one-way delay; 0 for the own */
    int64_t jitter_ns;   /* mean queueing delay of the better direction; 0 for the own */
};

/* The i-th clock, the master's own being number 0.  False, with nothing written, if there is none
 * of this number now: a slot that is free, or not beyond its HELLO. */
bool master_view(const struct master *master, size_t i, const struct reading *now,
                 struct clock_view *view);
/* Numbers are below this. */
size_t master_views(const struct master *master);

#endif

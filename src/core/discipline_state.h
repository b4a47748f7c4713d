/* SPDX-License-Identifier: BSD-2-Clause */
/* discipline_state: what the parts of the discipline share. */
#ifndef BERKELEY_CORE_DISCIPLINE_STATE_H
#define BERKELEY_CORE_DISCIPLINE_STATE_H

#include "core/discipline.h"

struct discipline {
    struct discipline_limits limits;
    struct target target;
    bool has_target;
    bool disowned;    /* the group left this clock alone: its map says nothing any more */
    bool steering;    /* the kernel holds what we told it */
    bool observed;    /* at the last tick: nothing is carried out */
    bool was_in;      /* the first synchronisation is behind us */
    bool stepped;     /* the one step was made, or is being made */
    bool step_refused; /* the clock would not: it is not tried again by itself */
    int64_t confirmed_ns; /* a person wants this step at the next tick; 0: nobody does */
    bool freq_known;     /* that in force is a map's, then known to: */
    double freq_sd_ppb;
    bool beyond_said, panic_said;
    int64_t forbidden_ns;     /* a correction asked for since the last tick; 0: none */
    enum sync_state state;
    enum sync_state said;     /* last state announced by an event */
    int64_t held_raw_ns;      /* holdover since; set by the first tick in it */
    bool held_known;
    uint32_t epoch;
    struct discipline_memory memory; /* only the frequency is kept up to date */
    bool resumed;             /* on a map from before the restart, not checked against A yet */

    bool has_last;            /* figures of the last tick, for telling foreign steps */
    struct reading last;
    double last_freq_ppb;
    int64_t last_slew_ns;     /* outstanding after that tick's order */
    int64_t last_ordered_ns;  /* of it: by that order */
    int64_t last_underway_ns; /* besides; a step ends it */
    int64_t last_chunk_ns;    /* what the PLL takes of the order at the next second */
    int64_t late_chunk_ns;    /* the largest of these lately: it may still run */
    int64_t last_step_ns;     /* to be made after it; 0: none */
    bool last_by_hand;
};

/* discipline.c */
/* Could any clock follow it? */
bool discipline_target_possible(const struct target *target);

/* discipline_step.c */
/* Is all that is outstanding to be stepped now? */
bool discipline_must_step(const struct discipline *discipline, int64_t outstanding_ns);

/* discipline_bound.c: what is known of the clock's error. */
/* It says of itself that it knows the group's time. */
bool discipline_claims(const struct discipline *discipline);
/* Of the map, in seconds. */
double discipline_age(const struct discipline *discipline, int64_t raw_ns);
/* What the map's frequency is taken to wander by, in ppb. */
double discipline_wander(const struct discipline *discipline);
/* Of the error of a clock that is where the map says, in ns. */
double discipline_sd_at(const struct discipline *discipline, int64_t raw_ns);
/* By how much the map is ahead of the clock. */
int64_t discipline_outstanding_to(const struct map *map, const struct reading *now);
int64_t discipline_outstanding(const struct discipline *discipline, const struct reading *now);
/* Of a clock with this much outstanding. */
int64_t discipline_bound_at(const struct discipline *discipline, int64_t outstanding_ns,
                            int64_t raw_ns);
int64_t discipline_esterror(const struct discipline *discipline, int64_t outstanding_ns);

#endif

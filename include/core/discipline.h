/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * discipline: from the map a clock should follow to what its kernel is told,
 * once a second: frequency, slew, bound, state.
 *
 * The rules of harmlessness live here.  The frequency ordered is always the
 * learned one.  A slew ends by itself where it was ordered to when nobody orders
 * again, and once the clock was synchronised it never passes that by more than 3 us (before
 * it: core/discipline_slew.h).  Before that one step is possible, which the configuration allows
 * at start or a person asks for; nothing else steps.
 *
 * The kernel has two slews that end by themselves, and both run side by side:
 * the PLL at time constant 0 delivers a quarter of what is left in each second
 * (a limit of L ppm is kept by ordering at most 4 * L * 1 s), and adjtime delivers
 * up to 500 us in each second, in whole microseconds, until nothing is left.
 */
#ifndef BERKELEY_CORE_DISCIPLINE_H
#define BERKELEY_CORE_DISCIPLINE_H

#include "core/timestamp.h"
#include "core/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define DISCIPLINE_TICK_NS NS_PER_S
#define DISCIPLINE_SOON_NS (250 * NS_PER_MS)
#define DISCIPLINE_AWAY_NS (50 * NS_PER_MS)

/* Sds in a bound, chosen by simulation: none of thousands of fault runs and of the runs of
 * 20,000 s of S1..S5 had an error beyond it, and the median bound is then 3.0 to 3.9 times
 * the 99th percentile of the error (4.2 in one cell, with few samples). */
#define DISCIPLINE_BOUND_SD 5.0

/* At least: a crystal left to itself wanders with the temperature of hours that nobody has
 * measured yet. */
#define DISCIPLINE_HOLDOVER_WANDER_PPB 10.0

#define DISCIPLINE_FREQ_LIMIT_PPB 500000.0 /* what ADJ_FREQUENCY can hold */

#define DISCIPLINE_STEP_MIN_NS (500 * NS_PER_MS) /* less is not worth a step by hand */

struct discipline_limits {
    double max_slew_ppm;        /* after the first synchronisation; 1 .. 500 .. */
    double initial_slew_ppm;    /* before it */
    int64_t step_threshold_ns;  /* step once at start above this; 0 = never */
    int64_t panic_threshold_ns; /* refuse larger corrections after the first synchronisation */
    int64_t holdover_limit_ns;  /* how long holdover is called that */
    int64_t asymmetry_max_ns;   /* declared limit of path asymmetry; < 0 = not declared */
};

/* The kernel's clock as read once a second. */
struct clock_status {
    struct reading now;
    double freq_ppb;       /* frequency in force */
    int64_t slew_left_ns;  /* ordered earlier and not delivered yet, by PLL and adjtime together,
                            * chunks under way included */
    int64_t underway_ns;   /* of it: the chunks that the kernel will deliver whatever is ordered */
    int64_t adjtime_left_ns; /* of it: left to adjtime, its chunk under way excluded */
    bool jumped;           /* RAW or the machine stood still (suspend): nothing older holds */
    bool observed;         /* only measured: nobody carries out orders here */
};

/* What the kernel shall be told. */
struct order {
    double freq_ppb;
    int64_t slew_ns;      /* by the PLL; replaces its remainder, the chunk under way excepted */
    int64_t adjtime_ns;   /* by adjtime, whole microseconds; replaces what it has left likewise */
    bool soon;            /* more is ordered than shall be delivered: tick again soon */
    int64_t maxerror_ns;  /* the bound */
    int64_t esterror_ns;
    bool synchronised;    /* STA_UNSYNC cleared */
};

/* What the group asks of this clock; from CORRECT, or from the master itself. */
struct target {
    struct map map;
    int64_t offset_sd_ns;
    double freq_sd_ppb;
    double wander_ppb;    /* random walk of the frequency: sd after one second */
    int64_t scatter_ns;   /* how far the counted clocks' mean may be from the group's time
                           * while they still follow their own corrections */
    int64_t asymmetry_ns;
    bool in;              /* the group counts this clock: it is synchronised */
    bool hands_off;       /* a reference: something better keeps it; measured, not moved */
};

/* What happened in a tick besides the order: a bit each. */
enum discipline_event {
    DISCIPLINE_STATE = 1 << 0,    /* the state changed */
    DISCIPLINE_STEP = 1 << 1,     /* *step_ns shall be added to the clock before the order */
    DISCIPLINE_FOREIGN = 1 << 2,  /* somebody else set the clock; *foreign_ns tells by how much */
    DISCIPLINE_JUMPED = 1 << 3,   /* suspend: the map is forgotten */
    DISCIPLINE_PANIC = 1 << 4,    /* the outstanding correction, or one asked for, is beyond
                                   * panic_threshold (said once) */
    DISCIPLINE_BEYOND = 1 << 5,   /* the frequency asked for is beyond the kernel's 500 ppm
                                   * (said once) */
    DISCIPLINE_STEPPED = 1 << 6,  /* the step of the tick before was made, as the clock shows:
                                   * *stepped_ns, by_hand */
};

struct discipline_outcome {
    unsigned events;
    bool steer;             /* the order is to be carried out (false until the first map came) */
    struct order order;
    int64_t step_ns;
    int64_t stepped_ns;
    bool by_hand;           /* a person had asked for it */
    int64_t foreign_ns;
    int64_t outstanding_ns; /* map minus measured A: what is still to be corrected */
    double wanted_ppb;      /* with DISCIPLINE_BEYOND: the frequency asked for */
};

/* What is worth knowing at the next start. */
struct discipline_memory {
    double freq_ppb;      /* phi that was ordered last */
    double freq_sd_ppb;
    struct target target; /* in RAW time: means nothing once the machine was booted anew */
    bool learned;         /* the frequency is this clock's own, learned in a group */
    bool synchronised;    /* or in holdover: the target was being followed */
};

struct discipline;

struct discipline *discipline_new(const struct discipline_limits *limits);
void discipline_free(struct discipline *discipline);
void discipline_limit(struct discipline *discipline, const struct discipline_limits *limits);

/* A new map to follow.  0; -ERANGE for one no clock could follow (frequency
 * beyond 1 %, stamps out of range, NaN): the old map stays. */
int discipline_follow(struct discipline *discipline, const struct target *target);

/* Is this a correction beyond panic_threshold, after the first synchronisation, of a clock that
 * is not only observed?  Then it is not to be followed, and the next tick says so
 * (DISCIPLINE_PANIC), unless it finds that the clock jumped meanwhile. */
bool discipline_forbids(struct discipline *discipline, const struct target *target,
                        const struct reading *now);

/* The group counts this clock and lets it keep the map it has: how far its mean may be
 * from the group's time now. */
void discipline_keep(struct discipline *discipline, int64_t scatter_ns);

/* The group does not count this clock any more, or left it alone: keep
 * frequency and finish the slew, but claim neither state nor bound. */
void discipline_disown(struct discipline *discipline);

/* Nobody tells the group's time any more (connection or quorum lost):
 * synchronised becomes holdover. */
void discipline_hold(struct discipline *discipline);

/* For the next start. */
void discipline_recall(const struct discipline *discipline, struct discipline_memory *memory);

/* Right after discipline_new(): goes on with the frequency learned earlier; and if the
 * same RAW clock has run on since (same_raw) and the clock was synchronised, in
 * holdover on the map of then, so that a restart of the daemon costs nothing.
 * 0; -ERANGE for a memory no run leaves behind: nothing is taken over. */
int discipline_resume(struct discipline *discipline, const struct discipline_memory *memory,
                      bool same_raw);

/* Whether a person may have the clock stepped, and by how much: what *correction_ns gets.  0; -EROFS:
 * it is only observed, or kept by something else; -EALREADY: it was synchronised since the start,
 * or has gone on from what was saved; -EEXIST: it was stepped; -ENODATA: it is not known by how
 * much; -EBUSY: that is less than DISCIPLINE_STEP_MIN_NS. */
int discipline_may_step(const struct discipline *discipline, const struct reading *now,
                        int64_t *correction_ns);

/* The next tick, and no later one, makes this step: all that is outstanding then, if that still is
 * what was confirmed.  0; the same errors; -ESTALE: it is not now.  Whatever the answer, what was
 * confirmed before is not any more: 0 takes it back. */
int discipline_allow_step(struct discipline *discipline, int64_t confirmed_ns,
                          const struct reading *now);

/* In the same direction, and within a tenth and a second of it. */
bool discipline_step_confirmed(int64_t confirmed_ns, int64_t step_ns);

/* Once a second.  The outcome is complete in every case. */
void discipline_tick(struct discipline *discipline, const struct clock_status *status,
                     struct discipline_outcome *outcome);

enum sync_state discipline_state(const struct discipline *discipline);

/* |error to group time| <= this at RAW time raw_ns; INT64_MAX while nothing is
 * known.  The part that path asymmetry may hide is included. */
int64_t discipline_bound(const struct discipline *discipline, const struct reading *now);

/* What is still to be corrected; 0 while nothing is known. */
int64_t discipline_left(const struct discipline *discipline, const struct reading *now);

/* The part of the bound that path asymmetry may hide; 0 while nothing is known. */
int64_t discipline_asymmetry(const struct discipline *discipline);

/* What the bound will be at most late_ns (>= 0) after now if neither the group nor the daemon
 * tells this clock anything more: the kernel carries out what it was told at the last tick, and
 * the crystal wanders as in holdover.  Bounds grow faster and faster, so as long as the state
 * stays what it is (holdover begins with a wider bound) none until then is above the straight
 * line from that of now to this one, but for the kernel's chunk under way.  INT64_MAX unless
 * synchronised or in holdover. */
int64_t discipline_late_bound(const struct discipline *discipline, const struct reading *now,
                              int64_t late_ns);

/* Can what the clock shows now have come, since the last tick, from what it was told then?  Else
 * somebody set it, which the next tick will tell; until that, it should not be told to anybody.
 * Always true of a clock that is not steered. */
bool discipline_vouches(const struct discipline *discipline, const struct reading *now);

/* What the kernel still had to deliver by itself after the last tick. */
int64_t discipline_slew_left(const struct discipline *discipline);
/* The limit in force: that before or that after the first synchronisation. */
double discipline_slew_limit_ppm(const struct discipline *discipline);

/* The statistical part of it: sd of the error at that instant; INT64_MAX unless
 * synchronised or in holdover. */
int64_t discipline_sd(const struct discipline *discipline, const struct reading *now);

/* Likewise of the frequency that is followed; INFINITY unless synchronised or in
 * holdover. */
double discipline_freq_sd(const struct discipline *discipline, const struct reading *now);

/* Goes up whenever samples taken before lose their meaning. */
uint32_t discipline_epoch(const struct discipline *discipline);

/* How long after a tick that read `now` the next one is due: DISCIPLINE_TICK_NS, or
 * DISCIPLINE_SOON_NS.  Longer if that would be within DISCIPLINE_AWAY_NS of the beginning of a
 * second of the corrected clock: the kernel takes that in some ms late, and until then nobody can
 * tell if the chunk of that second runs, or still that of the one before. */
int64_t discipline_pause(const struct reading *now, bool soon);

#endif

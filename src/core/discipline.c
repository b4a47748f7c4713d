/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/discipline.h"

#include "discipline_slew.h"
#include "discipline_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAP_FREQ_LIMIT_PPB 1e7 /* 1 %: beyond any oscillator */

#define GUESSED_SD_PPB 20e3           /* nearer than most crystals are to what they should be */
#define KNOWN_SD_PPB 1e3              /* a day's change of many a crystal */
#define LEARNED_SD_PPB 100.0          /* a frequency known this well is worth keeping */
#define RESUME_TOLERANCE_NS NS_PER_MS /* what A may have left its map by while no daemon ran */
#define RESUME_FREQ_PPB 10000.0 /* more no crystal changes by between two savings */
#define RESUME_FUTURE_NS NS_PER_S     /* as far as a slave lets a map be ahead of its time */

#define FOREIGN_FLOOR_NS NS_PER_MS    /* smaller meddling is simply corrected */
#define FOREIGN_RATE_PPB 1000000.0    /* a frequency meddled with between two ticks */

/* At high rates the kernel delivers more or less than it says, up to 1/7 at the limit of
 * 0.5 s (1 / (1 - 1/8)); a chunk of c is told as c / (1 + c) once it runs, c up to 1/8. */
#define FOREIGN_SLEW_SHARE 4
#define FOREIGN_CHUNK_PPB 150e6
/* A second's end that the kernel takes in late, since the processor slept or was somebody else's,
 * finds it at the rate of a chunk ordered up to so long ago. */
#define FOREIGN_LATE_NS (4 * NS_PER_S)

struct discipline *discipline_new(const struct discipline_limits *limits)
{
    struct discipline *discipline = calloc(1, sizeof *discipline);

    if (discipline)
        discipline->limits = *limits;
    return discipline;
}

void discipline_free(struct discipline *discipline)
{
    free(discipline);
}

void discipline_limit(struct discipline *discipline, const struct discipline_limits *limits)
{
    discipline->limits = *limits;
    discipline->step_refused = false;
}

bool discipline_target_possible(const struct target *target)
{
    const struct map *map = &target->map;

    return timestamp_valid(map->raw_ns) && timestamp_valid(map->total_ns) &&
           fabs(map->freq_ppb) <= MAP_FREQ_LIMIT_PPB && target->offset_sd_ns >= 0 &&
           target->freq_sd_ppb >= 0 && isfinite(target->freq_sd_ppb) &&
           target->wander_ppb >= 0 && isfinite(target->wander_ppb) && target->scatter_ns >= 0 &&
           target->asymmetry_ns >= 0;
}

static void learn(struct discipline *discipline, const struct target *target)
{
    struct discipline_memory *memory = &discipline->memory;

    if (!target->in || target->hands_off || target->freq_sd_ppb > LEARNED_SD_PPB)
        return;
    memory->learned = true;
    memory->freq_ppb =
        fmax(-DISCIPLINE_FREQ_LIMIT_PPB, fmin(DISCIPLINE_FREQ_LIMIT_PPB, target->map.freq_ppb));
    memory->freq_sd_ppb = target->freq_sd_ppb;
}

int discipline_follow(struct discipline *discipline, const struct target *target)
{
    if (!discipline_target_possible(target))
        return -ERANGE;
    discipline->target = *target;
    discipline->has_target = true;
    discipline->disowned = false;
    discipline->steering = !target->hands_off;
    discipline->state = target->in ? SYNC_SYNCHRONISED : SYNC_UNSYNCHRONISED;
    discipline->was_in |= target->in;
    discipline->resumed = false;
    learn(discipline, target);
    return 0;
}

void discipline_recall(const struct discipline *discipline, struct discipline_memory *memory)
{
    *memory = discipline->memory;
    memory->synchronised = discipline_claims(discipline) && !discipline->target.hands_off;
    if (memory->synchronised)
        memory->target = discipline->target;
}

int discipline_resume(struct discipline *discipline, const struct discipline_memory *memory,
                      bool same_raw)
{
    if ((memory->learned && !(fabs(memory->freq_ppb) <= DISCIPLINE_FREQ_LIMIT_PPB &&
                              memory->freq_sd_ppb >= 0 && isfinite(memory->freq_sd_ppb))) ||
        (memory->synchronised && (!discipline_target_possible(&memory->target) ||
                                  !memory->target.in || memory->target.hands_off)))
        return -ERANGE;
    discipline->memory = *memory;
    discipline->memory.synchronised = false;
    if (!same_raw || !memory->synchronised)
        return 0;
    discipline->target = memory->target;
    discipline->has_target = discipline->resumed = discipline->steering = discipline->was_in = true;
    discipline->state = SYNC_HOLDOVER;
    discipline->held_raw_ns = memory->target.map.raw_ns;
    discipline->held_known = true;
    return 0;
}

void discipline_keep(struct discipline *discipline, int64_t scatter_ns)
{
    discipline->target.scatter_ns = scatter_ns;
}

void discipline_disown(struct discipline *discipline)
{
    discipline->disowned = true;
    discipline->state = SYNC_UNSYNCHRONISED;
}

void discipline_hold(struct discipline *discipline)
{
    if (discipline->state != SYNC_SYNCHRONISED)
        return;
    discipline->state = SYNC_HOLDOVER;
    discipline->held_known = false;
}

enum sync_state discipline_state(const struct discipline *discipline)
{
    return discipline->state;
}

uint32_t discipline_epoch(const struct discipline *discipline)
{
    return discipline->epoch;
}

/* Somebody else keeps this clock: what it does is no news, and not ours to change. */
static bool is_left_alone(const struct discipline *discipline, const struct clock_status *status)
{
    return status->observed || (discipline->has_target && discipline->target.hands_off);
}

/* Suspend: RAW stood still while the world went on. */
static void forget(struct discipline *discipline, struct discipline_outcome *outcome)
{
    discipline->has_target = discipline->has_last = discipline->resumed = false;
    discipline->forbidden_ns = 0;
    discipline->state = SYNC_UNSYNCHRONISED;
    discipline->epoch++;
    outcome->events |= DISCIPLINE_JUMPED;
}

/* What A did since the last tick but for the frequency of then. */
static int64_t moved_since(const struct discipline *discipline, const struct reading *now)
{
    return now->total_ns - discipline->last.total_ns -
           timestamp_drift(now->raw_ns - discipline->last.raw_ns, discipline->last_freq_ppb);
}

/* What A did since the last tick that was not ordered, taken that the step of then was made, or
 * that it was not; 0: nothing that could not be the clock's own. */
static int64_t unexplained(const struct discipline *discipline, const struct clock_status *status,
                           bool stepped)
{
    int64_t span_ns = status->now.raw_ns - discipline->last.raw_ns;
    int64_t late_ns = timestamp_clamp(span_ns, FOREIGN_LATE_NS);
    int64_t underway_ns = stepped ? 0 : discipline->last_underway_ns;
    int64_t delivered_ns = underway_ns + discipline->last_ordered_ns - status->slew_left_ns;
    int64_t foreign_ns = moved_since(discipline, &status->now) - delivered_ns -
                         (stepped ? discipline->last_step_ns : 0);
    /* Each part deviates by itself, even where they cancel each other out. */
    int64_t slewed_ns = timestamp_abs(underway_ns) + timestamp_abs(delivered_ns - underway_ns);
    int64_t tolerance_ns = FOREIGN_FLOOR_NS + slewed_ns / FOREIGN_SLEW_SHARE +
                           timestamp_drift(discipline->last_chunk_ns, FOREIGN_CHUNK_PPB) +
                           timestamp_drift(late_ns, (double)discipline->late_chunk_ns) +
                           timestamp_drift(span_ns, FOREIGN_RATE_PPB);

    return timestamp_abs(foreign_ns) <= tolerance_ns ? 0 : foreign_ns;
}

/* Nobody knows without a tick what the kernel has delivered: all of it, or nothing yet. */
bool discipline_vouches(const struct discipline *discipline, const struct reading *now)
{
    int64_t slews_ns = timestamp_abs(discipline->last_underway_ns) +
                       timestamp_abs(discipline->last_ordered_ns) +
                       timestamp_abs(discipline->last_step_ns);

    if (!discipline->has_last || !discipline->steering || discipline->observed)
        return true;
    return timestamp_abs(moved_since(discipline, now)) <=
           slews_ns + FOREIGN_FLOOR_NS +
               timestamp_drift(now->raw_ns - discipline->last.raw_ns, FOREIGN_RATE_PPB);
}

/* A step is made, or the clock refuses it: then it is left to the slews, and still possible. */
static void notice_step(struct discipline *discipline, const struct clock_status *status,
                        struct discipline_outcome *outcome)
{
    if (discipline->last_step_ns == 0)
        return;
    if (!status->jumped && unexplained(discipline, status, true) != 0 &&
        unexplained(discipline, status, false) == 0) {
        discipline->last_step_ns = 0;
        discipline->stepped = false;
        discipline->step_refused = true;
        return;
    }
    outcome->events |= DISCIPLINE_STEPPED;
    outcome->stepped_ns = discipline->last_step_ns;
    outcome->by_hand = discipline->last_by_hand;
}

static void notice_foreign(struct discipline *discipline, const struct clock_status *status,
                           struct discipline_outcome *outcome)
{
    int64_t foreign_ns = unexplained(discipline, status, discipline->last_step_ns != 0);

    if (foreign_ns == 0)
        return;
    outcome->events |= DISCIPLINE_FOREIGN;
    outcome->foreign_ns = foreign_ns;
    discipline->state = SYNC_UNSYNCHRONISED;
}

static void age_holdover(struct discipline *discipline, int64_t raw_ns)
{
    if (discipline->state != SYNC_HOLDOVER)
        return;
    if (!discipline->held_known) {
        discipline->held_known = true;
        discipline->held_raw_ns = raw_ns;
    }
    if (raw_ns - discipline->held_raw_ns > discipline->limits.holdover_limit_ns)
        discipline->state = SYNC_UNSYNCHRONISED;
}

/* Of the frequency in force.  Other than zero is what an earlier daemon has learned. */
static double held_sd(const struct discipline *discipline, const struct clock_status *status)
{
    if (discipline->freq_known)
        return discipline->freq_sd_ppb;
    return discipline->memory.learned || status->freq_ppb != 0 ? KNOWN_SD_PPB : GUESSED_SD_PPB;
}

/* Until the group knows a clock's frequency better than what is in force, that stays and the slews
 * alone follow the map: the guess of a new link's first seconds would go on if the daemon were
 * killed then, and in place of what a daemon before this one had learned. */
static double known_freq(struct discipline *discipline, const struct clock_status *status)
{
    const struct target *target = &discipline->target;

    if (target->freq_sd_ppb > fmax(held_sd(discipline, status), KNOWN_SD_PPB))
        return discipline->memory.learned ? discipline->memory.freq_ppb : status->freq_ppb;
    discipline->freq_known = true;
    discipline->freq_sd_ppb = target->freq_sd_ppb;
    return target->map.freq_ppb;
}

/* The learned frequency, as far as the kernel can run at it. */
static void order_freq(struct discipline *discipline, const struct clock_status *status,
                       struct discipline_outcome *outcome)
{
    double freq_ppb = known_freq(discipline, status);
    bool beyond = fabs(freq_ppb) > DISCIPLINE_FREQ_LIMIT_PPB;

    outcome->order.freq_ppb = freq_ppb;
    if (beyond) {
        outcome->wanted_ppb = freq_ppb;
        outcome->order.freq_ppb = copysign(DISCIPLINE_FREQ_LIMIT_PPB, freq_ppb);
        if (!discipline->beyond_said)
            outcome->events |= DISCIPLINE_BEYOND;
    }
    discipline->beyond_said =
        beyond || (discipline->beyond_said &&
                   fabs(discipline->target.map.freq_ppb) > DISCIPLINE_FREQ_LIMIT_PPB);
}

double discipline_slew_limit_ppm(const struct discipline *discipline)
{
    return discipline->was_in ? discipline->limits.max_slew_ppm
                              : discipline->limits.initial_slew_ppm;
}

/* What of the outstanding correction may be ordered. */
static void order_slew(const struct discipline *discipline, const struct clock_status *status,
                       struct discipline_outcome *outcome)
{
    double rate_ppm = discipline_slew_limit_ppm(discipline);
    int64_t left_ns = timestamp_clamp(outcome->outstanding_ns, TIMESTAMP_LIMIT_NS / 2);

    slew_order(left_ns - status->underway_ns, rate_ppm, !discipline->was_in, &outcome->order);
}

static bool must_panic(const struct discipline *discipline, int64_t outstanding_ns)
{
    return discipline->was_in &&
           timestamp_abs(outstanding_ns) > discipline->limits.panic_threshold_ns;
}

static void panic(struct discipline *discipline, struct discipline_outcome *outcome)
{
    if (!discipline->panic_said)
        outcome->events |= DISCIPLINE_PANIC;
    discipline->panic_said = true;
    outcome->order.slew_ns = outcome->order.adjtime_ns = 0;
    discipline->state = SYNC_UNSYNCHRONISED;
}

bool discipline_forbids(struct discipline *discipline, const struct target *target,
                        const struct reading *now)
{
    int64_t asked_ns;

    if (!discipline_target_possible(target) || target->hands_off || discipline->observed)
        return false;
    asked_ns = discipline_outstanding_to(&target->map, now);
    if (!must_panic(discipline, asked_ns))
        return false;
    discipline->forbidden_ns = asked_ns;
    return true;
}

/* What was asked for and not taken up. */
static bool object(struct discipline *discipline, const struct clock_status *status,
                   struct discipline_outcome *outcome)
{
    int64_t asked_ns = discipline->forbidden_ns;

    discipline->forbidden_ns = 0;
    if (!must_panic(discipline, asked_ns) || status->observed)
        return false;
    outcome->outstanding_ns = asked_ns;
    panic(discipline, outcome);
    return true;
}

/* Towards the target: panic, the one step, or a slew. */
static void pursue(struct discipline *discipline, const struct clock_status *status,
                   struct discipline_outcome *outcome)
{
    outcome->outstanding_ns = discipline_outstanding(discipline, &status->now);
    if (is_left_alone(discipline, status))
        return;
    if (must_panic(discipline, outcome->outstanding_ns)) {
        panic(discipline, outcome);
        return;
    }
    discipline->panic_said = false;
    order_freq(discipline, status, outcome);
    if (!discipline_must_step(discipline, outcome->outstanding_ns)) {
        order_slew(discipline, status, outcome);
        return;
    }
    outcome->events |= DISCIPLINE_STEP;
    outcome->step_ns = outcome->outstanding_ns;
    outcome->outstanding_ns = outcome->order.slew_ns = outcome->order.adjtime_ns = 0;
    discipline->stepped = true;
}

/* The largest chunk lately, which counts for less and less. */
static int64_t late_chunk(const struct discipline *discipline, int64_t raw_ns, int64_t chunk_ns)
{
    double age = (double)(raw_ns - discipline->last.raw_ns) / (double)FOREIGN_LATE_NS;
    double left = discipline->has_last ? fmax(0, 1 - age) : 0;
    int64_t old_ns = timestamp_round((double)discipline->late_chunk_ns * left);

    return old_ns > chunk_ns ? old_ns : chunk_ns;
}

static void remember(struct discipline *discipline, const struct clock_status *status,
                     const struct discipline_outcome *outcome)
{
    discipline->last_chunk_ns = timestamp_abs(outcome->order.slew_ns) / SLEW_PLL_SHARE;
    discipline->late_chunk_ns =
        late_chunk(discipline, status->now.raw_ns, discipline->last_chunk_ns);
    discipline->has_last = true;
    discipline->last = status->now;
    discipline->last_step_ns = outcome->step_ns;
    discipline->last_freq_ppb = outcome->order.freq_ppb;
    discipline->last_by_hand =
        discipline_step_confirmed(discipline->confirmed_ns, outcome->step_ns);
    discipline->last_underway_ns = status->underway_ns;
    discipline->last_ordered_ns = outcome->order.slew_ns + outcome->order.adjtime_ns;
    discipline->last_slew_ns =
        discipline->last_ordered_ns + (outcome->step_ns ? 0 : status->underway_ns);
    discipline->confirmed_ns = 0;
}

/* What the kernel was told last is newer than what was saved: its clock is gone on with as it
 * is, and what it has left the old map by is counted as uncertain.  A frequency so different
 * is somebody else's. */
static void go_on_from(struct discipline *discipline, const struct clock_status *status)
{
    struct target *target = &discipline->target;
    int64_t raw_ns = status->now.raw_ns;
    int64_t left_ns = discipline_outstanding(discipline, &status->now) - status->slew_left_ns;
    double age_s = discipline_age(discipline, raw_ns);
    double freq_ppb = status->freq_ppb;
    double off_ppb = fabs(freq_ppb - target->map.freq_ppb);

    if (!(off_ppb <= RESUME_FREQ_PPB)) {
        freq_ppb = target->map.freq_ppb;
        off_ppb = 0;
    }
    target->offset_sd_ns =
        timestamp_round(discipline_sd_at(discipline, raw_ns) + fabs((double)left_ns));
    target->freq_sd_ppb += discipline_wander(discipline) * sqrt(age_s) + off_ppb;
    discipline->freq_known = true;
    discipline->freq_sd_ppb = target->freq_sd_ppb;
    target->map = (struct map){.raw_ns = raw_ns,
                               .total_ns = status->now.total_ns + status->slew_left_ns,
                               .freq_ppb = freq_ppb};
}

/* Did anybody set the clock while no daemon ran?  Then the old map says nothing; nor does
 * one that is still to come. */
static void check_resumed(struct discipline *discipline, const struct clock_status *status)
{
    discipline->resumed = false;
    if (timestamp_abs(discipline_outstanding(discipline, &status->now)) <=
            RESUME_TOLERANCE_NS + timestamp_abs(status->slew_left_ns) &&
        status->now.raw_ns >= discipline->target.map.raw_ns - RESUME_FUTURE_NS) {
        go_on_from(discipline, status);
        return;
    }
    discipline->has_target = discipline->was_in = false;
    discipline->state = SYNC_UNSYNCHRONISED;
}

void discipline_tick(struct discipline *discipline, const struct clock_status *status,
                     struct discipline_outcome *outcome)
{
    struct order *order = &outcome->order;

    *outcome = (struct discipline_outcome){
        .order = {.freq_ppb = status->freq_ppb,
                  .slew_ns = status->slew_left_ns - status->underway_ns - status->adjtime_left_ns,
                  .adjtime_ns = status->adjtime_left_ns,
                  .maxerror_ns = INT64_MAX,
                  .esterror_ns = INT64_MAX}};
    discipline->observed = status->observed;
    if (discipline->has_last)
        notice_step(discipline, status, outcome);
    if (status->jumped)
        forget(discipline, outcome);
    else if (discipline->has_last && !is_left_alone(discipline, status))
        notice_foreign(discipline, status, outcome);
    if (discipline->resumed)
        check_resumed(discipline, status);
    age_holdover(discipline, status->now.raw_ns);
    if (object(discipline, status, outcome)) {
        order->maxerror_ns = INT64_MAX;
    } else if (discipline->has_target) {
        pursue(discipline, status, outcome);
        order->maxerror_ns =
            discipline_bound_at(discipline, outcome->outstanding_ns, status->now.raw_ns);
        order->esterror_ns = discipline_esterror(discipline, outcome->outstanding_ns);
    } else if (discipline->memory.learned && !is_left_alone(discipline, status)) {
        order->freq_ppb = discipline->memory.freq_ppb;
        discipline->steering = true;
    }
    outcome->steer = discipline->steering && !status->observed;
    order->synchronised =
        discipline->state != SYNC_UNSYNCHRONISED && order->maxerror_ns < INT64_MAX;
    if (discipline->state != discipline->said)
        outcome->events |= DISCIPLINE_STATE;
    discipline->said = discipline->state;
    remember(discipline, status, outcome);
}

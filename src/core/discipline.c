/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/discipline.h"

#include "discipline_slew.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAP_FREQ_LIMIT_PPB 1e7 /* 1 %: beyond any oscillator */

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

struct discipline {
    struct discipline_limits limits;
    struct target target;
    bool has_target;
    bool disowned;    /* the group left this clock alone: its map says nothing any more */
    bool steering;    /* the kernel holds what we told it */
    bool observed;    /* at the last tick: nothing is carried out */
    bool was_in;      /* the first synchronisation is behind us */
    bool stepped;     /* the one step is used up */
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
    int64_t last_underway_ns; /* of it: not part of the order */
    int64_t last_chunk_ns;    /* what the PLL takes of it at the next second */
    int64_t last_step_ns;     /* to be made after it; 0: none */
};

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
}

static bool target_possible(const struct target *target)
{
    const struct map *map = &target->map;

    return timestamp_valid(map->raw_ns) && timestamp_valid(map->total_ns) &&
           fabs(map->freq_ppb) <= MAP_FREQ_LIMIT_PPB && target->offset_sd_ns >= 0 &&
           target->freq_sd_ppb >= 0 && isfinite(target->freq_sd_ppb) &&
           target->wander_ppb >= 0 && isfinite(target->wander_ppb) && target->scatter_ns >= 0 &&
           target->asymmetry_ns >= 0;
}

static bool claims(const struct discipline *discipline)
{
    return discipline->has_target && !discipline->disowned &&
           discipline->state != SYNC_UNSYNCHRONISED;
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
    if (!target_possible(target))
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
    memory->synchronised = claims(discipline) && !discipline->target.hands_off;
    if (memory->synchronised)
        memory->target = discipline->target;
}

int discipline_resume(struct discipline *discipline, const struct discipline_memory *memory,
                      bool same_raw)
{
    if ((memory->learned && !(fabs(memory->freq_ppb) <= DISCIPLINE_FREQ_LIMIT_PPB &&
                              memory->freq_sd_ppb >= 0 && isfinite(memory->freq_sd_ppb))) ||
        (memory->synchronised && (!target_possible(&memory->target) || !memory->target.in ||
                                  memory->target.hands_off)))
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

static double age_of(const struct discipline *discipline, int64_t raw_ns)
{
    return fabs((double)(raw_ns - discipline->target.map.raw_ns)) / 1e9;
}

static double wander_of(const struct discipline *discipline)
{
    double wander_ppb = discipline->target.wander_ppb;

    return discipline->state == SYNC_HOLDOVER ? fmax(wander_ppb, DISCIPLINE_HOLDOVER_WANDER_PPB)
                                              : wander_ppb;
}

/* The sd of the map at an instant: sd_theta + sd_f t + W t^1.5 / sqrt 3, an upper limit
 * whatever the correlation of theta and f. */
static double sd_of(const struct discipline *discipline, int64_t raw_ns)
{
    const struct target *target = &discipline->target;
    double age_s = age_of(discipline, raw_ns);

    return (double)target->offset_sd_ns + target->freq_sd_ppb * age_s +
           wander_of(discipline) * age_s * sqrt(age_s / 3);
}

/* bound = |outstanding| + scatter + asymmetry + 5 sd */
static int64_t bound_of(const struct discipline *discipline, int64_t outstanding_ns,
                        int64_t raw_ns)
{
    const struct target *target = &discipline->target;
    int64_t asymmetry_ns = target->asymmetry_ns;

    if (discipline->disowned)
        return INT64_MAX;
    if (discipline->limits.asymmetry_max_ns >= 0 &&
        asymmetry_ns > discipline->limits.asymmetry_max_ns)
        asymmetry_ns = discipline->limits.asymmetry_max_ns;
    return timestamp_round((double)timestamp_abs(outstanding_ns) + (double)target->scatter_ns +
                           (double)asymmetry_ns + DISCIPLINE_BOUND_SD * sd_of(discipline, raw_ns));
}

static int64_t outstanding_to(const struct map *map, const struct reading *now)
{
    int64_t ahead_ns;

    if (timestamp_sub(map_total_at(map, now->raw_ns), now->total_ns, &ahead_ns) < 0)
        return now->total_ns < 0 ? INT64_MAX : -INT64_MAX;
    return ahead_ns;
}

static int64_t outstanding(const struct discipline *discipline, const struct reading *now)
{
    return outstanding_to(&discipline->target.map, now);
}

int64_t discipline_bound(const struct discipline *discipline, const struct reading *now)
{
    if (!discipline->has_target)
        return INT64_MAX;
    return bound_of(discipline, outstanding(discipline, now), now->raw_ns);
}

int64_t discipline_sd(const struct discipline *discipline, const struct reading *now)
{
    return claims(discipline) ? timestamp_round(sd_of(discipline, now->raw_ns)) : INT64_MAX;
}

/* sd_f + W sqrt t */
double discipline_freq_sd(const struct discipline *discipline, const struct reading *now)
{
    if (!claims(discipline))
        return INFINITY;
    return discipline->target.freq_sd_ppb +
           wander_of(discipline) * sqrt(age_of(discipline, now->raw_ns));
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

/* What A did since the last tick beyond what was ordered is somebody else's. */
static void notice_foreign(struct discipline *discipline, const struct clock_status *status,
                           struct discipline_outcome *outcome)
{
    int64_t span_ns = status->now.raw_ns - discipline->last.raw_ns;
    int64_t delivered_ns = discipline->last_slew_ns - status->slew_left_ns;
    int64_t moved_ns = status->now.total_ns - discipline->last.total_ns;
    int64_t expected_ns = timestamp_drift(span_ns, discipline->last_freq_ppb) + delivered_ns;
    int64_t foreign_ns = moved_ns - discipline->last_step_ns - expected_ns;
    /* Each part deviates by itself, even where they cancel each other out. */
    int64_t slewed_ns = timestamp_abs(discipline->last_underway_ns) +
                        timestamp_abs(delivered_ns - discipline->last_underway_ns);
    int64_t tolerance_ns = FOREIGN_FLOOR_NS + slewed_ns / FOREIGN_SLEW_SHARE +
                           timestamp_drift(discipline->last_chunk_ns, FOREIGN_CHUNK_PPB) +
                           timestamp_drift(span_ns, FOREIGN_RATE_PPB);

    /* A step that could not be made is nobody's: it is left to the slews. */
    if (timestamp_abs(foreign_ns) <= tolerance_ns ||
        timestamp_abs(foreign_ns + discipline->last_step_ns) <= tolerance_ns)
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

/* The learned frequency, as far as the kernel can run at it. */
static void order_freq(struct discipline *discipline, struct discipline_outcome *outcome)
{
    double freq_ppb = discipline->target.map.freq_ppb;
    bool beyond = fabs(freq_ppb) > DISCIPLINE_FREQ_LIMIT_PPB;

    outcome->order.freq_ppb = freq_ppb;
    if (beyond) {
        outcome->wanted_ppb = freq_ppb;
        outcome->order.freq_ppb = copysign(DISCIPLINE_FREQ_LIMIT_PPB, freq_ppb);
        if (!discipline->beyond_said)
            outcome->events |= DISCIPLINE_BEYOND;
    }
    discipline->beyond_said = beyond;
}

/* What of the outstanding correction may be ordered. */
static void order_slew(const struct discipline *discipline, const struct clock_status *status,
                       struct discipline_outcome *outcome)
{
    double rate_ppm = discipline->was_in ? discipline->limits.max_slew_ppm
                                         : discipline->limits.initial_slew_ppm;
    int64_t left_ns = timestamp_clamp(outcome->outstanding_ns, TIMESTAMP_LIMIT_NS / 2);

    slew_order(left_ns - status->underway_ns, rate_ppm, !discipline->was_in, &outcome->order);
}

static bool must_panic(const struct discipline *discipline, int64_t outstanding_ns)
{
    return discipline->was_in &&
           timestamp_abs(outstanding_ns) > discipline->limits.panic_threshold_ns;
}

static bool must_step(const struct discipline *discipline, int64_t outstanding_ns)
{
    return !discipline->was_in && !discipline->stepped &&
           discipline->limits.step_threshold_ns > 0 &&
           timestamp_abs(outstanding_ns) > discipline->limits.step_threshold_ns;
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

    if (!target_possible(target) || target->hands_off || discipline->observed)
        return false;
    asked_ns = outstanding_to(&target->map, now);
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
    outcome->outstanding_ns = outstanding(discipline, &status->now);
    if (is_left_alone(discipline, status))
        return;
    if (must_panic(discipline, outcome->outstanding_ns)) {
        panic(discipline, outcome);
        return;
    }
    discipline->panic_said = false;
    order_freq(discipline, outcome);
    if (!must_step(discipline, outcome->outstanding_ns)) {
        order_slew(discipline, status, outcome);
        return;
    }
    outcome->events |= DISCIPLINE_STEP;
    outcome->step_ns = outcome->outstanding_ns;
    outcome->outstanding_ns = outcome->order.slew_ns = outcome->order.adjtime_ns = 0;
    discipline->stepped = true;
}

static int64_t esterror(const struct discipline *discipline, int64_t outstanding_ns)
{
    int64_t error_ns;

    if (timestamp_add(timestamp_abs(outstanding_ns) / 2, discipline->target.offset_sd_ns,
                      &error_ns) < 0)
        return INT64_MAX;
    return error_ns;
}

static void remember(struct discipline *discipline, const struct clock_status *status,
                     const struct discipline_outcome *outcome)
{
    discipline->has_last = true;
    discipline->last = status->now;
    discipline->last_step_ns = outcome->step_ns;
    discipline->last_freq_ppb = outcome->order.freq_ppb;
    /* A step ends the chunk under way, too. */
    discipline->last_underway_ns = outcome->step_ns ? 0 : status->underway_ns;
    discipline->last_chunk_ns = timestamp_abs(outcome->order.slew_ns) / SLEW_PLL_SHARE;
    discipline->last_slew_ns =
        discipline->last_underway_ns + outcome->order.slew_ns + outcome->order.adjtime_ns;
}

/* What the kernel was told last is newer than what was saved: its clock is gone on with as it
 * is, and what it has left the old map by is counted as uncertain.  A frequency so different
 * is somebody else's. */
static void go_on_from(struct discipline *discipline, const struct clock_status *status)
{
    struct target *target = &discipline->target;
    int64_t raw_ns = status->now.raw_ns;
    int64_t left_ns = outstanding(discipline, &status->now) - status->slew_left_ns;
    double age_s = age_of(discipline, raw_ns);
    double freq_ppb = status->freq_ppb;
    double off_ppb = fabs(freq_ppb - target->map.freq_ppb);

    if (!(off_ppb <= RESUME_FREQ_PPB)) {
        freq_ppb = target->map.freq_ppb;
        off_ppb = 0;
    }
    target->offset_sd_ns = timestamp_round(sd_of(discipline, raw_ns) + fabs((double)left_ns));
    target->freq_sd_ppb += wander_of(discipline) * sqrt(age_s) + off_ppb;
    target->map = (struct map){.raw_ns = raw_ns,
                               .total_ns = status->now.total_ns + status->slew_left_ns,
                               .freq_ppb = freq_ppb};
}

/* Did anybody set the clock while no daemon ran?  Then the old map says nothing; nor does
 * one that is still to come. */
static void check_resumed(struct discipline *discipline, const struct clock_status *status)
{
    discipline->resumed = false;
    if (timestamp_abs(outstanding(discipline, &status->now)) <=
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
        order->maxerror_ns = bound_of(discipline, outcome->outstanding_ns, status->now.raw_ns);
        order->esterror_ns = esterror(discipline, outcome->outstanding_ns);
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

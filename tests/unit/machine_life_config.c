/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_life.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LEARNED_SD_PPB 100

/* One of these, or with `least` anything from it to ten thousand times as much. */
static int64_t pick(struct dice *dice, const int64_t *values, size_t count, int64_t least)
{
    size_t i = dice_below(dice, count + 1);
    double size = log(1e4) * (double)dice_below(dice, 1000) / 1000;

    return i < count ? values[i] : timestamp_round((double)least * exp(size));
}

#define PICK(dice, least, ...)                                                     \
    pick(dice, (const int64_t[]){__VA_ARGS__},                                     \
         sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), least)

/* As the configuration file may have them, to its very limits. */
void life_limits(struct dice *dice, struct discipline_limits *limits)
{
    limits->max_slew_ppm = fmin(1e5, (double)PICK(dice, 1, 1, 500, 500, 501, 5000, 100000));
    limits->initial_slew_ppm =
        fmax(limits->max_slew_ppm, (double)PICK(dice, 10, 100000, 100000, 100000, 1, 500));
    limits->step_threshold_ns = PICK(dice, NS_PER_MS, 0, 0, 0, 1, NS_PER_S, INT64_MAX);
    limits->panic_threshold_ns =
        PICK(dice, NS_PER_S, 1000 * NS_PER_S, 1000 * NS_PER_S, NS_PER_S, INT64_MAX);
    limits->holdover_limit_ns = PICK(dice, NS_PER_S, NS_PER_S, 3600 * NS_PER_S, INT64_MAX);
    limits->asymmetry_max_ns = PICK(dice, 1, -1, -1, 0, 1000, INT64_MAX);
}

void life_configure(struct dice *dice, struct master_config *config)
{
    config->interval_ns =
        timestamp_clamp(PICK(dice, WIRE_INTERVAL_MIN_NS, WIRE_INTERVAL_MIN_NS, NS_PER_S,
                             4 * NS_PER_S, 16 * NS_PER_S, WIRE_INTERVAL_MAX_NS),
                        WIRE_INTERVAL_MAX_NS);
    config->exchanges = (unsigned)dice_between(dice, 1, life_chance(dice, 60) ? 2 : 8);
    config->quorum = (unsigned)dice_between(dice, 1, life_chance(dice, 80) ? 2 : LIFE_PEERS);
    config->max_slaves = (unsigned)dice_between(dice, life_chance(dice, 90) ? 4 : 0, LIFE_PEERS);
    config->discipline = !life_chance(dice, 15);
    memset(config->references, 0, sizeof config->references);
    for (unsigned i = 0; life_chance(dice, 15) && i < MASTER_REFERENCES_MAX; i++)
        snprintf(config->references[i], sizeof config->references[i], "node%u",
                 (unsigned)dice_below(dice, 2UL * LIFE_PEERS));
    if (life_chance(dice, 3))
        memcpy(config->references[0], config->name, sizeof config->name);
    life_limits(dice, &config->limits);
}

/* One field of many is what it cannot be. */
static void spoil(struct dice *dice, struct discipline_memory *memory)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e300, -1, -1e9};
    static const int64_t worse[] = {INT64_MIN, INT64_MAX, -1, TIMESTAMP_LIMIT_NS};
    double value = bad[dice_below(dice, sizeof bad / sizeof bad[0])];
    int64_t number = worse[dice_below(dice, sizeof worse / sizeof worse[0])];
    double *const doubles[] = {&memory->freq_ppb, &memory->freq_sd_ppb,
                               &memory->target.map.freq_ppb, &memory->target.freq_sd_ppb,
                               &memory->target.wander_ppb};
    int64_t *const numbers[] = {&memory->target.map.raw_ns, &memory->target.map.total_ns,
                                &memory->target.offset_sd_ns, &memory->target.scatter_ns,
                                &memory->target.asymmetry_ns};

    if (life_chance(dice, 50))
        *doubles[dice_below(dice, sizeof doubles / sizeof doubles[0])] = value;
    else
        *numbers[dice_below(dice, sizeof numbers / sizeof numbers[0])] = number;
}

/* What a run may have left, of a clock that has been set meanwhile or not; or nonsense. */
void life_memory(struct dice *dice, const struct reading *now, struct discipline_memory *memory)
{
    int64_t age_ns = PICK(dice, NS_PER_S, 0, NS_PER_S, 3600 * NS_PER_S, -NS_PER_S);

    *memory = (struct discipline_memory){
        .learned = !life_chance(dice, 20),
        .freq_ppb = (double)dice_between(dice, -500000, 500000),
        .freq_sd_ppb = (double)dice_below(dice, LEARNED_SD_PPB),
        .synchronised = !life_chance(dice, 20),
        .target = {.map = {now->raw_ns - age_ns, now->total_ns, 0},
                   .offset_sd_ns = PICK(dice, 1, 0, NS_PER_US),
                   .freq_sd_ppb = (double)dice_below(dice, LEARNED_SD_PPB),
                   .wander_ppb = (double)dice_below(dice, 100),
                   .scatter_ns = PICK(dice, 1, 0, NS_PER_US),
                   .in = !life_chance(dice, 5)}};
    memory->target.map.total_ns += PICK(dice, 1, 0, NS_PER_MS / 2, -NS_PER_S);
    while (life_chance(dice, 20))
        spoil(dice, memory);
}

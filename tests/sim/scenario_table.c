/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario_table.h"

#include <string.h>

#define US 1e3
#define MS 1e6
#define S 1e9
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

#define OF(type, member) offsetof(struct type, member)

const struct scenario_key scenario_keys_top[] = {
    {"about", OF(scenario, about), 1, sizeof(((struct scenario *)0)->about), KEY_TEXT, 0},
    {"nodes", OF(scenario, nodes), 2, SCENARIO_NODES_MAX, KEY_COUNT, 0},
    {"length", OF(scenario, length_ns), S, 100 * DAY, KEY_DURATION, 0},
    {"settle", OF(scenario, settle_ns), 0, 100 * DAY, KEY_DURATION, 0},
    {"interval", OF(scenario, interval_ns), 500 * MS, HOUR, KEY_DURATION, 0},
    {"exchanges", OF(scenario, exchanges), 1, 8, KEY_COUNT, 0},
    {"fault", OF(scenario, fault), 0, 1, KEY_FLAG, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_clock[] = {
    {"offset", OF(scenario_clock, offset_ns), 0, DAY, KEY_DURATION, 0},
    {"frequency_ppm", OF(scenario_clock, frequency_ppm), 0, 10000, KEY_NUMBER, 0},
    {"wander", OF(scenario_clock, wander), 0, 1e-5, KEY_NUMBER, 0},
    {"noise", OF(scenario_clock, noise_ns), 0, S, KEY_DURATION, 0},
    {"offsets", OF(scenario_clock, offsets_ns), -DAY, DAY, KEY_DURATIONS, 0},
    {"frequencies_ppm", OF(scenario_clock, frequencies_ppm), -10000, 10000, KEY_NUMBERS, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_path[] = {
    {"turnaround", OF(scenario_path, turnaround_ns), 0, S, KEY_DURATION, 0},
    {"seal", OF(scenario_path, seal_ns), 0, S, KEY_DURATION, 0},
    {"seal_jitter", OF(scenario_path, seal_jitter_ns), 0, S, KEY_DURATION, 0},
    {"wake", OF(scenario_path, wake_ns), 0, S, KEY_DURATION, 0},
    {"own_stamps", OF(scenario_path, own_stamps), 0, 1, KEY_FLAG, 0},
    {"inside", OF(scenario_path, inside), 0, 1, KEY_FLAG, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_delay[] = {
    {"base", OF(scenario_delay, base_ns), 0, S, KEY_DURATION, 0},
    {"queue", OF(scenario_delay, queue_ns), 0, S, KEY_DURATION, 0},
    {"stall_chance", OF(scenario_delay, stall_chance), 0, 0.9, KEY_NUMBER, 0},
    {"stall", OF(scenario_delay, stall_ns), 0, 100 * S, KEY_DURATION, 0},
    {"burst_chance", OF(scenario_delay, burst_chance), 0, 1, KEY_NUMBER, 0},
    {"burst", OF(scenario_delay, burst_ns), 0, DAY, KEY_DURATION, 0},
    {"burst_queue", OF(scenario_delay, burst_queue_ns), 0, S, KEY_DURATION, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_limits[] = {
    {"max_slew_ppm", OF(scenario, max_slew_ppm), 1, 100000, KEY_NUMBER, 0},
    {"initial_slew_ppm", OF(scenario, initial_slew_ppm), 1, 100000, KEY_NUMBER, 0},
    {"asymmetry_max", OF(scenario, asymmetry_max_ns), 0, S, KEY_DURATION, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_event[] = {
    {"at", OF(scenario_event, at_ns), 0, 100 * DAY, KEY_DURATION, 0},
    {"by", OF(scenario_event, by_ns), -DAY, DAY, KEY_DURATION, SCENARIO_KEY_BY},
    {"by_ppm", OF(scenario_event, by_ppm), -100000, 100000, KEY_NUMBER, SCENARIO_KEY_PPM},
    {"for", OF(scenario_event, length_ns), 1 * MS, 100 * DAY, KEY_DURATION, SCENARIO_KEY_FOR},
    {"up", OF(scenario_event, up_ns), -S, S, KEY_DURATION, SCENARIO_KEY_UP},
    {"down", OF(scenario_event, down_ns), -S, S, KEY_DURATION, SCENARIO_KEY_DOWN},
    {"known", OF(scenario_event, known), 0, 1, KEY_FLAG, SCENARIO_KEY_KNOWN},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

const struct scenario_key scenario_keys_expect[] = {
    {"spread", OF(scenario_expect, spread_ns), 0, DAY, KEY_DURATION, 0},
    {"worst", OF(scenario_expect, worst_ns), 0, DAY, KEY_DURATION, 0},
    {"shift", OF(scenario_expect, shift_ns), 0, DAY, KEY_DURATION, 0},
    {"converge", OF(scenario_expect, converge_ns), 0, 100 * DAY, KEY_DURATION, 0},
    {"overshoot", OF(scenario_expect, overshoot), 0, 1, KEY_NUMBER, 0},
    {"excluded", OF(scenario_expect, excluded), 0, SCENARIO_NODES_MAX - 1, KEY_NODES, 0},
    {"in_at_end", OF(scenario_expect, in_at_end), 0, SCENARIO_NODES_MAX, KEY_COUNT, 0},
    {"nobody_excluded", OF(scenario_expect, nobody_excluded), 0, 1, KEY_FLAG, 0},
    {NULL, 0, 0, 0, KEY_FLAG, 0},
};

#define LENGTH SCENARIO_KEY_FOR
#define BY SCENARIO_KEY_BY

const struct scenario_kind scenario_kinds[] = {
    [SCENARIO_STEP] = {"step", BY, 0},
    [SCENARIO_FREQUENCY] = {"frequency", SCENARIO_KEY_PPM, 0},
    [SCENARIO_STUCK] = {"stuck", LENGTH, 0},
    [SCENARIO_LIE] = {"lie", BY, LENGTH},
    [SCENARIO_LIE_RANDOM] = {"random_lie", BY, LENGTH},
    [SCENARIO_START] = {"start", 0, BY},
    [SCENARIO_STOP] = {"stop", 0, 0},
    [SCENARIO_KILL] = {"kill", 0, 0},
    [SCENARIO_RESTART] = {"restart", LENGTH, BY | SCENARIO_KEY_KNOWN},
    [SCENARIO_PARTITION] = {"partition", LENGTH, 0},
    [SCENARIO_BREAK] = {"break", 0, 0},
    [SCENARIO_SUSPEND] = {"suspend", LENGTH, 0},
    [SCENARIO_DEAF] = {"deaf", LENGTH, 0},
    [SCENARIO_PATH] = {"path", 0, SCENARIO_KEY_UP | SCENARIO_KEY_DOWN | LENGTH},
    {NULL, 0, 0},
};

const struct scenario_key *scenario_key_find(const struct scenario_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

const char *scenario_word(enum scenario_what what)
{
    return scenario_kinds[what].word;
}

void scenario_defaults(struct scenario *scenario)
{
    const struct scenario_delay delay = {.base_ns = (int64_t)(50 * US),
                                         .queue_ns = (int64_t)(5 * US)};

    *scenario = (struct scenario){
        .nodes = 5,
        .length_ns = (int64_t)(1200 * S),
        .settle_ns = (int64_t)(300 * S),
        .interval_ns = (int64_t)(4 * S),
        .exchanges = 4,
        .clock = {.offset_ns = (int64_t)(50 * MS), .frequency_ppm = 50, .wander = 1e-9},
        .path = {.up = delay, .down = delay, .turnaround_ns = (int64_t)(20 * US)},
        .max_slew_ppm = 500,
        .initial_slew_ppm = 100000,
        .asymmetry_max_ns = -1,
        .expect = {.spread_ns = -1,
                   .worst_ns = -1,
                   .shift_ns = -1,
                   .converge_ns = -1,
                   .overshoot = -1,
                   .excluded = {-1},
                   .in_at_end = -1},
    };
}

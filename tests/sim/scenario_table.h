/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario_table: every key of a scenario file, once; private to the scenario room.
 */
#ifndef BERKELEY_SIM_SCENARIO_TABLE_H
#define BERKELEY_SIM_SCENARIO_TABLE_H

#include "scenario.h"

enum key_type {
    KEY_DURATION, /* int64_t ns */
    KEY_NUMBER,   /* double */
    KEY_COUNT,    /* int */
    KEY_FLAG,     /* bool */
    KEY_TEXT,     /* char[] of `most` bytes */
    KEY_NODES,    /* int[], ended by -1 */
    KEY_DURATIONS, /* struct scenario_list, ns */
    KEY_NUMBERS,   /* struct scenario_list */
};

struct scenario_key {
    const char *name; /* NULL ends a table */
    size_t place;     /* in what the table is about */
    double least, most;
    enum key_type type;
    unsigned bit; /* events: one of SCENARIO_KEY_... */
};

/* Which keys an event of some kind needs and may have. */
#define SCENARIO_KEY_BY (1U << 0)
#define SCENARIO_KEY_PPM (1U << 1)
#define SCENARIO_KEY_FOR (1U << 2)
#define SCENARIO_KEY_UP (1U << 3)
#define SCENARIO_KEY_DOWN (1U << 4)
#define SCENARIO_KEY_KNOWN (1U << 5)

struct scenario_kind {
    const char *word; /* NULL ends the table, which is in the order of enum scenario_what */
    unsigned needs, takes;
};

extern const struct scenario_key scenario_keys_top[];
extern const struct scenario_key scenario_keys_clock[];
extern const struct scenario_key scenario_keys_path[];
extern const struct scenario_key scenario_keys_delay[];
extern const struct scenario_key scenario_keys_limits[];
extern const struct scenario_key scenario_keys_event[];
extern const struct scenario_key scenario_keys_expect[];
extern const struct scenario_kind scenario_kinds[];

/* NULL if there is none of this name. */
const struct scenario_key *scenario_key_find(const struct scenario_key *keys, const char *name);

/* What a file need not say. */
void scenario_defaults(struct scenario *scenario);

#endif

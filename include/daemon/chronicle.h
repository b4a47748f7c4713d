/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chronicle: what happened since the start, as far as people and tools may ask: the last
 * rounds, the last correction, since when the state is what it is, and how often what happened.
 * It is told every note that the machine makes, and knows nothing else.
 */
#ifndef BERKELEY_DAEMON_CHRONICLE_H
#define BERKELEY_DAEMON_CHRONICLE_H

#include "core/machine.h"
#include "core/timestamp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHRONICLE_ROUNDS 256 /* kept */

struct chronicle_round {
    uint32_t round;
    uint8_t verdict;       /* on this clock */
    int64_t real_ns;       /* when it was decided (master) or its CORRECT came (slave), UNIX time
                            * of this clock */
    int64_t correction_ns; /* of this clock */
    int64_t bound_ns;      /* after it; INT64_MAX: unknown */
    unsigned counted, present;
    /* master: */
    unsigned excluded;
    int64_t spread_ns;     /* of the counted clocks */
    int64_t duration_ns;   /* from its first POLL to the decision */
};

/* Every member a uint64_t. */
struct chronicle_tally {
    uint64_t rounds;        /* decided (master), or with a CORRECT (slave) */
    uint64_t corrections;   /* with a correction of this clock */
    uint64_t steps;         /* of our own */
    uint64_t foreign_steps;
    uint64_t suspensions;
    uint64_t panics;
    uint64_t holdovers;     /* begun */
    uint64_t quorums_lost;  /* master: */
    uint64_t exclusions;
    uint64_t jumps;         /* of oscillators */
    uint64_t slaves_joined;
    uint64_t slaves_left;
    uint64_t masters_found; /* slave: */
    uint64_t masters_lost;
};

struct chronicle;

/* now: the start.  NULL when out of memory. */
struct chronicle *chronicle_new(const struct reading *now);
void chronicle_free(struct chronicle *chronicle);

void chronicle_take(struct chronicle *chronicle, const struct note *note,
                    const struct reading *now);

const struct chronicle_tally *chronicle_tally(const struct chronicle *chronicle);
/* RAW time of the start, and since which the state is this one: now, if no note told it yet. */
int64_t chronicle_started(const struct chronicle *chronicle);
int64_t chronicle_since(const struct chronicle *chronicle, enum sync_state state,
                        const struct reading *now);
/* The newest `most` at most, oldest first, into `rounds`; how many. */
size_t chronicle_rounds(const struct chronicle *chronicle, struct chronicle_round *rounds,
                        size_t most);
/* The last correction of this clock and its RAW time; false: there was none. */
bool chronicle_correction(const struct chronicle *chronicle, int64_t *correction_ns,
                          int64_t *raw_ns);

#endif

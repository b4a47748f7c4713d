/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_life: one machine through a random sequence of events, from start to end, all
 * of it by one seed or by a fuzzer's bytes: its kind, its configuration, its clock, those it
 * talks to, and how honest these are.  What must never be is guarded after each event.
 */
#ifndef BERKELEY_TESTS_MACHINE_LIFE_H
#define BERKELEY_TESTS_MACHINE_LIFE_H

#include "dice.h"
#include "machine_guard.h"
#include "model_clock.h"

#define LIFE_PEERS 6
#define LIFE_POLLS 8

/* The other end of a connection: a slave's clock as its master sees it.  With a slave under
 * test the first one is the master, and the map is the group's time on the slave's RAW. */
struct acquaintance {
    bool welcomed, liar;
    int64_t offset_ns;   /* its RAW: ours + offset + drift since the start */
    double freq_ppb;
    struct map map;      /* what its clock shows */
    uint32_t epoch;
    uint32_t sequence;   /* of its frames */
    uint32_t round;      /* master: its rounds */
    struct wire_departure last; /* of its last stamped frame, as told in the next one */
    uint32_t correct_sequence;
    int64_t correct_raw_ns;
    struct wire_poll polls[LIFE_POLLS]; /* not answered yet, sent.raw_ns: when they left */
    unsigned poll_count;
};

struct life {
    struct dice dice;
    struct probe probe;
    struct guard guard;
    struct model_clock clock;
    int64_t raw_ns, start_raw_ns, next_tick_ns;
    struct master_config master_config; /* of one of the two */
    struct slave_config slave_config;
    struct acquaintance others[LIFE_PEERS];
    unsigned wanted;     /* connections that shall be there */
    unsigned honesty;    /* of 100 events so many are what a real group would see */
    uint64_t events;
    bool soon;           /* the next tick was asked to come early */
    bool ended;
};

/* Lives it from birth to end, a master's life if the seed is odd; what happened in it (enum deed)
 * and how many events it was. */
unsigned life_run(const struct dice *dice, uint64_t *events);

/* machine_life_frames.c: what the others say, the likely and the wild. */

/* Takes note of what the machine sent them. */
void life_listen(struct life *life);
/* The next word of that one in turn; false if it has none. */
bool life_answer(struct life *life, uint32_t peer);
void life_babble(struct life *life);

/* machine_life_config.c: how a machine may be started. */
void life_limits(struct dice *dice, struct discipline_limits *limits);
void life_configure(struct dice *dice, struct master_config *config);
void life_memory(struct dice *dice, const struct reading *now, struct discipline_memory *memory);

/* machine_life.c */
bool life_chance(struct dice *dice, unsigned of_100);
void life_wait(struct life *life, int64_t span_ns);
void life_event(struct life *life, const struct clock_status *tick);

#endif

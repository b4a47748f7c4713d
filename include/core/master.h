/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master: the rounds of a group as a state machine.
 *
 * Each round: POLL every slave (a few exchanges, a short gap apart in which the
 * slaves take turns; none waits for another's answer), collect REPLYs until
 * everyone who answered last time has answered or the deadline is there, average
 * all clocks with the master's own, follow one's own map, and send each slave its
 * CORRECT, in turns too.  Rounds start on a fixed beat that no slave can delay.
 */
#ifndef BERKELEY_CORE_MASTER_H
#define BERKELEY_CORE_MASTER_H

#include "core/discipline.h"
#include "core/machine.h"

#define MASTER_REFERENCES_MAX 16

struct master_config {
    char name[WIRE_NAME_SIZE];
    char group[WIRE_NAME_SIZE];
    int64_t interval_ns; /* one round's beat */
    unsigned exchanges;  /* per round, 1 .. 8 */
    unsigned quorum;     /* fewest counted clocks, the master included */
    unsigned max_slaves;
    int64_t hello_time_ns;  /* for a new connection's HELLO; 0: 5 s */
    int64_t silence_ns;     /* after which a slave is gone; see machine_silence() */
    int64_t answer_time_ns; /* a round waits for after its last exchange; 0: 1 s */
    enum clock_kind kind; /* of the master's own clock, for people */
    bool discipline;     /* false: the master's own clock is measured, not moved */
    struct discipline_limits limits;
    char references[MASTER_REFERENCES_MAX][WIRE_NAME_SIZE]; /* names; unused ones empty */
};

struct master;

/* NULL when out of memory. */
struct master *master_new(const struct master_config *config, const struct reading *now);
void master_free(struct master *master);

/* Takes effect from the next round on; name and group never change. */
void master_configure(struct master *master, const struct master_config *config);

/* For the next start, and right after master_new(): see core/discipline.h. */
void master_recall(const struct master *master, struct discipline_memory *memory);
int master_resume(struct master *master, const struct discipline_memory *memory, bool same_raw);

/* Its own clock's step by hand: see core/discipline.h. */
int master_may_step(const struct master *master, const struct reading *now, int64_t *correction_ns);
int master_allow_step(struct master *master, int64_t confirmed_ns, const struct reading *now);

/* is_bound: whether a key that only the machine of this name may use exists; such a name is
 * nobody's without that key.  Asked at each HELLO. */
void master_bind(struct master *master, bool (*is_bound)(void *context, const char *name),
                 void *context);

void master_handle(struct master *master, const struct event *event, struct actions *actions);

/* RAW time at which EVENT_WAKE shall be handed over next. */
int64_t master_wake_at(const struct master *master);

void master_summary(const struct master *master, const struct reading *now, struct summary *summary);

#endif

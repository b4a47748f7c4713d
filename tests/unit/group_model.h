/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group_model: one real master machine and real slave machines in one process,
 * in virtual time.  Node 0 is the master.
 *
 * Each clock counts from a boot of its own.  Frames take a base delay and an
 * exponential queueing delay each way, in order on each connection.
 *
 * The model itself fails the test for what no machine may ever do: a frame that
 * does not decode, an action on a connection that is not open, time running
 * backward, an order beyond the kernel's limits.
 */
#ifndef BERKELEY_TESTS_GROUP_MODEL_H
#define BERKELEY_TESTS_GROUP_MODEL_H

#include "core/master.h"
#include "core/slave.h"

#include "dice.h"
#include "model_clock.h"

#define GROUP_NODES_MAX 12
#define GROUP_CONNECTIONS_MAX 1024

struct group_node {
    char name[WIRE_NAME_SIZE];
    struct model_clock clock;
    struct discipline_limits limits;
    struct master *master;
    struct slave *slave; /* both NULL: not running */
    struct actions actions;
    int64_t start_ns, offset_ns; /* where it was put */
    bool observed;            /* its clock is measured only */
    bool blind;               /* gets no ticks */
    bool deaf;                /* does not read: what is sent to it stays where it is */
    int64_t lie_ns;           /* its REPLYs name an A that is so much too high */
    int64_t asleep_until_ns;  /* suspended */
    int64_t stalled_until_ns; /* nothing crosses its connection before */
    int64_t delay_ns;         /* each way */
    double queue_ns;          /* mean, each way */
    struct wire_correct told; /* the last one that left for it */
    struct order order;       /* the last one */
    unsigned orders, steps, panics;
    int64_t seen_ns;          /* its corrected clock when it was looked at last */
};

struct group_connection {
    unsigned node;
    uint32_t slot;
    bool open[2]; /* the master's end, the slave's end */
    int64_t last_ns[2];
};

struct group_note {
    int64_t at_ns;
    unsigned node;
    struct note note;
};

struct group_happening;

struct group {
    struct dice dice;
    int64_t now_ns;
    struct master_config config; /* of the master; its name is the first node's */
    struct group_node nodes[GROUP_NODES_MAX];
    unsigned count;
    int64_t away_ns; /* that a slave waits longer than usual until it connects */
    bool own_keys; /* each slave has a key of its own */
    struct group_connection connections[GROUP_CONNECTIONS_MAX];
    unsigned connection_count;
    struct group_happening *queue;
    struct group_note *notes; /* all but ROUND and CORRECTION */
    size_t note_count;
    struct note round;                   /* the last NOTE_ROUND */
    int64_t round_at_ns, round_gap_ns;   /* and how long after the one before */
    unsigned refused[REFUSAL_COUNT_];    /* by all, by reason */
    void (*watch)(struct group *group, void *context); /* after each tick, if set */
    void *watch_context;
    /* What this node's frame says instead, as it leaves, if set. */
    void (*forge)(struct group *group, unsigned node, struct wire_frame *frame);
};

/* A group whose clocks are right and exact; nothing runs yet. */
void group_init(struct group *group, unsigned count);
void group_free(struct group *group);

/* Five within +-400 ms and +-80 ppm. */
void group_five(struct group *group);

/* Before the start: where this clock is and how fast its crystal runs. */
void group_clock(struct group *group, unsigned node, int64_t offset_ns, double raw_ppm);

void group_start(struct group *group, unsigned node); /* a slave connects in a second */
void group_start_all(struct group *group);
void group_stop(struct group *group, unsigned node); /* with EVENT_STOP */
void group_kill(struct group *group, unsigned node); /* its connections end */
void group_run(struct group *group, int64_t span_ns);

/* Somebody else sets the clock. */
void group_step(struct group *group, unsigned node, int64_t step_ns);
/* The oscillator itself changes; `told`: like a suspend, the next tick says so. */
void group_jump_raw(struct group *group, unsigned node, int64_t jump_ns, bool told);
void group_frequency(struct group *group, unsigned node, double raw_ppm);
/* Stands still for so long; its clock then is set from an RTC that is off. */
void group_suspend(struct group *group, unsigned node, int64_t span_ns, int64_t rtc_error_ns);
/* The peer's connection breaks: both ends get EVENT_DOWN. */
void group_break(struct group *group, unsigned node);
/* The same, and it is back a second from when this returns, long forgotten. */
void group_lose(struct group *group, unsigned node);

struct reading group_reading(struct group *group, unsigned node);
/* Corrected clock minus true time. */
int64_t group_error(struct group *group, unsigned node);
/* Over the nodes whose bit is set. */
int64_t group_spread(struct group *group, unsigned nodes);
int64_t group_mean(struct group *group, unsigned nodes);
/* Where the mean of these clocks would be had nobody ever touched them. */
int64_t group_free_mean(const struct group *group, unsigned nodes);
void group_summary(struct group *group, unsigned node, struct summary *summary);

/* How many notes of this kind this node gave since an instant, about `name` (NULL: anybody). */
unsigned group_notes(const struct group *group, unsigned node, enum note_kind kind,
                     const char *name, int64_t since_ns);
/* The last such; fails without one. */
const struct note *group_note(const struct group *group, unsigned node, enum note_kind kind,
                              const char *name);

void group_assert_within(int64_t a_ns, int64_t b_ns, int64_t limit_ns);
void group_assert_states(struct group *group, unsigned nodes, enum sync_state state);

/* To be watched: synchronised clocks differ by no more than their bounds. */
void group_bounds_hold(struct group *group, void *context);

#endif

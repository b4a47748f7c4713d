/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * node: one machine: crystal, kernel clock, and while the daemon runs the real
 * decisions about that clock and a real master or slave.
 */
#ifndef BERKELEY_SIM_NODE_H
#define BERKELEY_SIM_NODE_H

#include "core/master.h"
#include "core/slave.h"
#include "daemon/clock_kernel.h"
#include "daemon/timex_model.h"

#include "connection.h"
#include "crystal.h"
#include "path.h"

/* What all clocks would show at true time 0 if they were right. */
#define NODE_EPOCH_NS (INT64_C(1700000000) * NS_PER_S)

struct node {
    char name[WIRE_NAME_SIZE];
    unsigned index;
    uint32_t generation; /* of the daemon: what was planned for an earlier one is void */
    struct discipline_limits limits;
    int64_t noise_ns; /* of a stamp, sd */

    struct crystal crystal;
    struct timex_model model;
    int64_t true_ns, raw_ns; /* RAW now, and which now that is */
    int64_t suspended_ns;

    /* The daemon. */
    struct clock *clock;
    struct master *master;
    struct slave *slave; /* both NULL: not running */
    struct actions actions;
    uint32_t wake;       /* generation of the wake timer */
    uint32_t attempt;    /* generation of a slave's connector's timer */
    int64_t wake_raw_ns; /* what the first is set to; INT64_MAX: not set */
    struct connection *connection; /* a slave's */
    int64_t retry_ns;

    /* Its state file. */
    struct discipline_memory memory;
    int64_t saved_raw_ns;
    bool saved;
    bool learned; /* when the daemon last thought of saving */

    bool panicked;
    bool soon;  /* the next tick, which is due after so long: */
    int64_t pause_ns;
    bool stuck; /* the corrected clock it names stands still, at stuck_ns */

    /* What the scenario does to it. */
    int64_t deaf_until_ns, asleep_until_ns;
    int64_t lie_ns, lie_random_ns;
    int64_t stuck_ns;

    struct path up, down;
    int64_t stamp_ns; /* RAW of the last stamp: they never run back */
    struct dice stamp_dice, timer_dice, connect_dice, lie_dice, seal_dice;
};

/* The machine boots at true time 0, its clock offset_ns off. */
void node_init(struct node *node, unsigned index, const struct scenario *scenario, uint64_t seed);
void node_free(struct node *node);

static inline bool node_runs(const struct node *node)
{
    return node->master || node->slave;
}

/* The daemon starts.  0 or -errno. */
int node_start(struct node *node, const struct master_config *config, int64_t now_ns);
/* Saves what is worth it, once in a while as the daemon does; or, at the stop, now. */
void node_save(struct node *node, bool stops);
/* ... and is gone; the kernel's clock goes on, tidied up as systemd would. */
void node_end(struct node *node, int64_t now_ns);

struct reading node_read(struct node *node, int64_t now_ns);
/* The same as a stamp on a frame. */
struct reading node_stamp(struct node *node, int64_t now_ns);
/* What its frames name in its place. */
struct reading node_claim(struct node *node, struct reading reading);

/* Fills in event->now and hands it to the machine. */
void node_handle(struct node *node, struct event *event, int64_t now_ns);
void node_summary(const struct node *node, const struct reading *now, struct summary *summary);

/* Somebody sets the clock. */
void node_set(struct node *node, int64_t now_ns, int64_t by_ns);
void node_sleep(struct node *node, int64_t now_ns);
/* The kernel puts the time slept on the corrected clock, from an RTC that is off. */
void node_awake(struct node *node, int64_t now_ns, int64_t slept_ns, int64_t rtc_error_ns);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* world_state: what the parts of the world share. */
#ifndef BERKELEY_SIM_WORLD_STATE_H
#define BERKELEY_SIM_WORLD_STATE_H

#include "heap.h"
#include "node.h"
#include "truth_state.h"
#include "world.h"

struct world {
    const struct scenario *scenario;
    struct master_config config;
    int64_t now_ns;
    struct heap heap;
    struct node nodes[SCENARIO_NODES_MAX];
    unsigned count;
    struct connection *connections;            /* all, a list */
    struct connection *slots[SCENARIO_NODES_MAX * 4]; /* the master's peers */
    struct truth *truth;
    bool lost; /* out of memory */
};

/* The parts, each calling only those above it. */

/* world_plan.c */
void world_plan(struct world *world, int64_t at_ns, enum happening_kind kind, unsigned index,
                uint32_t generation);
void world_plan_end(struct world *world, int64_t at_ns, enum happening_kind kind,
                    struct connection *connection, int end);
void world_plan_departure(struct world *world, int64_t at_ns, struct connection *connection,
                          int end, uint8_t type, uint32_t sequence);

/* net.c: what crosses. */
struct connection *net_find(struct world *world, unsigned node, uint32_t peer);
struct node *net_node(struct world *world, const struct connection *connection, int end);
/* Puts an item on its way to `end`, to leave then; NULL if it never gets there (or does not
 * fit: *full). */
struct item *net_send(struct world *world, struct connection *connection, int end,
                      enum item_kind kind, int64_t at_ns, bool *full);
/* How long a node's frame is encrypted or decrypted, and then is on its way from the program to
 * the wire or back. */
int64_t net_seal_ns(const struct world *world, struct node *node);
int64_t net_wake_ns(const struct world *world, struct node *node);
/* This end is no more: the other will learn it, unless `mute`. */
void net_close(struct world *world, struct connection *connection, int end, bool mute);
/* A slave's connector. */
void net_retry(struct world *world, struct node *node, int64_t after_ns);
void net_connect(struct world *world, struct node *node);
bool net_link(struct world *world, struct connection *connection);
/* The next item stands at `end`'s door. */
void net_arrive(struct world *world, struct connection *connection, int end);
/* Nothing crosses for length_ns. */
void net_cut(struct world *world, struct node *node, int64_t length_ns);
void net_release(struct world *world, struct connection *connection);

/* life.c: a daemon's. */
void life_start(struct world *world, struct node *node);
void life_stop(struct world *world, struct node *node);
void life_kill(struct world *world, struct node *node);
/* One event through the machine, and what follows from it. */
void life_dispatch(struct world *world, struct node *node, struct event *event);
void life_look(struct world *world, struct node *node); /* EVENT_TICK */
void life_tick(struct world *world, struct node *node);
void life_wake(struct world *world, struct node *node);
void life_handle(struct world *world, struct connection *connection, int end);
void life_down(struct world *world, struct connection *connection, int end);
/* EVENT_STAMPED. */
void life_departed(struct world *world, struct connection *connection, int end, uint8_t type,
                   uint32_t sequence);

/* fate.c: the scenario's events. */
void fate_strike(struct world *world, unsigned event);
void fate_relieve(struct world *world, unsigned event);

#endif

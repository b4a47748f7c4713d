/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUORUM 2 /* the default of src/daemon/config_table.c */
#define START_SPAN_NS (500 * NS_PER_MS)

/* A node with SCENARIO_START is down before. */
static bool starts_later(const struct scenario *scenario, unsigned node)
{
    for (size_t i = 0; i < scenario->event_count; i++) {
        const struct scenario_event *event = &scenario->events[i];
        bool named = event->first == SCENARIO_ALL
                         ? node > 0
                         : (int)node >= event->first && (int)node <= event->last;

        if (event->what == SCENARIO_START && named)
            return true;
    }
    return false;
}

static void configure(struct world *world)
{
    const struct scenario *scenario = world->scenario;

    world->config = (struct master_config){.group = "simulated",
                                           .interval_ns = scenario->interval_ns,
                                           .exchanges = (unsigned)scenario->exchanges,
                                           .quorum = QUORUM,
                                           .max_slaves = 2 * SCENARIO_NODES_MAX,
                                           .discipline = true,
                                           .limits = world->nodes[0].limits};
    memcpy(world->config.name, world->nodes[0].name, sizeof world->config.name);
}

static void plan_everything(struct world *world)
{
    const struct scenario *scenario = world->scenario;

    world_plan(world, 0, HAPPENS_GRID, 0, 0);
    for (unsigned i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        int64_t at_ns = llround(dice_unit(&node->timer_dice) * START_SPAN_NS);

        if (!starts_later(scenario, i))
            world_plan(world, at_ns, HAPPENS_START, i, 0);
    }
    for (unsigned i = 0; i < scenario->event_count; i++)
        world_plan(world, scenario->events[i].at_ns, HAPPENS_FATE, i, 0);
}

struct world *world_new(const struct scenario *scenario, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);

    if (!world)
        return NULL;
    world->scenario = scenario;
    world->count = (unsigned)scenario->nodes;
    for (unsigned i = 0; i < world->count; i++)
        node_init(&world->nodes[i], i, scenario, seed);
    configure(world);
    world->truth = truth_new(world);
    plan_everything(world);
    if (world->truth && !world->lost)
        return world;
    world_free(world);
    return NULL;
}

void world_free(struct world *world)
{
    if (!world)
        return;
    truth_free(world->truth);
    for (unsigned i = 0; i < world->count; i++)
        node_free(&world->nodes[i]);
    while (world->connections) {
        struct connection *next = world->connections->next;

        connection_free(world->connections);
        world->connections = next;
    }
    heap_free(&world->heap);
    free(world);
}

void world_watch(struct world *world, truth_watcher *watcher, void *context)
{
    truth_watch(world->truth, watcher, context);
}

struct truth *world_truth(struct world *world)
{
    return world->truth;
}

static void happen_on_connection(struct world *world, const struct happening *happening)
{
    struct connection *connection = happening->connection;

    connection->pending--;
    switch (happening->kind) {
    case HAPPENS_LINKED:
        if (net_link(world, connection)) {
            struct event event = {.kind = EVENT_UP, .up = {.address = "node-00"}};

            life_dispatch(world, &world->nodes[connection->node], &event);
        }
        break;
    case HAPPENS_ARRIVAL:
        net_arrive(world, connection, happening->end);
        break;
    case HAPPENS_HANDLING:
        life_handle(world, connection, happening->end);
        break;
    case HAPPENS_DEPARTURE:
        life_departed(world, connection, happening->end, (uint8_t)happening->index,
                      happening->generation);
        break;
    case HAPPENS_TIMEOUT:
        life_down(world, connection, happening->end);
        break;
    default:
        break;
    }
    net_release(world, connection);
}

static void happen_at_node(struct world *world, const struct happening *happening)
{
    struct node *node = &world->nodes[happening->index];
    bool same = happening->generation == node->generation;

    switch (happening->kind) {
    case HAPPENS_START:
        life_start(world, node);
        break;
    case HAPPENS_TICK:
        if (same && node_runs(node))
            life_tick(world, node);
        break;
    case HAPPENS_LOOK:
        if (same)
            life_look(world, node);
        break;
    case HAPPENS_WAKE:
        if (node->master && happening->generation == node->wake)
            life_wake(world, node);
        break;
    case HAPPENS_CONNECT:
        if (node->slave && !node->connection && happening->generation == node->attempt)
            net_connect(world, node);
        break;
    default:
        break;
    }
}

/* A machine that sleeps does everything when it is awake again. */
static bool sleeps_through(struct world *world, const struct happening *happening)
{
    const struct node *node = happening->connection
                                  ? net_node(world, happening->connection, happening->end)
                                  : &world->nodes[happening->index];
    struct happening later = *happening;

    if (happening->kind == HAPPENS_ARRIVAL)
        return false;
    if (world->now_ns >= node->asleep_until_ns)
        return false;
    later.at_ns = node->asleep_until_ns + 1;
    world->lost |= heap_push(&world->heap, later) < 0;
    return true;
}

static void happen(struct world *world, const struct happening *happening)
{
    switch (happening->kind) {
    case HAPPENS_GRID:
        truth_grid(world->truth);
        world_plan(world, world->now_ns + TRUTH_GRID_NS, HAPPENS_GRID, 0, 0);
        return;
    case HAPPENS_FATE:
        fate_strike(world, happening->index);
        return;
    case HAPPENS_RELIEF:
        fate_relieve(world, happening->index);
        return;
    default:
        break;
    }
    if (sleeps_through(world, happening))
        return;
    if (happening->connection)
        happen_on_connection(world, happening);
    else
        happen_at_node(world, happening);
}

int world_run_until(struct world *world, int64_t true_ns)
{
    struct happening happening;

    truth_listen(world->truth);
    while (heap_next_ns(&world->heap) <= true_ns && heap_pop(&world->heap, &happening)) {
        world->now_ns = happening.at_ns;
        happen(world, &happening);
    }
    world->now_ns = true_ns;
    truth_listen(NULL);
    return world->lost ? -ENOMEM : 0;
}

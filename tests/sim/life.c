/* SPDX-License-Identifier: BSD-2-Clause */
/* life: what src/daemon/daemon.c does with events and actions. */
#include "world_state.h"

#include "core/discipline.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define LATE_NS 40e3 /* mean: a timer's event is handled so much later */
#define WAKE_MARGIN_NS NS_PER_US

static int64_t lateness(struct node *node)
{
    return llround(dice_exponential(&node->timer_dice, LATE_NS));
}

static void report_sent(struct world *world, struct node *node, const struct action *action,
                        int64_t raw_ns)
{
    struct event event = {.kind = EVENT_SENT, .peer = action->peer};

    wire_identify(action->send.bytes, &event.sent.type, &event.sent.sequence);
    event.sent.raw_ns = raw_ns;
    node_handle(node, &event, world->now_ns);
}

/* When what is written now leaves, and the instant that is told as that later; INT64_MAX: none
 * is, since it leaves at once or nobody looks. */
static int64_t leave(struct world *world, struct node *node, struct connection *connection, int to,
                     int64_t *told_ns)
{
    const struct scenario_path *path = &world->scenario->path;
    struct channel *channel = &connection->to[to];
    int64_t sealed_ns = world->now_ns + net_seal_ns(world, node);
    int64_t left_ns = sealed_ns + net_wake_ns(world, node);

    if (left_ns < channel->left_ns)
        left_ns = channel->left_ns;
    channel->left_ns = left_ns;
    *told_ns = path->own_stamps ? sealed_ns : left_ns;
    if (path->inside || left_ns == world->now_ns)
        *told_ns = INT64_MAX;
    return left_ns;
}

void life_departed(struct world *world, struct connection *connection, int end, uint8_t type,
                   uint32_t sequence)
{
    struct node *node = net_node(world, connection, end);
    struct event event = {.kind = EVENT_STAMPED};

    if (!connection->open[end] || !node_runs(node))
        return;
    event.peer = end == END_MASTER ? connection->slot : 0;
    event.sent.type = type;
    event.sent.sequence = sequence;
    event.sent.raw_ns = node_stamp(node, world->now_ns).raw_ns;
    life_dispatch(world, node, &event);
}

static void perform_send(struct world *world, struct node *node, const struct action *action)
{
    struct connection *connection = net_find(world, node->index, action->peer);
    int to = node->index == 0 ? END_SLAVE : END_MASTER;
    struct reading stamp = {0};
    struct item *item;
    uint32_t sequence;
    int64_t told_ns;
    uint8_t type;
    bool full;

    assert(connection);
    item = net_send(world, connection, to, ITEM_FRAME, leave(world, node, connection, to, &told_ns),
                    &full);
    if (full)
        return;
    if (action->send.stamped)
        stamp = node_stamp(node, world->now_ns);
    if (item) {
        struct reading claim = node_claim(node, stamp);

        memcpy(item->bytes, action->send.bytes, action->send.length);
        item->length = action->send.length;
        if (action->send.stamped)
            (void)wire_stamp(item->bytes, item->length, &claim, STAMP_KERNEL);
        truth_frame(world->truth, item->bytes, item->length);
    }
    if (!action->send.stamped)
        return;
    report_sent(world, node, action, stamp.raw_ns);
    if (told_ns == INT64_MAX)
        return;
    wire_identify(action->send.bytes, &type, &sequence);
    world_plan_departure(world, told_ns, connection, !to, type, sequence);
}

static void perform_close(struct world *world, const struct node *node, uint32_t peer)
{
    struct connection *connection = net_find(world, node->index, peer);

    assert(connection);
    net_close(world, connection, node->index == 0 ? END_MASTER : END_SLAVE, false);
}

static void perform(struct world *world, struct node *node)
{
    for (size_t i = 0; i < node->actions.count; i++) {
        const struct action action = node->actions.items[i];

        switch (action.kind) {
        case ACTION_SEND:
            perform_send(world, node, &action);
            break;
        case ACTION_CLOSE:
            perform_close(world, node, action.peer);
            break;
        case ACTION_STEER:
            world->lost |= clock_steer(node->clock, &action.steer) < 0;
            node->soon = action.steer.soon;
            truth_order(world->truth, node->index, &action.steer);
            break;
        case ACTION_STEP:
            world->lost |= clock_step(node->clock, action.step_ns) < 0;
            truth_stepped(world->truth, node->index, action.step_ns);
            break;
        case ACTION_NOTE:
            truth_note(world->truth, node->index, &action.note);
            break;
        case ACTION_PANIC:
            node->panicked = true;
            break;
        }
    }
    world->lost |= node->actions.lost;
    actions_clear(&node->actions);
}

static void arm_wake(struct world *world, struct node *node)
{
    int64_t raw_ns = master_wake_at(node->master);
    int64_t at_ns;

    if (raw_ns == node->wake_raw_ns)
        return;
    node->wake_raw_ns = raw_ns;
    node->wake++;
    if (raw_ns == INT64_MAX)
        return;
    at_ns = crystal_true(&node->crystal, raw_ns);
    if (at_ns < world->now_ns)
        at_ns = world->now_ns;
    world_plan(world, at_ns + WAKE_MARGIN_NS + lateness(node), HAPPENS_WAKE, node->index,
               node->wake);
}

void life_dispatch(struct world *world, struct node *node, struct event *event)
{
    node_handle(node, event, world->now_ns);
    perform(world, node);
    if (node->panicked)
        life_kill(world, node);
    else if (node->master)
        arm_wake(world, node);
}

void life_look(struct world *world, struct node *node)
{
    struct event event = {.kind = EVENT_TICK};

    node->pause_ns = DISCIPLINE_TICK_NS;
    if (!node_runs(node))
        return;
    truth_looking(world->truth, node->index);
    (void)node_read(node, world->now_ns);
    if (clock_look(node->clock, &event.tick) < 0)
        return;
    event.tick.observed = !clock_adjusts(node->clock);
    node->soon = false;
    life_dispatch(world, node, &event);
    node->pause_ns = discipline_pause(&event.tick.now, node->soon);
    if (node_runs(node))
        node_save(node, false);
    truth_ticked(world->truth, node->index);
}

void life_tick(struct world *world, struct node *node)
{
    uint32_t generation = node->generation;

    life_look(world, node);
    world_plan(world, world->now_ns + node->pause_ns + lateness(node), HAPPENS_TICK, node->index,
               generation);
}

void life_wake(struct world *world, struct node *node)
{
    struct event event = {.kind = EVENT_WAKE};

    node->wake_raw_ns = INT64_MAX;
    life_dispatch(world, node, &event);
}

void life_start(struct world *world, struct node *node)
{
    if (node_runs(node))
        return;
    if (node_start(node, &world->config, world->now_ns) < 0) {
        world->lost = true;
        return;
    }
    truth_started(world->truth, node->index);
    life_tick(world, node);
    if (!node->slave)
        return;
    node->retry_ns = 0;
    net_connect(world, node);
}

void life_kill(struct world *world, struct node *node)
{
    struct connection *next;

    node_end(node, world->now_ns);
    node->attempt++;
    for (struct connection *at = world->connections; at; at = next) {
        next = at->next;
        if (node->index == 0)
            net_close(world, at, END_MASTER, false);
        else if (at->node == node->index)
            net_close(world, at, END_SLAVE, false);
    }
    node->connection = NULL;
    truth_ended(world->truth, node->index);
}

void life_stop(struct world *world, struct node *node)
{
    struct event event = {.kind = EVENT_STOP};

    if (!node_runs(node))
        return;
    node_handle(node, &event, world->now_ns);
    perform(world, node);
    node_save(node, true);
    life_kill(world, node);
}

static void link_master(struct world *world, struct connection *connection)
{
    struct event event = {.kind = EVENT_UP};
    struct node *master = &world->nodes[0];
    bool full;

    while (event.peer < sizeof world->slots / sizeof world->slots[0] && world->slots[event.peer])
        event.peer++;
    if (!master->master || event.peer == sizeof world->slots / sizeof world->slots[0]) {
        (void)net_send(world, connection, END_SLAVE, ITEM_CLOSE, world->now_ns, &full);
        return;
    }
    world->slots[event.peer] = connection;
    connection->slot = event.peer;
    connection->open[END_MASTER] = true;
    memcpy(event.up.address, world->nodes[connection->node].name, WIRE_NAME_SIZE);
    life_dispatch(world, master, &event);
}

void life_down(struct world *world, struct connection *connection, int end)
{
    struct node *node = net_node(world, connection, end);
    struct event event = {.kind = EVENT_DOWN};

    if (!connection->open[end])
        return;
    event.peer = end == END_MASTER ? connection->slot : 0;
    net_close(world, connection, end, true);
    if (node_runs(node))
        life_dispatch(world, node, &event);
}

void life_handle(struct world *world, struct connection *connection, int end)
{
    struct node *node = net_node(world, connection, end);
    struct event event = {.kind = EVENT_FRAME};
    struct item item;
    bool full;

    channel_take(&connection->to[end], &item);
    if (item.kind == ITEM_UP) {
        link_master(world, connection);
        return;
    }
    if (item.kind == ITEM_CLOSE) {
        life_down(world, connection, end);
        return;
    }
    if (!connection->open[end]) { /* a reset is the answer */
        if (connection->open[!end])
            (void)net_send(world, connection, !end, ITEM_CLOSE, world->now_ns, &full);
        return;
    }
    event.peer = end == END_MASTER ? connection->slot : 0;
    event.frame.bytes = item.bytes;
    event.frame.length = item.length;
    event.frame.arrived = item.arrived;
    event.frame.source = item.source;
    truth_arrival(world->truth, &item.arrived);
    if (end == END_SLAVE && item.bytes[1] == WIRE_CORRECT)
        truth_before(world->truth, node->index);
    life_dispatch(world, node, &event);
    if (end == END_SLAVE && item.bytes[1] == WIRE_CORRECT)
        truth_after(world->truth, node->index);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include <math.h>

#define CHANNEL_ITEMS_MAX 200 /* what the sockets' buffers hold of frames nobody reads */
#define RETRY_MIN_NS NS_PER_S /* the defaults of src/daemon/config_table.c, ... */
#define RETRY_MAX_NS (60 * NS_PER_S)
#define RETRY_JITTER 0.25     /* ... and src/daemon/transport_connect.c */
#define ATTEMPT_TIMEOUT_NS (5 * NS_PER_S)
#define STEADY_NS (10 * NS_PER_S)
#define SYN_TRIES 3           /* at 0, 1 and 3 s */
#define WAKE_UP_NS (200 * NS_PER_MS) /* a segment for a machine that slept is sent again */

struct connection *net_find(struct world *world, unsigned node, uint32_t peer)
{
    if (node == 0)
        return peer < sizeof world->slots / sizeof world->slots[0] ? world->slots[peer] : NULL;
    return world->nodes[node].connection;
}

struct node *net_node(struct world *world, const struct connection *connection, int end)
{
    return &world->nodes[end == END_MASTER ? 0 : connection->node];
}

static struct path *path_to(struct world *world, const struct connection *connection, int end)
{
    struct node *slave = &world->nodes[connection->node];

    return end == END_MASTER ? &slave->up : &slave->down;
}

/* The last who knows of it lets it go. */
void net_release(struct world *world, struct connection *connection)
{
    if (connection->pending > 0 || connection->open[END_MASTER] || connection->open[END_SLAVE] ||
        world->nodes[connection->node].connection == connection)
        return;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        world->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    connection_free(connection);
}

static void give_up(struct world *world, struct connection *connection, int end)
{
    struct channel *channel = &connection->to[!end];

    if (channel->timed_out)
        return;
    channel->timed_out = true;
    world_plan_end(world, world->now_ns + PATH_USER_TIMEOUT_NS, HAPPENS_TIMEOUT, connection, end);
}

static int64_t jitter(struct node *node, int64_t mean_ns)
{
    return mean_ns > 0 ? llround(dice_exponential(&node->seal_dice, (double)mean_ns)) : 0;
}

int64_t net_seal_ns(const struct world *world, struct node *node)
{
    const struct scenario_path *path = &world->scenario->path;

    return path->seal_ns + jitter(node, path->seal_jitter_ns);
}

int64_t net_wake_ns(const struct world *world, struct node *node)
{
    return jitter(node, world->scenario->path.wake_ns);
}

/* From a frame's arrival to its stamp. */
static int64_t stamp_delay(const struct world *world, struct node *node)
{
    const struct scenario_path *path = &world->scenario->path;

    if (path->inside)
        return net_wake_ns(world, node) + net_seal_ns(world, node);
    return path->own_stamps ? net_wake_ns(world, node) : 0;
}

/* From its stamp to the program's look at it. */
static int64_t handling_delay(const struct world *world, struct node *node)
{
    const struct scenario_path *path = &world->scenario->path;

    return path->turnaround_ns + (path->inside ? 0 : net_seal_ns(world, node));
}

struct item *net_send(struct world *world, struct connection *connection, int end,
                      enum item_kind kind, int64_t at_ns, bool *full)
{
    struct channel *channel = &connection->to[end];
    struct item *item;

    at_ns = path_cross(path_to(world, connection, end), at_ns);
    *full = kind == ITEM_FRAME && channel->count >= CHANNEL_ITEMS_MAX;
    if (*full)
        return NULL;
    if (channel->timed_out || at_ns == PATH_NEVER) {
        give_up(world, connection, !end);
        return NULL;
    }
    item = channel_add(channel);
    if (!item) {
        world->lost = true;
        return NULL;
    }
    if (kind == ITEM_FRAME)
        at_ns += stamp_delay(world, net_node(world, connection, end));
    if (at_ns < channel->last_ns)
        at_ns = channel->last_ns;
    channel->last_ns = at_ns;
    item->kind = kind;
    world_plan_end(world, at_ns, HAPPENS_ARRIVAL, connection, end);
    return item;
}

void net_retry(struct world *world, struct node *node, int64_t after_ns)
{
    double factor = 1 + dice_around(&node->connect_dice, RETRY_JITTER);
    int64_t wait_ns = after_ns + llround((double)node->retry_ns * factor);

    node->retry_ns = node->retry_ns > RETRY_MAX_NS / 2 ? RETRY_MAX_NS : 2 * node->retry_ns;
    world_plan(world, world->now_ns + wait_ns, HAPPENS_CONNECT, node->index, ++node->attempt);
}

void net_close(struct world *world, struct connection *connection, int end, bool mute)
{
    struct node *slave = &world->nodes[connection->node];
    bool full;

    if (!connection->open[end])
        return;
    connection->open[end] = false;
    if (end == END_MASTER)
        world->slots[connection->slot] = NULL;
    if (!mute)
        (void)net_send(world, connection, !end, ITEM_CLOSE, world->now_ns, &full);
    if (end == END_SLAVE && slave->connection == connection) {
        slave->connection = NULL;
        if (world->now_ns - connection->since_ns >= STEADY_NS)
            slave->retry_ns = RETRY_MIN_NS;
        if (slave->slave)
            net_retry(world, slave, 0);
    }
}

/* When a SYN that is sent now, or again, gets through; PATH_NEVER: too late. */
static int64_t syn_ns(struct world *world, struct node *node)
{
    const struct node *master = &world->nodes[0];
    int64_t at_ns = world->now_ns;
    int64_t clear_ns = node->up.cut_end_ns;
    int64_t again_ns = NS_PER_S;

    if (clear_ns < master->asleep_until_ns)
        clear_ns = master->asleep_until_ns;
    for (int i = 0; i < SYN_TRIES; i++, at_ns += again_ns, again_ns *= 2)
        if (at_ns >= clear_ns)
            return at_ns;
    return PATH_NEVER;
}

void net_connect(struct world *world, struct node *node)
{
    int64_t at_ns = syn_ns(world, node);
    struct connection *connection;

    if (node->retry_ns == 0)
        node->retry_ns = RETRY_MIN_NS;
    if (at_ns == PATH_NEVER) {
        net_retry(world, node, ATTEMPT_TIMEOUT_NS);
        return;
    }
    at_ns = path_cross(&node->up, at_ns);
    at_ns = path_cross(&node->down, at_ns);
    if (at_ns == PATH_NEVER || !world->nodes[0].master) {
        net_retry(world, node, at_ns == PATH_NEVER ? ATTEMPT_TIMEOUT_NS : at_ns - world->now_ns);
        return;
    }
    connection = connection_new(node->index);
    if (!connection) {
        world->lost = true;
        return;
    }
    connection->next = world->connections;
    if (world->connections)
        world->connections->previous = connection;
    world->connections = connection;
    node->connection = connection;
    world_plan_end(world, at_ns, HAPPENS_LINKED, connection, END_SLAVE);
}

bool net_link(struct world *world, struct connection *connection)
{
    struct node *node = &world->nodes[connection->node];
    bool full;

    if (node->connection != connection)
        return false;
    connection->since_ns = world->now_ns;
    connection->open[END_SLAVE] = true;
    (void)net_send(world, connection, END_MASTER, ITEM_UP, world->now_ns, &full);
    return true;
}

void net_arrive(struct world *world, struct connection *connection, int end)
{
    struct node *node = net_node(world, connection, end);
    int64_t now_ns = world->now_ns;
    struct item *item;

    if (now_ns < node->asleep_until_ns || now_ns < node->deaf_until_ns) {
        int64_t at_ns = node->asleep_until_ns > now_ns ? node->asleep_until_ns + WAKE_UP_NS
                                                       : node->deaf_until_ns;

        world_plan_end(world, at_ns, HAPPENS_ARRIVAL, connection, end);
        return;
    }
    item = channel_arrive(&connection->to[end]);
    item->source =
        world->scenario->path.own_stamps || world->scenario->path.inside ? STAMP_USER : STAMP_KERNEL;
    if (item->kind == ITEM_FRAME)
        item->arrived = node_stamp(node, now_ns);
    world_plan_end(world, now_ns + handling_delay(world, node), HAPPENS_HANDLING, connection, end);
}

/* Whoever says nothing learns from the keepalive, whoever speaks from the user timeout. */
void net_cut(struct world *world, struct node *node, int64_t length_ns)
{
    int64_t end_ns = length_ns > 0 ? world->now_ns + length_ns : INT64_MAX;

    node->up.cut_end_ns = node->down.cut_end_ns = end_ns;
    if (length_ns > 0 && length_ns <= PATH_KEEPALIVE_NS)
        return;
    for (struct connection *at = world->connections; at; at = at->next)
        for (int end = 0; at->node == node->index && end < 2; end++)
            if (at->open[end])
                world_plan_end(world, world->now_ns + PATH_KEEPALIVE_NS, HAPPENS_TIMEOUT, at, end);
}

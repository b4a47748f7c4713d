/* SPDX-License-Identifier: BSD-2-Clause */
#include "group_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MASTER_END 0
#define SLAVE_END 1
#define RECONNECT_NS NS_PER_S
#define FORGOTTEN_NS (10 * NS_PER_S) /* after which a master remembers nothing */
#define KERNEL_SLEW_NS 5e8

enum happening_kind { HAPPENS_TICK, HAPPENS_CONNECT, HAPPENS_FRAME, HAPPENS_DOWN };

struct group_happening {
    struct group_happening *next;
    int64_t at_ns;
    enum happening_kind kind;
    unsigned node;
    struct group_connection *connection;
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;
};

/* After all that happen at the same instant. */
static struct group_happening *plan(struct group *group, int64_t at_ns, enum happening_kind kind,
                                    unsigned node)
{
    struct group_happening *fresh = calloc(1, sizeof *fresh);
    struct group_happening **place = &group->queue;

    assert_non_null(fresh);
    fresh->at_ns = at_ns;
    fresh->kind = kind;
    fresh->node = node;
    while (*place && (*place)->at_ns <= at_ns)
        place = &(*place)->next;
    fresh->next = *place;
    *place = fresh;
    return fresh;
}

struct reading group_reading(struct group *group, unsigned node)
{
    struct model_clock *clock = &group->nodes[node].clock;
    struct reading now = {.raw_ns = model_clock_raw(clock, group->now_ns)};
    int64_t corrected_ns;

    model_clock_advance(clock, now.raw_ns);
    now.total_ns = clock->total_ns;
    corrected_ns = now.raw_ns + now.total_ns;
    assert_true(corrected_ns >= group->nodes[node].seen_ns);
    group->nodes[node].seen_ns = corrected_ns;
    return now;
}

static struct clock_status status_of(struct group *group, unsigned node)
{
    struct clock_status status = {.now = group_reading(group, node)};
    struct model_clock *clock = &group->nodes[node].clock;

    status.freq_ppb = clock->freq_ppb;
    status.underway_ns = timestamp_round(clock->chunk_left_ns);
    status.adjtime_left_ns = timestamp_round(clock->adjtime_ns);
    status.slew_left_ns =
        timestamp_round(clock->slew_ns) + status.adjtime_left_ns + status.underway_ns;
    status.jumped = clock->jumped;
    status.observed = group->nodes[node].observed;
    clock->jumped = false;
    return status;
}

static void obey(struct group *group, unsigned node, const struct order *order)
{
    struct model_clock *clock = &group->nodes[node].clock;

    assert_false(group->nodes[node].observed);
    assert_true(fabs(order->freq_ppb) <= DISCIPLINE_FREQ_LIMIT_PPB);
    assert_true(fabs((double)order->slew_ns) <= KERNEL_SLEW_NS);
    assert_true(order->maxerror_ns >= 0);
    clock->freq_ppb = order->freq_ppb;
    assert_int_equal(order->adjtime_ns % NS_PER_US, 0);
    clock->slew_ns = (double)order->slew_ns;
    clock->adjtime_ns = (double)order->adjtime_ns;
    group->nodes[node].order = *order;
    group->nodes[node].orders++;
}

static int64_t delay(struct group *group, const struct group_node *node)
{
    double u = (double)(dice_u64(&group->dice) >> 11) / 9007199254740992.0;

    return node->delay_ns + timestamp_round(-node->queue_ns * log(1 - u));
}

/* To this end, in order after all else that goes there. */
static struct group_happening *cross(struct group *group, struct group_connection *connection,
                                     int end, enum happening_kind kind)
{
    const struct group_node *slave = &group->nodes[connection->node];
    int64_t at_ns = group->now_ns + delay(group, slave);
    struct group_happening *happening;

    if (at_ns < slave->stalled_until_ns)
        at_ns = slave->stalled_until_ns;
    if (at_ns < connection->last_ns[end])
        at_ns = connection->last_ns[end];
    connection->last_ns[end] = at_ns;
    happening = plan(group, at_ns, kind, end == MASTER_END ? 0 : connection->node);
    happening->connection = connection;
    return happening;
}

static struct group_connection *find_connection(struct group *group, unsigned node, uint32_t peer)
{
    for (unsigned i = group->connection_count; i-- > 0;) {
        struct group_connection *connection = &group->connections[i];

        if (node == 0 ? connection->open[MASTER_END] && connection->slot == peer
                      : connection->open[SLAVE_END] && connection->node == node && peer == 0)
            return connection;
    }
    return NULL;
}

static void close_end(struct group *group, struct group_connection *connection, int end)
{
    connection->open[end] = false;
    cross(group, connection, !end, HAPPENS_DOWN);
    if (end == SLAVE_END)
        plan(group, group->now_ns + RECONNECT_NS + group->away_ns, HAPPENS_CONNECT, connection->node);
}

static void handle(struct group *group, unsigned node, struct event *event);

static void send_frame(struct group *group, unsigned node, const struct action *action)
{
    struct group_connection *connection = find_connection(group, node, action->peer);
    struct group_happening *happening;
    struct event sent = {.kind = EVENT_SENT, .peer = action->peer};
    struct reading now = group_reading(group, node);
    struct wire_frame frame;
    unsigned faults;

    assert_non_null(connection);
    if (group->nodes[connection->node].deaf && node == 0)
        return;
    happening = cross(group, connection, node == 0 ? SLAVE_END : MASTER_END, HAPPENS_FRAME);
    memcpy(happening->bytes, action->send.bytes, action->send.length);
    happening->length = action->send.length;
    now.total_ns += group->nodes[node].lie_ns;
    if (action->send.stamped)
        assert_int_equal(wire_stamp(happening->bytes, happening->length, &now, STAMP_USER), 0);
    assert_int_equal(
        wire_decode(happening->bytes, happening->length, WIRE_MINOR, &frame, &faults), 0);
    if (group->forge) {
        group->forge(group, node, &frame);
        assert_int_equal(wire_encode(&frame, happening->bytes, &happening->length), 0);
    }
    if (frame.type == WIRE_CORRECT)
        group->nodes[connection->node].told = frame.correct;
    if (!action->send.stamped)
        return;
    wire_identify(action->send.bytes, &sent.sent.type, &sent.sent.sequence);
    sent.sent.raw_ns = now.raw_ns;
    sent.now = group_reading(group, node);
    if (node == 0)
        master_handle(group->nodes[0].master, &sent, &group->nodes[0].actions);
    else
        slave_handle(group->nodes[node].slave, &sent, &group->nodes[node].actions);
}

static void keep_note(struct group *group, unsigned node, const struct note *note)
{
    if (note->kind == NOTE_FRAME_REFUSED)
        group->refused[note->reason]++;
    if (note->kind == NOTE_ROUND) {
        group->round = *note;
        group->round_gap_ns = group->now_ns - group->round_at_ns;
        group->round_at_ns = group->now_ns;
        return;
    }
    if (note->kind == NOTE_CORRECTION)
        return;
    group->notes = realloc(group->notes, (group->note_count + 1) * sizeof *group->notes);
    assert_non_null(group->notes);
    group->notes[group->note_count++] =
        (struct group_note){.at_ns = group->now_ns, .node = node, .note = *note};
}

static void perform(struct group *group, unsigned node, const struct action *action)
{
    struct group_connection *connection;

    switch (action->kind) {
    case ACTION_SEND:
        send_frame(group, node, action);
        break;
    case ACTION_CLOSE:
        connection = find_connection(group, node, action->peer);
        assert_non_null(connection);
        close_end(group, connection, node == 0 ? MASTER_END : SLAVE_END);
        break;
    case ACTION_STEER:
        obey(group, node, &action->steer);
        break;
    case ACTION_STEP:
        group_step(group, node, action->step_ns);
        group->nodes[node].steps++;
        break;
    case ACTION_NOTE:
        keep_note(group, node, &action->note);
        break;
    case ACTION_PANIC:
        group->nodes[node].panics++;
        break;
    }
}

static void handle(struct group *group, unsigned node, struct event *event)
{
    struct group_node *self = &group->nodes[node];

    event->now = group_reading(group, node);
    if (node == 0)
        master_handle(self->master, event, &self->actions);
    else
        slave_handle(self->slave, event, &self->actions);
    for (size_t i = 0; i < self->actions.count; i++) {
        const struct action action = self->actions.items[i];

        perform(group, node, &action);
    }
    assert_false(self->actions.lost);
    actions_clear(&self->actions);
}

static uint32_t free_slot(struct group *group)
{
    uint32_t slot = 0;

    while (find_connection(group, 0, slot))
        slot++;
    return slot;
}

static void connect_slave(struct group *group, unsigned node)
{
    struct event event = {.kind = EVENT_UP};
    struct group_connection *connection;

    if (!group->nodes[node].slave || find_connection(group, node, 0))
        return;
    if (!group->nodes[0].master) {
        plan(group, group->now_ns + RECONNECT_NS + group->away_ns, HAPPENS_CONNECT, node);
        return;
    }
    assert_true(group->connection_count < GROUP_CONNECTIONS_MAX);
    event.peer = free_slot(group);
    connection = &group->connections[group->connection_count++];
    *connection = (struct group_connection){
        .node = node, .slot = event.peer, .open = {true, true}};
    memcpy(event.up.address, "192.0.2.1", sizeof "192.0.2.1");
    if (group->own_keys)
        memcpy(event.up.owner, group->nodes[node].name, sizeof event.up.owner);
    handle(group, 0, &event);
    event.peer = 0;
    handle(group, node, &event);
}

static void deliver(struct group *group, const struct group_happening *happening)
{
    struct group_connection *connection = happening->connection;
    int end = happening->node == 0 ? MASTER_END : SLAVE_END;
    struct event event = {.kind = EVENT_FRAME};

    if (!connection->open[end])
        return;
    event.peer = end == MASTER_END ? connection->slot : 0;
    if (happening->kind == HAPPENS_DOWN) {
        connection->open[end] = false;
        if (end == SLAVE_END)
            plan(group, group->now_ns + RECONNECT_NS + group->away_ns, HAPPENS_CONNECT, connection->node);
        event.kind = EVENT_DOWN;
    } else {
        event.frame.bytes = happening->bytes;
        event.frame.length = happening->length;
        event.frame.arrived = group_reading(group, happening->node);
        event.frame.source = STAMP_USER;
    }
    handle(group, happening->node, &event);
}

static bool running(const struct group_node *node)
{
    return node->master || node->slave;
}

static void tick(struct group *group, unsigned node)
{
    struct event event = {.kind = EVENT_TICK};
    struct order *order = &group->nodes[node].order;

    order->soon = false;
    if (running(&group->nodes[node]) && !group->nodes[node].blind) {
        event.tick = status_of(group, node);
        handle(group, node, &event);
    }
    plan(group, group->now_ns + (order->soon ? DISCIPLINE_SOON_NS : NS_PER_S), HAPPENS_TICK, node);
    if (running(&group->nodes[node]) && group->watch)
        group->watch(group, group->watch_context);
}

static void happen(struct group *group, struct group_happening *happening)
{
    struct group_node *node = &group->nodes[happening->node];
    struct group_happening *later;

    if (node->asleep_until_ns > group->now_ns) {
        later = plan(group, node->asleep_until_ns, happening->kind, happening->node);
        later->connection = happening->connection;
        memcpy(later->bytes, happening->bytes, sizeof later->bytes);
        later->length = happening->length;
        return;
    }
    if (happening->kind == HAPPENS_TICK)
        tick(group, happening->node);
    else if (happening->kind == HAPPENS_CONNECT)
        connect_slave(group, happening->node);
    else if (running(node))
        deliver(group, happening);
}

/* True time at which the master wants to be woken. */
static int64_t wake_at(struct group *group)
{
    const struct group_node *node = &group->nodes[0];
    int64_t wait_ns, at_ns;

    if (!node->master)
        return INT64_MAX;
    wait_ns = master_wake_at(node->master) - model_clock_raw(&node->clock, group->now_ns);
    at_ns = group->now_ns + (wait_ns > 0 ? wait_ns : 0) + NS_PER_US;
    return at_ns > node->asleep_until_ns ? at_ns : node->asleep_until_ns;
}

void group_run(struct group *group, int64_t span_ns)
{
    int64_t end_ns = group->now_ns + span_ns;

    for (;;) {
        struct event event = {.kind = EVENT_WAKE};
        struct group_happening *next = group->queue;
        int64_t wake_ns = wake_at(group);

        if (wake_ns < next->at_ns && wake_ns <= end_ns) {
            group->now_ns = wake_ns;
            handle(group, 0, &event);
            continue;
        }
        if (next->at_ns > end_ns)
            break;
        group->queue = next->next;
        group->now_ns = next->at_ns;
        happen(group, next);
        free(next);
    }
    group->now_ns = end_ns;
}

void group_init(struct group *group, unsigned count)
{
    *group = (struct group){.dice = dice_new(), .count = count};
    group->config = (struct master_config){.group = "test",
                                           .interval_ns = 4 * NS_PER_S,
                                           .exchanges = 4,
                                           .quorum = 1,
                                           .max_slaves = GROUP_NODES_MAX,
                                           .discipline = true};
    for (unsigned i = 0; i < count; i++) {
        struct group_node *node = &group->nodes[i];

        memcpy(node->name, "node-a", sizeof "node-a");
        node->name[5] = (char)('a' + i);
        node->limits = (struct discipline_limits){.max_slew_ppm = 500,
                                                  .initial_slew_ppm = 100000,
                                                  .panic_threshold_ns = 1000 * NS_PER_S,
                                                  .holdover_limit_ns = 600 * NS_PER_S,
                                                  .asymmetry_max_ns = -1};
        node->delay_ns = 100 * NS_PER_US;
        node->queue_ns = 5e3;
        group_clock(group, i, 0, 0);
        plan(group, (int64_t)(i + 1) * 37 * NS_PER_MS, HAPPENS_TICK, i);
    }
    memcpy(group->config.name, group->nodes[0].name, sizeof group->config.name);
}

void group_free(struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        master_free(group->nodes[i].master);
        slave_free(group->nodes[i].slave);
        actions_free(&group->nodes[i].actions);
    }
    while (group->queue) {
        struct group_happening *next = group->queue->next;

        free(group->queue);
        group->queue = next;
    }
    free(group->notes);
}

void group_start(struct group *group, unsigned node)
{
    struct group_node *self = &group->nodes[node];
    struct reading now = group_reading(group, node);
    struct slave_config config = {.kind = self->observed ? CLOCK_KIND_OBSERVED
                                                         : CLOCK_KIND_EMULATED,
                                  .precision_ns = 100,
                                  .limits = self->limits};

    assert_false(running(self));
    if (node == 0) {
        group->config.limits = self->limits;
        self->master = master_new(&group->config, &now);
        assert_non_null(self->master);
        return;
    }
    memcpy(config.name, self->name, sizeof config.name);
    memcpy(config.group, group->config.group, sizeof config.group);
    memset(config.id, (int)node, sizeof config.id);
    self->slave = slave_new(&config, &now);
    assert_non_null(self->slave);
    plan(group, group->now_ns + RECONNECT_NS + group->away_ns, HAPPENS_CONNECT, node);
}

void group_start_all(struct group *group)
{
    for (unsigned i = 0; i < group->count; i++)
        group_start(group, i);
}

void group_kill(struct group *group, unsigned node)
{
    struct group_node *self = &group->nodes[node];

    master_free(self->master);
    slave_free(self->slave);
    self->master = NULL;
    self->slave = NULL;
    for (unsigned i = 0; i < group->connection_count; i++) {
        struct group_connection *connection = &group->connections[i];
        int end = node == 0 ? MASTER_END : SLAVE_END;

        if (connection->open[end] && (node == 0 || connection->node == node))
            close_end(group, connection, end);
    }
}

void group_stop(struct group *group, unsigned node)
{
    struct event event = {.kind = EVENT_STOP};

    handle(group, node, &event);
    group_kill(group, node);
}

void group_lose(struct group *group, unsigned node)
{
    group->away_ns = FORGOTTEN_NS;
    group_break(group, node);
    group_run(group, FORGOTTEN_NS);
    group->away_ns = 0;
}

void group_break(struct group *group, unsigned node)
{
    for (unsigned i = 0; i < group->connection_count; i++) {
        struct group_connection *connection = &group->connections[i];

        if (connection->node != node || !connection->open[MASTER_END])
            continue;
        cross(group, connection, MASTER_END, HAPPENS_DOWN);
        cross(group, connection, SLAVE_END, HAPPENS_DOWN);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#define WATCH_NS (50 * NS_PER_US) /* from the clock's setting to the timerfd's word */

static void reach(const struct world *world, const struct scenario_event *event, unsigned *first,
                  unsigned *last)
{
    *first = event->first == SCENARIO_ALL ? 1 : (unsigned)event->first;
    *last = event->first == SCENARIO_ALL ? world->count - 1 : (unsigned)event->last;
}

static int64_t end_of(const struct world *world, const struct scenario_event *event)
{
    return event->length_ns > 0 ? world->now_ns + event->length_ns : INT64_MAX;
}

static void set_clock(struct world *world, struct node *node, int64_t by_ns)
{
    node_set(node, world->now_ns, by_ns);
    truth_set(world->truth, node->index);
    world_plan(world, world->now_ns + WATCH_NS, HAPPENS_LOOK, node->index, node->generation);
}

static void cut(struct world *world, struct node *node, int64_t length_ns)
{
    if (node->index > 0)
        net_cut(world, node, length_ns);
    for (unsigned i = 1; node->index == 0 && i < world->count; i++)
        net_cut(world, &world->nodes[i], length_ns);
}

static void sever(struct world *world, const struct node *node)
{
    struct connection *next;

    for (struct connection *at = world->connections; at; at = next) {
        next = at->next;
        if (node->index > 0 && at->node != node->index)
            continue;
        for (int end = 0; end < 2; end++)
            if (at->open[end])
                world_plan_end(world, world->now_ns, HAPPENS_TIMEOUT, at, end);
    }
}

static void change_path(struct world *world, struct node *node, int64_t up_ns, int64_t down_ns)
{
    for (unsigned i = node->index > 0 ? node->index : 1;
         i <= (node->index > 0 ? node->index : world->count - 1); i++) {
        world->nodes[i].up.delay.base_ns += up_ns;
        world->nodes[i].down.delay.base_ns += down_ns;
    }
}

static void go_to_sleep(struct world *world, struct node *node, int64_t length_ns)
{
    truth_before(world->truth, node->index);
    node->asleep_until_ns = world->now_ns + length_ns;
    node_sleep(node, world->now_ns);
    cut(world, node, length_ns);
}

static void wake_up(struct world *world, struct node *node, int64_t slept_ns, int64_t rtc_error_ns)
{
    node->asleep_until_ns = 0;
    node_awake(node, world->now_ns, slept_ns, rtc_error_ns);
    truth_set(world->truth, node->index);
    world_plan(world, world->now_ns + WATCH_NS, HAPPENS_LOOK, node->index, node->generation);
}

static void get_stuck(struct world *world, struct node *node)
{
    struct reading now = node_read(node, world->now_ns);

    node->stuck = true;
    node->stuck_ns = now.raw_ns + now.total_ns;
}

static void strike_daemon(struct world *world, struct node *node,
                          const struct scenario_event *event)
{
    switch (event->what) {
    case SCENARIO_START:
        set_clock(world, node, truth_lag(world->truth, node->index) + event->by_ns);
        life_start(world, node);
        break;
    case SCENARIO_STOP:
        life_stop(world, node);
        break;
    case SCENARIO_KILL:
    case SCENARIO_RESTART:
        if (node_runs(node))
            life_kill(world, node);
        node->saved &= event->what == SCENARIO_KILL || event->known;
        break;
    default:
        break;
    }
}

static void strike(struct world *world, struct node *node, const struct scenario_event *event)
{
    truth_fault(world->truth, node->index, event, end_of(world, event));
    switch (event->what) {
    case SCENARIO_STEP:
        set_clock(world, node, event->by_ns);
        break;
    case SCENARIO_FREQUENCY:
        crystal_shift(&node->crystal, world->now_ns, event->by_ppm / 1e6);
        break;
    case SCENARIO_STUCK:
        get_stuck(world, node);
        break;
    case SCENARIO_LIE:
        node->lie_ns = event->by_ns;
        break;
    case SCENARIO_LIE_RANDOM:
        node->lie_random_ns = event->by_ns;
        break;
    case SCENARIO_PARTITION:
        cut(world, node, event->length_ns);
        break;
    case SCENARIO_BREAK:
        sever(world, node);
        break;
    case SCENARIO_SUSPEND:
        go_to_sleep(world, node, event->length_ns);
        break;
    case SCENARIO_DEAF:
        node->deaf_until_ns = end_of(world, event);
        break;
    case SCENARIO_PATH:
        change_path(world, node, event->up_ns, event->down_ns);
        break;
    case SCENARIO_START:
    case SCENARIO_STOP:
    case SCENARIO_KILL:
    case SCENARIO_RESTART:
        strike_daemon(world, node, event);
        break;
    }
}

static void relieve(struct world *world, struct node *node, const struct scenario_event *event)
{
    switch (event->what) {
    case SCENARIO_FREQUENCY:
        crystal_shift(&node->crystal, world->now_ns, -event->by_ppm / 1e6);
        break;
    case SCENARIO_STUCK:
        node->stuck = false;
        break;
    case SCENARIO_LIE:
        node->lie_ns = 0;
        break;
    case SCENARIO_LIE_RANDOM:
        node->lie_random_ns = 0;
        break;
    case SCENARIO_SUSPEND:
        wake_up(world, node, event->length_ns, event->by_ns);
        break;
    case SCENARIO_PATH:
        change_path(world, node, -event->up_ns, -event->down_ns);
        break;
    case SCENARIO_RESTART:
        if (event->by_ns != 0)
            set_clock(world, node, event->by_ns);
        life_start(world, node);
        break;
    default: /* ends by itself */
        break;
    }
}

void fate_strike(struct world *world, unsigned index)
{
    const struct scenario_event *event = &world->scenario->events[index];
    unsigned first, last;

    reach(world, event, &first, &last);
    for (unsigned i = first; i <= last; i++)
        strike(world, &world->nodes[i], event);
    if (event->length_ns > 0 || event->what == SCENARIO_RESTART)
        world_plan(world, world->now_ns + event->length_ns, HAPPENS_RELIEF, index, 0);
}

void fate_relieve(struct world *world, unsigned index)
{
    const struct scenario_event *event = &world->scenario->events[index];
    unsigned first, last;

    reach(world, event, &first, &last);
    for (unsigned i = first; i <= last; i++)
        relieve(world, &world->nodes[i], event);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)

static bool is_named(const struct scenario_event *event, unsigned node)
{
    return event->first == SCENARIO_ALL ? node > 0
                                        : (int)node >= event->first && (int)node <= event->last;
}

/* Its A is a line from the beginning: nobody sets it, and it is there. */
static bool is_steady(const struct scenario *scenario, unsigned node)
{
    if (!scenario_is_good(scenario, (int)node))
        return false;
    for (size_t i = 0; i < scenario->event_count; i++)
        if (scenario->events[i].what == SCENARIO_START && is_named(&scenario->events[i], node))
            return false;
    return true;
}

struct truth *truth_new(struct world *world)
{
    struct truth *truth = calloc(1, sizeof *truth);

    if (!truth)
        return NULL;
    truth->world = world;
    truth->results.fingerprint = FNV_OFFSET;
    truth->results.bound.worst_node = truth->results.maxerror.worst_node = -1;
    truth->results.slew_node = -1;
    truth->results.all_in_ns = -1;
    for (unsigned i = 0; i < world->count; i++) {
        struct fortune *fortune = &truth->fortunes[i];

        fortune->good = scenario_is_good(world->scenario, (int)i);
        fortune->steady = is_steady(world->scenario, i);
        fortune->excluded_ns = -1;
        fortune->in_since_ns = INT64_MAX;
        fortune->now.at_ns = fortune->slewed.at_ns = INT64_MIN;
        truth->row.nodes[i].bound_ns = INT64_MAX;
    }
    if (history_init(&truth->history, world->count))
        return truth;
    free(truth);
    return NULL;
}

void truth_free(struct truth *truth)
{
    if (!truth)
        return;
    history_free(&truth->history);
    free(truth);
}

void truth_watch(struct truth *truth, truth_watcher *watcher, void *context)
{
    truth->watcher = watcher;
    truth->context = context;
}

void truth_before(struct truth *truth, unsigned node)
{
    truth_find_group(truth);
    truth_check(truth, node);
}

void truth_after(struct truth *truth, unsigned node)
{
    truth_before(truth, node);
}

void truth_looking(struct truth *truth, unsigned node)
{
    truth_before(truth, node);
    truth->expects_meddling = truth->fortunes[node].unseen;
}

void truth_ticked(struct truth *truth, unsigned index)
{
    struct fortune *fortune = &truth->fortunes[index];

    truth->expects_meddling = false;
    fortune->unseen = false;
    fortune->now.at_ns = INT64_MIN; /* maxerror is a new one */
    truth_before(truth, index);
    truth_rebase_slope(truth, index);
}

void truth_set(struct truth *truth, unsigned index)
{
    struct fortune *fortune = &truth->fortunes[index];

    fortune->now.at_ns = fortune->slewed.at_ns = INT64_MIN;
    fortune->unseen = true;
}

void truth_stepped(struct truth *truth, unsigned index, int64_t by_ns)
{
    struct fortune *fortune = &truth->fortunes[index];

    truth->results.steps++;
    fortune->slewed.at_ns = INT64_MIN;
    fortune->now.corrected_ns += by_ns < 0 ? by_ns : 0;
}

int64_t truth_lag(struct truth *truth, unsigned node)
{
    truth_find_group(truth);
    return truth->has_group ? llround(truth->group_ns - truth_sample(truth, node)->off_ns) : 0;
}

struct range {
    double low, high;
    unsigned count;
};

static void widen(struct range *range, double value)
{
    if (range->count == 0 || value < range->low)
        range->low = value;
    if (range->count == 0 || value > range->high)
        range->high = value;
    range->count++;
}

static double width(const struct range *range)
{
    return range->count > 1 ? range->high - range->low : (double)NAN;
}

static void fill_row(struct truth *truth, struct history_row *past)
{
    const struct world *world = truth->world;
    struct truth_row *row = &truth->row;
    struct range in = {0}, all = {0};
    double total_ns = 0;
    unsigned steady = 0, good = 0;

    row->at_ns = world->now_ns;
    row->has_group = truth->has_group;
    row->group_ns = truth->group_ns;
    row->count = world->count;
    for (unsigned i = 0; i < world->count; i++) {
        const struct fortune *fortune = &truth->fortunes[i];
        const struct sample *sample = &fortune->now;

        row->nodes[i].runs = node_runs(&world->nodes[i]);
        row->nodes[i].faulty = fortune->faulty;
        row->nodes[i].verdict = fortune->verdict;
        row->nodes[i].error_ns = sample->off_ns - (truth->has_group ? truth->group_ns : 0);
        if (truth->history.count < HISTORY_EARLY)
            truth->history.early[i][truth->history.count] = sample->off_ns;
        good += fortune->good;
        if (fortune->good && row->nodes[i].state == SYNC_SYNCHRONISED)
            widen(&in, sample->off_ns);
        if (fortune->good && row->nodes[i].runs)
            widen(&all, sample->off_ns);
        if (fortune->steady) {
            steady++;
            total_ns += (double)(sample->corrected_ns - sample->raw_ns - NODE_EPOCH_NS);
        }
    }
    row->spread_in_ns = width(&in);
    row->spread_all_ns = width(&all);
    if (truth->results.all_in_ns < 0 && good > 0 && in.count == good)
        truth->results.all_in_ns = world->now_ns;
    if (truth->results.all_in_ns >= 0)
        truth->results.worst_ns = fmax(truth->results.worst_ns, row->spread_in_ns);
    *past = (struct history_row){.spread_in_ns = (float)row->spread_in_ns,
                                 .spread_all_ns = (float)row->spread_all_ns,
                                 .total_ns = steady ? total_ns / steady : (double)NAN,
                                 .group_ns = truth->has_group ? truth->group_ns : (double)NAN};
}

static void follow_latecomer(struct truth *truth, struct fortune *fortune)
{
    double error_ns = fortune->now.off_ns - truth->group_ns;

    if (fortune->was_born && fortune->start_ns != 0 &&
        truth->history.count < fortune->born + HISTORY_EARLY)
        fortune->beyond_ns = fmax(fortune->beyond_ns, fortune->start_ns > 0 ? -error_ns : error_ns);
}

void truth_grid(struct truth *truth)
{
    struct world *world = truth->world;
    struct history_row past;

    for (unsigned i = 0; i < world->count; i++)
        (void)truth_sample(truth, i);
    truth_find_group(truth);
    for (unsigned i = 0; i < world->count; i++) {
        if (world->nodes[i].asleep_until_ns <= world->now_ns)
            truth_check(truth, i);
        truth_heal(truth, i);
        follow_latecomer(truth, &truth->fortunes[i]);
        if (truth->has_group && truth->fortunes[i].good && truth->row.nodes[i].state &&
            world->now_ns >= world->scenario->settle_ns)
            histogram_add(&truth->errors, fabs(truth->fortunes[i].now.off_ns - truth->group_ns));
    }
    fill_row(truth, &past);
    world->lost |= !history_add(&truth->history, &past);
    if (truth->watcher)
        truth->watcher(&truth->row, truth->context);
}

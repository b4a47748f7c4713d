/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID_PER_S ((size_t)(NS_PER_S / TRUTH_GRID_NS))
#define LINE_ROWS (300 * GRID_PER_S)  /* a line is laid through so many before the first event,
                                       * as far as they are after `settle` */
#define SHIFT_ROWS (600 * GRID_PER_S)
#define TARGET_FROM (60 * GRID_PER_S) /* by then a group has formed and found its rate */
#define RATIO_SCALE 1e6
#define OFFSET_SPREADS 100            /* a smaller initial offset says nothing of overshoot */

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The smallest of `count` sorted ones that `share` of them do not exceed. */
static double quantile(const float *sorted, size_t count, double share)
{
    size_t rank = (size_t)ceil(share * (double)count);

    return (double)sorted[rank > 0 ? rank - 1 : 0];
}

static void measure_spread(struct truth *truth, struct truth_results *results)
{
    size_t from = (size_t)(truth->world->scenario->settle_ns / TRUTH_GRID_NS), count = 0;
    float *spreads = calloc(truth->history.count + 1, sizeof *spreads);
    double squares = 0;

    results->spread_rms_ns = results->spread_p50_ns = results->spread_p99_ns =
        results->spread_max_ns = (double)NAN;
    for (size_t i = from; spreads && i < truth->history.count; i++) {
        float spread = truth->history.rows[i].spread_in_ns;

        if (isnan(spread))
            continue;
        spreads[count++] = spread;
        squares += (double)spread * (double)spread;
    }
    results->samples = count;
    if (count > 0) {
        qsort(spreads, count, sizeof *spreads, compare);
        results->spread_rms_ns = sqrt(squares / (double)count);
        results->spread_p50_ns = quantile(spreads, count, 0.5);
        results->spread_p99_ns = quantile(spreads, count, 0.99);
        results->spread_max_ns = (double)spreads[count - 1];
    }
    free(spreads);
}

static double total_of(const struct history_row *row)
{
    return row->total_ns;
}

static double group_of(const struct history_row *row)
{
    return row->group_ns;
}

/* In total corrections, not in time: what the crystals wander meanwhile is nobody's fault. */
static double shift(const struct truth *truth)
{
    const struct scenario *scenario = truth->world->scenario;
    const struct history *history = &truth->history;
    int64_t first_ns = INT64_MAX;
    double largest_ns = 0;
    struct line line;
    size_t from, to;

    for (size_t i = 0; i < scenario->event_count; i++)
        if (scenario->events[i].at_ns < first_ns)
            first_ns = scenario->events[i].at_ns;
    if (first_ns == INT64_MAX)
        return (double)NAN;
    to = (size_t)(first_ns / TRUTH_GRID_NS);
    from = to > LINE_ROWS ? to - LINE_ROWS : 0;
    if (scenario->settle_ns < first_ns && from < (size_t)(scenario->settle_ns / TRUTH_GRID_NS))
        from = (size_t)(scenario->settle_ns / TRUTH_GRID_NS);
    if (!history_line(history, from, to, total_of, &line))
        return (double)NAN;
    for (size_t i = to; i < history->count && i < to + SHIFT_ROWS; i++) {
        double off_ns = history->rows[i].total_ns - (line.at_zero + line.slope * (double)i);

        if (fabs(off_ns) > largest_ns)
            largest_ns = fabs(off_ns);
    }
    return largest_ns;
}

/* How far it went to the other side of the line. */
static double beyond(const struct truth *truth, unsigned node, const struct line *line,
                     double *start_ns)
{
    const struct fortune *fortune = &truth->fortunes[node];
    const double *early = truth->history.early[node];
    double farthest_ns = 0;

    if (fortune->start_ns != 0) {
        *start_ns = fortune->start_ns;
        return fortune->beyond_ns;
    }
    *start_ns = early[0] - line->at_zero;
    for (size_t i = 0; i < HISTORY_EARLY && i < truth->history.count; i++) {
        double error_ns = early[i] - (line->at_zero + line->slope * (double)i);

        farthest_ns = fmax(farthest_ns, *start_ns > 0 ? -error_ns : error_ns);
    }
    return farthest_ns;
}

static void measure_overshoot(struct truth *truth, struct truth_results *results)
{
    double floor_ns = fmax(OFFSET_SPREADS * results->spread_p99_ns, 1);
    struct line line;

    results->overshoot = 0;
    results->overshoot_node = -1;
    if (!history_line(&truth->history, TARGET_FROM, HISTORY_EARLY, group_of, &line))
        return;
    for (unsigned i = 0; i < truth->world->count; i++) {
        double start_ns, share;

        if (!truth->fortunes[i].good && truth->fortunes[i].start_ns == 0)
            continue;
        share = beyond(truth, i, &line, &start_ns) / fabs(start_ns);
        if (!(fabs(start_ns) >= floor_ns && share >= results->overshoot))
            continue;
        results->overshoot = share;
        results->overshoot_node = (int)i;
    }
}

void truth_results(struct truth *truth, struct truth_results *out)
{
    struct truth_results *results = &truth->results;

    measure_spread(truth, results);
    results->error_p99_ns = histogram_quantile(&truth->errors, 0.99);
    results->bound_p50_ns = histogram_quantile(&truth->bounds, 0.5);
    results->ratio_p99 = histogram_quantile(&truth->ratios, 0.99) / RATIO_SCALE;
    results->shift_ns = shift(truth);
    measure_overshoot(truth, results);
    results->in_at_end = 0;
    for (unsigned i = 0; i < SCENARIO_NODES_MAX; i++) {
        results->excluded_ns[i] = -1;
        if (i >= truth->world->count)
            continue;
        results->excluded_ns[i] = truth->fortunes[i].excluded_ns;
        results->in_at_end += truth->fortunes[i].in && node_runs(&truth->world->nodes[i]);
    }
    *out = *results;
}

int64_t truth_converged(const struct truth *truth, double limit_ns)
{
    size_t at = truth->history.count;

    while (at > 0 && (double)truth->history.rows[at - 1].spread_all_ns <= limit_ns)
        at--;
    return at < truth->history.count ? (int64_t)at * TRUTH_GRID_NS : -1;
}

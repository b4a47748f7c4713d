/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include <math.h>

#define SLOPE_SPAN_NS (50 * NS_PER_MS) /* shorter ones say nothing: a ns is a ns */
#define SLOPE_SHARE 1.01
#define SLOPE_FLOOR_PPB 1000.0
/* What was ordered before the first synchronisation goes on until the next tick, and the
 * chunk then under way until the next second's boundary. */
#define SLOPE_GRACE_NS (2200 * NS_PER_MS)
#define RATIO_SCALE 1e6

const struct sample *truth_sample(struct truth *truth, unsigned index)
{
    struct world *world = truth->world;
    struct fortune *fortune = &truth->fortunes[index];
    struct node *node = &world->nodes[index];
    struct timex_model model;

    if (fortune->now.at_ns == world->now_ns)
        return &fortune->now;
    model = node->model;
    timex_model_advance(&model, crystal_raw(&node->crystal, world->now_ns));
    if (fortune->now.at_ns != INT64_MIN && model.real_ns < fortune->now.corrected_ns) {
        int64_t back_ns = fortune->now.corrected_ns - model.real_ns;

        truth->results.backward++;
        if (back_ns > truth->results.backward_ns)
            truth->results.backward_ns = back_ns;
    }
    fortune->now = (struct sample){
        .at_ns = world->now_ns,
        .raw_ns = model.raw_ns,
        .corrected_ns = model.real_ns,
        .maxerror_ns = model.status & STA_UNSYNC ? INT64_MAX : model.maxerror_us * NS_PER_US,
        .off_ns = (double)(model.real_ns - NODE_EPOCH_NS - world->now_ns),
    };
    return &fortune->now;
}

void truth_find_group(struct truth *truth)
{
    double sum_ns = 0, low_ns = INFINITY, high_ns = -INFINITY;
    unsigned count = 0;

    if (!truth->formed)
        return;
    for (unsigned i = 0; i < truth->world->count; i++) {
        double off_ns;

        if (!truth->fortunes[i].counted || truth->fortunes[i].faulty)
            continue;
        off_ns = truth_sample(truth, i)->off_ns;
        count++;
        sum_ns += off_ns;
        low_ns = off_ns < low_ns ? off_ns : low_ns;
        high_ns = off_ns > high_ns ? off_ns : high_ns;
    }
    truth->has_group = count > 0;
    if (count == 0)
        return;
    truth->group_ns = sum_ns / count;
    truth->spread_ns = high_ns - low_ns;
}

static void hold_against(struct truth_bound *bound, unsigned node, const struct sample *sample,
                         double error_ns, int64_t bound_ns)
{
    double ratio = error_ns / (double)(bound_ns > 0 ? bound_ns : 1);

    bound->checks++;
    bound->violations += error_ns > (double)bound_ns;
    if (bound->worst_node >= 0 && ratio <= bound->worst_ratio)
        return;
    bound->worst_node = (int)node;
    bound->worst_at_ns = sample->at_ns;
    bound->worst_ratio = ratio;
    bound->worst_error_ns = (int64_t)error_ns;
    bound->worst_bound_ns = bound_ns;
}

static void check_claims(struct truth *truth, unsigned index, const struct sample *sample)
{
    const struct node *node = &truth->world->nodes[index];
    struct fortune *fortune = &truth->fortunes[index];
    struct reading now = {.raw_ns = sample->raw_ns,
                          .total_ns = sample->corrected_ns - sample->raw_ns};
    double error_ns = fabs(sample->off_ns - truth->group_ns);
    struct summary summary;

    if (node_runs(node)) {
        node_summary(node, &now, &summary);
        truth->row.nodes[index].state = (uint8_t)summary.state;
        truth->row.nodes[index].bound_ns = INT64_MAX;
        if (summary.state == SYNC_UNSYNCHRONISED)
            summary.bound_ns = INT64_MAX;
        else if (fortune->in_since_ns == INT64_MAX)
            fortune->in_since_ns = sample->at_ns;
        truth->row.nodes[index].bound_ns = summary.bound_ns;
        if (truth->has_group && !fortune->wild && !fortune->unseen &&
            summary.bound_ns != INT64_MAX) {
            hold_against(&truth->results.bound, index, sample, error_ns, summary.bound_ns);
            if (fortune->good && sample->at_ns >= truth->world->scenario->settle_ns) {
                histogram_add(&truth->bounds, (double)summary.bound_ns);
                histogram_add(&truth->ratios, RATIO_SCALE * error_ns / (double)summary.bound_ns);
            }
        }
    }
    if (truth->has_group && !fortune->wild && !fortune->unseen && sample->maxerror_ns != INT64_MAX)
        hold_against(&truth->results.maxerror, index, sample, error_ns, sample->maxerror_ns);
}

void truth_rebase_slope(struct truth *truth, unsigned index)
{
    struct fortune *fortune = &truth->fortunes[index];

    fortune->slewed = *truth_sample(truth, index);
    fortune->freq_scaled = truth->world->nodes[index].model.freq_scaled;
}

/* dA / dRAW less the frequency in force is the slew. */
static void check_slope(struct truth *truth, unsigned index, const struct sample *sample)
{
    const struct discipline_limits *limits = &truth->world->nodes[index].limits;
    struct fortune *fortune = &truth->fortunes[index];
    const struct sample *before = &fortune->slewed;
    double span_ns = (double)(sample->raw_ns - before->raw_ns);
    double limit_ppb = 1e3 * limits->initial_slew_ppm;
    double moved_ns, slew_ppb;

    if (before->at_ns != INT64_MIN && span_ns < SLOPE_SPAN_NS)
        return;
    if (before->at_ns != INT64_MIN) {
        if (fortune->in_since_ns < INT64_MAX - SLOPE_GRACE_NS &&
            before->at_ns > fortune->in_since_ns + SLOPE_GRACE_NS)
            limit_ppb = 1e3 * limits->max_slew_ppm;
        moved_ns = (double)(sample->corrected_ns - before->corrected_ns) - span_ns;
        slew_ppb = fabs(moved_ns / span_ns * 1e9 - (double)fortune->freq_scaled * 0x1p-32);
        truth->results.too_fast += slew_ppb > SLOPE_SHARE * limit_ppb + SLOPE_FLOOR_PPB;
        if (slew_ppb / limit_ppb > truth->results.slew_share) {
            truth->results.slew_share = slew_ppb / limit_ppb;
            truth->results.slew_node = (int)index;
            truth->results.slew_at_ns = sample->at_ns;
        }
    }
    truth_rebase_slope(truth, index);
}

void truth_check(struct truth *truth, unsigned index)
{
    const struct sample *sample = truth_sample(truth, index);

    check_claims(truth, index, sample);
    check_slope(truth, index, sample);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What befalls a group, and what can be seen of it. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TRUTH_NS (INT64_C(1700000000) * NS_PER_S) /* what all clocks shall show at true time 0 */

void group_clock(struct group *group, unsigned node, int64_t offset_ns, double raw_ppm)
{
    int64_t raw_ns = (int64_t)(node + 1) * 12345 * NS_PER_S + (int64_t)node * 271828183;

    group->nodes[node].clock = (struct model_clock){.true_ns = group->now_ns,
                                                    .raw_ns = raw_ns,
                                                    .raw_ppm = raw_ppm,
                                                    .total_raw_ns = raw_ns,
                                                    .second_raw_ns = raw_ns + NS_PER_S};
    group->nodes[node].clock.total_ns = TRUTH_NS + group->now_ns + offset_ns - raw_ns;
    group->nodes[node].seen_ns = 0;
    group->nodes[node].start_ns = group->now_ns;
    group->nodes[node].offset_ns = offset_ns;
}

void group_five(struct group *group)
{
    static const int64_t offsets_ms[] = {-400, 400, 130, -250, 20};
    static const double crystals_ppm[] = {80, -80, 35, -12, 3};

    group_init(group, 5);
    for (unsigned i = 0; i < 5; i++)
        group_clock(group, i, offsets_ms[i] * NS_PER_MS, crystals_ppm[i]);
}

void group_step(struct group *group, unsigned node, int64_t step_ns)
{
    (void)group_reading(group, node);
    group->nodes[node].clock.total_ns += step_ns;
    group->nodes[node].seen_ns += step_ns;
}

void group_jump_raw(struct group *group, unsigned node, int64_t jump_ns, bool told)
{
    struct model_clock *clock = &group->nodes[node].clock;

    (void)group_reading(group, node);
    clock->raw_ns += jump_ns;
    clock->total_raw_ns += jump_ns;
    clock->second_raw_ns += jump_ns;
    group->nodes[node].seen_ns = 0;
    clock->jumped = told;
}

void group_frequency(struct group *group, unsigned node, double raw_ppm)
{
    struct model_clock *clock = &group->nodes[node].clock;

    clock->raw_ns = group_reading(group, node).raw_ns;
    clock->true_ns = group->now_ns;
    clock->raw_ppm = raw_ppm;
}

void group_suspend(struct group *group, unsigned node, int64_t span_ns, int64_t rtc_error_ns)
{
    struct model_clock *clock = &group->nodes[node].clock;

    clock->raw_ns = group_reading(group, node).raw_ns;
    clock->true_ns = group->now_ns + span_ns;
    clock->total_ns += span_ns + rtc_error_ns;
    clock->jumped = true;
    group->nodes[node].seen_ns = 0;
    group->nodes[node].asleep_until_ns = group->now_ns + span_ns;
}

int64_t group_error(struct group *group, unsigned node)
{
    struct reading now = group_reading(group, node);

    return now.raw_ns + now.total_ns - TRUTH_NS - group->now_ns;
}

int64_t group_spread(struct group *group, unsigned nodes)
{
    int64_t lowest = INT64_MAX, highest = INT64_MIN;

    for (unsigned i = 0; i < group->count; i++) {
        int64_t error_ns = group_error(group, i);

        if (!(nodes & 1U << i))
            continue;
        lowest = error_ns < lowest ? error_ns : lowest;
        highest = error_ns > highest ? error_ns : highest;
    }
    return highest - lowest;
}

int64_t group_mean(struct group *group, unsigned nodes)
{
    int64_t sum = 0, count = 0;

    for (unsigned i = 0; i < group->count; i++) {
        if (!(nodes & 1U << i))
            continue;
        sum += group_error(group, i);
        count++;
    }
    return count > 0 ? sum / count : 0;
}

int64_t group_free_mean(const struct group *group, unsigned nodes)
{
    int64_t sum = 0, count = 0;

    for (unsigned i = 0; i < group->count; i++) {
        const struct group_node *node = &group->nodes[i];

        if (!(nodes & 1U << i))
            continue;
        sum += node->offset_ns +
               timestamp_drift(group->now_ns - node->start_ns, node->clock.raw_ppm * 1e3);
        count++;
    }
    return count > 0 ? sum / count : 0;
}

void group_summary(struct group *group, unsigned node, struct summary *summary)
{
    struct reading now = group_reading(group, node);

    if (node == 0)
        master_summary(group->nodes[0].master, &now, summary);
    else
        slave_summary(group->nodes[node].slave, &now, summary);
}

static bool is_about(const struct group_note *note, unsigned node, enum note_kind kind,
                     const char *name)
{
    return note->node == node && note->note.kind == kind &&
           (!name || strcmp(note->note.name, name) == 0);
}

unsigned group_notes(const struct group *group, unsigned node, enum note_kind kind,
                     const char *name, int64_t since_ns)
{
    unsigned count = 0;

    for (size_t i = 0; i < group->note_count; i++)
        count += group->notes[i].at_ns >= since_ns && is_about(&group->notes[i], node, kind, name);
    return count;
}

const struct note *group_note(const struct group *group, unsigned node, enum note_kind kind,
                              const char *name)
{
    for (size_t i = group->note_count; i-- > 0;)
        if (is_about(&group->notes[i], node, kind, name))
            return &group->notes[i].note;
    fail_msg("no note %d of node %u about %s", kind, node, name ? name : "anybody");
    return NULL;
}

void group_assert_within(int64_t a_ns, int64_t b_ns, int64_t limit_ns)
{
    if (timestamp_abs(a_ns - b_ns) > limit_ns)
        fail_msg("%lld and %lld ns are further apart than %lld ns", (long long)a_ns,
                 (long long)b_ns, (long long)limit_ns);
}

void group_assert_states(struct group *group, unsigned nodes, enum sync_state state)
{
    struct summary summary;

    for (unsigned i = 0; i < group->count; i++) {
        if (!(nodes & 1U << i))
            continue;
        group_summary(group, i, &summary);
        if (summary.state != state)
            fail_msg("%s is %s, not %s", group->nodes[i].name, sync_state_name(summary.state),
                     sync_state_name(state));
    }
}

static bool is_synchronised(struct group *group, unsigned node, int64_t *bound_ns)
{
    struct summary summary;

    if (!group->nodes[node].master && !group->nodes[node].slave)
        return false;
    if (group->nodes[node].asleep_until_ns > group->now_ns)
        return false;
    group_summary(group, node, &summary);
    *bound_ns = summary.bound_ns;
    return summary.state != SYNC_UNSYNCHRONISED;
}

void group_bounds_hold(struct group *group, void *context)
{
    int64_t bound_ns, other_ns;

    (void)context;
    for (unsigned i = 0; i < group->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (is_synchronised(group, i, &bound_ns) && is_synchronised(group, j, &other_ns))
                group_assert_within(group_error(group, i), group_error(group, j),
                                    bound_ns + other_ns);
}

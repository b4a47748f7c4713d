/* SPDX-License-Identifier: BSD-2-Clause */
/* The clocks as an operator of the master is shown them. */
#include "core/view.h"

#include "group_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_NS (60 * NS_PER_S)
#define ROUND_NS (4 * NS_PER_S)
#define NEAR_NS (5 * NS_PER_US) /* what quiet links tell of a clock, at least */
#define SUSPENDED_ROUNDS 4

static void prepared(struct group *group)
{
    group_five(group);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = 500;
    group->config.kind = CLOCK_KIND_KERNEL;
}

/* Two minutes after the start, a second after a round. */
static void settle(struct group *group)
{
    group_start_all(group);
    group_run(group, 2 * MINUTE_NS);
    group_run(group, group->round_at_ns + ROUND_NS + NS_PER_S - group->now_ns);
}

static void settled(struct group *group)
{
    prepared(group);
    settle(group);
}

static void run_rounds(struct group *group, unsigned count)
{
    group_run(group, count * ROUND_NS);
}

static bool find_view(struct group *group, unsigned node, struct clock_view *view)
{
    const struct master *master = group->nodes[0].master;
    const struct reading now = group_reading(group, 0);

    for (size_t i = 0; i < master_views(master); i++)
        if (master_view(master, i, &now, view) && strcmp(view->name, group->nodes[node].name) == 0)
            return true;
    return false;
}

static struct clock_view view_of(struct group *group, unsigned node)
{
    struct clock_view view;

    assert_true(find_view(group, node, &view));
    return view;
}

static double weights(struct group *group)
{
    double sum = 0;

    for (unsigned i = 0; i < group->count; i++)
        sum += view_of(group, i).weight;
    return sum;
}

static void assert_weight(double a, double b)
{
    assert_true(fabs(a - b) < 1e-9);
}

static void assert_not_measured(const struct clock_view *view)
{
    assert_false(view->measured);
    assert_int_equal(view->offset_ns, 0);
    assert_int_equal(view->sd_ns, 0);
    assert_int_equal(view->delay_ns, 0);
    assert_int_equal(view->jitter_ns, 0);
    assert_true(view->rate_ppb == 0 && view->weight == 0);
}

static void the_own_clock_comes_first(void **state)
{
    (void)state;
    struct reading now;
    struct clock_view view;
    struct summary summary;
    struct group group;

    settled(&group);
    now = group_reading(&group, 0);
    assert_true(master_view(group.nodes[0].master, 0, &now, &view));
    group_summary(&group, 0, &summary);
    assert_true(view.own && view.measured && !view.reference);
    assert_string_equal(view.name, "node-a");
    assert_string_equal(view.address, "");
    assert_int_equal(view.kind, CLOCK_KIND_KERNEL);
    assert_int_equal(view.state, SYNC_SYNCHRONISED);
    assert_int_equal(view.verdict, VERDICT_COUNTED);
    assert_int_equal(view.bound_ns, summary.bound_ns);
    assert_true(view.freq_ppb == summary.freq_ppb && view.freq_ppb < -50000);
    assert_in_range(view.sd_ns, 1, NEAR_NS);
    assert_int_equal(view.delay_ns, 0);
    assert_int_equal(view.jitter_ns, 0);
    assert_int_equal(view.heard_ns, 0);
    assert_weight(view.weight, 0.2);
    group_free(&group);
}

static void a_counted_clock_is_known_in_all_its_parts(void **state)
{
    (void)state;
    struct group group;

    settled(&group);
    for (unsigned i = 1; i < group.count; i++) {
        struct clock_view view = view_of(&group, i);
        struct summary summary;

        group_summary(&group, i, &summary);
        assert_true(view.measured && !view.own && !view.reference);
        assert_string_equal(view.address, "192.0.2.1");
        assert_int_equal(view.kind, CLOCK_KIND_EMULATED);
        assert_int_equal(view.state, SYNC_SYNCHRONISED);
        assert_int_equal(view.verdict, VERDICT_COUNTED);
        assert_true(fabs(view.rate_ppb) < 1000);
        group_assert_within((int64_t)view.freq_ppb, (int64_t)summary.freq_ppb, 10);
        group_assert_within(view.delay_ns, group.nodes[i].delay_ns, NEAR_NS);
        assert_in_range(view.jitter_ns, 100, 2000);
        assert_in_range(view.sd_ns, 1, NEAR_NS);
        assert_in_range(view.bound_ns, view.delay_ns, 1 + NS_PER_MS);
        assert_in_range(view.heard_ns, 1, ROUND_NS);
        assert_true(view.gate_ns > NS_PER_US && view.gate_ppb > 0);
        assert_weight(view.weight, 0.2);
    }
    assert_weight(weights(&group), 1);
    group_free(&group);
}

/* By what is seen of them, and what they are: one that was set ahead, and its crystal. */
static void offset_and_rate_are_against_the_group(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    settled(&group);
    for (unsigned i = 0; i < group.count; i++)
        group_assert_within(view_of(&group, i).offset_ns,
                            group_error(&group, i) - group_mean(&group, 0x1F), NEAR_NS);
    group_step(&group, 3, 30 * NS_PER_MS);
    run_rounds(&group, 1);
    view = view_of(&group, 3);
    group_assert_within(view.offset_ns, 30 * NS_PER_MS, 3 * NS_PER_MS); /* it slews already */
    group_free(&group);
    settled(&group);
    group_frequency(&group, 3, 3);
    run_rounds(&group, 3);
    view = view_of(&group, 3);
    assert_int_equal(view.verdict, VERDICT_SUSPENDED);
    assert_true(fabs(view.rate_ppb - 15e3) < 2e3 && view.rate_ppb > view.gate_ppb);
    group_free(&group);
}

static void an_excluded_clock_shows_why_and_for_how_long(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    settled(&group);
    group.nodes[2].lie_ns = -NS_PER_S;
    run_rounds(&group, 1);
    view = view_of(&group, 2);
    assert_int_equal(view.verdict, VERDICT_FAR);
    assert_true(view.measured);
    group_assert_within(view.offset_ns, -NS_PER_S, NEAR_NS);
    assert_int_equal(view.gate_ns,
                     group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->limit_ns);
    for (unsigned left = SUSPENDED_ROUNDS; left > 0; left--) {
        assert_int_equal(view_of(&group, 2).suspended, left);
        assert_weight(view_of(&group, 2).weight, 0);
        assert_weight(view_of(&group, 0).weight, 0.25);
        assert_weight(weights(&group), 1);
        run_rounds(&group, 1);
    }
    view = view_of(&group, 2);
    assert_int_equal(view.suspended, 0);
    assert_int_equal(view.verdict, VERDICT_SUSPENDED);
    group_free(&group);
}

static void a_newcomer_is_measured_but_has_no_weight(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    prepared(&group);
    for (unsigned i = 0; i < 4; i++)
        group_start(&group, i);
    group_run(&group, MINUTE_NS);
    assert_false(find_view(&group, 4, &view));
    group_start(&group, 4);
    group_run(&group, 2500 * NS_PER_MS);
    view = view_of(&group, 4);
    assert_int_equal(view.verdict, VERDICT_NEWCOMER);
    assert_int_equal(view.state, SYNC_UNSYNCHRONISED);
    assert_true(view.measured && view.sd_ns > 0);
    assert_weight(view.weight, 0);
    assert_weight(view_of(&group, 0).weight, 0.25);
    group_free(&group);
}

/* What was measured before is not shown as if it were still so. */
static void a_silent_clock_is_not_measured(void **state)
{
    (void)state;
    struct clock_view before, view;
    struct group group;

    settled(&group);
    before = view_of(&group, 2);
    group.nodes[2].stalled_until_ns = group.now_ns + 3 * ROUND_NS;
    run_rounds(&group, 2);
    view = view_of(&group, 2);
    assert_int_equal(view.verdict, VERDICT_SILENT);
    assert_not_measured(&view);
    assert_int_equal(view.state, SYNC_SYNCHRONISED);
    assert_int_equal(view.bound_ns, before.bound_ns);
    assert_true(view.freq_ppb == before.freq_ppb);
    assert_true(view.heard_ns > before.heard_ns + ROUND_NS);
    assert_weight(weights(&group), 1);
    run_rounds(&group, 3);
    assert_true(view_of(&group, 2).measured);
    group_free(&group);
}

static void who_left_is_not_shown(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;
    size_t count = 0;

    settled(&group);
    group_kill(&group, 2);
    group_run(&group, NS_PER_S);
    assert_false(find_view(&group, 2, &view));
    for (size_t i = 0; i < master_views(group.nodes[0].master) + 3; i++) {
        const struct reading now = group_reading(&group, 0);

        memset(&view, 0x5a, sizeof view);
        if (master_view(group.nodes[0].master, i, &now, &view))
            count++;
        else
            assert_int_equal(view.verdict, 0x5a);
    }
    assert_int_equal(count, 4);
    group_free(&group);
}

/* Connected again, but nothing of the new connection was measured yet. */
static void who_is_back_has_to_be_measured_again(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    settled(&group);
    group_break(&group, 2);
    group_run(&group, 1010 * NS_PER_MS);
    view = view_of(&group, 2);
    assert_not_measured(&view);
    assert_int_equal(view.verdict, VERDICT_COUNTED);
    assert_int_equal(view.bound_ns, INT64_MAX);
    group_run(&group, 2 * NS_PER_S);
    assert_true(view_of(&group, 2).measured);
    group_free(&group);
}

static void without_a_quorum_nobody_has_weight(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 3);
    settle(&group);
    assert_weight(weights(&group), 1);
    group.nodes[1].lie_ns = NS_PER_S;
    group.nodes[2].lie_ns = -NS_PER_S;
    run_rounds(&group, 1);
    assert_int_equal(view_of(&group, 1).verdict, VERDICT_NO_QUORUM);
    assert_true(view_of(&group, 1).measured);
    group_assert_within(view_of(&group, 1).offset_ns, NS_PER_S, NS_PER_MS);
    assert_weight(weights(&group), 0);
    group_free(&group);
}

static void observers_are_measured_too(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    prepared(&group);
    group.config.discipline = false;
    group.nodes[0].observed = group.nodes[4].observed = true;
    settle(&group);
    for (unsigned i = 0; i < group.count; i += 4) {
        view = view_of(&group, i);
        assert_int_equal(view.kind, CLOCK_KIND_OBSERVED);
        assert_int_equal(view.verdict, VERDICT_OBSERVER);
        assert_true(view.measured);
        group_assert_within(view.offset_ns, group_error(&group, i) - group_mean(&group, 0xE),
                            NS_PER_MS);
        assert_true(timestamp_abs(view.offset_ns) > NS_PER_MS);
        assert_weight(view.weight, 0);
    }
    assert_weight(weights(&group), 1);
    group_free(&group);
}

static void references_have_gates_of_their_own(void **state)
{
    (void)state;
    struct group group;

    prepared(&group);
    for (unsigned i = 2; i < 5; i++) {
        group_clock(&group, i, 0, 0);
        group.nodes[i].observed = true;
        memcpy(group.config.references[i], group.nodes[i].name, WIRE_NAME_SIZE);
    }
    settle(&group);
    assert_true(view_of(&group, 3).reference && !view_of(&group, 1).reference);
    assert_int_equal(view_of(&group, 3).gate_ns, NS_PER_MS);
    assert_true(view_of(&group, 3).gate_ppb >= 1000);
    assert_true(view_of(&group, 1).gate_ns < 100 * NS_PER_US);
    assert_weight(view_of(&group, 1).weight, 0);
    assert_weight(view_of(&group, 3).weight, 1.0 / 3);
    group.nodes[4].lie_ns = 10 * NS_PER_MS;
    run_rounds(&group, 2);
    assert_int_equal(group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-e")->limit_ns, NS_PER_MS);
    group_free(&group);
}

/* A master that was suspended knows nothing of the group's time any more. */
static void nothing_is_measured_against_no_time(void **state)
{
    (void)state;
    struct clock_view view;
    struct group group;

    settled(&group);
    group_suspend(&group, 0, 5 * NS_PER_S, 0);
    group_run(&group, 5200 * NS_PER_MS);
    for (unsigned i = 0; i < group.count; i++) {
        view = view_of(&group, i);
        assert_not_measured(&view);
        assert_int_equal(view.gate_ns, 0);
        assert_true(view.gate_ppb == 0);
    }
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_own_clock_comes_first),
        cmocka_unit_test(a_counted_clock_is_known_in_all_its_parts),
        cmocka_unit_test(offset_and_rate_are_against_the_group),
        cmocka_unit_test(an_excluded_clock_shows_why_and_for_how_long),
        cmocka_unit_test(a_newcomer_is_measured_but_has_no_weight),
        cmocka_unit_test(a_silent_clock_is_not_measured),
        cmocka_unit_test(who_left_is_not_shown),
        cmocka_unit_test(who_is_back_has_to_be_measured_again),
        cmocka_unit_test(without_a_quorum_nobody_has_weight),
        cmocka_unit_test(observers_are_measured_too),
        cmocka_unit_test(references_have_gates_of_their_own),
        cmocka_unit_test(nothing_is_measured_against_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What both machines tell people of a round and of themselves. */
#include "group_model.h"
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_NS (60 * NS_PER_S)
#define ROUND_NS (4 * NS_PER_S)
#define NEAR_NS (5 * NS_PER_US)
#define EXCHANGE_GAP_NS (20 * NS_PER_MS)

static void settled(struct group *group)
{
    group_five(group);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = 500;
    group_start_all(group);
    group_run(group, 2 * MINUTE_NS);
    group_run(group, group->round_at_ns + ROUND_NS + NS_PER_S - group->now_ns);
}

static struct summary summary_of(struct group *group, unsigned node)
{
    struct summary summary;

    group_summary(group, node, &summary);
    return summary;
}

/* Four exchanges with four slaves in turn, and the way there and back of the last of them. */
static void a_round_is_told_as_it_was(void **state)
{
    (void)state;
    struct group group;
    int64_t least_ns = 3 * EXCHANGE_GAP_NS + 3 * EXCHANGE_GAP_NS / 4 + 200 * NS_PER_US;

    settled(&group);
    assert_int_equal(group.round.count, 0);
    assert_int_equal(group.round.verdict, VERDICT_COUNTED);
    assert_in_range(group.round.bound_ns, 50 * NS_PER_US, NS_PER_MS);
    assert_in_range(group.round.duration_ns, least_ns, least_ns + NS_PER_MS);
    group.nodes[2].lie_ns = NS_PER_S;
    group_run(&group, ROUND_NS);
    assert_int_equal(group.round.count, 1);
    group.nodes[3].lie_ns = -NS_PER_S;
    group_run(&group, ROUND_NS);
    assert_int_equal(group.round.count, 2); /* one FAR, one SUSPENDED */
    assert_int_equal(group.round.present, 5);
    assert_int_equal(group.round.counted, 3);
    group.nodes[4].stalled_until_ns = group.now_ns + 2 * ROUND_NS;
    group_run(&group, ROUND_NS + NS_PER_S);
    assert_in_range(group.round.duration_ns, NS_PER_S, 2 * NS_PER_S); /* it was waited for */
    group_free(&group);
}

static void the_spread_is_that_of_the_last_round(void **state)
{
    (void)state;
    struct group group;

    settled(&group);
    assert_true(group.round.offset_ns > 0);
    assert_int_equal(summary_of(&group, 0).spread_ns, group.round.offset_ns);
    assert_int_equal(summary_of(&group, 1).spread_ns, 0);
    group.nodes[2].lie_ns = NS_PER_S;
    group_run(&group, ROUND_NS);
    assert_true(summary_of(&group, 0).spread_ns < NS_PER_MS);
    group_free(&group);
}

static void a_newcomer_does_not_spread_the_counted(void **state)
{
    (void)state;
    struct group group;

    settled(&group);
    group_kill(&group, 2);
    group_clock(&group, 2, NS_PER_S, 3);
    group_start(&group, 2);
    while (group.round.present < 5 || group.round.count > 0) {
        assert_true(group.now_ns < 600 * NS_PER_S);
        group_run(&group, ROUND_NS);
    }
    group_run(&group, ROUND_NS);
    assert_int_equal(group.round.counted, 4);
    assert_true(summary_of(&group, 0).spread_ns < NS_PER_MS);
    group_free(&group);
}

/* All by the discipline; the two paths of a slave and of the mean are 100 us. */
static void a_summary_tells_bounds_in_their_parts(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;

    settled(&group);
    for (unsigned i = 0; i < group.count; i++) {
        summary = summary_of(&group, i);
        group_assert_within(summary.asymmetry_ns, i == 0 ? 80000 : 180000, NEAR_NS);
        assert_true(summary.bound_ns > summary.asymmetry_ns);
        assert_in_range(summary.late_bound_ns, summary.bound_ns + 900 * NS_PER_US,
                        50 * NS_PER_MS);
    }
    group_kill(&group, 0);
    summary = summary_of(&group, 1);
    group_run(&group, SUMMARY_LATE_NS / 2);
    assert_int_equal(summary_of(&group, 1).state, SYNC_HOLDOVER);
    assert_true(summary_of(&group, 1).bound_ns <= summary.late_bound_ns);
    assert_true(summary_of(&group, 1).late_bound_ns > summary.late_bound_ns);
    group_run(&group, SUMMARY_LATE_NS / 2);
    assert_true(summary_of(&group, 1).bound_ns <= summary.late_bound_ns + NEAR_NS);
    assert_true(summary_of(&group, 1).late_bound_ns == INT64_MAX); /* 600 s of holdover are over */
    group_free(&group);
}

static void a_summary_tells_the_slew_under_way(void **state)
{
    (void)state;
    struct group group;

    settled(&group);
    for (unsigned i = 0; i < 2; i++) {
        struct summary summary;

        group_step(&group, i, 200 * NS_PER_US);
        group_run(&group, NS_PER_S);
        summary = summary_of(&group, i);
        assert_true(summary.outstanding_ns < -100 * NS_PER_US);
        group_assert_within(summary.slew_left_ns, summary.outstanding_ns, NEAR_NS);
        assert_true(timestamp_abs(summary.slew_left_ns) <= timestamp_abs(summary.outstanding_ns));
    }
    group_free(&group);
}

static void a_summary_tells_the_limit_in_force(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group_start_all(&group);
    group_run(&group, 2 * NS_PER_S);
    for (unsigned i = 0; i < 2; i++)
        assert_true(summary_of(&group, i).max_slew_ppm > 99999);
    group_free(&group);
    settled(&group);
    for (unsigned i = 0; i < 2; i++)
        group_assert_within(timestamp_round(summary_of(&group, i).max_slew_ppm), 500, 0);
    group_free(&group);
}

static struct wire_frame correct(const struct probe *probe, uint32_t round)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};

    frame.correct.departure.sent = probe->now;
    frame.correct.round = round;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.counted = 3;
    frame.correct.present = 4;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns;
    return frame;
}

static struct note told_of(struct probe *probe, struct wire_frame frame)
{
    probe_wait(probe, 70 * NS_PER_US);
    probe_frame(probe, 0, frame);
    assert_non_null(probe_note(probe, NOTE_CORRECTION));
    return *probe_note(probe, NOTE_CORRECTION);
}

static void welcomed(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();

    probe_slave(probe, &config);
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_welcome());
}

static void a_correction_is_told_with_its_delay(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct probe probe;
    struct note note;

    welcomed(&probe);
    note = told_of(&probe, correct(&probe, 1));
    assert_int_equal(note.counted, 3);
    assert_int_equal(note.present, 4);
    assert_int_equal(note.delay_ns, 70 * NS_PER_US);
    frame = correct(&probe, 2);
    frame.correct.map.total_ns += 20 * NS_PER_US; /* the group's time counts, not this clock's */
    assert_int_equal(told_of(&probe, frame).delay_ns, 90 * NS_PER_US);
    probe_free(&probe);
}

/* What a CORRECT says is known at once, not with the next tick. */
static void an_offset_is_told_as_it_is_now(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct summary summary;
    struct probe probe;

    welcomed(&probe);
    slave_summary(probe.slave, &probe.now, &summary);
    assert_int_equal(summary.offset_ns, 0);
    frame = correct(&probe, 1);
    frame.correct.map.total_ns -= 3 * NS_PER_S;
    (void)told_of(&probe, frame);
    slave_summary(probe.slave, &probe.now, &summary);
    group_assert_within(summary.offset_ns, 3 * NS_PER_S, NEAR_NS);
    assert_true(summary.offset_ns <= summary.bound_ns);
    probe_free(&probe);
}

static void an_unknown_delay_is_not_told(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    frame = correct(&probe, 1);
    frame.correct.state = SYNC_HOLDOVER; /* where the master is does not tell the group's time */
    assert_int_equal(told_of(&probe, frame).delay_ns, 0);
    frame = correct(&probe, 2);
    frame.correct.has_map = 0;
    assert_int_equal(told_of(&probe, frame).delay_ns, 0);
    frame = correct(&probe, 3);
    frame.correct.departure.sent.total_ns += NS_PER_MS;
    assert_int_equal(told_of(&probe, frame).delay_ns, 0);
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_is_told_as_it_was),
        cmocka_unit_test(the_spread_is_that_of_the_last_round),
        cmocka_unit_test(a_newcomer_does_not_spread_the_counted),
        cmocka_unit_test(a_summary_tells_bounds_in_their_parts),
        cmocka_unit_test(a_summary_tells_the_slew_under_way),
        cmocka_unit_test(a_summary_tells_the_limit_in_force),
        cmocka_unit_test(a_correction_is_told_with_its_delay),
        cmocka_unit_test(an_offset_is_told_as_it_is_now),
        cmocka_unit_test(an_unknown_delay_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Comings and goings: restarts, broken connections, outages, suspended machines. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)

/* A group at work, seen two minutes after its start. */
static void settled(struct group *group)
{
    group_five(group);
    group->watch = group_bounds_hold;
    group_start_all(group);
    group_run(group, 2 * MINUTE_NS);
    group_assert_states(group, ALL, SYNC_SYNCHRONISED);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].clock.steepest_ppm = 0;
}

/* The group's rate is the mean of its crystals, 5.2 ppm, as well as it was known
 * when it formed. */
static void assert_unmoved(struct group *group, int64_t before_ns, int64_t minutes)
{
    group_assert_within(group_mean(group, ALL), before_ns, minutes * 600 * NS_PER_US);
    assert_true(group_spread(group, ALL) < 20 * NS_PER_US);
}

static void a_restarted_slave_is_in_at_once(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    group_stop(&group, 2);
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_SLAVE_LEFT, "node-c")->reason, BYE_SHUTDOWN);
    assert_int_equal(group.round.counted, 4);
    group_start(&group, 2);
    group_run(&group, 50 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_JOINED, "node-c", 0), 2);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 1);
    for (unsigned i = 0; i < group.count; i++)
        assert_true(group.nodes[i].clock.steepest_ppm < 20);
    group_free(&group);
}

/* Its clock was set 300 ms wrong meanwhile; the slaves remember the time. */
static void a_restarted_master_finds_the_group_as_it_was(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL & ~1U);
    group_stop(&group, 0);
    group_run(&group, 10 * NS_PER_S);
    group_assert_states(&group, ALL & ~1U, SYNC_HOLDOVER);
    group_step(&group, 0, 300 * NS_PER_MS);
    group_start(&group, 0);
    group_run(&group, 35 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->state, 1);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 4);
    group_assert_states(&group, ALL & ~1U, SYNC_SYNCHRONISED);
    group_assert_states(&group, 1, SYNC_UNSYNCHRONISED);
    group_run(&group, 40 * NS_PER_S);
    for (unsigned i = 1; i < group.count; i++)
        assert_true(group.nodes[i].clock.steepest_ppm < 20);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 1);
    group_free(&group);
}

/* Killed, so nobody says good-bye; back within a second: nothing happened. */
static void a_killed_master_costs_nothing(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    group_kill(&group, 0);
    group_run(&group, NS_PER_S);
    assert_int_equal(group_note(&group, 1, NOTE_MASTER_LOST, NULL)->reason, 0);
    group_start(&group, 0);
    group_run(&group, 59 * NS_PER_S);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 1);
    for (unsigned i = 0; i < group.count; i++)
        assert_true(group.nodes[i].clock.steepest_ppm < 20);
    group_free(&group);
}

/* Half of the slaves forgot: those who remember are still believed. */
static void a_restart_of_the_master_and_two_slaves_keeps_the_time(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    group_kill(&group, 0);
    group_kill(&group, 1);
    group_step(&group, 1, -NS_PER_S);
    group_start(&group, 0);
    group_start(&group, 1);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 2);
    group_free(&group);
}

/* What two of a quorum of three remember is not the group's time. */
static void a_restarted_master_waits_for_its_quorum(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group.config.quorum = 3;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    for (unsigned i = 2; i < 5; i++)
        group_kill(&group, i);
    group_kill(&group, 0);
    group_start(&group, 0);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 1);
    group_assert_states(&group, 1, SYNC_UNSYNCHRONISED);
    group_assert_states(&group, 2, SYNC_HOLDOVER);
    group_start(&group, 2);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 2);
    group_assert_states(&group, 7, SYNC_SYNCHRONISED);
    group_free(&group);
}

static void holdover_is_called_that_until_its_limit(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;
    int64_t bound_ns;

    settled(&group);
    group_stop(&group, 0);
    group_run(&group, NS_PER_S);
    assert_int_equal(group_note(&group, 1, NOTE_MASTER_LOST, NULL)->reason, BYE_SHUTDOWN);
    group_summary(&group, 1, &summary);
    assert_int_equal(summary.state, SYNC_HOLDOVER);
    assert_false(summary.connected);
    bound_ns = summary.bound_ns;
    group_run(&group, 5 * MINUTE_NS);
    group_assert_states(&group, ALL & ~1U, SYNC_HOLDOVER);
    assert_true(group.nodes[1].order.synchronised);
    group_summary(&group, 1, &summary);
    assert_true(summary.bound_ns > bound_ns);
    group_run(&group, 6 * MINUTE_NS);
    group_assert_states(&group, ALL & ~1U, SYNC_UNSYNCHRONISED);
    assert_false(group.nodes[1].order.synchronised);
    assert_true(group_spread(&group, ALL & ~1U) < 100 * NS_PER_US);
    group_free(&group);
}

/* Two are left of five with quorum 1: the smaller group goes on. */
static void the_group_outlives_its_members(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;

    settled(&group);
    for (unsigned i = 1; i < 4; i++)
        group_stop(&group, i);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, 0x11, SYNC_SYNCHRONISED);
    group_stop(&group, 4);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, 1, SYNC_SYNCHRONISED);
    group_summary(&group, 0, &summary);
    assert_int_equal(summary.slaves, 0);
    assert_int_equal(summary.counted, 1);
    assert_int_equal(summary.present, 1);
    group_free(&group);
}

static void a_broken_connection_is_taken_up_again(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    for (int i = 0; i < 6; i++) {
        group_break(&group, 1 + (unsigned)i % 4);
        group_run(&group, 10 * NS_PER_S);
    }
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_LEFT, NULL, 0), 6);
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_JOINED, NULL, 0), 10);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 2);
    group_free(&group);
}

/* After an outage all that was queued comes at once, and is of no use. */
static void frames_queued_in_an_outage_are_refused(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    group_run(&group, group.round_at_ns + 4100 * NS_PER_MS - group.now_ns);
    group.nodes[2].stalled_until_ns = group.now_ns + 14 * NS_PER_S;
    group_run(&group, 13 * NS_PER_S);
    assert_int_equal(group.round.counted, 4);
    assert_int_equal(group.refused[REFUSAL_LATE], 0);
    group_run(&group, NS_PER_S + 100 * NS_PER_MS);
    assert_int_equal(group.refused[REFUSAL_LATE], 12);
    group_run(&group, 42 * NS_PER_S);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 1);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_JUMPED, NULL, 0), 0);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_LEFT, NULL, 0), 0);
    group_free(&group);
}

/* A stream delivers late, after a retransmission, and more so one way. */
static void late_frames_do_not_move_the_group(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL);
    for (int i = 0; i < 120; i++) {
        struct group_node *node = &group.nodes[1 + dice_below(&group.dice, 4)];

        node->stalled_until_ns = group.now_ns + dice_between(&group.dice, 0, 200) * NS_PER_MS;
        group_run(&group, 500 * NS_PER_MS);
        group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    }
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 2);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
    group_free(&group);
}

/* Its RAW clock stood still, and its RTC is 2 ms off. */
static void a_suspended_slave_is_a_newcomer_again(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns, woken_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL & ~4U);
    group_suspend(&group, 2, 8 * NS_PER_S, 2 * NS_PER_MS);
    woken_ns = group.now_ns + 8 * NS_PER_S;
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_notes(&group, 2, NOTE_SUSPENDED, NULL, woken_ns), 1);
    group_assert_states(&group, 4, SYNC_UNSYNCHRONISED);
    group_run(&group, 20 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_JUMPED, "node-c", woken_ns), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, woken_ns), 0);
    group_run(&group, 90 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_JUMPED, NULL, woken_ns), 1);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 2);
    for (unsigned i = 0; i < group.count; i++)
        if (i != 2)
            assert_true(group.nodes[i].clock.steepest_ppm < 20);
    group_free(&group);
}

static void a_suspended_master_finds_the_group_as_it_was(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns, woken_ns;

    settled(&group);
    before_ns = group_mean(&group, ALL & ~1U);
    group_suspend(&group, 0, 8 * NS_PER_S, 20 * NS_PER_MS);
    woken_ns = group.now_ns + 8 * NS_PER_S;
    group_run(&group, 12 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_SUSPENDED, NULL, woken_ns), 1);
    group_assert_states(&group, 1, SYNC_UNSYNCHRONISED);
    group_run(&group, 168 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 4);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_unmoved(&group, before_ns, 3);
    for (unsigned i = 1; i < group.count; i++)
        assert_true(group.nodes[i].clock.steepest_ppm < 20);
    group_free(&group);
}

/* Nobody is left to count when it wakes, but somebody who looks on. */
static void a_suspended_master_may_find_only_an_observer(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;

    group_init(&group, 3);
    group.nodes[1].observed = true;
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group.round.counted, 2);
    group_stop(&group, 2);
    group_suspend(&group, 0, 3 * NS_PER_S, 0);
    group_run(&group, 5 * NS_PER_S);
    group_summary(&group, 0, &summary);
    assert_int_equal(summary.present, 1);
    assert_int_equal(summary.counted, 0);
    group_run(&group, MINUTE_NS);
    group_summary(&group, 0, &summary);
    assert_int_equal(summary.counted, 1);
    group_free(&group);
}

/* Set wrong by more than the panic threshold: the slave leaves the clock alone. */
static void a_correction_beyond_the_threshold_is_a_panic(void **state)
{
    (void)state;
    struct group group;

    settled(&group);
    group.watch = NULL;
    group_step(&group, 2, 2000 * NS_PER_S);
    group_run(&group, 2 * NS_PER_S);
    assert_true(group.nodes[2].panics > 0);
    assert_int_equal(group.nodes[2].steps, 0);
    group_assert_within(group_note(&group, 2, NOTE_PANIC, NULL)->correction_ns, -2000 * NS_PER_S,
                        NS_PER_S);
    assert_int_equal(group_note(&group, 2, NOTE_PANIC, NULL)->limit_ns, 1000 * NS_PER_S);
    assert_true(group.nodes[2].clock.slew_ns > -1 && group.nodes[2].clock.slew_ns < 1);
    assert_int_equal(group.nodes[0].panics, 0);
    group_free(&group);
}

static void one_step_at_the_start_if_allowed(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 3);
    group_clock(&group, 2, 9 * NS_PER_S, 0);
    for (unsigned i = 0; i < 3; i++)
        group.nodes[i].limits.step_threshold_ns = NS_PER_S;
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group.nodes[2].steps, 1);
    assert_int_equal(group_notes(&group, 2, NOTE_STEPPED, NULL, 0), 1);
    assert_int_equal(group_notes(&group, 2, NOTE_FOREIGN_STEP, NULL, 0), 0);
    assert_true(group_spread(&group, 7) < 20 * NS_PER_US);
    group_assert_within(group_mean(&group, 7), 3 * NS_PER_S, NS_PER_MS);
    group_free(&group);
}

/* The interval and the quorum of a running group. */
static void a_new_configuration_counts_from_the_next_round_on(void **state)
{
    (void)state;
    struct group group;
    struct master_config config;
    unsigned orders;

    settled(&group);
    config = group.config;
    config.interval_ns = NS_PER_S;
    memcpy(config.name, "renamed", sizeof "renamed");
    master_configure(group.nodes[0].master, &config);
    group_run(&group, 10 * NS_PER_S);
    group_assert_within(group.round_gap_ns, NS_PER_S, NS_PER_MS);
    (void)group_note(&group, 1, NOTE_MASTER_FOUND, "node-a");
    config.quorum = 6;
    master_configure(group.nodes[0].master, &config);
    group_run(&group, 3 * NS_PER_S);
    group_assert_states(&group, ALL, SYNC_HOLDOVER);
    config.quorum = 1;
    memcpy(config.references[0], "node-b", sizeof "node-b");
    master_configure(group.nodes[0].master, &config);
    group_run(&group, 3 * NS_PER_S);
    assert_int_equal(group_note(&group, 1, NOTE_VERDICT, NULL)->verdict, VERDICT_REFERENCE);
    orders = group.nodes[1].orders;
    group_run(&group, MINUTE_NS);
    assert_int_equal(group.nodes[1].orders, orders);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restarted_slave_is_in_at_once),
        cmocka_unit_test(a_restarted_master_finds_the_group_as_it_was),
        cmocka_unit_test(a_killed_master_costs_nothing),
        cmocka_unit_test(a_restart_of_the_master_and_two_slaves_keeps_the_time),
        cmocka_unit_test(a_restarted_master_waits_for_its_quorum),
        cmocka_unit_test(holdover_is_called_that_until_its_limit),
        cmocka_unit_test(the_group_outlives_its_members),
        cmocka_unit_test(a_broken_connection_is_taken_up_again),
        cmocka_unit_test(frames_queued_in_an_outage_are_refused),
        cmocka_unit_test(late_frames_do_not_move_the_group),
        cmocka_unit_test(a_suspended_slave_is_a_newcomer_again),
        cmocka_unit_test(a_suspended_master_finds_the_group_as_it_was),
        cmocka_unit_test(a_suspended_master_may_find_only_an_observer),
        cmocka_unit_test(a_correction_beyond_the_threshold_is_a_panic),
        cmocka_unit_test(one_step_at_the_start_if_allowed),
        cmocka_unit_test(a_new_configuration_counts_from_the_next_round_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole groups: they come together, stay together and tell the truth about it. */
#include "group_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)

static void five_clocks_meet_at_their_average(void **state)
{
    (void)state;
    struct group group;
    double rate_ppm;

    group_five(&group);
    group.watch = group_bounds_hold;
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_assert_within(group_mean(&group, ALL), group_free_mean(&group, ALL), 10 * NS_PER_US);
    for (unsigned i = 0; i < group.count; i++) {
        assert_int_equal(group.nodes[i].steps, 0);
        assert_true(group.nodes[i].clock.steepest_ppm <= 100000.01);
        group.nodes[i].clock.steepest_ppm = 0;
    }
    for (int i = 0; i < 60; i++) {
        group_run(&group, 5 * NS_PER_S);
        assert_true(group_spread(&group, ALL) < 10 * NS_PER_US);
    }
    for (unsigned i = 0; i < group.count; i++) {
        assert_true(group.nodes[i].clock.steepest_ppm < 10);
        rate_ppm = group.nodes[i].clock.freq_ppb / 1e3 + group.nodes[i].clock.raw_ppm;
        assert_true(fabs(rate_ppm - 5.2) < 5);
    }
    group_free(&group);
}

static void notes_tell_how_a_group_formed(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_JOINED, NULL, 0), 4);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 1);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 5);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->present, 5);
    group_assert_within(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->offset_ns, 800 * NS_PER_MS,
                  NS_PER_MS);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->state, 0);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, group.nodes[i].name, 0), 1);
    assert_int_equal(group_notes(&group, 1, NOTE_MASTER_FOUND, "node-a", 0), 1);
    assert_int_equal(group_note(&group, 1, NOTE_STATE, NULL)->state, SYNC_SYNCHRONISED);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
    group_free(&group);
}

/* It connects when the others have been measured already. */
static void forming_waits_for_those_who_just_joined(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    for (unsigned i = 0; i < 4; i++)
        group_start(&group, i);
    group_run(&group, 1200 * NS_PER_MS);
    group_start(&group, 4);
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 1);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 5);
    group_free(&group);
}

/* The beat goes on through rounds that wait for somebody in vain. */
static void rounds_keep_their_beat(void **state)
{
    (void)state;
    struct group group;
    int64_t beat_ns;

    group_five(&group);
    group_clock(&group, 0, 0, 0);
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    beat_ns = group.round_at_ns;
    group.nodes[3].deaf = true;
    group_run(&group, 12 * NS_PER_S);
    group.nodes[3].deaf = false;
    for (int i = 0; i < 20; i++) {
        group_run(&group, 4 * NS_PER_S);
        group_assert_within((group.round_at_ns - beat_ns + NS_PER_S) % (4 * NS_PER_S), NS_PER_S,
                      NS_PER_MS);
        group_assert_within(group.round_gap_ns, 4 * NS_PER_S, NS_PER_MS);
    }
    assert_int_equal((group.round_at_ns - beat_ns + NS_PER_S) / (4 * NS_PER_S), 23);
    group_free(&group);
}

/* A slave that answers nothing costs the others one deadline, once. */
static void a_silent_peer_delays_one_round_only(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    while (group.now_ns - group.round_at_ns < NS_PER_S ||
           group.now_ns - group.round_at_ns > 2 * NS_PER_S)
        group_run(&group, 100 * NS_PER_MS);
    group.nodes[3].deaf = true;
    group_run(&group, 5 * NS_PER_S);
    assert_true(group.round_gap_ns > 4900 * NS_PER_MS);
    assert_true(group.round_gap_ns < 5100 * NS_PER_MS);
    assert_int_equal(group.round.counted, 4);
    group_run(&group, 4 * NS_PER_S);
    assert_true(group.round_gap_ns < 3100 * NS_PER_MS);
    group_run(&group, 4 * NS_PER_S);
    group_assert_within(group.round_gap_ns, 4 * NS_PER_S, 2 * NS_PER_MS);
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_LEFT, "node-d", 0), 0);
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_SLAVE_LEFT, "node-d")->reason, BYE_TIMEOUT);
    group_assert_states(&group, 0x17, SYNC_SYNCHRONISED);
    group_free(&group);
}

static void two_nodes_meet_half_way(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 2);
    group_clock(&group, 1, 500 * NS_PER_MS, 0);
    group.watch = group_bounds_hold;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_within(group_error(&group, 0), 250 * NS_PER_MS, NS_PER_MS);
    assert_true(group_spread(&group, 3) < 10 * NS_PER_US);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    group_free(&group);
}

static void a_master_alone_keeps_its_time(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 1);
    group_clock(&group, 0, 70 * NS_PER_MS, 0);
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_error(&group, 0), 70 * NS_PER_MS);
    group_assert_states(&group, 1, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* Five wanted, two there: their clocks are left alone, and not called right. */
static void below_the_quorum_nobody_is_moved(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 2);
    group.config.quorum = 3;
    group_clock(&group, 1, 500 * NS_PER_MS, 0);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 0);
    assert_int_equal(group_error(&group, 0), 0);
    assert_int_equal(group_error(&group, 1), 500 * NS_PER_MS);
    group_assert_states(&group, 3, SYNC_UNSYNCHRONISED);
    group_free(&group);
}

/* Down from five to two of a quorum of three: held, not called synchronised. */
static void a_lost_quorum_is_holdover(void **state)
{
    (void)state;
    struct group group;
    int64_t error_ns;

    group_five(&group);
    group.config.quorum = 3;
    group.watch = group_bounds_hold;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    for (unsigned i = 2; i < 5; i++)
        group_stop(&group, i);
    error_ns = group_error(&group, 0) - group_free_mean(&group, ALL);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, 3, SYNC_HOLDOVER);
    group_assert_within(group_error(&group, 0) - group_free_mean(&group, ALL), error_ns,
                        500 * NS_PER_US);
    for (unsigned i = 2; i < 5; i++)
        group_start(&group, i);
    group_run(&group, MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_true(group_spread(&group, ALL) < 20 * NS_PER_US);
    group_free(&group);
}

/* It joins 5 s off: pulled in, and nobody else moved for it. */
static void a_newcomer_does_not_move_the_group(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group_clock(&group, 4, 5 * NS_PER_S, 40);
    group.watch = group_bounds_hold;
    for (unsigned i = 0; i < 4; i++)
        group_start(&group, i);
    group_run(&group, MINUTE_NS);
    for (unsigned i = 0; i < 4; i++)
        group.nodes[i].clock.steepest_ppm = 0;
    group_start(&group, 4);
    group_run(&group, 5 * NS_PER_S);
    assert_int_equal(group_note(&group, 4, NOTE_VERDICT, NULL)->verdict, VERDICT_NEWCOMER);
    group_run(&group, 2 * MINUTE_NS);
    assert_true(group_spread(&group, ALL) < 20 * NS_PER_US);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    for (unsigned i = 0; i < 4; i++)
        assert_true(group.nodes[i].clock.steepest_ppm < 5);
    group_assert_within(group_mean(&group, 0xF), group_free_mean(&group, 0xF), NS_PER_MS);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
    group_free(&group);
}

static void a_reference_is_followed_and_left_alone(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    memcpy(group.config.references[0], "node-d", sizeof "node-d");
    group.watch = group_bounds_hold;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_true(group_spread(&group, ALL) < 20 * NS_PER_US);
    group_assert_within(group_error(&group, 3), group_free_mean(&group, 8), NS_PER_US);
    group_assert_within(group_error(&group, 0), group_free_mean(&group, 8), 20 * NS_PER_US);
    assert_int_equal(group.nodes[3].orders, 0);
    assert_int_equal(group_note(&group, 3, NOTE_VERDICT, NULL)->verdict, VERDICT_REFERENCE);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_free(&group);
}

static void a_master_that_is_a_reference_is_followed(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    memcpy(group.config.references[0], "node-a", sizeof "node-a");
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group.nodes[0].orders, 0);
    group_assert_within(group_error(&group, 0), group_free_mean(&group, 1), NS_PER_US);
    assert_true(group_spread(&group, ALL) < 20 * NS_PER_US);
    group_free(&group);
}

static void an_observing_master_is_not_moved_nor_counted(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group.config.discipline = false;
    group.nodes[0].observed = true;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group.nodes[0].orders, 0);
    group_assert_within(group_error(&group, 0), group_free_mean(&group, 1), NS_PER_US);
    assert_true(group_spread(&group, ALL & ~1U) < 20 * NS_PER_US);
    group_assert_within(group_mean(&group, ALL & ~1U), group_free_mean(&group, ALL & ~1U),
                        NS_PER_MS);
    group_assert_states(&group, ALL & ~1U, SYNC_SYNCHRONISED);
    group_free(&group);
}

static void an_observing_slave_is_not_moved_nor_counted(void **state)
{
    (void)state;
    struct group group;
    unsigned others = ALL & ~2U;

    group_five(&group);
    group.nodes[1].observed = true;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group.nodes[1].orders, 0);
    group_assert_within(group_error(&group, 1), group_free_mean(&group, 2), NS_PER_US);
    assert_int_equal(group_note(&group, 1, NOTE_VERDICT, NULL)->verdict, VERDICT_OBSERVER);
    assert_true(group_spread(&group, others) < 20 * NS_PER_US);
    group_assert_within(group_mean(&group, others), group_free_mean(&group, others), NS_PER_MS);
    group_assert_states(&group, others, SYNC_SYNCHRONISED);
    group_assert_states(&group, 2, SYNC_UNSYNCHRONISED);
    assert_int_equal(group.round.counted, 4);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_clocks_meet_at_their_average),
        cmocka_unit_test(notes_tell_how_a_group_formed),
        cmocka_unit_test(forming_waits_for_those_who_just_joined),
        cmocka_unit_test(rounds_keep_their_beat),
        cmocka_unit_test(a_silent_peer_delays_one_round_only),
        cmocka_unit_test(two_nodes_meet_half_way),
        cmocka_unit_test(a_master_alone_keeps_its_time),
        cmocka_unit_test(below_the_quorum_nobody_is_moved),
        cmocka_unit_test(a_lost_quorum_is_holdover),
        cmocka_unit_test(a_newcomer_does_not_move_the_group),
        cmocka_unit_test(a_reference_is_followed_and_left_alone),
        cmocka_unit_test(a_master_that_is_a_reference_is_followed),
        cmocka_unit_test(an_observing_master_is_not_moved_nor_counted),
        cmocka_unit_test(an_observing_slave_is_not_moved_nor_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

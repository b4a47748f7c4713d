/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad clocks among good ones, and clocks that cannot agree. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)
#define HOUR_NS (60 * MINUTE_NS)
#define NOISY_NS 20e3 /* queueing delays */

/* A group of five and its twin to which nothing happens. */
struct twins {
    struct group group, twin;
};

static void twins_init(struct twins *twins)
{
    group_five(&twins->group);
    group_five(&twins->twin);
    twins->group.watch = group_bounds_hold;
    group_start_all(&twins->group);
    group_start_all(&twins->twin);
    group_run(&twins->group, 2 * MINUTE_NS);
    group_run(&twins->twin, 2 * MINUTE_NS);
    group_assert_states(&twins->group, ALL, SYNC_SYNCHRONISED);
}

static void twins_run(struct twins *twins, int64_t span_ns)
{
    group_run(&twins->group, span_ns);
    group_run(&twins->twin, span_ns);
}

/* These clocks are together and where they are in the twin. */
static void twins_agree(struct twins *twins, unsigned nodes, int64_t limit_ns)
{
    assert_true(group_spread(&twins->group, nodes) < 10 * NS_PER_US);
    group_assert_within(group_mean(&twins->group, nodes), group_mean(&twins->twin, nodes),
                        limit_ns);
}

static void twins_free(struct twins *twins)
{
    group_free(&twins->group);
    group_free(&twins->twin);
}

static void an_hour_off_and_1000_ppm_fast_does_not_count(void **state)
{
    (void)state;
    struct group group;
    unsigned good = ALL & ~4U;

    group_five(&group);
    group_clock(&group, 2, HOUR_NS, 1000);
    group.watch = group_bounds_hold;
    group_start_all(&group);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->verdict, VERDICT_FAST);
    group_assert_within(group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->offset_ns, HOUR_NS,
                        NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 4);
    assert_int_equal(group_notes(&group, 2, NOTE_BEYOND, NULL, 0), 1);
    group_assert_states(&group, good, SYNC_SYNCHRONISED);
    group_assert_states(&group, 4, SYNC_UNSYNCHRONISED);
    group_assert_within(group_mean(&group, good), group_free_mean(&group, good),
                        300 * NS_PER_US);
    group_run(&group, 20 * MINUTE_NS);
    assert_true(group_spread(&group, good) < 10 * NS_PER_US);
    group_assert_within(group_mean(&group, good), group_free_mean(&group, good), 6 * NS_PER_MS);
    assert_int_equal(group.round.counted, 4);
    group_free(&group);
}

static void an_hour_off_alone_does_not_count_either(void **state)
{
    (void)state;
    struct group group;

    group_five(&group);
    group_clock(&group, 2, -HOUR_NS, 0);
    group_start_all(&group);
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->verdict, VERDICT_FAR);
    group_run(&group, MINUTE_NS);
    group_assert_within(group_mean(&group, ALL & ~4U), group_free_mean(&group, ALL & ~4U),
                        300 * NS_PER_US);
    group_free(&group);
}

static void a_liar_in_a_formed_group_does_not_move_it(void **state)
{
    (void)state;
    static const int64_t lies_ns[] = {10 * NS_PER_MS, -NS_PER_S, 100 * NS_PER_S,
                                      INT64_C(-6200000000) * NS_PER_S};

    for (size_t i = 0; i < sizeof lies_ns / sizeof lies_ns[0]; i++) {
        struct twins twins;
        const struct note *note;

        twins_init(&twins);
        twins.group.nodes[2].lie_ns = lies_ns[i];
        twins_run(&twins, 10 * NS_PER_S);
        note = group_note(&twins.group, 0, NOTE_CLOCK_EXCLUDED, "node-c");
        assert_int_equal(note->verdict, VERDICT_FAR);
        group_assert_within(note->offset_ns, lies_ns[i], 10 * NS_PER_US);
        group_assert_states(&twins.group, 4, SYNC_UNSYNCHRONISED);
        twins_run(&twins, 10 * MINUTE_NS);
        twins_agree(&twins, ALL & ~4U, 50 * NS_PER_US);
        assert_int_equal(group_notes(&twins.group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 1);
        twins_free(&twins);
    }
}

/* Two of five are still fewer than half. */
static void two_liars_of_five_do_not_move_it(void **state)
{
    (void)state;
    struct twins twins;

    twins_init(&twins);
    twins.group.nodes[2].lie_ns = 10 * NS_PER_MS;
    twins.group.nodes[3].lie_ns = 10 * NS_PER_MS;
    twins_run(&twins, 10 * MINUTE_NS);
    twins_agree(&twins, 0x13, 50 * NS_PER_US);
    assert_int_equal(twins.group.round.counted, 3);
    assert_int_equal(group_notes(&twins.group, 0, NOTE_QUORUM_LOST, NULL, 0), 0);
    twins_free(&twins);
}

/* Excluded, left alone for four rounds, then a newcomer, then in again. */
static void a_liar_that_repents_comes_back(void **state)
{
    (void)state;
    struct twins twins;

    twins_init(&twins);
    twins_run(&twins, twins.group.round_at_ns + 5 * NS_PER_S - twins.group.now_ns);
    twins.group.nodes[2].lie_ns = 10 * NS_PER_MS;
    twins_run(&twins, 4 * NS_PER_S);
    assert_int_equal(group_note(&twins.group, 2, NOTE_VERDICT, NULL)->verdict, VERDICT_FAR);
    twins.group.nodes[2].lie_ns = 0;
    twins_run(&twins, 4 * NS_PER_S);
    assert_int_equal(group_note(&twins.group, 2, NOTE_VERDICT, NULL)->verdict, VERDICT_SUSPENDED);
    twins_run(&twins, 12 * NS_PER_S);
    assert_int_equal(group_note(&twins.group, 2, NOTE_VERDICT, NULL)->verdict, VERDICT_SUSPENDED);
    twins_run(&twins, 16 * NS_PER_S);
    assert_int_equal(group_note(&twins.group, 2, NOTE_VERDICT, NULL)->verdict, VERDICT_COUNTED);
    group_assert_states(&twins.group, ALL, SYNC_SYNCHRONISED);
    twins_agree(&twins, ALL, 50 * NS_PER_US);
    twins_free(&twins);
}

static void a_clock_set_by_somebody_else_is_brought_back(void **state)
{
    (void)state;
    struct twins twins;

    twins_init(&twins);
    group_step(&twins.group, 2, NS_PER_S);
    twins.group.nodes[2].clock.steepest_ppm = 0;
    twins_run(&twins, 10 * NS_PER_S);
    assert_int_equal(group_notes(&twins.group, 2, NOTE_FOREIGN_STEP, NULL, 0), 1);
    group_assert_within(group_note(&twins.group, 2, NOTE_FOREIGN_STEP, NULL)->offset_ns, NS_PER_S,
                        NS_PER_MS);
    group_assert_states(&twins.group, 4, SYNC_UNSYNCHRONISED);
    assert_int_equal(group_note(&twins.group, 2, NOTE_VERDICT, NULL)->verdict, VERDICT_NEWCOMER);
    assert_int_equal(group_notes(&twins.group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
    assert_int_equal(twins.group.round.counted, 4);
    twins_agree(&twins, ALL & ~4U, 20 * NS_PER_US);
    twins_run(&twins, 36 * MINUTE_NS);
    assert_true(twins.group.nodes[2].clock.steepest_ppm <= 500.001);
    assert_int_equal(twins.group.nodes[2].steps, 0);
    group_assert_states(&twins.group, ALL, SYNC_SYNCHRONISED);
    twins_agree(&twins, ALL, 100 * NS_PER_US);
    twins_free(&twins);
}

static void a_master_set_by_somebody_else_takes_nobody_along(void **state)
{
    (void)state;
    struct twins twins;

    twins_init(&twins);
    group_step(&twins.group, 0, 10 * NS_PER_MS);
    twins_run(&twins, 10 * NS_PER_S);
    assert_int_equal(group_notes(&twins.group, 0, NOTE_FOREIGN_STEP, NULL, 0), 1);
    twins_agree(&twins, ALL & ~1U, 20 * NS_PER_US);
    twins_run(&twins, 2 * MINUTE_NS);
    twins_agree(&twins, ALL, 50 * NS_PER_US);
    group_assert_states(&twins.group, ALL, SYNC_SYNCHRONISED);
    twins_free(&twins);
}

/* While the process that sets its clock is away, there are no ticks that tell of it, and after half
 * a minute two clocks that disagree would meet in the middle. */
static void a_master_set_unnoticed_takes_nobody_along(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns;

    group_init(&group, 2);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    before_ns = group_error(&group, 1);
    group.nodes[0].blind = true;
    group_step(&group, 0, 50 * NS_PER_MS);
    group_run(&group, 45 * NS_PER_S);
    group_assert_within(group_error(&group, 1), before_ns, 100 * NS_PER_US);
    assert_int_equal(group_notes(&group, 0, NOTE_FOREIGN_STEP, NULL, 0), 0);
    group.nodes[0].blind = false;
    group_run(&group, 5 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_FOREIGN_STEP, NULL, 0), 1);
    group_assert_within(group_error(&group, 1), before_ns, NS_PER_MS);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* How often this clock, or any, has been named as one that is out. */
static unsigned times_out(const struct group *group, const char *name)
{
    return group_notes(group, 0, NOTE_CLOCK_EXCLUDED, name, 0) +
           group_notes(group, 0, NOTE_CLOCK_JUMPED, name, 0);
}

/* A crystal that changes by 1000 ppm, the master's too: out and named within three rounds,
 * and nobody follows it. */
static void a_crystal_gone_wild_is_not_followed(void **state)
{
    (void)state;
    static const unsigned wild[] = {2, 0};

    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        struct twins twins;
        const char *name;
        unsigned good = ALL & ~(1U << wild[i]);

        twins_init(&twins);
        twins.group.watch = NULL;
        name = twins.group.nodes[wild[i]].name;
        group_frequency(&twins.group, wild[i], 1000);
        twins_run(&twins, 12 * NS_PER_S);
        assert_true(times_out(&twins.group, name) > 0);
        group_assert_states(&twins.group, 1U << wild[i], SYNC_UNSYNCHRONISED);
        for (int round = 0; round < 30; round++) {
            twins_run(&twins, 4 * NS_PER_S);
            twins_agree(&twins, good, 100 * NS_PER_US);
        }
        group_assert_states(&twins.group, good, SYNC_SYNCHRONISED);
        if (wild[i] != 0) /* what all are measured by may take one along for some rounds */
            assert_int_equal(times_out(&twins.group, NULL), times_out(&twins.group, name));
        twins_free(&twins);
    }
}

/* Nobody can say who is wrong: four rounds nobody is moved, then all are equals. */
static void two_that_disagree_hold_and_form_afresh(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    group_init(&group, 2);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group.nodes[1].lie_ns = 500 * NS_PER_MS;
    group.nodes[0].clock.steepest_ppm = group.nodes[1].clock.steepest_ppm = 0;
    start_ns = group.now_ns;
    group_run(&group, 16 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns), 0);
    assert_int_equal(group_note(&group, 1, NOTE_VERDICT, NULL)->verdict, VERDICT_NO_QUORUM);
    group_assert_states(&group, 3, SYNC_HOLDOVER);
    assert_true(group.nodes[0].clock.steepest_ppm < 1);
    assert_true(group.nodes[1].clock.steepest_ppm < 1);
    group_run(&group, 5 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns), 1);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 2);
    group_assert_states(&group, 3, SYNC_UNSYNCHRONISED);
    group.nodes[1].lie_ns = 0;
    group_run(&group, 11 * MINUTE_NS);
    group_assert_within(group_error(&group, 0), 250 * NS_PER_MS, 4 * NS_PER_MS);
    assert_true(group_spread(&group, 3) < 10 * NS_PER_US);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    assert_true(group.nodes[0].clock.steepest_ppm <= 500.001);
    group_free(&group);
}

static void three_that_disagree_hold_and_form_afresh(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    group_init(&group, 3);
    for (unsigned i = 0; i < 3; i++)
        group.nodes[i].queue_ns = NOISY_NS;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group.nodes[1].lie_ns = 500 * NS_PER_MS;
    group.nodes[2].lie_ns = NS_PER_S;
    start_ns = group.now_ns;
    group_run(&group, 16 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 1);
    group_assert_states(&group, 7, SYNC_HOLDOVER);
    group_run(&group, 5 * NS_PER_S);
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 3);
    group.nodes[1].lie_ns = group.nodes[2].lie_ns = 0;
    group_run(&group, 20 * MINUTE_NS);
    group_assert_within(group_error(&group, 0), 500 * NS_PER_MS, 6 * NS_PER_MS);
    assert_true(group_spread(&group, 7) < 10 * NS_PER_US);
    group_assert_states(&group, 7, SYNC_SYNCHRONISED);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 1);
    group_free(&group);
}

/* All three are needed, but two know who is wrong: that is no dispute. */
static void a_liar_who_breaks_the_quorum_does_not_move_it_either(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    group_init(&group, 3);
    group.config.quorum = 3;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_states(&group, 7, SYNC_SYNCHRONISED);
    start_ns = group.now_ns;
    group.nodes[2].lie_ns = 500 * NS_PER_MS;
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns), 0);
    group_assert_states(&group, 3, SYNC_HOLDOVER);
    group_assert_states(&group, 4, SYNC_UNSYNCHRONISED);
    group_assert_within(group_mean(&group, 3), 0, NS_PER_MS);
    group.nodes[2].lie_ns = 0;
    group_run(&group, 20 * MINUTE_NS);
    group_assert_states(&group, 7, SYNC_SYNCHRONISED);
    group_assert_within(group_mean(&group, 7), 0, 10 * NS_PER_MS);
    group_free(&group);
}

/* Nobody is wrong, but too few are there: said once, and that they are back. */
static void a_shortage_is_said(void **state)
{
    (void)state;
    struct group group;
    const struct note *note;
    int64_t start_ns;

    group_init(&group, 3);
    group.config.quorum = 3;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    start_ns = group.now_ns;
    group_kill(&group, 2);
    group_run(&group, 2 * group.config.interval_ns);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 0);
    group_run(&group, MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 1);
    note = group_note(&group, 0, NOTE_QUORUM_LOST, NULL);
    assert_int_equal(note->state, 2);
    assert_int_equal(note->count, 3);
    assert_int_equal(note->present, 2);
    assert_int_equal(note->counted, 2);
    group_start(&group, 2);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_BACK, NULL, start_ns), 1);
    group_free(&group);
}

/* A dispute that ends by itself within the four rounds leaves no trace. */
static void a_dispute_may_end_by_itself(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    group_init(&group, 2);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    start_ns = group.now_ns;
    group.nodes[1].lie_ns = 500 * NS_PER_MS;
    group_run(&group, 9 * NS_PER_S);
    group_assert_states(&group, 3, SYNC_HOLDOVER);
    group.nodes[1].lie_ns = 0;
    group_run(&group, 5 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_BACK, NULL, start_ns), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns), 0);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* {0, 500 ms} and {0, 500 ms, 1 s} at a cold start: their average. */
static void cold_clocks_are_averaged(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= 3; count++) {
        struct group group;

        group_init(&group, count);
        for (unsigned i = 0; i < count; i++)
            group_clock(&group, i, (int64_t)i * 500 * NS_PER_MS, 0);
        group_start_all(&group);
        group_run(&group, 2 * MINUTE_NS);
        group_assert_within(group_mean(&group, (1U << count) - 1),
                            (int64_t)(count - 1) * 250 * NS_PER_MS, NS_PER_MS);
        assert_true(group_spread(&group, (1U << count) - 1) < 10 * NS_PER_US);
        assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0), 0);
        group_free(&group);
    }
}

/* Beyond 10 s of their median nobody can say what their average would be worth. */
static void an_hour_between_two_is_too_far_to_start(void **state)
{
    (void)state;
    struct group group;

    group_init(&group, 2);
    group_clock(&group, 1, HOUR_NS, 0);
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, 0), 1);
    assert_int_equal(group_note(&group, 0, NOTE_QUORUM_LOST, NULL)->state, 1);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 0);
    group_assert_states(&group, 3, SYNC_UNSYNCHRONISED);
    assert_int_equal(group.nodes[0].orders + group.nodes[1].orders, 0);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_off_and_1000_ppm_fast_does_not_count),
        cmocka_unit_test(an_hour_off_alone_does_not_count_either),
        cmocka_unit_test(a_liar_in_a_formed_group_does_not_move_it),
        cmocka_unit_test(two_liars_of_five_do_not_move_it),
        cmocka_unit_test(a_liar_that_repents_comes_back),
        cmocka_unit_test(a_clock_set_by_somebody_else_is_brought_back),
        cmocka_unit_test(a_master_set_by_somebody_else_takes_nobody_along),
        cmocka_unit_test(a_master_set_unnoticed_takes_nobody_along),
        cmocka_unit_test(a_crystal_gone_wild_is_not_followed),
        cmocka_unit_test(two_that_disagree_hold_and_form_afresh),
        cmocka_unit_test(three_that_disagree_hold_and_form_afresh),
        cmocka_unit_test(a_liar_who_breaks_the_quorum_does_not_move_it_either),
        cmocka_unit_test(a_shortage_is_said),
        cmocka_unit_test(a_dispute_may_end_by_itself),
        cmocka_unit_test(cold_clocks_are_averaged),
        cmocka_unit_test(an_hour_between_two_is_too_far_to_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

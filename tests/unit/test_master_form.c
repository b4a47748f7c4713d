/* SPDX-License-Identifier: BSD-2-Clause */
/* How a group gets its time and rate, cold and after its master comes back. */
#include "group_model.h"
#include "machine_probe.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)
#define HOUR_NS (60 * MINUTE_NS)
#define SEEDS 5
#define ROUNDS_MAX 12

/* Right and exact clocks at work; then their master is gone. */
static void orphaned(struct group *group, unsigned count)
{
    group_init(group, count);
    group_start_all(group);
    group_run(group, 2 * MINUTE_NS);
    group_assert_states(group, (1U << count) - 1, SYNC_SYNCHRONISED);
    group_stop(group, 0);
    group_run(group, 10 * NS_PER_S);
}

/* The slaves remember the time, each a little differently, as their crystals have
 * wandered; the master, 300 ms off, does not count among those who do, whether it may
 * step or not. */
static void claimants_that_drifted_apart_are_averaged_alone(void **state)
{
    (void)state;
    static const int64_t drift_us[] = {0, -60, -20, 30, 50};

    for (unsigned steps = 0; steps <= 1; steps++) {
        struct group group;
        int64_t start_ns, before_ns;

        orphaned(&group, 5);
        group_assert_states(&group, ALL & ~1U, SYNC_HOLDOVER);
        for (unsigned i = 1; i < 5; i++)
            group_frequency(&group, i, (double)drift_us[i] / 10);
        group_run(&group, 10 * NS_PER_S);
        for (unsigned i = 1; i < 5; i++) {
            group_frequency(&group, i, 0);
            group.nodes[i].clock.steepest_ppm = 0;
        }
        group_step(&group, 0, 300 * NS_PER_MS);
        group.nodes[0].limits.step_threshold_ns = 128 * NS_PER_MS * steps;
        start_ns = group.now_ns;
        before_ns = group_mean(&group, ALL & ~1U);
        group_start(&group, 0);
        group_run(&group, MINUTE_NS);
        assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns), 1);
        assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 4);
        assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->state, 0);
        group_assert_within(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->offset_ns,
                            110 * NS_PER_US, 20 * NS_PER_US);
        assert_int_equal(group.nodes[0].steps, steps);
        group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
        group_assert_within(group_mean(&group, ALL), before_ns, 200 * NS_PER_US);
        assert_true(group_spread(&group, ALL) < 20 * NS_PER_US);
        for (unsigned i = 1; i < 5; i++)
            assert_true(group.nodes[i].clock.steepest_ppm < 100);
        group_free(&group);
    }
}

/* Those who forgot come back 100 ms ahead.  Two of four still know the group's
 * time; two of five are just two clocks. */
static void half_must_remember(void **state)
{
    (void)state;
    for (unsigned count = 4; count <= 5; count++) {
        struct group group;
        bool known = count == 4;

        orphaned(&group, count);
        for (unsigned i = 1; i < count - 2; i++)
            group_kill(&group, i);
        for (unsigned i = 0; i < count - 2; i++) {
            group_step(&group, i, 100 * NS_PER_MS);
            group_start(&group, i);
        }
        group_run(&group, 4 * MINUTE_NS);
        assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, known ? 2 : 5);
        group_assert_within(group_mean(&group, (1U << count) - 1), known ? 0 : 60 * NS_PER_MS,
                            NS_PER_MS);
        group_assert_states(&group, (1U << count) - 1, SYNC_SYNCHRONISED);
        group_free(&group);
    }
}

static void reseed(struct group *group, unsigned times)
{
    uint64_t seed = group->dice.seed + times;

    group->dice = (struct dice){.seed = seed, .state = seed};
}

/* As if nobody had ever touched these clocks. */
static void assert_as_free(struct group *group, unsigned nodes)
{
    assert_dice(&group->dice, group_spread(group, nodes) < 10 * NS_PER_US);
    assert_dice(&group->dice, timestamp_abs(group_mean(group, nodes) -
                                            group_free_mean(group, nodes)) <= 10 * NS_PER_US);
}

static void the_rate_is_the_mean_of_the_founders(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEEDS; i++) {
        struct group group;

        group_five(&group);
        reseed(&group, i);
        group_start_all(&group);
        group_run(&group, MINUTE_NS);
        assert_as_free(&group, ALL);
        group_free(&group);
    }
}

static void a_clock_excluded_at_the_start_is_no_founder(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEEDS; i++) {
        struct group group;

        group_five(&group);
        reseed(&group, i);
        group_clock(&group, 2, HOUR_NS, 200);
        group_start_all(&group);
        group_run(&group, MINUTE_NS);
        assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c", 0), 1);
        assert_as_free(&group, ALL & ~4U);
        group_free(&group);
    }
}

static void a_clock_that_joins_later_is_no_founder(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEEDS; i++) {
        struct group group;

        group_five(&group);
        reseed(&group, i);
        for (unsigned j = 0; j < 4; j++) {
            group.nodes[j].limits.initial_slew_ppm = 20000;
            group_start(&group, j);
        }
        group_run(&group, 10 * NS_PER_S);
        assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 1);
        assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, NULL, 0), 0);
        group_clock(&group, 4, 300 * NS_PER_MS, 80);
        group_start(&group, 4);
        group_run(&group, 50 * NS_PER_S);
        assert_as_free(&group, 0xF);
        group_free(&group);
    }
}

/* Said once; nobody is moved; and it passes when its cause does. */
static void a_torn_group_forms_when_it_is_mended(void **state)
{
    (void)state;
    struct group group;
    const struct note *note;

    group_init(&group, 2);
    group_clock(&group, 1, MINUTE_NS, 0);
    group_start_all(&group);
    group_run(&group, 5 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, 0), 1);
    note = group_note(&group, 0, NOTE_QUORUM_LOST, NULL);
    assert_int_equal(note->state, 1);
    assert_int_equal(note->counted, 0);
    assert_int_equal(note->present, 2);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 0);
    assert_int_equal(group.nodes[0].orders + group.nodes[1].orders, 0);
    group_step(&group, 1, -MINUTE_NS);
    group_run(&group, 30 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, 0), 1);
    group_assert_states(&group, 3, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* One link's queue makes the group wait, but not for ever. */
static void forming_waits_for_every_frequency(void **state)
{
    (void)state;
    static const struct {
        double queue_ns;
        uint32_t min, max; /* the round that forms the group */
    } cases[] = {{5e3, 4, 4}, {1e6, 5, ROUNDS_MAX}, {20e6, ROUNDS_MAX, ROUNDS_MAX}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct group group;
        uint32_t round;

        group_five(&group);
        group.nodes[2].queue_ns = cases[i].queue_ns;
        group_start_all(&group);
        while (group.now_ns < MINUTE_NS && !group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, 0))
            group_run(&group, 100 * NS_PER_MS);
        round = group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->round;
        if (round < cases[i].min || round > cases[i].max)
            fail_msg("formed in round %u, not in %u to %u", round, cases[i].min, cases[i].max);
        group_free(&group);
    }
}

/* Four rounds would not tell its 1000 ppm from the noise. */
static void a_fast_clock_on_a_noisy_link_is_found_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEEDS; i++) {
        struct group group;

        group_five(&group);
        reseed(&group, i);
        group_clock(&group, 2, 0, 1000);
        group.nodes[2].queue_ns = 5e5;
        group_start_all(&group);
        group_run(&group, 30 * NS_PER_S);
        assert_dice(&group.dice, group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted == 4);
        assert_dice(&group.dice,
                    group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->verdict == VERDICT_FAST);
        group_free(&group);
    }
}

static double ordered_ppb(struct probe *probe, double read_ppb)
{
    const struct clock_status status = {.now = probe->now, .freq_ppb = read_ppb};

    probe_tick_status(probe, &status);
    for (size_t i = 0; i < probe->actions.count; i++)
        if (probe->actions.items[i].kind == ACTION_STEER)
            return probe->actions.items[i].steer.freq_ppb;
    return NAN;
}

/* A master alone at 1000 ppb; its notes of the round are left in the probe. */
static void run_round(struct probe *probe, const struct master_config *config)
{
    int64_t start_ns = probe->now.raw_ns;

    while (!probe_note(probe, NOTE_ROUND) && probe->now.raw_ns < start_ns + config->interval_ns) {
        probe_wait(probe, 20 * NS_PER_MS);
        probe->now.total_ns += timestamp_drift(20 * NS_PER_MS, 1000);
        probe_wake(probe);
    }
}

/* A rate that was read and then ordered away is not the master's any more. */
static void the_masters_rate_is_the_one_it_ordered(void **state)
{
    (void)state;
    const struct master_config config = probe_master_config();
    struct probe probe;

    probe_master(&probe, &config);
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        (void)ordered_ppb(&probe, 1000);
        run_round(&probe, &config);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_true(ordered_ppb(&probe, 5000) == 1000);
        run_round(&probe, &config);
        assert_non_null(probe_note(&probe, NOTE_ROUND));
    }
    assert_true(ordered_ppb(&probe, 5000) == 1000);
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claimants_that_drifted_apart_are_averaged_alone),
        cmocka_unit_test(half_must_remember),
        cmocka_unit_test(the_rate_is_the_mean_of_the_founders),
        cmocka_unit_test(a_clock_excluded_at_the_start_is_no_founder),
        cmocka_unit_test(a_clock_that_joins_later_is_no_founder),
        cmocka_unit_test(a_torn_group_forms_when_it_is_mended),
        cmocka_unit_test(forming_waits_for_every_frequency),
        cmocka_unit_test(a_fast_clock_on_a_noisy_link_is_found_out),
        cmocka_unit_test(the_masters_rate_is_the_one_it_ordered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

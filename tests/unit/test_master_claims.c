/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks that know the group's time before their link does: after a broken connection,
 * and when the master comes back. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)
#define FAST_NS (500 * NS_PER_MS)
#define QUIET_NS 500.0 /* queueing delays */
#define COMMON_NS 5e3
#define NOISY_NS 200e3

/* Ten minutes old: what it knows is better than what a new link knows for long. */
static void aged(struct group *group, double queue_ns)
{
    group_five(group);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = queue_ns;
    group_start_all(group);
    group_run(group, 10 * MINUTE_NS);
    group_assert_states(group, ALL, SYNC_SYNCHRONISED);
}

/* On to the next CORRECT for this node. */
static const struct wire_correct *next_told(struct group *group, unsigned node)
{
    const struct wire_correct *told = &group->nodes[node].told;
    uint32_t round = told->round;

    while (told->round == round)
        group_run(group, FAST_NS / 5);
    return told;
}

static void a_broken_connection_costs_seconds_and_no_accuracy(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    aged(&group, COMMON_NS);
    group.watch = group_bounds_hold;
    group_lose(&group, 2);
    start_ns = group.now_ns;
    group_run(&group, NS_PER_S);
    while (group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", start_ns) == 0) {
        /* From the first round on the new link knows where the clock is. */
        group_assert_within(next_told(&group, 2)->correction_ns, 0, 2 * NS_PER_US);
        assert_true(group_spread(&group, ALL) < NS_PER_US);
        assert_true(group.now_ns - start_ns < 15 * NS_PER_S);
    }
    group_run(&group, 20 * NS_PER_S);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_true(group_spread(&group, ALL) < NS_PER_US);
    group_free(&group);
}

/* Where it is the prior tells, but not for long how fast it runs. */
static void who_is_back_is_in_when_its_rate_is_known_too(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    aged(&group, QUIET_NS);
    group_lose(&group, 2);
    start_ns = group.now_ns;
    group_run(&group, 5 * NS_PER_S);
    assert_int_equal(group.nodes[2].told.verdict, VERDICT_NEWCOMER);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, NULL, start_ns), 0);
    group_run(&group, 10 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", start_ns), 1);
    group_free(&group);
}

/* The network has become so bad that what they were told before is worth more than what
 * the new links say for long. */
static void a_claimant_that_contradicts_nothing_is_left_as_it_is(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    aged(&group, COMMON_NS);
    group_kill(&group, 0);
    for (unsigned i = 0; i < group.count; i++)
        group.nodes[i].queue_ns = NOISY_NS;
    group_run(&group, 2 * NS_PER_S);
    group_start(&group, 0);
    start_ns = group.now_ns;
    while (group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns) == 0)
        group_run(&group, NS_PER_MS);
    group_run(&group, 50 * NS_PER_MS); /* all are told */
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 1; i < group.count; i++) {
            assert_true(clock_verdict_is_in(group.nodes[i].told.verdict));
            assert_false(group.nodes[i].told.has_map);
        }
        assert_true(group_spread(&group, ALL & ~1U) < NS_PER_US);
        (void)next_told(&group, 2);
    }
    group_free(&group);
}

/* 100 us off within the second of the outage, and unaware of it. */
static void a_claimant_that_contradicts_is_corrected(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;
    double raw_ppm;
    bool corrected = false;

    aged(&group, COMMON_NS);
    raw_ppm = group.nodes[2].clock.raw_ppm;
    group_lose(&group, 2);
    start_ns = group.now_ns;
    group_frequency(&group, 2, raw_ppm + 100);
    group_run(&group, NS_PER_S);
    group_frequency(&group, 2, raw_ppm);
    assert_true(group_spread(&group, ALL) > 90 * NS_PER_US);
    while (group.now_ns - start_ns < 20 * NS_PER_S && !corrected) {
        corrected = next_told(&group, 2)->has_map;
        assert_true(group.nodes[2].told.verdict == VERDICT_NEWCOMER ||
                    group.nodes[2].told.verdict == VERDICT_NOISY);
    }
    assert_true(corrected);
    group_run(&group, 2 * MINUTE_NS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_true(group_spread(&group, ALL) < 3 * NS_PER_US);
    group_free(&group);
}

#define FRESH_ROUNDS 8 /* of 9 observations: nearly 100 */

/* It has forgotten everything, but its clock is right: noise would only drag it about. */
static void a_newcomer_that_is_right_is_not_corrected(void **state)
{
    (void)state;
    struct group group;
    const struct wire_correct *told;
    unsigned rounds = 0;

    aged(&group, COMMON_NS);
    group_kill(&group, 2);
    group_start(&group, 2);
    group_run(&group, 1500 * NS_PER_MS);
    for (told = next_told(&group, 2); told->verdict == VERDICT_NEWCOMER;
         told = next_told(&group, 2)) {
        rounds++;
        assert_true(!told->has_map || rounds > FRESH_ROUNDS);
        assert_true(group_spread(&group, ALL) < NS_PER_US);
    }
    assert_true(rounds > 4);
    assert_true(clock_verdict_is_in(told->verdict));
    assert_true(told->has_map);
    group_free(&group);
}

/* Once it was told by its link it knows no more than the link does, and is told again
 * however well it says to know. */
static void in_quiet_times_every_round_brings_a_map(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= 5; count++) {
        struct group group;

        group_init(&group, count);
        group_start_all(&group);
        group_run(&group, MINUTE_NS);
        for (int round = 0; round < 100; round++) {
            assert_true(next_told(&group, 1)->has_map);
            group_assert_states(&group, (1U << count) - 1, SYNC_SYNCHRONISED);
        }
        group_free(&group);
    }
}

/* How long a master that comes back takes. */
static int64_t forming_time(double queue_ns, int64_t stalled_ns)
{
    struct group group;
    int64_t start_ns, before_ns;

    aged(&group, queue_ns);
    before_ns = group_mean(&group, ALL);
    group_kill(&group, 0);
    group_run(&group, 2 * NS_PER_S);
    group_start(&group, 0);
    start_ns = group.now_ns;
    group.nodes[4].stalled_until_ns = start_ns + stalled_ns;
    while (group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, start_ns) == 0) {
        group_assert_states(&group, ALL & ~1U, SYNC_HOLDOVER);
        assert_true(group.now_ns - start_ns < MINUTE_NS);
        group_run(&group, NS_PER_S / 10);
    }
    assert_int_equal(group_note(&group, 0, NOTE_GROUP_FORMED, NULL)->counted, 4);
    start_ns = group.now_ns - start_ns;
    group_run(&group, MINUTE_NS);
    if (queue_ns < NOISY_NS)
        group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    /* It ran on at its 5.2 ppm, as well as that is known on such links. */
    group_assert_within(group_mean(&group, ALL) - before_ns, (62 * NS_PER_S + start_ns) / 192308,
                        (queue_ns < NOISY_NS ? 20 : 500) * NS_PER_US);
    group_free(&group);
    return start_ns;
}

/* They hold the time meanwhile; for ever it need not wait. */
static void a_restarted_master_waits_until_its_links_are_known(void **state)
{
    (void)state;
    int64_t quiet_ns = forming_time(QUIET_NS, 0);
    int64_t common_ns = forming_time(COMMON_NS, 0);
    int64_t noisy_ns = forming_time(NOISY_NS, 0);

    assert_in_range(quiet_ns, 4 * NS_PER_S, 25 * NS_PER_S);
    assert_true(common_ns > quiet_ns + 5 * NS_PER_S);
    assert_in_range(noisy_ns, 29 * NS_PER_S, 33 * NS_PER_S);
}

static void a_restarted_master_waits_for_those_who_come_late(void **state)
{
    (void)state;
    int64_t quiet_ns = forming_time(QUIET_NS, 0);
    int64_t late_ns = forming_time(QUIET_NS, quiet_ns - NS_PER_S);

    assert_true(late_ns >= quiet_ns - NS_PER_S + 8 * FAST_NS);
}

/* All its links are as new as after a restart. */
static void a_suspended_master_does_not_wait_for_its_interval(void **state)
{
    (void)state;
    struct group group;
    int64_t woken_ns;

    group_five(&group);
    group.config.interval_ns = 16 * NS_PER_S;
    group_start_all(&group);
    group_run(&group, 10 * MINUTE_NS);
    group_suspend(&group, 0, 8 * NS_PER_S, 0);
    woken_ns = group.now_ns + 8 * NS_PER_S;
    group_run(&group, 8 * NS_PER_S + 40 * NS_PER_S);
    assert_int_equal(group_notes(&group, 0, NOTE_GROUP_FORMED, NULL, woken_ns), 1);
    group_assert_states(&group, ALL & ~1U, SYNC_SYNCHRONISED);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_connection_costs_seconds_and_no_accuracy),
        cmocka_unit_test(who_is_back_is_in_when_its_rate_is_known_too),
        cmocka_unit_test(a_claimant_that_contradicts_nothing_is_left_as_it_is),
        cmocka_unit_test(a_claimant_that_contradicts_is_corrected),
        cmocka_unit_test(a_newcomer_that_is_right_is_not_corrected),
        cmocka_unit_test(in_quiet_times_every_round_brings_a_map),
        cmocka_unit_test(a_restarted_master_waits_until_its_links_are_known),
        cmocka_unit_test(a_restarted_master_waits_for_those_who_come_late),
        cmocka_unit_test(a_suspended_master_does_not_wait_for_its_interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* How a clock gets out of a group at work and into it: near misses, noise,
 * admission, references, departures. */
#include "group_model.h"
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)
#define ROUND_NS (4 * NS_PER_S)
#define SUSPENDED_ROUNDS 4
#define QUIET_NS 500.0 /* queueing delays */
#define NOISIER_NS 20e3
#define NOISY_NS 200e3
#define HOPELESS_NS 1e6

/* Two minutes after the start, a second after a round: ROUND_NS later is the next one. */
static void settle(struct group *group)
{
    group_start_all(group);
    group_run(group, 2 * MINUTE_NS);
    group_run(group, group->round_at_ns + ROUND_NS + NS_PER_S - group->now_ns);
    group_assert_states(group, (1U << group->count) - 1, SYNC_SYNCHRONISED);
}

static void quiet_five(struct group *group)
{
    group_five(group);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = QUIET_NS;
}

static void settled(struct group *group)
{
    quiet_five(group);
    settle(group);
}

static void run_rounds(struct group *group, unsigned count)
{
    group_run(group, count * ROUND_NS);
}

static unsigned verdict_on(struct group *group, unsigned node)
{
    struct summary summary;

    group_summary(group, node, &summary);
    return summary.verdict;
}

static unsigned excluded(const struct group *group)
{
    return group_notes(group, 0, NOTE_CLOCK_EXCLUDED, NULL, 0);
}

/* The gate of the group's next round. */
static int64_t gate_of_five(void)
{
    struct group group;
    int64_t gate_ns;

    settled(&group);
    group.nodes[2].lie_ns = NS_PER_S;
    run_rounds(&group, 1);
    gate_ns = group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->limit_ns;
    group_free(&group);
    return gate_ns;
}

/* As in the twin, in which nobody lies: a lie in the mean of five would show. */
static void assert_not_in_the_mean(struct group *group, struct group *twin, int64_t lie_ns)
{
    assert_int_equal(group->round.round, twin->round.round);
    assert_int_equal(group->round.counted, 4);
    assert_int_equal(twin->round.counted, 5);
    group_assert_within(group->round.correction_ns, twin->round.correction_ns,
                        timestamp_abs(lie_ns) / 10);
}

static void a_near_miss_is_noise_the_first_time(void **state)
{
    (void)state;
    struct group group, twin;
    int64_t lie_ns = 2 * gate_of_five();
    double freq_ppb;

    settled(&group);
    settled(&twin);
    freq_ppb = group.nodes[2].order.freq_ppb;
    group.nodes[2].lie_ns = lie_ns;
    run_rounds(&group, 1);
    run_rounds(&twin, 1);
    assert_int_equal(verdict_on(&group, 2), VERDICT_NOISY);
    assert_int_equal(excluded(&group), 0);
    assert_not_in_the_mean(&group, &twin, lie_ns);
    assert_true(group.nodes[2].order.freq_ppb != freq_ppb);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_free(&group);
    group_free(&twin);
}

static void a_second_near_miss_in_a_row_excludes(void **state)
{
    (void)state;
    struct group group, twin;
    int64_t lie_ns = -2 * gate_of_five();
    double freq_ppb;

    settled(&group);
    settled(&twin);
    group.nodes[2].lie_ns = lie_ns;
    run_rounds(&group, 2);
    run_rounds(&twin, 2);
    assert_int_equal(excluded(&group), 1);
    assert_int_equal(group_note(&group, 0, NOTE_CLOCK_EXCLUDED, "node-c")->verdict, VERDICT_FAR);
    assert_int_equal(verdict_on(&group, 2), VERDICT_FAR);
    assert_not_in_the_mean(&group, &twin, lie_ns);
    group_assert_states(&group, 4, SYNC_UNSYNCHRONISED);
    freq_ppb = group.nodes[2].order.freq_ppb;
    run_rounds(&group, 2);
    assert_true(group.nodes[2].order.freq_ppb == freq_ppb);
    group_free(&group);
    group_free(&twin);
}

static void a_counted_round_makes_up_for_a_near_miss(void **state)
{
    (void)state;
    struct group group;
    int64_t lie_ns = 2 * gate_of_five();

    settled(&group);
    for (unsigned i = 0; i < 4; i++) {
        group.nodes[2].lie_ns = lie_ns;
        run_rounds(&group, 1);
        assert_int_equal(verdict_on(&group, 2), VERDICT_NOISY);
        group.nodes[2].lie_ns = 0;
        run_rounds(&group, 1);
        assert_int_equal(verdict_on(&group, 2), VERDICT_COUNTED);
    }
    assert_int_equal(excluded(&group), 0);
    group_free(&group);
}

static void four_gates_away_is_no_near_miss(void **state)
{
    (void)state;
    static const int tenths[] = {35, 45, -45};
    int64_t gate_ns = gate_of_five();

    for (size_t i = 0; i < sizeof tenths / sizeof tenths[0]; i++) {
        struct group group, twin;

        settled(&group);
        settled(&twin);
        group.nodes[2].lie_ns = gate_ns * tenths[i] / 10;
        run_rounds(&group, 1);
        run_rounds(&twin, 1);
        assert_int_equal(excluded(&group), i > 0);
        assert_int_equal(verdict_on(&group, 2), i > 0 ? VERDICT_FAR : VERDICT_NOISY);
        assert_not_in_the_mean(&group, &twin, group.nodes[2].lie_ns);
        group_free(&group);
        group_free(&twin);
    }
}

static void who_is_excluded_knows_no_bound(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;

    settled(&group);
    group.nodes[2].lie_ns = 10 * NS_PER_MS;
    run_rounds(&group, 1);
    assert_int_equal(excluded(&group), 1);
    for (unsigned i = 0; i < group.count; i++) {
        group_summary(&group, i, &summary);
        assert_int_equal(summary.bound_ns == INT64_MAX, i == 2);
        assert_int_equal(group.nodes[i].order.maxerror_ns == INT64_MAX, i == 2);
    }
    group.nodes[2].lie_ns = 0;
    run_rounds(&group, SUSPENDED_ROUNDS);
    group_summary(&group, 2, &summary);
    assert_int_equal(summary.bound_ns, INT64_MAX);
    run_rounds(&group, 3); /* asked to come, expected, in */
    group_summary(&group, 2, &summary);
    assert_true(summary.bound_ns < NS_PER_MS);
    group_free(&group);
}

/* Out for its lie, then so near the group; returns when it may come again. */
static int64_t banish(struct group *group, int64_t near_ns)
{
    group->nodes[2].lie_ns = 10 * NS_PER_MS;
    run_rounds(group, 1);
    assert_int_equal(excluded(group), 1);
    group->nodes[2].lie_ns = near_ns;
    run_rounds(group, SUSPENDED_ROUNDS);
    assert_int_equal(verdict_on(group, 2), VERDICT_SUSPENDED);
    return group->now_ns;
}

static void a_newcomer_is_in_when_it_is_well_inside(void **state)
{
    (void)state;
    int64_t gate_ns = gate_of_five();
    struct group group;
    int64_t since_ns;

    settled(&group);
    since_ns = banish(&group, gate_ns / 2);
    run_rounds(&group, 10);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, NULL, since_ns), 0);
    assert_int_equal(verdict_on(&group, 2), VERDICT_NEWCOMER);
    group_assert_states(&group, 4, SYNC_UNSYNCHRONISED);
    group.nodes[2].lie_ns = gate_ns / 5;
    run_rounds(&group, 1);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, NULL, since_ns), 0);
    run_rounds(&group, 1);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", since_ns), 1);
    assert_int_equal(verdict_on(&group, 2), VERDICT_COUNTED);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* It is as near as it can be seen to be. */
static void a_newcomer_on_a_noisier_link_is_judged_by_its_own_sd(void **state)
{
    (void)state;
    int64_t gate_ns = gate_of_five();
    struct group group;
    int64_t since_ns;

    quiet_five(&group);
    group.nodes[2].queue_ns = NOISIER_NS;
    settle(&group);
    since_ns = banish(&group, -gate_ns / 2);
    run_rounds(&group, 5);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", since_ns), 1);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* What it is told of the time is worth too little to the others. */
static void a_link_far_noisier_than_the_others_never_counts(void **state)
{
    (void)state;
    struct group group;

    quiet_five(&group);
    group.nodes[2].queue_ns = HOPELESS_NS;
    group_start_all(&group);
    group_run(&group, 2 * MINUTE_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", 0), 0);
    assert_int_equal(verdict_on(&group, 2), VERDICT_NOISY);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    assert_int_equal(group.round.counted, 4);
    assert_true(group_spread(&group, ALL & ~4U) < 2 * NS_PER_US);
    group_free(&group);
}

/* Two of four agree, one lies, and of the fourth nobody can tell. */
static void who_cannot_tell_abstains(void **state)
{
    (void)state;
    static const struct {
        double queue_ns;
        int64_t lie_ns;
        unsigned verdict, lost;
    } cases[] = {{NOISY_NS, -50 * NS_PER_US, VERDICT_NOISY, 0},
                 {QUIET_NS, -NS_PER_MS, VERDICT_NO_QUORUM, 1}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct group group;
        int64_t start_ns;

        group_init(&group, 4);
        group.nodes[3].queue_ns = cases[i].queue_ns;
        settle(&group);
        start_ns = group.now_ns;
        group.nodes[2].lie_ns = 10 * NS_PER_MS;
        group.nodes[3].lie_ns = cases[i].lie_ns;
        run_rounds(&group, 1);
        assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), cases[i].lost);
        assert_int_equal(excluded(&group), !cases[i].lost);
        assert_int_equal(verdict_on(&group, 3), cases[i].verdict);
        assert_int_equal(group.round.counted, cases[i].lost ? 0 : 2);
        group_assert_states(&group, 0xB, cases[i].lost ? SYNC_HOLDOVER : SYNC_SYNCHRONISED);
        group_free(&group);
    }
}

static void name_reference(struct group *group, const char *name)
{
    memset(group->config.references, 0, sizeof group->config.references);
    strncpy(group->config.references[0], name, WIRE_NAME_SIZE - 1);
    master_configure(group->nodes[0].master, &group->config);
    run_rounds(group, 1);
}

static void a_reference_by_reload_is_left_alone(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;
    unsigned orders;

    settled(&group);
    name_reference(&group, "node-c");
    orders = group.nodes[2].orders;
    group_run(&group, MINUTE_NS);
    assert_int_equal(group.nodes[2].orders, orders);
    group_summary(&group, 2, &summary);
    assert_int_equal(summary.verdict, VERDICT_REFERENCE);
    assert_int_equal(summary.state, SYNC_SYNCHRONISED);
    group_assert_within(summary.outstanding_ns, 0, 20 * NS_PER_US);
    assert_true(summary.bound_ns < NS_PER_MS);
    group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
    name_reference(&group, "");
    orders = group.nodes[2].orders;
    run_rounds(&group, 1);
    assert_int_equal(group.nodes[2].orders, orders + 4);
    group_free(&group);
}

/* A connection that ends without a word before HELLO is nothing to speak of. */
static void a_lost_connection_says_why(void **state)
{
    (void)state;
    static const unsigned reasons[] = {0, BYE_PROTOCOL, BYE_TIMEOUT};

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        const struct master_config config = probe_master_config();
        struct probe probe;

        probe_master(&probe, &config);
        probe_up(&probe, 0);
        probe_down(&probe, 0, reasons[i]);
        assert_int_equal(probe.actions.count, reasons[i] ? 1 : 0);
        if (reasons[i])
            assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, reasons[i]);
        probe_up(&probe, 0);
        probe_frame(&probe, 0, probe_hello("node1", 1));
        probe_down(&probe, 0, reasons[i]);
        assert_int_equal(probe.actions.count, 1);
        assert_int_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->reason, reasons[i]);
        assert_string_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->name, "node1");
        assert_string_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->address, "192.0.2.1");
        probe_free(&probe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_near_miss_is_noise_the_first_time),
        cmocka_unit_test(a_second_near_miss_in_a_row_excludes),
        cmocka_unit_test(a_counted_round_makes_up_for_a_near_miss),
        cmocka_unit_test(four_gates_away_is_no_near_miss),
        cmocka_unit_test(who_is_excluded_knows_no_bound),
        cmocka_unit_test(a_newcomer_is_in_when_it_is_well_inside),
        cmocka_unit_test(a_newcomer_on_a_noisier_link_is_judged_by_its_own_sd),
        cmocka_unit_test(a_link_far_noisier_than_the_others_never_counts),
        cmocka_unit_test(who_cannot_tell_abstains),
        cmocka_unit_test(a_reference_by_reload_is_left_alone),
        cmocka_unit_test(a_lost_connection_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

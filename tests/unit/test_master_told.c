/* SPDX-License-Identifier: BSD-2-Clause */
/* How well a clock is told that it knows the group's time. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0x1FU
#define MINUTE_NS (60 * NS_PER_S)
#define QUIET_NS 500.0 /* queueing delays */
#define NOISY_NS 50e3

static void settled(struct group *group, unsigned count, double queue_ns)
{
    group_init(group, count);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = queue_ns;
    group_start_all(group);
    group_run(group, 3 * MINUTE_NS);
    group_assert_states(group, (1U << count) - 1, SYNC_SYNCHRONISED);
}

/* On to the next CORRECT for this node. */
static const struct wire_correct *next_told(struct group *group, unsigned node)
{
    const struct wire_correct *told = &group->nodes[node].told;
    uint32_t round = told->round;

    while (told->round == round)
        group_run(group, NS_PER_S / 10);
    return told;
}

/* Its first frames say little even of how uncertain they are: what is known from the
 * connection before is as good, but is told with more doubt. */
static void a_new_link_is_doubted(void **state)
{
    (void)state;
    struct group group;
    const struct wire_correct *told;
    int64_t first_ns;

    settled(&group, 5, 5e3);
    group_lose(&group, 2);
    group_run(&group, NS_PER_S);
    told = next_told(&group, 2);
    assert_int_equal(told->verdict, VERDICT_NEWCOMER);
    first_ns = told->offset_sd_ns;
    group_run(&group, MINUTE_NS);
    assert_true(first_ns > 5 * told->offset_sd_ns);
    assert_true(told->offset_sd_ns > 0);
    group_free(&group);
}

/* Of two clocks both are half of what is between them away from their mean. */
static void a_member_is_a_part_of_the_mean(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;
    int64_t own_ns;

    settled(&group, 2, 5e3);
    (void)next_told(&group, 1);
    group_run(&group, NS_PER_S);
    group_summary(&group, 0, &summary);
    own_ns = group.nodes[0].order.esterror_ns - timestamp_abs(summary.outstanding_ns) / 2;
    assert_true(own_ns > 0);
    group_assert_within(group.nodes[1].told.offset_sd_ns, own_ns, own_ns / 50 + 2);
    group_free(&group);
}

/* While one of five is 1 us away from the others, 800 and -200 from their mean, they
 * may be (4 200 + 800) / 5 / 2 = 160 ns off; a round later nothing is left of it. */
static void who_is_still_on_the_way_scatters(void **state)
{
    (void)state;
    struct group group;
    int64_t before_ns, scatter_ns;

    settled(&group, 5, QUIET_NS);
    before_ns = next_told(&group, 1)->scatter_ns;
    group.nodes[2].lie_ns = NS_PER_US;
    scatter_ns = next_told(&group, 1)->scatter_ns;
    assert_int_equal(group.nodes[2].told.verdict, VERDICT_COUNTED);
    assert_true(before_ns < 50);
    group_assert_within(scatter_ns, 160, 50);
    for (unsigned i = 1; i < group.count; i++)
        assert_int_equal(group.nodes[i].told.scatter_ns, scatter_ns);
    group.nodes[2].lie_ns = 0;
    for (int round = 0; round < 3; round++)
        (void)next_told(&group, 1);
    assert_true(group.nodes[1].told.scatter_ns < 50);
    group_free(&group);
}

/* The master's bound and its slaves' hold the same scatter. */
static void scatter_is_in_the_bounds(void **state)
{
    (void)state;
    struct group group;
    struct summary before[5] = {0}, after[5] = {0};

    settled(&group, 5, QUIET_NS);
    (void)next_told(&group, 1);
    for (unsigned i = 0; i < group.count; i++)
        group_summary(&group, i, &before[i]);
    group.nodes[2].lie_ns = NS_PER_US;
    (void)next_told(&group, 1);
    for (unsigned i = 0; i < group.count; i++) {
        group_summary(&group, i, &after[i]);
        if (i != 2)
            assert_true(after[i].bound_ns > before[i].bound_ns + 160 + 100);
    }
    group_free(&group);
}

/* 5 us ahead of four others it shifts their mean by 1 us when it is let in: more than a
 * second before, they are told to allow for that. */
static void who_is_coming_is_allowed_for(void **state)
{
    (void)state;
    struct group group;
    const struct wire_correct *told;
    int64_t start_ns, before_ns, told_ns = 0;

    settled(&group, 5, NOISY_NS);
    group.watch = group_bounds_hold;
    group_lose(&group, 2);
    start_ns = group.now_ns;
    group_run(&group, 1500 * NS_PER_MS);
    group.nodes[2].lie_ns = 5 * NS_PER_US;
    told = &group.nodes[1].told;
    while (group_notes(&group, 0, NOTE_CLOCK_IN, "node-c", start_ns) == 0) {
        assert_true(group.now_ns - start_ns < 5 * MINUTE_NS);
        before_ns = told->scatter_ns;
        (void)next_told(&group, 1);
        if (told_ns == 0 && told->scatter_ns > before_ns + 450)
            told_ns = group.now_ns;
    }
    assert_true(told_ns > 0);
    assert_true(group.now_ns - told_ns > NS_PER_S);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_link_is_doubted),
        cmocka_unit_test(a_member_is_a_part_of_the_mean),
        cmocka_unit_test(who_is_still_on_the_way_scatters),
        cmocka_unit_test(scatter_is_in_the_bounds),
        cmocka_unit_test(who_is_coming_is_allowed_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

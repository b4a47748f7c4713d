/* SPDX-License-Identifier: BSD-2-Clause */
/* Slaves whose connection ends and is soon there again, as when their keys are exchanged. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL 0x1FU
#define SLAVES 4
#define MINUTE_NS (60 * NS_PER_S)
#define BACK_NS (2500 * NS_PER_MS) /* reconnected for two rounds */

/* Half a minute after they joined: new links need longer to be believed. */
static void young(struct group *group)
{
    group_five(group);
    for (unsigned i = 0; i < group->count; i++)
        group->nodes[i].queue_ns = 5e3;
    group_start_all(group);
    group_run(group, MINUTE_NS / 2);
    group_assert_states(group, ALL, SYNC_SYNCHRONISED);
}

static void all_may_reconnect_one_after_the_other(void **state)
{
    (void)state;
    struct group group;
    struct summary summary;
    int64_t start_ns;

    young(&group);
    start_ns = group.now_ns;
    group.watch = group_bounds_hold;
    for (unsigned i = 1; i <= SLAVES; i++) {
        group_break(&group, i);
        group_run(&group, BACK_NS);
        assert_true(clock_verdict_is_in(group.nodes[i].told.verdict));
        group_assert_states(&group, ALL, SYNC_SYNCHRONISED);
        group_summary(&group, 0, &summary);
        assert_int_equal(summary.counted, SLAVES + 1);
    }
    assert_int_equal(group_notes(&group, 0, NOTE_SLAVE_JOINED, NULL, start_ns), SLAVES);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, start_ns), 0);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, start_ns), 0);
    group_free(&group);
}

/* A daemon that started anew knows nothing of its clock, and nothing is known of it. */
static void who_was_restarted_is_new(void **state)
{
    (void)state;
    struct group group;

    young(&group);
    group_kill(&group, 2);
    group_start(&group, 2);
    group_run(&group, BACK_NS);
    assert_int_equal(group.nodes[2].told.verdict, VERDICT_NEWCOMER);
    group_free(&group);
}

/* Back at once, with the epoch of before, but another RAW clock: its machine was started anew. */
static void another_raw_clock_is_measured_anew(void **state)
{
    (void)state;
    struct group group;
    int64_t start_ns;

    young(&group);
    start_ns = group.now_ns;
    group_break(&group, 2);
    group_jump_raw(&group, 2, -20 * NS_PER_MS, false);
    group_run(&group, BACK_NS);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_JUMPED, group.nodes[2].name, start_ns), 1);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, start_ns), 0);
    assert_int_equal(group.nodes[2].told.verdict, VERDICT_NEWCOMER);
    group_free(&group);
}

static void who_was_long_away_is_new(void **state)
{
    (void)state;
    struct group group;

    young(&group);
    group_lose(&group, 2);
    group_run(&group, BACK_NS);
    assert_int_equal(group.nodes[2].told.verdict, VERDICT_NEWCOMER);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_may_reconnect_one_after_the_other),
        cmocka_unit_test(who_was_restarted_is_new),
        cmocka_unit_test(another_raw_clock_is_measured_anew),
        cmocka_unit_test(who_was_long_away_is_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

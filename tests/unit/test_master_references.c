/* SPDX-License-Identifier: BSD-2-Clause */
/* A group that follows references: what is told of their time, and what becomes of the
 * group when they disagree or come anew. */
#include "group_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_NS (60 * NS_PER_S)
#define QUIET_NS 500.0 /* queueing delays */
#define NOISY_NS 10e3
#define FAR_NS (2 * NS_PER_MS) /* one way */

/* Crystals 5 ppm apart; the last so many are references, and right. */
static void referred(struct group *group, unsigned count, unsigned references)
{
    group_init(group, count);
    for (unsigned i = 0; i < count; i++) {
        group_clock(group, i, i * NS_PER_MS, 5.0 * i - 10);
        group->nodes[i].queue_ns = QUIET_NS;
    }
    for (unsigned i = 0; i < references; i++) {
        unsigned node = count - 1 - i;

        group_clock(group, node, 0, 0);
        group->nodes[node].observed = true;
        memcpy(group->config.references[i], group->nodes[node].name, WIRE_NAME_SIZE);
    }
}

static void follow_for(struct group *group, int64_t span_ns)
{
    group_start_all(group);
    group_run(group, span_ns);
    group_assert_states(group, (1U << group->count) - 1, SYNC_SYNCHRONISED);
}

/* A path that is longer one way than the other puts the reference's clock where it is not, by
 * up to the delay: as if it lied by that. */
static void bounds_allow_for_the_references_path(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct group group;
        struct summary summary;

        referred(&group, 5, 1);
        group.nodes[4].delay_ns = FAR_NS;
        group.nodes[4].lie_ns = sign * FAR_NS * 9 / 10;
        follow_for(&group, 5 * MINUTE_NS);
        for (unsigned i = 0; i < 4; i++) {
            int64_t error_ns = group_error(&group, i) - group_error(&group, 4);

            group_summary(&group, i, &summary);
            group_assert_within(error_ns, group.nodes[4].lie_ns, FAR_NS / 10);
            assert_true(summary.bound_ns >= timestamp_abs(error_ns));
        }
        group_free(&group);
    }
}

/* What a quiet clock of twelve is told of its sd. */
static double told_sd(double reference_queue_ns)
{
    struct group group;
    double sd_ns;

    referred(&group, 12, 1);
    group.nodes[11].queue_ns = reference_queue_ns;
    follow_for(&group, 5 * MINUTE_NS);
    sd_ns = (double)group.nodes[1].told.offset_sd_ns;
    group_free(&group);
    return sd_ns;
}

static void followers_do_not_make_the_reference_better_known(void **state)
{
    (void)state;
    assert_true(told_sd(NOISY_NS) > 2 * told_sd(QUIET_NS));
}

static void a_follower_is_no_part_of_the_references_mean(void **state)
{
    (void)state;
    struct group group;

    referred(&group, 5, 2);
    group.nodes[1].queue_ns = NOISY_NS;
    follow_for(&group, 5 * MINUTE_NS);
    assert_true(group.nodes[1].told.offset_sd_ns > 2 * group.nodes[2].told.offset_sd_ns);
    group_free(&group);
}

struct excursion {
    int64_t worst_ns;
    unsigned unsynchronised;
};

static void watch_followers(struct group *group, void *context)
{
    struct excursion *excursion = context;

    for (unsigned i = 0; i + 1 < group->count; i++) {
        int64_t off_ns = timestamp_abs(group_error(group, i));
        struct summary summary;

        group_summary(group, i, &summary);
        excursion->unsynchronised += summary.state == SYNC_UNSYNCHRONISED;
        if (off_ns > excursion->worst_ns)
            excursion->worst_ns = off_ns;
    }
}

static void a_reference_that_comes_anew_moves_nobody(void **state)
{
    (void)state;
    struct excursion excursion = {0};
    struct group group;

    referred(&group, 5, 1);
    group.nodes[4].queue_ns = NOISY_NS;
    follow_for(&group, 20 * MINUTE_NS);
    group.watch = watch_followers;
    group.watch_context = &excursion;
    group_kill(&group, 4);
    group_run(&group, 20 * NS_PER_S);
    group_start(&group, 4);
    group_run(&group, 5 * MINUTE_NS);
    assert_int_equal(excursion.unsynchronised, 0);
    assert_true(excursion.worst_ns < 5 * NS_PER_US);
    group_assert_states(&group, 0x1F, SYNC_SYNCHRONISED);
    group_free(&group);
}

/* By more than the links' gates, which are for clocks that one rule steers. */
static void references_may_differ_by_what_keeps_them(void **state)
{
    (void)state;
    struct excursion excursion = {0};
    struct group group;
    int64_t since_ns;
    size_t notes;

    referred(&group, 5, 2);
    group_clock(&group, 3, 200 * NS_PER_US, 0);
    follow_for(&group, 5 * MINUTE_NS);
    since_ns = group.now_ns;
    notes = group.note_count;
    group.watch = watch_followers;
    group.watch_context = &excursion;
    group_run(&group, 10 * MINUTE_NS);
    assert_int_equal(excursion.unsynchronised, 0);
    assert_int_equal(group_notes(&group, 0, NOTE_QUORUM_LOST, NULL, since_ns), 0);
    assert_int_equal(group_notes(&group, 0, NOTE_CLOCK_EXCLUDED, NULL, since_ns), 0);
    assert_int_equal(group.note_count, notes);
    assert_int_equal(group.round.counted, 5);
    group_assert_states(&group, 0x1F, SYNC_SYNCHRONISED);
    group_assert_within(group_mean(&group, 7), 100 * NS_PER_US, 20 * NS_PER_US);
    group_free(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_allow_for_the_references_path),
        cmocka_unit_test(followers_do_not_make_the_reference_better_known),
        cmocka_unit_test(a_follower_is_no_part_of_the_references_mean),
        cmocka_unit_test(a_reference_that_comes_anew_moves_nobody),
        cmocka_unit_test(references_may_differ_by_what_keeps_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

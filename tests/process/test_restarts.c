/* SPDX-License-Identifier: BSD-2-Clause */
/* Daemons that die, stand still and come back: the group's time goes on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>

#include "core/timestamp.h"
#include "daemon/clock_emulated.h"
#include "group.h"

#define US NS_PER_US
#define MS NS_PER_MS

/* User-space stamps on a busy machine are good to some 10 us, and a frequency
 * learned from them to some ppm. */
#define SPREAD_NS (100 * US)
#define UNMOVED_NS (100 * US)
/* For those who had to find the group's time anew. */
#define MOVED_NS MS
#define STEP_NS (300 * MS)
/* 4 s until the group has its time, then 100 ms a second before the first
 * synchronisation. */
#define JOIN_SECONDS 60
/* A master that comes back measures its links anew before the group goes on: for 60
 * rounds, 30 s, at most. */
#define NOTICE_SECONDS 45
#define DEAD_SECONDS 5
/* What a frequency measured for 8 s by such stamps may be off; without it node 3
 * would run 220 ppm fast. */
#define LEARNED_PPM 30
/* A master gives up a slave that is silent for 10 s. */
#define PAUSE_SECONDS 20

#define NEAR_NODES                                                                 \
    {                                                                              \
        {.offset_ns = 200 * US, .frequency_ppm = 5}, {.frequency_ppm = -60},       \
            {.offset_ns = -200 * US, .frequency_ppm = 70}, {.frequency_ppm = 300}, \
    }

/* All run at the same time, and what befalls them happens at the same time. */
static struct harness *harness;
static struct group *orphans, *misled, *bereaved, *paused;
static struct course orphans_course, misled_course, bereaved_course, paused_course;
static int64_t struck;

static struct group *start(const char *name)
{
    const struct group_options options = {.name = name, .nodes = NEAR_NODES, .count = 4};

    return group_start(harness, &options);
}

static bool wait_formed(struct group *group)
{
    return group_wait_line(group, NODES(0, 3), "Synchronised: ", JOIN_SECONDS) &&
           group_wait_synchronised(group, NODES(0, 3), JOIN_SECONDS) &&
           group_wait_spread(group, NODES(0, 3), SPREAD_NS, JOIN_SECONDS);
}

static int setup(void **state)
{
    harness_setup(state);
    harness = *state;
    orphans = start("orphan");
    misled = start("misled");
    bereaved = start("bereaved");
    paused = start("paused");
    return 0;
}

static void strike_master(struct group *group, struct course *course)
{
    assert_true(wait_formed(group));
    *course = group_course(group, NODES(1, 3), NODES(0, 3));
    group_mark(group);
    process_kill(group_process(group, 0));
}

static void strike_slave(struct group *group, struct course *course, int number)
{
    assert_true(wait_formed(group));
    *course = group_course(group, NODES(0, 2), NODES(0, 3));
    group_mark(group);
    process_signal(group_process(group, 3), number);
}

/* The tests that follow begin with what happens here. */
static void test_the_groups_form(void **state)
{
    (void)state;
    strike_slave(paused, &paused_course, SIGSTOP);
    strike_slave(bereaved, &bereaved_course, SIGKILL);
    strike_master(orphans, &orphans_course);
    strike_master(misled, &misled_course);
    assert_return_code(emulated_meddle_step(group_clock_path(misled, 0), STEP_NS), 0);
    struck = harness_deadline(0);
}

static void wait_since_struck(double seconds)
{
    int64_t deadline = struck + harness_deadline(seconds) - harness_deadline(0);

    while (harness_wait(harness, deadline))
        continue;
}

/* A master that comes back asks those who know the time, whatever its own clock
 * says meanwhile. */
static void test_a_master_comes_back_with_another_time(void **state)
{
    (void)state;
    wait_since_struck(DEAD_SECONDS);
    assert_in_range(group_moved(misled, &misled_course), 0, MOVED_NS);
    group_mark(misled);
    group_restart(misled, 0);
    /* Those that were synchronised before; but how many are known well enough by then, and
     * whether it waits in vain to know their frequencies, hangs on how busy this machine is. */
    assert_true(process_wait_line(group_process(misled, 0),
                                  "The group has its time: the average of [23] of 4 clocks",
                                  NOTICE_SECONDS));
    assert_true(group_wait_line(misled, NODES(1, 3), "Synchronised: ", NOTICE_SECONDS));
    assert_in_range(group_moved(misled, &misled_course), 0, MOVED_NS);
}

static void test_a_dead_slaves_clock_runs_on(void **state)
{
    int64_t learned_ns;

    (void)state;
    wait_since_struck(DEAD_SECONDS);
    assert_int_equal(process_wait_exit(group_process(bereaved, 3), 1), 128 + SIGKILL);
    learned_ns = (harness_deadline(0) - struck) * LEARNED_PPM / 1000000;
    assert_true(group_wait_spread(bereaved, NODES(0, 3), SPREAD_NS + learned_ns, 1));
    assert_true(process_wait_line(group_process(bereaved, 0), "Slave bereaved3 left", 1));
    group_mark(bereaved);
    group_restart(bereaved, 3);
    assert_true(
        process_wait_line(group_process(bereaved, 0), "bereaved3 is in the group", NOTICE_SECONDS));
    assert_true(group_wait_line(bereaved, NODE(3), "Synchronised: ", NOTICE_SECONDS));
    assert_true(group_wait_synchronised(bereaved, NODES(0, 3), NOTICE_SECONDS));
    assert_in_range(group_moved(bereaved, &bereaved_course), 0, UNMOVED_NS);
    assert_true(group_wait_spread(bereaved, NODES(0, 3), SPREAD_NS, NOTICE_SECONDS));
    assert_true(group_never_back(bereaved, NODES(0, 3)));
}

/* Does the bound of the clock get larger by itself?  What is still outstanding
 * at first may make it smaller. */
static bool wait_bound_grows(struct group *group, size_t n)
{
    int64_t deadline = harness_deadline(NOTICE_SECONDS);
    int64_t least_ns = INT64_MAX;

    do {
        int64_t bound_ns = group_bound(group, n);

        if (least_ns != INT64_MAX && bound_ns > least_ns)
            return true;
        least_ns = bound_ns < least_ns ? bound_ns : least_ns;
    } while (harness_wait(harness, deadline));
    return false;
}

static void test_slaves_hold_over_without_a_master(void **state)
{
    int64_t bound_ns;

    (void)state;
    assert_true(group_wait_line(orphans, NODES(1, 3), "Master orphan0 is gone", NOTICE_SECONDS));
    assert_true(group_wait_line(orphans, NODES(1, 3), "Holdover: ", NOTICE_SECONDS));
    for (size_t n = 1; n < 4; n++)
        assert_false(group_unsynchronised(orphans, n));
    assert_true(wait_bound_grows(orphans, 1));
    assert_true(group_bounds_hold(orphans, NODES(1, 3), 1, &bound_ns));
    assert_in_range(group_moved(orphans, &orphans_course), 0, MOVED_NS);
    group_mark(orphans);
    group_restart(orphans, 0);
    assert_true(
        group_wait_line(orphans, NODES(1, 3), "Following master orphan0", NOTICE_SECONDS));
    assert_true(group_wait_line(orphans, NODES(0, 3), "Synchronised: ", NOTICE_SECONDS));
    assert_true(group_wait_synchronised(orphans, NODES(0, 3), NOTICE_SECONDS));
    assert_in_range(group_moved(orphans, &orphans_course), 0, MOVED_NS);
    assert_true(group_wait_spread(orphans, NODES(0, 3), SPREAD_NS, NOTICE_SECONDS));
    assert_true(group_never_back(orphans, NODES(0, 3)));
}

static void test_a_slave_stands_still(void **state)
{
    struct process *master = group_process(paused, 0);

    (void)state;
    wait_since_struck(PAUSE_SECONDS);
    assert_true(process_wait_line(master, "Slave paused3 left: nothing was heard for too long", 1));
    /* Two rounds a second were due; half of them is a machine at its limit. */
    assert_true(process_count_lines(master, "Round .* of [34] clocks counted") >= PAUSE_SECONDS);
    assert_true(group_wait_spread(paused, NODES(0, 2), SPREAD_NS, NOTICE_SECONDS));
    process_mark(master);
    process_signal(group_process(paused, 3), SIGCONT);
    assert_true(process_wait_line(master, "Slave paused3 joined", NOTICE_SECONDS));
    assert_true(process_wait_line(master, "paused3 is in the group", NOTICE_SECONDS));
    assert_true(group_wait_synchronised(paused, NODES(0, 3), NOTICE_SECONDS));
    assert_in_range(group_moved(paused, &paused_course), 0, UNMOVED_NS);
    assert_true(group_wait_spread(paused, NODES(0, 3), SPREAD_NS, NOTICE_SECONDS));
    assert_true(group_never_back(paused, NODES(0, 3)));
}

static void test_the_misled_master_is_brought_back(void **state)
{
    (void)state;
    assert_true(group_wait_spread(misled, NODES(0, 3), SPREAD_NS, JOIN_SECONDS));
    assert_true(group_wait_synchronised(misled, NODES(0, 3), JOIN_SECONDS));
    assert_in_range(group_moved(misled, &misled_course), 0, MOVED_NS);
    assert_true(group_never_back(misled, NODES(0, 3)));
}

static int teardown(void **state)
{
    return harness_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_groups_form),
        cmocka_unit_test(test_a_master_comes_back_with_another_time),
        cmocka_unit_test(test_a_dead_slaves_clock_runs_on),
        cmocka_unit_test(test_slaves_hold_over_without_a_master),
        cmocka_unit_test(test_a_slave_stands_still),
        cmocka_unit_test(test_the_misled_master_is_brought_back),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks that are wrong, or made wrong, do not harm the others. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "core/timestamp.h"
#include "daemon/clock_emulated.h"
#include "group.h"

#define US NS_PER_US
#define MS NS_PER_MS
#define PPM (1L << 16) /* in struct timex */
#define PANIC_EXIT 80

/* User-space stamps on a busy machine are good to some 10 us. */
#define SPREAD_NS (100 * US)
/* A clock followed by mistake moves a group of four by a quarter of its error:
 * 12.5 ms of the 50 ms below, minutes of the others. */
#define MOVED_NS MS
/* 4 s until the group has its time, then a quarter of the rest less each second. */
#define JOIN_SECONDS 60
#define NOTICE_SECONDS 20
#define STEP_NS (50 * MS)
#define PANIC_STEP_NS (2000 * NS_PER_S)

static const struct group_options wild_options = {
    .name = "wild",
    .nodes = {{.offset_ns = MS, .frequency_ppm = 10},
              {.offset_ns = -2 * MS, .frequency_ppm = -20},
              {.offset_ns = MS / 2, .frequency_ppm = 30},
              {.offset_ns = 3600 * NS_PER_S, .frequency_ppm = 5},
              {.frequency_ppm = 1000}},
    .count = 5,
};

/* The others start near each other: where from does not matter. */
#define NEAR_NODES                                                                \
    {                                                                             \
        {.offset_ns = 200 * US, .frequency_ppm = 5}, {.frequency_ppm = -30},      \
            {.offset_ns = -200 * US, .frequency_ppm = 40}, {.frequency_ppm = 20}, \
    }

static const struct group_options set_options = {.name = "set", .nodes = NEAR_NODES, .count = 4};
static const struct group_options shared_options = {
    .name = "shared", .nodes = NEAR_NODES, .count = 4};
static const struct group_options panic_options = {
    .name = "panic", .nodes = NEAR_NODES, .count = 4};

/* All run at the same time; each test looks at one. */
static struct harness *harness;
static struct group *wild, *set, *shared, *panic;

static int setup(void **state)
{
    harness_setup(state);
    harness = *state;
    wild = group_start(harness, &wild_options);
    /* It is judged by its first two seconds: not while the others are starting. */
    if (!process_wait_line(group_process(wild, 0), "The group has its time", JOIN_SECONDS))
        return -1;
    set = group_start(harness, &set_options);
    shared = group_start(harness, &shared_options);
    panic = group_start(harness, &panic_options);
    return 0;
}

static void pass(double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    while (harness_wait(harness, deadline))
        continue;
}

static bool wait_formed(struct group *group)
{
    return group_wait_synchronised(group, NODES(0, 3), JOIN_SECONDS) &&
           group_wait_spread(group, NODES(0, 3), SPREAD_NS, JOIN_SECONDS);
}

static void test_wild_clocks_are_left_out(void **state)
{
    struct course course = group_course_made(wild, NODES(0, 2));
    struct process *master = group_process(wild, 0);

    (void)state;
    assert_true(process_wait_line(master, "wild3 is excluded: it is 3[56][0-9][0-9] s ahead of",
                                  JOIN_SECONDS));
    assert_true(process_wait_line(
        master, "wild4 is excluded: it runs (9|10)[0-9][0-9]\\.[0-9] ppm faster", JOIN_SECONDS));
    assert_true(process_wait_line(group_process(wild, 3), "master excludes this clock", 1));
    assert_true(process_wait_line(group_process(wild, 4), "master excludes this clock", 1));
    assert_true(group_wait_synchronised(wild, NODES(0, 2), JOIN_SECONDS));
    assert_true(group_wait_spread(wild, NODES(0, 2), SPREAD_NS, JOIN_SECONDS));
    assert_in_range(group_moved(wild, &course), 0, MOVED_NS);
    for (size_t n = 3; n < 5; n++) {
        assert_int_equal(process_count_lines(group_process(wild, n), "Synchronised: "), 0);
        assert_true(group_unsynchronised(wild, n));
    }
    /* That one is beyond what the kernel can steer, and told so. */
    assert_true(process_wait_line(group_process(wild, 4), "the kernel can do 500", JOIN_SECONDS));
    assert_true(group_never_back(wild, NODES(0, 4)));
}

static void test_a_clock_set_by_somebody(void **state)
{
    struct course course;

    (void)state;
    assert_true(wait_formed(set));
    course = group_course(set, NODES(0, 2), NODES(0, 3));
    group_mark(set);
    assert_return_code(emulated_meddle_step(group_clock_path(set, 3), STEP_NS), 0);
    assert_true(process_wait_line(group_process(set, 3),
                                  "Somebody else set this clock by \\+(49\\.[0-9]*|50.*) ms",
                                  NOTICE_SECONDS));
    assert_true(
        process_wait_line(group_process(set, 0), ": 3 of [34] clocks counted", NOTICE_SECONDS));
    assert_true(process_wait_line(group_process(set, 3), "Round .* \\((far|suspended|newcomer)\\)",
                                  NOTICE_SECONDS));
    assert_true(group_unsynchronised(set, 3));
    /* A fast clock that is slowed down does not go back; the others stay. */
    pass(5);
    assert_true(clocks_spread(group_clocks(set), CLOCKS_ALL) < STEP_NS);
    assert_in_range(group_moved(set, &course), 0, MOVED_NS);
    assert_true(group_wait_spread(set, NODES(0, 2), SPREAD_NS, NOTICE_SECONDS));
    assert_int_equal(process_count_lines(group_process(set, 3), "Synchronised: "), 0);
    assert_true(group_never_back(set, NODES(0, 3)));
}

static void test_a_frequency_changed_by_somebody(void **state)
{
    struct course course;

    (void)state;
    assert_true(wait_formed(shared));
    course = group_course(shared, NODES(0, 3), NODES(0, 3));
    assert_return_code(emulated_meddle_frequency(group_clock_path(shared, 1), 150e3), 0);
    assert_true(process_wait_line(group_process(shared, 1),
                                  "clock was changed by another program: frequency .* -> \\+150",
                                  NOTICE_SECONDS));
    assert_true(group_wait_spread(shared, NODES(0, 3), SPREAD_NS, NOTICE_SECONDS));
    assert_true(group_timex(shared, 1).freq < 100 * PPM);
    assert_in_range(group_moved(shared, &course), 0, MOVED_NS);
    assert_true(group_never_back(shared, NODES(0, 3)));
}

/* Ahead of the others that are left. */
static int64_t ahead_ns(struct group *group, size_t n)
{
    int64_t real_ns[4];

    clocks_read(group_clocks(group), real_ns);
    return real_ns[n] - real_ns[0];
}

static void test_panic(void **state)
{
    struct course course;
    int64_t left_ns;
    long freq;

    (void)state;
    assert_true(wait_formed(panic));
    course = group_course(panic, NODES(0, 2), NODES(0, 3));
    freq = group_timex(panic, 3).freq;
    assert_return_code(emulated_meddle_step(group_clock_path(panic, 3), PANIC_STEP_NS), 0);
    assert_int_equal(process_wait_exit(group_process(panic, 3), NOTICE_SECONDS), PANIC_EXIT);
    assert_true(process_wait_line(group_process(panic, 3), "Panic: a correction of -2000 s", 1));
    left_ns = ahead_ns(panic, 3);
    assert_in_range(left_ns, PANIC_STEP_NS - MS, PANIC_STEP_NS + MS);
    /* As the last round before may have left it: rates differ by little. */
    assert_in_range(labs(group_timex(panic, 3).freq - freq), 0, 20 * PPM);
    assert_int_equal(group_timex(panic, 3).offset, 0);
    assert_true(group_unsynchronised(panic, 3));
    pass(3);
    assert_in_range(llabs(ahead_ns(panic, 3) - left_ns), 0, MS);
    assert_in_range(group_moved(panic, &course), 0, MOVED_NS);
    assert_true(group_wait_synchronised(panic, NODES(0, 2), NOTICE_SECONDS));
    assert_true(group_wait_spread(panic, NODES(0, 2), SPREAD_NS, NOTICE_SECONDS));
    assert_true(group_never_back(panic, NODES(0, 3)));
}

static int teardown(void **state)
{
    return harness_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clock_set_by_somebody),
        cmocka_unit_test(test_a_frequency_changed_by_somebody),
        cmocka_unit_test(test_panic),
        cmocka_unit_test(test_wild_clocks_are_left_out),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeley.h: what programs are told of a segment, of ours and of ClockBound's. */
#include "berkeley.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

static char path[64];
static struct berkeley_segment file; /* what is in it */

static int64_t coarse_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * S + now.tv_nsec;
}

static void set_times(int64_t as_of_ns, int64_t void_after_ns)
{
    file.as_of[0] = as_of_ns / S;
    file.as_of[1] = as_of_ns % S;
    file.void_after[0] = void_after_ns / S;
    file.void_after[1] = void_after_ns % S;
}

/* As ClockBound's daemon leaves it a moment after a good answer of chronyd. */
static int setup(void **state)
{
    const int64_t now_ns = coarse_ns();

    (void)state;
    file = (struct berkeley_segment){.magic = {0x414D5A4E, 0x43420200},
                                     .size = 80,
                                     .version = 2,
                                     .generation = 8,
                                     .bound_ns = 20000,
                                     .drift_ppb = 50000,
                                     .status = 1};
    set_times(now_ns, now_ns + 1000 * S);
    strcpy(path, "/tmp/berkeley-header-XXXXXX");
    return close(mkstemp(path));
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void store(size_t size)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_int_equal(write(fd, &file, size), size);
    assert_int_equal(close(fd), 0);
}

static const struct berkeley_segment *opened(void)
{
    const struct berkeley_segment *segment;

    store(sizeof file);
    segment = berkeley_open(path);
    assert_non_null(segment);
    return segment;
}

/* The bound at an instant, or -1. */
static int64_t bound_at(int64_t now_ns, enum berkeley_status status)
{
    const struct berkeley_segment *segment = opened();
    struct berkeley_snapshot_ snapshot = {0};
    int64_t bound_ns = -1;

    assert_true(berkeley_snapshot_take_(segment, &snapshot));
    assert_int_equal(berkeley_judge_(&snapshot, now_ns, &bound_ns), status);
    berkeley_close(segment);
    return bound_ns;
}

static void expect_nothing(enum berkeley_status status)
{
    const struct berkeley_segment *segment = opened();
    int64_t earliest_ns = 0, latest_ns = 0, bound_ns = 0;

    assert_int_equal(berkeley_now(segment, &earliest_ns, &latest_ns), status);
    assert_int_equal(earliest_ns, INT64_MIN);
    assert_int_equal(latest_ns, INT64_MAX);
    assert_int_equal(berkeley_bound(segment, &bound_ns), status);
    assert_int_equal(bound_ns, INT64_MAX);
    berkeley_close(segment);
}

static void the_interval(void **state)
{
    const struct berkeley_segment *segment = opened();
    int64_t earliest_ns, latest_ns, bound_ns;
    struct timespec before, after;

    (void)state;
    (void)clock_gettime(CLOCK_REALTIME, &before);
    assert_int_equal(berkeley_now(segment, &earliest_ns, &latest_ns), BERKELEY_SYNCHRONISED);
    (void)clock_gettime(CLOCK_REALTIME, &after);
    assert_true((latest_ns - earliest_ns) / 2 >= 20000);
    assert_true(earliest_ns <= after.tv_sec * S + after.tv_nsec - 20000);
    assert_true(latest_ns >= before.tv_sec * S + before.tv_nsec + 20000);
    assert_int_equal(berkeley_bound(segment, &bound_ns), BERKELEY_SYNCHRONISED);
    assert_true(bound_ns >= (latest_ns - earliest_ns) / 2);
    berkeley_close(segment);
}

/* 50 ppm: 50 us a second, and a nanosecond for the rounding. */
static void it_grows(void **state)
{
    (void)state;
    set_times(100 * S + 5, 1100 * S);
    assert_int_equal(bound_at(100 * S + 5, BERKELEY_SYNCHRONISED), 20001);
    assert_int_equal(bound_at(101 * S + 5, BERKELEY_SYNCHRONISED), 70001);
    assert_int_equal(bound_at(100 * S + 5 + 10001, BERKELEY_SYNCHRONISED), 20001);
    assert_int_equal(bound_at(1100 * S - 1, BERKELEY_HOLDOVER), 20000 + 49999999 + 1);
}

static void without_news(void **state)
{
    (void)state;
    set_times(100 * S, 1100 * S);
    (void)bound_at(105 * S - 1, BERKELEY_SYNCHRONISED);
    (void)bound_at(105 * S, BERKELEY_HOLDOVER);
    (void)bound_at(1100 * S - 1, BERKELEY_HOLDOVER);
    assert_int_equal(bound_at(1100 * S, BERKELEY_UNKNOWN), -1);
    file.status = 2;
    (void)bound_at(100 * S, BERKELEY_HOLDOVER);
}

/* From before the machine was booted; or what a coarse clock makes seem so. */
static void from_the_future(void **state)
{
    (void)state;
    set_times(100 * S, 1100 * S);
    assert_int_equal(bound_at(100 * S - MS, BERKELEY_SYNCHRONISED), 20001);
    assert_int_equal(bound_at(100 * S - MS - 1, BERKELEY_UNKNOWN), -1);
}

static void nothing_is_promised(void **state)
{
    (void)state;
    assert_false(berkeley_holds(BERKELEY_UNKNOWN));
    assert_false(berkeley_holds(BERKELEY_DISRUPTED));
    assert_true(berkeley_holds(BERKELEY_SYNCHRONISED));
    assert_true(berkeley_holds(BERKELEY_HOLDOVER));
    file.status = 0;
    expect_nothing(BERKELEY_UNKNOWN);
    file.status = 3;
    expect_nothing(BERKELEY_DISRUPTED);
    file.status = 4;
    expect_nothing(BERKELEY_UNKNOWN);
    file.status = -1;
    expect_nothing(BERKELEY_UNKNOWN);
    file.status = 1;
    set_times(0, coarse_ns() - 1);
    expect_nothing(BERKELEY_UNKNOWN);
}

static void nonsense(void **state)
{
    const struct berkeley_segment good = file;
    const int64_t wild[] = {-1, INT64_MIN, INT64_MAX};

    (void)state;
    file.bound_ns = -1;
    expect_nothing(BERKELEY_UNKNOWN);
    file.bound_ns = INT64_MAX;
    expect_nothing(BERKELEY_UNKNOWN);
    file = good;
    file.drift_ppb = 1000000000;
    expect_nothing(BERKELEY_UNKNOWN);
    for (size_t i = 0; i < 3; i++)
        for (size_t place = 0; place < 4; place++) {
            file = good;
            *(place < 2 ? &file.as_of[place] : &file.void_after[place - 2]) = wild[i];
            expect_nothing(BERKELEY_UNKNOWN);
        }
}

/* A writer that was killed at it, or a daemon of another version that took over. */
static void changed_meanwhile(void **state)
{
    const struct berkeley_segment *segment = opened();
    int64_t bound_ns;

    (void)state;
    file.generation = 9;
    store(sizeof file);
    assert_int_equal(berkeley_bound(segment, &bound_ns), BERKELEY_UNKNOWN);
    file.generation = 0;
    store(sizeof file);
    assert_int_equal(berkeley_bound(segment, &bound_ns), BERKELEY_UNKNOWN);
    file.generation = 10;
    store(sizeof file);
    assert_int_equal(berkeley_bound(segment, &bound_ns), BERKELEY_SYNCHRONISED);
    file.version = 3;
    store(sizeof file);
    assert_int_equal(berkeley_bound(segment, &bound_ns), BERKELEY_UNKNOWN);
    berkeley_close(segment);
}

static void expect_no_segment(size_t size)
{
    store(size);
    errno = 0;
    assert_null(berkeley_open(path));
    assert_int_equal(errno, EPROTO);
}

static void no_segment(void **state)
{
    const struct berkeley_segment good = file;

    (void)state;
    expect_no_segment(0);
    expect_no_segment(sizeof file - 1);
    file.magic[0]++;
    expect_no_segment(sizeof file);
    file = good;
    file.magic[1]++;
    expect_no_segment(sizeof file);
    file = good;
    file.version = 1;
    expect_no_segment(sizeof file);
    file = good;
    file.size = 79;
    expect_no_segment(sizeof file);
    file = good;
    file.generation = 0;
    expect_no_segment(sizeof file);
    assert_null(berkeley_open("/nowhere/clockbound"));
    assert_int_equal(errno, ENOENT);
    assert_null(berkeley_open("/tmp"));
    assert_int_equal(errno, EPROTO);
    berkeley_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_interval),        TEST(it_grows),   TEST(without_news),
        TEST(from_the_future),     TEST(nonsense),   TEST(nothing_is_promised),
        TEST(changed_meanwhile),   TEST(no_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

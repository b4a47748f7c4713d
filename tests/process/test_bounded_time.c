/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.bound_file: what other programs read of real daemons, over their lives and deaths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "berkeley.h"
#include "daemon/clock_emulated.h"
#include "setup.h"

#define SECONDS 30
#define WATCHED 5
/* Until a master that is back has found its group again. */
#define AGAIN_SECONDS 120
#define STEP_NS (10 * INT64_C(1000000000))

static const char *bound_file(struct harness *harness, const char *name)
{
    return harness_path(harness, "%s.bound", name);
}

static const char *configured(struct harness *harness, const char *name, uint16_t port)
{
    const char *config = setup_config(harness, name, port);
    char override[256];

    (void)snprintf(override, sizeof override,
                   "clock: { bound_file = \"%s\"; };\n"
                   "emulated: { offset = \"%s\"; frequency_ppm = %s; };\n",
                   bound_file(harness, name), strcmp(name, "lead") == 0 ? "0 s" : "50 ms",
                   strcmp(name, "lead") == 0 ? "0" : "40");
    setup_override(harness, config, override);
    return config;
}

static struct process *start(struct harness *harness, const char *role, const char *name,
                             uint16_t port)
{
    return process_start(harness, role, "-c", configured(harness, name, port), NULL);
}

static const struct berkeley_segment *opened(struct harness *harness, const char *name)
{
    const int64_t deadline = harness_deadline(SECONDS);
    const struct berkeley_segment *segment;

    do
        segment = berkeley_open(bound_file(harness, name));
    while (!segment && harness_wait(harness, deadline));
    assert_non_null(segment);
    return segment;
}

static struct berkeley_snapshot_ snap(const struct berkeley_segment *segment)
{
    struct berkeley_snapshot_ snapshot = {0};

    assert_true(berkeley_snapshot_take_(segment, &snapshot));
    return snapshot;
}

static bool wait_status(struct harness *harness, const struct berkeley_segment *segment,
                        enum berkeley_status status, double seconds)
{
    const int64_t deadline = harness_deadline(seconds);
    int64_t bound_ns;

    do {
        if (berkeley_bound(segment, &bound_ns) == status)
            return true;
    } while (harness_wait(harness, deadline));
    (void)fprintf(stderr, "status %d did not become %d\n", berkeley_bound(segment, &bound_ns),
                  status);
    return false;
}

static ino_t inode(struct harness *harness, const char *name)
{
    struct stat status;

    assert_int_equal(stat(bound_file(harness, name), &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0644);
    assert_int_equal(status.st_size, 80);
    return status.st_ino;
}

/* For a while, is each clock as near to the mean of both as its own segment says? */
static void expect_true_bounds(struct harness *harness, const struct berkeley_segment *const *both,
                               enum berkeley_status status)
{
    const char *const paths[] = {harness_path(harness, "lead.clock"),
                                 harness_path(harness, "follow.clock")};
    struct clocks *clocks = clocks_open(harness, paths, 2, SECONDS);
    const int64_t deadline = harness_deadline(WATCHED);

    assert_non_null(clocks);
    do {
        for (size_t i = 0; i < 2; i++) {
            const struct berkeley_snapshot_ snapshot = snap(both[i]);
            int64_t real_ns[2], bound_ns = 0, off_ns;

            clocks_read(clocks, real_ns);
            off_ns = llabs(real_ns[0] - real_ns[1]) / 2;
            assert_int_equal(
                berkeley_judge_(&snapshot, berkeley_read_(CLOCK_MONOTONIC_COARSE), &bound_ns),
                status);
            if (off_ns > bound_ns)
                fail_msg("off by %jd ns, told %jd", (intmax_t)off_ns, (intmax_t)bound_ns);
        }
    } while (harness_wait(harness, deadline));
}

static void a_life(void **state)
{
    const uint16_t port = harness_port();
    struct process *lead = start(*state, "--master", "lead", port);
    struct process *follow = start(*state, "--slave", "follow", port);
    const struct berkeley_segment *both[] = {opened(*state, "lead"), opened(*state, "follow")};
    const ino_t before = inode(*state, "follow");
    int64_t deadline, bound_ns, first_ns;

    assert_true(wait_status(*state, both[0], BERKELEY_SYNCHRONISED, SECONDS));
    assert_true(wait_status(*state, both[1], BERKELEY_SYNCHRONISED, SECONDS));
    assert_int_equal(process_count_lines(lead, "Synchronised"), 1);
    assert_int_equal(process_count_lines(follow, "Synchronised"), 1);
    assert_true(snap(both[1]).drift_ppb > 0);
    expect_true_bounds(*state, both, BERKELEY_SYNCHRONISED);

    process_kill(lead);
    assert_true(wait_status(*state, both[1], BERKELEY_HOLDOVER, SECONDS));
    assert_int_equal(snap(both[1]).status, BERKELEY_HOLDOVER);
    first_ns = snap(both[1]).bound_ns;
    deadline = harness_deadline(SECONDS);
    while (snap(both[1]).bound_ns <= first_ns)
        assert_true(harness_wait(*state, deadline));
    /* Of the dead one it is known what it said last. */
    assert_true(wait_status(*state, both[0], BERKELEY_HOLDOVER, SECONDS));
    assert_int_equal(snap(both[0]).status, BERKELEY_SYNCHRONISED);
    expect_true_bounds(*state, both, BERKELEY_HOLDOVER);

    assert_int_equal(process_stop(follow), 0);
    assert_int_equal(berkeley_bound(both[1], &bound_ns), BERKELEY_UNKNOWN);
    assert_int_equal(bound_ns, INT64_MAX);
    assert_int_equal(inode(*state, "follow"), before);

    follow = start(*state, "--slave", "follow", port);
    assert_true(process_wait_line(follow, "started as slave", SECONDS));
    lead = start(*state, "--master", "lead", port);
    assert_true(wait_status(*state, both[1], BERKELEY_SYNCHRONISED, AGAIN_SECONDS));
    assert_int_equal(inode(*state, "follow"), before);
    assert_int_equal(process_stop(follow), 0);
    assert_int_equal(process_stop(lead), 0);
    berkeley_close(both[0]);
    berkeley_close(both[1]);
}

static void somebody_sets_the_clock(void **state)
{
    const uint16_t port = harness_port();
    struct process *lead = start(*state, "--master", "lead", port);
    struct process *follow = start(*state, "--slave", "follow", port);
    const struct berkeley_segment *segment = opened(*state, "follow");

    assert_true(wait_status(*state, segment, BERKELEY_SYNCHRONISED, SECONDS));
    process_kill(lead);
    assert_true(wait_status(*state, segment, BERKELEY_HOLDOVER, SECONDS));
    assert_int_equal(emulated_meddle_step(harness_path(*state, "follow.clock"), STEP_NS), 0);
    assert_true(wait_status(*state, segment, BERKELEY_DISRUPTED, SECONDS));
    assert_int_equal(process_stop(follow), 0);
    assert_int_equal(berkeley_bound(segment, &(int64_t){0}), BERKELEY_UNKNOWN);
    berkeley_close(segment);
}

static void observers_promise_nothing(void **state)
{
    const uint16_t port = harness_port();
    struct process *lead = start(*state, "--master", "lead", port);
    struct process *follow = start(*state, "--slave", "follow", port), *observer;
    const char *config = configured(*state, "observer", port);
    const struct berkeley_segment *segment;

    observer = process_start(*state, "--slave", "--observe", "-c", config, NULL);
    assert_true(process_wait_line(lead, "Synchronised", SECONDS));
    assert_true(process_wait_line(follow, "Synchronised", SECONDS));
    segment = opened(*state, "observer");
    assert_int_equal(snap(segment).status, BERKELEY_UNKNOWN);
    assert_int_equal(process_stop(observer), 0);
    berkeley_close(segment);
}

/* Two daemons, one file: the second does its work without. */
static void two_on_one_file(void **state)
{
    struct process *first = start(*state, "--master", "lead", harness_port()), *second;

    assert_true(process_wait_line(first, "started as master", SECONDS));
    second = start(*state, "--master", "lead", harness_port());
    assert_true(process_wait_line(second, "started as master", SECONDS));
    assert_int_equal(process_count_lines(second, "lead\\.bound: another daemon publishes there"),
                     1);
    assert_int_equal(process_stop(second), 0);
    assert_int_equal(process_stop(first), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_life),
        TEST(somebody_sets_the_clock),
        TEST(observers_promise_nothing),
        TEST(two_on_one_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

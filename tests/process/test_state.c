/* SPDX-License-Identifier: BSD-2-Clause */
/* What one run of a daemon leaves to the next. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/clock_emulated.h"
#include "daemon/message_ids.h"
#include "daemon/state.h"
#include "setup.h"

#define QUICK 10
/* Until two clocks on a busy machine know their frequency to 1 ppm. */
#define LEARN_SECONDS 180
#define HOUR_NS (3600 * NS_PER_S)
#define NEAR_NS (60 * NS_PER_S)
#define KILLS 12
#define BOOT "0123456789abcdef0123456789abcdef"
#define FREQ_PER_PPB (65536.0 / 1000.0)
#define FORWARD "The clock was .* behind the time saved in .* and is set forward to it\\."
#define LEARNED "The clock starts with the frequency it learned before"

static const char *clock_of(struct harness *harness, const char *name)
{
    return harness_path(harness, "%s.clock", name);
}

static const char *state_of(struct harness *harness, const char *name)
{
    return harness_path(harness, "%s.clock.state", name);
}

static struct state load(const char *path)
{
    char error[STATE_ERROR_SIZE];
    struct state state = {0};

    if (state_load(path, &state, error) < 0)
        fail_msg("%s cannot be loaded: %s", path, error);
    return state;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Of that machine's clock, in force and against the host's. */
static void look(struct harness *harness, const char *name, double *freq_ppb, int64_t *ahead_ns)
{
    struct timex timex = {.modes = 0};
    struct emulated_view *view;
    struct timespec raw;
    int64_t real_ns;

    assert_int_equal(emulated_view_open(clock_of(harness, name), &view), 0);
    clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
    assert_int_equal(
        emulated_view_read(view, raw.tv_sec * NS_PER_S + raw.tv_nsec, &real_ns, &timex), 0);
    *freq_ppb = (double)timex.freq / FREQ_PER_PPB;
    *ahead_ns = real_ns - now_ns();
    assert_int_equal(emulated_view_backward(view), 0);
    emulated_view_close(view);
}

static bool wait_freq(struct harness *harness, const char *name, double wanted_ppb)
{
    int64_t deadline = harness_deadline(QUICK), ahead_ns;
    double freq_ppb;

    do {
        look(harness, name, &freq_ppb, &ahead_ns);
        if (fabs(freq_ppb - wanted_ppb) < 1)
            return true;
    } while (harness_wait(harness, deadline));
    fprintf(stderr, "%s runs at %.3f ppb instead of %.3f\n", name, freq_ppb, wanted_ppb);
    return false;
}

static bool wait_file(struct harness *harness, const char *path, double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    do {
        if (access(path, F_OK) == 0)
            return true;
    } while (harness_wait(harness, deadline));
    return false;
}

static struct process *start(struct harness *harness, const char *role, const char *config)
{
    struct process *process = process_start(harness, role, "-c", config, NULL);

    assert_true(process_wait_line(process, "started as", QUICK));
    return process;
}

/* A slave that no master answers. */
static struct process *start_alone(struct harness *harness, const char *name)
{
    return start(harness, "--slave", setup_config(harness, name, harness_port()));
}

static int64_t ahead_of_host(struct harness *harness, const char *name)
{
    int64_t ahead_ns;
    double freq_ppb;

    look(harness, name, &freq_ppb, &ahead_ns);
    return ahead_ns;
}

/* All that takes a group that has learned: one is enough. */
static void test_a_run_leaves_what_it_learned(void **state)
{
    uint16_t port = harness_port();
    const char *follow = setup_config(*state, "follow", port), *saved = state_of(*state, "follow");
    const char *full = setup_config(*state, "full", port);
    struct process *lead, *slave, *unlucky;
    struct state first, last;

    setup_override(*state, follow, "emulated: { frequency_ppm = 40; };\n");
    setup_override(*state, full, "clock: { state_file = \"/dev/null/state\"; };\n");
    lead = start(*state, "--master", setup_config(*state, "lead", port));
    slave = start(*state, "--slave", follow);
    unlucky = start(*state, "--slave", full);
    assert_true(wait_file(*state, saved, LEARN_SECONDS));
    first = load(saved);
    assert_true(first.memory.learned);
    assert_true(process_wait_line(unlucky,
                                  "Cannot save frequency and time to /dev/null/state: Not a "
                                  "directory\\.",
                                  LEARN_SECONDS));
    assert_int_equal(process_stop(slave), 0);
    assert_int_equal(process_stop(unlucky), 0);
    assert_int_equal(process_stop(lead), 0);
    assert_int_equal(process_count_lines(unlucky, "Cannot save"), 1);
    assert_int_equal(process_count_lines(slave, "Cannot save|state"), 0);
    last = load(saved);
    assert_true(last.memory.synchronised);
    assert_true(last.real_ns >= first.real_ns);
    assert_true(llabs(last.real_ns - now_ns()) < NEAR_NS);

    slave = start(*state, "--slave", follow);
    assert_true(process_wait_line(slave, LEARNED, QUICK));
    assert_true(process_wait_line(slave, "Holdover: ", QUICK));
    assert_int_equal(process_stop(slave), 0);
    assert_int_equal(process_count_lines(slave, "set forward"), 0);
    last = load(saved);
    assert_true(last.memory.synchronised);

    assert_int_equal(emulated_meddle_frequency(clock_of(*state, "follow"), 0), 0);
    slave = start(*state, "--slave", follow);
    /* That of the map the second run ended with: it goes on from what the kernel ran at, which
     * a map that came just before the first stop had not reached. */
    assert_true(wait_freq(*state, "follow", last.memory.target.map.freq_ppb));
    assert_int_equal(process_count_lines(slave, "Following"), 0);
    assert_int_equal(process_stop(slave), 0);
}

static const struct state learned = {
    .memory = {.learned = true, .freq_ppb = -23456.789, .freq_sd_ppb = 10}};

static void test_the_frequency_is_in_force_before_a_master(void **state)
{
    struct process *process;

    assert_int_equal(state_save(state_of(*state, "early"), &learned), 0);
    process = start_alone(*state, "early");
    assert_true(process_wait_line(process, LEARNED ", -23\\.457 ppm\\.", QUICK));
    assert_true(wait_freq(*state, "early", learned.memory.freq_ppb));
    assert_int_equal(process_stop(process), 0);
    assert_true(fabs(load(state_of(*state, "early")).memory.freq_ppb - learned.memory.freq_ppb) <
                1e-3);
    start(*state, "--master", setup_config(*state, "early", harness_port()));
    assert_true(wait_freq(*state, "early", learned.memory.freq_ppb));
}

static void test_a_bad_file_costs_one_line(void **state)
{
    struct process *process;

    harness_write(*state, "bad.clock.state", "state:\n{\n    version = 1L;\n    time_ns = 7;\n");
    process = start_alone(*state, "bad");
    assert_true(process_wait_line(process, "Cannot reach the master", QUICK));
    assert_int_equal(process_count_lines(process,
                                         "bad\\.clock\\.state:5: found a .*; allowed is .*; "
                                         "starting without what was saved\\."),
                     1);
    assert_int_equal(process_count_lines(process, "bad\\.clock\\.state"), 1);
    assert_int_equal(process_stop(process), 0);
    /* It has nothing better to put there. */
    assert_int_equal(access(state_of(*state, "bad"), F_OK), 0);
}

static void test_an_impossible_memory_costs_one_line(void **state)
{
    struct state impossible = learned;
    struct process *process;

    impossible.memory.synchronised = true; /* on a target that the group was not in */
    assert_int_equal(state_save(state_of(*state, "odd"), &impossible), 0);
    process = start_alone(*state, "odd");
    assert_int_equal(process_count_lines(process, "odd\\.clock\\.state holds what no clock"), 1);
    assert_int_equal(process_count_lines(process, LEARNED), 0);
}

static void test_a_clock_behind_the_saved_time(void **state)
{
    const struct state saved = {.real_ns = now_ns() + HOUR_NS};
    struct process *process;

    assert_int_equal(state_save(state_of(*state, "late"), &saved), 0);
    process = start_alone(*state, "late");
    assert_int_equal(process_count_lines(process, FORWARD), 1);
    assert_in_range(ahead_of_host(*state, "late"), HOUR_NS - NEAR_NS, HOUR_NS + NEAR_NS);
    assert_int_equal(process_stop(process), 0);
    process = start_alone(*state, "late");
    assert_int_equal(process_count_lines(process, "set forward"), 0);
    assert_in_range(ahead_of_host(*state, "late"), HOUR_NS - NEAR_NS, HOUR_NS + NEAR_NS);
    assert_int_equal(process_stop(process), 0);
    /* Nobody vouched for the time since. */
    assert_int_equal(load(state_of(*state, "late")).real_ns, saved.real_ns);
}

static void test_the_journal_knows_the_step(void **state)
{
    const struct state saved = {.real_ns = now_ns() + HOUR_NS};
    struct journald *journald = journald_open(*state);
    const char *config = setup_config(*state, "told", harness_port());
    const char *offset;
    long n;

    assert_int_equal(state_save(state_of(*state, "told"), &saved), 0);
    process_spawn(*state, &(struct process_options){
                              .arguments = (const char *const[]){"--slave", "-c", config, NULL},
                              .journald = journald});
    n = journald_wait(journald, 0, "MESSAGE_ID", MESSAGE_SAVED_TIME, QUICK);
    assert_true(n >= 0);
    offset = journald_field(journald, (size_t)n, "BERKELEY_OFFSET_NS", NULL);
    assert_non_null(offset);
    assert_in_range(-strtoll(offset, NULL, 10), HOUR_NS - NEAR_NS, HOUR_NS);
    assert_true(journald_wait(journald, (size_t)n, "MESSAGE_ID", MESSAGE_STARTED, QUICK) > n);
}

static void expect_left_alone(struct harness *harness, const char *name, struct process *process)
{
    assert_true(process_wait_line(process, "started as", QUICK));
    assert_int_equal(process_count_lines(process, "set forward"), 0);
    assert_true(llabs(ahead_of_host(harness, name)) < NEAR_NS);
    assert_int_equal(process_stop(process), 0);
}

static void test_a_clock_ahead_of_the_saved_time(void **state)
{
    const struct state saved = {.real_ns = now_ns() - HOUR_NS};

    assert_int_equal(state_save(state_of(*state, "ahead"), &saved), 0);
    expect_left_alone(*state, "ahead", start_alone(*state, "ahead"));
}

static void test_an_observer_leaves_clock_and_file(void **state)
{
    struct state saved = learned;
    const char *config = setup_config(*state, "observer", harness_port());
    int64_t ahead_ns;
    double freq_ppb;

    saved.real_ns = now_ns() + HOUR_NS;
    assert_int_equal(state_save(state_of(*state, "observer"), &saved), 0);
    expect_left_alone(*state, "observer",
                      process_start(*state, "--slave", "--observe", "-c", config, NULL));
    look(*state, "observer", &freq_ppb, &ahead_ns);
    assert_true(fabs(freq_ppb) < 1);
    assert_int_equal(load(state_of(*state, "observer")).real_ns, saved.real_ns);
}

/* Since the saving the machine was not booted: somebody set its clock back, and meant it. */
static void test_who_set_the_clock_back_is_not_contradicted(void **state)
{
    const char *config = setup_config(*state, "meant", harness_port());
    const struct process_options options = {
        .arguments = (const char *const[]){"--slave", "-c", config, NULL},
        .environment = (const char *const[]){"BERKELEY_BOOT_ID=" BOOT, NULL}};
    struct state saved = {.real_ns = now_ns() + HOUR_NS, .raw_ns = -HOUR_NS};
    struct process *process = process_spawn(*state, &options);
    struct stat status;

    expect_left_alone(*state, "meant", process);
    assert_int_equal(stat(clock_of(*state, "meant"), &status), 0);
    snprintf(saved.boot, sizeof saved.boot, BOOT "-%jx", (uintmax_t)status.st_ino);
    assert_int_equal(state_save(state_of(*state, "meant"), &saved), 0);
    expect_left_alone(*state, "meant", process_spawn(*state, &options));
    /* Another boot, or a RAW that began again. */
    saved.raw_ns = TIMESTAMP_LIMIT_NS - 1;
    assert_int_equal(state_save(state_of(*state, "meant"), &saved), 0);
    process = process_spawn(*state, &options);
    assert_true(process_wait_line(process, FORWARD, QUICK));
}

static void test_nothing_is_kept_if_so_wanted(void **state)
{
    const char *config = setup_config(*state, "none", harness_port());
    struct process *process;

    setup_override(*state, config, "clock: { state_file = \"none\"; };\n");
    assert_int_equal(state_save(state_of(*state, "none"), &learned), 0);
    process = start(*state, "--slave", config);
    assert_int_equal(process_count_lines(process, LEARNED), 0);
    assert_int_equal(process_stop(process), 0);
}

/* Killed at all kinds of instants around the saving at the stop. */
static void test_a_killed_daemon_leaves_a_whole_file(void **state)
{
    const char *config = setup_config(*state, "killed", harness_port());

    assert_int_equal(state_save(state_of(*state, "killed"), &learned), 0);
    for (int i = 0; i < KILLS; i++) {
        struct process *process = start(*state, "--slave", config);
        const struct timespec pause = {.tv_nsec = i * 200000L};

        process_signal(process, SIGTERM);
        nanosleep(&pause, NULL);
        process_kill(process);
        assert_true(fabs(load(state_of(*state, "killed")).memory.freq_ppb -
                         learned.memory.freq_ppb) < 1e-3);
    }
    assert_int_equal(process_stop(start(*state, "--slave", config)), 0);
    assert_int_not_equal(access(harness_path(*state, "%s", "killed.clock.state.new"), F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_frequency_is_in_force_before_a_master),
        TEST(test_a_bad_file_costs_one_line),
        TEST(test_an_impossible_memory_costs_one_line),
        TEST(test_a_clock_behind_the_saved_time),
        TEST(test_the_journal_knows_the_step),
        TEST(test_a_clock_ahead_of_the_saved_time),
        TEST(test_an_observer_leaves_clock_and_file),
        TEST(test_who_set_the_clock_back_is_not_contradicted),
        TEST(test_nothing_is_kept_if_so_wanted),
        TEST(test_a_killed_daemon_leaves_a_whole_file),
        TEST(test_a_run_leaves_what_it_learned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

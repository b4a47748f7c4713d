/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl wait: until the clock is synchronised, or time is up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

#include "ctl.h"
#include "fake.h"

#define SYNCHRONISED "{\"role\":\"slave\",\"state\":\"synchronised\",\"bound_ns\":6580}"
#define UNSYNCHRONISED                                                                  \
    "{\"role\":\"slave\",\"state\":\"unsynchronised\",\"state_since_s\":4,\"connected\":false," \
    "\"bound_ns\":null}"
#define HOLDOVER "{\"role\":\"slave\",\"state\":\"holdover\",\"connected\":false,\"bound_ns\":10}"

static struct process *wait_for(struct harness *harness, const char *const *words)
{
    const char *all[8] = {"-s", harness_directory(harness), "wait"};

    for (size_t i = 0; words[i]; i++)
        all[3 + i] = words[i];
    return ctl_start(harness, all);
}

#define WAIT(...) wait_for(*state, CTL_WORDS(__VA_ARGS__))

/* In time, without a word. */
static void expect_reached(struct process *process)
{
    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 0);
    assert_string_equal(process_stdout(process), "");
    assert_string_equal(process_stderr(process), "");
}

static void expect_late(struct process *process, const char *line)
{
    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 2);
    assert_string_equal(process_stdout(process), "");
    assert_true(ctl_matches(process_stderr(process), line));
}

/* Asked at least so often, and still there. */
static void expect_asking(struct harness *harness, struct process *process, struct fake *fake)
{
    const int64_t deadline = harness_deadline(CTL_SECONDS);
    const unsigned before = fake_asked(fake, "status");

    while (fake_asked(fake, "status") < before + 3)
        assert_true(harness_wait(harness, deadline));
    assert_true(process_running(process));
}

static void test_reached(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    struct process *process;

    fake_answer(fake, SYNCHRONISED);
    expect_reached(WAIT("--timeout", "0 s"));
    expect_reached(WAIT("--timeout", "0 s", "--max-error", "6580 ns"));
    fake_answer(fake, UNSYNCHRONISED);
    process = WAIT("--timeout", "1 h");
    expect_asking(*state, process, fake);
    fake_answer(fake, HOLDOVER);
    expect_asking(*state, process, fake);
    fake_answer(fake, SYNCHRONISED);
    expect_reached(process);
}

static void test_max_error(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    struct process *process;

    fake_answer(fake, SYNCHRONISED);
    expect_late(WAIT("--timeout", "0 s", "--max-error", "6.579us"),
                "^berkeleyctl: not synchronised to 6.58 µs: synchronised, but only to 6.58 "
                "µs\n$");
    process = WAIT("--max-error", "1 us");
    expect_asking(*state, process, fake);
    fake_answer(fake, "{\"state\":\"synchronised\",\"bound_ns\":null}");
    expect_asking(*state, process, fake);
    fake_answer(fake, "{\"state\":\"synchronised\",\"bound_ns\":1000}");
    expect_reached(process);
    fake_answer(fake, "{\"state\":\"synchronised\"}");
    expect_late(WAIT("--timeout", "0 s", "--max-error", "1 d"), "but nobody knows how well\n$");
}

static void test_late(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");

    fake_answer(fake, UNSYNCHRONISED);
    expect_late(WAIT("--timeout", "300 ms"),
                "^berkeleyctl: not synchronised in 300 ms: unsynchronised for 4 s: no master has "
                "let this slave in\n$");
    assert_true(fake_asked(fake, "status") >= 2);
    fake_answer(fake, HOLDOVER);
    expect_late(WAIT("--timeout", "0ns"),
                "^berkeleyctl: not synchronised: holdover: no master; the clock goes on as it was "
                "last corrected\n$");
    fake_answer(fake, "{\"error\":\"no\"}");
    expect_late(WAIT("--timeout", "0 s"), "^berkeleyctl: not synchronised: unknown\n$");
    fake_answer(fake, "nonsense");
    expect_late(WAIT("--timeout", "0 s"), "slave.sock does not answer\n$");
}

/* It may start later, or again. */
static void test_absent(void **state)
{
    struct process *process;
    struct fake *fake;

    expect_late(WAIT("--timeout", "0 s"),
                "^berkeleyctl: not synchronised: no daemon answers at /tmp/[^ ]*\n$");
    process = WAIT("--timeout", "1 min");
    fake = fake_open(*state, "slave.sock");
    fake_answer(fake, UNSYNCHRONISED);
    expect_asking(*state, process, fake);
    fake_close(fake);
    assert_int_equal(process_wait_exit(process, 0.5), -1);
    fake = fake_open(*state, "master.sock");
    fake_answer(fake, SYNCHRONISED);
    expect_reached(process);
}

static void test_ended(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct fake *fake = fake_open(*state, "slave.sock");

    fake_answer(fake, UNSYNCHRONISED);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct process *process = ctl_start(*state, CTL_WORDS("-s", fake_path(fake), "wait"));

        expect_asking(*state, process, fake);
        process_signal(process, numbers[i]);
        assert_int_equal(process_wait_exit(process, CTL_SECONDS), 128 + numbers[i]);
        assert_string_equal(process_stderr(process), "");
    }
}

static void test_json(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    struct json_object *object, *value;

    fake_answer(fake, SYNCHRONISED);
    object = json_tokener_parse(ctl_output(
        *state, CTL_WORDS("-s", harness_directory(*state), "wait", "--json")));
    assert_true(json_object_object_get_ex(object, "bound_ns", &value));
    assert_int_equal(json_object_get_int64(value), 6580);
    json_object_put(object);
}

/* As in berkeley.conf. */
static void test_durations(void **state)
{
    static const char *const good[] = {"0 ns", "1.5s", "3min", "1 h", "2d", "0.25 us", "10   ms",
                                       "106751 d", "+1 s", "0.50000 us", "9223372036854775807 ns"};
    static const char *const bad[] = {"",      "5",       "-1 s",   "--1 s",    "1e3 s", "s",
                                      "1 sec", "1.s",     ".5 s",   "1,5 s",    "1 s ",  " 1 s",
                                      "0x1 s", "0.5 ns",  "1 s 2 ms", "0.50001 us", "106752 d",
                                      "inf s",  "9223372036854775808 ns",
                                      "99999999999999999999 s", "1 µs"};
    struct fake *fake = fake_open(*state, "slave.sock");

    fake_answer(fake, "{\"state\":\"synchronised\",\"bound_ns\":0}");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect_reached(WAIT("--max-error", good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ctl_refuses(*state, 64, "^berkeleyctl: --timeout: found \".*\"; allowed is a number and a "
                                "unit: ns, us, ms, s, min, h or d, as \"50 ms\"$",
                    CTL_WORDS("wait", "--timeout", bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reached, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_max_error, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_late, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_absent, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_ended, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_json, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_durations, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo when things go wrong: it must say so, and not say that all is well. */
#include "harness_part.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES 5

static const char *demo_program(struct harness *harness)
{
    return harness_built(harness, "BERKELEY_DEMO", "tests/demo/demo");
}

/* The demo with this program in place of berkeleyd; NULL: with berkeleyd. */
static struct process *start_demo(struct harness *harness, const char *program)
{
    char daemon[600];
    const char *const environment[] = {daemon, NULL};
    struct process_options options = {.program = demo_program(harness)};

    if (program) {
        snprintf(daemon, sizeof(daemon), "BERKELEYD=%s", program);
        options.environment = environment;
    }
    return process_spawn(harness, &options);
}

/* A shell script that does the line and then becomes berkeleyd, if it gets there. */
static const char *write_program(struct harness *harness, const char *line, const char *option)
{
    const char *path =
        harness_write(harness, "program", "#!/bin/sh\n%s\nexec '%s' \"$@\" %s\n", line,
                      harness_built(harness, "BERKELEYD", "berkeleyd"), option);

    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

/* Where it says that the logs are, they are; takes them away. */
static void check_logs(struct process *demo)
{
    static const char *const names[NODES] = {"master", "node1", "node2", "node3", "node4"};
    const char *at = strstr(process_stderr(demo), "/tmp/berkeley-demo-");
    char directory[64], path[128];

    assert_non_null(at);
    snprintf(directory, sizeof(directory), "%.*s", (int)strcspn(at, "\n"), at);
    for (size_t i = 0; i < NODES; i++) {
        snprintf(path, sizeof(path), "%s/%s.log", directory, names[i]);
        assert_int_equal(unlink(path), 0);
        snprintf(path, sizeof(path), "%s/%s.conf", directory, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0);
}

static void check_failure(struct process *demo, const char *why)
{
    assert_int_equal(process_wait_exit(demo, 70), 1);
    assert_true(process_wait_line(demo, why, 0));
    check_logs(demo);
}

static void test_daemons_that_end(void **state)
{
    struct process *demo =
        start_demo(*state, write_program(*state, "echo nothing >&2; exit 3", ""));

    check_failure(demo, "^demo: FAILED: the daemon of .* ended by itself \\(exit status 3\\); it "
                        "said last: nothing$");
    assert_null(strstr(process_stdout(demo), "demo: spread"));
}

static void test_spread_that_stays(void **state)
{
    struct process *demo = start_demo(*state, write_program(*state, "", "--observe"));

    check_failure(demo, "^demo: FAILED: the spread has not fallen in 25 s: it was [0-9.]+ ms, ");
    assert_non_null(strstr(process_stdout(demo), "\ndemo: spread "));
}

static void test_clock_that_runs_backwards(void **state)
{
    static const char allow[] =
        "mkdir -p \"$3.d\"\n"
        "echo 'clock: { step_threshold = \"1 ms\"; };' > \"$3.d/step.conf\"";
    struct process *demo = start_demo(*state, write_program(*state, allow, ""));

    check_failure(demo, "^demo: FAILED: a clock ran backwards by [0-9.]+ ms$");
    assert_non_null(strstr(process_stdout(demo), "\ndemo: spread "));
}

static const char *wait_for(struct harness *harness, struct process *demo, const char *text)
{
    int64_t deadline = harness_deadline(20);
    const char *at;

    do {
        at = strstr(process_stdout(demo), text);
        if (at)
            return at;
    } while (process_running(demo) && harness_wait(harness, deadline));
    fail_msg("no \"%s\" in:\n%s", text, process_stdout(demo));
    return NULL;
}

static void test_interruption(void **state)
{
    struct process *demo = start_demo(*state, NULL);
    char directory[64];
    int pids[NODES];
    const char *at;

    at = wait_for(*state, demo, "/tmp/berkeley-test-");
    snprintf(directory, sizeof(directory), "%.*s", (int)strcspn(at, ", "), at);
    wait_for(*state, demo, "The group has its time");
    at = strstr(process_stdout(demo), "\nmaster ");
    for (int i = 0; i < NODES; i++) {
        char *end;

        at += strcspn(at, " ");
        pids[i] = (int)strtol(at, &end, 10);
        assert_int_equal(kill(pids[i], 0), 0);
        at = strchr(end, '\n') + 1;
    }
    process_signal(demo, SIGINT);
    assert_int_equal(process_wait_exit(demo, 20), 130);
    assert_int_equal(access(directory, F_OK), -1);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(kill(pids[i], 0), -1);
    assert_null(strstr(process_stdout(demo), "demo: spread"));
}

static void test_bad_seed(void **state)
{
    static const char *const environment[] = {"DEMO_SEED=seven", NULL};
    struct process_options options = {.program = demo_program(*state), .environment = environment};
    struct process *demo = process_spawn(*state, &options);

    assert_int_equal(process_wait_exit(demo, 10), 64);
    assert_true(process_wait_line(demo, "^demo: DEMO_SEED: found \"seven\"; allowed is ", 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_daemons_that_end),
        TEST(test_spread_that_stays),
        TEST(test_clock_that_runs_backwards),
        TEST(test_interruption),
        TEST(test_bad_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

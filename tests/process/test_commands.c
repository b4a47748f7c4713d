/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: what is printed, and exit codes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/clock_emulated.h"
#include "harness_part.h"
#include "setup.h"

#define SECONDS 10

static void test_help(void **state)
{
    static const char *const options[] = {
        "-m, --master",   "-s, --slave",  "-c, --config FILE", "--observe",
        "-v, --verbose",  "-q, --quiet",  "--check",           "--print-config",
        "--print-sample", "--tidy",       "-h, --help",        "-V, --version",
        "/etc/berkeley.conf", "64", "77", "78", "80",
    };
    struct process *process = process_start(*state, "-h", NULL);
    struct process *same = process_start(*state, "--help", "--master", NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_int_equal(process_wait_exit(same, SECONDS), 0);
    assert_string_equal(process_stderr(process), "");
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        assert_non_null(strstr(process_stdout(process), options[i]));
    assert_string_equal(process_stdout(same), process_stdout(process));
}

static void test_version(void **state)
{
    struct process *process = process_start(*state, "-V", NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_string_equal(process_stdout(process), "berkeleyd " BERKELEY_VERSION "\n");
}

/* One line that names it, then a pointer to the help, and nothing is begun. */
static void expect_usage(struct process *process, const char *regex)
{
    assert_int_equal(process_wait_exit(process, SECONDS), 64);
    assert_string_equal(process_stdout(process), "");
    assert_int_equal(process_count_lines(process, regex), 1);
    assert_int_equal(process_count_lines(process, "see berkeleyd --help|See berkeleyd --help"), 1);
    assert_in_range(process_count_lines(process, "^"), 1, 2);
}

static void test_wrong_usage(void **state)
{
    const char *path = setup_config(*state, "usage", harness_port());

    expect_usage(process_start(*state, "-c", path, NULL), "one of --master and --slave is needed");
    expect_usage(process_start(*state, "-c", path, "--master", "--slave", NULL),
                 "--master and --slave exclude each other");
    expect_usage(process_start(*state, "-c", path, "-sm", NULL),
                 "--master and --slave exclude each other");
    expect_usage(process_start(*state, "--salve", "-c", path, NULL), "--salve");
    expect_usage(process_start(*state, "-x", NULL), "'x'");
    expect_usage(process_start(*state, "--slave", "-c", NULL), "'c'");
    expect_usage(process_start(*state, "--slave", "-c", path, "time1", NULL), "\"time1\"");
}

static void test_full_output(void **state)
{
    static const char *const jobs[] = {"--print-sample", "--print-config"};
    const char *program = harness_built(*state, "BERKELEYD", "berkeleyd");
    const char *path = setup_config(*state, "full", harness_port());

    for (size_t i = 0; i < 2; i++) {
        struct process *process = process_spawn(
            *state, &(struct process_options){
                        .program = "/bin/sh",
                        .arguments = (const char *const[]){"-c", "exec \"$0\" \"$@\" >/dev/full",
                                                           program, jobs[i], "-c", path, NULL}});

        assert_int_equal(process_wait_exit(process, SECONDS), 1);
        assert_int_equal(process_count_lines(process, "^berkeleyd: cannot write"), 1);
    }
}

static void test_port_in_use(void **state)
{
    uint16_t port = harness_port();
    const char *path = setup_config(*state, "second", port);
    struct notify *notify = notify_open(*state);
    struct process *process;
    char regex[128];

    tcp_listen(*state, port);
    process = process_spawn(*state, &(struct process_options){
                                        .arguments = (const char *const[]){"--master", "-c", path,
                                                                           NULL},
                                        .notify = notify});
    assert_int_equal(process_wait_exit(process, SECONDS), 1);
    snprintf(regex, sizeof regex,
             "^berkeleyd: Cannot listen on 127\\.0\\.0\\.1 port %u: Address already in use\\.$", port);
    assert_int_equal(process_count_lines(process, regex), 1);
    assert_int_equal(process_count_lines(process, "^"), 1);
    assert_int_equal(notify_count(notify, "READY=1"), 0);
}

/* With one address left the master serves that one. */
static void test_one_address_in_use(void **state)
{
    uint16_t port = harness_port();
    const char *path = setup_config(*state, "third", port);
    struct process *process;

    tcp_listen(*state, port);
    setup_override(*state, path, "master: { listen = [\"127.0.0.1\", \"127.0.0.3\"]; };\n");
    process = process_start(*state, "--master", "-c", path, NULL);
    assert_true(process_wait_line(process, "Cannot listen on 127\\.0\\.0\\.1", SECONDS));
    assert_true(process_wait_line(process, "started as master", SECONDS));
    assert_int_equal(process_stop(process), 0);
}

static struct timex look(const char *path)
{
    struct emulated_view *view;
    struct timex timex = {.modes = 0};
    struct timespec now;
    int64_t real_ns;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    assert_int_equal(emulated_view_open(path, &view), 0);
    assert_int_equal(emulated_view_read(view, now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
                                        &real_ns, &timex), 0);
    emulated_view_close(view);
    return timex;
}

/* The clock as a daemon that was killed in the middle of things could leave it. */
static void test_tidy(void **state)
{
    const char *config = setup_config(*state, "tidy", harness_port());
    const char *clock = harness_path(*state, "tidy.clock");
    const struct emulated_oscillator oscillator = {.seed = 1};
    struct timex timex = {.modes = ADJ_TICK | ADJ_STATUS | ADJ_FREQUENCY,
                          .tick = 10500,
                          .freq = 20L * 65536,
                          .status = STA_PLL | STA_FREQHOLD};
    struct kernel_port port;
    struct process *process;

    assert_int_equal(clock_emulated_port(clock, &oscillator, &port), 0);
    assert_true(port.adjust(port.context, &timex) >= 0);
    port.release(port.context);
    assert_int_equal(look(clock).tick, 10500);
    process = process_start(*state, "--tidy", "-c", config, NULL);
    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_string_equal(process_stderr(process), "");
    timex = look(clock);
    assert_int_equal(timex.tick, 10000);
    assert_int_equal(timex.status & (STA_PLL | STA_FREQHOLD), 0);
    assert_int_equal(timex.freq, 20L * 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_help, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_version, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_usage, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_full_output, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_port_in_use, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_one_address_in_use, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_tidy, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

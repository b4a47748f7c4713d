/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration through the program: exit codes, and the one line that says why. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness_part.h"
#include "setup.h"

#define NOBODY "65534"
#define SECONDS 10

/* What is wrong, and what is said of it after "berkeleyd: FILE"; the file is bad.conf. */
static const struct {
    const char *text, *said;
} faults[] = {
    {"group = \"a\"\nname = ;\n", ":2: found a syntax error in or before \"name = ;\"; allowed is "
                                  "NAME = VALUE; each name once, and GROUP: { ... };"},
    {"master: { intervall = \"4 s\"; };\n",
     ":1: master.intervall: found an unknown key; did you mean master.interval?"},
    {"mater: { port = 1; };\n", ":1: mater: found an unknown group; did you mean master?"},
    {"zygote = 1;\n",
     ":1: zygote: found an unknown key; allowed are those of berkeley.conf(5)"},
    {"master:\n{\n  port = 65536;\n};\n",
     ":3: master.port: found 65536; allowed is an integer from 1 to 65535"},
    {"master: { interval = \"499 ms\"; };\n",
     ":1: master.interval: found \"499 ms\"; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"clock: { max_slew_ppm = 1e400; };\n",
     ":1: clock.max_slew_ppm: found inf; allowed is a number from 1 to 100000 ppm"},
    {"clock: { max_slew_ppm = -1e400; };\n",
     ":1: clock.max_slew_ppm: found -inf; allowed is a number from 1 to 100000 ppm"},
    {"clock: { max_slew_ppm = \"nan\"; };\n",
     ":1: clock.max_slew_ppm: found \"nan\"; allowed is a number from 1 to 100000 ppm"},
    {"master: { port = 4294972821; };\n", /* 5525 in its lower 32 bits */
     ":1: master.port: found 4294972821; allowed is an integer from 1 to 65535"},
    {"master: { port = 99999999999999999999; };\n",
     ":1: master.port: found an integer beyond 64 bits; allowed is an integer from 1 to 65535"},
    {"master: { port = \"5525\"; };\n",
     ":1: master.port: found \"5525\"; allowed is an integer from 1 to 65535"},
    {"master: { interval = 4; };\n", ":1: master.interval: found 4 without quotes and a unit; "
                                     "allowed is a duration from \"500 ms\" to \"1 h\""},
    {"clock: { discipline = 1; };\n",
     ":1: clock.discipline: found 1; allowed is true or false"},
    {"clock: { kind = \"atomic\"; };\n",
     ":1: clock.kind: found \"atomic\"; allowed is \"kernel\" or \"emulated\""},
    {"master = 5;\n", ":1: master: found 5; allowed is a group: master: { ... };"},
    {"authentication = \"loopback\"; master: { listen = [\"0.0.0.0\"]; };\n",
     ":1: master.listen: found \"0.0.0.0\" with authentication = \"loopback\"; allowed is a "
     "loopback address (\"127.0.0.1\", \"::1\"), or authentication = \"key\" and a key, which "
     "`berkeleyctl keygen` makes"},
    {"slave: { retry_min = \"2 min\"; };\n",
     ":1: slave.retry_min: found \"2 min\"; allowed is at most slave.retry_max, and "
     "slave.retry_max is \"1 min\""},
    {"group = \"with\nbreak\";\n", NULL},
};

static void expect_line(struct process *process, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Exactly this on standard error, and nothing on standard output. */
static void expect_line(struct process *process, int code, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert_int_equal(process_wait_exit(process, SECONDS), code);
    assert_string_equal(process_stderr(process), line);
    assert_string_equal(process_stdout(process), "");
}

static void expect_fault(struct harness *harness, const char *path, const char *said)
{
    /* With --slave as with --check: nothing is touched before the configuration is valid. */
    struct process *check = process_start(harness, "--check", "-c", path, NULL);
    struct process *start = process_start(harness, "--slave", "-c", path, NULL);

    if (said) {
        expect_line(check, 78, "berkeleyd: %s%s\n", path, said);
        expect_line(start, 78, "berkeleyd: %s%s\n", path, said);
        return;
    }
    for (struct process *one = check; one; one = one == check ? start : NULL) {
        assert_int_equal(process_wait_exit(one, SECONDS), 78);
        assert_int_equal(process_count_lines(one, "^"), 1);
        assert_int_equal(process_count_lines(one, "^berkeleyd: .*bad\\.conf:1: group: found "), 1);
    }
}

static void test_faults(void **state)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        expect_fault(*state, harness_write(*state, "bad.conf", "%s", faults[i].text),
                     faults[i].said);
}

static void test_missing(void **state)
{
    const char *path = harness_path(*state, "none.conf");

    expect_fault(*state, path, ": found no such file; allowed is a readable file");
    expect_fault(*state, harness_directory(*state),
                 ": found a directory; allowed is a readable file");
}

static struct process *start_as_nobody(struct harness *harness, const char *role, const char *path)
{
    const char *built = harness_built(harness, "BERKELEYD", "berkeleyd");
    const char *program = harness_path(harness, "berkeleyd");
    char command[512], counters[512];

    if (geteuid() != 0)
        return process_start(harness, role, "-c", path, NULL);
    /* Where that one may go, and leave its counters if it has any. */
    snprintf(command, sizeof command, "cp '%s' '%s'", built, program);
    snprintf(counters, sizeof counters, "GCOV_PREFIX=%s", harness_directory(harness));
    assert_int_equal(chmod(harness_directory(harness), 0777), 0);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return process_spawn(harness, &(struct process_options){
                                      .program = "/usr/bin/setpriv",
                                      .arguments = (const char *const[]){
                                          "--reuid=" NOBODY, "--regid=" NOBODY, "--clear-groups",
                                          "--inh-caps=-all", program, role, "-c", path, NULL},
                                      .environment = (const char *const[]){counters, NULL}});
}

static void test_unreadable(void **state)
{
    const char *path = setup_config(*state, "secret", harness_port());
    const char *other;

    assert_int_equal(chmod(path, 0), 0);
    expect_line(start_as_nobody(*state, "--check", path), 77,
                "berkeleyd: %s: found no permission to read it; allowed is a readable file\n",
                path);
    assert_int_equal(chmod(path, 0644), 0);
    other = setup_override(*state, path, "group = \"secret\";\n");
    assert_int_equal(chmod(other, 0), 0);
    expect_line(start_as_nobody(*state, "--master", path), 77,
                "berkeleyd: %s: found no permission to read it; allowed is a readable file\n",
                other);
}

static void test_directory(void **state)
{
    const char *path = setup_config(*state, "good", harness_port());
    struct process *process;

    setup_override(*state, path, "master: { exchanges = 9; };\n");
    expect_fault(*state, path,
                 ".d/10.conf:1: master.exchanges: found 9; allowed is an integer from 1 to 8");
    setup_override(*state, path, "master: { exchanges = 8; };\n");
    process = process_start(*state, "--check", "-c", path, NULL);
    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_string_equal(process_stderr(process), "");
    assert_non_null(strstr(process_stdout(process), ": valid\n"));
}

/* 192.0.2.1 is nobody's: had it been tried, the program would have said so and ended with 1. */
static void test_authentication(void **state)
{
    const char *path = harness_write(*state, "open.conf",
                                     "authentication = \"loopback\";"
                                     "master: { listen = [\"127.0.0.1\", \"192.0.2.1\"]; };\n"
                                     "clock: { kind = \"emulated\"; };\n");
    struct process *process = process_start(*state, "--master", "-c", path, NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 78);
    assert_int_equal(process_count_lines(process, "^"), 1);
    assert_int_equal(process_count_lines(process, "open.conf:1: master.listen: found "
                                                  "\"192.0.2.1\" with authentication"), 1);
}

static const char *print_config(struct harness *harness, const char *path)
{
    struct process *process = process_start(harness, "--print-config", "-c", path, NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_string_equal(process_stderr(process), "");
    return process_stdout(process);
}

static void test_print_config(void **state)
{
    const char *path = setup_config(*state, "print", harness_port());
    const char *first, *second;

    setup_override(*state, path, "clock: { max_slew_ppm = 123.25; step_threshold = \"90 s\"; };\n"
                         "master: { references = [\"gps1\", \"gps2\"]; exchanges = 3; };\n");
    first = print_config(*state, path);
    assert_non_null(strstr(first, "max_slew_ppm = 123.25;"));
    assert_non_null(strstr(first, "exchanges = 3;"));
    assert_non_null(strstr(first, "gps2"));
    second = print_config(*state, harness_write(*state, "printed.conf", "%s", first));
    assert_string_equal(first, second);
}

static void test_print_sample(void **state)
{
    struct process *process = process_start(*state, "--print-sample", NULL);
    FILE *file = fopen("config/berkeley.conf", "re");
    static char sample[65536];
    size_t length;

    assert_non_null(file);
    length = fread(sample, 1, sizeof sample - 1, file);
    fclose(file);
    assert_in_range(length, 1, sizeof sample - 2);
    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_string_equal(process_stdout(process), sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faults, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_missing, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_directory, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_authentication, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_print_config, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_print_sample, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

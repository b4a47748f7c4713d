/* SPDX-License-Identifier: BSD-2-Clause */
/* The key file as the daemon meets it: what it refuses, what it says, and what it never says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/daemon_keys.h"
#include "harness_part.h"
#include "sealed.h"
#include "setup.h"

#define SECONDS 20
#define NOBODY "65534"

static const char *key_path(struct harness *harness, const char *name)
{
    return harness_path(harness, "%s.key", name);
}

/* What the daemon says when it ends at once, in one line. */
static void expect_end(struct process *process, int code, const char *regex)
{
    assert_int_equal(process_wait_exit(process, SECONDS), code);
    assert_true(process_wait_line(process, regex, 0));
    assert_int_equal(process_count_lines(process, "^"), 1);
}

/* The command in the line mends it: it is run, and then the daemon starts. */
static void expect_mended(struct harness *harness, const char *config, const char *said)
{
    const char *command = strstr(said, "this mends it: ");
    struct process *process;

    assert_non_null(command);
    command += strlen("this mends it: ");
    command = harness_write(harness, "mend", "%.*s\n", (int)strcspn(command, "\n"), command);
    process = process_spawn(
        harness, &(struct process_options){.program = "/bin/sh",
                                           .arguments = (const char *const[]){command, NULL}});
    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    process = process_start(harness, "--master", "-c", config, NULL);
    assert_true(process_wait_line(process, "started as master", SECONDS));
    assert_int_equal(process_stop(process), 0);
}

static void test_bad_modes(void **state)
{
    static const mode_t modes[] = {0644, 0604, 0660, 0666, 0611};
    const struct secret_key key = key_make("shared", NULL);
    const char *config = setup_keyed(*state, "lead", harness_port(), &key, 1);

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct process *process;
        char line[256];

        assert_int_equal(chmod(key_path(*state, "lead"), modes[i]), 0);
        process = process_start(*state, "--master", "-c", config, NULL);
        snprintf(line, sizeof line,
                 "lead\\.key: found mode 0%o, .*; this mends it: .*chmod 06[04]0",
                 (unsigned)modes[i]);
        expect_end(process, 78, line);
        if (i == 0)
            expect_mended(*state, config, process_stderr(process));
    }
}

/* As nobody, from a copy of the program where that one may go. */
static struct process *start_as_nobody(struct harness *harness, const char *config)
{
    const char *built = harness_built(harness, "BERKELEYD", "berkeleyd");
    const char *program = harness_path(harness, "berkeleyd");
    char command[512], counters[512];

    snprintf(command, sizeof command, "cp '%s' '%s'", built, program);
    snprintf(counters, sizeof counters, "GCOV_PREFIX=%s", harness_directory(harness));
    assert_int_equal(chmod(harness_directory(harness), 0777), 0);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    return process_spawn(
        harness, &(struct process_options){
                     .program = "/usr/bin/setpriv",
                     .arguments = (const char *const[]){"--reuid=" NOBODY, "--regid=" NOBODY,
                                                        "--clear-groups", "--inh-caps=-all",
                                                        program, "--master", "-c", config, NULL},
                     .environment = (const char *const[]){counters, NULL}});
}

static void test_unreadable(void **state)
{
    const struct secret_key key = key_make("shared", NULL);
    const char *config = setup_keyed(*state, "lead", harness_port(), &key, 1);
    struct process *process;

    if (geteuid() == 0) {
        process = start_as_nobody(*state, config);
    } else {
        assert_int_equal(chmod(key_path(*state, "lead"), 0), 0);
        process = process_start(*state, "--master", "-c", config, NULL);
    }
    expect_end(process, 77, "lead\\.key: found that we may not read it; this mends it: ch");
}

/* None of this may be repeated: it could be a key with a slip of the pen. */
static void test_bad_content(void **state)
{
    const struct secret_key key = key_make("shared", NULL);
    const char *config = setup_keyed(*state, "lead", harness_port(), &key, 1);
    const char *path = key_path(*state, "lead");
    const struct {
        const char *text, *said;
    } faults[] = {
        {"shared %.63s\n", "lead\\.key:1: "},
        {"shared %s0\n", "lead\\.key:1: "},
        {"%s\n", "lead\\.key:1: "},
        {"%s shared\n", "lead\\.key:1: "},
        {"shared %s master more\n", "lead\\.key:1: "},
        {"# %.4s\n", "lead\\.key:[12]: found no key"},
        {"shared x%.63s\n", "lead\\.key:1: "},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        char text[256];

        snprintf(text, sizeof text, faults[i].text, key.secret);
        harness_write(*state, "lead.key", "%s", text);
        assert_int_equal(chmod(path, 0600), 0);
        expect_end(process_start(*state, "--master", "-c", config, NULL), 78, faults[i].said);
    }
}

static void test_no_file(void **state)
{
    const char *missing = harness_path(*state, "missing.key");
    const char *config = setup_config(*state, "lead", harness_port());
    char text[512];

    snprintf(text, sizeof text, "authentication = \"key\"; key_file = \"%s\";\n", missing);
    setup_override(*state, config, text);
    expect_end(process_start(*state, "--master", "-c", config, NULL), 78,
               "key_file: found \".*missing\\.key\", where there is no file; berkeleyctl keygen");
}

/* Nothing is said of a key: without one only this machine can take part. */
static void test_no_key(void **state)
{
    const char *config = setup_config(*state, "lead", harness_port());
    struct process *process;

    if (access(KEY_FILE, F_OK) == 0) {
        print_message("# this machine has a " KEY_FILE "\n");
        skip();
    }
    setup_override(*state, config, "authentication = \"key\";\n");
    process = process_start(*state, "--master", "-v", "-c", config, NULL);
    assert_true(
        process_wait_line(process, "There is no key in " KEY_FILE ": only this machine", SECONDS));
    assert_true(process_wait_line(process, "started as master", SECONDS));
    assert_int_equal(process_stop(process), 0);
    setup_override(*state, config,
                   "authentication = \"key\"; master: { listen = [\"192.0.2.1\"]; };\n");
    expect_end(process_start(*state, "--master", "-c", config, NULL), 78,
               "master\\.listen: found \"192\\.0\\.2\\.1\", and no key in " KEY_FILE "; allowed");
    setup_override(*state, config,
                   "authentication = \"key\"; slave: { master = \"192.0.2.1\"; };\n");
    expect_end(process_start(*state, "--slave", "-c", config, NULL), 78,
               "slave\\.master: found \"192\\.0\\.2\\.1\", and no key in " KEY_FILE "; allowed");
}

/* The usual file, which this machine may have or not, is not looked for here: the
 * credential stands for it. */
static void test_credential(void **state)
{
    const struct secret_key key = key_make("shared", NULL);
    char directory[128];
    const char *config = setup_config(*state, "lead", harness_port());
    const char *const environment[] = {directory, NULL};
    struct process *process;

    snprintf(directory, sizeof directory, "CREDENTIALS_DIRECTORY=%s", harness_directory(*state));
    key_write(*state, "berkeley.key", &key, 1);
    setup_override(*state, config, "authentication = \"key\";\n");
    process = process_spawn(
        *state, &(struct process_options){
                    .arguments = (const char *const[]){"--master", "-v", "-c", config, NULL},
                    .environment = environment});
    assert_true(process_wait_line(process, "1 key in .*/berkeley\\.key", SECONDS));
    assert_int_equal(process_stop(process), 0);
}

static void test_bad_file_at_a_reload(void **state)
{
    const struct secret_key key = key_make("shared", NULL);
    uint16_t port = harness_port();
    const char *config = setup_keyed(*state, "lead", port, &key, 1);
    struct process *master = process_start(*state, "--master", "-v", "-c", config, NULL);
    struct process *slave = process_start(*state, "--slave", "-v", "-c",
                                          setup_keyed(*state, "follow", port, &key, 1), NULL);
    struct sealed *sealed;

    assert_true(process_wait_line(slave, "Following master", SECONDS));
    harness_write(*state, "lead.key", "shared %.60s\n", key.secret);
    setup_override(*state, config, "master: { quorum = 3; };\n");
    process_signal(master, SIGHUP);
    assert_true(process_wait_line(master, "lead\\.key:1: ", SECONDS));
    assert_true(process_wait_line(
        master, "Nothing is reloaded: the configuration and the keys in force are kept", SECONDS));
    assert_int_equal(process_count_lines(master, "is changed|Configuration reloaded"), 0);
    assert_int_equal(unlink(key_path(*state, "lead")), 0);
    process_signal(master, SIGHUP);
    assert_true(process_wait_line(master, "The key file .*lead\\.key is gone", SECONDS));
    assert_true(process_wait_line(master, "master\\.quorum is changed", SECONDS));
    sealed = sealed_connect(*state, port, &key);
    assert_non_null(sealed);
    sealed_close(sealed);
    assert_int_equal(process_count_lines(slave, "Master .* is gone"), 0);
}

/* Without a key so far, and with a bad one now. */
static void test_first_key_is_bad(void **state)
{
    const char *config = setup_config(*state, "lead", harness_port());
    char directory[128];
    struct process *master;

    if (access(KEY_FILE, F_OK) == 0) {
        print_message("# this machine has a " KEY_FILE "\n");
        skip();
    }
    snprintf(directory, sizeof directory, "CREDENTIALS_DIRECTORY=%s", harness_directory(*state));
    setup_override(*state, config, "authentication = \"key\";\n");
    master = process_spawn(
        *state, &(struct process_options){
                    .arguments = (const char *const[]){"--master", "-v", "-c", config, NULL},
                    .environment = (const char *const[]){directory, NULL}});
    assert_true(process_wait_line(master, "started as master", SECONDS));
    harness_write(*state, "berkeley.key", "shared\n");
    setup_override(*state, config, "authentication = \"key\"; master: { quorum = 3; };\n");
    process_signal(master, SIGHUP);
    assert_true(process_wait_line(
        master, "Nothing is reloaded: the configuration in force is kept", SECONDS));
    assert_int_equal(process_count_lines(master, "is changed|Configuration reloaded"), 0);
}

static void expect_verdict(struct harness *harness, const char *role, const char *config, int code)
{
    struct process *process = process_start(harness, "--check", "-c", config, role, NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), code);
    assert_int_equal(process_count_lines(process, "none of its keys is for this machine"),
                     code == 78);
}

/* The file of a master that has a key for each machine but for itself. */
static void test_check_of_keys_for_others(void **state)
{
    const struct secret_key keys[] = {key_make("key-one", "one"), key_make("key-two", "two")};
    const char *config = setup_keyed(*state, "lead", harness_port(), keys, 2);

    expect_verdict(*state, NULL, config, 0);
    expect_verdict(*state, "--master", config, 0);
    expect_verdict(*state, "--slave", config, 78);
}

/* The harness looks for secrets in all that was printed. */
static void test_print_config(void **state)
{
    const struct secret_key key = key_make("shared", NULL);
    const char *config = setup_keyed(*state, "lead", harness_port(), &key, 1);
    struct process *process = process_start(*state, "--print-config", "-c", config, NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 0);
    assert_non_null(strstr(process_stdout(process), "lead.key\";"));
    assert_null(key_told(process_stdout(process), strlen(process_stdout(process))));
    /* As it would have found one. */
    assert_string_equal(key_told(key.secret + 4, 20), "shared");
}

/* Does it leave a core when it crashes?  If so in the harness's directory. */
static bool dumps_core(struct harness *harness, const char *config)
{
    char *program = realpath(harness_built(harness, "BERKELEYD", "berkeleyd"), NULL);
    struct process *process;
    char command[1024];

    assert_non_null(program);
    snprintf(command, sizeof command,
             "cd '%s' && ulimit -c unlimited && exec '%s' --master -c '%s'",
             harness_directory(harness), program, config);
    free(program);
    process = process_spawn(harness, &(struct process_options){
                                         .program = "/bin/sh",
                                         .arguments = (const char *const[]){"-c", command, NULL}});
    assert_true(process_wait_line(process, "started as master", SECONDS));
    process_signal(process, SIGABRT);
    assert_int_equal(process_wait_exit(process, SECONDS), 128 + SIGABRT);
    return process_dumped_core(process);
}

static void test_core_dump(void **state)
{
    const struct secret_key key = key_make("shared", NULL);

    assert_false(dumps_core(*state, setup_keyed(*state, "keyed", harness_port(), &key, 1)));
    /* Without keys there is nothing to hide, and somebody may want to know. */
    if (!dumps_core(*state, setup_config(*state, "open", harness_port()))) {
        print_message("# this machine keeps no cores at all\n");
        skip();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_modes),
        TEST(test_unreadable),
        TEST(test_bad_content),
        TEST(test_no_file),
        TEST(test_no_key),
        TEST(test_credential),
        TEST(test_bad_file_at_a_reload),
        TEST(test_first_key_is_bad),
        TEST(test_check_of_keys_for_others),
        TEST(test_print_config),
        TEST(test_core_dump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

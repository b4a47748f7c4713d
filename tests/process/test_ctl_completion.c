/* SPDX-License-Identifier: BSD-2-Clause */
/* The bash completion of berkeleyctl: what it offers is what there is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define COMPLETION "config/berkeleyctl.bash-completion"

/* Sources it, completes the last of the words (from $1 on), and prints what is offered. */
#define COMPLETE                                                                 \
    "set -u; source " COMPLETION "; COMP_WORDS=(berkeleyctl \"$@\"); "          \
    "COMP_CWORD=$#; _berkeleyctl; "                                              \
    "[ ${#COMPREPLY[@]} = 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\""

static struct process *bash(struct harness *harness, const char *script, const char *const *words)
{
    const char *all[12] = {"--norc", "--noprofile", "-c", script, "bash"};

    for (size_t i = 0; words[i]; i++)
        all[5 + i] = words[i];
    return process_spawn(harness, &(struct process_options){.program = "/bin/bash",
                                                            .arguments = all});
}

static const char *offered(struct harness *harness, const char *const *words)
{
    struct process *process = bash(harness, COMPLETE, words);
    int code = process_wait_exit(process, CTL_SECONDS);

    assert_string_equal(process_stderr(process), "");
    assert_int_equal(code, 0);
    return process_stdout(process);
}

#define OFFERED(...) offered(*state, CTL_WORDS(__VA_ARGS__))

static void test_words(void **state)
{
    if (access("/bin/bash", X_OK) < 0)
        skip();
    assert_string_equal(OFFERED("sta"), "status\n");
    assert_string_equal(OFFERED("st"), "status\nstep\n");
    assert_string_equal(OFFERED("-s", "/run", "cl"), "clocks\n");
    assert_string_equal(OFFERED("--json", "ro"), "rounds\n");
    assert_string_equal(OFFERED("trace", "o"), "on\noff\n");
    assert_string_equal(OFFERED("clocks", "--s"), "--socket\n--sort\n");
    assert_string_equal(OFFERED("clocks", "--sort", "of"), "offset\n");
    assert_string_equal(OFFERED("clocks", "--sort", "-w"), "-weight\n-why\n");
    assert_string_equal(OFFERED("clocks", "--color", "a"), "auto\nalways\n");
    assert_string_equal(OFFERED("wait", "--timeout", ""), "");
    assert_string_equal(OFFERED("-s", "config/berkeleyctl."), COMPLETION "\n");
    assert_string_equal(OFFERED("nonsense", ""), "");
}

/* The words of `text` that begin a line, or its options, in order. */
static const char *listed(struct harness *harness, const char *what, const char *command)
{
    static const char script[] =
        "\"$1\" $2 --help | if [ \"$3\" = options ]; then "
        "sed -nE 's/^ +(-., )?(--[a-z-]+).*/\\2/p'; else sed -nE 's/^  ([a-z]+) .*/\\1/p'; fi | "
        "sort -u";
    struct process *process =
        bash(harness, script, CTL_WORDS(ctl_program(harness), command, what));

    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 0);
    return process_stdout(process);
}

static const char *completed(struct harness *harness, const char *pattern, const char *command)
{
    static const char script[] = "source " COMPLETION
                                 "; _berkeleyctl_words \"$1\" | tr ' ' '\\n' | grep -E -- \"$2\" | "
                                 "sort -u";
    struct process *process = bash(harness, script, CTL_WORDS(command, pattern));

    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 0);
    return process_stdout(process);
}

/* The program's help tells which. */
static void test_all_there_is(void **state)
{
    char commands[512], *rest = commands;

    if (access("/bin/bash", X_OK) < 0)
        skip();
    (void)snprintf(commands, sizeof commands, "%s", listed(*state, "commands", ""));
    assert_string_equal(completed(*state, "^[a-z]", ""), commands);
    assert_string_equal(completed(*state, "^-", ""), listed(*state, "options", ""));
    for (char *command; (command = strsep(&rest, "\n")) && *command;)
        assert_string_equal(completed(*state, "^-", command),
                            listed(*state, "options", command));
}

/* As a person has it. */
static void test_registered(void **state)
{
    struct process *process;

    if (access("/bin/bash", X_OK) < 0)
        skip();
    process = bash(*state, "source " COMPLETION "; complete -p berkeleyctl", CTL_WORDS(""));
    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 0);
    assert_string_equal(process_stdout(process), "complete -F _berkeleyctl berkeleyctl\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_all_there_is, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_registered, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <regex.h>

#include "harness_part.h"

const char *ctl_program(struct harness *harness)
{
    return harness_built(harness, "BERKELEYCTL", "berkeleyctl");
}

struct process *ctl_start(struct harness *harness, const char *const *words)
{
    return process_spawn(harness, &(struct process_options){
                                      .program = ctl_program(harness),
                                      .arguments = words,
                                      .environment = (const char *const[]){"TZ=UTC", NULL}});
}

const char *ctl_output(struct harness *harness, const char *const *words)
{
    struct process *process = ctl_start(harness, words);
    int code = process_wait_exit(process, CTL_SECONDS);

    assert_string_equal(process_stderr(process), "");
    assert_int_equal(code, 0);
    return process_stdout(process);
}

void ctl_refuses(struct harness *harness, int code, const char *regex, const char *const *words)
{
    struct process *process = ctl_start(harness, words);

    assert_int_equal(process_wait_exit(process, CTL_SECONDS), code);
    assert_string_equal(process_stdout(process), "");
    if (process_count_lines(process, regex) != 1)
        fail_msg("\"%s\" is not in: %s", regex, process_stderr(process));
    assert_int_equal(process_count_lines(process, "^"), 1);
}

bool ctl_matches(const char *text, const char *regex)
{
    regex_t compiled;
    bool match;

    assert_int_equal(regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB), 0);
    match = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    if (!match)
        print_error("\"%s\" does not match: %s", regex, text);
    return match;
}

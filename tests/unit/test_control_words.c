/* SPDX-License-Identifier: BSD-2-Clause */
/* What is a question and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"

static const struct control_word words[] = {{.word = "status"}, {.word = "trace"}, {.word = "st"}};

#define WORDS (sizeof words / sizeof words[0])
#define LONGEST (CONTROL_ARGUMENT_SIZE - 1)

/* From memory of exactly that length, so that a sanitizer sees a byte too many. */
static int parse(const char *line, size_t length, const struct control_word **word,
                 char argument[CONTROL_ARGUMENT_SIZE])
{
    char *exact = malloc(length + (length == 0));
    int r;

    assert_non_null(exact);
    memcpy(exact, line, length);
    r = control_parse(words, WORDS, exact, length, word, argument);
    free(exact);
    return r;
}

static void expect(const char *line, const char *word, const char *argument)
{
    char found_argument[CONTROL_ARGUMENT_SIZE];
    const struct control_word *found = NULL;

    memset(found_argument, 'x', sizeof found_argument);
    assert_int_equal(parse(line, strlen(line), &found, found_argument), 0);
    assert_string_equal(found->word, word);
    assert_string_equal(found_argument, argument);
}

static void refuse_bytes(const char *line, size_t length, int error)
{
    char argument[CONTROL_ARGUMENT_SIZE] = "untouched";
    const struct control_word *found = &words[1];

    assert_int_equal(parse(line, length, &found, argument), error);
    assert_ptr_equal(found, &words[1]);
    assert_string_equal(argument, "untouched");
}

static void refuse(const char *line, int error)
{
    refuse_bytes(line, strlen(line), error);
}

static void test_words(void **state)
{
    (void)state;
    expect("status\n", "status", "");
    expect("st\n", "st", "");
    expect("trace on\n", "trace", "on");
    expect("trace ~!\"\\{}\n", "trace", "~!\"\\{}");
}

static void test_unknown_words(void **state)
{
    (void)state;
    refuse("statu\n", -ENOENT);
    refuse("statuss\n", -ENOENT);
    refuse("s\n", -ENOENT);
    refuse("Status\n", -ENOENT);
    refuse("tracy on\n", -ENOENT);
}

static void test_what_is_no_question(void **state)
{
    static const char *const lines[] = {
        "",           "\n",          " \n",         "status",      " status\n",   "status \n",
        "status\n\n", "\nstatus\n",  "status\r\n",  "sta\ntus\n",  "status\tx\n", "trace  on\n",
        "trace on \n", "trace on x\n", "st\xc3\xa4tus\n", "trace \x7f\n", "st\x1b[m\n", "status\n ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        refuse(lines[i], -EINVAL);
    refuse_bytes("status\0\n", 8, -EINVAL);
    refuse_bytes("trace \0\n", 8, -EINVAL);
}

static void test_lengths(void **state)
{
    char line[CONTROL_LINE_MAX + 2], argument[CONTROL_ARGUMENT_SIZE] = "";

    (void)state;
    memset(argument, 'a', LONGEST);
    memset(line, 'a', sizeof line);
    memcpy(line, "trace ", 6);
    line[6 + LONGEST] = '\n';
    line[6 + LONGEST + 1] = '\0';
    expect(line, "trace", argument);
    line[6 + LONGEST] = 'a';
    line[6 + LONGEST + 1] = '\n';
    line[6 + LONGEST + 2] = '\0';
    refuse(line, -EINVAL);
    memset(line, 'a', sizeof line);
    line[CONTROL_LINE_MAX - 1] = '\n';
    refuse_bytes(line, CONTROL_LINE_MAX, -ENOENT);
    line[CONTROL_LINE_MAX - 1] = 'a';
    line[CONTROL_LINE_MAX] = '\n';
    refuse_bytes(line, CONTROL_LINE_MAX + 1, -EINVAL);
}

static void test_no_words(void **state)
{
    char argument[CONTROL_ARGUMENT_SIZE];
    const struct control_word *found = NULL;

    (void)state;
    assert_int_equal(control_parse(NULL, 0, "status\n", 7, &found, argument), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_what_is_no_question),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_no_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

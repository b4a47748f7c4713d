/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl clocks: the table, its order, its colours, its size. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "fake.h"
#include "pty.h"

#define MANY 1000U
#define MANY_LIMIT_S 5.0
#define LINE_MAX_BYTES 512

#define HEAD "{\"role\":\"master\",\"name\":\"time1\",\"group\":\"lab\",\"round\":26,"
#define CLOCK(name, own, verdict, why, offset, delay, jitter, freq, bound, weight, heard)       \
    "{\"name\":\"" name "\",\"address\":null,\"own\":" own ",\"verdict\":\"" verdict "\"" \
    ",\"why\":" why                                                                             \
    ",\"offset_ns\":" offset ",\"delay_ns\":" delay ",\"jitter_ns\":" jitter                    \
    ",\"frequency_ppb\":" freq ",\"bound_ns\":" bound ",\"weight\":" weight                     \
    ",\"heard_ns\":" heard "}"
#define WHY "\"is 3.2 ms from the group, 41 µs is allowed; left alone for 3 rounds\""

#define GROUP                                                                                  \
    HEAD "\"gate_ns\":41000,\"gate_ppb\":12.5,\"clocks\":["                                    \
    CLOCK("node10", "false", "counted", "null", "-21", "51234", "999", "-27.04", "6580",       \
          "0.334", "812000000") ","                                                            \
    CLOCK("node9", "false", "far", WHY, "3200000", "90000", "8000", "12345.6", "3210000", "0", \
          "15000000") ","                                                                      \
    CLOCK("node11", "false", "newcomer", "\"came a moment ago\"", "null", "null", "null",      \
          "null", "null", "null", "2000000000") ","                                            \
    CLOCK("time1", "true", "counted", "null", "20", "0", "0", "999.6", "5500", "0.0666", "0") "]}"

#define TITLE "NAME    OFFSET   DELAY JITTER      FREQ   BOUND WEIGHT   SEEN VERDICT  WHY\n"
#define TIME1 "time1   +20 ns       -      - +1.00 ppm  5.5 µs  6.7 %      - counted\n"
#define NODE9 "node9  +3.2 ms   90 µs   8 µs +12.3 ppm 3.21 ms    0 %  15 ms far      is 3.2 " \
              "ms from the group, 41 µs is allowed; left alone for 3 rounds\n"
#define NODE10 "node10  -21 ns 51.2 µs 999 ns   -27 ppb 6.58 µs   33 % 812 ms counted\n"
#define NODE11 "node11       -       -      -         -       -      -    2 s newcomer came a "  \
               "moment ago\n"

static struct fake *group(struct harness *harness)
{
    struct fake *fake = fake_open(harness, "master.sock");

    fake_answer(fake, GROUP);
    return fake;
}

static void test_table(void **state)
{
    (void)group(*state);
    assert_string_equal(
        ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "clocks")),
        "time1, master of group lab: 4 clocks, round 26; within 41 µs of the group is allowed\n"
        "\n" TITLE TIME1 NODE9 NODE10 NODE11);
}

static void test_orders(void **state)
{
    static const struct {
        const char *key, *rows;
    } orders[] = {
        {"name", NODE9 NODE10 NODE11 TIME1},   {"-NAME", TIME1 NODE11 NODE10 NODE9},
        {"OFFSET", NODE10 TIME1 NODE9 NODE11}, {"-Offset", NODE9 TIME1 NODE10 NODE11},
        {"freq", NODE10 TIME1 NODE9 NODE11},   {"-weight", NODE10 TIME1 NODE9 NODE11},
        {"bound", TIME1 NODE10 NODE9 NODE11},  {"-seen", NODE11 NODE10 NODE9 TIME1},
        {"-delay", NODE9 NODE10 TIME1 NODE11}, {"-jitter", NODE9 NODE10 TIME1 NODE11},
        {"-verdict", NODE11 NODE9 NODE10 TIME1},       {"why", NODE11 NODE9 NODE10 TIME1},
    };

    (void)group(*state);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        const char *text = ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "clocks",
                                                        "--sort", orders[i].key));
        const char *rows = strstr(text, TITLE);

        assert_non_null(rows);
        rows += strlen(TITLE);
        if (strncmp(rows, orders[i].rows, strlen(orders[i].rows)) != 0)
            fail_msg("--sort %s: %s", orders[i].key, rows);
    }
    ctl_refuses(*state, 64, "^berkeleyctl: --sort: found \"colour\"; allowed is the name of a "
                            "column: NAME, OFFSET, DELAY, JITTER, FREQ, BOUND, WEIGHT, SEEN, "
                            "VERDICT, WHY, with - before it for the greatest first$",
                CTL_WORDS("-s", harness_directory(*state), "clocks", "--sort", "colour"));
}

static void test_odd_answers(void **state)
{
    struct fake *fake = group(*state);
    const char *directory = harness_directory(*state), *text;

    fake_answer(fake, "{\"clocks\":[{\"name\":\"a\\u001b[31m\\nb\",\"why\":7,\"own\":3,"
                      "\"offset_ns\":\"1\",\"weight\":1e9,\"verdict\":\"\\u202elunar\","
                      "\"frequency_ppb\":-1e300},[],null,4,{}]}");
    text = ctl_output(*state, CTL_WORDS("-s", directory, "clocks"));
    assert_true(ctl_matches(text, "^A daemon: 2 clocks\n\nNAME "));
    assert_non_null(strstr(text, "\na\\x1b[31m\\x0ab "));
    assert_non_null(strstr(text, " \\xe2\\x80\\xaelunar"));
    assert_null(strchr(text, '\033'));
    fake_answer(fake, HEAD "\"clocks\":[]}");
    assert_true(ctl_matches(ctl_output(*state, CTL_WORDS("-s", directory, "clocks")),
                            "^time1, master of group lab: 0 clocks, round 26\n"));
    fake_answer(fake, HEAD "\"clocks\":{}}");
    ctl_refuses(*state, 1, "the answer cannot be understood$",
                CTL_WORDS("-s", directory, "clocks"));
    fake_answer(fake, "{\"error\":\"this is a slave; the clocks are known to its master, time1\"}");
    ctl_refuses(*state, 1,
                "^berkeleyctl: .*/master.sock: this is a slave; the clocks are known to its "
                "master, time1$",
                CTL_WORDS("-s", directory, "clocks"));
}

static const char *on_a_terminal(struct harness *harness, unsigned short columns,
                                 const char *const *environment, const char *color)
{
    struct pty *pty = pty_start(harness, columns, 24, environment,
                                CTL_WORDS("-s", harness_directory(harness), "clocks", "--color",
                                          color));

    assert_int_equal(pty_wait_exit(pty, CTL_SECONDS), 0);
    return pty_output(pty);
}

static const char *const plain_terminal[] = {"TERM=xterm", "NO_COLOR=", NULL};

static void test_colours(void **state)
{
    static const char *const no_color[] = {"TERM=xterm", "NO_COLOR=1", NULL};
    static const char *const dumb[] = {"TERM=dumb", "NO_COLOR=", NULL};
    const char *text, *row;

    (void)group(*state);
    text = on_a_terminal(*state, 160, plain_terminal, "auto");
    row = strstr(text, "node9 ");
    assert_non_null(row);
    assert_memory_equal(row - 5, "\033[31m", 5);
    row = strstr(text, "node11 ");
    assert_non_null(row);
    assert_memory_equal(row - 5, "\033[33m", 5);
    assert_non_null(strstr(text, "\033[32mcounted"));
    assert_null(strchr(on_a_terminal(*state, 160, plain_terminal, "never"), '\033'));
    assert_null(strchr(on_a_terminal(*state, 160, no_color, "auto"), '\033'));
    assert_null(strchr(on_a_terminal(*state, 160, dumb, "auto"), '\033'));
    assert_non_null(strchr(on_a_terminal(*state, 160, no_color, "always"), '\033'));
    text = ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "clocks", "--color",
                                        "always"));
    assert_non_null(strstr(text, "\033[31mnode9 "));
}

/* Columns, µ being one. */
static size_t width(const char *line, size_t bytes)
{
    size_t columns = 0;

    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)line[i] & 0xc0) != 0x80;
    return columns;
}

/* No row is broken; what matters most stays, and each row is there once. */
static void test_narrow_terminals(void **state)
{
    static const unsigned short widths[] = {40, 60, 79, 80, 100, 132};
    static const char *const titles[] = {
        "NAME    OFFSET VERDICT  WHY\r\n",
        "NAME    OFFSET   BOUND   SEEN VERDICT  WHY\r\n",
        "NAME    OFFSET   DELAY      FREQ   BOUND   SEEN VERDICT  WHY\r\n",
        "NAME    OFFSET   DELAY JITTER      FREQ   BOUND   SEEN VERDICT  WHY\r\n",
        "NAME    OFFSET   DELAY JITTER      FREQ   BOUND WEIGHT   SEEN VERDICT  WHY\r\n",
        "NAME    OFFSET   DELAY JITTER      FREQ   BOUND WEIGHT   SEEN VERDICT  WHY\r\n",
    };

    (void)group(*state);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        const char *text = on_a_terminal(*state, widths[i], plain_terminal, "never");
        const char *row = strstr(text, "NAME ");
        unsigned rows = 0;

        assert_non_null(row);
        assert_memory_equal(row, titles[i], strlen(titles[i]));
        for (const char *end; (end = strstr(row, "\r\n")); row = end + 2, rows++)
            assert_in_range(width(row, (size_t)(end - row)), 1, widths[i]);
        assert_int_equal(rows, 5);
    }
}

/* As a slave of many would have it. */
static char *many(void)
{
    char *text = malloc((size_t)MANY * LINE_MAX_BYTES), *to = text;

    assert_non_null(text);
    to += sprintf(to, HEAD "\"clocks\":[");
    for (unsigned i = 0; i < MANY; i++)
        to += snprintf(to, LINE_MAX_BYTES,
                       "%s{\"name\":\"node%04u\",\"address\":\"192.0.2.%u:40000\",\"own\":false,"
                       "\"reference\":false,\"kind\":\"kernel\",\"state\":\"synchronised\","
                       "\"verdict\":\"%s\",\"why\":%s,\"offset_ns\":%u,\"rate_ppb\":1.0,"
                       "\"frequency_ppb\":%u.5,\"delay_ns\":51000,\"jitter_ns\":900,\"sd_ns\":30,"
                       "\"bound_ns\":%u,\"weight\":0.001,\"heard_ns\":500000000,"
                       "\"frames_refused\":0}",
                       i > 0 ? "," : "", i, i % 256, i % 10 ? "counted" : "far",
                       i % 10 ? "null" : WHY, i * 7919 % MANY, i, i + 6000);
    (void)sprintf(to, "]}");
    return text;
}

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_many(void **state)
{
    struct fake *fake = group(*state);
    char *answer = many(), key[16];
    const char *row;
    double begun, took;
    struct process *process;

    fake_answer(fake, answer);
    free(answer);
    begun = seconds();
    process = ctl_start(*state, CTL_WORDS("-s", harness_directory(*state), "clocks", "--sort",
                                          "offset"));
    while (process_running(process))
        assert_true(seconds() - begun < CTL_SECONDS);
    took = seconds() - begun;
    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 0);
    print_message("berkeleyctl clocks: %u clocks in %.0f ms\n", MANY, took * 1e3);
    assert_true(took < MANY_LIMIT_S);
    row = process_stdout(process);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, " +%u ns ", i);
        row = strstr(row, key);
        if (!row) {
            fail_msg("\"%s\" is not there, or not in its place", key);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_orders, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_odd_answers, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_colours, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_narrow_terminals, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_many, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl watch: on a terminal, which it gives back as it was, and elsewhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "fake.h"
#include "pty.h"

#define ANSWER                                                                                   \
    "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\",\"version\":\"1.2.3\","            \
    "\"state\":\"synchronised\",\"state_since_s\":11532,\"verdict\":\"counted\","                \
    "\"connected\":true,\"master\":\"time1\",\"offset_ns\":-21,\"bound_ns\":6580,"               \
    "\"bound_asymmetry_ns\":4100,\"frequency_ppb\":-27.1,\"round\":26,\"counted\":2,"            \
    "\"present\":3,\"uptime_s\":11600,\"correction_ns\":-1234,\"correction_age_s\":1,"         \
    "\"slew_left_ns\":210,\"clock\":\"kernel\",\"adjusts\":true,\"trace\":false}"

#define OPEN_SCREEN "\033[?1049h\033[?25l"
#define CLOSE_SCREEN "\033[?25h\033[?1049l"
#define FAST "100 ms"

static const char *const unicode[] = {"LC_ALL=C.UTF-8", "TERM=xterm", NULL};
static const char *const ascii[] = {"LC_ALL=C", "TERM=xterm", NULL};

static struct pty *watch(struct harness *harness, unsigned short columns, unsigned short rows,
                         const char *const *environment, struct fake **fake)
{
    *fake = fake_open(harness, "slave.sock");
    fake_answer(*fake, ANSWER);
    return pty_start(harness, columns, rows, environment,
                     CTL_WORDS("-s", harness_directory(harness), "watch", "--interval", FAST));
}

/* A drawing that is whole and was made after what came before. */
static char *next_drawing(struct harness *harness, struct pty *pty)
{
    const int64_t deadline = harness_deadline(CTL_SECONDS);
    char *drawing;

    pty_mark(pty);
    while (!(drawing = pty_drawing(pty)))
        assert_true(harness_wait(harness, deadline));
    return drawing;
}

static size_t width(const char *line, size_t bytes)
{
    size_t columns = 0;

    for (size_t i = 0; i < bytes; i++)
        columns += ((unsigned char)line[i] & 0xc0) != 0x80;
    return columns;
}

static unsigned lines(const char *drawing, size_t widest)
{
    unsigned count = 1;

    for (const char *end; (end = strchr(drawing, '\n')); drawing = end + 1, count++)
        assert_in_range(width(drawing, (size_t)(end - drawing)), 0, widest);
    assert_in_range(width(drawing, strlen(drawing)), 0, widest);
    return count;
}

static void expect_quiet_end(struct pty *pty, int code)
{
    const char *text;

    assert_int_equal(pty_wait_exit(pty, CTL_SECONDS), code);
    text = pty_output(pty);
    assert_memory_equal(text, OPEN_SCREEN, strlen(OPEN_SCREEN));
    assert_true(strlen(text) > strlen(CLOSE_SCREEN));
    assert_string_equal(text + strlen(text) - strlen(CLOSE_SCREEN), CLOSE_SCREEN);
    assert_int_equal(pty_terminal(pty).c_lflag & (ICANON | ECHO), ICANON | ECHO);
}

static void test_drawn(void **state)
{
    struct fake *fake;
    struct pty *pty = watch(*state, 80, 24, unicode, &fake);
    char *drawing;

    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    assert_int_equal(pty_terminal(pty).c_lflag & (ICANON | ECHO), 0);
    drawing = next_drawing(*state, pty);
    assert_int_equal(lines(drawing, 80), 24);
    assert_true(ctl_matches(drawing,
                            "^node1, slave of group lab\n"
                            "       State: synchronised for 3 h 12 min\n"
                            "      Offset: 21 ns behind the group\n(.*\n)*"
                            "      Daemon: berkeleyd 1.2.3, started 3 h 13 min ago\n"
                            "\n"
                            "        ● offset   ─ bound   q leaves\n(.*\n)*"
                            " 10 µs │[─]+\n(.*\n)*"
                            "       │(●)+\n(.*\n)*"));
    free(drawing);
    fake_answer(fake, "{\"state\":\"holdover\",\"bound_ns\":1000000000,\"name\":\"a\\u001b[9Jb\"}");
    assert_true(pty_wait_text(pty, "a\\x1b[9Jb", CTL_SECONDS));
    assert_true(pty_wait_text(pty, "   1 s │", CTL_SECONDS));
    pty_type(pty, "xq");
    expect_quiet_end(pty, 0);
}

static void test_small_and_plain(void **state)
{
    struct fake *fake;
    struct pty *pty = watch(*state, 40, 12, ascii, &fake);
    char *drawing = next_drawing(*state, pty);

    assert_int_equal(lines(drawing, 40), 12);
    assert_true(ctl_matches(drawing, "^node1, slave of group lab\n"
                                     "       State: [^\n]*\n"
                                     "      Offset: [^\n]*\n"
                                     "       Bound: [^\n]*\n"
                                     "        \\* offset   - bound   q leaves\n"));
    assert_non_null(strstr(drawing, " 10 µs |-"));
    assert_null(strstr(drawing, "│"));
    free(drawing);
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

static void test_resized(void **state)
{
    static const unsigned short sizes[][2] = {{120, 40}, {40, 12}, {10, 3}, {1, 1}, {80, 24}};
    struct fake *fake;
    struct pty *pty = watch(*state, 80, 24, unicode, &fake);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *drawing;

        pty_resize(pty, sizes[i][0], sizes[i][1]);
        free(next_drawing(*state, pty)); /* may have begun before */
        drawing = next_drawing(*state, pty);
        assert_in_range(lines(drawing, sizes[i][0]), 1, sizes[i][1]);
        if (sizes[i][1] >= 12)
            assert_int_equal(lines(drawing, sizes[i][0]), sizes[i][1]);
        free(drawing);
    }
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

/* At once, although the next look is far away. */
static void test_resized_at_once(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    struct pty *pty;

    fake_answer(fake, ANSWER);
    pty = pty_start(*state, 80, 24, unicode,
                    CTL_WORDS("-s", fake_path(fake), "watch", "--interval", "1 h"));
    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    pty_mark(pty);
    pty_resize(pty, 60, 20);
    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    assert_int_equal(fake_asked(fake, "status"), 1);
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

static void test_signals(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct fake *fake;
        struct pty *pty = watch(*state, 80, 24, unicode, &fake);

        assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
        if (numbers[i] == SIGINT)
            pty_type(pty, "\003"); /* as from the keyboard */
        else
            assert_int_equal(kill(pty_pid(pty), numbers[i]), 0);
        expect_quiet_end(pty, 128 + numbers[i]);
        fake_close(fake);
    }
}

/* The terminal is its owner's while the program is stopped. */
static void test_stopped(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    struct pty *pty;

    fake_answer(fake, ANSWER);
    pty = pty_start_shell(*state, unicode, "set -m; \"$@\"; echo stopped; read -r line; fg",
                          CTL_WORDS("-s", fake_path(fake), "watch", "--interval", FAST));
    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    pty_type(pty, "\032");
    assert_true(pty_wait_text(pty, CLOSE_SCREEN "stopped", CTL_SECONDS));
    assert_int_equal(pty_terminal(pty).c_lflag & (ICANON | ECHO), ICANON | ECHO);
    pty_mark(pty);
    pty_type(pty, "\n");
    assert_true(pty_wait_text(pty, OPEN_SCREEN, CTL_SECONDS));
    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

/* As by "ssh -t": nobody is there who could let it go on. */
static void test_not_stopped_for_good(void **state)
{
    struct fake *fake;
    struct pty *pty = watch(*state, 80, 24, unicode, &fake);

    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    pty_mark(pty);
    pty_type(pty, "\032");
    assert_true(pty_wait_text(pty, CLOSE_SCREEN OPEN_SCREEN, CTL_SECONDS));
    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

/* It goes on watching. */
static void test_daemon_restarts(void **state)
{
    struct fake *fake;
    struct pty *pty = watch(*state, 80, 24, unicode, &fake);

    assert_true(pty_wait_text(pty, "now", CTL_SECONDS));
    fake_close(fake);
    assert_true(pty_wait_text(pty, "no daemon answers at /tmp/", CTL_SECONDS));
    fake = fake_open(*state, "slave.sock");
    pty_mark(pty);
    fake_answer(fake, ANSWER);
    assert_true(pty_wait_text(pty, "node1, slave of group lab", CTL_SECONDS));
    pty_type(pty, "q");
    expect_quiet_end(pty, 0);
}

static void test_no_terminal(void **state)
{
    const int64_t deadline = harness_deadline(CTL_SECONDS);
    struct fake *fake = fake_open(*state, "slave.sock");
    struct process *process;

    fake_answer(fake, ANSWER);
    process = ctl_start(*state,
                        CTL_WORDS("-s", fake_path(fake), "watch", "--interval", FAST));
    while (fake_asked(fake, "status") < 3)
        assert_true(harness_wait(*state, deadline));
    fake_close(fake);
    while (!strstr(process_stdout(process), "no daemon"))
        assert_true(harness_wait(*state, deadline));
    process_signal(process, SIGTERM);
    assert_int_equal(process_wait_exit(process, CTL_SECONDS), 128 + SIGTERM);
    assert_true(ctl_matches(process_stdout(process),
                            "^([0-2][0-9]:[0-5][0-9]:[0-6][0-9] synchronised, offset -21 ns, "
                            "bound 6.58 µs, frequency -27 ppb, round 26, 2 of 3 counted\n){3,}"
                            "([0-2][0-9]:[0-5][0-9]:[0-6][0-9] no daemon answers at [^ ]*\n)+$"));
    assert_string_equal(process_stderr(process), "");
}

static void test_json(void **state)
{
    const int64_t deadline = harness_deadline(CTL_SECONDS);
    struct fake *fake = fake_open(*state, "slave.sock");
    struct process *process;
    const char *text;

    fake_answer(fake, "{\"name\":\"x\"}");
    process = ctl_start(*state, CTL_WORDS("-s", fake_path(fake), "--json", "watch", "--interval",
                                          FAST));
    while (strlen(process_stdout(process)) < 2 * strlen("{\"name\":\"x\"}\n"))
        assert_true(harness_wait(*state, deadline));
    process_signal(process, SIGTERM);
    (void)process_wait_exit(process, CTL_SECONDS);
    text = process_stdout(process);
    assert_true(ctl_matches(text, "^([{]\"name\":\"x\"[}]\n){2,}$"));
}

/* Nothing to watch: no screen is taken. */
static void test_nobody(void **state)
{
    struct fake *fake;
    struct pty *pty = pty_start(*state, 80, 24, unicode,
                                CTL_WORDS("-s", harness_directory(*state), "watch"));

    assert_int_equal(pty_wait_exit(pty, CTL_SECONDS), 3);
    assert_int_equal(strncmp(pty_output(pty), "berkeleyctl: no daemon answers", 30), 0);
    fake = fake_open(*state, "slave.sock");
    fake_answer(fake, "{\"error\":\"not now\"}");
    ctl_refuses(*state, 1, "slave.sock: not now$", CTL_WORDS("-s", fake_path(fake), "watch"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_drawn, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_small_and_plain, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_resized, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_resized_at_once, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_signals, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_stopped, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_not_stopped_for_good, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_daemon_restarts, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_terminal, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_json, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_nobody, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

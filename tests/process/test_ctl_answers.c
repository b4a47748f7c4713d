/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl: how answers read, usual ones and odd ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "fake.h"

#define HEAD "\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\""
#define MASTER_HEAD "\"role\":\"master\",\"name\":\"time1\",\"group\":\"lab\""

/* What the command prints when this is the answer. */
static const char *told(struct harness *harness, const char *command, const char *answer)
{
    static struct fake *fake;
    const char *text;

    fake = fake_open(harness, "fake.sock");
    fake_answer(fake, answer);
    text = ctl_output(harness, CTL_WORDS("-s", fake_path(fake), command));
    assert_int_equal(fake_asked(fake, command), 1);
    fake_close(fake);
    return text;
}

static void test_slave(void **state)
{
    assert_string_equal(
        told(*state, "status",
             "{" HEAD ",\"version\":\"1.2.3\",\"state\":\"synchronised\",\"state_since_s\":11532,"
             "\"verdict\":\"counted\",\"connected\":true,\"master\":\"time1\",\"offset_ns\":-21,"
             "\"bound_ns\":6580,\"bound_asymmetry_ns\":4100,\"frequency_ppb\":-27.1,\"round\":26,"
             "\"counted\":2,\"present\":3,\"uptime_s\":100000,\"correction_ns\":-1234,"
             "\"correction_age_s\":2,\"slew_left_ns\":500000,\"max_slew_ppm\":250,"
             "\"spread_ns\":null,"
             "\"clock\":\"kernel\",\"adjusts\":true,\"trace\":false}"),
        "node1, slave of group lab\n"
        "       State: synchronised for 3 h 12 min\n"
        "      Offset: 21 ns behind the group\n"
        "       Bound: 6.58 µs; 4.1 µs of it in case the ways there and back differ\n"
        "  Correction: -1.23 µs, 2 s ago\n"
        "   Slew left: +500 µs, about 2 s at 250 ppm\n"
        "   Frequency: corrected by -0.027 ppm\n"
        "  This clock: counted in the group's average\n"
        "      Master: time1\n"
        "      Clocks: 2 of 3 counted\n"
        "       Round: 26\n"
        "      Daemon: berkeleyd 1.2.3, started 27 h 46 min ago\n");
}

#define VAIN "{\"state\":\"holdover\",\"verdict\":\"counted\",\"counted\":"

/* It is not for being counted. */
static void test_no_quorum(void **state)
{
    assert_non_null(strstr(told(*state, "status", VAIN "2,\"quorum\":4}"),
                           "State: holdover: fewer clocks are counted than master.quorum asks for: "
                           "nobody is corrected\n"));
    assert_non_null(strstr(told(*state, "status", VAIN "4,\"quorum\":4}"),
                           "State: holdover: waits for the next round\n"));
    assert_non_null(strstr(told(*state, "status",
                                "{\"state\":\"unsynchronised\",\"verdict\":\"none\","
                                "\"role\":\"master\",\"present\":2,\"quorum\":4}"),
                           "State: unsynchronised: fewer clocks are here than master.quorum asks "
                           "for\n"));
    assert_non_null(strstr(told(*state, "status", VAIN "4}"),
                           "State: holdover: the master is silent, or counts fewer clocks than its "
                           "quorum\n"));
}

static void test_far(void **state)
{
    const char *text = told(*state, "status",
                            "{" HEAD ",\"offset_ns\":7200000000000,\"slew_left_ns\":-490000000,"
                            "\"max_slew_ppm\":100000}");

    assert_non_null(strstr(text, "   Slew left: -490 ms for now; all of it takes about 20 h 0 min "
                                 "at 100000 ppm\n"));
}

static void test_master(void **state)
{
    assert_string_equal(
        told(*state, "status",
             "{" MASTER_HEAD ",\"state\":\"synchronised\",\"verdict\":\"reference\",\"slaves\":4,"
             "\"offset_ns\":0,\"bound_ns\":400,\"bound_asymmetry_ns\":0,\"round\":7,\"counted\":5,"
             "\"present\":5,\"slew_left_ns\":0,\"spread_ns\":3400,\"interval_ns\":1500000000,"
             "\"clock\":\"emulated\",\"adjusts\":true,\"trace\":true}"),
        "time1, master of group lab\n"
        "       State: synchronised\n"
        "      Offset: none\n"
        "       Bound: 400 ns\n"
        "   Slew left: none\n"
        "  This clock: a reference: the group follows it\n"
        "       Clock: an emulated one; the machine's own is left alone\n"
        "      Clocks: 5 of 5 counted, within 3.4 µs of each other\n"
        "      Slaves: 4 connected\n"
        "       Round: 7, one every 1.5 s\n"
        "       Trace: on: every round is in the journal\n");
}

/* What is wrong is said, and why. */
static void test_trouble(void **state)
{
    static const struct {
        const char *answer, *line;
    } table[] = {
        {"\"state\":\"unsynchronised\",\"state_since_s\":12,\"connected\":false,\"master\":null",
         "       State: unsynchronised for 12 s: no master has let this slave in\n"},
        {"\"state\":\"unsynchronised\",\"connected\":false,\"master\":null",
         "      Master: none: not connected\n"},
        {"\"state\":\"holdover\",\"state_since_s\":300,\"connected\":false",
         "       State: holdover for 300 s: no master; the clock goes on as it was last "
         "corrected\n"},
        {"\"state\":\"unsynchronised\",\"connected\":true,\"verdict\":\"far\"",
         "       State: unsynchronised: excluded: too far from the others\n"},
        {"\"state\":\"unsynchronised\",\"connected\":true,\"verdict\":\"none\"",
         "       State: unsynchronised: no correction has come yet\n"},
        {"\"state\":\"unsynchronised\",\"verdict\":\"no-quorum\"",
         "       State: unsynchronised: too few clocks agree: nobody is corrected\n"},
        {"\"adjusts\":false,\"clock\":\"kernel\"",
         "       Clock: left alone: this daemon only observes\n"},
        {"\"bound_ns\":null", "       Bound: unknown\n"},
        {"\"correction_ns\":12,\"correction_age_s\":0", "  Correction: +12 ns, just now\n"},
        {"\"offset_ns\":null", "      Offset: unknown\n"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char answer[512];
        const char *text;

        (void)snprintf(answer, sizeof answer, "{" HEAD ",%s}", table[i].answer);
        text = told(*state, "status", answer);
        if (!strstr(text, table[i].line))
            fail_msg("\"%s\" is not in: %s", table[i].line, text);
    }
    assert_non_null(strstr(told(*state, "status",
                                "{" MASTER_HEAD ",\"state\":\"unsynchronised\","
                                "\"verdict\":\"none\"}"),
                           "unsynchronised: no round has been decided yet\n"));
}

/* What is missing, null or of another type is left out, and nothing gets at the terminal. */
static void test_a_newer_daemon(void **state)
{
    assert_string_equal(told(*state, "status", "{}"),
                        "A daemon\n      Offset: unknown\n       Bound: unknown\n");
    assert_string_equal(
        told(*state, "status",
             "{\"role\":\"arbiter\",\"name\":\"a\\u001bb\",\"group\":7,\"state\":\"lunar\\n\","
             "\"verdict\":\"sidereal\",\"offset_ns\":-9223372036854775808,\"bound_ns\":\"1\","
             "\"frequency_ppb\":1e999,\"round\":1e3,\"counted\":{},\"present\":1,"
             "\"connected\":0,\"state_since_s\":-1,\"uptime_s\":[],\"slew_left_ns\":null,"
             "\"correction_ns\":null,\"correction_age_s\":null,\"clock\":\"quartz\","
             "\"moon\":{\"phase\":0.5}}"),
        "a\\x1bb, arbiter\n"
        "       State: lunar\\x0a\n"
        "      Offset: unknown\n"
        "       Bound: unknown\n"
        "  This clock: sidereal\n");
}

static void test_counters(void **state)
{
    assert_string_equal(
        told(*state, "counters",
             "{\"name\":\"n\",\"events\":{\"rounds\":12,\"moons\":3,\"steps\":0},"
             "\"network\":{\"accepted\":18446744073709551615,\"eclipses\":2,\"floods\":\"3\"},"
             "\"frames_refused\":{\"dull\":1}}"),
        "n\n"
        "          12  rounds\n"
        "           3  moons\n"
        "           0  steps of this clock, by the daemon\n"
        "18446744073709551615  connections accepted\n"
        "           2  eclipses\n"
        "           1  frames refused: dull\n");
}

static void test_rounds(void **state)
{
    assert_string_equal(
        told(*state, "rounds",
             "{" MASTER_HEAD ",\"rounds\":["
             "{\"round\":9,\"time_ns\":1764000000123000000,\"correction_ns\":-861,"
             "\"bound_ns\":6580,\"verdict\":\"counted\",\"counted\":5,\"present\":6,"
             "\"excluded\":1,\"spread_ns\":1234,\"duration_ns\":402113},"
             "{\"round\":10,\"time_ns\":1764000001623000000,\"correction_ns\":12,"
             "\"bound_ns\":null,\"verdict\":\"no-quorum\",\"counted\":0,\"present\":6,"
             "\"excluded\":0,\"spread_ns\":null,\"duration_ns\":-1}, 17]}"),
        "time1, master of group lab\n"
        "\n"
        "TIME     ROUND  SPREAD CORRECTION   BOUND COUNTED EXCLUDED   TOOK VERDICT\n"
        "16:00:00     9 1.23 µs    -861 ns 6.58 µs     5/6        1 402 µs counted\n"
        "16:00:01    10       -     +12 ns       -     0/6        0  -1 ns no-quorum\n"
        "-            -       -          -       -       -        -      - -\n");
    assert_string_equal(told(*state, "rounds",
                             "{" HEAD ",\"rounds\":[{\"round\":9,\"time_ns\":1764000000123000000,"
                             "\"correction_ns\":-861,\"bound_ns\":6580,\"counted\":5,"
                             "\"present\":6,\"verdict\":\"\\u001b[2J\"}]}"),
                        "node1, slave of group lab\n"
                        "\n"
                        "TIME     ROUND CORRECTION   BOUND COUNTED VERDICT\n"
                        "16:00:00     9    -861 ns 6.58 µs     5/6 \\x1b[2J\n");
    assert_string_equal(told(*state, "rounds", "{" HEAD ",\"rounds\":[]}"),
                        "node1, slave of group lab: no round has been decided yet\n");
}

static void test_rounds_asked_for(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    static const char *const wrong[] = {"0", "257", "-3", "five", "5x", "", "1e2",
                                        "99999999999999999999999"};

    fake_answer(fake, "{" HEAD ",\"rounds\":[]}");
    (void)ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "rounds", "256"));
    assert_int_equal(fake_asked(fake, "rounds 256"), 1);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ctl_refuses(*state, 64, "^berkeleyctl: rounds: found \".*\"; allowed is 1 to 256$",
                    CTL_WORDS("-s", harness_directory(*state), "rounds", "--", wrong[i]));
    ctl_refuses(*state, 64,
                "^berkeleyctl: --wrong is no option here; see berkeleyctl rounds --help$",
                CTL_WORDS("rounds", "--wrong"));
    ctl_refuses(*state, 64, "^berkeleyctl: -x is no option here; see berkeleyctl --help$",
                CTL_WORDS("-x", "rounds"));
    ctl_refuses(*state, 64, "^berkeleyctl: -s needs an argument; see berkeleyctl rounds --help$",
                CTL_WORDS("rounds", "-s"));
    ctl_refuses(*state, 64,
                "^berkeleyctl: --json=5 is no option here; see berkeleyctl rounds --help$",
                CTL_WORDS("rounds", "--json=5"));
}

static void test_now(void **state)
{
    assert_string_equal(told(*state, "now",
                             "{" HEAD ",\"state\":\"synchronised\",\"time_ns\":1764000000123456789,"
                             "\"earliest_ns\":1764000000123450209,"
                             "\"latest_ns\":1764000000123463369,\"bound_ns\":6580}"),
                        "node1, slave of group lab\n"
                        "       State: synchronised\n"
                        "    Earliest: 2025-11-24 16:00:00.1234502 UTC\n"
                        "      Latest: 2025-11-24 16:00:00.1234634 UTC\n"
                        "       Bound: 6.58 µs to either side\n");
    /* To whole seconds, and no further than it is known. */
    assert_string_equal(told(*state, "now",
                             "{" HEAD ",\"state\":\"holdover\",\"time_ns\":1764000000123456789,"
                             "\"earliest_ns\":1763999880123456789,"
                             "\"latest_ns\":1764000120123456789,\"bound_ns\":120000000000}"),
                        "node1, slave of group lab\n"
                        "       State: holdover\n"
                        "    Earliest: 2025-11-24 15:58:00 UTC\n"
                        "      Latest: 2025-11-24 16:02:01 UTC\n"
                        "       Bound: 120 s to either side\n");
    assert_string_equal(told(*state, "now",
                             "{" HEAD ",\"state\":\"unsynchronised\","
                             "\"time_ns\":1764000000123456789,\"earliest_ns\":null,"
                             "\"latest_ns\":null,\"bound_ns\":null}"),
                        "node1, slave of group lab\n"
                        "       State: unsynchronised\n"
                        "       Clock: 2025-11-24 16:00:00.123 UTC\n"
                        "       Bound: unknown: this can be any time\n");
    assert_non_null(strstr(told(*state, "now",
                                "{\"earliest_ns\":-1,\"latest_ns\":9223372036854775807,"
                                "\"bound_ns\":1}"),
                           "    Earliest: 1969-12-31 23:59:59.999999999 UTC\n"
                           "      Latest: 2262-04-11 23:47:16.854775807 UTC\n"));
}

static void test_trace(void **state)
{
    struct fake *fake = fake_open(*state, "slave.sock");
    const char *directory = harness_directory(*state);

    fake_answer(fake, "{" HEAD ",\"trace\":true}");
    assert_string_equal(ctl_output(*state, CTL_WORDS("-s", directory, "trace", "on")),
                        "node1, slave of group lab: every round is in the journal now.\n"
                        "Read it with \"journalctl -f -u berkeley-slave\"; off again with "
                        "\"berkeleyctl trace off\".\n");
    assert_int_equal(fake_asked(fake, "trace on"), 1);
    fake_answer(fake, "{" HEAD ",\"trace\":false}");
    assert_string_equal(ctl_output(*state, CTL_WORDS("-s", directory, "trace", "off")),
                        "node1, slave of group lab: the journal has its usual lines again.\n");
    assert_int_equal(fake_asked(fake, "trace off"), 1);
    ctl_refuses(*state, 64, "^berkeleyctl: trace: found nothing; allowed is on or off$",
                CTL_WORDS("-s", directory, "trace"));
    ctl_refuses(*state, 64, "^berkeleyctl: trace: found \"of\"; allowed is on or off$",
                CTL_WORDS("-s", directory, "trace", "of"));
    fake_answer(fake, "{\"error\":\"only root may trace\"}");
    ctl_refuses(*state, 77, "^berkeleyctl: .*/slave.sock: only root may trace$",
                CTL_WORDS("-s", directory, "trace", "on"));
    fake_answer(fake, "{}");
    ctl_refuses(*state, 1, "slave.sock: the answer cannot be understood$",
                CTL_WORDS("-s", directory, "trace", "on"));
}

/* Of each daemon its status; of the group what its master knows. */
static void test_whom_it_asks(void **state)
{
    struct fake *master = fake_open(*state, "master.sock");
    struct fake *slave = fake_open(*state, "slave.sock");
    const char *directory = harness_directory(*state), *both;

    fake_answer(master, "{" MASTER_HEAD ",\"rounds\":[],\"clocks\":[]}");
    fake_answer(slave, "{" HEAD ",\"rounds\":[]}");
    both = ctl_output(*state, CTL_WORDS("-s", directory, "status"));
    assert_true(ctl_matches(both, "^time1, .*\n\nnode1, "));
    (void)ctl_output(*state, CTL_WORDS("-s", directory, "rounds"));
    (void)ctl_output(*state, CTL_WORDS("-s", directory, "clocks"));
    (void)ctl_output(*state, CTL_WORDS("-s", directory, "now"));
    assert_int_equal(fake_asked(master, "rounds"), 1);
    assert_int_equal(fake_asked(slave, "rounds"), 0);
    assert_int_equal(fake_asked(slave, "clocks"), 0);
    assert_int_equal(fake_asked(slave, "now"), 0);
    (void)ctl_output(*state, CTL_WORDS("-s", fake_path(slave), "rounds"));
    assert_int_equal(fake_asked(slave, "rounds"), 1);
    fake_close(master);
    (void)ctl_output(*state, CTL_WORDS("-s", directory, "rounds"));
    assert_int_equal(fake_asked(slave, "rounds"), 2);
}

/* As it came, on one line. */
static void test_json(void **state)
{
    static const char *const commands[] = {"status", "clocks", "rounds", "now", "counters"};
    static const char answer[] = "{\"role\":\"slave\",\"name\":\"n/1\",\"clocks\":[{\"x\":1}],"
                                 "\"frequency_ppb\":-0.120,\"bound_ns\":null,\"m\":\"µ\\u001b\"}";
    struct fake *fake = fake_open(*state, "slave.sock");

    fake_answer(fake, answer);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *text = ctl_output(*state, CTL_WORDS("-s", harness_directory(*state), "--json",
                                                        commands[i]));
        struct json_object *object = json_tokener_parse(text);

        assert_non_null(object);
        assert_int_equal(strncmp(text, answer, strlen(answer)), 0);
        assert_string_equal(text + strlen(answer), "\n");
        json_object_put(object);
    }
}

static void test_usage(void **state)
{
    static const char *const commands[] = {"status", "clocks", "rounds",   "watch", "wait",
                                           "now",    "trace",  "counters", "keygen"};
    char start[64];

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *text = ctl_output(*state, CTL_WORDS(commands[i], "--help"));

        (void)snprintf(start, sizeof start, "Usage: berkeleyctl %s ", commands[i]);
        assert_int_equal(strncmp(text, start, strlen(start)), 0);
        assert_non_null(strstr(text, "--help "));
        (void)snprintf(start, sizeof start, "\n  %s ", commands[i]);
        assert_non_null(strstr(ctl_output(*state, CTL_WORDS("--help")), start));
    }
    ctl_refuses(*state, 64, "found a word too many: 3; see", CTL_WORDS("rounds", "2", "3"));
    ctl_refuses(*state, 64,
                "^berkeleyctl: --color: found \"red\"; allowed is auto, always or never$",
                CTL_WORDS("clocks", "--color", "red"));
    ctl_refuses(*state, 64, "^berkeleyctl: --interval: found \"1\"; allowed is a number and a "
                            "unit: ns, us, ms, s, min, h or d, as \"50 ms\", from 100 ms$",
                CTL_WORDS("watch", "--interval", "1"));
    ctl_refuses(*state, 64, "^berkeleyctl: --interval: found \"99 ms\"",
                CTL_WORDS("watch", "--interval", "99 ms"));
    assert_int_equal(process_wait_exit(ctl_start(*state, CTL_WORDS("status", "--sort", "NAME")),
                                       CTL_SECONDS), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slave, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_quorum, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_far, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_master, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_trouble, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_daemon, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_counters, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_rounds, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_rounds_asked_for, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_now, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_trace, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_whom_it_asks, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_json, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_usage, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's words status and now: every field of the answers; and where the socket is. */
#include "answers.h"

#include <math.h>

#include "daemon/journal.h"

static void test_status_of_a_master(void **state)
{
    (void)state;
    answers.summary = (struct summary){.offset_ns = 3100,
                               .slew_left_ns = -2000,
                               .max_slew_ppm = 250,
                               .bound_ns = 41000,
                               .asymmetry_ns = 7000,
                               .spread_ns = 820,
                               .freq_ppb = -12345.6789,
                               .state = SYNC_SYNCHRONISED,
                               .counted = 11,
                               .present = 12,
                               .slaves = 13,
                               .round = UINT32_MAX,
                               .verdict = VERDICT_COUNTED,
                               .connected = true,
                               .name = "node1"};
    ANSWERS_NOTE(.kind = NOTE_STATE, .state = SYNC_SYNCHRONISED);
    ANSWERS_NOTE(.kind = NOTE_ROUND, .verdict = VERDICT_COUNTED, .correction_ns = -4000);
    answers.now.raw_ns += 59 * NS_PER_S;
    answers.configured_trace = true;
    answers.config.master.quorum = 4;
    answers_expect(true, "status\n",
                  "{\"role\":\"master\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"synchronised\","
                  "\"verdict\":\"counted\",\"slaves\":13,\"offset_ns\":3100,\"bound_ns\":41000,"
                   "\"bound_asymmetry_ns\":7000,\"frequency_ppb\":-12345.679,"
                   "\"slew_left_ns\":-2000,\"max_slew_ppm\":250.000,"
                   "\"uptime_s\":61,\"state_since_s\":60,"
                   "\"correction_ns\":-4000,\"correction_age_s\":59,\"round\":4294967295,"
                   "\"counted\":11,\"present\":12,\"spread_ns\":820,\"interval_ns\":2000000000,"
                   "\"quorum\":4,"
                   "\"clock\":\"kernel\",\"adjusts\":true,\"trace\":true}\n");
}

static void test_status_of_a_slave(void **state)
{
    (void)state;
    answers.summary = (struct summary){.offset_ns = -5,
                               .state = SYNC_HOLDOVER,
                               .verdict = VERDICT_NO_QUORUM,
                               .connected = true,
                               .name = "time1"};
    answers.config.clock.kind = CONFIG_CLOCK_EMULATED;
    answers.observes = true;
    answers_expect(false, "status\n",
                  "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"holdover\","
                  "\"verdict\":\"no-quorum\",\"connected\":true,\"master\":\"time1\","
                  "\"offset_ns\":-5,\"bound_ns\":0,\"bound_asymmetry_ns\":0,"
                   "\"frequency_ppb\":0.000,\"slew_left_ns\":0,\"max_slew_ppm\":0.000,"
                   "\"uptime_s\":0,"
                   "\"state_since_s\":0,\"correction_ns\":null,\"correction_age_s\":null,"
                   "\"round\":0,\"counted\":0,\"present\":0,\"clock\":\"emulated\","
                   "\"adjusts\":false,\"trace\":false}\n");
}

/* What was known of a master once, or is not a number, is not told. */
static void test_status_of_one_that_knows_nothing(void **state)
{
    (void)state;
    answers.summary = (struct summary){
        .offset_ns = 7, .bound_ns = INT64_MAX, .freq_ppb = NAN, .name = "time1"};
    answers_expect(false, "status\n",
                  "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"unsynchronised\","
                  "\"verdict\":\"none\",\"connected\":false,\"master\":null,"
                  "\"offset_ns\":null,\"bound_ns\":null,\"bound_asymmetry_ns\":null,"
                   "\"frequency_ppb\":null,\"slew_left_ns\":0,\"max_slew_ppm\":0.000,"
                   "\"uptime_s\":0,"
                   "\"state_since_s\":0,\"correction_ns\":null,\"correction_age_s\":null,"
                   "\"round\":0,\"counted\":0,\"present\":0,\"clock\":\"kernel\","
                   "\"adjusts\":true,\"trace\":false}\n");
}

/* A master that nobody was counted by yet has no spread. */
static void test_spread_of_nobody(void **state)
{
    char *line = answers_ask(true, "status\n");

    (void)state;
    assert_non_null(strstr(line, "\"spread_ns\":null,"));
    free(line);
}

#define NOW "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\","

static void test_now(void **state)
{
    (void)state;
    answers.summary.state = SYNC_HOLDOVER;
    answers.summary.bound_ns = 41000;
    answers_expect(false, "now\n",
                   NOW "\"state\":\"holdover\",\"time_ns\":1600001000000000000,"
                       "\"earliest_ns\":1600000999999959000,\"latest_ns\":1600001000000041000,"
                       "\"bound_ns\":41000}\n");
}

static void test_now_of_one_that_knows_nothing(void **state)
{
    (void)state;
    answers.summary.bound_ns = 41000;
    answers_expect(false, "now\n",
                   NOW "\"state\":\"unsynchronised\",\"time_ns\":1600001000000000000,"
                       "\"earliest_ns\":null,\"latest_ns\":null,\"bound_ns\":null}\n");
    answers.summary.state = SYNC_SYNCHRONISED;
    answers.summary.bound_ns = INT64_MAX;
    answers_expect(false, "now\n",
                   NOW "\"state\":\"synchronised\",\"time_ns\":1600001000000000000,"
                       "\"earliest_ns\":null,\"latest_ns\":null,\"bound_ns\":null}\n");
}

static void expect_path(bool master, const char *expected)
{
    char path[CONFIG_PATH_SIZE] = "";

    assert_int_equal(daemon_control_path(&answers.config, master, path), *expected != '\0');
    assert_string_equal(path, expected);
}

static void test_where_it_is(void **state)
{
    (void)state;
    expect_path(true, answers.side.path);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/berkeley", 1), 0);
    expect_path(true, answers.side.path);
    answers.config.control[0] = '\0';
    expect_path(true, "/run/berkeley/master.sock");
    expect_path(false, "/run/berkeley/slave.sock");
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1), 0);
    expect_path(false, "/run/one/slave.sock");
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "", 1), 0);
    expect_path(true, "");
    assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
    expect_path(true, "");
    assert_null(answers_open(true));
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/berkeley", 1), 0);
    strcpy(answers.config.control, CONFIG_STATE_NONE);
    expect_path(true, "");
}

/* Without a socket the daemon does its work all the same. */
static void test_that_cannot_be_opened(void **state)
{
    FILE *said = tmpfile();
    int kept = dup(STDERR_FILENO);
    char line[512] = "", expected[512];

    (void)state;
    assert_true(dup2(fileno(said), STDERR_FILENO) >= 0);
    (void)snprintf(answers.config.control, sizeof answers.config.control, "%s/no/x.sock", answers.side.directory);
    assert_null(answers_open(true));
    daemon_control_close(NULL);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    rewind(said);
    assert_non_null(fgets(line, sizeof line, said));
    (void)snprintf(expected, sizeof expected,
                   "berkeleyd: Cannot listen on %s: No such file or directory. berkeleyctl cannot "
                   "ask this daemon.\n",
                   answers.config.control);
    assert_string_equal(line, expected);
    (void)fclose(said);
    close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status_of_a_master, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_status_of_a_slave, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_status_of_one_that_knows_nothing, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_spread_of_nobody, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_now, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_now_of_one_that_knows_nothing, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_where_it_is, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_that_cannot_be_opened, answers_setup, answers_teardown),
    };

    journal_open(LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

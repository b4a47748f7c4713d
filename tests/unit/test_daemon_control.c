/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's words: every field of the answers, and where the socket is. */
#include "control_side.h"

#include <json-c/json.h>
#include <math.h>

#include "daemon/daemon_control.h"
#include "daemon/journal.h"

static struct control_side side;
static struct config config;
static struct summary summary;
static struct transport_counters counters;

static void on_summarise(void *context, struct summary *out)
{
    assert_ptr_equal(context, &side);
    *out = summary;
}

static void on_count(void *context, struct transport_counters *out)
{
    assert_ptr_equal(context, &side);
    *out = counters;
}

static const struct daemon_control_source source = {
    .summarise = on_summarise, .count = on_count, .context = &side};

static int setup(void **state)
{
    (void)state;
    (void)unsetenv("RUNTIME_DIRECTORY");
    config = (struct config){.name = "node1", .group = "lab"};
    summary = (struct summary){.bound_ns = INT64_MAX};
    counters = (struct transport_counters){0};
    control_side_open(&side);
    (void)snprintf(config.control, sizeof config.control, "%s", side.path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    control_side_close(&side);
    return 0;
}

static void expect_answer(bool master, const char *question, const char *expected)
{
    struct daemon_control *control = daemon_control_open(side.loop, &config, master, &source);

    assert_non_null(control);
    assert_answer(&side, question, expected);
    daemon_control_close(control);
}

static void test_status_of_a_master(void **state)
{
    (void)state;
    summary = (struct summary){.outstanding_ns = -3100,
                               .bound_ns = 41000,
                               .freq_ppb = -12345.6789,
                               .state = SYNC_SYNCHRONISED,
                               .counted = 11,
                               .present = 12,
                               .slaves = 13,
                               .round = UINT32_MAX,
                               .verdict = VERDICT_COUNTED,
                               .connected = true,
                               .name = "node1"};
    expect_answer(true, "status\n",
                  "{\"role\":\"master\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"synchronised\","
                  "\"verdict\":\"counted\",\"slaves\":13,\"offset_ns\":3100,\"bound_ns\":41000,"
                  "\"frequency_ppb\":-12345.679,\"round\":4294967295,\"counted\":11,"
                  "\"present\":12}\n");
}

static void test_status_of_a_slave(void **state)
{
    (void)state;
    summary = (struct summary){.outstanding_ns = 5,
                               .state = SYNC_HOLDOVER,
                               .verdict = VERDICT_NO_QUORUM,
                               .connected = true,
                               .name = "time1"};
    expect_answer(false, "status\n",
                  "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"holdover\","
                  "\"verdict\":\"no-quorum\",\"connected\":true,\"master\":\"time1\","
                  "\"offset_ns\":-5,\"bound_ns\":0,\"frequency_ppb\":0.000,\"round\":0,"
                  "\"counted\":0,\"present\":0}\n");
}

/* What was known of a master once, or is not a number, is not told. */
static void test_status_of_one_that_knows_nothing(void **state)
{
    (void)state;
    summary = (struct summary){
        .outstanding_ns = 7, .bound_ns = INT64_MAX, .freq_ppb = NAN, .name = "time1"};
    expect_answer(false, "status\n",
                  "{\"role\":\"slave\",\"name\":\"node1\",\"group\":\"lab\","
                  "\"version\":\"" BERKELEY_VERSION "\",\"state\":\"unsynchronised\","
                  "\"verdict\":\"none\",\"connected\":false,\"master\":null,"
                  "\"offset_ns\":null,\"bound_ns\":null,\"frequency_ppb\":null,\"round\":0,"
                  "\"counted\":0,\"present\":0}\n");
}

static void test_counters(void **state)
{
    size_t size;
    char *expected;
    FILE *text = open_memstream(&expected, &size);

    (void)state;
    (void)fputs("{\"role\":\"master\",\"name\":\"node1\",\"group\":\"lab\",\"network\":{"
                "\"accepted\":1,\"refused_loopback\":2,\"refused_denied\":3,"
                "\"refused_often\":4,\"refused_full\":5,\"refused_handshakes\":6,"
                "\"handshakes_done\":7,\"handshakes_failed\":8,\"handshakes_late\":9,"
                "\"unknown_keys\":10,\"wrong_keys\":11,\"frames_in\":12,"
                "\"frames_out\":18446744073709551615,\"frames_unsent\":14,\"floods\":15,"
                "\"garbled\":16,\"revoked\":17},\"frames_refused\":{",
                text);
    counters = (struct transport_counters){
        .accepted = 1,
        .refused_loopback = 2,
        .refused_denied = 3,
        .refused_often = 4,
        .refused_full = 5,
        .refused_handshakes = 6,
        .handshakes_done = 7,
        .handshakes_failed = 8,
        .handshakes_late = 9,
        .unknown_keys = 10,
        .wrong_keys = 11,
        .frames_in = 12,
        .frames_out = UINT64_MAX,
        .frames_unsent = 14,
        .floods = 15,
        .garbled = 16,
        .revoked = 17,
    };
    for (unsigned i = 0; i < REFUSAL_COUNT_; i++) {
        summary.refused[i] = 100 + i;
        if (i > REFUSAL_NONE)
            (void)fprintf(text, "%s\"%s\":%u", i > REFUSAL_NONE + 1 ? "," : "", refusal_name(i),
                          100 + i);
    }
    (void)fputs("}}\n", text);
    assert_int_equal(fclose(text), 0);
    expect_answer(true, "counters\n", expected);
    free(expected);
}

static void expect_path(bool master, const char *expected)
{
    char path[CONFIG_PATH_SIZE] = "";

    assert_int_equal(daemon_control_path(&config, master, path), *expected != '\0');
    assert_string_equal(path, expected);
}

static void test_where_it_is(void **state)
{
    (void)state;
    expect_path(true, side.path);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/berkeley", 1), 0);
    expect_path(true, side.path);
    config.control[0] = '\0';
    expect_path(true, "/run/berkeley/master.sock");
    expect_path(false, "/run/berkeley/slave.sock");
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1), 0);
    expect_path(false, "/run/one/slave.sock");
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "", 1), 0);
    expect_path(true, "");
    assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
    expect_path(true, "");
    assert_null(daemon_control_open(side.loop, &config, true, &source));
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/berkeley", 1), 0);
    strcpy(config.control, CONFIG_STATE_NONE);
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
    (void)snprintf(config.control, sizeof config.control, "%s/no/x.sock", side.directory);
    assert_null(daemon_control_open(side.loop, &config, true, &source));
    daemon_control_close(NULL);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    rewind(said);
    assert_non_null(fgets(line, sizeof line, said));
    (void)snprintf(expected, sizeof expected,
                   "berkeleyd: Cannot listen on %s: No such file or directory. berkeleyctl cannot "
                   "ask this daemon.\n",
                   config.control);
    assert_string_equal(line, expected);
    (void)fclose(said);
    close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status_of_a_master, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_of_a_slave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_of_one_that_knows_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_where_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_that_cannot_be_opened, setup, teardown),
    };

    journal_open(LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

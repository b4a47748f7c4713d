/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's words counters, rounds, trace and step: every field of the answers, and what is
 * said of arguments that cannot be. */
#include "answers.h"

#include "daemon/journal.h"
#include "daemon/step.h"

#define HEAD(role) "{\"role\":\"" role "\",\"name\":\"node1\",\"group\":\"lab\","

static void test_counters(void **state)
{
    size_t size;
    char *expected;
    FILE *text = open_memstream(&expected, &size);

    (void)state;
    (void)fputs(HEAD("master") "\"network\":{"
                "\"accepted\":1,\"refused_loopback\":2,\"refused_denied\":3,"
                "\"refused_often\":4,\"refused_full\":5,\"refused_handshakes\":6,"
                "\"handshakes_done\":7,\"handshakes_failed\":8,\"handshakes_late\":9,"
                "\"unknown_keys\":10,\"wrong_keys\":11,\"frames_in\":12,"
                "\"frames_out\":18446744073709551615,\"frames_unsent\":14,\"floods\":15,"
                "\"garbled\":16,\"revoked\":17},\"frames_refused\":{",
                text);
    answers.counters = (struct transport_counters){
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
        answers.summary.refused[i] = 100 + i;
        if (i > REFUSAL_NONE)
            (void)fprintf(text, "%s\"%s\":%u", i > REFUSAL_NONE + 1 ? "," : "", refusal_name(i),
                          100 + i);
    }
    (void)fputs("},\"events\":{\"rounds\":2,\"corrections\":1,\"steps\":0,\"foreign_steps\":0,"
                "\"suspensions\":0,\"panics\":0,\"holdovers\":1,\"quorums_lost\":0,"
                "\"exclusions\":0,\"jumps\":0,\"slaves_joined\":1,\"slaves_left\":0,"
                "\"masters_found\":0,\"masters_lost\":0}}\n",
                text);
    assert_int_equal(fclose(text), 0);
    ANSWERS_NOTE(.kind = NOTE_SLAVE_JOINED);
    ANSWERS_NOTE(.kind = NOTE_ROUND, .verdict = VERDICT_COUNTED);
    ANSWERS_NOTE(.kind = NOTE_STATE, .state = SYNC_HOLDOVER);
    ANSWERS_NOTE(.kind = NOTE_ROUND, .verdict = VERDICT_NO_QUORUM);
    answers_expect(true, "counters\n", expected);
    free(expected);
}

static void test_a_round_of_a_master(void **state)
{
    (void)state;
    answers_expect(true, "rounds\n", HEAD("master") "\"rounds\":[]}\n");
    ANSWERS_NOTE(.kind = NOTE_ROUND, .round = 9, .verdict = VERDICT_COUNTED, .correction_ns = -40,
                 .bound_ns = 500, .counted = 4, .present = 6, .count = 2, .offset_ns = 80,
                 .duration_ns = 1200);
    answers_expect(true, "rounds 1\n",
                   HEAD("master") "\"rounds\":[{\"round\":9,\"time_ns\":1600001001000000000,"
                                  "\"correction_ns\":-40,\"bound_ns\":500,\"verdict\":\"counted\","
                                  "\"counted\":4,\"present\":6,\"excluded\":2,\"spread_ns\":80,"
                                  "\"duration_ns\":1200}]}\n");
}

static void test_a_round_of_a_slave(void **state)
{
    (void)state;
    ANSWERS_NOTE(.kind = NOTE_CORRECTION, .round = 9, .verdict = VERDICT_NEWCOMER,
                 .correction_ns = 70, .bound_ns = INT64_MAX, .counted = 4, .present = 6);
    answers_expect(false, "rounds\n",
                   HEAD("slave") "\"rounds\":[{\"round\":9,\"time_ns\":1600001001000000000,"
                                 "\"correction_ns\":70,\"bound_ns\":null,\"verdict\":\"newcomer\","
                                 "\"counted\":4,\"present\":6}]}\n");
}

/* The last `expected` ones, oldest first. */
static void expect_rounds(const char *question, size_t expected, uint32_t last)
{
    char *line = answers_ask(true, question);
    struct json_object *answer = json_tokener_parse(line), *list = NULL, *round = NULL;

    assert_true(json_object_object_get_ex(answer, "rounds", &list));
    assert_int_equal(json_object_array_length(list), expected);
    for (size_t i = 0; i < expected; i++) {
        assert_true(json_object_object_get_ex(json_object_array_get_idx(list, i), "round", &round));
        assert_int_equal(json_object_get_int(round), last + 1 - expected + i);
    }
    (void)json_object_put(answer);
    free(line);
}

static void test_how_many_rounds(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 300; n++)
        ANSWERS_NOTE(.kind = NOTE_ROUND, .round = n);
    expect_rounds("rounds\n", 20, 300);
    expect_rounds("rounds 1\n", 1, 300);
    expect_rounds("rounds 0000000000021\n", 21, 300);
    expect_rounds("rounds 256\n", 256, 300);
}

static void test_rounds_that_cannot_be(void **state)
{
    static const char *const arguments[] = {"0",   "000", "257", "9999", "18446744073709551617",
                                            "-1",  "+1",  "1x",  "x",    "1.5"};
    char question[64], sentence[256];

    (void)state;
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        (void)snprintf(question, sizeof question, "rounds %s\n", arguments[i]);
        (void)snprintf(sentence, sizeof sentence,
                       "found the argument \\\"%s\\\"; rounds takes a number from 1 to 256, or none "
                       "for the last 20",
                       arguments[i]);
        answers_expect_error(true, question, sentence);
    }
}

static void test_trace(void **state)
{
    (void)state;
    answers_expect(true, "trace on\n", HEAD("master") "\"trace\":true}\n");
    assert_true(answers.trace);
    answers_expect(true, "trace on\n", HEAD("master") "\"trace\":true}\n");
    answers_expect(true, "trace off\n", HEAD("master") "\"trace\":false}\n");
    assert_false(answers.trace);
    answers_expect_error(true, "trace maybe\n",
                         "found the argument \\\"maybe\\\"; trace takes on or off");
    answers_expect_error(true, "trace\n", "found no argument; trace takes on or off");
    assert_false(answers.trace);
}

/* Then there is nothing to switch off. */
static void test_trace_by_configuration(void **state)
{
    (void)state;
    answers.configured_trace = true;
    answers_expect(true, "trace on\n", HEAD("master") "\"trace\":true}\n");
    answers_expect_error(true, "trace off\n",
                         "the configuration (log_level) or the option -v says that every round is "
                         "logged; that stays so");
    assert_false(answers.trace);
}

static void test_step(void **state)
{
    (void)state;
    answers_expect(false, "step\n",
                   HEAD("slave") "\"correction_ns\":-1500000000,\"slewing_ns\":15000000000}\n");
    assert_int_equal(answers.confirmed_ns, 0);
    answers_expect(false, "step -1500000000\n", HEAD("slave") "\"step_ns\":-1499999999}\n");
    assert_int_equal(answers.confirmed_ns, -1500000000);
}

static void test_a_step_that_is_refused(void **state)
{
    (void)state;
    answers.step_result = -ESTALE;
    answers_expect_error(false, "step 1500000000\n", step_error(-ESTALE));
    answers.step_result = -EALREADY;
    answers_expect_error(false, "step\n", step_error(-EALREADY));
}

static void test_steps_that_cannot_be(void **state)
{
    static const char *const arguments[] = {"abc", "1s", "1.5", "9223372036854775808",
                                            "-9223372036854775808", "4611686018427387904"};
    char question[64], sentence[256];

    (void)state;
    answers.confirmed_ns = 77;
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        (void)snprintf(question, sizeof question, "step %s\n", arguments[i]);
        (void)snprintf(sentence, sizeof sentence,
                       "found the argument \\\"%s\\\"; step takes the correction that was confirmed, "
                       "in nanoseconds, or none to be told it",
                       arguments[i]);
        answers_expect_error(true, question, sentence);
    }
    assert_int_equal(answers.confirmed_ns, 77);
}

static void test_words_without_arguments(void **state)
{
    (void)state;
    answers_expect_error(true, "status x\n", "found the argument \\\"x\\\"; status takes none");
    answers_expect_error(true, "clocks x\n", "found the argument \\\"x\\\"; clocks takes none");
    answers_expect_error(true, "now x\n", "found the argument \\\"x\\\"; now takes none");
    answers_expect_error(true, "counters x\n", "found the argument \\\"x\\\"; counters takes none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counters, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_a_round_of_a_master, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_a_round_of_a_slave, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_how_many_rounds, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_rounds_that_cannot_be, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_trace, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_trace_by_configuration, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_step, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_a_step_that_is_refused, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_steps_that_cannot_be, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_words_without_arguments, answers_setup,
                                        answers_teardown),
    };

    journal_open(LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

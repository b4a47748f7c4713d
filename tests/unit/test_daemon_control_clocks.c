/* SPDX-License-Identifier: BSD-2-Clause */
/* The word clocks: every field, every reason why, and how long a thousand of them take. */
#include "answers.h"

#include <math.h>
#include <time.h>

#include "daemon/journal.h"

#define CLOCKS 1000
#define RUNS 20

#define HEAD "{\"role\":\"master\",\"name\":\"node1\",\"group\":\"lab\",\"round\":12,"

static void test_every_field(void **state)
{
    (void)state;
    answers.summary.round = 12;
    answers.view_count = 3;
    answers.views[0] = (struct clock_view){.name = "time1",
                                           .own = true,
                                           .kind = CLOCK_KIND_KERNEL,
                                           .state = SYNC_SYNCHRONISED,
                                           .verdict = VERDICT_SILENT,
                                           .freq_ppb = -1.5,
                                           .gate_ns = 41000,
                                           .gate_ppb = 120.5,
                                           .bound_ns = INT64_MAX};
    answers.views[2] = (struct clock_view){.name = "node2",
                                           .address = "192.0.2.7 port 40112",
                                           .reference = true,
                                           .measured = true,
                                           .kind = CLOCK_KIND_EMULATED,
                                           .state = SYNC_HOLDOVER,
                                           .verdict = VERDICT_REFERENCE,
                                           .offset_ns = -1200,
                                           .rate_ppb = -0.25,
                                           .freq_ppb = 12345.6789,
                                           .delay_ns = 51000,
                                           .jitter_ns = 1700,
                                           .sd_ns = 320,
                                           .weight = 0.5,
                                           .gate_ns = 1000000,
                                           .gate_ppb = 1000,
                                           .bound_ns = 9000,
                                           .heard_ns = 1100000000,
                                           .refused = 3};
    answers_expect(true, "clocks\n",
                   HEAD "\"gate_ns\":41000,\"gate_ppb\":120.500,\"clocks\":["
                        "{\"name\":\"time1\",\"address\":null,\"own\":true,\"reference\":false,"
                        "\"kind\":\"kernel\",\"state\":\"synchronised\",\"verdict\":\"silent\","
                        "\"why\":\"gave no usable answer in the last round; heard of 0 ns ago\","
                        "\"offset_ns\":null,\"rate_ppb\":null,\"frequency_ppb\":-1.500,"
                        "\"delay_ns\":null,\"jitter_ns\":null,\"sd_ns\":null,\"bound_ns\":null,"
                        "\"weight\":null,\"heard_ns\":0,\"frames_refused\":0},"
                        "{\"name\":\"node2\",\"address\":\"192.0.2.7 port 40112\",\"own\":false,"
                        "\"reference\":true,\"kind\":\"emulated\",\"state\":\"holdover\","
                        "\"verdict\":\"reference\",\"why\":null,\"offset_ns\":-1200,"
                        "\"rate_ppb\":-0.250,\"frequency_ppb\":12345.679,\"delay_ns\":51000,"
                        "\"jitter_ns\":1700,\"sd_ns\":320,\"bound_ns\":9000,\"weight\":0.500,"
                        "\"heard_ns\":1100000000,\"frames_refused\":3}]}\n");
}

/* Nor anything else: the list is empty. */
static void test_no_gates_yet(void **state)
{
    (void)state;
    answers.summary.round = 12;
    answers_expect(true, "clocks\n",
                   HEAD "\"gate_ns\":null,\"gate_ppb\":null,\"clocks\":[]}\n");
}

static void test_of_a_slave(void **state)
{
    (void)state;
    answers.summary.connected = true;
    strcpy(answers.summary.name, "time1");
    answers_expect_error(false, "clocks\n",
                         "this is a slave; the clocks are known to its master, time1");
    answers.summary.connected = false;
    answers_expect_error(false, "clocks\n",
                         "this is a slave, and without its master now; the clocks are known to "
                         "the master");
}

/* --- why --- */

static struct json_object *get(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    assert_true(json_object_object_get_ex(object, key, &value));
    return value;
}

static void expect_gate(int64_t gate_ns)
{
    char *line = answers_ask(true, "clocks\n");
    struct json_object *answer = json_tokener_parse(line);

    assert_non_null(answer);
    assert_int_equal(json_object_get_int64(get(answer, "gate_ns")), gate_ns);
    (void)json_object_put(answer);
    free(line);
}

/* Those that hold for most. */
static void test_the_gates(void **state)
{
    (void)state;
    answers.view_count = 3;
    for (size_t i = 0; i < answers.view_count; i++)
        answers.views[i] = (struct clock_view){
            .name = "x", .reference = true, .gate_ns = 1000000 + (int64_t)i, .gate_ppb = 1};
    expect_gate(1000002);
    answers.views[1].reference = false;
    expect_gate(1000001);
}

static struct json_object *first_clock(struct json_object *answer)
{
    return json_object_array_get_idx(get(answer, "clocks"), 0);
}

/* NULL: none. */
static void expect_why(const struct clock_view *view, const char *expected)
{
    struct json_object *answer;
    char *line;

    answers.view_count = 1;
    answers.views[0] = *view;
    strcpy(answers.views[0].name, "node2");
    line = answers_ask(true, "clocks\n");
    answer = json_tokener_parse(line);
    assert_non_null(answer);
    if (expected)
        assert_string_equal(json_object_get_string(get(first_clock(answer), "why")), expected);
    else
        assert_null(get(first_clock(answer), "why"));
    (void)json_object_put(answer);
    free(line);
}

#define WHY(expected, ...) expect_why(&(const struct clock_view){__VA_ARGS__}, expected)
#define GATES .measured = true, .gate_ns = 41000, .gate_ppb = 100, .sd_ns = 1100000

static void test_why_it_is_excluded(void **state)
{
    (void)state;
    WHY("is 3.2 ms from the group, 41 µs is allowed; left alone for 3 rounds", GATES,
        .verdict = VERDICT_FAR, .offset_ns = -3200000, .suspended = 3);
    WHY("runs 12.5 ppm faster than the group, 100 ppb is allowed; left alone for 1 round", GATES,
        .verdict = VERDICT_FAST, .rate_ppb = 12500, .suspended = 1);
    WHY("is excluded; left alone for 8 rounds", .verdict = VERDICT_FAR, .suspended = 8);
    WHY("was excluded and is 3.2 ms from the group; left alone for 2 more rounds", GATES,
        .verdict = VERDICT_SUSPENDED, .offset_ns = 3200000, .suspended = 2);
    WHY("was excluded; left alone for 1 more round", .verdict = VERDICT_SUSPENDED, .suspended = 1);
}

static void test_why_it_is_not_in_yet(void **state)
{
    (void)state;
    WHY("is not measured yet", GATES, .verdict = VERDICT_NONE);
    WHY("is not judged yet: the group has no time so far, as too few clocks are measured well "
        "enough", .verdict = VERDICT_NONE);
    WHY("is brought in from 3.2 ms away; counts once within 41 µs", GATES,
        .verdict = VERDICT_NEWCOMER, .offset_ns = 3200000, .rate_ppb = 100);
    WHY("is brought in from 3.2 ms away and runs 390 ppm faster; counts once within 41 µs and "
        "100 ppb",
        GATES, .verdict = VERDICT_NEWCOMER, .offset_ns = 3200000, .rate_ppb = 390220);
    WHY("runs 7.13 ppb slower than the group; counts once that is within 3.2 ppb",
        .measured = true, .gate_ns = 41000, .gate_ppb = 3.2, .verdict = VERDICT_NEWCOMER,
        .rate_ppb = -7.13);
    WHY("runs 200 ppb slower than the group; counts once that is within 100 ppb", GATES,
        .verdict = VERDICT_NEWCOMER, .rate_ppb = -200);
    WHY("is being measured; counts once that is exact enough", GATES, .verdict = VERDICT_NEWCOMER,
        .offset_ns = 41000, .rate_ppb = 100);
    WHY("is being measured; counts once that is exact enough", .verdict = VERDICT_NEWCOMER);
}

static void test_why_it_does_not_count(void **state)
{
    (void)state;
    WHY(NULL, GATES, .verdict = VERDICT_COUNTED);
    WHY(NULL, .verdict = VERDICT_REFERENCE);
    WHY("is 3.2 ms from the group, 41 µs is allowed, but known to 1.1 ms only", GATES,
        .verdict = VERDICT_NOISY, .offset_ns = 3200000);
    WHY("runs 200 ppb faster than the group, 100 ppb is allowed, but is measured too badly to be "
        "sure",
        GATES, .verdict = VERDICT_NOISY, .rate_ppb = 200);
    WHY("is measured too badly to count", .verdict = VERDICT_NOISY);
    WHY("gave no usable answer in the last round; heard of 12.5 s ago", .verdict = VERDICT_SILENT,
        .heard_ns = 12500000000);
    WHY("only observes its clock; measured, not counted", .verdict = VERDICT_OBSERVER);
    WHY("the clocks disagree and no majority is near each other; nobody is corrected", GATES,
        .verdict = VERDICT_NO_QUORUM);
}

/* --- a thousand --- */

static void make_clocks(void)
{
    answers.view_count = CLOCKS;
    for (int i = 0; i < CLOCKS; i++) {
        struct clock_view *view = &answers.views[i];

        *view = (struct clock_view){.measured = true,
                                    .own = i == 0,
                                    .kind = CLOCK_KIND_KERNEL,
                                    .state = SYNC_SYNCHRONISED,
                                    .verdict = i % 10 ? VERDICT_COUNTED : VERDICT_FAR,
                                    .offset_ns = i * 1237 - 500000,
                                    .rate_ppb = i / 7.0,
                                    .freq_ppb = -12345.678 + i,
                                    .delay_ns = 150000 + i,
                                    .jitter_ns = 20000 + i,
                                    .sd_ns = 900,
                                    .weight = 0.001,
                                    .gate_ns = 41000,
                                    .bound_ns = 41000 + i,
                                    .heard_ns = 400000000 + i};
        (void)snprintf(view->name, sizeof view->name, "node%04d.rack7.example.net", i);
        (void)snprintf(view->address, sizeof view->address, "192.0.2.%d port %d", i % 256, 30000 + i);
    }
}

/* Of work, not of waiting. */
static double seconds(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The longest turn of the loop, which is what everybody else waits for. */
static double longest_turn(void)
{
    int fd = control_begin(&answers.side, "clocks\n");
    double longest_s = 0, begun_s;
    char bytes[65536];
    ssize_t n;

    do {
        begun_s = seconds();
        assert_true(sd_event_run(answers.side.loop, 10000) >= 0);
        longest_s = fmax(longest_s, seconds() - begun_s);
        n = recv(fd, bytes, sizeof bytes, 0);
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    close(fd);
    return longest_s;
}

static void test_a_thousand(void **state)
{
    struct daemon_control *control;
    struct json_object *answer;
    double best_s = HUGE_VAL;
    size_t length;
    char *line;

    (void)state;
    make_clocks();
    line = answers_ask(true, "clocks\n");
    length = strlen(line);
    answer = json_tokener_parse(line);
    assert_int_equal(json_object_array_length(get(answer, "clocks")), CLOCKS);
    assert_int_equal(json_object_get_int64(get(first_clock(answer), "offset_ns")), -500000);
    (void)json_object_put(answer);
    free(line);
    control = answers_open(true);
    assert_non_null(control);
    for (int run = 0; run < RUNS; run++)
        best_s = fmin(best_s, longest_turn());
    daemon_control_close(control);
    print_message("%d clocks: %zu bytes, %.2f ms in the longest turn of the loop\n", CLOCKS, length,
                  best_s * 1e3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_field, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_no_gates_yet, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_the_gates, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_of_a_slave, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_why_it_is_excluded, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_why_it_is_not_in_yet, answers_setup, answers_teardown),
        cmocka_unit_test_setup_teardown(test_why_it_does_not_count, answers_setup,
                                        answers_teardown),
        cmocka_unit_test_setup_teardown(test_a_thousand, answers_setup, answers_teardown),
    };

    journal_open(LOG_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

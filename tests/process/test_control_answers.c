/* SPDX-License-Identifier: BSD-2-Clause */
/* What real daemons answer on their control sockets, against what is known of them otherwise. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "setup.h"

#define SECONDS 30
#define NODES 3 /* time1, the master, and two slaves */
#define ANSWER_SIZE 65536
#define EMULATION_NS 1000000 /* a reading of the clocks from outside, and more */

static const char *const names[NODES] = {"time1", "node1", "node2"};
static const char *const offsets[NODES] = {"0 s", "12 ms", "-30 ms"};
static struct process *processes[NODES];
static struct clocks *truth;

static void start(struct harness *harness, size_t n, uint16_t port)
{
    const char *config = setup_config(harness, names[n], port);
    char override[256];

    (void)snprintf(override, sizeof override, "emulated: { offset = \"%s\"; };\n", offsets[n]);
    setup_override(harness, config, override);
    processes[n] = process_start(harness, n ? "--slave" : "--master", "-c", config, NULL);
}

static void start_group(struct harness *harness)
{
    const char *paths[NODES];
    uint16_t port = harness_port();

    for (size_t n = 0; n < NODES; n++) {
        start(harness, n, port);
        paths[n] = harness_path(harness, "%s.clock", names[n]);
    }
    truth = clocks_open(harness, paths, NODES, SECONDS);
    assert_non_null(truth);
    for (size_t n = 0; n < NODES; n++)
        assert_true(process_wait_line(processes[n], "Synchronised", SECONDS));
}

static void stop_group(void)
{
    for (size_t n = NODES; n-- > 0;)
        assert_int_equal(process_stop(processes[n]), 0);
}

/* --- asking --- */

static int dial(struct harness *harness, size_t n)
{
    const struct timeval patience = {.tv_sec = SECONDS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s",
                   harness_path(harness, "%s.control", names[n]));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The caller's to put. */
static struct json_object *ask(struct harness *harness, size_t n, const char *question)
{
    char answer[ANSWER_SIZE];
    struct json_object *object;
    size_t length = 0;
    int fd = dial(harness, n);
    ssize_t got;

    assert_int_equal(dprintf(fd, "%s\n", question), strlen(question) + 1);
    while ((got = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0)
        length += (size_t)got;
    assert_int_equal(got, 0);
    close(fd);
    answer[length] = '\0';
    object = json_tokener_parse(answer);
    if (!json_object_is_type(object, json_type_object))
        fail_msg("%s: %s", question, answer);
    return object;
}

static struct json_object *get(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, key, &value))
        fail_msg("no %s in %s", key, json_object_to_json_string(object));
    return value;
}

static int64_t number(struct json_object *object, const char *key)
{
    struct json_object *value = get(object, key);

    if (!json_object_is_type(value, json_type_int))
        fail_msg("%s is not known: %s", key, json_object_to_json_string(object));
    return json_object_get_int64(value);
}

static const char *text(struct json_object *object, const char *key)
{
    return json_object_get_string(get(object, key));
}

static void expect_error(struct harness *harness, size_t n, const char *question,
                         const char *sentence)
{
    struct json_object *answer = ask(harness, n, question);

    assert_string_equal(text(answer, "error"), sentence);
    assert_int_equal(json_object_object_length(answer), 1);
    (void)json_object_put(answer);
}

static int64_t ask_number(struct harness *harness, size_t n, const char *question, const char *part,
                          const char *key)
{
    struct json_object *answer = ask(harness, n, question);
    int64_t value = number(part ? get(answer, part) : answer, key);

    (void)json_object_put(answer);
    return value;
}

/* The clocks, once all were measured in the last round, as a busy machine may delay any. */
static struct json_object *ask_clocks(struct harness *harness)
{
    int64_t deadline = harness_deadline(SECONDS);
    struct json_object *answer;
    size_t measured;

    for (;;) {
        answer = ask(harness, 0, "clocks");
        measured = 0;
        for (size_t i = 0; i < json_object_array_length(get(answer, "clocks")); i++)
            measured += get(json_object_array_get_idx(get(answer, "clocks"), i), "sd_ns") != NULL;
        if (measured == NODES)
            return answer;
        (void)json_object_put(answer);
        assert_true(harness_wait(harness, deadline));
    }
}

static void wait_rounds(struct harness *harness, size_t n, int64_t more)
{
    int64_t deadline = harness_deadline(SECONDS);
    int64_t until = ask_number(harness, n, "status", NULL, "round") + more;

    while (ask_number(harness, n, "status", NULL, "round") < until)
        assert_true(harness_wait(harness, deadline));
}

/* --- clocks --- */

static void expect_clock(struct json_object *clock, size_t n)
{
    const bool own = n == 0;

    assert_string_equal(text(clock, "name"), names[n]);
    assert_int_equal(json_object_get_boolean(get(clock, "own")), own);
    assert_string_equal(text(clock, "kind"), "emulated");
    assert_string_equal(text(clock, "state"), "synchronised");
    if (own)
        assert_null(get(clock, "address"));
    else
        assert_int_equal(strncmp(text(clock, "address"), "127.0.0.1 port ", 15), 0);
    assert_true(number(clock, "sd_ns") > 0);
    assert_true(number(clock, "bound_ns") >= llabs(number(clock, "offset_ns")));
    assert_true(number(clock, "bound_ns") < NODES * INT64_C(1000000000));
    assert_int_equal(number(clock, "delay_ns") > 0, !own);
    assert_int_equal(number(clock, "heard_ns") > 0, !own);
    assert_true(number(clock, "heard_ns") < SECONDS * INT64_C(1000000000));
    assert_int_equal(number(clock, "frames_refused"), 0);
}

/* Those that are counted in this round, as a busy machine may delay any. */
static double counted_weight(struct json_object *clock, int64_t gate_ns)
{
    const bool counted = strcmp(text(clock, "verdict"), "counted") == 0;
    double weight = json_object_get_double(get(clock, "weight"));

    assert_int_equal(get(clock, "why") == NULL, counted);
    if (counted) {
        assert_true(llabs(number(clock, "offset_ns")) <= gate_ns);
        assert_true(weight > 0);
    }
    return weight;
}

static void test_clocks(void **state)
{
    struct json_object *answer, *list, *second;
    double weights = 0;
    size_t swapped;

    start_group(*state);
    /* Both have been measured and have reported by then. */
    wait_rounds(*state, 0, 4);
    answer = ask_clocks(*state);
    list = get(answer, "clocks");
    assert_string_equal(text(answer, "role"), "master");
    assert_string_equal(text(answer, "name"), "time1");
    assert_true(number(answer, "round") > 4);
    assert_int_equal(json_object_array_length(list), NODES);
    second = json_object_array_get_idx(list, 1);
    swapped = strcmp(text(second, "name"), "node2") == 0;
    for (size_t i = 0; i < NODES; i++) {
        struct json_object *clock = json_object_array_get_idx(list, i);

        expect_clock(clock, i == 0 || !swapped ? i : NODES - i);
        weights += counted_weight(clock, number(answer, "gate_ns"));
    }
    assert_true(weights > 0.99 && weights < 1.01);
    (void)json_object_put(answer);
    expect_error(*state, 1, "clocks",
                 "this is a slave; the clocks are known to its master, time1");
    stop_group();
}

/* --- rounds --- */

/* A busy machine may delay any answer, and a slave that did not answer gets no correction. */
static void expect_order(struct json_object *list, size_t length, bool master)
{
    struct json_object *before = NULL;

    assert_int_equal(json_object_array_length(list), length);
    for (size_t i = 0; i < length; i++) {
        struct json_object *round = json_object_array_get_idx(list, i);

        if (before) {
            if (master)
                assert_int_equal(number(round, "round"), number(before, "round") + 1);
            else
                assert_true(number(round, "round") > number(before, "round"));
            assert_true(number(round, "time_ns") > number(before, "time_ns"));
        }
        assert_in_range(number(round, "present"), 1, NODES);
        assert_in_range(number(round, "counted"), 1, NODES);
        assert_true(number(round, "bound_ns") > 0);
        assert_int_equal(json_object_object_get_ex(round, "spread_ns", NULL), master);
        if (master) {
            assert_int_equal(number(round, "excluded"), 0);
            assert_true(number(round, "spread_ns") > 0);
            assert_in_range(number(round, "duration_ns"), 1, SECONDS * INT64_C(1000000000));
        }
        before = round;
    }
}

static void test_rounds(void **state)
{
    struct json_object *answer, *list;
    int64_t first, tallied;

    start_group(*state);
    wait_rounds(*state, 0, 5);
    wait_rounds(*state, 1, 5);
    for (size_t n = 0; n < NODES - 1; n++) {
        tallied = ask_number(*state, n, "counters", "events", "rounds");
        answer = ask(*state, n, "rounds 4");
        list = get(answer, "rounds");
        expect_order(list, 4, n == 0);
        first = number(json_object_array_get_idx(list, 0), "round");
        assert_true(tallied >= 4);
        (void)json_object_put(answer);
        wait_rounds(*state, n, 2);
        assert_true(ask_number(*state, n, "counters", "events", "rounds") >= tallied + 1);
        answer = ask(*state, n, "rounds 1");
        assert_true(number(json_object_array_get_idx(get(answer, "rounds"), 0), "round") >=
                    first + 4);
        (void)json_object_put(answer);
    }
    stop_group();
}

/* --- now --- */

/* The clock's own time lies between two looks at it, and the group's within the bounds. */
static void expect_now(struct harness *harness, size_t n)
{
    int64_t before[NODES], after[NODES], bound_ns, time_ns, mean_before = 0, mean_after = 0;
    struct json_object *answer;

    clocks_read(truth, before);
    answer = ask(harness, n, "now");
    clocks_read(truth, after);
    time_ns = number(answer, "time_ns");
    bound_ns = number(answer, "bound_ns");
    assert_true(time_ns >= before[n] - EMULATION_NS && time_ns <= after[n] + EMULATION_NS);
    assert_int_equal(number(answer, "earliest_ns"), time_ns - bound_ns);
    assert_int_equal(number(answer, "latest_ns"), time_ns + bound_ns);
    for (size_t i = 0; i < NODES; i++) {
        mean_before += (before[i] - before[0]) / NODES;
        mean_after += (after[i] - after[0]) / NODES;
    }
    assert_true(number(answer, "earliest_ns") <= after[0] + mean_after);
    assert_true(number(answer, "latest_ns") >= before[0] + mean_before);
    (void)json_object_put(answer);
}

static void test_now(void **state)
{
    struct json_object *answer;

    start_group(*state);
    for (int i = 0; i < 20; i++) {
        expect_now(*state, (size_t)i % NODES);
        wait_rounds(*state, 0, 1);
    }
    answer = ask(*state, 1, "now");
    assert_string_equal(text(answer, "state"), "synchronised");
    assert_true(number(answer, "bound_ns") < 100000000);
    (void)json_object_put(answer);
    stop_group();
}

/* One without a master knows its own clock, and no bounds. */
static void test_now_alone(void **state)
{
    struct json_object *answer;

    start(*state, 1, harness_port());
    assert_true(process_wait_line(processes[1], "Cannot reach the master", SECONDS));
    answer = ask(*state, 1, "now");
    assert_string_equal(text(answer, "state"), "unsynchronised");
    assert_true(number(answer, "time_ns") > 0);
    assert_null(get(answer, "earliest_ns"));
    assert_null(get(answer, "latest_ns"));
    assert_null(get(answer, "bound_ns"));
    (void)json_object_put(answer);
    expect_error(*state, 1, "clocks",
                 "this is a slave, and without its master now; the clocks are known to the master");
    assert_int_equal(process_stop(processes[1]), 0);
}

/* --- trace --- */

static void trace(struct harness *harness, const char *question, bool on)
{
    struct json_object *answer = ask(harness, 0, question);

    assert_int_equal(json_object_get_boolean(get(answer, "trace")), on);
    (void)json_object_put(answer);
    answer = ask(harness, 0, "status");
    assert_int_equal(json_object_get_boolean(get(answer, "trace")), on);
    (void)json_object_put(answer);
}

static void test_trace(void **state)
{
    struct process *master;
    size_t silent;

    start_group(*state);
    master = processes[0];
    wait_rounds(*state, 0, 2);
    assert_int_equal(process_count_lines(master, "Round "), 0);
    trace(*state, "trace on", true);
    trace(*state, "trace on", true);
    assert_int_equal(process_count_lines(master, "Every round is logged from now on"), 1);
    assert_true(process_wait_line(master, "Round [0-9]+: [0-9] of 3 clocks counted", SECONDS));
    process_signal(master, SIGHUP);
    assert_true(process_wait_line(master, "Configuration reloaded", SECONDS));
    process_mark(master);
    assert_true(process_wait_line(master, "Round [0-9]+: ", SECONDS));
    trace(*state, "trace off", false);
    assert_int_equal(process_count_lines(master, "No longer every round is logged"), 1);
    silent = setup_said(master);
    wait_rounds(*state, 0, 3);
    assert_int_equal(setup_rounds(master, silent).count, 0);
    stop_group();
}

/* --- status and counters --- */

static void test_history(void **state)
{
    struct json_object *status;

    start_group(*state);
    wait_rounds(*state, 1, 3);
    for (size_t n = 0; n < NODES; n++) {
        status = ask(*state, n, "status");
        assert_true(number(status, "uptime_s") >= number(status, "state_since_s"));
        assert_in_range(number(status, "uptime_s"), 1, 10 * SECONDS);
        assert_in_range(number(status, "correction_age_s"), 0, 10);
        assert_true(llabs(number(status, "correction_ns")) < INT64_C(1000000000));
        assert_true(number(status, "bound_ns") >= number(status, "bound_asymmetry_ns"));
        assert_string_equal(text(status, "clock"), "emulated");
        assert_true(json_object_get_boolean(get(status, "adjusts")));
        (void)json_object_put(status);
    }
    assert_int_equal(ask_number(*state, 0, "counters", "events", "slaves_joined"), 2);
    assert_int_equal(ask_number(*state, 1, "counters", "events", "masters_found"), 1);
    assert_int_equal(process_stop(processes[2]), 0);
    assert_true(process_wait_line(processes[0], "Slave node2 left", SECONDS));
    assert_int_equal(ask_number(*state, 0, "counters", "events", "slaves_left"), 1);
    assert_int_equal(process_stop(processes[0]), 0);
    assert_true(process_wait_line(processes[1], "Master time1 is gone", SECONDS));
    assert_int_equal(ask_number(*state, 1, "counters", "events", "masters_lost"), 1);
    assert_true(process_wait_line(processes[1], "Holdover: ", SECONDS));
    assert_true(ask_number(*state, 1, "counters", "events", "holdovers") >= 1);
    assert_int_equal(process_stop(processes[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clocks, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_rounds, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_now, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_now_alone, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_trace, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_history, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

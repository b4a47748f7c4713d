/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulator's scenario files: what is read, and what is refused with which line. */
#include "../unit/config_fixture.h"

#include "scenario.h"

#include <dirent.h>
#include <fnmatch.h>

#define SCENARIOS "tests/sim/scenarios"

static int load(const struct fixture *fixture, const char *text, struct scenario *scenario,
                char *error)
{
    write_beside(fixture, "b.conf", text);
    return scenario_load(fixture->path, scenario, error);
}

static void loaded(const struct fixture *fixture, const char *text, struct scenario *scenario)
{
    char error[SCENARIO_ERROR_SIZE] = "";

    if (load(fixture, text, scenario, error) != 0)
        fail_msg("%s", error);
}

/* The line behind the directory's name; *scenario stays as it was. */
static void refused(const struct fixture *fixture, const char *text, const char *line)
{
    char expected[SCENARIO_ERROR_SIZE + 64], error[SCENARIO_ERROR_SIZE] = "";
    static struct scenario scenario, before;

    memset(&before, 0x5a, sizeof(before));
    memset(&scenario, 0x5a, sizeof(scenario));
    assert_int_equal(load(fixture, text, &scenario, error), -EINVAL);
    (void)snprintf(expected, sizeof(expected), "%s/b.conf:%s", fixture->directory, line);
    assert_string_equal(error, expected);
    assert_memory_equal(&scenario, &before, sizeof(scenario));
}

static void every_value_arrives(void **state)
{
    struct scenario s;

    loaded(*state,
           "about = \"What.\"; nodes = 7; length = \"100 s\"; settle = \"10 s\";\n"
           "interval = \"6 s\"; exchanges = 1; fault = true;\n"
           "clock: { offset = \"1 ms\"; frequency_ppm = 2.5; wander = 1e-8;\n"
           "  noise = \"30 ns\"; offsets = [\"5 ms\", \"-2 us\"];\n"
           "  frequencies_ppm = [1.0, -2.5, 0.0]; };\n"
           "limits: { max_slew_ppm = 100; initial_slew_ppm = 1000;\n"
           "  asymmetry_max = \"0 ns\"; };\n"
           "events: ( { at = \"50 s\"; what = \"lie\"; nodes = [1, 2]; by = \"-10 ms\";\n"
           "            for = \"5 s\"; },\n"
           "          { at = \"60 s\"; what = \"restart\"; node = 0; for = \"2 s\"; known = false; },\n"
           "          { at = \"70 s\"; what = \"frequency\"; nodes = \"slaves\"; by_ppm = -3; } );\n"
           "expect: { spread = \"5 us\"; overshoot = 0.05; excluded = [1, 2]; in_at_end = 5;\n"
           "  nobody_excluded = true; };\n",
           &s);
    assert_string_equal(s.name, "b");
    assert_string_equal(s.about, "What.");
    assert_int_equal(s.nodes, 7);
    assert_int_equal(s.length_ns, 100000000000);
    assert_int_equal(s.settle_ns, 10000000000);
    assert_int_equal(s.interval_ns, 6000000000);
    assert_int_equal(s.exchanges, 1);
    assert_true(s.fault);
    assert_int_equal(s.clock.offset_ns, 1000000);
    assert_true(s.clock.frequency_ppm > 2.49 && s.clock.frequency_ppm < 2.51);
    assert_true(s.clock.wander > 0.99e-8 && s.clock.wander < 1.01e-8);
    assert_int_equal(s.clock.noise_ns, 30);
    assert_int_equal(s.clock.offsets_ns.count, 2);
    assert_int_equal(s.clock.offsets_ns.values[0], 5000000);
    assert_int_equal(s.clock.offsets_ns.values[1], -2000);
    assert_int_equal(s.clock.frequencies_ppm.count, 3);
    assert_int_equal(s.clock.frequencies_ppm.values[1] * 10, -25);
    assert_true(s.max_slew_ppm > 99 && s.max_slew_ppm < 101);
    assert_true(s.initial_slew_ppm > 999 && s.initial_slew_ppm < 1001);
    assert_int_equal(s.asymmetry_max_ns, 0);
    assert_int_equal(s.event_count, 3);
    assert_int_equal(s.events[0].what, SCENARIO_LIE);
    assert_int_equal(s.events[0].first, 1);
    assert_int_equal(s.events[0].last, 2);
    assert_int_equal(s.events[0].by_ns, -10000000);
    assert_int_equal(s.events[0].length_ns, 5000000000);
    assert_int_equal(s.events[1].first, 0);
    assert_int_equal(s.events[1].last, 0);
    assert_false(s.events[1].known);
    assert_int_equal(s.events[2].first, SCENARIO_ALL);
    assert_true(s.events[2].by_ppm > -3.1 && s.events[2].by_ppm < -2.9);
    assert_int_equal(s.expect.spread_ns, 5000);
    assert_int_equal(s.expect.worst_ns, -1);
    assert_true(s.expect.overshoot > 0.049 && s.expect.overshoot < 0.051);
    assert_int_equal(s.expect.excluded[0], 1);
    assert_int_equal(s.expect.excluded[1], 2);
    assert_int_equal(s.expect.excluded[2], -1);
    assert_int_equal(s.expect.in_at_end, 5);
    assert_true(s.expect.nobody_excluded);
}

static void an_empty_file_is_a_group_of_five(void **state)
{
    struct scenario s;

    loaded(*state, "", &s);
    assert_int_equal(s.nodes, 5);
    assert_int_equal(s.interval_ns, 4000000000);
    assert_int_equal(s.exchanges, 4);
    assert_int_equal(s.asymmetry_max_ns, -1);
    assert_int_equal(s.event_count, 0);
    assert_int_equal(s.expect.spread_ns, -1);
    assert_int_equal(s.expect.excluded[0], -1);
    assert_false(s.fault);
}

static void one_direction_wins_over_both(void **state)
{
    struct scenario s;

    loaded(*state,
           "path: { up: { queue = \"200 us\"; }; base = \"1 ms\"; queue = \"20 us\";\n"
           "  down: { stall_chance = 0.01; stall = \"200 ms\"; }; turnaround = \"7 us\";\n"
           "  seal = \"30 us\"; seal_jitter = \"10 us\"; wake = \"5 us\"; own_stamps = true; };",
           &s);
    assert_int_equal(s.path.up.base_ns, 1000000);
    assert_int_equal(s.path.down.base_ns, 1000000);
    assert_int_equal(s.path.up.queue_ns, 200000);
    assert_int_equal(s.path.down.queue_ns, 20000);
    assert_int_equal(s.path.up.stall_ns, 0);
    assert_int_equal(s.path.down.stall_ns, 200000000);
    assert_int_equal(s.path.turnaround_ns, 7000);
    assert_int_equal(s.path.seal_ns, 30000);
    assert_int_equal(s.path.seal_jitter_ns, 10000);
    assert_int_equal(s.path.wake_ns, 5000);
    assert_true(s.path.own_stamps);
    assert_false(s.path.inside);
}

#define EVENT(keys) "events: (\n{ " keys " } );"
#define NODES "node = 0 (the master) to 63, nodes = [FIRST, LAST] or \"slaves\""

static const struct wrong {
    const char *text, *line;
} wrongs[] = {
    {"nodes = 5;\nintervall = \"4 s\";",
     "2: intervall: found an unknown key; allowed is one of about, nodes, length, settle, "
     "interval, exchanges, fault, clock, path, limits, events, expect"},
    {"clock: { drift = 1; };", "1: clock.drift: found an unknown key; allowed is one of offset, "
                               "frequency_ppm, wander, noise, offsets, frequencies_ppm"},
    {"path: { up: { turnaround = \"1 s\"; }; };",
     "1: path.up.turnaround: found an unknown key; allowed is one of base, queue, stall_chance, "
     "stall, burst_chance, burst, burst_queue"},
    {"clock = 3;", "1: clock: found 3; allowed is a group { ... }"},
    {"interval = \"4 sec\";", "1: interval: found \"4 sec\", which is not a number and one of ns, "
                              "us, ms, s, min, h, d; allowed is a duration from \"500 ms\" to "
                              "\"1 h\""},
    {"interval = 4;", "1: interval: found 4 without quotes and a unit; allowed is a duration from "
                      "\"500 ms\" to \"1 h\""},
    {"interval = \"2 h\";",
     "1: interval: found \"2 h\"; allowed is a duration from \"500 ms\" to \"1 h\""},
    {"nodes = 65;", "1: nodes: found 65; allowed is an integer from 2 to 64"},
    {"nodes = 4294967301;", "1: nodes: found 4294967301; allowed is an integer from 2 to 64"},
    {"fault = 1;", "1: fault: found 1; allowed is true or false"},
    {"about = 1;", "1: about: found 1; allowed is a text of 1 to 255 characters"},
    {"clock: { wander = 1e400; };",
     "1: clock.wander: found inf; allowed is a number from 0 to 1e-05"},
    {"clock: { wander = nan; };", "1: found a syntax error here or before; allowed is NAME = "
                                  "VALUE; each name once, and GROUP: { ... };"},
    {"clock: { offsets = [5, 6]; };",
     "1: clock.offsets: found a list; allowed is a list [ ... ] of up to 64 durations up to "
     "\"1 d\""},
    {"clock: { frequencies_ppm = 5; };",
     "1: clock.frequencies_ppm: found 5; allowed is a list [ ... ] of up to 64 numbers from -10000 "
     "to 10000"},
    {"path: { stall_chance = 1.5; };",
     "1: path.stall_chance: found 1.5; allowed is a number from 0 to 0.9"},
    {"length = \"100 s\"; settle = \"200 s\";",
     " settle: found \"200 s\"; allowed is less than the run's length"},
    {"expect: { excluded = 3; };",
     "1: expect.excluded: found 3; allowed is a list [ ... ] of nodes from 0 to 63"},
    {"expect: { excluded = [5]; };", " expect.excluded: found node 5; allowed is up to 4"},
    {"expect: { in_at_end = 6; };",
     " expect.in_at_end: found 6; allowed is up to the number of nodes, 5"},
    {"events = 3;", "1: events: found 3; allowed is a list ( { ... }, { ... } )"},
    {"events: ( 3 );", "1: events[0]: found 3; allowed is a group { ... }"},
    {EVENT("at = \"9 s\"; what = \"explode\"; node = 1;"),
     "2: events[0].what: found \"explode\"; allowed is \"step\", \"frequency\", \"stuck\", "
     "\"lie\", \"random_lie\", \"start\", \"stop\", \"kill\", \"restart\", \"partition\", \"break\", "
     "\"suspend\", \"deaf\", \"path\""},
    {EVENT("what = \"stop\"; node = 1;"),
     "2: events[0].at: found a group without it; allowed is a stop with at"},
    {EVENT("at = \"9 s\"; what = \"step\"; node = 1;"),
     "2: events[0].by: found a group without it; allowed is a step with by"},
    {EVENT("at = \"9 s\"; what = \"stop\"; node = 1; by = \"1 s\";"),
     "2: events[0].by: found \"1 s\"; allowed is a stop without by"},
    {EVENT("at = \"9 s\"; what = \"stop\";"),
     "2: events[0].node: found a group without it; allowed is " NODES},
    {EVENT("at = \"9 s\"; what = \"stop\"; node = -1;"),
     "2: events[0].node: found -1; allowed is " NODES},
    {EVENT("at = \"9 s\"; what = \"stop\"; nodes = [3, 1];"),
     "2: events[0].nodes: found a list; allowed is " NODES},
    {EVENT("at = \"9 s\"; what = \"stop\"; node = 1; nodes = [1, 2];"),
     "2: events[0].nodes: found 1 beside nodes; allowed is " NODES},
    {EVENT("at = \"9 s\"; what = \"stop\"; node = 5;"),
     " events[0].node: found node 5; allowed is up to 4: 5 nodes"},
    {EVENT("at = \"1 h\"; what = \"stop\"; node = 1;"),
     " events[0].at: found \"1 h\"; allowed is a time before the run's length"},
};

static void what_is_wrong_is_named(void **state)
{
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
        refused(*state, wrongs[i].text, wrongs[i].line);
}

static void write_events(char *text, size_t size, int count)
{
    FILE *out = fmemopen(text, size, "w");

    assert_non_null(out);
    for (int i = 0; i < count; i++)
        (void)fprintf(out, "%s{ at = \"9 s\"; what = \"stop\"; node = 1; }",
                      i == 0 ? "events: (" : ",");
    (void)fprintf(out, ");");
    assert_int_equal(fclose(out), 0);
}

/* As many events as there is room for, and one more. */
static void too_many_events(void **state)
{
    char text[4096];
    struct scenario s;

    write_events(text, sizeof(text), SCENARIO_EVENTS_MAX);
    loaded(*state, text, &s);
    assert_int_equal(s.event_count, SCENARIO_EVENTS_MAX);
    write_events(text, sizeof(text), SCENARIO_EVENTS_MAX + 1);
    refused(*state, text, "1: events: found a list of 33; allowed is a list of up to 32 events");
}

static void a_missing_file_is_told_apart(void **state)
{
    char error[SCENARIO_ERROR_SIZE] = "";
    struct scenario s;

    (void)state;
    assert_int_equal(scenario_load("/nonexistent/a.conf", &s, error), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent/a.conf: found no such file"));
}

static void the_command_line_sets_anew(void **state)
{
    char error[SCENARIO_ERROR_SIZE] = "";
    struct scenario s;

    loaded(*state, "path: { queue = \"1 ms\"; };", &s);
    assert_int_equal(scenario_set(&s, "clock.wander=1e-8", error), 0);
    assert_int_equal(scenario_set(&s, "interval=6 s", error), 0);
    assert_int_equal(scenario_set(&s, "nodes=9", error), 0);
    assert_int_equal(scenario_set(&s, "path.up.queue=2 ms", error), 0);
    assert_true(s.clock.wander > 0.99e-8 && s.clock.wander < 1.01e-8);
    assert_int_equal(s.interval_ns, 6000000000);
    assert_int_equal(s.nodes, 9);
    assert_int_equal(s.path.up.queue_ns, 2000000);
    assert_int_equal(s.path.down.queue_ns, 1000000);
    assert_int_equal(scenario_set(&s, "clock.offsets=[\"1 s\", \"-1 s\"]", error), 0);
    assert_int_equal(s.clock.offsets_ns.count, 2);
    assert_int_equal(scenario_set(&s, "nodes=4294967301", error), -EINVAL);
    assert_string_equal(error, "nodes=4294967301: nodes: found 4294967301; allowed is an integer "
                               "from 2 to 64");
    assert_int_equal(scenario_set(&s, "nodes", error), -EINVAL);
    assert_int_equal(scenario_set(&s, "colour=1", error), -EINVAL);
    assert_int_equal(s.nodes, 9);
}

static void good_clocks_are_those_no_fault_makes_wrong(void **state)
{
    struct scenario s;

    loaded(*state,
           "events: ( { at = \"1 s\"; what = \"lie\"; nodes = [1, 2]; by = \"1 s\"; },\n"
           "  { at = \"1 s\"; what = \"partition\"; nodes = \"slaves\"; for = \"1 s\"; },\n"
           "  { at = \"1 s\"; what = \"restart\"; node = 3; for = \"1 s\"; },\n"
           "  { at = \"1 s\"; what = \"restart\"; node = 0; for = \"1 s\"; by = \"1 ms\"; } );",
           &s);
    assert_false(scenario_is_good(&s, 0));
    assert_false(scenario_is_good(&s, 1));
    assert_false(scenario_is_good(&s, 2));
    assert_true(scenario_is_good(&s, 3));
    assert_true(scenario_is_good(&s, 4));
}

static int is_scenario(const struct dirent *entry)
{
    return fnmatch("*.conf", entry->d_name, 0) == 0;
}

static void all_scenarios_there_are_load(void **state)
{
    struct dirent **entries;
    const int count = scandir(SCENARIOS, &entries, is_scenario, alphasort);

    (void)state;
    assert_true(count >= 20);
    for (int i = 0; i < count; i++) {
        char path[512], error[SCENARIO_ERROR_SIZE];
        struct scenario s;

        (void)snprintf(path, sizeof(path), "%s/%s", SCENARIOS, entries[i]->d_name);
        if (scenario_load(path, &s, error) != 0)
            fail_msg("%s", error);
        assert_true(s.about[0] != '\0');
        free(entries[i]);
    }
    free(entries);
}

int main(void)
{
#define FILED(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        FILED(every_value_arrives),
        FILED(an_empty_file_is_a_group_of_five),
        FILED(one_direction_wins_over_both),
        FILED(what_is_wrong_is_named),
        FILED(too_many_events),
        FILED(the_command_line_sets_anew),
        FILED(good_clocks_are_those_no_fault_makes_wrong),
        cmocka_unit_test(a_missing_file_is_told_apart),
        cmocka_unit_test(all_scenarios_there_are_load),
    };

    return cmocka_run_group_tests_name("sim scenario", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What Prometheus is told: each name, its form, and that what is not known is not told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "daemon/metrics.h"
#include "exposition.h"

#define CLOCKS_MAX 10000

static struct summary summary;
static struct transport_counters counters;
static struct chronicle_tally tally;
static struct clock_view *clocks;
static struct metrics_input input;
static struct metrics_text text;
static char *told; /* with a NUL */
static int context;

static bool on_view(void *pointer, size_t i, struct clock_view *view)
{
    assert_ptr_equal(pointer, &context);
    assert_true(i < input.views);
    if (!clocks[i].name[0])
        return false;
    *view = clocks[i];
    return true;
}

static int setup(void **state)
{
    (void)state;
    summary = (struct summary){.bound_ns = INT64_MAX};
    counters = (struct transport_counters){0};
    tally = (struct chronicle_tally){0};
    clocks = calloc(CLOCKS_MAX, sizeof *clocks);
    assert_non_null(clocks);
    input = (struct metrics_input){.name = "node1",
                                   .group = "lab",
                                   .version = "1.2.3",
                                   .summary = &summary,
                                   .counters = &counters,
                                   .tally = &tally,
                                   .view = on_view,
                                   .context = &context};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_text_free(&text);
    free(clocks);
    free(told);
    told = NULL;
    return 0;
}

static void tell(void)
{
    char fault[EXPOSITION_FAULT_SIZE];

    assert_int_equal(metrics_write(&input, &text), 0);
    free(told);
    told = strndup(text.bytes, text.length);
    assert_non_null(told);
    assert_int_equal(strlen(told), text.length);
    if (!exposition_valid(told, fault))
        fail_msg("%s", fault);
}

static void expect(const char *series, const char *value)
{
    const char *is = exposition_value(told, series);

    if (!is)
        fail_msg("there is no %s", series);
    assert_string_equal(is, value);
}

/* Neither samples nor HELP nor TYPE. */
static void expect_absent(const char *name)
{
    char part[128];

    for (size_t i = 0; i < 3; i++) {
        static const char ends[] = " {\n";

        (void)snprintf(part, sizeof part, "%s%c", name, ends[i]);
        if (strstr(told, part))
            fail_msg("there is %s", name);
    }
}

static void test_a_master(void **state)
{
    (void)state;
    input.master = true;
    input.start_ns = INT64_C(1700000000123456789);
    input.corrected = true;
    input.correction_ns = -20;
    summary = (struct summary){.offset_ns = -3100,
                               .slew_left_ns = -1,
                               .bound_ns = INT64_C(1000000000),
                               .asymmetry_ns = 41000,
                               .spread_ns = 123456789012,
                               .freq_ppb = -12345.678901,
                               .state = SYNC_HOLDOVER,
                               .counted = 11,
                               .present = 12,
                               .slaves = 13,
                               .verdict = VERDICT_FAR};
    tell();
    expect("berkeley_build_info{version=\"1.2.3\",role=\"master\",group=\"lab\",name=\"node1\"}",
           "1");
    expect("berkeley_start_time_seconds", "1700000000.123456789");
    expect("berkeley_offset_seconds", "-0.0000031");
    expect("berkeley_slew_left_seconds", "-0.000000001");
    expect("berkeley_bound_seconds", "1");
    expect("berkeley_bound_asymmetry_seconds", "0.000041");
    expect("berkeley_correction_seconds", "-0.00000002");
    expect("berkeley_frequency_correction_ratio", "-0.000012345678901");
    expect("berkeley_counted_clocks", "11");
    expect("berkeley_present_clocks", "12");
    expect("berkeley_slaves", "13");
    expect("berkeley_spread_seconds", "123.456789012");
    expect("berkeley_state{state=\"unsynchronised\"}", "0");
    expect("berkeley_state{state=\"synchronised\"}", "0");
    expect("berkeley_state{state=\"holdover\"}", "1");
    expect("berkeley_verdict{verdict=\"far\"}", "1");
    expect("berkeley_verdict{verdict=\"counted\"}", "0");
    expect_absent("berkeley_connected");
    expect_absent("berkeley_masters_lost_total");
    expect_absent("berkeley_metrics_files_unwritten_total");
}

static void test_a_slave(void **state)
{
    (void)state;
    summary.connected = true;
    summary.spread_ns = 5;
    summary.counted = 2;
    input.views = 3;
    clocks[0] = (struct clock_view){.name = "a"};
    tell();
    expect("berkeley_build_info{version=\"1.2.3\",role=\"slave\",group=\"lab\",name=\"node1\"}",
           "1");
    expect("berkeley_connected", "1");
    expect("berkeley_masters_lost_total", "0");
    expect_absent("berkeley_slaves");
    expect_absent("berkeley_slaves_left_total");
    expect_absent("berkeley_spread_seconds");
    expect_absent("berkeley_clocks");
    expect_absent("berkeley_clock_verdict");
}

static void test_nothing_known(void **state)
{
    (void)state;
    input.master = true;
    summary.offset_ns = -7;
    summary.freq_ppb = NAN;
    tell();
    expect_absent("berkeley_offset_seconds");
    expect_absent("berkeley_bound_seconds");
    expect_absent("berkeley_bound_asymmetry_seconds");
    expect_absent("berkeley_correction_seconds");
    expect_absent("berkeley_frequency_correction_ratio");
    expect_absent("berkeley_spread_seconds");
    expect_absent("berkeley_clock_verdict");
    expect("berkeley_slew_left_seconds", "0");
    expect("berkeley_state{state=\"unsynchronised\"}", "1");
    expect("berkeley_clocks{verdict=\"counted\"}", "0");
}

/* Every member has a number of its own, and every number is told once. */
static void test_counters(void **state)
{
    static const struct {
        const char *series;
        size_t place;
    } expected[] = {
        {"berkeley_connections_accepted_total", offsetof(struct transport_counters, accepted)},
        {"berkeley_connections_refused_total{reason=\"loopback\"}",
         offsetof(struct transport_counters, refused_loopback)},
        {"berkeley_connections_refused_total{reason=\"denied\"}",
         offsetof(struct transport_counters, refused_denied)},
        {"berkeley_connections_refused_total{reason=\"often\"}",
         offsetof(struct transport_counters, refused_often)},
        {"berkeley_connections_refused_total{reason=\"full\"}",
         offsetof(struct transport_counters, refused_full)},
        {"berkeley_connections_refused_total{reason=\"handshakes\"}",
         offsetof(struct transport_counters, refused_handshakes)},
        {"berkeley_connections_dropped_total{reason=\"flood\"}",
         offsetof(struct transport_counters, floods)},
        {"berkeley_connections_dropped_total{reason=\"garbled\"}",
         offsetof(struct transport_counters, garbled)},
        {"berkeley_connections_dropped_total{reason=\"revoked\"}",
         offsetof(struct transport_counters, revoked)},
        {"berkeley_handshakes_total{result=\"done\"}",
         offsetof(struct transport_counters, handshakes_done)},
        {"berkeley_handshakes_total{result=\"failed\"}",
         offsetof(struct transport_counters, handshakes_failed)},
        {"berkeley_handshakes_total{result=\"late\"}",
         offsetof(struct transport_counters, handshakes_late)},
        {"berkeley_keys_refused_total{reason=\"unknown\"}",
         offsetof(struct transport_counters, unknown_keys)},
        {"berkeley_keys_refused_total{reason=\"wrong\"}",
         offsetof(struct transport_counters, wrong_keys)},
        {"berkeley_frames_received_total", offsetof(struct transport_counters, frames_in)},
        {"berkeley_frames_sent_total", offsetof(struct transport_counters, frames_out)},
        {"berkeley_frames_unsent_total", offsetof(struct transport_counters, frames_unsent)},
    };

    (void)state;
    for (uint64_t i = 0; i < sizeof counters / sizeof i; i++)
        memcpy((char *)&counters + i * sizeof i, &(uint64_t){1000 + i}, sizeof i);
    tell();
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char value[32];

        (void)snprintf(value, sizeof value, "%zu", 1000 + expected[i].place / sizeof(uint64_t));
        expect(expected[i].series, value);
    }
}

static void test_tallies(void **state)
{
    (void)state;
    tally = (struct chronicle_tally){.rounds = 1, .corrections = 2, .steps = 3,
                                     .foreign_steps = 4, .suspensions = 5, .panics = 6,
                                     .holdovers = 7, .quorums_lost = 8, .exclusions = 9,
                                     .jumps = 10, .slaves_joined = 11, .slaves_left = 12,
                                     .masters_found = 13, .masters_lost = UINT32_MAX};
    input.master = true;
    tell();
    expect("berkeley_rounds_total", "1");
    expect("berkeley_corrections_total", "2");
    expect("berkeley_steps_total", "3");
    expect("berkeley_foreign_steps_total", "4");
    expect("berkeley_suspensions_total", "5");
    expect("berkeley_panics_total", "6");
    expect("berkeley_holdovers_total", "7");
    expect("berkeley_quorums_lost_total", "8");
    expect("berkeley_exclusions_total", "9");
    expect("berkeley_oscillator_jumps_total", "10");
    expect("berkeley_slaves_joined_total", "11");
    expect("berkeley_slaves_left_total", "12");
    input.master = false;
    tell();
    expect("berkeley_rounds_total", "1");
    expect("berkeley_masters_found_total", "13");
    expect("berkeley_masters_lost_total", "4294967295");
}

static void test_refusals(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REFUSAL_COUNT_; i++)
        summary.refused[i] = 50 + i;
    tell();
    for (unsigned i = REFUSAL_NONE + 1; i < REFUSAL_COUNT_; i++) {
        char series[96], value[16];

        (void)snprintf(series, sizeof series, "berkeley_frames_refused_total{reason=\"%s\"}",
                       refusal_name(i));
        (void)snprintf(value, sizeof value, "%u", 50 + i);
        expect(series, value);
    }
    assert_null(strstr(told, "reason=\"none\""));
}

static void test_files(void **state)
{
    (void)state;
    input.files = true;
    input.files_unwritten = 3;
    tell();
    expect("berkeley_metrics_files_unwritten_total", "3");
}

static void test_clocks(void **state)
{
    (void)state;
    input.master = true;
    input.views = 5; /* number 1 is free */
    clocks[0] = (struct clock_view){.name = "time1", .own = true, .measured = true,
                                    .verdict = VERDICT_COUNTED, .bound_ns = 5, .offset_ns = -17,
                                    .weight = 0.25, .freq_ppb = 1};
    clocks[2] = (struct clock_view){.name = "zoe", .measured = true, .verdict = VERDICT_FAST,
                                    .offset_ns = 1234567890123, .sd_ns = 20, .rate_ppb = 0.001,
                                    .freq_ppb = -500000, .delay_ns = 51000, .jitter_ns = 900,
                                    .weight = 0, .bound_ns = INT64_MAX, .heard_ns = 1500000000,
                                    .refused = 8};
    clocks[3] = (struct clock_view){.name = "amy", .verdict = VERDICT_NONE, .bound_ns = INT64_MAX,
                                    .heard_ns = 2};
    clocks[4] = (struct clock_view){.name = "bob", .measured = true, .verdict = VERDICT_COUNTED,
                                    .bound_ns = 77000};
    tell();
    expect("berkeley_clocks{verdict=\"counted\"}", "2");
    expect("berkeley_clocks{verdict=\"fast\"}", "1");
    expect("berkeley_clocks{verdict=\"none\"}", "1");
    expect("berkeley_clocks{verdict=\"far\"}", "0");
    expect("berkeley_clock_verdict{clock=\"zoe\",verdict=\"fast\"}", "1");
    expect("berkeley_clock_verdict{clock=\"amy\",verdict=\"none\"}", "1");
    expect("berkeley_clock_offset_seconds{clock=\"time1\"}", "-0.000000017");
    expect("berkeley_clock_offset_seconds{clock=\"zoe\"}", "1234.567890123");
    expect("berkeley_clock_offset_deviation_seconds{clock=\"zoe\"}", "0.00000002");
    expect("berkeley_clock_rate_offset_ratio{clock=\"zoe\"}", "0.000000000001");
    expect("berkeley_clock_frequency_correction_ratio{clock=\"zoe\"}", "-0.0005");
    expect("berkeley_clock_delay_seconds{clock=\"zoe\"}", "0.000051");
    expect("berkeley_clock_jitter_seconds{clock=\"zoe\"}", "0.0000009");
    expect("berkeley_clock_weight_ratio{clock=\"time1\"}", "0.25");
    expect("berkeley_clock_weight_ratio{clock=\"zoe\"}", "0");
    expect("berkeley_clock_bound_seconds{clock=\"bob\"}", "0.000077");
    expect("berkeley_clock_silence_seconds{clock=\"zoe\"}", "1.5");
    expect("berkeley_clock_frames_refused_total{clock=\"zoe\"}", "8");
    assert_null(exposition_value(told, "berkeley_clock_bound_seconds{clock=\"zoe\"}"));
    assert_null(exposition_value(told, "berkeley_clock_offset_seconds{clock=\"amy\"}"));
    assert_null(exposition_value(told, "berkeley_clock_weight_ratio{clock=\"amy\"}"));
    assert_null(exposition_value(told, "berkeley_clock_delay_seconds{clock=\"time1\"}"));
    assert_null(exposition_value(told, "berkeley_clock_silence_seconds{clock=\"time1\"}"));
    assert_true(strstr(told, "verdict{clock=\"amy\"") < strstr(told, "verdict{clock=\"bob\""));
    assert_true(strstr(told, "verdict{clock=\"bob\"") < strstr(told, "verdict{clock=\"time1\""));
}

/* Two of a name would make Prometheus refuse all of it. */
static void test_clocks_of_one_name(void **state)
{
    (void)state;
    input.master = true;
    input.views = 3;
    clocks[0] = (struct clock_view){.name = "time1", .own = true, .bound_ns = 1};
    clocks[1] = (struct clock_view){.name = "time1", .bound_ns = 2};
    clocks[2] = (struct clock_view){.name = "time1", .bound_ns = 2};
    tell();
    expect("berkeley_clock_bound_seconds{clock=\"time1\"}", "0.000000001");
}

static void test_escapes(void **state)
{
    (void)state;
    input.group = "a\"b\\c\nd";
    input.name = "\\\\";
    tell();
    expect("berkeley_build_info{version=\"1.2.3\",role=\"slave\",group=\"a\\\"b\\\\c\\nd\","
           "name=\"\\\\\\\\\"}", "1");
}

static void test_numbers(void **state)
{
    static const struct {
        struct metrics_number number;
        const char *expected;
    } cases[] = {
        {{0, 0}, "x 0\n"},
        {{0, 9}, "x 0\n"},
        {{-1, 0}, "x -1\n"},
        {{1, 9}, "x 0.000000001\n"},
        {{1000000000, 9}, "x 1\n"},
        {{-1500000000, 9}, "x -1.5\n"},
        {{INT64_MAX, 9}, "x 9223372036.854775807\n"},
        {{INT64_MIN, 9}, "x -9223372036.854775808\n"},
        {{INT64_MIN, 18}, "x -9.223372036854775808\n"},
        {{INT64_MIN, 0}, "x -9223372036854775808\n"},
        {{10, 18}, "x 0.00000000000000001\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        metrics_text_clear(&text);
        metrics_text_sample(&text, "x", NULL, 0, cases[i].number);
        assert_int_equal(text.length, strlen(cases[i].expected));
        assert_memory_equal(text.bytes, cases[i].expected, text.length);
    }
}

static double seconds_for(size_t count)
{
    struct timespec from, to;

    input.views = count;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(metrics_write(&input, &text), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static void test_many_clocks(void **state)
{
    (void)state;
    input.master = true;
    for (unsigned i = 0; i < CLOCKS_MAX; i++) {
        clocks[i] = (struct clock_view){.own = i == 0, .measured = true, .sd_ns = 1234,
                                        .offset_ns = -123456, .rate_ppb = 1.2345,
                                        .freq_ppb = -54321.123, .delay_ns = 51234,
                                        .jitter_ns = 4321, .weight = 1e-4, .bound_ns = 99999,
                                        .heard_ns = 512345678, .verdict = VERDICT_COUNTED};
        (void)snprintf(clocks[i].name, sizeof clocks[i].name, "node%u.example",
                       i * 7919 % CLOCKS_MAX);
    }
    print_message("1000 clocks: %.2f ms, 10000 clocks: %.2f ms\n", 1e3 * seconds_for(1000),
                  1e3 * seconds_for(CLOCKS_MAX));
    assert_true(seconds_for(CLOCKS_MAX) < 2);
    tell();
    expect("berkeley_clocks{verdict=\"counted\"}", "10000");
    expect("berkeley_clock_offset_seconds{clock=\"node9999.example\"}", "-0.000123456");
}

/* --- the reader itself --- */

static void test_what_is_no_exposition(void **state)
{
#define HEAD "# HELP berkeley_x Word.\n# TYPE berkeley_x gauge\n"
    static const char *const wrong[] = {
        "", "\n", "# HELP berkeley_x Word.\n", HEAD, HEAD "berkeley_x 1", HEAD "berkeley_x 1\n\n",
        HEAD "berkeley_y 1\n", "berkeley_x 1\n", HEAD "berkeley_x NaN\n", HEAD "berkeley_x +Inf\n",
        HEAD "berkeley_x 1e3\n", HEAD "berkeley_x .5\n", HEAD "berkeley_x 1.50\n",
        HEAD "berkeley_x 1.\n", HEAD "berkeley_x  1\n", HEAD "berkeley_x 1 1700000000\n",
        HEAD "berkeley_x{} 1\n", HEAD "berkeley_x{a=1} 1\n", HEAD "berkeley_x{a=\"1\",} 1\n",
        HEAD "berkeley_x{a=\"\\x\"} 1\n", HEAD "berkeley_x{a=\"1\"b=\"2\"} 1\n",
        HEAD "berkeley_x{a=\"1\",a=\"2\"} 1\n", HEAD "berkeley_x{a=\"1} 1\n",
        HEAD "berkeley_x{1a=\"1\"} 1\n", HEAD "berkeley_x 1\nberkeley_x 1\n",
        HEAD "berkeley_x{a=\"1\"} 1\nberkeley_x{b=\"1\"} 1\n", HEAD HEAD "berkeley_x 1\n",
        HEAD "berkeley_x 1\n" HEAD "berkeley_x{a=\"1\"} 1\n", HEAD "# berkeley_x 1\n",
        "# TYPE berkeley_x gauge\n# HELP berkeley_x Word.\nberkeley_x 1\n",
        "# HELP berkeley_x Word.\nberkeley_x 1\n",
        "# HELP berkeley_x Word.\n# TYPE berkeley_y gauge\nberkeley_x 1\n",
        "# HELP berkeley_x Word.\n# TYPE berkeley_x counter\nberkeley_x 1\n",
        "# HELP berkeley_x_total Word.\n# TYPE berkeley_x_total gauge\nberkeley_x_total 1\n",
        "# HELP berkeley_x_total Word.\n# TYPE berkeley_x_total counter\nberkeley_x_total -1\n",
        "# HELP berkeley_x Word.\n# TYPE berkeley_x histogram\nberkeley_x 1\n",
        "# HELP other Word.\n# TYPE other gauge\nother 1\n",
    };
    static const char right[] = HEAD "berkeley_x{a=\"1\",b=\"\\\"}\\\\\\n\"} -1.5\n"
                                "berkeley_x{a=\"1\",b=\"\"} 0\n";
    char fault[EXPOSITION_FAULT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (exposition_valid(wrong[i], fault))
            fail_msg("taken: %s", wrong[i]);
    if (!exposition_valid(right, fault))
        fail_msg("%s", fault);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_master),        TEST(test_a_slave),
        TEST(test_nothing_known),   TEST(test_counters),
        TEST(test_tallies),         TEST(test_refusals),
        TEST(test_files),           TEST(test_clocks),
        TEST(test_clocks_of_one_name), TEST(test_escapes),
        TEST(test_numbers),         TEST(test_many_clocks),
        TEST(test_what_is_no_exposition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The discipline and a clock that obeys as the kernel does. */
#include "core/discipline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "discipline_bench.h"

#define MS NS_PER_MS
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FINE_NS (3 * NS_PER_US) /* the last microsecond is ordered fourfold */

/* v, to what it may be off. */
static bool between(int64_t v, int64_t a, int64_t b, int64_t slack_ns)
{
    return a < b ? v >= a - slack_ns && v <= b + slack_ns : v >= b - slack_ns && v <= a + slack_ns;
}

static int64_t ordered(const struct order *order)
{
    return order->slew_ns + order->adjtime_ns;
}

/* The hurry is ordered by what the kernel delivers of it, all else by what it says. */
static int64_t coming(const struct order *order)
{
    return order->soon ? timestamp_round(slewed_clock_delivers(order)) : ordered(order);
}

/* Without step_threshold, whatever is asked: every order leads from what comes
 * anyway towards what is outstanding, and the clock never stands or goes back. */
static void any_maps_are_followed_harmlessly(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    struct bench bench = bench_new(&bench_limits, 0, false, 0);

    for (unsigned i = 0; i < 20000; i++) {
        int64_t reach_ns = dice_below(&dice, 2) ? 100 * NS_PER_S : 200 * MS;
        struct clock_status status;
        int64_t total_ns = bench.clock.base_ns + timestamp_round(bench.clock.moved_ns);
        int64_t spread_ns = 1 + (int64_t)dice_below(&dice, 3 * NS_PER_S);

        bench.target.map = (struct map){bench.clock.raw_ns,
                                        total_ns + dice_between(&dice, -reach_ns, reach_ns),
                                        (double)dice_between(&dice, -500000, 500000)};
        bench.target.in = i > 10000;
        if (dice_below(&dice, 3) == 0)
            assert_dice(&dice, discipline_follow(bench.discipline, &bench.target) == 0);
        slewed_clock_run(&bench.clock, (double)spread_ns);
        status = slewed_clock_status(&bench.clock);
        assert_dice(&dice, status.now.total_ns + spread_ns > total_ns);
        discipline_tick(bench.discipline, &status, &bench.outcome);
        assert_dice(&dice, between(status.underway_ns + coming(&bench.outcome.order),
                                   status.underway_ns, bench.outcome.outstanding_ns, FINE_NS));
        assert_dice(&dice, timestamp_abs(bench.outcome.order.slew_ns) <= 400 * MS);
        assert_dice(&dice, bench.outcome.order.adjtime_ns % NS_PER_US == 0);
        assert_dice(&dice, !bench.outcome.order.soon ||
                               discipline_state(bench.discipline) == SYNC_UNSYNCHRONISED);
        assert_dice(&dice, !(bench.outcome.events & (DISCIPLINE_STEP | DISCIPLINE_FOREIGN)));
        assert_dice(&dice, bench.outcome.step_ns == 0);
        slewed_clock_obey(&bench.clock, &bench.outcome);
    }
    bench_free(&bench);
}

/* From +300 ms to -300 ms while the chunk of the former is under way. */
static void a_reversal_is_nobody_elses_doing(void **state)
{
    (void)state;
    for (int phase = 0; phase < 20; phase++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            struct bench bench = bench_new(&bench_limits, sign * NS_PER_S, false, phase * 5e7);

            for (unsigned i = 0; i < 20; i++) {
                if (i % 4 == 3)
                    bench.target.map.total_ns += (i % 8 == 3 ? -sign : sign) * NS_PER_S;
                assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
                bench_tick(&bench);
                assert_false(bench.outcome.events & DISCIPLINE_FOREIGN);
            }
            bench_free(&bench);
        }
    }
}

/* The processor slept, or a guest's was not let run: the chunk under way goes on meanwhile. */
static void a_second_that_ends_late_is_nobody_elses_doing(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (int phase = 0; phase < 20; phase++) {
        for (int64_t sign = -1; sign <= 1; sign += 2) {
            struct bench bench = bench_new(&bench_limits, 2 * sign * NS_PER_S, false, phase * 5e7);

            for (unsigned i = 0; i < 60; i++) {
                bench.clock.late = dice_below(&dice, 2) == 0;
                bench_tick(&bench);
                assert_dice(&dice, !(bench.outcome.events & DISCIPLINE_FOREIGN));
            }
            bench_free(&bench);
        }
    }
}

static void somebody_elses_step_is_noticed(void **state)
{
    (void)state;
    const int64_t steps_ns[] = {5 * MS, -5 * MS, NS_PER_S, -3600 * NS_PER_S};

    for (size_t i = 0; i < COUNT(steps_ns); i++) {
        struct bench bench = bench_new(&bench_limits, MS, true, 0);

        for (unsigned tick = 0; tick < 10; tick++)
            bench_tick(&bench);
        bench.clock.base_ns += steps_ns[i];
        bench_tick(&bench);
        assert_true(bench.outcome.events & DISCIPLINE_FOREIGN);
        assert_true(bench.outcome.events & DISCIPLINE_STATE);
        assert_true(timestamp_abs(bench.outcome.foreign_ns - steps_ns[i]) < NS_PER_US);
        assert_int_equal(discipline_state(bench.discipline), SYNC_UNSYNCHRONISED);
        assert_int_equal(discipline_epoch(bench.discipline), 0);
        assert_false(bench.outcome.order.synchronised);
        bench_tick(&bench);
        assert_false(bench.outcome.events & DISCIPLINE_FOREIGN);
        bench_free(&bench);
    }
}

static void small_meddling_is_simply_corrected(void **state)
{
    (void)state;
    struct bench bench = bench_new(&bench_limits, 0, true, 0);

    bench_tick(&bench);
    bench.clock.base_ns += MS / 2;
    bench_tick(&bench);
    assert_false(bench.outcome.events & DISCIPLINE_FOREIGN);
    assert_true(ordered(&bench.outcome.order) < -MS / 3);
    for (unsigned i = 0; i < 5; i++)
        bench_tick(&bench);
    assert_true(timestamp_abs(bench_ahead(&bench)) <= NS_PER_US);
    bench_free(&bench);
}

static void before_any_map_a_foreign_step_is_noticed_too(void **state)
{
    (void)state;
    struct bench bench = {.discipline = discipline_new(&bench_limits), .clock = slewed_clock(0, 0)};

    bench.clock.freq_ppb = 123456;
    bench.clock.remainder_ns = 1e6;
    for (unsigned i = 0; i < 10; i++) {
        bench_tick(&bench);
        assert_int_equal(bench.outcome.events, 0);
        assert_false(bench.outcome.steer);
    }
    bench.clock.base_ns += NS_PER_S;
    bench_tick(&bench);
    assert_int_equal(bench.outcome.events, DISCIPLINE_FOREIGN);
    bench_free(&bench);
}

/* A step ends the chunk under way, and at a frequency that the kernel cannot
 * run at the clock goes as fast as it can: neither is anybody else's doing. */
static void a_step_is_exact_and_ours(void **state)
{
    (void)state;
    struct discipline_limits stepping = bench_limits;
    struct bench bench = bench_new(&bench_limits, NS_PER_S, false, 2e8);

    stepping.step_threshold_ns = 10 * NS_PER_S;
    discipline_limit(bench.discipline, &stepping);
    for (unsigned i = 0; i < 3; i++)
        bench_tick(&bench);
    bench.target.map.total_ns += 3600 * NS_PER_S;
    bench.target.map.freq_ppb = 5e6;
    assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
    bench_tick(&bench);
    assert_true(bench.outcome.events & DISCIPLINE_STEP);
    assert_true(bench.outcome.events & DISCIPLINE_BEYOND);
    assert_true(bench.outcome.order.freq_ppb == DISCIPLINE_FREQ_LIMIT_PPB);
    assert_true(timestamp_abs(bench_ahead(&bench)) <= 1);
    bench_tick(&bench);
    assert_int_equal(bench.outcome.events, DISCIPLINE_STEPPED);
    bench_tick(&bench);
    assert_int_equal(bench.outcome.events, 0);
    bench_free(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_maps_are_followed_harmlessly),
        cmocka_unit_test(a_reversal_is_nobody_elses_doing),
        cmocka_unit_test(a_second_that_ends_late_is_nobody_elses_doing),
        cmocka_unit_test(somebody_elses_step_is_noticed),
        cmocka_unit_test(small_meddling_is_simply_corrected),
        cmocka_unit_test(before_any_map_a_foreign_step_is_noticed_too),
        cmocka_unit_test(a_step_is_exact_and_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

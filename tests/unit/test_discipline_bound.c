/* SPDX-License-Identifier: BSD-2-Clause */
/* What of the bound a path may hide, and what becomes of it if nobody tells anything more. */
#include "discipline_bench.h"
#include "discipline_fixture.h"

#include <math.h>

#include "dice.h"

#define LATE_NS (1000 * NS_PER_S)
#define DEATHS 200
#define ROUNDING_NS 3
/* Of what slews are told a thousandth or two may come to nothing: seconds are as long as they
 * are. */
#define SECOND_ORDER_NS (10 * NS_PER_US)

static void the_hidden_part_is_told_by_itself(void **state)
{
    (void)state;
    const struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline_limits declared = limits;
    struct discipline *discipline = fresh();
    int64_t bound_ns;

    assert_int_equal(discipline_asymmetry(discipline), 0);
    follow(discipline, 0, true);
    bound_ns = discipline_bound(discipline, &now);
    assert_int_equal(discipline_asymmetry(discipline), 50000);
    declared.asymmetry_max_ns = 20000;
    discipline_limit(discipline, &declared);
    assert_int_equal(discipline_asymmetry(discipline), 20000);
    assert_int_equal(discipline_bound(discipline, &now), bound_ns - 30000);
    discipline_disown(discipline);
    assert_int_equal(discipline_asymmetry(discipline), 0);
    discipline_free(discipline);
}

/* A third of a year, to the nanosecond: more digits than a double has. */
static void no_digit_of_what_is_outstanding_is_lost(void **state)
{
    (void)state;
    const int64_t far_ns = (INT64_C(1) << 53) + 1;
    const struct target exact = {.map = {.raw_ns = RAW_NS, .total_ns = TOTAL_NS}, .in = true};
    const struct reading now = {RAW_NS, TOTAL_NS - far_ns};
    struct discipline *discipline = fresh();

    assert_int_equal(discipline_follow(discipline, &exact), 0);
    assert_int_equal(discipline_left(discipline, &now), far_ns);
    assert_int_equal(discipline_bound(discipline, &now), far_ns);
    assert_true(discipline_late_bound(discipline, &now, LATE_NS) >= far_ns);
    discipline_free(discipline);
}

static void the_slew_left_is_what_the_kernel_was_told(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct discipline_outcome outcome;
    struct clock_status status = status_at(RAW_NS);

    assert_int_equal(discipline_slew_left(discipline), 0);
    (void)tick(discipline, status);
    assert_int_equal(discipline_slew_left(discipline), status.slew_left_ns);
    follow(discipline, MS, true);
    outcome = tick(discipline, status);
    assert_true(outcome.order.adjtime_ns > 900 * NS_PER_US);
    assert_int_equal(discipline_slew_left(discipline), status.underway_ns +
                                                           outcome.order.slew_ns +
                                                           outcome.order.adjtime_ns);
    discipline_free(discipline);
}

static void who_knows_nothing_has_no_later_bound(void **state)
{
    (void)state;
    const struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline *discipline = fresh();

    assert_true(discipline_late_bound(discipline, &now, LATE_NS) == INT64_MAX);
    follow(discipline, 0, false);
    assert_true(discipline_bound(discipline, &now) < INT64_MAX);
    assert_true(discipline_late_bound(discipline, &now, LATE_NS) == INT64_MAX);
    follow(discipline, 0, true);
    assert_true(discipline_late_bound(discipline, &now, LATE_NS) < INT64_MAX);
    discipline_hold(discipline);
    assert_true(discipline_late_bound(discipline, &now, LATE_NS) < INT64_MAX);
    discipline_disown(discipline);
    assert_true(discipline_late_bound(discipline, &now, LATE_NS) == INT64_MAX);
    discipline_free(discipline);
}

/* bound = asymmetry + 5 (sd + sd_f t + W t^1.5 / sqrt 3) with W of 10 ppb at least. */
static void the_later_bound_is_that_of_holdover(void **state)
{
    (void)state;
    struct target target = target_ahead(0, true);
    const struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline *discipline = fresh();

    target.freq_sd_ppb = 3;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    (void)rest(discipline, RAW_NS);
    assert_int_equal(discipline_late_bound(discipline, &now, 300 * NS_PER_S),
                     50000 + 5 * (SD_NS + 900 + 10 * 300 * 10));
    assert_int_equal(discipline_late_bound(discipline, &now, 0),
                     discipline_bound(discipline, &now));
    target.wander_ppb = 20;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    assert_int_equal(discipline_late_bound(discipline, &now, 300 * NS_PER_S),
                     50000 + 5 * (SD_NS + 900 + 20 * 300 * 10));
    discipline_free(discipline);
}

static struct target any_target(struct dice *dice, const struct bench *bench)
{
    const struct reading now = slewed_clock_status(&bench->clock).now;

    return (struct target){
        .map = {.raw_ns = now.raw_ns,
                .total_ns = now.total_ns + dice_between(dice, -5 * MS, 5 * MS),
                .freq_ppb = (double)dice_between(dice, -600000, 600000)},
        .offset_sd_ns = dice_between(dice, 0, 100000),
        .freq_sd_ppb = (double)dice_below(dice, 100000) / 1e3,
        .wander_ppb = (double)dice_below(dice, 30000) / 1e3,
        .scatter_ns = dice_between(dice, 0, 10000),
        .asymmetry_ns = dice_between(dice, 0, MS),
        .in = true};
}

/* Synchronised, and right after a tick. */
static struct bench any_bench(struct dice *dice)
{
    struct bench bench = bench_new(&bench_limits, 0, true, (double)dice_below(dice, NS_PER_S));

    for (uint64_t ticks = 1 + dice_below(dice, 8); ticks > 0; ticks--) {
        bench_tick(&bench);
        if (dice_below(dice, 3) > 0)
            continue;
        bench.target = any_target(dice, &bench);
        assert_dice(dice, discipline_follow(bench.discipline, &bench.target) == 0);
    }
    if (dice_below(dice, 4) == 0)
        discipline_hold(bench.discipline);
    bench_tick(&bench);
    return bench;
}

static int64_t bound_of(const struct bench *bench)
{
    const struct reading now = slewed_clock_status(&bench->clock).now;

    return discipline_bound(bench->discipline, &now);
}

static int64_t late_bound_of(const struct bench *bench)
{
    const struct reading now = slewed_clock_status(&bench->clock).now;

    return discipline_late_bound(bench->discipline, &now, LATE_NS);
}

/* The daemon dies: what a reader takes for the bound meanwhile is never too small.  But for the
 * chunk under way, which may be the last one of an older order. */
static void no_bound_is_above_the_line_to_the_later_one(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < DEATHS; i++) {
        struct bench bench = any_bench(&dice);
        int64_t start_ns = bench.clock.raw_ns;
        int64_t bound_ns = bound_of(&bench), late_bound_ns = late_bound_of(&bench);
        double slope = (double)(late_bound_ns - bound_ns) / (double)LATE_NS;
        double first_ns = (double)bound_ns + ROUNDING_NS +
                          fabs((double)slewed_clock_status(&bench.clock).underway_ns);

        assert_dice(&dice, late_bound_ns > bound_ns);
        while (bench.clock.raw_ns < start_ns + LATE_NS) {
            int64_t left_ns = start_ns + LATE_NS - bench.clock.raw_ns;
            int64_t span_ns = dice_between(&dice, 1, 20 * NS_PER_S);

            slewed_clock_run(&bench.clock, (double)(span_ns < left_ns ? span_ns : left_ns));
            assert_dice(&dice, (double)bound_of(&bench) <=
                                   first_ns +
                                       slope * (double)(bench.clock.raw_ns - start_ns));
        }
        bench_free(&bench);
    }
}

/* Holdover is only called that later, and what was ordered for the map before still comes. */
static void the_later_bound_allows_for_holdover_and_old_orders(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < DEATHS; i++) {
        struct bench bench = any_bench(&dice);
        int64_t late_bound_ns;

        bench.target = any_target(&dice, &bench);
        assert_dice(&dice, discipline_follow(bench.discipline, &bench.target) == 0);
        late_bound_ns = late_bound_of(&bench);
        slewed_clock_run(&bench.clock, (double)LATE_NS);
        discipline_hold(bench.discipline);
        assert_dice(&dice, bound_of(&bench) <= late_bound_ns + SECOND_ORDER_NS);
        bench_free(&bench);
    }
}

/* 2 ms are on their way when it is said that the clock was right where it was. */
static void an_old_order_is_not_forgotten(void **state)
{
    (void)state;
    struct bench bench = bench_new(&bench_limits, 2 * MS, true, 0);
    const struct reading now = slewed_clock_status(&bench.clock).now;

    bench_tick(&bench);
    bench.target.map.total_ns -= 2 * MS;
    assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
    assert_in_range(discipline_late_bound(bench.discipline, &now, 0), 2 * MS - NS_PER_US,
                    2 * MS + 2 * NS_PER_US);
    bench_free(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hidden_part_is_told_by_itself),
        cmocka_unit_test(no_digit_of_what_is_outstanding_is_lost),
        cmocka_unit_test(the_slew_left_is_what_the_kernel_was_told),
        cmocka_unit_test(who_knows_nothing_has_no_later_bound),
        cmocka_unit_test(the_later_bound_is_that_of_holdover),
        cmocka_unit_test(no_bound_is_above_the_line_to_the_later_one),
        cmocka_unit_test(the_later_bound_allows_for_holdover_and_old_orders),
        cmocka_unit_test(an_old_order_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

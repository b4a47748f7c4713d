/* SPDX-License-Identifier: BSD-2-Clause */
/* How a clock gets to its target, and where it comes to rest if the daemon dies on the
 * way.  What is held here is what is promised, not how it is done. */
#include "core/discipline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "discipline_bench.h"

#define MS NS_PER_MS
#define ROUNDING_NS 3
#define ROUNDING_PPM 0.001
#define ARRIVED_NS 500
#define LATE_NS (100 * MS) /* a tick at most */
#define REST_NS (4 * NS_PER_US)
#define REST_S 3000
#define HURRY_ORDER_NS (400 * MS) /* a quarter of it a second: initial_slew_ppm */

/* Offsets of all sizes alike. */
static int64_t any_ahead(struct dice *dice, int64_t most_ns)
{
    double size = log((double)most_ns) * (double)dice_below(dice, 1 << 20) / (1 << 20);

    return dice_below(dice, 2) ? timestamp_round(exp(size)) : -timestamp_round(exp(size));
}

static struct bench any_bench(struct dice *dice, const struct discipline_limits *limits,
                              int64_t ahead_ns, bool in)
{
    return bench_new(limits, ahead_ns, in, (double)dice_below(dice, (uint64_t)NS_PER_S));
}

/* The way to the target as it is seen between the ticks, too. */
struct way {
    int sign;           /* of the offset at the start */
    int64_t left_ns;    /* to the target, < 0: beyond it */
    int64_t back_ns;    /* the longest way taken away from the target before reaching it */
    int64_t beyond_ns;  /* furthest beyond it */
    double extra_ns;    /* most that the chunks delivered beyond what they said */
    double arrived_s;   /* after so many seconds it was there, and stayed */
    double seconds;
};

static struct way way_begin(const struct bench *bench)
{
    int64_t ahead_ns = bench_ahead(bench);

    return (struct way){.sign = ahead_ns < 0 ? -1 : 1, .left_ns = timestamp_abs(ahead_ns)};
}

static void way_look(struct way *way, const struct bench *bench)
{
    int64_t left_ns = way->sign * bench_ahead(bench);

    if (left_ns > 0 && left_ns - way->left_ns > way->back_ns)
        way->back_ns = left_ns - way->left_ns;
    if (-left_ns > way->beyond_ns)
        way->beyond_ns = -left_ns;
    way->extra_ns = fmax(way->extra_ns, fabs(bench->clock.extra_ns));
    way->left_ns = left_ns;
}

static void way_tick(struct way *way, struct bench *bench, uint64_t late_ns)
{
    double part_ns = (slewed_clock_pause(&bench->clock) + (double)late_ns) / BENCH_PARTS;

    for (unsigned i = 1; i < BENCH_PARTS; i++) {
        slewed_clock_run(&bench->clock, part_ns);
        way_look(way, bench);
    }
    bench->outcome = slewed_clock_tick(&bench->clock, bench->discipline, part_ns);
    way_look(way, bench);
    way->seconds += part_ns * BENCH_PARTS / 1e9;
    if (timestamp_abs(way->left_ns) > ARRIVED_NS)
        way->arrived_s = way->seconds;
}

/* Before the first synchronisation: at the limit, the last millisecond at adjtime's 500 us a
 * second; and some to begin, to change over, and to end. */
static double hurry_seconds(int64_t ahead_ns)
{
    double ahead = fabs((double)ahead_ns);

    return ahead / 1e8 + fmin(ahead, 1e6) / 5e5 + 4;
}

static void the_hurry_arrives_from_anywhere(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 500; i++) {
        int64_t ahead_ns = any_ahead(&dice, NS_PER_S);
        struct bench bench = any_bench(&dice, &bench_limits, ahead_ns, false);
        struct way way = way_begin(&bench);

        while (way.seconds < 40) {
            way_tick(&way, &bench, dice_below(&dice, LATE_NS));
            assert_dice(&dice, !(bench.outcome.events & ~(unsigned)DISCIPLINE_STATE));
            assert_dice(&dice, bench.outcome.order.freq_ppb == FREQ_PPB);
        }
        assert_dice(&dice, way.back_ns <= ARRIVED_NS);
        assert_dice(&dice, way.beyond_ns <= timestamp_abs(ahead_ns) / 50 + NS_PER_US);
        assert_dice(&dice, way.arrived_s <= hurry_seconds(ahead_ns));
        assert_dice(&dice, bench.clock.fastest_ppm <= bench_limits.initial_slew_ppm + ROUNDING_PPM);
        bench_free(&bench);
    }
}

static void the_hurry_uses_what_it_may(void **state)
{
    (void)state;
    struct bench bench = bench_new(&bench_limits, -10 * NS_PER_S, false, 7e8);

    for (unsigned i = 0; i < 20; i++)
        bench_tick(&bench);
    assert_true(bench.clock.fastest_ppm > 99999);
    bench_free(&bench);
}

static double any_rate_ppm(struct dice *dice)
{
    static const double special_ppm[] = {1, 2, 499.9, 500, 500.1, 1000, 5000};
    const size_t count = sizeof special_ppm / sizeof special_ppm[0];

    if (dice_below(dice, 2))
        return special_ppm[dice_below(dice, count)];
    return exp(log(5000) * (double)dice_below(dice, 1 << 20) / (1 << 20));
}

/* What a kernel left alone may have from us: the PLL four seconds' worth, adjtime as much at
 * 500 ppm, but below that what it would do in a single second. */
static int64_t one_order(double rate_ppm)
{
    return timestamp_drift(rate_ppm < 500 ? NS_PER_S : 4 * NS_PER_S, floor(rate_ppm) * 1000);
}

static void a_limit_of_any_size_is_kept_and_used(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 300; i++) {
        struct discipline_limits limits = bench_limits;
        double rate_ppm = any_rate_ppm(&dice);
        double whole_ppm = floor(rate_ppm);
        int64_t ahead_ns = any_ahead(&dice, timestamp_drift(100 * NS_PER_S, whole_ppm * 1000));
        double most_s = fabs((double)ahead_ns) / whole_ppm / 1e3 + 14;
        struct bench bench;
        struct way way;

        limits.max_slew_ppm = rate_ppm;
        bench = any_bench(&dice, &limits, ahead_ns, true);
        way = way_begin(&bench);
        while (way.seconds < 130)
            way_tick(&way, &bench, 0);
        assert_dice(&dice, bench.clock.fastest_ppm <= rate_ppm + ROUNDING_PPM);
        assert_dice(&dice, way.arrived_s <= most_s);
        assert_dice(&dice, way.back_ns <= ARRIVED_NS);
        assert_dice(&dice, way.beyond_ns <= ARRIVED_NS);
        bench_free(&bench);
    }
}

/* Whatever was under way from the hurry is over after a second of the corrected clock, which
 * at -100000 ppm is 1.11 s long. */
static void the_first_synchronisation_ends_the_hurry(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 50; i++) {
        struct bench bench = any_bench(&dice, &bench_limits, any_ahead(&dice, NS_PER_S), false);

        for (uint64_t ticks = dice_below(&dice, 20); ticks > 0; ticks--)
            bench_tick(&bench);
        bench.target.in = true;
        assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
        bench_tick(&bench);
        slewed_clock_run(&bench.clock, 1.12e9);
        bench.clock.fastest_ppm = 0;
        for (unsigned ticks = 0; ticks < 20; ticks++)
            bench_tick(&bench);
        assert_dice(&dice, bench.clock.fastest_ppm <= bench_limits.max_slew_ppm + ROUNDING_PPM);
        bench_free(&bench);
    }
}

/* Two seconds after it was said. */
static void limits_can_be_changed(void **state)
{
    (void)state;
    static const double rates_ppm[] = {10, 500, 5000, 1, 100000, 250};
    struct discipline_limits limits = bench_limits;
    struct bench bench = bench_new(&limits, 100 * NS_PER_S, true, 3e8);

    for (size_t i = 0; i < sizeof rates_ppm / sizeof rates_ppm[0]; i++) {
        limits.max_slew_ppm = rates_ppm[i];
        discipline_limit(bench.discipline, &limits);
        bench_tick(&bench);
        bench_tick(&bench);
        bench.clock.fastest_ppm = 0;
        for (unsigned ticks = 0; ticks < 10; ticks++)
            bench_tick(&bench);
        assert_true(fabs(bench.clock.fastest_ppm - rates_ppm[i]) < ROUNDING_PPM);
    }
    bench_free(&bench);
}

/* From now on nobody orders any more. */
static struct way die(struct bench *bench)
{
    struct way way = way_begin(bench);

    bench->clock.extra_ns = 0;
    for (unsigned second = 0; second < REST_S; second++) {
        slewed_clock_run(&bench->clock, 1e9);
        way_look(&way, bench);
    }
    return way;
}

/* Where it rests and how far beyond the target it ever was, what the kernel adds by itself set
 * aside unless the order allowed for it, as in the hurry.  left_ns: what the last order was
 * for. */
static void assert_at_rest(const struct dice *dice, const struct bench *bench,
                           const struct way *way, int64_t left_ns, int64_t one_order_ns,
                           int64_t beyond_ns)
{
    double rest_ns = way->sign * (double)way->left_ns;

    if (!bench->outcome.order.soon)
        rest_ns += bench->clock.extra_ns;
    assert_dice(dice, bench->clock.freq_ppb == FREQ_PPB);
    assert_dice(dice, fabs(bench->clock.chunk_ns) < 1 && bench->clock.adjtime_ns == 0);
    if (timestamp_abs(left_ns) <= one_order_ns)
        assert_dice(dice, fabs(rest_ns) <= (double)REST_NS);
    else
        assert_dice(dice, fabs(rest_ns) <= fabs((double)left_ns) + ROUNDING_NS);
    assert_dice(dice, (double)way->beyond_ns <= (double)(beyond_ns + REST_NS) + way->extra_ns);
}

/* What the PLL delivers of the most it may hold. */
static int64_t one_hurry(int64_t left_ns)
{
    struct order order = {.freq_ppb = FREQ_PPB,
                          .slew_ns = left_ns < 0 ? -HURRY_ORDER_NS : HURRY_ORDER_NS};

    return timestamp_abs(timestamp_round(slewed_clock_delivers(&order)));
}

/* Before the first synchronisation it may pass the target on the way, by 3/4 of what the
 * PLL may hold. */
static void killed_in_the_hurry_it_comes_to_rest_at_the_target(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 300; i++) {
        struct bench bench = any_bench(&dice, &bench_limits, any_ahead(&dice, NS_PER_S), false);
        int64_t left_ns;
        struct way way;

        for (uint64_t ticks = dice_below(&dice, 20); ticks > 0; ticks--)
            bench_tick(&bench);
        bench_tick(&bench);
        left_ns = bench_left(&bench);
        way = die(&bench);
        assert_at_rest(&dice, &bench, &way, left_ns, one_hurry(left_ns),
                       HURRY_ORDER_NS / 4 * 3);
        bench_free(&bench);
    }
}

static void killed_when_synchronised_it_does_not_pass_the_target(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 300; i++) {
        struct discipline_limits limits = bench_limits;
        struct bench bench;
        int64_t left_ns;
        struct way way;

        limits.max_slew_ppm = any_rate_ppm(&dice);
        bench = any_bench(&dice, &limits, any_ahead(&dice, 20 * one_order(limits.max_slew_ppm)),
                          dice_below(&dice, 2));
        for (uint64_t ticks = dice_below(&dice, 20); ticks > 0; ticks--)
            bench_tick(&bench);
        bench.target.in = true;
        assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
        bench_tick(&bench);
        left_ns = bench_left(&bench);
        way = die(&bench);
        assert_at_rest(&dice, &bench, &way, left_ns, one_order(limits.max_slew_ppm), 0);
        bench_free(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hurry_arrives_from_anywhere),
        cmocka_unit_test(the_hurry_uses_what_it_may),
        cmocka_unit_test(a_limit_of_any_size_is_kept_and_used),
        cmocka_unit_test(the_first_synchronisation_ends_the_hurry),
        cmocka_unit_test(limits_can_be_changed),
        cmocka_unit_test(killed_in_the_hurry_it_comes_to_rest_at_the_target),
        cmocka_unit_test(killed_when_synchronised_it_does_not_pass_the_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

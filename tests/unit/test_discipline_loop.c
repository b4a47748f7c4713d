/* SPDX-License-Identifier: BSD-2-Clause */
/* The discipline and a clock that obeys as the kernel does. */
#include "core/discipline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "slewed_clock.h"

#define MS NS_PER_MS
#define ROUNDING_NS 2
#define FREQ_PPB 37000.0
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct discipline_limits limits = {.max_slew_ppm = 500,
                                                .initial_slew_ppm = 100000,
                                                .panic_threshold_ns = 1000 * NS_PER_S,
                                                .holdover_limit_ns = 3600 * NS_PER_S,
                                                .asymmetry_max_ns = -1};

struct bench {
    struct discipline *discipline;
    struct slewed_clock clock;
    struct target target;
    struct discipline_outcome outcome;
};

/* A clock that is to be ahead_ns further on than it is. */
static struct bench bench_new(int64_t ahead_ns, bool in, double phase_ns)
{
    struct bench bench = {.discipline = discipline_new(&limits),
                          .clock = slewed_clock(5 * NS_PER_S, phase_ns)};

    assert_non_null(bench.discipline);
    bench.target.map.raw_ns = bench.clock.raw_ns;
    bench.target.map.total_ns = bench.clock.base_ns + ahead_ns;
    bench.target.map.freq_ppb = FREQ_PPB;
    bench.target.in = in;
    assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
    return bench;
}

static void bench_free(struct bench *bench)
{
    discipline_free(bench->discipline);
}

static void bench_tick(struct bench *bench)
{
    bench->outcome = slewed_clock_tick(&bench->clock, bench->discipline, 1e9);
}

/* What is outstanding as the clock stands, by the map that is followed. */
static int64_t bench_ahead(const struct bench *bench)
{
    struct clock_status status = slewed_clock_status(&bench->clock);

    return map_total_at(&bench->target.map, status.now.raw_ns) - status.now.total_ns;
}

static bool between(int64_t v, int64_t a, int64_t b)
{
    return a < b ? v >= a && v <= b : v >= b && v <= a;
}

/* Never away from the target, never beyond it, and there in the end. */
static void follow_to_the_end(struct bench *bench, unsigned ticks)
{
    int64_t before_ns;

    bench_tick(bench);
    before_ns = bench->outcome.outstanding_ns;
    for (unsigned i = 0; i < ticks; i++) {
        bench_tick(bench);
        assert_true(bench->outcome.outstanding_ns == bench_ahead(bench));
        if (timestamp_abs(before_ns) > NS_PER_US)
            assert_true(between(bench->outcome.outstanding_ns, 0, before_ns));
        assert_false(bench->outcome.events & (DISCIPLINE_FOREIGN | DISCIPLINE_STEP));
        assert_true(bench->outcome.order.freq_ppb == FREQ_PPB);
        before_ns = bench->outcome.outstanding_ns;
    }
    assert_true(timestamp_abs(before_ns) <= NS_PER_US);
}

static void it_converges_without_overshoot(void **state)
{
    (void)state;
    const int64_t aheads_ns[] = {10 * NS_PER_US, MS, 100 * MS, 400 * MS, 10 * NS_PER_S};

    for (size_t i = 0; i < COUNT(aheads_ns); i++) {
        for (int phase = 0; phase < 10; phase++) {
            struct bench ahead = bench_new(aheads_ns[i], false, phase * 1e8);
            struct bench behind = bench_new(-aheads_ns[i], false, phase * 1e8);

            follow_to_the_end(&ahead, 200);
            follow_to_the_end(&behind, 200);
            bench_free(&ahead);
            bench_free(&behind);
        }
    }
}

static void it_converges_at_the_later_limit(void **state)
{
    (void)state;
    struct bench ahead = bench_new(100 * MS, true, 3e8);
    struct bench behind = bench_new(-100 * MS, true, 3e8);

    follow_to_the_end(&ahead, 300);
    follow_to_the_end(&behind, 300);
    assert_true(ahead.clock.fastest_ppm <= 500.0001 && ahead.clock.fastest_ppm > 499);
    assert_true(behind.clock.fastest_ppm <= 500.0001 && behind.clock.fastest_ppm > 499);
    bench_free(&ahead);
    bench_free(&behind);
}

/* Up to initial_slew_ppm until the first synchronisation, max_slew_ppm after it;
 * what is under way then is a second's at most. */
static void the_slew_keeps_its_limits(void **state)
{
    (void)state;
    struct bench bench = bench_new(-10 * NS_PER_S, false, 7e8);

    for (unsigned i = 0; i < 20; i++)
        bench_tick(&bench);
    assert_true(bench.clock.fastest_ppm <= 100000.0001 && bench.clock.fastest_ppm > 99999);
    bench.target.in = true;
    assert_int_equal(discipline_follow(bench.discipline, &bench.target), 0);
    bench_tick(&bench);
    assert_true(bench.outcome.order.slew_ns == -2 * MS);
    bench_tick(&bench);
    bench.clock.fastest_ppm = 0;
    for (unsigned i = 0; i < 1000; i++)
        bench_tick(&bench);
    assert_true(bench.clock.fastest_ppm <= 500.0001 && bench.clock.fastest_ppm > 499);
    bench_free(&bench);
}

static void limits_can_be_changed(void **state)
{
    (void)state;
    struct discipline_limits tighter = limits;
    struct bench bench = bench_new(10 * NS_PER_S, true, 0);

    bench_tick(&bench);
    assert_int_equal(bench.outcome.order.slew_ns, 2 * MS);
    tighter.max_slew_ppm = 10;
    discipline_limit(bench.discipline, &tighter);
    bench_tick(&bench);
    assert_int_equal(bench.outcome.order.slew_ns, 40 * NS_PER_US);
    tighter.max_slew_ppm = 200000;
    discipline_limit(bench.discipline, &tighter);
    bench_tick(&bench);
    assert_int_equal(bench.outcome.order.slew_ns, 500 * MS);
    bench_free(&bench);
}

/* Killed after any tick: the clock goes at most where it was to go, at the
 * learned rate.  share: by how much a quarter exceeds what it says, at most. */
static void killed_after(unsigned ticks, int64_t ahead_ns, bool in, double share)
{
    struct bench bench = bench_new(ahead_ns, in, 4e8);
    int64_t before_ns, after_ns;

    for (unsigned i = 0; i < ticks; i++)
        bench_tick(&bench);
    before_ns = bench_ahead(&bench);
    slewed_clock_run(&bench.clock, 100e9);
    after_ns = bench_ahead(&bench);
    assert_true(bench.clock.freq_ppb == FREQ_PPB);
    assert_true(fabs(bench.clock.chunk_ns) < 1);
    assert_true(timestamp_abs(after_ns) <= timestamp_abs(before_ns) + ROUNDING_NS);
    if (!between(after_ns, 0, before_ns))
        assert_true((double)timestamp_abs(after_ns) <=
                    (double)timestamp_abs(before_ns) * share + ROUNDING_NS);
    bench_free(&bench);
}

static void killed_at_any_instant_it_harms_nobody(void **state)
{
    (void)state;
    for (unsigned ticks = 1; ticks < 60; ticks++) {
        killed_after(ticks, 3 * NS_PER_S, false, 0.001);
        killed_after(ticks, -3 * NS_PER_S, false, 1.0 / 7);
        killed_after(ticks, 10 * MS, true, 0.001);
        killed_after(ticks, -10 * MS, true, 0.001);
    }
}

/* Without step_threshold, whatever is asked: every order leads from what comes
 * anyway towards what is outstanding, and the clock never stands or goes back. */
static void any_maps_are_followed_harmlessly(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    struct bench bench = bench_new(0, false, 0);

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
        assert_dice(&dice, between(status.underway_ns + bench.outcome.order.slew_ns,
                                   status.underway_ns, bench.outcome.outstanding_ns));
        assert_dice(&dice, timestamp_abs(bench.outcome.order.slew_ns) <= 400 * MS);
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
            struct bench bench = bench_new(sign * NS_PER_S, false, phase * 5e7);

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

static void somebody_elses_step_is_noticed(void **state)
{
    (void)state;
    const int64_t steps_ns[] = {5 * MS, -5 * MS, NS_PER_S, -3600 * NS_PER_S};

    for (size_t i = 0; i < COUNT(steps_ns); i++) {
        struct bench bench = bench_new(MS, true, 0);

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
    struct bench bench = bench_new(0, true, 0);

    bench_tick(&bench);
    bench.clock.base_ns += MS / 2;
    bench_tick(&bench);
    assert_false(bench.outcome.events & DISCIPLINE_FOREIGN);
    assert_true(bench.outcome.order.slew_ns < -MS / 3);
    follow_to_the_end(&bench, 100);
    bench_free(&bench);
}

static void before_any_map_a_foreign_step_is_noticed_too(void **state)
{
    (void)state;
    struct bench bench = {.discipline = discipline_new(&limits), .clock = slewed_clock(0, 0)};

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
    struct discipline_limits stepping = limits;
    struct bench bench = bench_new(NS_PER_S, false, 2e8);

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
    assert_int_equal(bench.outcome.events, 0);
    bench_free(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_converges_without_overshoot),
        cmocka_unit_test(it_converges_at_the_later_limit),
        cmocka_unit_test(the_slew_keeps_its_limits),
        cmocka_unit_test(limits_can_be_changed),
        cmocka_unit_test(killed_at_any_instant_it_harms_nobody),
        cmocka_unit_test(any_maps_are_followed_harmlessly),
        cmocka_unit_test(a_reversal_is_nobody_elses_doing),
        cmocka_unit_test(somebody_elses_step_is_noticed),
        cmocka_unit_test(small_meddling_is_simply_corrected),
        cmocka_unit_test(before_any_map_a_foreign_step_is_noticed_too),
        cmocka_unit_test(a_step_is_exact_and_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

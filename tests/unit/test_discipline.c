/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/discipline.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discipline_fixture.h"

#define EDGE (TIMESTAMP_LIMIT_NS - 1)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void without_a_map_everything_stays(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline_outcome outcome = tick(discipline, status_at(RAW_NS));

    assert_int_equal(outcome.events, 0);
    assert_false(outcome.steer);
    assert_true(outcome.order.freq_ppb == 12.5);
    assert_int_equal(outcome.order.slew_ns, 400);
    assert_int_equal(outcome.order.adjtime_ns, 3000);
    assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
    assert_int_equal(outcome.order.esterror_ns, INT64_MAX);
    assert_false(outcome.order.synchronised);
    assert_int_equal(outcome.outstanding_ns, 0);
    assert_true(sets_nothing_else(&outcome));
    assert_int_equal(discipline_bound(discipline, &now), INT64_MAX);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    assert_int_equal(discipline_epoch(discipline), 0);
    discipline_free(discipline);
}

static void a_map_is_followed(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct target target = target_ahead(5 * MS, true);
    struct discipline_outcome outcome;

    target.map.freq_ppb = -2000;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    outcome = tick(discipline, status_at(RAW_NS + NS_PER_S));
    assert_int_equal(outcome.events, DISCIPLINE_STATE);
    assert_true(outcome.steer);
    assert_int_equal(outcome.outstanding_ns, 5 * MS - 2000);
    assert_true(outcome.order.freq_ppb == -2000);
    assert_true(slews_towards(&outcome, 500));
    assert_true(outcome.order.synchronised);
    assert_int_equal(outcome.order.esterror_ns, 5 * MS / 2 - 1000 + 1000);
    assert_true(sets_nothing_else(&outcome));
    discipline_free(discipline);
}

static void impossible_maps_leave_the_old_one(void **state)
{
    (void)state;
    struct target bad[18];
    struct discipline *discipline = fresh();

    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = target_ahead(-NS_PER_S, false);
    bad[0].map.raw_ns = TIMESTAMP_LIMIT_NS;
    bad[1].map.raw_ns = -TIMESTAMP_LIMIT_NS;
    bad[2].map.total_ns = TIMESTAMP_LIMIT_NS;
    bad[3].map.total_ns = INT64_MIN;
    bad[4].map.freq_ppb = NAN;
    bad[5].map.freq_ppb = INFINITY;
    bad[6].map.freq_ppb = -INFINITY;
    bad[7].map.freq_ppb = nextafter(1e7, 1e8);
    bad[8].map.freq_ppb = -nextafter(1e7, 1e8);
    bad[9].offset_sd_ns = -1;
    bad[10].freq_sd_ppb = NAN;
    bad[11].freq_sd_ppb = INFINITY;
    bad[12].freq_sd_ppb = -1;
    bad[13].asymmetry_ns = -1;
    bad[14].wander_ppb = NAN;
    bad[15].wander_ppb = INFINITY;
    bad[16].wander_ppb = -1;
    bad[17].scatter_ns = -1;
    follow(discipline, 5000, true);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(discipline_follow(discipline, &bad[i]), -ERANGE);
        assert_int_equal(discipline_state(discipline), SYNC_SYNCHRONISED);
        assert_int_equal(rest(discipline, RAW_NS).outstanding_ns, 5000);
    }
    discipline_free(discipline);
}

static void the_limits_themselves_are_possible(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct target target = {.map = {EDGE, -EDGE, -1e7}};

    assert_int_equal(discipline_follow(discipline, &target), 0);
    discipline_free(discipline);
}

static double sd_after(double age_s, double wander_ppb)
{
    return 1000 + 7 * age_s + wander_ppb * pow(age_s, 1.5) / sqrt(3);
}

/* |outstanding| + scatter + asymmetry + 5 (sd + sd_f t + W t^1.5 / sqrt 3) */
static void the_bound_is_the_formula(void **state)
{
    (void)state;
    static const int64_t ages_s[] = {0, 1, 100, -100, 10000};
    static const double wanders_ppb[] = {0, 0.5, 40};

    for (size_t i = 0; i < 2 * COUNT(ages_s) * COUNT(wanders_ppb); i++) {
        struct discipline *discipline = fresh();
        struct target target = target_ahead(i % 2 ? 4000 : -4000, true);
        int64_t age_s = ages_s[i / 2 % COUNT(ages_s)];
        struct reading now = {RAW_NS + age_s * NS_PER_S, TOTAL_NS};
        double sd_ns;

        target.freq_sd_ppb = 7;
        target.scatter_ns = 900;
        target.wander_ppb = wanders_ppb[i / 2 / COUNT(ages_s)];
        sd_ns = sd_after(fabs((double)age_s), target.wander_ppb);
        assert_int_equal(discipline_follow(discipline, &target), 0);
        assert_true(fabs((double)discipline_sd(discipline, &now) - sd_ns) <= 1);
        assert_true(fabs((double)discipline_bound(discipline, &now) -
                         (4000 + 900 + 50000 + BOUND_SDS * sd_ns)) <= 1);
        assert_int_equal(rest(discipline, now.raw_ns).order.maxerror_ns,
                         discipline_bound(discipline, &now));
        discipline_free(discipline);
    }
}

/* Left to itself a clock wanders with the day's temperature, whatever was measured while
 * it was in the group. */
static void holdover_wanders_ten_ppb_at_least(void **state)
{
    (void)state;
    static const double wanders_ppb[] = {0, 0.5, 10, 40};
    const struct reading now = {RAW_NS + 1000 * NS_PER_S, TOTAL_NS};

    for (size_t i = 0; i < COUNT(wanders_ppb); i++) {
        struct discipline *discipline = fresh();
        struct target target = target_ahead(0, true);
        double sd_ns = sd_after(1000, fmax(wanders_ppb[i], 10));

        target.freq_sd_ppb = 7;
        target.wander_ppb = wanders_ppb[i];
        assert_int_equal(discipline_follow(discipline, &target), 0);
        discipline_hold(discipline);
        assert_true(fabs((double)discipline_sd(discipline, &now) - sd_ns) <= 1);
        assert_true(fabs((double)discipline_bound(discipline, &now) -
                         (50000 + BOUND_SDS * sd_ns)) <= 1);
        discipline_free(discipline);
    }
}

static void no_sd_without_synchronisation(void **state)
{
    (void)state;
    const struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline *discipline = fresh();

    assert_int_equal(discipline_sd(discipline, &now), INT64_MAX);
    follow(discipline, 0, false);
    assert_int_equal(discipline_sd(discipline, &now), INT64_MAX);
    follow(discipline, 0, true);
    assert_int_equal(discipline_sd(discipline, &now), 1000);
    discipline_disown(discipline);
    assert_int_equal(discipline_sd(discipline, &now), INT64_MAX);
    discipline_free(discipline);
}

static int64_t bound_with(int64_t asymmetry_max_ns)
{
    struct discipline_limits declared = limits;
    struct reading now = {RAW_NS, TOTAL_NS};
    struct discipline *discipline;
    int64_t bound_ns;

    declared.asymmetry_max_ns = asymmetry_max_ns;
    discipline = discipline_new(&declared);
    follow(discipline, 0, true);
    bound_ns = discipline_bound(discipline, &now);
    discipline_free(discipline);
    return bound_ns;
}

static void declared_asymmetry_narrows_the_bound(void **state)
{
    (void)state;
    assert_int_equal(bound_with(-1), 50000 + SD_PART_NS);
    assert_int_equal(bound_with(0), SD_PART_NS);
    assert_int_equal(bound_with(20000), 20000 + SD_PART_NS);
    assert_int_equal(bound_with(50001), 50000 + SD_PART_NS);
}

static void an_endless_uncertainty_saturates(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();
    struct target target = target_ahead(10, true);
    struct discipline_outcome outcome;

    target.offset_sd_ns = target.asymmetry_ns = target.scatter_ns = INT64_MAX;
    target.freq_sd_ppb = target.wander_ppb = 1e300;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    outcome = rest(discipline, RAW_NS);
    assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
    assert_int_equal(outcome.order.esterror_ns, INT64_MAX);
    assert_false(outcome.order.synchronised);
    discipline_free(discipline);
}

static void clocks_at_the_ends_of_time(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = fresh();
        struct target target = {.map = {-EDGE, sign * EDGE, sign * 1e7}};
        struct clock_status status = {.now = {EDGE, -sign * EDGE}, .underway_ns = -sign * MS};
        struct discipline_outcome outcome;

        assert_int_equal(discipline_follow(discipline, &target), 0);
        outcome = tick(discipline, status);
        assert_int_equal(outcome.order.slew_ns, sign * (400 * MS));
        assert_int_equal(outcome.order.adjtime_ns, 0);
        assert_true(sign * outcome.outstanding_ns >= 2 * EDGE);
        assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
        discipline_free(discipline);
    }
}

static void panic_refuses_what_is_too_much(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct discipline *discipline = fresh();
        struct clock_status status = {.now = {RAW_NS, TOTAL_NS}, .freq_ppb = 77};
        struct discipline_outcome outcome;

        follow(discipline, sign * PANIC_NS, true);
        assert_int_equal(tick(discipline, status).events, DISCIPLINE_STATE);
        status.slew_left_ns = sign * (2 * MS);
        follow(discipline, sign * (PANIC_NS + 1), true);
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, DISCIPLINE_PANIC | DISCIPLINE_STATE);
        assert_int_equal(outcome.outstanding_ns, sign * (PANIC_NS + 1));
        assert_int_equal(outcome.order.slew_ns, 0);
        assert_int_equal(outcome.order.adjtime_ns, 0);
        assert_true(outcome.order.freq_ppb == 77);
        assert_true(outcome.order.maxerror_ns > PANIC_NS);
        assert_false(outcome.order.synchronised);
        assert_true(sets_nothing_else(&outcome));
        status.slew_left_ns = 0;
        outcome = tick(discipline, status);
        assert_int_equal(outcome.events, 0); /* said once */
        assert_int_equal(outcome.order.slew_ns, 0);
        discipline_free(discipline);
    }
}

static void before_the_first_synchronisation_nothing_is_too_much(void **state)
{
    (void)state;
    struct discipline *discipline = fresh();

    follow(discipline, 10 * PANIC_NS, false);
    assert_int_equal(rest(discipline, RAW_NS).events, 0);
    discipline_free(discipline);
}

static void frequencies_beyond_the_kernel_are_said_once(void **state)
{
    (void)state;
    const double asked_ppb[] = {500000, 500001, 6e6, -600000, -500000, -500001, 1e7};
    const bool said[] = {false, true, false, false, false, true, false};
    struct discipline *discipline = fresh();
    struct target target = target_ahead(0, false);

    for (size_t i = 0; i < COUNT(asked_ppb); i++) {
        bool beyond = fabs(asked_ppb[i]) > DISCIPLINE_FREQ_LIMIT_PPB;
        struct discipline_outcome outcome;

        target.map.freq_ppb = asked_ppb[i];
        assert_int_equal(discipline_follow(discipline, &target), 0);
        outcome = rest(discipline, RAW_NS);
        assert_int_equal(outcome.events, said[i] ? DISCIPLINE_BEYOND : 0);
        assert_true(outcome.wanted_ppb == (beyond ? asked_ppb[i] : 0));
        assert_true(outcome.order.freq_ppb == copysign(500000, asked_ppb[i]));
    }
    discipline_free(discipline);
}

/* What a new link guesses in its first second would stay if the daemon were killed then. */
static double ordered_freq(struct discipline *discipline, double in_force_ppb, double freq_ppb,
                           double sd_ppb, bool in)
{
    struct target target = target_ahead(0, in);
    struct clock_status status = status_at(RAW_NS);
    struct discipline_outcome outcome;

    status.freq_ppb = in_force_ppb;
    target.map.freq_ppb = freq_ppb;
    target.freq_sd_ppb = sd_ppb;
    assert_int_equal(discipline_follow(discipline, &target), 0);
    discipline_tick(discipline, &status, &outcome);
    assert_true(outcome.steer);
    assert_false(outcome.events & DISCIPLINE_BEYOND);
    return outcome.order.freq_ppb;
}

static void a_frequency_is_not_ordered_before_it_is_known(void **state)
{
    struct discipline *discipline = fresh();

    (void)state;
    assert_true(ordered_freq(discipline, 0, 900e3, 250e3, false) == 0);
    assert_true(ordered_freq(discipline, 0, 60e3, 21e3, false) == 0);
    assert_true(ordered_freq(discipline, 0, 24e3, 19e3, false) == 24e3);
    assert_true(ordered_freq(discipline, 24e3, 30e3, 5e3, false) == 30e3);
    /* The guess of a new link does not take the place of a better one. */
    assert_true(ordered_freq(discipline, 30e3, 45e3, 18e3, true) == 30e3);
    assert_true(ordered_freq(discipline, 30e3, 33e3, 900, true) == 33e3);
    /* Below 1 ppm the news counts. */
    assert_true(ordered_freq(discipline, 33e3, 34e3, 20, true) == 34e3);
    assert_true(ordered_freq(discipline, 34e3, 33.5e3, 950, true) == 33.5e3);
    discipline_free(discipline);
}

static void until_then_the_one_in_force_is_kept(void **state)
{
    struct discipline *discipline = fresh();

    (void)state;
    assert_true(ordered_freq(discipline, -41e3, -300e3, 250e3, false) == -41e3);
    assert_true(ordered_freq(discipline, -41e3, -30e3, 10e3, true) == -41e3);
    assert_true(ordered_freq(discipline, -41e3, -40e3, 900, false) == -40e3);
    discipline_free(discipline);
}

static void until_then_the_one_learned_before_is_kept(void **state)
{
    struct discipline *discipline = fresh();
    struct discipline_memory memory = {.learned = true, .freq_ppb = 23e3, .freq_sd_ppb = 50};

    (void)state;
    assert_int_equal(discipline_resume(discipline, &memory, true), 0);
    assert_true(ordered_freq(discipline, 0, -300e3, 250e3, false) == 23e3);
    assert_true(ordered_freq(discipline, 23e3, 17e3, 6e3, true) == 23e3);
    assert_true(ordered_freq(discipline, 23e3, 22e3, 900, true) == 22e3);
    discipline_free(discipline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frequency_is_not_ordered_before_it_is_known),
        cmocka_unit_test(until_then_the_one_in_force_is_kept),
        cmocka_unit_test(until_then_the_one_learned_before_is_kept),
        cmocka_unit_test(without_a_map_everything_stays),
        cmocka_unit_test(a_map_is_followed),
        cmocka_unit_test(impossible_maps_leave_the_old_one),
        cmocka_unit_test(the_limits_themselves_are_possible),
        cmocka_unit_test(the_bound_is_the_formula),
        cmocka_unit_test(holdover_wanders_ten_ppb_at_least),
        cmocka_unit_test(no_sd_without_synchronisation),
        cmocka_unit_test(declared_asymmetry_narrows_the_bound),
        cmocka_unit_test(an_endless_uncertainty_saturates),
        cmocka_unit_test(clocks_at_the_ends_of_time),
        cmocka_unit_test(panic_refuses_what_is_too_much),
        cmocka_unit_test(before_the_first_synchronisation_nothing_is_too_much),
        cmocka_unit_test(frequencies_beyond_the_kernel_are_said_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/estimator.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link.h"

#define YEAR_NS (INT64_C(31557600) * NS_PER_S)
#define BASE_NS (100 * NS_PER_US)
#define SETTLED 50 /* rounds: what is to be learned of a quiet link is learned */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct link quiet_link(int64_t offset_ns, double freq_ppb)
{
    return (struct link){.dice = dice_new(),
                         .now_ns = 1000 * NS_PER_S,
                         .since_ns = 1000 * NS_PER_S,
                         .interval_ns = 4 * NS_PER_S,
                         .offset_ns = offset_ns,
                         .freq_ppb = freq_ppb,
                         .base_ns = {BASE_NS, BASE_NS}};
}

static struct estimator *watched(struct link *link, unsigned rounds)
{
    struct estimator *estimator = estimator_new();

    assert_non_null(estimator);
    for (unsigned i = 0; i < rounds; i++)
        assert_false(link_round(link, estimator));
    return estimator;
}

static struct estimate estimate_at(const struct estimator *estimator, int64_t raw_ns)
{
    struct estimate estimate;

    assert_int_equal(estimator_estimate(estimator, raw_ns, &estimate), 0);
    return estimate;
}

/* How wrong the estimate for now is. */
static int64_t error_now(const struct estimator *estimator, const struct link *link)
{
    return estimate_at(estimator, link->now_ns).offset_ns - link_offset(link, link->now_ns);
}

static void knows_nothing(const struct estimator *estimator)
{
    struct estimate estimate, before;

    memset(&estimate, 0x5a, sizeof estimate);
    before = estimate;
    assert_int_equal(estimator_estimate(estimator, NS_PER_S, &estimate), -ENODATA);
    assert_memory_equal(&estimate, &before, sizeof estimate);
}

static void without_noise_it_is_exact(void **state)
{
    (void)state;
    const int64_t offsets[] = {0, 1, -NS_PER_S, NS_PER_S, -30 * YEAR_NS, 100 * YEAR_NS};
    const double freqs[] = {0, 10, -50e3, 50e3, -1e6, 1e6};

    for (size_t i = 0; i < COUNT(offsets) * COUNT(freqs); i++) {
        struct link link = quiet_link(offsets[i / COUNT(freqs)], freqs[i % COUNT(freqs)]);
        struct estimator *estimator = watched(&link, SETTLED);
        struct estimate estimate = estimate_at(estimator, link.now_ns);

        assert_true(timestamp_abs(error_now(estimator, &link)) <= 50);
        assert_true(fabs(estimate.freq_ppb - link.freq_ppb) < 5);
        assert_true(fabs(estimate.delay_ns - (double)BASE_NS) < 300);
        assert_true(estimate.jitter_ns <= 300);
        estimator_free(estimator);
    }
}

/* Whatever the clocks' origins, the figures are the same. */
static void shifts_of_both_clocks_change_nothing(void **state)
{
    (void)state;
    const int64_t shifts_ns[] = {YEAR_NS, -50 * YEAR_NS, 1};

    for (size_t i = 0; i < COUNT(shifts_ns); i++) {
        struct link here = quiet_link(NS_PER_MS, 20e3), there;
        struct estimator *one, *other;
        struct estimate a, b;

        here.queue_ns[FORWARD] = here.queue_ns[BACKWARD] = 20e3;
        there = here;
        there.now_ns += shifts_ns[i];
        there.since_ns += shifts_ns[i];
        there.offset_ns += 3 * shifts_ns[i] / 2;
        one = watched(&here, SETTLED);
        other = watched(&there, SETTLED);
        a = estimate_at(one, here.now_ns);
        b = estimate_at(other, there.now_ns);
        assert_int_equal(b.offset_ns - a.offset_ns, 3 * shifts_ns[i] / 2);
        assert_true(a.freq_ppb == b.freq_ppb && a.offset_sd_ns == b.offset_sd_ns);
        estimator_free(one);
        estimator_free(other);
    }
}

/* Months of a clock 500 ppm off: the origin follows, and nothing is lost. */
static void precision_stays_over_months(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 500e3);
    struct estimator *estimator;

    link.interval_ns = 2000 * NS_PER_S;
    estimator = watched(&link, 5000);
    assert_true(timestamp_abs(link_offset(&link, link.now_ns)) > 4000 * NS_PER_S);
    link.now_ns += 4 * NS_PER_S - link.interval_ns;
    assert_true(timestamp_abs(error_now(estimator, &link)) < 100);
    assert_true(fabs(estimate_at(estimator, link.now_ns).freq_ppb - 500e3) < 1);
    estimator_free(estimator);
}

static void the_offset_is_of_the_asked_instant(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 20e3);
    struct estimator *estimator = watched(&link, SETTLED);
    const int64_t spans_ns[] = {-60 * NS_PER_S, 0, 100 * NS_PER_S, 3600 * NS_PER_S};

    for (size_t i = 0; i < COUNT(spans_ns); i++) {
        struct estimate estimate = estimate_at(estimator, link.now_ns + spans_ns[i]);
        double error = (double)(estimate.offset_ns - link_offset(&link, link.now_ns + spans_ns[i]));

        assert_true(fabs(error) < 50 + 2 * fabs((double)spans_ns[i] / 1e9));
        assert_true(fabs(error) < 3 * estimate.offset_sd_ns + 50);
    }
    estimator_free(estimator);
}

/* The wander alone: W t^1.5 / sqrt 3. */
static void the_future_is_less_certain(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 0);
    struct estimator *estimator = watched(&link, SETTLED);
    struct estimate now = estimate_at(estimator, link.now_ns);
    double sd_ns = now.offset_sd_ns;

    assert_true(now.wander_ppb > 0);
    for (int64_t span_s = 10; span_s <= 100000; span_s *= 10) {
        struct estimate later = estimate_at(estimator, link.now_ns + span_s * NS_PER_S);
        double drift_ns = now.wander_ppb * pow((double)span_s, 1.5) / sqrt(3);

        assert_true(later.offset_sd_ns > sd_ns);
        assert_true(later.offset_sd_ns > 0.99 * drift_ns);
        assert_true(later.freq_sd_ppb > 0.99 * now.wander_ppb * sqrt((double)span_s));
        sd_ns = later.offset_sd_ns;
    }
    estimator_free(estimator);
}

static void one_exchange_is_the_least(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 1000);
    struct estimator *estimator = estimator_new();
    struct estimate estimate;

    knows_nothing(estimator);
    assert_false(link_exchange(&link, estimator));
    estimate = estimate_at(estimator, link.now_ns);
    assert_int_equal(estimate.samples, 2);
    assert_true(timestamp_abs(error_now(estimator, &link)) <= BASE_NS);
    assert_true(estimate.offset_sd_ns > (double)BASE_NS / 10);
    assert_true(estimate.freq_sd_ppb > 200e3 && estimate.freq_sd_ppb < 1e6);
    estimator_free(estimator);
}

/* Rounds 0.5 s apart: any crystal's frequency is known after four, for the group to form. */
static void frequency_is_learned_quickly(void **state)
{
    (void)state;
    const double freqs[] = {0, 50e3, -500e3, 1000e3, -1000e3};

    for (size_t i = 0; i < COUNT(freqs); i++) {
        struct link link = quiet_link(0, freqs[i]);
        struct estimator *estimator;
        struct estimate estimate;

        link.interval_ns = NS_PER_S / 2;
        link.queue_ns[FORWARD] = link.queue_ns[BACKWARD] = 5e3;
        estimator = watched(&link, 4);
        estimate = estimate_at(estimator, link.now_ns);
        assert_true(estimate.freq_sd_ppb < 20e3);
        assert_true(fabs(estimate.freq_ppb - freqs[i]) < 5 * estimate.freq_sd_ppb);
        estimator_free(estimator);
    }
}

static void a_reset_forgets_everything(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 1000);
    struct estimator *estimator = watched(&link, SETTLED);

    estimator_observe(estimator, FORWARD, link.now_ns, link.now_ns);
    estimator_reset(estimator);
    knows_nothing(estimator);
    estimator_observe(estimator, BACKWARD, link.now_ns + NS_PER_MS, link.now_ns);
    knows_nothing(estimator);
    link.offset_ns = -NS_PER_S;
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) <= 4 * NS_PER_MS);
    assert_int_equal(estimate_at(estimator, link.now_ns).samples, 2 * LINK_EXCHANGES);
    estimator_free(estimator);
}

static void one_direction_alone_says_nothing(void **state)
{
    (void)state;
    for (int direction = FORWARD; direction <= BACKWARD; direction++) {
        struct estimator *estimator = estimator_new();

        for (int64_t i = 0; i < 100; i++)
            assert_false(estimator_observe(estimator, (enum direction)direction, i * NS_PER_S,
                                           i * NS_PER_S + BASE_NS));
        knows_nothing(estimator);
        estimator_free(estimator);
    }
}

/* An answer before its question, a negative round trip, stamps outside their range. */
static void impossible_stamps_are_left_out(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_MS, 1000);
    struct estimator *estimator = estimator_new();
    struct estimate before, after;

    estimator_observe(estimator, FORWARD, NS_PER_S, NS_PER_S);
    estimator_observe(estimator, BACKWARD, NS_PER_S - 1, NS_PER_S);
    knows_nothing(estimator);
    estimator_observe(estimator, FORWARD, NS_PER_S, NS_PER_S);
    estimator_observe(estimator, BACKWARD, NS_PER_S + 9, NS_PER_S + 10);
    knows_nothing(estimator);
    estimator_free(estimator);
    estimator = watched(&link, SETTLED);
    before = estimate_at(estimator, link.now_ns);
    estimator_observe(estimator, FORWARD, link.now_ns, INT64_MAX);
    estimator_observe(estimator, BACKWARD, INT64_MIN, link.now_ns);
    estimator_observe(estimator, FORWARD, link.now_ns - 100 * NS_PER_S, link.now_ns);
    after = estimate_at(estimator, link.now_ns);
    assert_int_equal(before.offset_ns, after.offset_ns);
    assert_true(before.freq_ppb == after.freq_ppb && before.offset_sd_ns == after.offset_sd_ns);
    assert_int_equal(before.samples, after.samples);
    estimator_free(estimator);
}

/* A long path: each answer arrives after the next question has left. */
static void frames_may_overtake_each_other(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 30e3);
    struct estimator *estimator = estimator_new();

    link.base_ns[FORWARD] = link.base_ns[BACKWARD] = 50 * NS_PER_MS;
    for (unsigned i = 0; i < SETTLED; i++)
        assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) < 5 * NS_PER_US);
    assert_true(fabs(estimate_at(estimator, link.now_ns).freq_ppb - 30e3) < 200);
    estimator_free(estimator);
}

static void asymmetry_shows_as_half_of_itself(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 0);
    struct estimator *estimator;

    link.base_ns[FORWARD] = 50 * NS_PER_US;
    link.base_ns[BACKWARD] = 30 * NS_PER_US;
    estimator = watched(&link, SETTLED);
    assert_true(timestamp_abs(error_now(estimator, &link) - 10 * NS_PER_US) <= 100);
    assert_true(fabs(estimate_at(estimator, link.now_ns).delay_ns - 40e3) < 300);
    estimator_free(estimator);
}

/* A stalled path shows in the delay, and weighs next to nothing. */
static void a_slow_round_hardly_weighs(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 0);
    struct estimator *estimator = watched(&link, SETTLED);

    link.base_ns[BACKWARD] += 200 * NS_PER_MS;
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) < NS_PER_US);
    link.base_ns[BACKWARD] = BASE_NS;
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) < NS_PER_US);
    estimator_free(estimator);
}

/* The error after one round with a prior that is wrong by error_ns and says sd_ns. */
static double error_with_prior(double error_ns, double sd_ns)
{
    struct link link = quiet_link(NS_PER_S, 20e3);
    struct estimator *estimator = estimator_new();
    const struct estimator_prior prior = {
        .master_raw_ns = link.now_ns - NS_PER_S,
        .offset_ns = link_offset(&link, link.now_ns - NS_PER_S) + timestamp_round(error_ns),
        .offset_sd_ns = sd_ns,
        .freq_ppb = 20e3,
        .freq_sd_ppb = 10};
    double error;

    link.base_ns[FORWARD] = link.base_ns[BACKWARD] = 10 * NS_PER_MS;
    link.queue_ns[FORWARD] = link.queue_ns[BACKWARD] = 1e6;
    estimator_expect(estimator, &prior);
    assert_false(link_round(&link, estimator));
    error = (double)error_now(estimator, &link);
    estimator_free(estimator);
    return error;
}

static void a_prior_makes_a_restart_cheap(void **state)
{
    (void)state;
    assert_true(fabs(error_with_prior(0, 1e3)) < 5e3);
}

static void a_prior_that_says_less_or_lies_is_ignored(void **state)
{
    (void)state;
    double without = error_with_prior(0, 1e9);

    assert_true(fabs(without) > 5e3 && fabs(without) < 2e6);
    assert_true(error_with_prior(1e12, 1e3) == without);
    assert_true(error_with_prior(0, (double)NAN) == without);
    assert_true(error_with_prior(0, -1) == without);
}

static int64_t any_stamp(struct dice *dice)
{
    const int64_t edge_ns = TIMESTAMP_LIMIT_NS - 1;

    switch (dice_below(dice, 4)) {
    case 0:
        return edge_ns;
    case 1:
        return -edge_ns;
    default:
        return (int64_t)dice_u64(dice) >> (1 + dice_below(dice, 63));
    }
}

/* Whatever a slave says: an estimate is numbers, or there is none. */
static void any_stamps_are_survived(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    unsigned estimates = 0;

    for (unsigned round = 0; round < 2000; round++) {
        struct estimator *estimator = estimator_new();
        struct estimate estimate;

        for (int64_t i = 1; i < 20; i++) {
            int64_t slave_ns = any_stamp(&dice);

            estimator_observe(estimator, FORWARD, i * NS_PER_S, slave_ns);
            estimator_observe(estimator, BACKWARD, i * NS_PER_S + BASE_NS, slave_ns);
            if (estimator_estimate(estimator, i * NS_PER_S, &estimate) < 0)
                continue;
            estimates++;
            assert_dice(&dice, isfinite(estimate.freq_ppb) && estimate.freq_sd_ppb > 0);
            assert_dice(&dice, isfinite(estimate.delay_ns) && estimate.delay_ns >= 0);
            assert_dice(&dice, isfinite(estimate.wander_ppb) && isfinite(estimate.jitter_ns));
            assert_dice(&dice, estimate.offset_sd_ns > 0 && isfinite(estimate.offset_sd_ns));
        }
        estimator_free(estimator);
    }
    assert_dice(&dice, estimates > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_noise_it_is_exact),
        cmocka_unit_test(shifts_of_both_clocks_change_nothing),
        cmocka_unit_test(precision_stays_over_months),
        cmocka_unit_test(the_offset_is_of_the_asked_instant),
        cmocka_unit_test(the_future_is_less_certain),
        cmocka_unit_test(one_exchange_is_the_least),
        cmocka_unit_test(frequency_is_learned_quickly),
        cmocka_unit_test(a_reset_forgets_everything),
        cmocka_unit_test(one_direction_alone_says_nothing),
        cmocka_unit_test(impossible_stamps_are_left_out),
        cmocka_unit_test(frames_may_overtake_each_other),
        cmocka_unit_test(asymmetry_shows_as_half_of_itself),
        cmocka_unit_test(a_slow_round_hardly_weighs),
        cmocka_unit_test(a_prior_makes_a_restart_cheap),
        cmocka_unit_test(a_prior_that_says_less_or_lies_is_ignored),
        cmocka_unit_test(any_stamps_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

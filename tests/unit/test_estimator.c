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
#define WINDOW 16 /* rounds that the estimator looks back on */
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
        struct estimator *estimator = watched(&link, WINDOW);
        struct estimate estimate = estimate_at(estimator, link.now_ns);

        assert_true(timestamp_abs(error_now(estimator, &link)) <= 3);
        assert_true(fabs(estimate.freq_ppb - link.freq_ppb) < 0.1);
        assert_true(fabs(estimate.delay_ns - (double)BASE_NS) < 100);
        assert_true(estimate.jitter_ns < 100);
        estimator_free(estimator);
    }
}

static void the_offset_is_of_the_asked_instant(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 20e3);
    struct estimator *estimator = watched(&link, WINDOW);
    const int64_t spans_ns[] = {-60 * NS_PER_S, 0, 100 * NS_PER_S, 3600 * NS_PER_S};

    for (size_t i = 0; i < COUNT(spans_ns); i++) {
        int64_t raw_ns = link.now_ns + spans_ns[i];
        struct estimate estimate = estimate_at(estimator, raw_ns);

        assert_true(timestamp_abs(estimate.offset_ns - link_offset(&link, raw_ns)) <= 10);
        assert_true(fabs(estimate.freq_ppb - 20e3) < 0.1);
    }
    estimator_free(estimator);
}

static void the_future_is_less_certain(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 0);
    struct estimator *estimator = watched(&link, WINDOW);
    double sd_ns = estimate_at(estimator, link.now_ns).offset_sd_ns;

    for (int64_t span_s = 10; span_s <= 100000; span_s *= 10) {
        struct estimate later = estimate_at(estimator, link.now_ns + span_s * NS_PER_S);

        /* The wander alone: W t^1.5 / sqrt 3 with W = 1e-8. */
        assert_true(later.offset_sd_ns > sd_ns);
        assert_true(later.offset_sd_ns > 10 * pow((double)span_s, 1.5) / sqrt(3));
        sd_ns = later.offset_sd_ns;
    }
    estimator_free(estimator);
}

static void two_rounds_are_the_least(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 1000);
    struct estimator *estimator = estimator_new();

    knows_nothing(estimator);
    for (unsigned rounds = 1; rounds <= 3 * WINDOW; rounds++) {
        assert_false(link_round(&link, estimator));
        if (rounds == 1)
            knows_nothing(estimator);
        else
            assert_int_equal(estimate_at(estimator, link.now_ns).samples,
                             rounds < WINDOW ? rounds : WINDOW);
    }
    estimator_free(estimator);
}

static void a_reset_forgets_everything(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 1000);
    struct estimator *estimator = watched(&link, WINDOW);

    estimator_observe(estimator, FORWARD, link.now_ns, link.now_ns);
    estimator_reset(estimator);
    knows_nothing(estimator);
    estimator_observe(estimator, BACKWARD, link.now_ns + NS_PER_MS, link.now_ns);
    link.now_ns += NS_PER_S;
    link.offset_ns = -NS_PER_S;
    assert_false(link_round(&link, estimator));
    knows_nothing(estimator);
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) <= 10);
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

/* A question is answered once, and the newest question is the one answered. */
static void questions_and_answers_are_paired(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 0);
    struct estimator *estimator = estimator_new();

    for (int64_t i = 1; i <= 5; i++) {
        int64_t t = i * NS_PER_S;

        estimator_observe(estimator, FORWARD, t - NS_PER_MS, t + 70 * NS_PER_MS);
        estimator_observe(estimator, FORWARD, t, t + BASE_NS);
        estimator_observe(estimator, BACKWARD, t + 2 * BASE_NS, t + BASE_NS);
        estimator_observe(estimator, BACKWARD, t + BASE_NS / 2, t + BASE_NS);
    }
    link.now_ns = 5 * NS_PER_S;
    assert_true(timestamp_abs(error_now(estimator, &link)) <= 1);
    assert_int_equal(estimate_at(estimator, link.now_ns).samples, 5);
    estimator_free(estimator);
}

static void impossible_exchanges_are_left_out(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_MS, 1000);
    struct estimator *estimator = watched(&link, WINDOW);
    struct estimate before = estimate_at(estimator, link.now_ns), after;

    estimator_observe(estimator, FORWARD, link.now_ns, link.now_ns);
    estimator_observe(estimator, BACKWARD, link.now_ns - 1, link.now_ns);
    estimator_observe(estimator, FORWARD, link.now_ns, link.now_ns);
    estimator_observe(estimator, BACKWARD, link.now_ns + 9, link.now_ns + 10);
    estimator_observe(estimator, FORWARD, link.now_ns, INT64_MAX);
    estimator_observe(estimator, BACKWARD, link.now_ns + 9, INT64_MAX);
    after = estimate_at(estimator, link.now_ns);
    assert_int_equal(before.offset_ns, after.offset_ns);
    assert_true(before.freq_ppb == after.freq_ppb && before.offset_sd_ns == after.offset_sd_ns);
    assert_int_equal(before.samples, after.samples);
    estimator_free(estimator);
}

static void asymmetry_shows_as_half_of_itself(void **state)
{
    (void)state;
    struct link link = quiet_link(NS_PER_S, 0);
    struct estimator *estimator;

    link.base_ns[FORWARD] = 50 * NS_PER_US;
    link.base_ns[BACKWARD] = 30 * NS_PER_US;
    estimator = watched(&link, WINDOW);
    assert_true(timestamp_abs(error_now(estimator, &link) - 10 * NS_PER_US) <= 1);
    assert_true(fabs(estimate_at(estimator, link.now_ns).delay_ns - 40e3) < 1);
    estimator_free(estimator);
}

/* Of every burst all exchanges but one are slow one way. */
static void the_least_delay_of_a_burst_counts(void **state)
{
    (void)state;
    for (unsigned quick = 0; quick < LINK_EXCHANGES; quick++) {
        struct link link = quiet_link(-NS_PER_S, -30e3);
        struct estimator *estimator = estimator_new();

        for (unsigned i = 0; i < 8 * LINK_EXCHANGES; i++) {
            link.base_ns[FORWARD] = i % LINK_EXCHANGES == quick ? BASE_NS : 20 * BASE_NS;
            assert_false(link_exchange(&link, estimator));
            link.now_ns += (i + 1) % LINK_EXCHANGES ? LINK_GAP_NS : link.interval_ns;
        }
        assert_true(timestamp_abs(error_now(estimator, &link)) <= 5);
        assert_int_equal(estimate_at(estimator, link.now_ns).samples, 8);
        estimator_free(estimator);
    }
}

/* A stalled path shows in the delay, and weighs next to nothing. */
static void a_slow_round_hardly_weighs(void **state)
{
    (void)state;
    struct link link = quiet_link(0, 0);
    struct estimator *estimator = watched(&link, WINDOW);

    link.base_ns[BACKWARD] += 200 * NS_PER_MS;
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) < 20 * NS_PER_US);
    link.base_ns[BACKWARD] = BASE_NS;
    assert_false(link_round(&link, estimator));
    assert_true(timestamp_abs(error_now(estimator, &link)) < 20 * NS_PER_US);
    assert_true(estimate_at(estimator, link.now_ns).jitter_ns > 1e6);
    estimator_free(estimator);
}

/* Rounds in which the slave's stamps are off; returns how often it restarted. */
static unsigned misled(struct link *link, struct estimator *estimator, unsigned rounds,
                       int64_t lie_ns)
{
    int64_t offset_ns = link->offset_ns;
    unsigned restarts = 0;

    link->offset_ns = offset_ns + lie_ns;
    for (unsigned i = 0; i < rounds; i++) {
        restarts += link_round(link, estimator);
        link->offset_ns -= lie_ns;
        assert_true(timestamp_abs(error_now(estimator, link)) < NS_PER_US);
        link->offset_ns += lie_ns;
    }
    link->offset_ns -= lie_ns;
    return restarts;
}

static void up_to_two_wrong_rounds_change_nothing(void **state)
{
    (void)state;
    const int64_t lies_ns[] = {NS_PER_MS, -NS_PER_S, YEAR_NS};

    for (unsigned i = 0; i < 2 * COUNT(lies_ns); i++) {
        struct link link = quiet_link(NS_PER_S, 10e3);
        struct estimator *estimator = watched(&link, WINDOW);

        assert_int_equal(misled(&link, estimator, 1 + i % 2, lies_ns[i / 2]), 0);
        for (unsigned rounds = 0; rounds < 2 * WINDOW; rounds++) {
            assert_false(link_round(&link, estimator));
            assert_true(timestamp_abs(error_now(estimator, &link)) < NS_PER_US);
        }
        estimator_free(estimator);
    }
}

static void after_three_wrong_rounds_the_clock_jumped(void **state)
{
    (void)state;
    const int64_t jumps_ns[] = {NS_PER_MS, -NS_PER_MS, NS_PER_S, -3600 * NS_PER_S, YEAR_NS};

    for (unsigned i = 0; i < COUNT(jumps_ns); i++) {
        struct link link = quiet_link(NS_PER_S, 10e3);
        struct estimator *estimator = watched(&link, WINDOW);

        assert_int_equal(misled(&link, estimator, 3, jumps_ns[i]), 0);
        link.offset_ns += jumps_ns[i];
        assert_true(link_round(&link, estimator));
        assert_true(timestamp_abs(error_now(estimator, &link)) < NS_PER_US);
        assert_int_equal(estimate_at(estimator, link.now_ns).samples, 4);
        for (unsigned rounds = 0; rounds < WINDOW; rounds++)
            assert_false(link_round(&link, estimator));
        assert_true(timestamp_abs(error_now(estimator, &link)) < 10);
        estimator_free(estimator);
    }
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
        cmocka_unit_test(the_offset_is_of_the_asked_instant),
        cmocka_unit_test(the_future_is_less_certain),
        cmocka_unit_test(two_rounds_are_the_least),
        cmocka_unit_test(a_reset_forgets_everything),
        cmocka_unit_test(one_direction_alone_says_nothing),
        cmocka_unit_test(questions_and_answers_are_paired),
        cmocka_unit_test(impossible_exchanges_are_left_out),
        cmocka_unit_test(asymmetry_shows_as_half_of_itself),
        cmocka_unit_test(the_least_delay_of_a_burst_counts),
        cmocka_unit_test(a_slow_round_hardly_weighs),
        cmocka_unit_test(up_to_two_wrong_rounds_change_nothing),
        cmocka_unit_test(after_three_wrong_rounds_the_clock_jumped),
        cmocka_unit_test(any_stamps_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

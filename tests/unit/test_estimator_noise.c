/* SPDX-License-Identifier: BSD-2-Clause */
/* Is the published uncertainty true, when frames queue and clocks wander? */
#include "core/estimator.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link.h"

#define RUNS 1000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct path {
    int64_t base_us[2];
    double queue_us[2];
};

static const struct path paths[] = {
    {{50, 50}, {5, 5}},          {{100, 100}, {50, 50}}, {{1000, 1000}, {100, 100}},
    {{10000, 10000}, {1000, 1000}}, {{100, 100}, {200, 20}}, {{90, 30}, {10, 10}},
};

static struct link noisy_link(const struct path *path, struct dice *dice)
{
    return (struct link){.dice = {.seed = dice->seed, .state = dice_u64(dice)},
                         .now_ns = 1000 * NS_PER_S,
                         .since_ns = 1000 * NS_PER_S,
                         .interval_ns = 4 * NS_PER_S,
                         .offset_ns = dice_between(dice, -NS_PER_S, NS_PER_S),
                         .freq_ppb = (double)dice_between(dice, -100000, 100000),
                         .wander_ppb = 1,
                         .base_ns = {path->base_us[0] * NS_PER_US, path->base_us[1] * NS_PER_US},
                         .queue_ns = {path->queue_us[0] * 1e3, path->queue_us[1] * 1e3}};
}

/* Half of the base paths' difference is nothing that stamps could tell. */
static double hidden_ns(const struct link *link)
{
    return fabs((double)(link->base_ns[FORWARD] - link->base_ns[BACKWARD])) / 2;
}

struct tally {
    unsigned runs, beyond, freq_beyond; /* beyond 3 sd */
    double squares, freq_squares;       /* of errors */
    double sds, freq_sds;
};

/* Compares the estimate for the next round's instant with the truth. */
static void tally_add(struct tally *tally, const struct link *link,
                      const struct estimator *estimator)
{
    struct estimate estimate;
    double error, freq_error;

    assert_int_equal(estimator_estimate(estimator, link->now_ns, &estimate), 0);
    error = (double)(estimate.offset_ns - link_offset(link, link->now_ns));
    freq_error = estimate.freq_ppb - link->freq_ppb;
    tally->runs++;
    tally->beyond += fabs(error) > 3 * estimate.offset_sd_ns + hidden_ns(link);
    tally->freq_beyond += fabs(freq_error) > 3 * estimate.freq_sd_ppb;
    tally->squares += error * error;
    tally->freq_squares += freq_error * freq_error;
    tally->sds += estimate.offset_sd_ns;
    tally->freq_sds += estimate.freq_sd_ppb;
}

static struct tally runs_over(const struct path *path, unsigned rounds, int64_t interval_ns,
                              double wander_ppb, struct dice *dice)
{
    struct tally tally = {0};

    for (unsigned run = 0; run < RUNS; run++) {
        struct link link = noisy_link(path, dice);
        struct estimator *estimator = estimator_new();

        link.interval_ns = interval_ns;
        link.wander_ppb = wander_ppb;
        for (unsigned i = 0; i < rounds; i++)
            assert_dice(dice, !link_round(&link, estimator));
        tally_add(&tally, &link, estimator);
        estimator_free(estimator);
    }
    return tally;
}

/* Measured over many seeds: at most 4 of 1000 beyond. */
static void errors_stay_within_three_sds(void **state)
{
    (void)state;
    const int64_t intervals_s[] = {1, 4, 16};
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths) * COUNT(intervals_s); i++) {
        int64_t interval_ns = intervals_s[i / COUNT(paths)] * NS_PER_S;
        struct tally tally = runs_over(&paths[i % COUNT(paths)], 20, interval_ns, 1, &dice);

        assert_dice(&dice, tally.beyond <= RUNS / 100);
        assert_dice(&dice, tally.freq_beyond <= RUNS / 100);
    }
}

/* Four rounds: the first that a group is formed on.  Measured: up to 9 of 1000. */
static void few_rounds_do_not_claim_too_much(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths); i++) {
        struct tally tally = runs_over(&paths[i], 4, 4 * NS_PER_S, 1, &dice);

        assert_dice(&dice, tally.beyond <= RUNS / 40);
        assert_dice(&dice, tally.freq_beyond <= RUNS / 40);
    }
}

/* W = 1e-8, the worst that the estimator is made for. */
static void wander_is_in_the_uncertainty(void **state)
{
    (void)state;
    const int64_t intervals_s[] = {1, 4, 16, 64};
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths) * COUNT(intervals_s); i++) {
        int64_t interval_ns = intervals_s[i / COUNT(paths)] * NS_PER_S;
        struct tally tally = runs_over(&paths[i % COUNT(paths)], 20, interval_ns, 10, &dice);

        assert_dice(&dice, tally.beyond <= 3 * RUNS / 200);
        assert_dice(&dice, tally.freq_beyond <= 3 * RUNS / 200);
    }
}

/* Nor is it an idle one: of the size of the errors. */
static void three_sds_are_no_more_than_needed(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (size_t i = 0; i < 5; i++) {
        struct tally tally = runs_over(&paths[i], 20, 4 * NS_PER_S, 10, &dice);

        assert_dice(&dice, tally.sds / RUNS < 3 * sqrt(tally.squares / RUNS));
        assert_dice(&dice, tally.freq_sds / RUNS < 5 * sqrt(tally.freq_squares / RUNS));
    }
}

/* Of eight exchanges in each of sixteen rounds the best ones tell: a small
 * fraction of the mean queueing time is left, plus what wanders meanwhile. */
static void noise_is_averaged_out(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (size_t i = 0; i < 5; i++) {
        const struct path *path = &paths[i];
        double queue_ns = (path->queue_us[0] + path->queue_us[1]) * 1e3 / 2;
        struct tally tally = runs_over(path, 20, 4 * NS_PER_S, 1, &dice);

        assert_dice(&dice, sqrt(tally.squares / RUNS) < 0.07 * queue_ns + 200);
    }
}

/* Thousands of rounds through the window, and no false alarm in them. */
static void the_window_turns_over(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths); i++) {
        struct link link = noisy_link(&paths[i], &dice);
        struct estimator *estimator = estimator_new();
        struct tally tally = {0};

        link.wander_ppb = 10;
        for (unsigned round = 0; round < 5000; round++) {
            assert_dice(&dice, !link_round(&link, estimator));
            if (round > 4)
                tally_add(&tally, &link, estimator);
        }
        assert_dice(&dice, tally.beyond < tally.runs / 100);
        assert_dice(&dice, tally.freq_beyond < tally.runs / 50);
        estimator_free(estimator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_stay_within_three_sds),
        cmocka_unit_test(few_rounds_do_not_claim_too_much),
        cmocka_unit_test(wander_is_in_the_uncertainty),
        cmocka_unit_test(three_sds_are_no_more_than_needed),
        cmocka_unit_test(noise_is_averaged_out),
        cmocka_unit_test(the_window_turns_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

#define RUNS 60
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

/* A round of one exchange, as on an idle group. */
static bool single(struct link *link, struct estimator *estimator)
{
    bool jumped = link_exchange(link, estimator);

    link->now_ns += link->interval_ns;
    link_wander(link, link->interval_ns);
    return jumped;
}

struct tally {
    unsigned looks;
    double squares, freq_squares; /* of errors in sds */
    double worst, freq_worst;
    double error_squares, sd_squares;
};

/* Compares the estimate for the next round's instant with the truth. */
static void tally_add(struct tally *tally, const struct link *link,
                      const struct estimator *estimator)
{
    struct estimate estimate;
    double error, z, freq_z;

    assert_int_equal(estimator_estimate(estimator, link->now_ns, &estimate), 0);
    error = fabs((double)(estimate.offset_ns - link_offset(link, link->now_ns)));
    z = fmax(0, error - hidden_ns(link)) / estimate.offset_sd_ns;
    freq_z = fabs(estimate.freq_ppb - link->freq_ppb) / estimate.freq_sd_ppb;
    tally->looks++;
    tally->squares += z * z;
    tally->freq_squares += freq_z * freq_z;
    tally->worst = fmax(tally->worst, z);
    tally->freq_worst = fmax(tally->freq_worst, freq_z);
    tally->error_squares += error * error;
    tally->sd_squares += estimate.offset_sd_ns * estimate.offset_sd_ns;
}

static void run(struct tally *tally, struct link *link, unsigned skip, unsigned rounds)
{
    struct estimator *estimator = estimator_new();

    assert_non_null(estimator);
    for (unsigned i = 0; i < rounds; i++) {
        assert_dice(&link->dice, !single(link, estimator));
        if (i >= skip)
            tally_add(tally, link, estimator);
    }
    estimator_free(estimator);
}

/* At every instant of a long run; the sds are of the errors' size, and no error is
 * beyond eight; 6.3 was the largest seen with five seeds. */
static void errors_are_as_large_as_said(void **state)
{
    (void)state;
    const int64_t intervals_s[] = {1, 4, 16};
    const double wanders_ppb[] = {1, 10};
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths) * COUNT(intervals_s) * COUNT(wanders_ppb); i++) {
        struct link link = noisy_link(&paths[i % COUNT(paths)], &dice);
        struct tally tally = {0};

        link.interval_ns = intervals_s[i / COUNT(paths) % COUNT(intervals_s)] * NS_PER_S;
        link.wander_ppb = wanders_ppb[i / COUNT(paths) / COUNT(intervals_s)];
        run(&tally, &link, 500, 3000);
        assert_dice(&dice, tally.worst < 8 && tally.freq_worst < 12);
        assert_dice(&dice, tally.squares / tally.looks < 1);
        assert_dice(&dice, tally.freq_squares / tally.looks < 2);
        assert_dice(&dice, tally.sd_squares < 10 * tally.error_squares + 1e4 * tally.looks);
    }
}

/* From the first exchange on. */
static void few_rounds_do_not_claim_too_much(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(paths); i++) {
        struct tally tally = {0};

        for (unsigned seed = 0; seed < RUNS; seed++) {
            struct link link = noisy_link(&paths[i], &dice);

            link.interval_ns = NS_PER_S / 2;
            run(&tally, &link, 0, 20);
        }
        assert_dice(&dice, tally.worst < 6 && tally.freq_worst < 6);
        assert_dice(&dice, tally.squares / tally.looks < 1);
    }
}

/* Both directions queue alike, so the plain mean of n exchanges is off by
 * lambda / sqrt(2 n): 0.05 lambda after 200. */
static void one_sided_noise_beats_the_plain_mean(void **state)
{
    (void)state;
    struct dice dice = dice_new();
    struct tally tally = {0};

    for (unsigned seed = 0; seed < RUNS; seed++) {
        struct link link = noisy_link(&paths[1], &dice);

        link.wander_ppb = 0.1;
        link.interval_ns = NS_PER_S;
        run(&tally, &link, 199, 200);
    }
    assert_dice(&dice, sqrt(tally.error_squares / tally.looks) < 0.7 * 0.05 * 50e3);
}

/* W = 1e-9 and 3e-8, and queues of 20 us behind ways of 100 us. */
static void wander_and_queues_are_found(void **state)
{
    (void)state;
    const double wanders_ppb[] = {1, 30};
    struct dice dice = dice_new();

    for (size_t i = 0; i < COUNT(wanders_ppb); i++) {
        struct link link = noisy_link(&paths[4], &dice);
        struct estimator *estimator = estimator_new();
        struct estimate estimate;

        link.wander_ppb = wanders_ppb[i];
        for (unsigned round = 0; round < 5000; round++)
            assert_dice(&dice, !single(&link, estimator));
        assert_int_equal(estimator_estimate(estimator, link.now_ns, &estimate), 0);
        assert_dice(&dice, estimate.wander_ppb > wanders_ppb[i] / 4);
        assert_dice(&dice, estimate.wander_ppb < wanders_ppb[i] * 4);
        assert_dice(&dice, fabs(estimate.jitter_ns - 20e3) < 5e3);
        assert_dice(&dice, fabs(estimate.delay_ns - 100e3) < 10e3);
        estimator_free(estimator);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_as_large_as_said),
        cmocka_unit_test(few_rounds_do_not_claim_too_much),
        cmocka_unit_test(one_sided_noise_beats_the_plain_mean),
        cmocka_unit_test(wander_and_queues_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

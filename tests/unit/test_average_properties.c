/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds for every group, whoever lies and however much. */
#include "core/average.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ballot.h"
#include "dice.h"

#define ROUNDS 2000
#define GOOD_SPREAD_NS (BALLOT_GATE_NS / 2)
#define JUST_OUTSIDE_NS (BALLOT_GATE_NS + GOOD_SPREAD_NS + 1)
#define ROUNDING_NS 1 /* of halves, which depends on where the median is */
#define FAR_AWAY_NS (INT64_C(1) << 60)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct group {
    struct average_clock clocks[BALLOT_SIZE];
    bool lies[BALLOT_SIZE];
    size_t count;
    int64_t base_ns;
};

static int64_t base_of_time(struct dice *dice)
{
    static const int64_t limits[] = {0, NS_PER_S, FAR_AWAY_NS};
    int64_t limit_ns = limits[dice_below(dice, COUNT(limits))];

    return dice_between(dice, -limit_ns, limit_ns);
}

/* Clocks that agree within half a gate. */
static void group_agree(struct group *group, size_t count, struct dice *dice)
{
    *group = (struct group){.count = count, .base_ns = base_of_time(dice)};
    for (size_t i = 0; i < count; i++) {
        group->clocks[i] = ballot_clock(group->base_ns + dice_between(dice, 0, GOOD_SPREAD_NS));
        group->clocks[i].rate_ppb = (double)dice_between(dice, 0, 1000) * BALLOT_GATE_PPB / 2000;
    }
}

static size_t group_honest(const struct group *group)
{
    size_t honest = 0;

    for (size_t i = 0; i < group->count; i++)
        honest += !group->lies[i];
    return honest;
}

/* What the honest ones among them make of it. */
static struct average group_truth(const struct group *group)
{
    struct average_clock clocks[BALLOT_SIZE];
    struct average average;
    size_t honest = 0;

    for (size_t i = 0; i < group->count; i++)
        if (!group->lies[i])
            clocks[honest++] = group->clocks[i];
    assert_int_equal(average_compute(clocks, honest, &ballot_warm, &average), 0);
    assert_int_equal(average.members, honest);
    return average;
}

static bool same_rate(double a_ppb, double b_ppb)
{
    return fabs(a_ppb - b_ppb) < 1e-6;
}

/* The liars are told from the others and change nothing at all. */
static void liars_change_nothing(struct group *group, const struct dice *dice)
{
    struct average truth = group_truth(group);
    struct average average;

    assert_dice(dice, average_compute(group->clocks, group->count, &ballot_warm, &average) == 0);
    assert_dice(dice, timestamp_abs(average.phase_ns - truth.phase_ns) <= ROUNDING_NS);
    assert_dice(dice, same_rate(average.rate_ppb, truth.rate_ppb));
    assert_dice(dice, average.spread_ns == truth.spread_ns);
    assert_dice(dice, average.members == group_honest(group) && average.voters == group->count);
    for (size_t i = 0; i < group->count; i++)
        assert_dice(dice, (group->clocks[i].verdict != VERDICT_COUNTED) == group->lies[i]);
}

static int64_t phase_lie(size_t kind)
{
    static const int64_t lies[] = {JUST_OUTSIDE_NS, 10 * NS_PER_MS, NS_PER_S, 3600 * NS_PER_S,
                                   FAR_AWAY_NS};
    int64_t lie_ns = lies[kind / 2 % COUNT(lies)];

    return kind % 2 ? -lie_ns : lie_ns;
}

static double rate_lie(size_t kind)
{
    static const double lies[] = {1.5 * BALLOT_GATE_PPB + 0.001, 1e5, 1e6, 1e300};
    double lie_ppb = lies[kind / 2 % COUNT(lies)];

    return kind % 2 ? -lie_ppb : lie_ppb;
}

static void one_phase_liar_is_excluded(void **state)
{
    (void)state;
    static const size_t counts[] = {3, 4, 5, 10};
    static struct group group;
    struct dice dice = dice_new();

    for (size_t kind = 0; kind < 10; kind++)
        for (size_t of = 0; of < COUNT(counts); of++)
            for (size_t liar = 0; liar < counts[of]; liar++) {
                group_agree(&group, counts[of], &dice);
                group.lies[liar] = true;
                group.clocks[liar].phase_ns = group.base_ns + phase_lie(kind);
                liars_change_nothing(&group, &dice);
                assert_dice(&dice, group.clocks[liar].verdict == VERDICT_FAR);
            }
}

static void one_rate_liar_is_excluded(void **state)
{
    (void)state;
    static const size_t counts[] = {3, 4, 5, 10};
    static struct group group;
    struct dice dice = dice_new();

    for (size_t kind = 0; kind < 8; kind++)
        for (size_t of = 0; of < COUNT(counts); of++)
            for (size_t liar = 0; liar < counts[of]; liar++) {
                group_agree(&group, counts[of], &dice);
                group.lies[liar] = true;
                group.clocks[liar].rate_ppb = rate_lie(kind);
                liars_change_nothing(&group, &dice);
                assert_dice(&dice, group.clocks[liar].verdict == VERDICT_FAST);
            }
}

/* The clock that measures the others has no sd, and may be the liar itself. */
static void a_lying_master_is_excluded(void **state)
{
    (void)state;
    static struct group group;
    struct dice dice = dice_new();

    for (size_t kind = 0; kind < 10; kind++) {
        group_agree(&group, 3 + kind, &dice);
        group.lies[0] = true;
        group.clocks[0].phase_ns = group.base_ns + phase_lie(kind);
        group.clocks[0].phase_sd_ns = group.clocks[0].rate_sd_ppb = 0;
        liars_change_nothing(&group, &dice);
    }
}

/* Chosen without favour: liars stand anywhere, at the first place too. */
static void pick_liars(struct group *group, size_t liars, struct dice *dice)
{
    while (liars > 0) {
        size_t i = dice_below(dice, group->count);

        liars -= !group->lies[i];
        group->lies[i] = true;
    }
}

static void a_colluding_minority_is_never_followed(void **state)
{
    (void)state;
    static struct group group;
    struct dice dice = dice_new();

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t count = 3 + dice_below(&dice, 38);
        int64_t lie_ns = phase_lie(dice_below(&dice, 10));

        group_agree(&group, count, &dice);
        pick_liars(&group, 1 + dice_below(&dice, (count - 1) / 2), &dice);
        for (size_t i = 0; i < count; i++)
            if (group.lies[i])
                group.clocks[i].phase_ns = group.base_ns + lie_ns;
        liars_change_nothing(&group, &dice);
    }
}

/* Liars that stay close to the gates, to be counted and drag the mean. */
static void a_subtle_minority_never_moves_the_group_beyond_the_gate(void **state)
{
    (void)state;
    static struct group group;
    struct dice dice = dice_new();
    int64_t furthest_ns = 0;

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t count = 3 + dice_below(&dice, 38);
        int64_t lie_ns = dice_between(&dice, 0, 2 * BALLOT_GATE_NS);
        struct average average;

        group_agree(&group, count, &dice);
        pick_liars(&group, (count - 1) / 2, &dice);
        for (size_t i = 0; i < count; i++)
            if (group.lies[i])
                group.clocks[i].phase_ns = group.base_ns + lie_ns;
        if (average_compute(group.clocks, count, &ballot_warm, &average) < 0)
            continue;
        average.phase_ns -= group.base_ns;
        assert_dice(&dice, average.phase_ns >= -BALLOT_GATE_NS);
        assert_dice(&dice, average.phase_ns <= GOOD_SPREAD_NS + BALLOT_GATE_NS);
        furthest_ns = average.phase_ns > furthest_ns ? average.phase_ns : furthest_ns;
    }
    assert_dice(&dice, furthest_ns > GOOD_SPREAD_NS);
}

static void half_of_them_colluding_move_nobody(void **state)
{
    (void)state;
    static struct group group;
    struct dice dice = dice_new();

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t half = 1 + dice_below(&dice, 20);
        int64_t lie_ns = 3 * phase_lie(dice_below(&dice, 8));

        group_agree(&group, 2 * half, &dice);
        pick_liars(&group, half, &dice);
        for (size_t i = 0; i < 2 * half; i++)
            if (group.lies[i])
                group.clocks[i].phase_ns = group.base_ns + lie_ns;
        ballot_disagrees(group.clocks, 2 * half, &ballot_warm);
    }
}

/* Some honest, some not, some new, some noisy. */
static void group_mix(struct group *group, struct dice *dice)
{
    size_t count = 1 + dice_below(dice, 30);

    group_agree(group, count, dice);
    for (size_t i = 0; i < count; i++) {
        struct average_clock *clock = &group->clocks[i];

        clock->votes = dice_below(dice, 5) > 0;
        clock->phase_sd_ns = (double)dice_below(dice, 5) * BALLOT_SD_NS;
        if (dice_below(dice, 4) == 0)
            clock->phase_ns = group->base_ns + phase_lie(dice_below(dice, 10));
        if (dice_below(dice, 6) == 0)
            clock->rate_ppb = rate_lie(dice_below(dice, 6));
    }
}

/* The gates of both are equal, so where one speaks the other does. */
static void order_does_not_matter(void **state)
{
    (void)state;
    static struct group group, shuffled;
    struct dice dice = dice_new();

    for (size_t round = 0; round < ROUNDS; round++) {
        struct average a, b;
        size_t at[BALLOT_SIZE] = {0};

        group_mix(&group, &dice);
        shuffled = group;
        for (size_t i = 0; i < group.count; i++) {
            size_t j = dice_below(&dice, i + 1);

            at[i] = at[j];
            at[j] = i;
        }
        for (size_t i = 0; i < group.count; i++)
            shuffled.clocks[i] = group.clocks[at[i]];
        assert_dice(&dice, average_compute(group.clocks, group.count, &ballot_warm, &a) ==
                               average_compute(shuffled.clocks, group.count, &ballot_warm, &b));
        assert_dice(&dice, a.phase_ns == b.phase_ns && same_rate(a.rate_ppb, b.rate_ppb));
        assert_dice(&dice, a.members == b.members && a.spread_ns == b.spread_ns);
        for (size_t i = 0; i < group.count; i++)
            assert_dice(&dice, shuffled.clocks[i].verdict == group.clocks[at[i]].verdict);
    }
}

static void a_shift_of_all_shifts_the_group_exactly(void **state)
{
    (void)state;
    static struct group group, shifted;
    struct dice dice = dice_new();

    for (size_t round = 0; round < ROUNDS; round++) {
        int64_t shift_ns = base_of_time(&dice);
        struct average a, b;

        group_mix(&group, &dice);
        shifted = group;
        for (size_t i = 0; i < group.count; i++)
            shifted.clocks[i].phase_ns += shift_ns;
        if (average_compute(group.clocks, group.count, &ballot_warm, &a) == 0) {
            assert_dice(&dice, average_compute(shifted.clocks, group.count, &ballot_warm, &b) == 0);
            assert_dice(&dice, b.phase_ns == a.phase_ns + shift_ns);
            assert_dice(&dice, a.spread_ns == b.spread_ns);
        } else {
            ballot_disagrees(shifted.clocks, group.count, &ballot_warm);
        }
        for (size_t i = 0; i < group.count; i++)
            assert_dice(&dice, shifted.clocks[i].verdict == group.clocks[i].verdict);
    }
}

static void a_thousand_clocks(void **state)
{
    (void)state;
    static struct group group;
    struct dice dice = dice_new();

    group_agree(&group, BALLOT_SIZE, &dice);
    pick_liars(&group, BALLOT_SIZE / 2 - 1, &dice);
    for (size_t i = 0; i < BALLOT_SIZE; i++)
        if (group.lies[i])
            group.clocks[i].phase_ns = group.base_ns + FAR_AWAY_NS;
    liars_change_nothing(&group, &dice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_phase_liar_is_excluded),
        cmocka_unit_test(one_rate_liar_is_excluded),
        cmocka_unit_test(a_lying_master_is_excluded),
        cmocka_unit_test(a_colluding_minority_is_never_followed),
        cmocka_unit_test(a_subtle_minority_never_moves_the_group_beyond_the_gate),
        cmocka_unit_test(half_of_them_colluding_move_nobody),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(a_shift_of_all_shifts_the_group_exactly),
        cmocka_unit_test(a_thousand_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

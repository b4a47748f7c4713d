/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/average.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ballot.h"

#define MS NS_PER_MS
#define EDGE BALLOT_EDGE_NS
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void verdicts_are(const struct average_clock *clocks, size_t count,
                         const enum clock_verdict *verdicts)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(clocks[i].verdict, verdicts[i]);
}

static void equals_average_at_a_cold_start(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 500 * MS, 1000 * MS};
    const enum clock_verdict counted[] = {VERDICT_COUNTED, VERDICT_COUNTED, VERDICT_COUNTED};
    struct average_clock clocks[3];

    ballot_fill(clocks, phases, 3);
    ballot_agrees(clocks, 2, &ballot_cold, 250 * MS, 2);
    verdicts_are(clocks, 2, counted);
    ballot_agrees(clocks, 3, &ballot_cold, 500 * MS, 3);
    verdicts_are(clocks, 3, counted);
}

static void synchronised_clocks_that_disagree_move_nobody(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 500 * MS, 1000 * MS};
    struct average_clock clocks[3];

    ballot_fill(clocks, phases, 3);
    ballot_disagrees(clocks, 2, &ballot_warm);
    ballot_disagrees(clocks, 3, &ballot_warm);
}

static void gates_and_counts_are_told_without_quorum(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 500 * MS, 1000 * MS};
    struct average_clock clocks[3];
    struct average average;

    ballot_fill(clocks, phases, 3);
    assert_int_equal(average_compute(clocks, 3, &ballot_warm, &average), -EAGAIN);
    assert_int_equal(average.gate_ns, BALLOT_GATE_NS);
    assert_true(average.gate_ppb == BALLOT_GATE_PPB);
    assert_int_equal(average.voters, 3);
    assert_int_equal(average.members, 1);
}

static void no_clock_is_no_ballot(void **state)
{
    (void)state;
    struct average_clock clock = ballot_clock(1);
    struct average average, before;

    memset(&average, 0x5a, sizeof average);
    before = average;
    assert_int_equal(average_compute(&clock, 0, &ballot_cold, &average), -EINVAL);
    assert_memory_equal(&average, &before, sizeof average);
    assert_int_equal(clock.verdict, VERDICT_NONE);
}

static void one_clock_is_its_own_group(void **state)
{
    (void)state;
    struct average_clock clock = {.phase_ns = -7 * MS, .rate_ppb = 12.5, .votes = true};
    struct average average;

    assert_int_equal(average_compute(&clock, 1, &ballot_warm, &average), 0);
    assert_int_equal(average.phase_ns, -7 * MS);
    assert_true(average.rate_ppb == 12.5);
    assert_int_equal(average.spread_ns, 0);
    assert_int_equal(clock.verdict, VERDICT_COUNTED);
}

static void odd_even_and_tied_counts(void **state)
{
    (void)state;
    const int64_t odd[] = {400, 0, 200};
    const int64_t even[] = {400, 0, 200, 100};
    const int64_t ties[] = {70, 70, 70, 10, 10, 10};
    struct average_clock clocks[6];

    ballot_fill(clocks, odd, 3);
    ballot_agrees(clocks, 3, &ballot_warm, 200, 3);
    ballot_fill(clocks, even, 4);
    ballot_agrees(clocks, 4, &ballot_warm, 175, 4);
    ballot_fill(clocks, ties, 6);
    ballot_agrees(clocks, 6, &ballot_warm, 40, 6);
    ballot_agrees(clocks, 3, &ballot_warm, 70, 3);
}

/* The median of an even number is in the middle of the middle two. */
static void two_clocks_may_be_two_gates_apart(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct average_clock clocks[2] = {ballot_clock(0),
                                          ballot_clock(sign * (2 * BALLOT_GATE_NS))};

        ballot_agrees(clocks, 2, &ballot_warm, sign * BALLOT_GATE_NS, 2);
        clocks[1].phase_ns += sign * INT64_C(2);
        ballot_disagrees(clocks, 2, &ballot_warm);
        clocks[1] = ballot_clock(0);
        clocks[1].rate_ppb = sign * 2 * BALLOT_GATE_PPB;
        ballot_agrees(clocks, 2, &ballot_warm, 0, 2);
        clocks[1].rate_ppb += sign;
        ballot_disagrees(clocks, 2, &ballot_warm);
    }
}

static void the_mean_and_its_uncertainty(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 300, 600};
    struct average_clock clocks[3];
    struct average average;

    ballot_fill(clocks, phases, 3);
    clocks[0].rate_ppb = 3;
    clocks[1].rate_ppb = 6;
    clocks[2].rate_ppb = 12;
    assert_int_equal(average_compute(clocks, 3, &ballot_warm, &average), 0);
    assert_int_equal(average.phase_ns, 300);
    assert_true(average.rate_ppb == 7);
    assert_int_equal(average.spread_ns, 600);
    assert_int_equal(average.voters, 3);
    assert_true(fabs(average.phase_sd_ns - BALLOT_SD_NS / sqrt(3)) < 1e-6);
    assert_true(fabs(average.rate_sd_ppb - BALLOT_SD_PPB / sqrt(3)) < 1e-6);
}

/* g = 8 median sd + 1 us, over all that have an sd, voters or not; of two the lower. */
static void gates_come_from_the_median_sds(void **state)
{
    (void)state;
    const double sds[] = {0, 500, 1e9, 100, 300};
    const int64_t gates[] = {1000, 5000, 5000, 5000, 3400};
    struct average_clock clocks[COUNT(sds)];
    struct average average;

    for (size_t i = 0; i < COUNT(sds); i++) {
        clocks[i] = ballot_clock(0);
        clocks[i].phase_sd_ns = sds[i];
        clocks[i].rate_sd_ppb = sds[i] / 1000;
        clocks[i].votes = i < 3;
        assert_int_equal(average_compute(clocks, i + 1, &ballot_warm, &average), 0);
        assert_int_equal(average.gate_ns, gates[i]);
        assert_true(fabs(average.gate_ppb - ((double)gates[i] - 1000) / 1000 - 10) < 1e-6);
    }
}

static void without_any_sd_the_floors_are_the_gates(void **state)
{
    (void)state;
    struct average_clock clocks[3] = {
        {.votes = true}, {.votes = true}, {.phase_ns = 1000, .rate_ppb = 10, .votes = true}};

    ballot_agrees(clocks, 3, &ballot_warm, 333, 3);
    clocks[2].phase_ns = 1001;
    ballot_agrees(clocks, 3, &ballot_warm, 0, 2);
    assert_int_equal(clocks[2].verdict, VERDICT_FAR);
    clocks[2].phase_ns = 1000;
    clocks[2].rate_ppb = nextafter(10, 11);
    ballot_agrees(clocks, 3, &ballot_warm, 0, 2);
    assert_int_equal(clocks[2].verdict, VERDICT_FAST);
}

static void the_gates_themselves_are_inside(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct average_clock clocks[3] = {ballot_clock(0), ballot_clock(0),
                                          ballot_clock(sign * BALLOT_GATE_NS)};

        ballot_agrees(clocks, 3, &ballot_warm, sign * BALLOT_GATE_NS / 3, 3);
        clocks[2].phase_ns += sign;
        ballot_agrees(clocks, 3, &ballot_warm, 0, 2);
        assert_int_equal(clocks[2].verdict, VERDICT_FAR);
        clocks[2] = ballot_clock(0);
        clocks[2].rate_ppb = sign * BALLOT_GATE_PPB;
        ballot_agrees(clocks, 3, &ballot_warm, 0, 3);
        clocks[2].rate_ppb = sign * nextafter(BALLOT_GATE_PPB, 1000);
        ballot_agrees(clocks, 3, &ballot_warm, 0, 2);
        assert_int_equal(clocks[2].verdict, VERDICT_FAST);
    }
}

static void cold_gates_are_ten_seconds_and_500_ppm(void **state)
{
    (void)state;
    struct average_clock clocks[3] = {ballot_clock(0), ballot_clock(0),
                                      ballot_clock(10 * NS_PER_S)};

    clocks[2].rate_ppb = 500000;
    ballot_agrees(clocks, 3, &ballot_cold, 3333333333, 3);
    clocks[2].phase_ns++;
    ballot_agrees(clocks, 3, &ballot_cold, 0, 2);
    assert_int_equal(clocks[2].verdict, VERDICT_FAR);
    clocks[2].phase_ns = 0;
    clocks[2].rate_ppb = 500001;
    ballot_agrees(clocks, 3, &ballot_cold, 0, 2);
    assert_int_equal(clocks[2].verdict, VERDICT_FAST);
}

static enum clock_verdict judged(int64_t phase_ns, double rate_ppb, double sd_ns, double sd_ppb)
{
    const struct average_clock clock = {.phase_ns = phase_ns,
                                        .rate_ppb = rate_ppb,
                                        .phase_sd_ns = sd_ns,
                                        .rate_sd_ppb = sd_ppb};

    return average_judge(&clock, 0, 0, 1000, 10);
}

static void noisy_far_and_fast(void **state)
{
    (void)state;
    assert_int_equal(judged(1000, 10, 0, 0), VERDICT_COUNTED);
    assert_int_equal(judged(5000, 0, 500, 0), VERDICT_NOISY);
    assert_int_equal(judged(-5000, 0, 500, 0), VERDICT_NOISY);
    assert_int_equal(judged(5001, 0, 500, 0), VERDICT_FAR);
    assert_int_equal(judged(0, 90, 0, 10), VERDICT_NOISY);
    assert_int_equal(judged(0, -90.5, 0, 10), VERDICT_FAST);
    assert_int_equal(judged(5000, 90, 500, 10), VERDICT_NOISY);
    assert_int_equal(judged(5001, 90, 500, 10), VERDICT_FAST);
    assert_int_equal(judged(5000, 91, 500, 10), VERDICT_FAST);
    assert_int_equal(judged(NS_PER_S, 1e6, 0, 0), VERDICT_FAST);
}

static void a_noisy_clock_does_not_count(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 0, 0, 0, 20000};
    struct average_clock clocks[5];

    ballot_fill(clocks, phases, 5);
    clocks[4].phase_sd_ns = 5000;
    ballot_agrees(clocks, 5, &ballot_warm, 0, 4);
    assert_int_equal(clocks[4].verdict, VERDICT_NOISY);
}

/* Two that cannot tell do not keep two that can from agreeing. */
static void noisy_clocks_abstain(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 0, 20000, -20000};
    struct average_clock clocks[4];

    ballot_fill(clocks, phases, 4);
    ballot_disagrees(clocks, 4, &ballot_warm);
    clocks[2].phase_sd_ns = clocks[3].phase_sd_ns = 3 * BALLOT_SD_NS;
    ballot_agrees(clocks, 4, &ballot_warm, 0, 2);
    assert_int_equal(clocks[3].verdict, VERDICT_NOISY);
}

static void half_of_the_voters_is_no_majority(void **state)
{
    (void)state;
    const int64_t torn[] = {-1000 * MS, 0, 0, 1000 * MS};
    const int64_t split[] = {0, 0, 1000 * MS, 1000 * MS};
    const int64_t enough[] = {-1000 * MS, 0, 0, 0, 1000 * MS};
    struct average_clock clocks[5];

    ballot_fill(clocks, torn, 4);
    ballot_disagrees(clocks, 4, &ballot_warm);
    ballot_fill(clocks, split, 4);
    ballot_disagrees(clocks, 4, &ballot_warm);
    ballot_fill(clocks, enough, 5);
    ballot_agrees(clocks, 5, &ballot_warm, 0, 3);
}

static void the_quorum_is_of_members(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 0, 0, 1000 * MS};
    struct average_rule rule = {.quorum = 3};
    struct average_clock clocks[4];

    ballot_fill(clocks, phases, 4);
    ballot_agrees(clocks, 4, &rule, 0, 3);
    ballot_agrees(clocks, 3, &rule, 0, 3);
    ballot_disagrees(clocks, 2, &rule);
    rule.quorum = 4;
    ballot_disagrees(clocks, 4, &rule);
    rule.cold = true;
    ballot_agrees(clocks, 4, &rule, 250 * MS, 4);
}

static void newcomers_follow_and_do_not_vote(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 100, 5000, 1000 * MS};
    const enum clock_verdict verdicts[] = {VERDICT_COUNTED, VERDICT_COUNTED, VERDICT_COUNTED,
                                           VERDICT_NEWCOMER};
    struct average_clock clocks[4];

    ballot_fill(clocks, phases, 4);
    clocks[2].votes = clocks[3].votes = false;
    ballot_agrees(clocks, 4, &ballot_warm, 50, 2);
    verdicts_are(clocks, 4, verdicts);
    clocks[2].rate_ppb = 91;
    ballot_agrees(clocks, 4, &ballot_warm, 50, 2);
    assert_int_equal(clocks[2].verdict, VERDICT_NEWCOMER);
}

static void without_voters_there_is_no_group(void **state)
{
    (void)state;
    struct average_clock clocks[3] = {{.phase_ns = 5}, {.phase_ns = 5, .reference = true}, {0}};

    ballot_disagrees(clocks, 3, &ballot_warm);
    ballot_disagrees(clocks, 3, &ballot_cold);
}

static void only_references_speak(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 0, 0, 1000 * MS};
    const enum clock_verdict verdicts[] = {VERDICT_NEWCOMER, VERDICT_NEWCOMER, VERDICT_NEWCOMER,
                                           VERDICT_REFERENCE};
    const struct average_rule rule = {.quorum = 3};
    struct average_clock clocks[4];

    ballot_fill(clocks, phases, 4);
    clocks[3].reference = true;
    ballot_agrees(clocks, 4, &rule, 1000 * MS, 1);
    verdicts_are(clocks, 4, verdicts);
    clocks[0].phase_ns = 1000 * MS + BALLOT_GATE_NS;
    ballot_agrees(clocks, 4, &rule, 1000 * MS, 1);
    assert_int_equal(clocks[0].verdict, VERDICT_COUNTED);
    clocks[3].votes = false;
    clocks[0].phase_ns = 0;
    ballot_agrees(clocks, 4, &rule, 0, 3);
    assert_int_equal(clocks[3].verdict, VERDICT_NEWCOMER);
}

static void references_are_judged_like_others(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 1000 * MS, 5000 * MS, 5000 * MS, 5000 * MS};
    struct average_clock clocks[5];
    struct average average;

    ballot_fill(clocks, phases, 5);
    clocks[0].reference = clocks[1].reference = true;
    assert_int_equal(average_compute(clocks, 5, &ballot_warm, &average), -EAGAIN);
    assert_int_equal(clocks[0].verdict, VERDICT_NO_QUORUM);
    assert_int_equal(clocks[2].verdict, VERDICT_NEWCOMER);
    assert_int_equal(average.voters, 2);
    clocks[2].phase_ns = 100;
    clocks[2].reference = true;
    ballot_agrees(clocks, 5, &ballot_warm, 50, 2);
    assert_int_equal(clocks[1].verdict, VERDICT_FAR);
    assert_int_equal(clocks[0].verdict, VERDICT_REFERENCE);
}

static void what_is_no_number_does_not_count(void **state)
{
    (void)state;
    const double wrong[] = {NAN, -NAN, INFINITY, -INFINITY};

    for (size_t at = 0; at < 5 * COUNT(wrong); at++) {
        struct average_clock clocks[5] = {ballot_clock(0), ballot_clock(100), ballot_clock(200),
                                          ballot_clock(300), ballot_clock(400)};
        struct average average;

        for (size_t i = 0; i < 5; i++)
            clocks[i].rate_ppb = (double)(i * 7 % 5);
        clocks[at % 5].rate_ppb = wrong[at / 5];
        assert_int_equal(average_compute(clocks, 5, &ballot_warm, &average), 0);
        assert_int_equal(average.members, 4);
        assert_int_equal(clocks[at % 5].verdict, VERDICT_FAST);
        assert_true(average.rate_ppb >= 0 && average.rate_ppb <= 4);
    }
}

static void an_sd_that_is_no_number_does_not_count(void **state)
{
    (void)state;
    const int64_t phases[] = {0, 0, 0, 0, 0};
    struct average_clock clocks[5];
    struct average average;

    ballot_fill(clocks, phases, 5);
    clocks[2].phase_sd_ns = NAN;
    clocks[0].rate_sd_ppb = NAN;
    assert_int_equal(average_compute(clocks, 5, &ballot_warm, &average), 0);
    assert_int_equal(average.members, 3);
    assert_int_equal(clocks[2].verdict, VERDICT_FAR);
    assert_int_equal(clocks[0].verdict, VERDICT_FAST);
    assert_true(fabs(average.phase_sd_ns - BALLOT_SD_NS / sqrt(3)) < 1e-6);
    assert_true(fabs(average.rate_sd_ppb - BALLOT_SD_PPB / sqrt(3)) < 1e-6);
}

static void only_numbers_that_are_none_make_no_group(void **state)
{
    (void)state;
    struct average_clock clocks[2] = {ballot_clock(0), ballot_clock(0)};

    clocks[0].rate_ppb = clocks[1].rate_ppb = NAN;
    ballot_disagrees(clocks, 2, &ballot_warm);
    ballot_disagrees(clocks, 2, &ballot_cold);
}

static void clocks_at_the_ends_of_time(void **state)
{
    (void)state;
    const int64_t phases[] = {EDGE, -EDGE, -EDGE, EDGE, EDGE};
    struct average_clock clocks[5];

    ballot_fill(clocks, phases, 5);
    ballot_disagrees(clocks, 2, &ballot_cold);
    ballot_agrees(clocks, 3, &ballot_cold, -EDGE, 2);
    ballot_disagrees(clocks, 4, &ballot_warm);
    ballot_agrees(clocks, 5, &ballot_warm, EDGE, 3);
    assert_int_equal(clocks[1].verdict, VERDICT_FAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_average_at_a_cold_start),
        cmocka_unit_test(synchronised_clocks_that_disagree_move_nobody),
        cmocka_unit_test(gates_and_counts_are_told_without_quorum),
        cmocka_unit_test(no_clock_is_no_ballot),
        cmocka_unit_test(one_clock_is_its_own_group),
        cmocka_unit_test(odd_even_and_tied_counts),
        cmocka_unit_test(two_clocks_may_be_two_gates_apart),
        cmocka_unit_test(the_mean_and_its_uncertainty),
        cmocka_unit_test(gates_come_from_the_median_sds),
        cmocka_unit_test(without_any_sd_the_floors_are_the_gates),
        cmocka_unit_test(the_gates_themselves_are_inside),
        cmocka_unit_test(cold_gates_are_ten_seconds_and_500_ppm),
        cmocka_unit_test(noisy_far_and_fast),
        cmocka_unit_test(a_noisy_clock_does_not_count),
        cmocka_unit_test(noisy_clocks_abstain),
        cmocka_unit_test(half_of_the_voters_is_no_majority),
        cmocka_unit_test(the_quorum_is_of_members),
        cmocka_unit_test(newcomers_follow_and_do_not_vote),
        cmocka_unit_test(without_voters_there_is_no_group),
        cmocka_unit_test(only_references_speak),
        cmocka_unit_test(references_are_judged_like_others),
        cmocka_unit_test(what_is_no_number_does_not_count),
        cmocka_unit_test(an_sd_that_is_no_number_does_not_count),
        cmocka_unit_test(only_numbers_that_are_none_make_no_group),
        cmocka_unit_test(clocks_at_the_ends_of_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Gates beyond the links' sds: for what clocks wander between rounds, and for references. */
#include "core/average.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ballot.h"

#define WANDER_PPB 10.0
#define APART_S 64.0
#define REFERENCE_GATE_NS NS_PER_MS
#define REFERENCE_GATE_PPB 1000.0

/* Of three that wander, W t^1.5 / sqrt 3 and W sqrt t off. */
static void gates_widen_by_what_clocks_wander(void **state)
{
    (void)state;
    const struct average_rule rule = {.quorum = 1, .apart_s = APART_S};
    double wandered_ns = WANDER_PPB * pow(APART_S, 1.5) / sqrt(3);
    struct average_clock clocks[3] = {ballot_clock(0), ballot_clock(0), ballot_clock(0)};
    struct average average;

    for (size_t i = 0; i < 3; i++)
        clocks[i].wander_ppb = WANDER_PPB;
    clocks[2].phase_ns = BALLOT_GATE_NS + 1;
    assert_int_equal(average_compute(clocks, 3, &ballot_warm, &average), 0);
    assert_int_equal(average.gate_ns, BALLOT_GATE_NS);
    assert_int_equal(average.members, 2);
    assert_int_equal(average_compute(clocks, 3, &rule, &average), 0);
    assert_true(fabs((double)average.gate_ns - 1000 - 8 * hypot(BALLOT_SD_NS, wandered_ns)) <= 1);
    assert_true(fabs(average.gate_ppb - 10 - 8 * hypot(BALLOT_SD_PPB, 8 * WANDER_PPB)) < 1e-6);
    assert_int_equal(average.members, 3);
}

/* One that is worse than most widens nothing. */
static void the_median_wander_counts(void **state)
{
    (void)state;
    const struct average_rule rule = {.quorum = 1, .apart_s = APART_S};
    struct average_clock clocks[3] = {ballot_clock(0), ballot_clock(0), ballot_clock(0)};
    struct average average;

    clocks[0].wander_ppb = 1e6;
    assert_int_equal(average_compute(clocks, 3, &rule, &average), 0);
    assert_int_equal(average.gate_ns, BALLOT_GATE_NS);
    assert_true(average.gate_ppb == BALLOT_GATE_PPB);
}

/* Two, each as far from the median as may be, and a follower between them. */
static void references_agree_within_a_gate_of_their_own(void **state)
{
    (void)state;
    struct average_clock clocks[3] = {ballot_clock(-REFERENCE_GATE_NS),
                                      ballot_clock(REFERENCE_GATE_NS), ballot_clock(0)};
    struct average average;

    clocks[0].reference = clocks[1].reference = true;
    clocks[0].rate_ppb = -REFERENCE_GATE_PPB;
    clocks[1].rate_ppb = REFERENCE_GATE_PPB;
    assert_int_equal(average_compute(clocks, 3, &ballot_warm, &average), 0);
    assert_int_equal(average.phase_ns, 0);
    assert_int_equal(average.members, 2);
    /* The follower's allows for what the mean is uncertain by. */
    assert_int_equal(average.gate_ns, lround(hypot(BALLOT_GATE_NS, 8 * average.phase_sd_ns)));
    assert_int_equal(clocks[2].verdict, VERDICT_COUNTED);
    clocks[2].phase_ns = average.gate_ns + 1;
    assert_int_equal(average_compute(clocks, 3, &ballot_warm, &average), 0);
    assert_int_equal(clocks[2].verdict, VERDICT_NEWCOMER);
    clocks[1].phase_ns += 2;
    ballot_disagrees(clocks, 2, &ballot_warm);
    clocks[1].phase_ns -= 2;
    clocks[1].rate_ppb += 1;
    ballot_disagrees(clocks, 2, &ballot_warm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_widen_by_what_clocks_wander),
        cmocka_unit_test(the_median_wander_counts),
        cmocka_unit_test(references_agree_within_a_gate_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

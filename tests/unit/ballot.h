/* SPDX-License-Identifier: BSD-2-Clause */
/* ballot: clocks to average, for tests of the rule. */
#ifndef BERKELEY_TESTS_BALLOT_H
#define BERKELEY_TESTS_BALLOT_H

#include "core/average.h"
#include "core/timestamp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BALLOT_SIZE 1000
#define BALLOT_SD_NS 1000.0
#define BALLOT_GATE_NS INT64_C(9000) /* 8 * BALLOT_SD_NS + 1 us */
#define BALLOT_SD_PPB 10.0
#define BALLOT_GATE_PPB 90.0 /* 8 * BALLOT_SD_PPB + 10 */
#define BALLOT_EDGE_NS (TIMESTAMP_LIMIT_NS - 1)

static const struct average_rule ballot_warm = {.quorum = 1};
static const struct average_rule ballot_cold = {.cold = true, .quorum = 1};

static inline struct average_clock ballot_clock(int64_t phase_ns)
{
    return (struct average_clock){.phase_ns = phase_ns,
                                  .phase_sd_ns = BALLOT_SD_NS,
                                  .rate_sd_ppb = BALLOT_SD_PPB,
                                  .votes = true};
}

static inline void ballot_fill(struct average_clock *clocks, const int64_t *phases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        clocks[i] = ballot_clock(phases[i]);
}

static inline void ballot_agrees(struct average_clock *clocks, size_t count,
                                 const struct average_rule *rule, int64_t phase_ns,
                                 unsigned members)
{
    struct average average;

    assert_int_equal(average_compute(clocks, count, rule, &average), 0);
    assert_int_equal(average.phase_ns, phase_ns);
    assert_int_equal(average.members, members);
}

static inline void ballot_disagrees(struct average_clock *clocks, size_t count,
                                    const struct average_rule *rule)
{
    struct average average;

    assert_int_equal(average_compute(clocks, count, rule, &average), -EAGAIN);
    assert_int_equal(average.phase_ns, 0);
    assert_true(average.rate_ppb == 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(clocks[i].verdict,
                         clocks[i].votes ? VERDICT_NO_QUORUM : VERDICT_NEWCOMER);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exchange.h"

#include "core/timestamp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"

#define NEVER INT64_MAX
#define EDGE (TIMESTAMP_LIMIT_NS - 1)

static void measures(struct exchange exchange, int64_t offset_ns, int64_t delay_ns)
{
    int64_t offset = 0, delay = 0;
    unsigned faults = ~0U;

    assert_int_equal(exchange_measure(&exchange, NEVER, &offset, &delay, &faults), 0);
    assert_true(offset == offset_ns);
    assert_true(delay == delay_ns);
    assert_int_equal(faults, 0);
}

static void refuses(struct exchange exchange, int64_t deadline_ns, unsigned expected)
{
    int64_t offset = 11, delay = 12;
    unsigned faults = 0;

    assert_int_equal(exchange_measure(&exchange, deadline_ns, &offset, &delay, &faults), -EBADMSG);
    assert_int_equal(faults, expected);
    assert_int_equal(offset, 11);
    assert_int_equal(delay, 12);
}

static void slave_ahead_is_positive(void **state)
{
    (void)state;
    measures((struct exchange){.t1_ns = 0, .t2_ns = 1040, .t3_ns = 1050, .t4_ns = 90}, 1000, 80);
    measures((struct exchange){.t1_ns = 0, .t2_ns = -960, .t3_ns = -950, .t4_ns = 90}, -1000, 80);
}

static void asymmetry_shows_as_half_of_itself(void **state)
{
    (void)state;
    measures((struct exchange){.t1_ns = 0, .t2_ns = 60, .t3_ns = 60, .t4_ns = 80}, 20, 80);
}

static void every_fault_has_its_bit(void **state)
{
    (void)state;
    const struct exchange backwards = {.t1_ns = 10, .t2_ns = 5, .t3_ns = 5, .t4_ns = 9};
    const struct exchange unsent = {.t1_ns = 10, .t2_ns = 5, .t3_ns = 4, .t4_ns = 20};
    const struct exchange held = {.t1_ns = 10, .t2_ns = 100, .t3_ns = 111, .t4_ns = 20};
    const struct exchange good = {.t1_ns = 10, .t2_ns = 100, .t3_ns = 110, .t4_ns = 20};

    refuses(backwards, NEVER, EXCHANGE_FAULT_MASTER_ORDER);
    refuses(unsent, NEVER, EXCHANGE_FAULT_SLAVE_ORDER);
    refuses(held, NEVER, EXCHANGE_FAULT_DELAY);
    refuses(good, 19, EXCHANGE_FAULT_LATE);
    measures(good, 90, 0);
}

static void faults_add_up(void **state)
{
    (void)state;
    const struct exchange exchange = {.t1_ns = 10, .t2_ns = 5, .t3_ns = 4, .t4_ns = 9};

    refuses(exchange, 8,
            EXCHANGE_FAULT_MASTER_ORDER | EXCHANGE_FAULT_SLAVE_ORDER | EXCHANGE_FAULT_LATE);
}

static void the_deadline_itself_is_in_time(void **state)
{
    (void)state;
    const struct exchange exchange = {.t1_ns = 10, .t2_ns = 100, .t3_ns = 110, .t4_ns = 20};
    int64_t offset = 0, delay = 0;
    unsigned faults = 0;

    assert_int_equal(exchange_measure(&exchange, 20, &offset, &delay, &faults), 0);
}

static void each_stamp_is_looked_at(void **state)
{
    (void)state;
    const int64_t impossible[] = {TIMESTAMP_LIMIT_NS, -TIMESTAMP_LIMIT_NS, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
        int64_t v = impossible[i];

        refuses((struct exchange){.t1_ns = v}, NEVER, EXCHANGE_FAULT_RANGE);
        refuses((struct exchange){.t2_ns = v}, NEVER, EXCHANGE_FAULT_RANGE);
        refuses((struct exchange){.t3_ns = v}, NEVER, EXCHANGE_FAULT_RANGE);
        refuses((struct exchange){.t4_ns = v}, 0, EXCHANGE_FAULT_RANGE);
    }
}

static void clocks_at_the_ends_of_time(void **state)
{
    (void)state;
    const struct exchange ahead = {.t1_ns = -EDGE, .t2_ns = EDGE, .t3_ns = EDGE, .t4_ns = -EDGE};
    const struct exchange behind = {.t1_ns = EDGE, .t2_ns = -EDGE, .t3_ns = -EDGE, .t4_ns = EDGE};
    const struct exchange slow = {.t1_ns = -EDGE, .t2_ns = 0, .t3_ns = 0, .t4_ns = EDGE};
    const struct exchange both = {.t1_ns = -EDGE, .t2_ns = -EDGE, .t3_ns = EDGE, .t4_ns = EDGE};

    measures(ahead, 2 * EDGE, 0);
    measures(behind, -2 * EDGE, 0);
    measures(slow, 0, 2 * EDGE);
    measures(both, 0, 0);
}

static void any_stamps_are_measured_or_refused(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 100000; i++) {
        unsigned shift = (unsigned)dice_below(&dice, 64);
        struct exchange exchange = {
            .t1_ns = (int64_t)dice_u64(&dice) >> shift,
            .t2_ns = (int64_t)dice_u64(&dice) >> shift,
            .t3_ns = (int64_t)dice_u64(&dice) >> shift,
            .t4_ns = (int64_t)dice_u64(&dice) >> shift,
        };
        int64_t offset = 0, delay = -1;
        unsigned faults = 0;
        int r = exchange_measure(&exchange, (int64_t)dice_u64(&dice), &offset, &delay, &faults);

        assert_dice(&dice, r == 0 ? faults == 0 && delay >= 0 : faults != 0 && delay == -1);
    }
}

/* offset - true offset = (forward - backward delay) / 2, to the half nanosecond. */
static void error_is_half_of_the_asymmetry(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 100000; i++) {
        int64_t theta = dice_between(&dice, -3600 * NS_PER_S, 3600 * NS_PER_S);
        int64_t forward = dice_between(&dice, 0, NS_PER_S);
        int64_t backward = dice_between(&dice, 0, NS_PER_S);
        struct exchange exchange = {.t1_ns = dice_between(&dice, 0, 1000 * NS_PER_S)};
        int64_t offset = 0, delay = 0;
        unsigned faults = 0;

        exchange.t2_ns = exchange.t1_ns + forward + theta;
        exchange.t3_ns = exchange.t2_ns + dice_between(&dice, 0, NS_PER_MS);
        exchange.t4_ns = exchange.t3_ns - theta + backward;
        assert_dice(&dice, exchange_measure(&exchange, NEVER, &offset, &delay, &faults) == 0);
        assert_dice(&dice, delay == forward + backward);
        assert_dice(&dice, timestamp_abs(2 * (offset - theta) - (forward - backward)) <= 1);
        assert_dice(&dice,
                    2 * timestamp_abs(offset - theta) <= timestamp_abs(forward - backward) + 1);
    }
}

static void faults_have_names(void **state)
{
    (void)state;
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_RANGE), "range");
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_MASTER_ORDER), "master-order");
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_SLAVE_ORDER), "slave-order");
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_DELAY), "delay");
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_LATE), "late");
    assert_string_equal(exchange_fault_name(EXCHANGE_FAULT_DELAY | EXCHANGE_FAULT_LATE), "delay");
    assert_string_equal(exchange_fault_name(0), "unknown");
    assert_string_equal(exchange_fault_name(1U << 31), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slave_ahead_is_positive),
        cmocka_unit_test(asymmetry_shows_as_half_of_itself),
        cmocka_unit_test(every_fault_has_its_bit),
        cmocka_unit_test(faults_add_up),
        cmocka_unit_test(the_deadline_itself_is_in_time),
        cmocka_unit_test(each_stamp_is_looked_at),
        cmocka_unit_test(clocks_at_the_ends_of_time),
        cmocka_unit_test(any_stamps_are_measured_or_refused),
        cmocka_unit_test(error_is_half_of_the_asymmetry),
        cmocka_unit_test(faults_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

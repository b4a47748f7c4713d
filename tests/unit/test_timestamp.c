/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/timestamp.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"

__extension__ typedef __int128 wide;

#define DAY_NS (86400 * NS_PER_S)

static void valid_is_strictly_inside_the_limit(void **state)
{
    (void)state;
    assert_true(timestamp_valid(0));
    assert_true(timestamp_valid(TIMESTAMP_LIMIT_NS - 1));
    assert_true(timestamp_valid(-TIMESTAMP_LIMIT_NS + 1));
    assert_false(timestamp_valid(TIMESTAMP_LIMIT_NS));
    assert_false(timestamp_valid(-TIMESTAMP_LIMIT_NS));
    assert_false(timestamp_valid(INT64_MAX));
    assert_false(timestamp_valid(INT64_MIN));
}

static void sums_are_checked(void **state)
{
    (void)state;
    int64_t out = 7;

    assert_int_equal(timestamp_add(INT64_MAX, 1, &out), -EOVERFLOW);
    assert_int_equal(timestamp_add(INT64_MIN, -1, &out), -EOVERFLOW);
    assert_int_equal(timestamp_sub(INT64_MIN, 1, &out), -EOVERFLOW);
    assert_int_equal(timestamp_sub(0, INT64_MIN, &out), -EOVERFLOW);
    assert_int_equal(out, 7);

    assert_int_equal(timestamp_add(INT64_MAX - 1, 1, &out), 0);
    assert_true(out == INT64_MAX);
    assert_int_equal(timestamp_sub(-1, INT64_MAX, &out), 0);
    assert_true(out == INT64_MIN);
}

static void any_two_stamps_add_and_subtract(void **state)
{
    (void)state;
    int64_t high = TIMESTAMP_LIMIT_NS - 1;
    int64_t out = 0;

    assert_int_equal(timestamp_add(high, high, &out), 0);
    assert_int_equal(timestamp_add(-high, -high, &out), 0);
    assert_int_equal(timestamp_sub(-high, high, &out), 0);
    assert_int_equal(timestamp_sub(high, -high, &out), 0);
    assert_true(out == INT64_MAX - 1);
}

static void abs_has_no_overflow(void **state)
{
    (void)state;
    assert_true(timestamp_abs(-5) == 5);
    assert_true(timestamp_abs(5) == 5);
    assert_true(timestamp_abs(0) == 0);
    assert_true(timestamp_abs(INT64_MIN) == INT64_MAX);
    assert_true(timestamp_abs(INT64_MIN + 1) == INT64_MAX);
}

static void clamp_limits_both_signs(void **state)
{
    (void)state;
    assert_true(timestamp_clamp(11, 10) == 10);
    assert_true(timestamp_clamp(-11, 10) == -10);
    assert_true(timestamp_clamp(10, 10) == 10);
    assert_true(timestamp_clamp(-9, 10) == -9);
    assert_true(timestamp_clamp(3, 0) == 0);
    assert_true(timestamp_clamp(INT64_MIN, INT64_MAX) == -INT64_MAX);
}

static void round_goes_to_the_nearest(void **state)
{
    (void)state;
    assert_true(timestamp_round(0.49) == 0);
    assert_true(timestamp_round(0.5) == 1);
    assert_true(timestamp_round(-0.5) == -1);
    assert_true(timestamp_round(-0.49) == 0);
    assert_true(timestamp_round(0.49999999999999994) == 0);
    assert_true(timestamp_round(4503599627370497.0) == INT64_C(4503599627370497));
}

static void round_saturates(void **state)
{
    (void)state;
    assert_true(timestamp_round((double)NAN) == 0);
    assert_true(timestamp_round((double)INFINITY) == INT64_MAX);
    assert_true(timestamp_round(-(double)INFINITY) == INT64_MIN);
    assert_true(timestamp_round(0x1p63) == INT64_MAX);
    assert_true(timestamp_round(-0x1p63) == INT64_MIN);
    assert_true(timestamp_round(0x1.fffffffffffffp62) == INT64_MAX - 1023);
}

static void drift_has_the_sign_of_its_factors(void **state)
{
    (void)state;
    assert_true(timestamp_drift(NS_PER_S, 1.0) == 1);
    assert_true(timestamp_drift(NS_PER_S, -1.0) == -1);
    assert_true(timestamp_drift(-NS_PER_S, 1.0) == -1);
    assert_true(timestamp_drift(DAY_NS, 1e6) == 86400 * NS_PER_MS);
    assert_true(timestamp_drift(NS_PER_S, 0.5) == 1);
    assert_true(timestamp_drift(NS_PER_S, 0.4999) == 0);
    assert_true(timestamp_drift(3 * NS_PER_S, 0.5) == 2);
    assert_true(timestamp_drift(-3 * NS_PER_S, 0.5) == -2);
    assert_true(timestamp_drift(0, 1e6) == 0);
    assert_true(timestamp_drift(DAY_NS, 0.0) == 0);
}

/* rate = k / 2^20 ppb, so span * k / (2^20 * 10^9) is the drift without any
 * rounding; ours may be half a nanosecond from it. */
static void drift_is_exact_to_the_nanosecond(void **state)
{
    (void)state;
    const wide unit = (wide)NS_PER_S << 20;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 200000; i++) {
        int64_t span_ns = dice_between(&dice, -40 * DAY_NS, 40 * DAY_NS) >> dice_below(&dice, 40);
        int64_t k = dice_between(&dice, -(INT64_C(1000000) << 20), INT64_C(1000000) << 20);
        wide drift = timestamp_drift(span_ns, (double)k / 0x1p20);
        wide error = drift * unit - (wide)span_ns * k;

        assert_dice(&dice, 2 * (error < 0 ? -error : error) <= unit + unit / 1000000);
    }
}

static void drift_saturates(void **state)
{
    (void)state;
    assert_true(timestamp_drift(INT64_MAX, 1e10) == INT64_MAX);
    assert_true(timestamp_drift(INT64_MIN, 1e10) == INT64_MIN);
    assert_true(timestamp_drift(INT64_MIN, -1e300) == INT64_MAX);
    assert_true(timestamp_drift(1, (double)INFINITY) == INT64_MAX);
    assert_true(timestamp_drift(-1, (double)INFINITY) == INT64_MIN);
    assert_true(timestamp_drift(0, (double)INFINITY) == 0);
    assert_true(timestamp_drift(NS_PER_S, (double)NAN) == 0);
    assert_true(timestamp_drift(INT64_MIN, 1e9) == INT64_MIN);
}

static void map_says_what_the_correction_shall_be(void **state)
{
    (void)state;
    struct map map = {.raw_ns = 100 * NS_PER_S, .total_ns = -5000, .freq_ppb = 2000.0};

    assert_true(map_total_at(&map, 100 * NS_PER_S) == -5000);
    assert_true(map_total_at(&map, 101 * NS_PER_S) == -3000);
    assert_true(map_total_at(&map, 99 * NS_PER_S) == -7000);
}

static void map_saturates(void **state)
{
    (void)state;
    struct map late = {.raw_ns = -TIMESTAMP_LIMIT_NS, .total_ns = INT64_MAX, .freq_ppb = 1e9};
    struct map early = {.raw_ns = TIMESTAMP_LIMIT_NS, .total_ns = INT64_MIN, .freq_ppb = 1e9};

    assert_true(map_total_at(&late, INT64_MAX) == INT64_MAX);
    assert_true(map_total_at(&early, INT64_MIN) == INT64_MIN);
    late.total_ns = 0;
    assert_true(map_total_at(&late, INT64_MAX) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_is_strictly_inside_the_limit),
        cmocka_unit_test(sums_are_checked),
        cmocka_unit_test(any_two_stamps_add_and_subtract),
        cmocka_unit_test(abs_has_no_overflow),
        cmocka_unit_test(clamp_limits_both_signs),
        cmocka_unit_test(round_goes_to_the_nearest),
        cmocka_unit_test(round_saturates),
        cmocka_unit_test(drift_has_the_sign_of_its_factors),
        cmocka_unit_test(drift_is_exact_to_the_nanosecond),
        cmocka_unit_test(drift_saturates),
        cmocka_unit_test(map_says_what_the_correction_shall_be),
        cmocka_unit_test(map_saturates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

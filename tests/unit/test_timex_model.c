/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/timex_model.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dice.h"

#define RAW0 (INT64_C(12345) * NS_PER_S + 678)
#define REAL0 (INT64_C(1700000000) * NS_PER_S + 250 * NS_PER_MS)
#define PPM (INT64_C(1) << 16)

static struct timex_model booted(void)
{
    struct timex_model model;

    timex_model_init(&model, RAW0, REAL0);
    return model;
}

static struct timex slew_order(int64_t offset_ns)
{
    return (struct timex){
        .modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_OFFSET,
        .status = STA_PLL | STA_FREQHOLD,
        .offset = offset_ns,
    };
}

static struct timex look(struct timex_model *model)
{
    struct timex timex = {.modes = 0};

    assert_return_code(timex_model_adjust(model, model->raw_ns, &timex), 0);
    return timex;
}

/* To just after the n-th second boundary from here. */
static void pass_seconds(struct timex_model *model, int n)
{
    int64_t until = (model->real_ns / NS_PER_S + n) * NS_PER_S;

    while (model->real_ns < until)
        timex_model_advance(model, model->raw_ns + NS_PER_MS);
}

static void assert_near(int64_t value, int64_t wanted, int64_t tolerance)
{
    if (!(value >= wanted - tolerance && value <= wanted + tolerance))
        fail_msg("%" PRId64 " is not %" PRId64 " +- %" PRId64, value, wanted, tolerance);
}

static void boots_unsynchronised(void **state)
{
    struct timex_model model = booted();
    struct timex timex = {.modes = 0};

    (void)state;
    assert_int_equal(timex_model_adjust(&model, RAW0, &timex), TIME_ERROR);
    assert_int_equal(timex.status, STA_UNSYNC);
    assert_int_equal(timex.tick, 10000);
    assert_int_equal(timex.maxerror, 16000000);
    assert_int_equal(timex.freq, 0);
    assert_int_equal(timex.time.tv_sec, 1700000000);
    assert_int_equal(timex.time.tv_usec, 250000);
    assert_int_equal(timex_model_read(&model, RAW0 + 10 * NS_PER_S), REAL0 + 10 * NS_PER_S);
}

static void runs_at_frequency_and_tick(void **state)
{
    struct timex_model model = booted();
    struct timex timex = {.modes = ADJ_FREQUENCY, .freq = 100 * PPM};

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_near(timex_model_read(&model, RAW0 + 10 * NS_PER_S) - REAL0, 10 * NS_PER_S + NS_PER_MS,
                1);
    timex = (struct timex){.modes = ADJ_TICK, .tick = 9999};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_near(timex_model_read(&model, RAW0 + 10 * NS_PER_S) - REAL0, 10 * NS_PER_S, 1);
}

static void remainder_falls_by_a_quarter_a_second(void **state)
{
    static const int64_t measured[] = {75000000, 56250000, 42187500, 31640625, 23730468};
    struct timex_model model = booted();
    struct timex timex = slew_order(100 * NS_PER_MS);

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.offset, 100 * NS_PER_MS);
    assert_int_equal(timex_model_read(&model, RAW0 + 749 * NS_PER_MS), REAL0 + 749 * NS_PER_MS);
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++) {
        pass_seconds(&model, 1);
        assert_near(look(&model).offset, measured[i], 1);
        assert_int_equal(look(&model).freq, 0);
    }
}

/* A chunk is a rate for one second of the corrected clock, so it delivers a
 * little less than it says: 1.2 % of 100 ms. */
static void slew_ends_by_itself(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(100 * NS_PER_MS);

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    timex_model_advance(&model, RAW0 + 200 * NS_PER_S);
    int64_t gained_ns = model.real_ns - REAL0 - 200 * NS_PER_S;
    assert_true(gained_ns > 98500000 && gained_ns < 99000000);
    assert_int_equal(look(&model).offset, 0);
    assert_int_equal(timex_model_read(&model, RAW0 + 300 * NS_PER_S) - model.real_ns,
                     100 * NS_PER_S);
}

static void pieces_do_not_matter(void **state)
{
    struct dice dice = dice_new();

    (void)state;
    for (int run = 0; run < 20; run++) {
        struct timex_model whole = booted();
        struct timex timex = slew_order(dice_between(&dice, -500 * NS_PER_MS, 500 * NS_PER_MS));
        timex.modes |= ADJ_FREQUENCY;
        timex.freq = dice_between(&dice, -500 * PPM, 500 * PPM);
        (void)timex_model_adjust(&whole, RAW0, &timex);
        struct timex_model pieces = whole;
        int64_t end = RAW0 + dice_between(&dice, 10 * NS_PER_S, 11 * NS_PER_S);
        for (int64_t raw = RAW0; raw < end; raw += dice_between(&dice, 1, 3 * NS_PER_MS))
            timex_model_advance(&pieces, raw);
        timex_model_advance(&pieces, end);
        timex_model_advance(&whole, end);
        assert_dice(&dice, memcmp(&whole, &pieces, sizeof whole) == 0);
    }
}

static void never_runs_back(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(-500 * NS_PER_MS);
    int64_t before = model.real_ns;

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    for (int i = 1; i < 10000; i++) {
        timex_model_advance(&model, RAW0 + i * INT64_C(300001));
        assert_true(model.real_ns > before);
        before = model.real_ns;
    }
    timex_model_advance(&model, RAW0);
    assert_int_equal(model.real_ns, before);
}

static void limits_offset_and_frequency(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(600 * NS_PER_MS);

    (void)state;
    timex.modes |= ADJ_FREQUENCY | ADJ_MAXERROR;
    timex.freq = -501 * PPM;
    timex.maxerror = 17000000;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.offset, 500 * NS_PER_MS);
    assert_int_equal(timex.freq, -500 * PPM);
    assert_int_equal(timex.maxerror, 16000000);
}

static void frequency_is_read_back_as_set(void **state)
{
    struct timex_model model = booted();

    (void)state;
    for (int64_t freq = -500 * PPM; freq <= 500 * PPM; freq += 4999) {
        struct timex timex = {.modes = ADJ_FREQUENCY, .freq = freq};
        (void)timex_model_adjust(&model, RAW0, &timex);
        assert_int_equal(timex.freq, freq);
    }
}

static void adjtime_moves_500_us_a_second(void **state)
{
    static const int64_t left[] = {700, 200, 0};
    struct timex_model model = booted();
    struct timex timex = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = 1200};

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.offset, 0);
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        pass_seconds(&model, 1);
        timex = (struct timex){.modes = ADJ_OFFSET_SS_READ, .offset = 77};
        (void)timex_model_adjust(&model, model.raw_ns, &timex);
        assert_int_equal(timex.offset, left[i]);
    }
    timex_model_advance(&model, RAW0 + 10 * NS_PER_S);
    assert_near(model.real_ns - REAL0 - 10 * NS_PER_S, 1200 * NS_PER_US, NS_PER_US);
}

/* What is read back excludes the chunk of this second, which an order does not touch. */
static void adjtime_replaces_all_but_the_chunk(void **state)
{
    struct timex_model model = booted();
    struct timex timex = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = -1200};

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    pass_seconds(&model, 1);
    timex_model_advance(&model, model.raw_ns + 500 * NS_PER_MS);
    timex = (struct timex){.modes = ADJ_OFFSET_SINGLESHOT, .offset = 3};
    (void)timex_model_adjust(&model, model.raw_ns, &timex);
    assert_int_equal(timex.offset, -700);
    timex = (struct timex){.modes = ADJ_OFFSET_SS_READ};
    (void)timex_model_adjust(&model, model.raw_ns, &timex);
    assert_int_equal(timex.offset, 3);
    timex_model_advance(&model, RAW0 + 10 * NS_PER_S);
    assert_near(model.real_ns - REAL0 - 10 * NS_PER_S, -497 * NS_PER_US, NS_PER_US);
}

static void maxerror_grows_to_unsynchronised(void **state)
{
    struct timex_model model = booted();
    struct timex timex = {.modes = ADJ_STATUS | ADJ_MAXERROR, .maxerror = 15999000};

    (void)state;
    assert_int_equal(timex_model_adjust(&model, RAW0, &timex), TIME_OK);
    pass_seconds(&model, 1);
    assert_int_equal(look(&model).maxerror, 15999500);
    pass_seconds(&model, 1);
    assert_int_equal(look(&model).status & STA_UNSYNC, 0);
    pass_seconds(&model, 1);
    assert_int_equal(look(&model).maxerror, 16000000);
    assert_int_equal(look(&model).status & STA_UNSYNC, STA_UNSYNC);
}

static void setting_the_time_drops_slew_and_state(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(100 * NS_PER_MS);

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    pass_seconds(&model, 1);
    timex_model_advance(&model, model.raw_ns + 300 * NS_PER_MS);
    int64_t before = model.real_ns;
    timex = (struct timex){.modes = ADJ_SETOFFSET | ADJ_NANO,
                           .time = {.tv_sec = -2, .tv_usec = 999999999}};
    assert_int_equal(timex_model_adjust(&model, model.raw_ns, &timex), TIME_ERROR);
    assert_int_equal(model.real_ns, before - NS_PER_S - 1);
    assert_int_equal(model.backward_ns, NS_PER_S + 1);
    assert_int_equal(timex.offset, 0);
    assert_int_equal(timex.maxerror, 16000000);
    assert_int_equal(timex_model_read(&model, model.raw_ns + 5 * NS_PER_S),
                     model.real_ns + 5 * NS_PER_S);
    timex = (struct timex){.modes = ADJ_SETOFFSET, .time = {.tv_sec = 1, .tv_usec = 5}};
    before = model.real_ns;
    (void)timex_model_adjust(&model, model.raw_ns, &timex);
    assert_int_equal(model.real_ns, before + NS_PER_S + 5 * NS_PER_US);
    assert_int_equal(model.backward_ns, NS_PER_S + 1);
}

static void refuses_what_the_kernel_refuses(void **state)
{
    static const struct timex bad[] = {
        {.modes = ADJ_TICK, .tick = 8999},
        {.modes = ADJ_TICK, .tick = 11001},
        {.modes = 0x8000},
        {.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {.tv_usec = 1000000000}},
        {.modes = ADJ_SETOFFSET, .time = {.tv_usec = 1000000}},
        {.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {.tv_usec = -1}},
        {.modes = ADJ_SETOFFSET, .time = {.tv_sec = -1700000001}},
        {.modes = ADJ_SETOFFSET, .time = {.tv_sec = INT64_MAX}},
        {.modes = ADJ_FREQUENCY, .freq = INT64_MAX},
        {.modes = ADJ_FREQUENCY, .freq = INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct timex_model model = booted();
        struct timex_model before = model;
        struct timex timex = bad[i];
        assert_int_equal(timex_model_adjust(&model, RAW0, &timex), -EINVAL);
        assert_memory_equal(&model, &before, sizeof model);
    }
}

static void status_follows_the_kernels_rules(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(NS_PER_MS);

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.status, STA_PLL | STA_FREQHOLD | STA_NANO);

    timex = (struct timex){.modes = ADJ_STATUS, .status = STA_PLL | STA_CLOCKERR | STA_INS};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.status, STA_PLL | STA_NANO | STA_INS);

    timex = (struct timex){.modes = ADJ_STATUS, .status = STA_INS};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.status, STA_INS);
    assert_int_equal(timex.offset, 1000);

    timex = (struct timex){.modes = ADJ_OFFSET, .offset = 5};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.offset, 1000);
}

static void time_constant_depends_on_nano(void **state)
{
    struct timex_model model = booted();
    struct timex timex = {.modes = ADJ_TIMECONST, .constant = 0};

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.constant, 4);
    timex = (struct timex){.modes = ADJ_TIMECONST, .constant = 9};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.constant, 10);
    timex = (struct timex){.modes = ADJ_TIMECONST | ADJ_NANO | ADJ_TAI, .constant = 3};
    (void)timex_model_adjust(&model, RAW0, &timex);
    assert_int_equal(timex.constant, 3);
    assert_int_equal(timex.tai, 3);
}

/* freq += offset * interval / 2^(2 * (2 + 2 + constant)), interval <= 8 s here:
 * 1 ms * 8 s / 2^8 = 31.25 us/s. */
static void loop_learns_unless_held(void **state)
{
    struct timex_model model = booted();
    struct timex timex = slew_order(NS_PER_MS);

    (void)state;
    (void)timex_model_adjust(&model, RAW0, &timex);
    timex_model_advance(&model, RAW0 + 20 * NS_PER_S);
    timex = slew_order(NS_PER_MS);
    (void)timex_model_adjust(&model, model.raw_ns, &timex);
    assert_int_equal(timex.freq, 0);

    timex_model_advance(&model, RAW0 + 40 * NS_PER_S);
    timex = slew_order(NS_PER_MS);
    timex.status &= ~STA_FREQHOLD;
    (void)timex_model_adjust(&model, model.raw_ns, &timex);
    assert_near(timex.freq, 2048000, 1);
}

static void damage_is_seen(void **state)
{
    struct timex_model good = booted(), bad = good;

    (void)state;
    assert_true(timex_model_valid(&good));
    bad.constant = 200;
    assert_false(timex_model_valid(&bad));
    bad = good;
    bad.tick_us = 0;
    assert_false(timex_model_valid(&bad));
    bad = good;
    bad.real_ns = INT64_MAX;
    assert_false(timex_model_valid(&bad));
    bad = good;
    bad.chunk_scaled = INT64_MIN;
    assert_false(timex_model_valid(&bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boots_unsynchronised),
        cmocka_unit_test(runs_at_frequency_and_tick),
        cmocka_unit_test(remainder_falls_by_a_quarter_a_second),
        cmocka_unit_test(slew_ends_by_itself),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(never_runs_back),
        cmocka_unit_test(limits_offset_and_frequency),
        cmocka_unit_test(frequency_is_read_back_as_set),
        cmocka_unit_test(adjtime_moves_500_us_a_second),
        cmocka_unit_test(adjtime_replaces_all_but_the_chunk),
        cmocka_unit_test(maxerror_grows_to_unsynchronised),
        cmocka_unit_test(setting_the_time_drops_slew_and_state),
        cmocka_unit_test(refuses_what_the_kernel_refuses),
        cmocka_unit_test(status_follows_the_kernels_rules),
        cmocka_unit_test(time_constant_depends_on_nano),
        cmocka_unit_test(loop_learns_unless_held),
        cmocka_unit_test(damage_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

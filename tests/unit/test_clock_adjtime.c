/* SPDX-License-Identifier: BSD-2-Clause */
/* Both slews of the kernel at once. */
#include "virtual_kernel.h"

#include "daemon/clock_meddling.h"

#include <stdlib.h>

#include "dice.h"

/* More than the calls of a look and a steer. */
#define CALLS_MAX 12

static int64_t total_ns(const struct virtual_kernel *kernel)
{
    return kernel->model.real_ns - kernel->model.raw_ns;
}

static void slew(struct clock *clock, double freq_ppb, int64_t slew_ns, int64_t adjtime_ns)
{
    struct order order = {.freq_ppb = freq_ppb,
                          .slew_ns = slew_ns,
                          .adjtime_ns = adjtime_ns,
                          .maxerror_ns = 100 * NS_PER_US,
                          .synchronised = true};

    assert_int_equal(clock_steer(clock, &order), 0);
}

static void foreign_adjtime(struct virtual_kernel *kernel, long offset_us)
{
    struct timex timex = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = offset_us};

    assert_return_code(timex_model_adjust(&kernel->model, kernel->model.raw_ns, &timex), 0);
}

static int64_t remainder_of(struct virtual_kernel *kernel)
{
    struct timex timex = {.modes = 0};

    (void)timex_model_adjust(&kernel->model, kernel->model.raw_ns, &timex);
    return clock_settings_of(&timex).remainder_ns;
}

static void status_tells_both(void **state)
{
    static const int64_t left_us[] = {-700, -200, 0, 0};
    static const int64_t chunk_us[] = {-500, -500, -200, 0};
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);
    int64_t pll_ns = 8 * NS_PER_MS;

    (void)state;
    slew(clock, 0, pll_ns, -1200 * NS_PER_US);
    assert_int_equal(look(clock).adjtime_left_ns, -1200 * NS_PER_US);
    assert_near(look(clock).slew_left_ns, 6800 * NS_PER_US, 1);
    assert_int_equal(look(clock).underway_ns, 0);
    for (size_t i = 0; i < sizeof left_us / sizeof left_us[0]; i++) {
        pass_boundary(&kernel, 400 * NS_PER_MS);
        struct clock_status status = look(clock);
        int64_t underway_ns = to_come(pll_ns / 4 + chunk_us[i] * NS_PER_US, 0.6);
        pll_ns -= pll_ns / 4;
        assert_int_equal(status.adjtime_left_ns, left_us[i] * NS_PER_US);
        assert_near(status.underway_ns, underway_ns, 10);
        assert_near(status.slew_left_ns, pll_ns + left_us[i] * NS_PER_US + underway_ns, 20);
    }
    assert_int_equal(lines, 0);
    clock_free(clock);
}

/* An earlier chunk stays under way when its remainder is replaced. */
static void replaced_but_for_the_chunk(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    slew(clock, 0, 0, 5 * NS_PER_MS);
    pass_boundary(&kernel, 250 * NS_PER_MS);
    int64_t before_ns = total_ns(&kernel);
    assert_near(look(clock).underway_ns, to_come(500 * NS_PER_US, 0.75), 10);
    slew(clock, 0, 0, -7999);
    assert_int_equal(look(clock).adjtime_left_ns, -7000);
    pass_boundary(&kernel, 500 * NS_PER_MS);
    assert_near(look(clock).underway_ns, to_come(-7000, 0.5), 10);
    pass_boundary(&kernel, 0);
    assert_near(total_ns(&kernel) - before_ns, 368 * NS_PER_US, NS_PER_US);
    assert_int_equal(lines, 0);
    clock_free(clock);
}

/* A boundary in every gap between the calls of a look and of the order that rests on it,
 * taken in at once or at a tick 2 ms later, with the remainders of old and new order of
 * any signs: always what was under way and what was ordered is delivered. */
static void boundary_in_every_gap(void **state)
{
    (void)state;
    for (int signs = 0; signs < 32; signs++) {
        for (int gap = 0; gap < CALLS_MAX; gap++) {
            struct virtual_kernel kernel;
            struct clock *clock = virtual_clock(&kernel, NULL);

            slew(clock, 0, signs & 1 ? NS_PER_MS : -NS_PER_MS, signs & 2 ? 1500000 : -1500000);
            pass_boundary(&kernel, 500 * NS_PER_MS);
            (void)look(clock);
            pass_boundary(&kernel, -NS_PER_US * gap - NS_PER_US / 2);
            kernel.call_ns = NS_PER_US;
            kernel.late_ns = signs & 16 ? 2 * NS_PER_MS : 0;
            struct clock_status status = look(clock);
            int64_t slew_ns = signs & 4 ? 700000 : -700000;
            int64_t adjtime_ns = signs & 8 ? 600000 : -600000;
            int64_t before_ns = total_ns(&kernel);
            slew(clock, 0, slew_ns, adjtime_ns);
            kernel.call_ns = kernel.late_ns = 0;
            pass(&kernel, 60 * NS_PER_S);
            assert_int_equal(look(clock).slew_left_ns, 0);
            assert_near(total_ns(&kernel) - before_ns, status.underway_ns + slew_ns + adjtime_ns,
                        5 * NS_PER_US);
            assert_int_equal(lines, 0);
            clock_free(clock);
        }
    }
}

struct promise {
    int64_t raw_ns, total_ns; /* what the slews shall have brought it to, frequency aside */
    double freq_ppb;
};

static int64_t promised(const struct promise *promise, const struct clock_status *status)
{
    return promise->total_ns +
           timestamp_drift(status->now.raw_ns - promise->raw_ns, promise->freq_ppb);
}

static void order_something(struct dice *dice, struct clock *clock,
                            const struct clock_status *status, struct promise *promise)
{
    int64_t slew_ns = dice_between(dice, -NS_PER_MS, NS_PER_MS);
    int64_t adjtime_ns = dice_between(dice, -2000, 2000) * NS_PER_US;

    if (dice_below(dice, 4) == 0)
        slew_ns = 0;
    if (dice_below(dice, 4) == 0)
        adjtime_ns = 0;
    *promise = (struct promise){
        .raw_ns = status->now.raw_ns,
        .total_ns = status->now.total_ns + status->underway_ns + slew_ns + adjtime_ns,
        .freq_ppb = (double)dice_between(dice, -50000, 50000),
    };
    slew(clock, promise->freq_ppb, slew_ns, adjtime_ns);
}

/* Half the time to where a boundary is near: some ms if ticks are late, else some us. */
static void pass_somewhere(struct dice *dice, struct virtual_kernel *kernel, bool late)
{
    int64_t near_ns = late ? 5 * NS_PER_MS : CALLS_MAX * NS_PER_US;

    pass(kernel, dice_between(dice, 10 * NS_PER_MS, 3 * NS_PER_S));
    if (dice_below(dice, 2) == 0)
        pass_boundary(kernel, -dice_between(dice, 0, near_ns));
    kernel->late_ns = late ? dice_between(dice, 0, 4 * NS_PER_MS) : 0;
}

/* Whenever it is looked at or steered, half the time at a boundary: what was
 * delivered and what is left come to what was ordered, and nobody is suspected. Then
 * the daemon dies.  Of the PLL's remainder c^2 is not delivered: up to 3 us in all;
 * while a tick is 4 ms late, 4 ms of c are not known of: 3 us. */
static void delivers_what_was_ordered(void **state)
{
    struct dice dice = dice_new();

    (void)state;
    for (int run = 0; run < 200; run++) {
        bool late = run % 2;
        struct virtual_kernel kernel;
        struct clock *clock = virtual_clock(&kernel, NULL);
        struct promise promise;
        struct clock_status status = look(clock);
        int64_t slack_ns = late ? 7 * NS_PER_US : 3 * NS_PER_US;

        kernel.call_ns = late ? 0 : dice_between(&dice, 0, 2 * NS_PER_US);
        order_something(&dice, clock, &status, &promise);
        for (int i = 0; i < 30; i++) {
            pass_somewhere(&dice, &kernel, late);
            status = look(clock);
            int64_t brought_ns = status.now.total_ns + status.slew_left_ns;
            assert_dice(&dice, timestamp_abs(brought_ns - promised(&promise, &status)) <= slack_ns);
            if (dice_below(&dice, 3) > 0)
                order_something(&dice, clock, &status, &promise);
        }
        assert_dice(&dice, lines == 0);
        kernel.late_ns = 0;
        pass(&kernel, 60 * NS_PER_S);
        status = look(clock);
        assert_dice(&dice, status.slew_left_ns == 0);
        assert_dice(&dice,
                    timestamp_abs(status.now.total_ns - promised(&promise, &status)) <= slack_ns);
        clock_free(clock);
    }
}

/* Taken in between look and order, with nothing left that tells: the next look knows. */
static void boundary_unseen_is_made_up_for(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    slew(clock, 0, 0, 0);
    pass_boundary(&kernel, -NS_PER_US);
    kernel.late_ns = 2 * NS_PER_MS;
    (void)look(clock);
    pass(&kernel, 2 * NS_PER_US);
    slew(clock, 0, 0, 900 * NS_PER_US);
    kernel.late_ns = 0;
    pass_boundary(&kernel, 500 * NS_PER_MS);
    assert_near(look(clock).underway_ns, to_come(500 * NS_PER_US, 0.5), 10);
    clock_free(clock);
}

/* c in a second of the corrected clock, which is as much shorter: c / (1 + c). */
static double delivered_ns(double slew_s, double adjtime_s)
{
    double sum = 0;

    for (int i = 0; i < 1000; i++) {
        double chunk = slew_s / 4;
        double step = adjtime_s < -5e-4 ? -5e-4 : adjtime_s > 5e-4 ? 5e-4 : adjtime_s;
        slew_s -= chunk;
        adjtime_s -= step;
        sum += (chunk + step) / (1 + chunk + step);
    }
    return sum * 1e9;
}

/* A fast start that nobody ends: the rest is delivered too, and no more. */
static void opposed_slews_come_to_their_sum(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);
    int64_t before_ns = total_ns(&kernel);

    (void)state;
    slew(clock, 0, 400 * NS_PER_MS, -300 * NS_PER_MS);
    for (int i = 0; i < 700; i++) {
        pass(&kernel, NS_PER_S);
        (void)look(clock);
    }
    assert_int_equal(look(clock).slew_left_ns, 0);
    assert_near(total_ns(&kernel) - before_ns, (int64_t)delivered_ns(0.4, -0.3), 10 * NS_PER_US);
    assert_int_equal(lines, 0);
    clock_free(clock);
}

/* Ended in the second after, they have delivered the PLL's first chunk. */
static void fast_start_is_ended(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);
    int64_t before_ns = total_ns(&kernel);

    (void)state;
    slew(clock, 0, 40 * NS_PER_MS, -30 * NS_PER_MS);
    pass_boundary(&kernel, 500 * NS_PER_MS);
    (void)look(clock);
    slew(clock, 0, 0, 0);
    pass(&kernel, 60 * NS_PER_S);
    assert_near(total_ns(&kernel) - before_ns, 9500 * NS_PER_US, 100 * NS_PER_US);
    assert_int_equal(lines, 0);
    clock_free(clock);
}

/* Cut off between its calls, no order leaves the PLL without what runs against it. */
static void fast_slew_is_never_alone(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);
    struct order order = {.slew_ns = 400 * NS_PER_MS, .adjtime_ns = -300 * NS_PER_MS};

    (void)state;
    kernel.writes_max = kernel.writes + 2;
    assert_int_equal(clock_steer(clock, &order), -EIO);
    assert_int_equal(remainder_of(&kernel), 0);
    assert_int_equal(kernel.model.singleshot_us, -300000);
    kernel.writes_max = 0;
    assert_int_equal(clock_steer(clock, &order), 0);
    assert_near(remainder_of(&kernel), 400 * NS_PER_MS, 1);
    assert_int_equal(kernel.model.singleshot_us, -300000);

    order = (struct order){0};
    kernel.writes_max = kernel.writes + 2;
    assert_int_equal(clock_steer(clock, &order), -EIO);
    assert_int_equal(remainder_of(&kernel), 0);
    assert_int_equal(kernel.model.singleshot_us, -300000);
    clock_free(clock);
}

static void orders_are_limited(void **state)
{
    static const int64_t orders[] = {INT64_MIN, INT64_MAX};
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        slew(clock, 0, 0, orders[i]);
        assert_int_equal(kernel.model.singleshot_us, orders[i] < 0 ? -500000 : 500000);
    }
    assert_int_equal(lines, 0);
    clock_free(clock);
}

static void foreign_adjtime_is_told(void **state)
{
    static const long meddling_us[] = {9000, 0, 2501, -3500, INT64_MIN, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof meddling_us / sizeof meddling_us[0]; i++) {
        struct virtual_kernel kernel;
        struct clock *clock = virtual_clock(&kernel, NULL);

        slew(clock, 0, 0, 5 * NS_PER_MS);
        for (int second = 0; second < 3; second++) {
            pass(&kernel, NS_PER_S);
            (void)look(clock);
        }
        assert_int_equal(lines, 0);
        foreign_adjtime(&kernel, meddling_us[i]);
        (void)look(clock);
        assert_int_equal(lines, 1);
        assert_non_null(strstr(heard, "by another program: adjtime slew 3500 -> "));
        slew(clock, 0, 0, NS_PER_MS);
        assert_int_equal(look(clock).adjtime_left_ns, NS_PER_MS);
        pass(&kernel, 5 * NS_PER_S);
        assert_int_equal(look(clock).adjtime_left_ns, 0);
        assert_int_equal(lines, 1);
        clock_free(clock);
    }
}

/* At start: counted as left, replaced by the first order. */
static void leftover_is_counted_and_replaced(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    foreign_adjtime(&kernel, 9000);
    pass_boundary(&kernel, 500 * NS_PER_MS);
    assert_int_equal(look(clock).adjtime_left_ns, 8500 * NS_PER_US);
    assert_near(look(clock).slew_left_ns, 8500 * NS_PER_US + to_come(500 * NS_PER_US, 0.5), 10);
    assert_near(look(clock).underway_ns, to_come(500 * NS_PER_US, 0.5), 10);
    slew(clock, 0, 0, -3000);
    assert_int_equal(kernel.model.singleshot_us, -3);
    foreign_adjtime(&kernel, 20000000);
    assert_int_equal(look(clock).adjtime_left_ns, 20 * NS_PER_S);
    clock_free(clock);
}

static void quiet_for_hours(void **state)
{
    struct dice dice = dice_new();
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    kernel.call_ns = 700;
    for (int i = 0; i < 20000; i++) {
        (void)look(clock);
        if (dice_below(&dice, 5) > 0)
            slew(clock, (double)dice_between(&dice, -50000, 50000),
                 dice_between(&dice, -2 * NS_PER_MS, 2 * NS_PER_MS),
                 dice_between(&dice, -600, 600) * NS_PER_US);
        pass(&kernel, NS_PER_S + dice_between(&dice, -NS_PER_MS, 3 * NS_PER_MS));
    }
    assert_int_equal(lines, 0);
    clock_free(clock);
}

static void step_drops_both(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    slew(clock, 0, 8 * NS_PER_MS, 9 * NS_PER_MS);
    pass_boundary(&kernel, 500 * NS_PER_MS);
    (void)look(clock);
    int64_t before_ns = total_ns(&kernel);
    assert_int_equal(clock_step(clock, NS_PER_S), 0);
    for (int i = 0; i < 3; i++) {
        struct clock_status status = look(clock);
        assert_int_equal(status.slew_left_ns, 0);
        assert_int_equal(status.adjtime_left_ns, 0);
        assert_int_equal(status.now.total_ns, before_ns + NS_PER_S);
        pass(&kernel, NS_PER_S);
    }
    assert_int_equal(lines, 0);
    clock_free(clock);
}

static void told_once_what_was_not_taken(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    kernel.deaf_adjtime = true;
    slew(clock, 0, 0, 5 * NS_PER_MS);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(heard, "asked for an adjtime of 5000 us; in force are 0 us"));
    assert_int_equal(look(clock).slew_left_ns, 0);
    slew(clock, 0, 0, 5 * NS_PER_MS);
    assert_int_equal(lines, 1);
    kernel.deaf_adjtime = false;
    slew(clock, 0, 0, 5 * NS_PER_MS);
    assert_int_equal(look(clock).slew_left_ns, 5 * NS_PER_MS);
    assert_int_equal(lines, 1);
    clock_free(clock);
}

struct leaving {
    int64_t slew_ns, adjtime_ns;
    bool ended;
};

static void tidy_ends_opposed_slews(void **state)
{
    static const struct leaving leavings[] = {
        {400 * NS_PER_MS, -300 * NS_PER_MS, true},
        {-400 * NS_PER_MS, 300 * NS_PER_MS, true},
        {4 * NS_PER_MS, 3 * NS_PER_MS, false},
        {-4 * NS_PER_MS, -3 * NS_PER_MS, false},
        {0, -3 * NS_PER_MS, false},
        {4 * NS_PER_MS, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof leavings / sizeof leavings[0]; i++) {
        struct virtual_kernel kernel;
        struct clock *clock = virtual_clock(&kernel, NULL);
        struct kernel_port port = {.adjust = virtual_adjust, .context = &kernel};

        slew(clock, 12000, leavings[i].slew_ns, leavings[i].adjtime_ns);
        pass_boundary(&kernel, 0);
        int64_t freq = kernel.model.freq_scaled, adjtime_us = kernel.model.singleshot_us;
        int64_t remainder_ns = remainder_of(&kernel);
        assert_int_equal(clock_kernel_tidy(&port), 0);
        assert_int_equal(kernel.model.status & (STA_PLL | STA_FREQHOLD), 0);
        assert_int_equal(kernel.model.freq_scaled, freq);
        assert_near(remainder_of(&kernel), leavings[i].ended ? 0 : remainder_ns, NS_PER_US);
        assert_int_equal(kernel.model.singleshot_us, leavings[i].ended ? 0 : adjtime_us);
        clock_free(clock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_tells_both),
        cmocka_unit_test(replaced_but_for_the_chunk),
        cmocka_unit_test(boundary_in_every_gap),
        cmocka_unit_test(delivers_what_was_ordered),
        cmocka_unit_test(boundary_unseen_is_made_up_for),
        cmocka_unit_test(opposed_slews_come_to_their_sum),
        cmocka_unit_test(fast_start_is_ended),
        cmocka_unit_test(fast_slew_is_never_alone),
        cmocka_unit_test(orders_are_limited),
        cmocka_unit_test(foreign_adjtime_is_told),
        cmocka_unit_test(leftover_is_counted_and_replaced),
        cmocka_unit_test(quiet_for_hours),
        cmocka_unit_test(step_drops_both),
        cmocka_unit_test(told_once_what_was_not_taken),
        cmocka_unit_test(tidy_ends_opposed_slews),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

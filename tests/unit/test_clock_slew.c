/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told as under way is what comes, at the highest rates there are. */
#include "virtual_kernel.h"

#include "dice.h"

/* Reading takes two calls, and the model counts whole ns. */
#define TOLERANCE_NS (2 * NS_PER_US)

static struct order order_of(double freq_ppb, int64_t slew_ns, int64_t adjtime_ns)
{
    return (struct order){.freq_ppb = freq_ppb,
                          .slew_ns = slew_ns,
                          .adjtime_ns = adjtime_ns,
                          .maxerror_ns = 100 * NS_PER_US,
                          .synchronised = true};
}

/* Up to the end of the second, with nothing left to either slew. */
static int64_t delivered_ns(struct virtual_kernel *kernel, struct clock *clock,
                            const struct clock_status *status)
{
    struct order order = order_of(status->freq_ppb, 0, 0);

    assert_int_equal(clock_steer(clock, &order), 0);
    pass_boundary(kernel, 0);

    int64_t span_ns = kernel->model.raw_ns - status->now.raw_ns;
    return kernel->model.real_ns - kernel->model.raw_ns - status->now.total_ns -
           timestamp_drift(span_ns, status->freq_ppb);
}

static void told_is_delivered(struct dice *dice, struct order order, int seconds, int64_t part_ns)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    assert_int_equal(clock_steer(clock, &order), 0);
    for (int i = 1; i < seconds; i++)
        pass_boundary(&kernel, 0);
    pass_boundary(&kernel, part_ns);

    struct clock_status status = look(clock);
    int64_t error_ns = delivered_ns(&kernel, clock, &status) - status.underway_ns;
    assert_dice(dice, timestamp_abs(error_ns) <= TOLERANCE_NS);
    assert_dice(dice, lines == 0);
    clock_free(clock);
}

/* Each alone, and both at once, with each other and against each other. */
static void largest_chunks(void **state)
{
    static const int64_t slews_ns[] = {400 * NS_PER_MS, -400 * NS_PER_MS, 0};
    static const int64_t adjtimes_ns[] = {-300 * NS_PER_MS, 300 * NS_PER_MS, 0};
    struct dice dice = dice_new();

    (void)state;
    for (size_t i = 0; i < 9; i++)
        for (int part = 0; part < 10; part++)
            told_is_delivered(&dice, order_of(0, slews_ns[i / 3], adjtimes_ns[i % 3]), 1,
                              100 * NS_PER_MS * part);
}

static void any_chunks_at_any_frequency(void **state)
{
    struct dice dice = dice_new();

    (void)state;
    for (int i = 0; i < 500; i++) {
        double freq_ppb = (double)dice_between(&dice, -500000, 500000);
        int64_t slew_ns = dice_between(&dice, -400 * NS_PER_MS, 400 * NS_PER_MS);
        int64_t adjtime_ns = dice_between(&dice, -3000, 3000) * NS_PER_US;

        told_is_delivered(&dice, order_of(freq_ppb, slew_ns, adjtime_ns),
                          (int)dice_between(&dice, 1, 5), dice_between(&dice, 0, 999 * NS_PER_MS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_chunks),
        cmocka_unit_test(any_chunks_at_any_frequency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

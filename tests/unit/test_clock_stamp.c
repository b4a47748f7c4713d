/* SPDX-License-Identifier: BSD-2-Clause */
/* From the host's REALTIME back to RAW, and to an emulated machine's. */
#include "daemon/clock_emulated.h"
#include "daemon/clock_stamp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define RAW0 (INT64_C(1000) * NS_PER_S)
#define TOTAL0 (INT64_C(1700000000) * NS_PER_S)
#define FAST_PPB 5e7
#define SLACK_NS (20 * NS_PER_MS) /* a busy machine between two looks */

/* Two looks so far apart, with REALTIME running rate_ppb fast. */
static void look_twice(struct clock_marks *marks, struct reading *now, int64_t span_ns,
                       double rate_ppb)
{
    *marks = (struct clock_marks){0};
    *now = (struct reading){.raw_ns = RAW0, .total_ns = TOTAL0};
    clock_marks_note(marks, now);
    now->raw_ns += span_ns / 2;
    now->total_ns += timestamp_drift(span_ns / 2, rate_ppb);
    clock_marks_note(marks, now);
    now->raw_ns += span_ns / 2;
    now->total_ns += timestamp_drift(span_ns / 2, rate_ppb);
}

static void a_stamp_is_as_old_on_raw_as_the_rate_says(void **state)
{
    static const double rates_ppb[] = {0, 5e5, -5e5, 1e8, -1e8};

    (void)state;
    for (size_t i = 0; i < sizeof rates_ppb / sizeof rates_ppb[0]; i++) {
        struct clock_marks marks;
        struct reading now;
        int64_t raw_ns = 0, age_ns = 10 * NS_PER_MS;
        int64_t real_ns;

        look_twice(&marks, &now, 2 * NS_PER_S, rates_ppb[i]);
        real_ns = now.raw_ns + now.total_ns - age_ns - timestamp_drift(age_ns, rates_ppb[i]);
        assert_int_equal(clock_stamp_raw(&marks, &now, real_ns, &raw_ns), 0);
        assert_true(llabs(raw_ns - (now.raw_ns - age_ns)) <= 2);
    }
}

static void without_earlier_looks_both_run_alike(void **state)
{
    const struct clock_marks none = {0};
    const struct reading now = {.raw_ns = RAW0, .total_ns = TOTAL0};
    int64_t raw_ns = 0;

    (void)state;
    assert_int_equal(clock_stamp_raw(&none, &now, RAW0 + TOTAL0 - 1234, &raw_ns), 0);
    assert_int_equal(raw_ns, RAW0 - 1234);
}

static void what_cannot_be_is_refused(void **state)
{
    struct clock_marks marks;
    struct reading now;
    int64_t raw_ns = 77, real_ns;

    (void)state;
    look_twice(&marks, &now, 2 * NS_PER_S, 0);
    real_ns = now.raw_ns + now.total_ns;
    assert_int_equal(clock_stamp_raw(&marks, &now, real_ns + 1, &raw_ns), -ERANGE);
    assert_int_equal(clock_stamp_raw(&marks, &now, real_ns - NS_PER_S - 1, &raw_ns), -ERANGE);
    assert_int_equal(clock_stamp_raw(&marks, &now, INT64_MIN, &raw_ns), -ERANGE);
    assert_int_equal(raw_ns, 77);
    assert_int_equal(clock_stamp_raw(&marks, &now, real_ns - NS_PER_S, &raw_ns), 0);
}

/* Between two looks no slew makes a second of that. */
static void stamps_from_before_a_step_are_refused(void **state)
{
    int64_t steps_ns[] = {NS_PER_S, -NS_PER_S};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct clock_marks marks;
        struct reading now;
        int64_t raw_ns;

        look_twice(&marks, &now, 2 * NS_PER_S, 0);
        now.total_ns += steps_ns[i];
        assert_int_equal(clock_stamp_raw(&marks, &now, now.raw_ns + now.total_ns - 1000, &raw_ns),
                         -ERANGE);
    }
}

static void marks_are_a_while_apart(void **state)
{
    struct clock_marks marks = {0};
    struct reading now = {.raw_ns = RAW0, .total_ns = TOTAL0};

    (void)state;
    for (int i = 0; i < 1000; i++, now.raw_ns += NS_PER_MS)
        clock_marks_note(&marks, &now);
    for (int i = 1; i < CLOCK_MARKS; i++)
        assert_true(marks.at[i - 1].raw_ns - marks.at[i].raw_ns >= 10 * NS_PER_MS);
    assert_true(now.raw_ns - marks.at[0].raw_ns <= 10 * NS_PER_MS);
    assert_true(now.raw_ns - marks.at[CLOCK_MARKS - 1].raw_ns <= 300 * NS_PER_MS);
}

/* A slew of 10 % begins with a second of REALTIME, a tick late. */
static struct reading slewed_reading(int64_t raw_ns)
{
    int64_t slewed_ns = raw_ns - (RAW0 + NS_PER_S + 4 * NS_PER_MS);

    return (struct reading){raw_ns, TOTAL0 + (slewed_ns > 0 ? slewed_ns / 10 : 0)};
}

/* Wrong by a part of that rate a stamp would be earlier than its frame, which no queue makes it:
 * better none. */
static void stamps_around_the_beginning_of_a_slew_are_right_or_none(void **state)
{
    static const int64_t ages_ns[] = {100 * NS_PER_US, 2 * NS_PER_MS, 30 * NS_PER_MS};
    static const int64_t pauses_ns[] = {NS_PER_MS, 30 * NS_PER_MS, 200 * NS_PER_MS};
    int converted = 0, asked = 0;

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        struct clock_marks marks = {0};
        int64_t end_ns = RAW0 + 2 * NS_PER_S;

        for (int64_t raw_ns = RAW0; raw_ns < end_ns; raw_ns += pauses_ns[i / 3]) {
            struct reading now = slewed_reading(raw_ns);
            struct reading then = slewed_reading(raw_ns - ages_ns[i % 3]);
            int64_t told_ns = 0;

            clock_marks_note(&marks, &now);
            if (raw_ns < RAW0 + NS_PER_S / 2)
                continue;
            asked++;
            if (clock_stamp_raw(&marks, &now, then.raw_ns + then.total_ns, &told_ns) < 0)
                continue;
            converted++;
            assert_true(llabs(told_ns - then.raw_ns) <= 2 * NS_PER_US);
        }
    }
    assert_true(converted > asked * 95 / 100);
}

static int64_t host(clockid_t id)
{
    struct timespec t;

    assert_int_equal(clock_gettime(id, &t), 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The stamp lies between two readings, and was taken before the machine was looked at
 * last, or (early) not at all since. */
static void assert_converts(struct kernel_port *port, bool early)
{
    struct reading before, after, stamped;
    int64_t real_ns;

    assert_int_equal(port->read(port->context, &before), 0);
    real_ns = host(CLOCK_REALTIME);
    if (!early)
        assert_int_equal(port->read(port->context, &after), 0);
    assert_int_equal(port->convert(port->context, real_ns, &stamped), 0);
    if (early)
        assert_int_equal(port->read(port->context, &after), 0);
    /* The pair that ties the two host clocks together is as good as the machine is idle. */
    assert_true(stamped.raw_ns >= before.raw_ns - NS_PER_MS);
    assert_true(stamped.raw_ns <= after.raw_ns + NS_PER_MS);
    assert_true(llabs(stamped.total_ns - before.total_ns) <= SLACK_NS);
}

static void an_emulated_machine_tells_what_it_read(void **state)
{
    const struct emulated_oscillator fast = {.offset_ns = -5 * NS_PER_S, .frequency_ppb = FAST_PPB};
    struct kernel_port port;

    (void)state;
    assert_int_equal(clock_emulated_port(NULL, &fast, &port), 0);
    for (int i = 0; i < 200; i++)
        assert_converts(&port, i % 2 == 0);
    port.release(port.context);
}

/* Half a second back on the host is more on a machine that is fast. */
static void an_emulated_machine_looks_back_at_its_own_rate(void **state)
{
    const struct emulated_oscillator fast = {.frequency_ppb = FAST_PPB};
    int64_t back_ns = NS_PER_S / 2;
    struct reading now, then;
    struct kernel_port port;

    (void)state;
    assert_int_equal(clock_emulated_port(NULL, &fast, &port), 0);
    assert_int_equal(port.read(port.context, &now), 0);
    assert_int_equal(port.convert(port.context, host(CLOCK_REALTIME) - back_ns, &then), 0);
    back_ns += timestamp_drift(back_ns, FAST_PPB);
    assert_true(then.raw_ns >= now.raw_ns - back_ns - NS_PER_MS);
    assert_true(then.raw_ns <= now.raw_ns - back_ns + SLACK_NS);
    assert_int_equal(port.convert(port.context, host(CLOCK_REALTIME) - 2 * NS_PER_S, &then),
                     -ERANGE);
    assert_int_equal(port.convert(port.context, host(CLOCK_REALTIME) + NS_PER_S, &then), -ERANGE);
    port.release(port.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stamp_is_as_old_on_raw_as_the_rate_says),
        cmocka_unit_test(without_earlier_looks_both_run_alike),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(stamps_from_before_a_step_are_refused),
        cmocka_unit_test(marks_are_a_while_apart),
        cmocka_unit_test(stamps_around_the_beginning_of_a_slew_are_right_or_none),
        cmocka_unit_test(an_emulated_machine_tells_what_it_read),
        cmocka_unit_test(an_emulated_machine_looks_back_at_its_own_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Which steps of the clock are let pass. */
#include "policed_clock.h"

static void steps_forward_once_at_start(void **state)
{
    struct policed policed;
    int64_t before_ns;

    (void)state;
    police(&policed, &usual_limits);
    policed_refuses(&policed, step_call(-1));
    before_ns = policed.kernel.model.real_ns;
    assert_int_equal(policed_call(&policed, step_call(1500000001)), TIME_ERROR);
    assert_int_equal(policed.kernel.model.real_ns, before_ns + 1500000001);
    policed_refuses(&policed, step_call(1));

    police(&policed, &usual_limits);
    (void)policed_call(&policed, (struct timex){.modes = 0});
    pass(&policed.kernel, CLOCK_POLICY_START_NS + 1);
    policed_refuses(&policed, step_call(1));

    police(&policed, &usual_limits);
    assert_int_equal(policed_call(&policed, steer_call(0, false)), TIME_ERROR);
    policed_refuses(&policed, step_call(1));
}

static void steps_beyond_the_threshold_once(void **state)
{
    struct clock_limits limits = usual_limits;
    struct policed policed;

    (void)state;
    limits.step_threshold_ns = NS_PER_S;
    police(&policed, &limits);
    assert_int_equal(policed_call(&policed, steer_call(0, false)), TIME_ERROR);
    pass(&policed.kernel, 3600 * NS_PER_S);
    policed_refuses(&policed, step_call(NS_PER_S));
    policed_refuses(&policed, step_call(-NS_PER_S));
    assert_int_equal(policed_call(&policed, step_call(-NS_PER_S - 1)), TIME_ERROR);
    policed_refuses(&policed, step_call(-NS_PER_S - 1));

    police(&policed, &limits);
    assert_int_equal(policed_call(&policed, steer_call(0, true)), TIME_OK);
    assert_int_equal(policed_call(&policed, steer_call(0, false)), TIME_ERROR);
    policed_refuses(&policed, step_call(-2 * NS_PER_S));
}

/* Whatever the configuration says: about this one, once, and soon. */
static void steps_once_as_permitted(void **state)
{
    static const int64_t permitted_ns[] = {-10800 * NS_PER_S, 10800 * NS_PER_S, -500 * NS_PER_MS,
                                           500 * NS_PER_MS};
    struct policed policed;

    (void)state;
    for (size_t i = 0; i < sizeof permitted_ns / sizeof permitted_ns[0]; i++) {
        int64_t step_ns = permitted_ns[i], before_ns;

        police(&policed, &usual_limits);
        assert_int_equal(policed_call(&policed, steer_call(0, false)), TIME_ERROR);
        policed_refuses(&policed, step_call(step_ns));
        assert_int_equal(clock_policy_permit(&policed.policy, step_ns), 0);
        policed_refuses(&policed, step_call(-step_ns));
        policed_refuses(&policed, step_call(step_ns * 5 / 4 + (step_ns < 0 ? -1 : 1) * NS_PER_S));
        pass(&policed.kernel, CLOCK_POLICY_PERMIT_NS);
        before_ns = policed.kernel.model.real_ns;
        assert_int_equal(policed_call(&policed, step_call(step_ns + NS_PER_MS)), TIME_ERROR);
        assert_int_equal(policed.kernel.model.real_ns, before_ns + step_ns + NS_PER_MS);
        policed_refuses(&policed, step_call(step_ns));
        assert_int_equal(clock_policy_permit(&policed.policy, step_ns), -EEXIST);
        policed_refuses(&policed, step_call(step_ns));
    }
}

static int kernel_without_steps(void *context, struct timex *timex)
{
    return timex->modes & ADJ_SETOFFSET ? -EINVAL : virtual_adjust(context, timex);
}

static void a_step_that_failed_was_none(void **state)
{
    const int64_t step_ns = -10800 * NS_PER_S;
    struct policed policed;

    (void)state;
    police(&policed, &usual_limits);
    policed.port.adjust = kernel_without_steps;
    assert_int_equal(policed_call(&policed, step_call(NS_PER_S)), -EINVAL);
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), 0);
    assert_int_equal(policed_call(&policed, step_call(step_ns)), -EINVAL);
    policed.port.adjust = virtual_adjust;
    assert_int_equal(policed_call(&policed, step_call(NS_PER_S)), TIME_ERROR);
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), 0);
    assert_int_equal(policed_call(&policed, step_call(step_ns)), TIME_ERROR);
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), -EEXIST);
}

static void a_permit_runs_out(void **state)
{
    const int64_t step_ns = -10800 * NS_PER_S;
    struct policed policed;

    (void)state;
    police(&policed, &usual_limits);
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), 0);
    pass(&policed.kernel, CLOCK_POLICY_PERMIT_NS + 1);
    policed_refuses(&policed, step_call(step_ns));

    /* It can be had again, until the clock is synchronised. */
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), 0);
    assert_int_equal(policed_call(&policed, steer_call(0, true)), TIME_OK);
    policed_refuses(&policed, step_call(step_ns));
    assert_int_equal(clock_policy_permit(&policed.policy, step_ns), -EALREADY);
    assert_int_equal(policed_call(&policed, steer_call(0, false)), TIME_ERROR);
    policed_refuses(&policed, step_call(step_ns));
}

static void permits_are_refused(void **state)
{
    const struct clock_limits observing = {.adjust = false};
    struct clock_limits limits = usual_limits;
    struct policed policed;

    (void)state;
    police(&policed, &observing);
    assert_int_equal(clock_policy_permit(&policed.policy, NS_PER_S), -EROFS);
    policed_refuses(&policed, step_call(NS_PER_S));

    limits.step_threshold_ns = NS_PER_S;
    police(&policed, &limits);
    assert_int_equal(clock_policy_permit(&policed.policy, 0), -EBUSY);
    assert_int_equal(clock_policy_permit(&policed.policy, DISCIPLINE_STEP_MIN_NS - 1), -EBUSY);
    assert_int_equal(clock_policy_permit(&policed.policy, 1 - DISCIPLINE_STEP_MIN_NS), -EBUSY);
    policed.kernel.error = -EIO;
    assert_int_equal(clock_policy_permit(&policed.policy, -NS_PER_S), -EIO);
    policed.kernel.error = 0;
    policed_refuses(&policed, step_call(-NS_PER_S));
    assert_int_equal(policed_call(&policed, step_call(-2 * NS_PER_S)), TIME_ERROR);
    assert_int_equal(clock_policy_permit(&policed.policy, -NS_PER_S), -EEXIST);
}

static void impossible_steps_are_refused(void **state)
{
    static const int64_t seconds[] = {INT64_MAX, INT64_MIN, INT64_C(1) << 62,
                                      TIMESTAMP_LIMIT_NS / NS_PER_S - 1, -1700000001};
    static const int64_t parts[] = {-1, NS_PER_S, INT64_MAX, INT64_MIN};
    struct clock_limits limits = usual_limits;
    struct policed policed;
    struct timex timex;

    (void)state;
    limits.step_threshold_ns = 1;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        police(&policed, &limits);
        assert_int_equal(clock_policy_permit(&policed.policy, INT64_MAX), 0);
        timex = step_call(0);
        timex.time.tv_sec = seconds[i];
        policed_refuses(&policed, timex);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        timex = step_call(NS_PER_S);
        timex.time.tv_usec = parts[i];
        policed_refuses(&policed, timex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_forward_once_at_start),
        cmocka_unit_test(steps_beyond_the_threshold_once),
        cmocka_unit_test(steps_once_as_permitted),
        cmocka_unit_test(a_step_that_failed_was_none),
        cmocka_unit_test(a_permit_runs_out),
        cmocka_unit_test(permits_are_refused),
        cmocka_unit_test(impossible_steps_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

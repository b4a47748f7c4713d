/* SPDX-License-Identifier: BSD-2-Clause */
/* A clock_policy in front of a virtual kernel, as a kernel_port of its own. */
#ifndef BERKELEY_TESTS_POLICED_CLOCK_H
#define BERKELEY_TESTS_POLICED_CLOCK_H

#include "daemon/clock_policy.h"
#include "virtual_kernel.h"

struct policed {
    struct virtual_kernel kernel;
    struct kernel_port port;
    struct clock_policy policy;
    int64_t
        call_ns; /* passes before each call, and none between what the policy reads and writes */
    unsigned objections;
    const char *why; /* the last one */
};

static const struct clock_limits usual_limits = {
    .adjust = true, .max_slew_ppm = 500, .initial_slew_ppm = 100000};

static inline void police(struct policed *policed, const struct clock_limits *limits)
{
    *policed = (struct policed){.objections = 0};
    policed->port = virtual_port(&policed->kernel, NULL);
    clock_policy_init(&policed->policy, &policed->port, limits);
}

static inline int policed_adjust(void *context, struct timex *timex)
{
    struct policed *policed = context;
    const char *why;
    int r;

    pass(&policed->kernel, policed->call_ns);
    r = clock_policy_adjust(&policed->policy, timex, &why);
    if (why) {
        policed->objections++;
        policed->why = why;
    }
    return r;
}

static inline int policed_read(void *context, struct reading *reading)
{
    return virtual_read(&((struct policed *)context)->kernel, reading);
}

static inline int policed_suspended(void *context, int64_t *ns)
{
    return virtual_suspended(&((struct policed *)context)->kernel, ns);
}

static inline void policed_release(void *context)
{
    virtual_release(&((struct policed *)context)->kernel);
}

static inline struct clock *policed_clock(struct policed *policed)
{
    struct kernel_port port = policed->port;
    struct clock *clock = NULL;

    port.adjust = policed_adjust;
    port.read = policed_read;
    port.suspended = policed_suspended;
    port.release = policed_release;
    port.context = policed;
    assert_int_equal(clock_kernel_open(&port, true, &clock), 0);
    return clock;
}

#define STEER (ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_FREQUENCY | ADJ_OFFSET)

/* What clock_kernel orders of the PLL. */
static inline struct timex steer_call(int64_t offset_ns, bool synchronised)
{
    return (struct timex){.modes = STEER,
                          .status = STA_PLL | STA_FREQHOLD | (synchronised ? 0 : STA_UNSYNC),
                          .offset = offset_ns};
}

static inline struct timex adjtime_call(int64_t us)
{
    return (struct timex){.modes = ADJ_OFFSET_SINGLESHOT, .offset = us};
}

static inline struct timex step_call(int64_t delta_ns)
{
    struct timex timex = {.modes = ADJ_SETOFFSET | ADJ_NANO};
    int64_t part_ns = delta_ns % NS_PER_S;

    part_ns += part_ns < 0 ? NS_PER_S : 0;
    timex.time.tv_sec = (delta_ns - part_ns) / NS_PER_S;
    timex.time.tv_usec = part_ns;
    return timex;
}

static inline int policed_call(struct policed *policed, struct timex timex)
{
    return policed_adjust(policed, &timex);
}

static inline void policed_refuses(struct policed *policed, struct timex timex)
{
    struct timex_model before = policed->kernel.model;
    unsigned objections = policed->objections;

    assert_int_equal(policed_adjust(policed, &timex), -EPERM);
    assert_int_equal(policed->objections, objections + 1);
    assert_memory_equal(&policed->kernel.model, &before, sizeof before);
}

#endif

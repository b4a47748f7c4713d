/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel's clock in virtual time behind a kernel_port, and an ear on the
 * journal: include it once, in a test program that has no other journal. */
#ifndef BERKELEY_TESTS_VIRTUAL_KERNEL_H
#define BERKELEY_TESTS_VIRTUAL_KERNEL_H

#include "daemon/clock_kernel.h"
#include "daemon/journal.h"
#include "daemon/timex_model.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RAW0 (INT64_C(12345) * NS_PER_S + 678)
#define REAL0 (INT64_C(1700000000) * NS_PER_S + 250 * NS_PER_MS)
#define PPM (INT64_C(1) << 16)

struct virtual_kernel {
    struct timex_model model;
    int64_t suspended_ns;
    int64_t call_ns; /* passes before each call */
    int64_t late_ns; /* the kernel takes boundaries in that late */
    int error;       /* every call fails with it */
    int write_error; /* every call that changes anything does */
    int writes_max;  /* and every one after so many, if not 0 */
    bool deaf;       /* writes are lost */
    bool deaf_adjtime;
    int writes, acknowledged, released;
    unsigned modes; /* of the last write */
};

static char heard[1024];
static int lines;

void journal_say(int priority, const struct journal_fields *fields, const char *format, ...)
{
    va_list arguments;

    (void)priority;
    (void)fields;
    lines++;
    va_start(arguments, format);
    (void)vsnprintf(heard, sizeof heard, format, arguments);
    va_end(arguments);
}

static inline void pass(struct virtual_kernel *kernel, int64_t ns)
{
    timex_model_advance(&kernel->model, kernel->model.raw_ns + ns);
}

static inline int virtual_adjust(void *context, struct timex *timex)
{
    struct virtual_kernel *kernel = context;
    bool write = timex->modes != 0 && timex->modes != ADJ_OFFSET_SS_READ;
    int r;

    if (kernel->error < 0)
        return kernel->error;
    if (write && kernel->write_error < 0)
        return kernel->write_error;
    if (write && kernel->writes_max > 0 && kernel->writes >= kernel->writes_max)
        return -EIO;
    pass(kernel, kernel->call_ns);
    if (write) {
        kernel->writes++;
        kernel->modes = timex->modes;
    }
    if (write && kernel->deaf)
        timex->modes = 0;
    if (kernel->deaf_adjtime && timex->modes == ADJ_OFFSET_SINGLESHOT)
        timex->modes = ADJ_OFFSET_SS_READ;
    r = timex_model_adjust(&kernel->model, kernel->model.raw_ns, timex);
    if (kernel->late_ns > 0) {
        int64_t real_ns = timex_model_read(&kernel->model, kernel->model.raw_ns + kernel->late_ns);
        timex->time.tv_sec = real_ns / NS_PER_S;
        timex->time.tv_usec = real_ns % NS_PER_S;
    }
    return r;
}

static inline int virtual_read(void *context, struct reading *reading)
{
    struct virtual_kernel *kernel = context;

    if (kernel->error < 0)
        return kernel->error;
    pass(kernel, kernel->call_ns);
    reading->raw_ns = kernel->model.raw_ns + kernel->late_ns;
    reading->total_ns = timex_model_read(&kernel->model, reading->raw_ns) - reading->raw_ns;
    return 0;
}

/* Nothing happened since. */
static inline int virtual_convert(void *context, int64_t real_ns, struct reading *reading)
{
    const struct virtual_kernel *kernel = context;
    int64_t age_ns = kernel->model.real_ns - real_ns;

    if (!(age_ns >= 0 && age_ns <= NS_PER_S))
        return -ERANGE;
    reading->raw_ns = kernel->model.raw_ns - age_ns;
    reading->total_ns = real_ns - reading->raw_ns;
    return kernel->error;
}

static inline int virtual_suspended(void *context, int64_t *ns)
{
    const struct virtual_kernel *kernel = context;

    *ns = kernel->suspended_ns;
    return kernel->error;
}

static inline int virtual_watch_fd(void *context)
{
    (void)context;
    return 42;
}

static inline void virtual_acknowledge(void *context)
{
    ((struct virtual_kernel *)context)->acknowledged++;
}

static inline void virtual_release(void *context)
{
    ((struct virtual_kernel *)context)->released++;
}

static inline struct kernel_port virtual_port(struct virtual_kernel *kernel, const char *units)
{
    *kernel = (struct virtual_kernel){0};
    timex_model_init(&kernel->model, RAW0, REAL0);
    heard[0] = '\0';
    lines = 0;
    return (struct kernel_port){
        .adjust = virtual_adjust,
        .read = virtual_read,
        .convert = virtual_convert,
        .suspended = virtual_suspended,
        .watch_fd = virtual_watch_fd,
        .acknowledge = virtual_acknowledge,
        .release = virtual_release,
        .context = kernel,
        .precision_ns = 37,
        .units = units,
    };
}

static inline struct clock *virtual_clock(struct virtual_kernel *kernel, const char *units)
{
    struct kernel_port port = virtual_port(kernel, units);
    struct clock *clock = NULL;

    assert_int_equal(clock_kernel_open(&port, true, &clock), 0);
    return clock;
}

/* To part_ns after the next second boundary of the corrected clock. */
static inline void pass_boundary(struct virtual_kernel *kernel, int64_t part_ns)
{
    int64_t until_ns = (kernel->model.real_ns / NS_PER_S + 1) * NS_PER_S + part_ns;

    while (kernel->model.real_ns < until_ns)
        pass(kernel, (until_ns - kernel->model.real_ns) / 2 + 1);
}

static inline struct clock_status look(struct clock *clock)
{
    struct clock_status status;

    assert_int_equal(clock_look(clock, &status), 0);
    return status;
}

static inline void steer(struct clock *clock, double freq_ppb, int64_t slew_ns)
{
    struct order order = {.freq_ppb = freq_ppb,
                          .slew_ns = slew_ns,
                          .maxerror_ns = 100 * NS_PER_US,
                          .esterror_ns = 10 * NS_PER_US,
                          .synchronised = true};

    assert_int_equal(clock_steer(clock, &order), 0);
}

/* What a chunk delivers in the rest of its second, which is 1 / (1 + chunk) s long in all. */
static inline int64_t to_come(int64_t chunk_ns, double rest)
{
    return timestamp_round((double)chunk_ns * rest / (1 + (double)chunk_ns / 1e9));
}

static inline void assert_near(int64_t value, int64_t wanted, int64_t tolerance)
{
    if (!(value >= wanted - tolerance && value <= wanted + tolerance))
        fail_msg("%" PRId64 " is not %" PRId64 " +- %" PRId64, value, wanted, tolerance);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_kernel.h"
#include "daemon/clock_stamp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define READS 3
#define READS_FOR_PRECISION 16
#define UNITS "/sys/fs/cgroup/system.slice"
#define PROCESSES "/proc"
#define NEVER_S INT64_C(0x7fffffff00000000) /* far beyond what the kernel can reach */

struct machine {
    int timer;
    struct clock_marks marks;
};

/* The one place that touches the kernel's clock. */
static int machine_adjust(void *context, struct timex *timex)
{
    int r = clock_adjtime(CLOCK_REALTIME, timex);

    (void)context;
    return r < 0 ? -errno : r;
}

static int machine_read(void *context, struct reading *reading)
{
    struct machine *machine = context;
    int64_t raw_ns, real_ns;

    (void)clock_bracket(CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, READS, &raw_ns, &real_ns);
    reading->raw_ns = raw_ns;
    reading->total_ns = real_ns - raw_ns;
    clock_marks_note(&machine->marks, reading);
    return 0;
}

static int machine_convert(void *context, int64_t real_ns, struct reading *reading)
{
    const struct machine *machine = context;
    struct reading now;
    int64_t raw_ns;
    int r = machine_read(context, &now);

    if (r == 0)
        r = clock_stamp_raw(&machine->marks, &now, real_ns, &raw_ns);
    if (r < 0)
        return r;
    *reading = (struct reading){.raw_ns = raw_ns, .total_ns = real_ns - raw_ns};
    return 0;
}

static int machine_suspended(void *context, int64_t *ns)
{
    int64_t monotonic_ns, boot_ns;

    (void)context;
    (void)clock_bracket(CLOCK_MONOTONIC, CLOCK_BOOTTIME, READS, &monotonic_ns, &boot_ns);
    *ns = boot_ns - monotonic_ns;
    return 0;
}

static int machine_watch_fd(void *context)
{
    const struct machine *machine = context;

    return machine->timer;
}

/* Fires when the clock is set; setting the timer reports ECANCELED once more if
 * that happened meanwhile, and arms it all the same. */
static int arm(int timer)
{
    const struct itimerspec never = {.it_value = {.tv_sec = NEVER_S}};
    int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;

    if (timerfd_settime(timer, flags, &never, NULL) < 0 && errno != ECANCELED)
        return -errno;
    return 0;
}

static void machine_acknowledge(void *context)
{
    const struct machine *machine = context;
    uint64_t expirations;

    (void)!read(machine->timer, &expirations, sizeof expirations);
    (void)arm(machine->timer);
}

static void machine_release(void *context)
{
    struct machine *machine = context;

    (void)close(machine->timer);
    free(machine);
}

static uint32_t precision_ns(void)
{
    int64_t raw_ns, real_ns;
    int64_t width_ns =
        clock_bracket(CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, READS_FOR_PRECISION, &raw_ns, &real_ns);

    return width_ns < 1 ? 1 : width_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)width_ns;
}

int clock_kernel_port(struct kernel_port *port)
{
    struct machine *machine = calloc(1, sizeof *machine);
    int r;

    if (!machine)
        return -ENOMEM;
    machine->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    r = machine->timer < 0 ? -errno : arm(machine->timer);
    if (r < 0) {
        if (machine->timer >= 0)
            (void)close(machine->timer);
        free(machine);
        return r;
    }
    *port = (struct kernel_port){
        .adjust = machine_adjust,
        .read = machine_read,
        .convert = machine_convert,
        .suspended = machine_suspended,
        .watch_fd = machine_watch_fd,
        .acknowledge = machine_acknowledge,
        .release = machine_release,
        .context = machine,
        .precision_ns = precision_ns(),
        .units = UNITS,
        .processes = PROCESSES,
    };
    return 0;
}

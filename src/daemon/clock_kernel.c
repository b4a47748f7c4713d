/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_kernel.h"

#include "daemon/clock_meddling.h"
#include "daemon/clock_trail.h"
#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FREQ_PER_PPB (65536.0 / 1000.0)
#define FREQ_LIMIT (INT64_C(500) << 16)
#define TICK_US 10000
#define PPB_PER_TICK_US 100000.0
#define OFFSET_LIMIT_NS INT64_C(500000000)
#define ERROR_LIMIT_US INT64_C(16000000)
#define SHIFT_PLL 2
#define CONSTANT_MAX 10

#define SUSPENDED_MIN_NS NS_PER_MS
#define QUIET_NS (3600 * NS_PER_S)
#define TEXT_SIZE 320

#define STATUS_STEERED (STA_PLL | STA_FREQHOLD)
#define STATUS_FOREIGN (STA_INS | STA_DEL)
#define STATUS_OF_DAEMONS (STA_PLL | STA_FLL | STA_FREQHOLD | STA_PPSFREQ | STA_PPSTIME)

struct clock {
    struct kernel_port port;
    bool adjusts;
    bool ours;    /* we told the kernel something: `left` is to be found again */
    bool refused; /* the journal knows that the kernel did not take an order */
    bool meddled;
    struct clock_settings left; /* as we left it, or found it after that */
    struct clock_trail trail;
    int64_t suspended_ns;
    int64_t meddled_raw_ns; /* the last time anybody else changed something */
};

static int64_t in_ns(const struct timex *timex, int64_t value)
{
    return (timex->status & STA_NANO) ? value : value * NS_PER_US;
}

/* Kernels 5.0 to 6.14 take a remainder below zero, in microseconds, for one
 * beyond 2^31 ns: -1 ms is read back as 4293967 us. */
static int64_t remainder_ns(const struct timex *timex)
{
    int64_t ns = in_ns(timex, timex->offset);

    return ns > INT32_MAX ? ns - (INT64_C(1) << 32) : ns;
}

static struct clock_settings settings_of(const struct timex *timex)
{
    return (struct clock_settings){
        .second = timex->time.tv_sec,
        .freq_scaled = timex->freq,
        .tick_us = timex->tick,
        .constant = timex->constant,
        .remainder_ns = remainder_ns(timex),
        .maxerror_us = timex->maxerror,
        .status = timex->status,
    };
}

static int adjust(struct clock *clock, struct timex *timex)
{
    return clock->port.adjust(clock->port.context, timex);
}

static void guess_trail(struct clock *clock, const struct clock_settings *found)
{
    int64_t constant = timestamp_clamp(found->constant, CONSTANT_MAX);
    int64_t left_ns = timestamp_clamp(found->remainder_ns, OFFSET_LIMIT_NS);

    clock_trail_guess(&clock->trail, found->second, left_ns,
                      SHIFT_PLL + (int)(constant < 0 ? 0 : constant));
}

/* One write that changes nothing tells whether we may write. */
static int try_adjust(struct clock *clock, int status)
{
    struct timex timex = {.modes = ADJ_STATUS, .status = status};
    int r = adjust(clock, &timex);

    if (r == -EPERM) {
        journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_OBSERVING},
                    "No right to adjust the clock (CAP_SYS_TIME): it is measured, not corrected.");
        return 0;
    }
    if (r < 0)
        return r;
    clock->adjusts = true;
    return 0;
}

static int prepare(struct clock *clock, bool wanted)
{
    struct timex timex = {.modes = 0};
    int r = adjust(clock, &timex);

    if (r < 0)
        return r;
    r = clock->port.suspended(clock->port.context, &clock->suspended_ns);
    if (r < 0)
        return r;
    clock->left = settings_of(&timex);
    guess_trail(clock, &clock->left);
    if (wanted)
        return try_adjust(clock, timex.status);
    journal_say(LOG_NOTICE, &(struct journal_fields){.message_id = MESSAGE_OBSERVING},
                "Observing only: the clock is measured, not corrected.");
    return 0;
}

int clock_kernel_open(const struct kernel_port *port, bool adjust_wanted, struct clock **out)
{
    struct clock *clock = calloc(1, sizeof *clock);
    int r;

    if (!clock) {
        port->release(port->context);
        return -ENOMEM;
    }
    clock->port = *port;
    r = prepare(clock, adjust_wanted);
    if (r < 0) {
        clock_free(clock);
        return r;
    }
    *out = clock;
    return 0;
}

void clock_free(struct clock *clock)
{
    if (!clock)
        return;
    clock->port.release(clock->port.context);
    free(clock);
}

int clock_read(struct clock *clock, struct reading *reading)
{
    return clock->port.read(clock->port.context, reading);
}

bool clock_adjusts(const struct clock *clock)
{
    return clock->adjusts;
}

uint32_t clock_precision_ns(const struct clock *clock)
{
    return clock->port.precision_ns;
}

int clock_watch_fd(const struct clock *clock)
{
    return clock->port.watch_fd(clock->port.context);
}

void clock_acknowledge(struct clock *clock)
{
    clock->port.acknowledge(clock->port.context);
}

static void tell_meddling(struct clock *clock, int64_t raw_ns, const char *changes)
{
    bool quiet = !clock->meddled || raw_ns - clock->meddled_raw_ns >= QUIET_NS;
    char culprit[TEXT_SIZE];

    clock->meddled = true;
    clock->meddled_raw_ns = raw_ns;
    if (!quiet)
        return;
    clock_meddling_culprit(clock->port.units, culprit, sizeof culprit);
    journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_INTERFERENCE},
                "The clock was changed by %s: %s. Only one program may steer it.", culprit,
                changes);
}

/* Compares what is found with what was left, and takes it as the new start. */
static void take_in(struct clock *clock, const struct clock_settings *found, int64_t raw_ns,
                    bool jumped)
{
    char changes[TEXT_SIZE];
    bool follows = clock_trail_follow(&clock->trail, found->second, found->remainder_ns);

    /* Seconds slept through are not seconds the kernel counted. */
    if (clock->ours && !jumped &&
        clock_meddling_describe(&clock->left, found, follows, changes, sizeof changes))
        tell_meddling(clock, raw_ns, changes);
    if (!follows)
        guess_trail(clock, found);
    clock->left = *found;
}

static int look_at_kernel(struct clock *clock, struct timex *timex, struct clock_settings *found)
{
    struct timex adjtime = {.modes = ADJ_OFFSET_SS_READ};
    int r;

    *timex = (struct timex){.modes = 0};
    r = adjust(clock, timex);
    if (r < 0)
        return r;
    r = adjust(clock, &adjtime);
    if (r < 0)
        return r;
    *found = settings_of(timex);
    found->adjtime_us = adjtime.offset;
    return 0;
}

int clock_look(struct clock *clock, struct clock_status *status)
{
    struct clock_settings found;
    struct reading now;
    struct timex timex;
    int64_t suspended_ns;
    int r = clock->port.suspended(clock->port.context, &suspended_ns);

    if (r < 0)
        return r;
    r = clock->port.read(clock->port.context, &now);
    if (r < 0)
        return r;
    r = look_at_kernel(clock, &timex, &found);
    if (r < 0)
        return r;

    bool jumped = suspended_ns - clock->suspended_ns > SUSPENDED_MIN_NS;
    clock->suspended_ns = suspended_ns;
    take_in(clock, &found, now.raw_ns, jumped);

    int64_t underway_ns =
        clock_trail_underway(&clock->trail, found.second, in_ns(&timex, timex.time.tv_usec));
    *status = (struct clock_status){
        .now = now,
        .freq_ppb = (double)found.freq_scaled / FREQ_PER_PPB +
                    (double)(found.tick_us - TICK_US) * PPB_PER_TICK_US,
        .slew_left_ns = found.remainder_ns + underway_ns,
        .underway_ns = underway_ns,
        .jumped = jumped,
    };
    return 0;
}

static int64_t error_us(int64_t ns)
{
    int64_t us = ns / NS_PER_US + (ns % NS_PER_US > 0);

    return us < 0 ? 0 : us > ERROR_LIMIT_US ? ERROR_LIMIT_US : us;
}

static struct timex timex_of(const struct clock *clock, const struct order *order)
{
    struct timex timex = {
        .modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_FREQUENCY | ADJ_MAXERROR |
                 ADJ_ESTERROR | ADJ_OFFSET,
        .status = STATUS_STEERED | (order->synchronised ? 0 : STA_UNSYNC) |
                  (clock->left.status & STATUS_FOREIGN),
        .constant = 0,
        .freq = timestamp_clamp(timestamp_round(order->freq_ppb * FREQ_PER_PPB), FREQ_LIMIT),
        .maxerror = error_us(order->maxerror_ns),
        .esterror = error_us(order->esterror_ns),
        .offset = timestamp_clamp(order->slew_ns, OFFSET_LIMIT_NS),
    };

    /* Somebody's tick would make the frequency ordered a different one. */
    if (clock->left.tick_us != TICK_US) {
        timex.modes |= ADJ_TICK;
        timex.tick = TICK_US;
    }
    return timex;
}

static bool in_force(const struct timex *asked, const struct timex *got)
{
    int cared = STATUS_STEERED | STA_UNSYNC;

    return timestamp_abs(got->freq - asked->freq) <= 1 && got->tick == TICK_US &&
           (got->status & cared) == (asked->status & cared) && (got->status & STA_NANO) &&
           got->constant == asked->constant && got->maxerror == asked->maxerror &&
           timestamp_abs(got->offset - asked->offset) <= 1;
}

static void check_in_force(struct clock *clock, const struct timex *asked, const struct timex *got)
{
    bool refused = !in_force(asked, got);

    if (refused && !clock->refused)
        journal_warning("The kernel did not take an order: asked for frequency %ld, offset %ld, "
                        "status 0x%04x, maxerror %ld; in force are %ld, %ld, 0x%04x, %ld.",
                        asked->freq, asked->offset, (unsigned)asked->status, asked->maxerror,
                        got->freq, got->offset, (unsigned)got->status, got->maxerror);
    clock->refused = refused;
}

/* An adjtime(3) of somebody else would go on beside our slew. */
static int cancel_adjtime(struct clock *clock)
{
    struct timex timex = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = 0};
    int r;

    if (clock->left.adjtime_us == 0)
        return 0;
    r = adjust(clock, &timex);
    return r < 0 ? r : 0;
}

/* A boundary may have passed since the look that the order rests on: the chunk
 * the kernel took then will come on top of any new remainder. */
static int taken_since_look(struct clock *clock, int64_t *taken_ns)
{
    struct timex timex = {.modes = 0};
    struct clock_settings found;
    int r = adjust(clock, &timex);

    if (r < 0)
        return r;
    found = settings_of(&timex);
    *taken_ns = 0;
    if (clock_trail_follow(&clock->trail, found.second, found.remainder_ns))
        *taken_ns = clock->left.remainder_ns - found.remainder_ns;
    return 0;
}

int clock_steer(struct clock *clock, const struct order *order)
{
    struct timex asked, got;
    int64_t taken_ns;
    int r;

    if (!clock->adjusts)
        return 0;
    if (!isfinite(order->freq_ppb))
        return -EINVAL;
    r = cancel_adjtime(clock);
    if (r >= 0)
        r = taken_since_look(clock, &taken_ns);
    if (r < 0)
        return r;
    asked = timex_of(clock, order);
    asked.offset = timestamp_clamp(asked.offset - taken_ns, OFFSET_LIMIT_NS);
    got = asked;
    r = adjust(clock, &got);
    if (r < 0)
        return r;
    check_in_force(clock, &asked, &got);
    clock->ours = true;
    clock->left = settings_of(&got);
    if (clock->refused)
        guess_trail(clock, &clock->left);
    else
        clock_trail_set(&clock->trail, clock->left.second, asked.offset);
    return 0;
}

int clock_step(struct clock *clock, int64_t delta_ns)
{
    struct timex timex = {.modes = ADJ_SETOFFSET | ADJ_NANO};
    int64_t part_ns = delta_ns % NS_PER_S;
    int r;

    if (!clock->adjusts)
        return 0;
    if (part_ns < 0)
        part_ns += NS_PER_S;
    timex.time.tv_sec = (delta_ns - part_ns) / NS_PER_S;
    timex.time.tv_usec = part_ns;
    r = adjust(clock, &timex);
    if (r < 0)
        return r;
    clock->left = settings_of(&timex);
    clock_trail_clear(&clock->trail, clock->left.second);
    return 0;
}

int clock_kernel_tidy(const struct kernel_port *port)
{
    struct timex timex = {.modes = 0};
    int r = port->adjust(port->context, &timex);

    if (r < 0)
        return r;
    if ((timex.status & STATUS_STEERED) != STATUS_STEERED)
        return 0;
    timex.modes = ADJ_TICK | ADJ_STATUS;
    timex.tick = TICK_US;
    timex.status &= ~STATUS_OF_DAEMONS;
    r = port->adjust(port->context, &timex);
    return r < 0 ? r : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_kernel.h"

#include "daemon/clock_meddling.h"
#include "daemon/clock_slew.h"
#include "daemon/clock_trail.h"
#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define FREQ_PER_PPB (65536.0 / 1000.0)
#define FREQ_LIMIT (INT64_C(500) << 16)
#define TICK_US 10000
#define PPB_PER_TICK_US 100000.0
#define OFFSET_LIMIT_NS INT64_C(500000000)

/* The kernel's 16 s, less some boundaries: maxerror counts them for clock_trail. */
#define ERROR_GROWTH_US INT64_C(10000)
#define ERROR_LIMIT_US (INT64_C(16000000) - ERROR_GROWTH_US)

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
    bool adjtime_refused;
    bool meddled;
    struct clock_settings left; /* as we left it, or found it after that */
    struct clock_slews slews;
    int64_t suspended_ns;
    int64_t meddled_raw_ns; /* the last time anybody else changed something */
};

/* A clock that could not be reached for a while may have been tidied (clock_kernel_tidy). */
static int adjust(struct clock *clock, struct timex *timex)
{
    int r = clock->port.adjust(clock->port.context, timex);

    if (r < 0)
        clock->ours = false;
    return r;
}

static void guess_pll(struct clock *clock, const struct timex *timex)
{
    struct clock_settings found = clock_settings_of(timex);
    struct clock_instant at = clock_instant_of(timex);

    clock_trail_guess(&clock->slews.pll, &at, found.remainder_ns, found.constant);
}

static void guess_adjtime(struct clock *clock, const struct timex *timex, int64_t left_us)
{
    struct clock_instant at = clock_instant_of(timex);

    clock_trail_guess_adjtime(&clock->slews.adjtime, &at, clock_slew_adjtime_ns(left_us));
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
    clock->left = clock_settings_of(&timex);
    guess_pll(clock, &timex);
    guess_adjtime(clock, &timex, 0);
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

int clock_convert(struct clock *clock, int64_t real_ns, struct reading *reading)
{
    return clock->port.convert(clock->port.context, real_ns, reading);
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
    clock_meddling_culprit(clock->port.units, clock->port.processes, culprit, sizeof culprit);
    journal_say(LOG_WARNING, &(struct journal_fields){.message_id = MESSAGE_INTERFERENCE},
                "The clock was changed by %s: %s. Only one program may steer it: stop the "
                "other.",
                culprit, changes);
}

static unsigned follow_slews(struct clock *clock, const struct timex *timex,
                             const struct timex *adjtime)
{
    struct clock_instant at = clock_instant_of(timex);
    struct clock_instant adjtime_at = clock_instant_of(adjtime);
    int64_t left_ns = clock_settings_of(timex).remainder_ns;
    int64_t adjtime_left_ns = clock_slew_adjtime_ns(adjtime->offset);
    unsigned lost = 0;

    if (!clock_trail_follow(&clock->slews.pll, &at, left_ns)) {
        guess_pll(clock, timex);
        lost |= CLOCK_SLEW_PLL;
    }
    if (!clock_trail_follow(&clock->slews.adjtime, &adjtime_at, adjtime_left_ns)) {
        guess_adjtime(clock, adjtime, adjtime->offset);
        lost |= CLOCK_SLEW_ADJTIME;
    }
    return lost;
}

/* Compares what is found with what was left, and takes it as the new start. */
static void take_in(struct clock *clock, const struct timex *timex, const struct timex *adjtime,
                    int64_t raw_ns, bool jumped)
{
    char changes[TEXT_SIZE];
    struct clock_settings found = clock_settings_of(timex);
    unsigned lost = follow_slews(clock, timex, adjtime);

    found.adjtime_us = adjtime->offset;
    /* Seconds slept through are not seconds the kernel counted. */
    if (clock->ours && !jumped &&
        clock_meddling_describe(&clock->left, &found, lost, changes, sizeof changes))
        tell_meddling(clock, raw_ns, changes);
    clock->left = found;
}

/* Each slew is read with the time that tells how far it must have come: a
 * boundary between the two calls does no harm. */
static int look_at_kernel(struct clock *clock, struct timex *timex, struct timex *adjtime)
{
    int r;

    *timex = (struct timex){.modes = 0};
    r = adjust(clock, timex);
    if (r < 0)
        return r;
    *adjtime = (struct timex){.modes = ADJ_OFFSET_SS_READ};
    return adjust(clock, adjtime);
}

static struct clock_status status_of(const struct clock *clock, const struct timex *timex,
                                     const struct timex *adjtime)
{
    struct clock_instant at = clock_instant_of(timex);
    struct clock_instant adjtime_at = clock_instant_of(adjtime);
    double freq_ppb = (double)clock->left.freq_scaled / FREQ_PER_PPB +
                      (double)(clock->left.tick_us - TICK_US) * PPB_PER_TICK_US;
    int64_t underway_ns = clock_slew_underway(&clock->slews, &at, &adjtime_at, freq_ppb);
    int64_t adjtime_left_ns = clock_slew_adjtime_ns(clock->left.adjtime_us);

    return (struct clock_status){
        .freq_ppb = freq_ppb,
        .slew_left_ns = clock->left.remainder_ns + adjtime_left_ns + underway_ns,
        .underway_ns = underway_ns,
        .adjtime_left_ns = adjtime_left_ns,
    };
}

int clock_look(struct clock *clock, struct clock_status *status)
{
    struct reading now;
    struct timex timex, adjtime;
    int64_t suspended_ns;
    int r = clock->port.suspended(clock->port.context, &suspended_ns);

    if (r < 0)
        return r;
    r = clock->port.read(clock->port.context, &now);
    if (r < 0)
        return r;
    r = look_at_kernel(clock, &timex, &adjtime);
    if (r < 0)
        return r;

    bool jumped = suspended_ns - clock->suspended_ns > SUSPENDED_MIN_NS;
    clock->suspended_ns = suspended_ns;
    take_in(clock, &timex, &adjtime, now.raw_ns, jumped);
    *status = status_of(clock, &timex, &adjtime);
    status->now = now;
    status->jumped = jumped;
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
        .modes = ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_FREQUENCY | ADJ_OFFSET,
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
    int64_t grown_us = got->maxerror - asked->maxerror;

    return timestamp_abs(got->freq - asked->freq) <= 1 && got->tick == TICK_US &&
           (got->status & cared) == (asked->status & cared) && (got->status & STA_NANO) &&
           got->constant == asked->constant && grown_us >= 0 && grown_us <= ERROR_GROWTH_US &&
           timestamp_abs(got->offset - asked->offset) <= 1;
}

static void check_in_force(struct clock *clock, const struct timex *asked, const struct timex *got)
{
    bool refused = !in_force(asked, got);

    if (refused && !clock->refused)
        journal_warning("The kernel did not take an order: asked for frequency %ld, offset %ld, "
                        "status 0x%04x, maxerror %ld; in force are %ld, %ld, 0x%04x, %ld. "
                        "It is asked again within a second.",
                        asked->freq, asked->offset, (unsigned)asked->status, asked->maxerror,
                        got->freq, got->offset, (unsigned)got->status, got->maxerror);
    clock->refused = refused;
}

static void check_adjtime(struct clock *clock, const struct order *order, bool in_force)
{
    if (!in_force && !clock->adjtime_refused)
        journal_warning("The kernel did not take an order: asked for an adjtime of %" PRId64
                        " us; in force are %" PRId64 " us. It is asked again within a second.",
                        order->adjtime_ns / NS_PER_US, clock->left.adjtime_us);
    clock->adjtime_refused = !in_force;
}

static int steer_adjtime(struct clock *clock, const struct order *order)
{
    int64_t wanted_ns = timestamp_clamp(order->adjtime_ns, OFFSET_LIMIT_NS);
    bool in_force;
    int r = clock_slew_adjtime(&clock->port, &clock->slews, wanted_ns / NS_PER_US,
                               &clock->left.adjtime_us, &in_force);

    if (r < 0)
        return r;
    check_adjtime(clock, order, in_force);
    return 0;
}

static int steer_pll(struct clock *clock, struct timex *asked)
{
    struct timex got;
    int64_t adjtime_us = clock->left.adjtime_us;
    int r = clock_slew_pll(&clock->port, &clock->slews, asked, &got);

    if (r < 0)
        return r;
    check_in_force(clock, asked, &got);
    clock->ours = true;
    clock->left = clock_settings_of(&got);
    clock->left.adjtime_us = adjtime_us;
    if (clock->refused)
        guess_pll(clock, &got);
    return 0;
}

/* Killed between the two, the daemon may leave a slow slew without the fast one that
 * it was to run against, which the next daemon replaces in time, but never the
 * fast one alone. */
static int steer_both(struct clock *clock, const struct order *order, struct timex *asked)
{
    bool faster = timestamp_abs(order->slew_ns) > timestamp_abs(clock->left.remainder_ns);
    int r = faster ? steer_adjtime(clock, order) : steer_pll(clock, asked);

    if (r < 0)
        return r;
    return faster ? steer_pll(clock, asked) : steer_adjtime(clock, order);
}

int clock_steer(struct clock *clock, const struct order *order)
{
    struct timex asked;
    int r;

    if (!clock->adjusts)
        return 0;
    if (!isfinite(order->freq_ppb))
        return -EINVAL;
    asked = timex_of(clock, order);
    r = clock_slew_errors(&clock->port, &clock->slews, clock->left.remainder_ns, &asked);
    if (r >= 0)
        r = steer_both(clock, order, &asked);
    if (r < 0)
        clock->ours = false;
    return r;
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
    clock->left = clock_settings_of(&timex);
    struct clock_instant at = clock_instant_of(&timex);
    clock_trail_clear(&clock->slews.pll, &at);
    clock_trail_clear(&clock->slews.adjtime, &at);
    return 0;
}

/* A PLL slew with an adjtime slew against it is a fast start: what the PLL delivers at once
 * is all that was wanted, and the daemon would have ended both in the next second.  Left to
 * itself the PLL would deliver the whole of its remainder within seconds, and
 * adjtime need minutes to take it back. */
static int end_opposed(const struct kernel_port *port, const struct timex *found)
{
    struct timex pll = {.modes = ADJ_OFFSET | ADJ_NANO};
    struct timex adjtime = {.modes = ADJ_OFFSET_SS_READ};
    int64_t left_ns = clock_settings_of(found).remainder_ns;
    int r = port->adjust(port->context, &adjtime);

    if (r < 0)
        return r;
    if (!((left_ns > 0 && adjtime.offset < 0) || (left_ns < 0 && adjtime.offset > 0)))
        return 0;
    r = port->adjust(port->context, &pll);
    if (r < 0)
        return r;
    adjtime = (struct timex){.modes = ADJ_OFFSET_SINGLESHOT};
    return port->adjust(port->context, &adjtime);
}

int clock_kernel_tidy(const struct kernel_port *port)
{
    struct timex timex = {.modes = 0};
    int r = port->adjust(port->context, &timex);

    if (r < 0)
        return r;
    if ((timex.status & STATUS_STEERED) != STATUS_STEERED)
        return 0;
    r = end_opposed(port, &timex);
    if (r < 0)
        return r;
    timex.modes = ADJ_TICK | ADJ_STATUS;
    timex.tick = TICK_US;
    timex.status &= ~STATUS_OF_DAEMONS;
    r = port->adjust(port->context, &timex);
    return r < 0 ? r : 0;
}

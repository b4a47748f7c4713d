/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_policy.h"

#include <errno.h>

#define MODES_ERRORS (ADJ_MAXERROR | ADJ_ESTERROR)
#define MODES_STEER (ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_FREQUENCY | ADJ_OFFSET)
#define MODES_STEP (ADJ_SETOFFSET | ADJ_NANO)

#define STATUS_STEERED (STA_PLL | STA_FREQHOLD)
#define STATUS_OURS (STATUS_STEERED | STA_UNSYNC)
#define STATUS_LEAP (STA_INS | STA_DEL)

#define TICK_US 10000
#define FREQ_LIMIT (INT64_C(500) << 16)
#define ERROR_LIMIT_US INT64_C(16000000)
#define SECONDS_LIMIT (TIMESTAMP_LIMIT_NS / NS_PER_S)

/* A second of the PLL delivers this share of what it has left (discipline.h). */
#define PLL_SHARE 4
#define PLL_LIMIT_NS (NS_PER_S / 2)
/* What the discipline orders of the PLL besides adjtime: less than a microsecond of delivery. */
#define PLL_FINE_NS (PLL_SHARE * NS_PER_US)
#define ADJTIME_SECOND_US INT64_C(500)
#define ADJTIME_LIMIT_US (PLL_SHARE * ADJTIME_SECOND_US)
#define ADJTIME_HURRY_US INT64_C(500000)

static const char refused_observing[] = "the configuration says to leave the clock alone";
static const char refused_modes[] = "a kind of change this daemon never makes";
static const char refused_status[] = "status bits this daemon never changes";
static const char refused_values[] = "frequency, tick, constant or errors out of range";
static const char refused_step[] = "a step that is not allowed now";
static const char limited_slew[] = "a faster slew than is allowed now";

void clock_policy_init(struct clock_policy *policy, const struct kernel_port *port,
                       const struct clock_limits *limits)
{
    *policy = (struct clock_policy){.port = port, .limits = *limits};
}

static int adjust(const struct clock_policy *policy, struct timex *timex)
{
    return policy->port->adjust(policy->port->context, timex);
}

static bool within(int64_t value, int64_t min, int64_t max)
{
    return value >= min && value <= max;
}

static int refuse(const char *text, const char **why)
{
    *why = text;
    return -EPERM;
}

static void note_taken(struct clock_account *account, int64_t left)
{
    int64_t taken = account->written - timestamp_clamp(left, TIMESTAMP_LIMIT_NS);

    if (!(account->written > 0 ? taken > 0 : taken < 0))
        return;
    if (account->taken > 0 ? taken < 0 : taken > 0)
        account->taken = 0;
    account->taken += timestamp_clamp(taken, timestamp_abs(account->written));
    account->taken = timestamp_clamp(account->taken, account->most);
}

/* The first orders under a lower limit may still take back what was delivered under the old one. */
static void note_most(struct clock_account *account, int64_t most)
{
    account->most -= account->most / PLL_SHARE;
    if (account->most < most)
        account->most = most;
}

/* What an order rests on may be older than the last second boundary, which took a part of the
 * earlier remainder away; the order is then less by that (clock_slew.h), which may well be
 * more in the other direction: so much of what was delivered may be taken back, once. */
static int64_t limit_slew(struct clock_account *account, int64_t wanted, int64_t left,
                          int64_t limit)
{
    int64_t given = timestamp_clamp(wanted, limit);
    int64_t beyond = wanted - given;

    note_taken(account, left);
    if (beyond < 0 ? account->taken > 0 : account->taken < 0)
        given += timestamp_clamp(beyond, timestamp_abs(account->taken));
    account->taken += given - timestamp_clamp(given, limit);
    account->written = given;
    note_most(account, limit);
    return given;
}

/* L * 1 s, the most that either slew may deliver in a second. */
static int64_t second_ns(const struct clock_policy *policy)
{
    double ppm = policy->limits.max_slew_ppm;

    /* The order that settles it has two parts, and either may come first. */
    if (!policy->settled && policy->limits.initial_slew_ppm > ppm)
        ppm = policy->limits.initial_slew_ppm;
    return timestamp_drift(NS_PER_S, ppm * 1000);
}

static int64_t pll_limit_ns(const struct clock_policy *policy)
{
    int64_t limit_ns = PLL_SHARE * second_ns(policy);

    return limit_ns < PLL_FINE_NS ? PLL_FINE_NS : limit_ns > PLL_LIMIT_NS ? PLL_LIMIT_NS : limit_ns;
}

static int64_t adjtime_limit_us(const struct clock_policy *policy)
{
    if (second_ns(policy) < ADJTIME_SECOND_US * NS_PER_US)
        return second_ns(policy) / NS_PER_US;
    return policy->settled ? ADJTIME_LIMIT_US : ADJTIME_HURRY_US;
}

static int64_t pll_left_ns(const struct timex *found)
{
    return (found->status & STA_NANO) ? found->offset : (int32_t)found->offset * NS_PER_US;
}

/* Leap seconds are announced by others. */
static bool status_allowed(int status, int found)
{
    int others = status & ~(STA_RONLY | STATUS_OURS);

    return (status & STATUS_STEERED) == STATUS_STEERED && (others & ~found) == 0 &&
           (status & STATUS_LEAP) == (found & STATUS_LEAP);
}

static int allow_steer(struct clock_policy *policy, struct timex *timex, const struct timex *found,
                       const char **why)
{
    int64_t given_ns;

    if (!status_allowed(timex->status, found->status))
        return refuse(refused_status, why);
    if (!within(timex->freq, -FREQ_LIMIT, FREQ_LIMIT) || timex->constant != 0 ||
        ((timex->modes & ADJ_TICK) && timex->tick != TICK_US))
        return refuse(refused_values, why);
    policy->steered = true;
    policy->settled |= !(timex->status & STA_UNSYNC);
    given_ns = limit_slew(&policy->pll, timex->offset, pll_left_ns(found), pll_limit_ns(policy));
    if (given_ns != timex->offset)
        *why = limited_slew;
    timex->offset = given_ns;
    return 0;
}

static int allow_adjtime(struct clock_policy *policy, struct timex *timex, const char **why)
{
    struct timex found = {.modes = ADJ_OFFSET_SS_READ};
    int64_t given_us;
    int r = adjust(policy, &found);

    if (r < 0)
        return r;
    given_us = limit_slew(&policy->adjtime, timex->offset, found.offset, adjtime_limit_us(policy));
    if (given_us != timex->offset)
        *why = limited_slew;
    timex->offset = given_us;
    return 0;
}

static bool is_permitted(const struct clock_policy *policy, int64_t delta_ns,
                         const struct reading *now)
{
    return within(now->raw_ns - policy->permitted_raw_ns, 0, CLOCK_POLICY_PERMIT_NS) &&
           discipline_step_confirmed(policy->permitted_ns, delta_ns);
}

/* Forward to the time saved, before anything else; or beyond the threshold, or as root permits,
 * before the clock was first synchronised. */
static bool step_allowed(struct clock_policy *policy, int64_t delta_ns, const struct reading *now)
{
    int64_t threshold_ns = policy->limits.step_threshold_ns;

    if (policy->settled)
        return false;
    if (!policy->stepped && is_permitted(policy, delta_ns, now)) {
        policy->stepped = true;
        return true;
    }
    if (delta_ns > 0 && !policy->set_forward && !policy->steered &&
        now->raw_ns - policy->first_raw_ns <= CLOCK_POLICY_START_NS) {
        policy->set_forward = true;
        return true;
    }
    if (policy->stepped || threshold_ns <= 0 || !(timestamp_abs(delta_ns) > threshold_ns))
        return false;
    policy->stepped = true;
    return true;
}

static int allow_step(struct clock_policy *policy, const struct timex *timex, const char **why)
{
    struct reading now;
    int64_t delta_ns, real_ns;
    int r = policy->port->read(policy->port->context, &now);

    if (r < 0)
        return r;
    if (!within(timex->time.tv_sec, -SECONDS_LIMIT, SECONDS_LIMIT - 1) ||
        !within(timex->time.tv_usec, 0, NS_PER_S - 1))
        return refuse(refused_step, why);
    delta_ns = timex->time.tv_sec * NS_PER_S + timex->time.tv_usec;
    if (timestamp_add(now.raw_ns + now.total_ns, delta_ns, &real_ns) < 0 ||
        !within(real_ns, 0, TIMESTAMP_LIMIT_NS - 1) || !step_allowed(policy, delta_ns, &now))
        return refuse(refused_step, why);
    policy->pll = policy->adjtime = (struct clock_account){0};
    return 0;
}

/* The harmless write that tells whether there is the right to. */
static int allow_status(const struct timex *timex, const struct timex *found, const char **why)
{
    if ((timex->status & ~STA_RONLY) != (found->status & ~STA_RONLY))
        return refuse(refused_status, why);
    return 0;
}

static int allow_errors(const struct timex *timex, const char **why)
{
    if (!within(timex->maxerror, 0, ERROR_LIMIT_US) || !within(timex->esterror, 0, ERROR_LIMIT_US))
        return refuse(refused_values, why);
    return 0;
}

static int allow(struct clock_policy *policy, struct timex *timex, const char **why)
{
    struct timex found = {.modes = 0};
    int r;

    if (!policy->limits.adjust)
        return refuse(refused_observing, why);
    r = adjust(policy, &found);
    if (r < 0)
        return r;
    switch (timex->modes) {
    case ADJ_STATUS:
        return allow_status(timex, &found, why);
    case MODES_ERRORS:
        return allow_errors(timex, why);
    case MODES_STEER:
    case MODES_STEER | ADJ_TICK:
        return allow_steer(policy, timex, &found, why);
    case ADJ_OFFSET_SINGLESHOT:
        return allow_adjtime(policy, timex, why);
    case MODES_STEP:
        return allow_step(policy, timex, why);
    default:
        return refuse(refused_modes, why);
    }
}

static int note_first(struct clock_policy *policy)
{
    struct reading now;
    int r;

    if (policy->first_raw_ns != 0)
        return 0;
    r = policy->port->read(policy->port->context, &now);
    if (r >= 0)
        policy->first_raw_ns = now.raw_ns;
    return r;
}

int clock_policy_adjust(struct clock_policy *policy, struct timex *timex, const char **why)
{
    const bool stepped = policy->stepped, set_forward = policy->set_forward;
    int r = note_first(policy);

    *why = NULL;
    if (r >= 0 && timex->modes != 0 && timex->modes != ADJ_OFFSET_SS_READ)
        r = allow(policy, timex, why);
    if (r < 0)
        return r;
    r = adjust(policy, timex);
    if (r < 0) { /* a step that the kernel did not make was none */
        policy->stepped = stepped;
        policy->set_forward = set_forward;
    }
    return r;
}

int clock_policy_permit(struct clock_policy *policy, int64_t step_ns)
{
    struct reading now;
    int r;

    if (!policy->limits.adjust)
        return -EROFS;
    if (policy->settled)
        return -EALREADY;
    if (policy->stepped)
        return -EEXIST;
    if (within(step_ns, 1 - DISCIPLINE_STEP_MIN_NS, DISCIPLINE_STEP_MIN_NS - 1))
        return -EBUSY;
    r = policy->port->read(policy->port->context, &now);
    if (r < 0)
        return r;
    policy->permitted_ns = step_ns;
    policy->permitted_raw_ns = now.raw_ns;
    return 0;
}

void clock_policy_tidied(struct clock_policy *policy)
{
    policy->pll.written = policy->adjtime.written = 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_policy: what may be done to this machine's clock, whoever asks for it.
 *
 * It allows what clock_kernel does under the configured limits, and nothing else.  Whoever
 * took over the daemon that asks can still make the clock run up to 500 ppm off (ADJ_FREQUENCY)
 * and slew it at the configured rate: that of clock.initial_slew_ppm until the daemon first said
 * that the clock is synchronised, that of clock.max_slew_ppm ever after.  One step, until then, is
 * what the configuration allows, or root by a permit of its own, never the daemon.
 *
 * Amounts are limited, so that a daemon that was killed and has forgotten how far it was does
 * not lose its clock; kinds are refused.
 */
#ifndef BERKELEY_DAEMON_CLOCK_POLICY_H
#define BERKELEY_DAEMON_CLOCK_POLICY_H

#include "daemon/clock_kernel.h"

#include <stdbool.h>
#include <stdint.h>

/* After its first call, in this time, the daemon sets a clock forward to the time it saved. */
#define CLOCK_POLICY_START_NS (10 * NS_PER_S)

/* So long a permit is good. */
#define CLOCK_POLICY_PERMIT_NS (30 * NS_PER_S)

struct clock_limits {
    bool adjust; /* false: only reads */
    double max_slew_ppm, initial_slew_ppm;
    int64_t step_threshold_ns; /* 0: never */
};

/* Of one of the kernel's slews. */
struct clock_account {
    int64_t written; /* the remainder ordered last */
    int64_t taken;   /* by second boundaries from orders, and not taken back yet */
    int64_t most;    /* of that */
};

struct clock_policy {
    const struct kernel_port *port;
    struct clock_limits limits;
    struct clock_account pll;     /* ns */
    struct clock_account adjtime; /* us */
    int64_t first_raw_ns;         /* of the first call; 0: there was none */
    bool steered;                 /* an order was carried out */
    bool settled;                 /* and one of them said that the clock is synchronised */
    bool stepped, set_forward;    /* each once */
    int64_t permitted_ns;         /* a step; 0: none */
    int64_t permitted_raw_ns;     /* since then */
};

/* port: borrowed. */
void clock_policy_init(struct clock_policy *policy, const struct kernel_port *port,
                       const struct clock_limits *limits);

/* As port->adjust, after having limited what is asked for.  -EPERM: that is not done.  *why: what
 * was refused or limited, a constant text; NULL: nothing. */
int clock_policy_adjust(struct clock_policy *policy, struct timex *timex, const char **why);

/* One step by about step_ns (discipline_step_confirmed()) is allowed from now on.  To be called for
 * root alone.  0; -EROFS: nothing is changed here; -EALREADY: the clock was synchronised; -EEXIST: it
 * was stepped; -EBUSY: less than DISCIPLINE_STEP_MIN_NS; or why the clock could not be read. */
int clock_policy_permit(struct clock_policy *policy, int64_t step_ns);

/* After clock_kernel_tidy(): what is gone of the slews was not delivered. */
void clock_policy_tidied(struct clock_policy *policy);

#endif

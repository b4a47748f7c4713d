/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_slew.h"

#include "daemon/clock_meddling.h"

#define OFFSET_LIMIT_NS INT64_C(500000000)

/* Boundaries between two calls, again and again: the process hardly runs. */
#define TRIES_MAX 3

static int adjust(const struct kernel_port *port, struct timex *timex)
{
    return port->adjust(port->context, timex);
}

static void lessen(struct timex *order, int64_t taken_ns)
{
    order->offset = timestamp_clamp(order->offset - taken_ns, OFFSET_LIMIT_NS);
}

int clock_slew_errors(const struct kernel_port *port, struct clock_slews *slews, int64_t seen_ns,
                      struct timex *order)
{
    struct timex errors = {.modes = ADJ_MAXERROR | ADJ_ESTERROR,
                           .maxerror = order->maxerror,
                           .esterror = order->esterror};
    int r = adjust(port, &errors);

    if (r < 0)
        return r;

    struct clock_instant now = clock_instant_of(&errors);
    struct clock_settings found = clock_settings_of(&errors);
    if (clock_trail_follow_uncounted(&slews->pll, &now, found.remainder_ns))
        lessen(order, seen_ns - found.remainder_ns);
    else
        clock_trail_guess(&slews->pll, &now, found.remainder_ns, found.constant);
    /* Nothing left of its own can tell. */
    if (slews->adjtime.left == 0)
        clock_trail_align(&slews->adjtime, &slews->pll);
    return 0;
}

int clock_slew_pll(const struct kernel_port *port, struct clock_slews *slews, struct timex *order,
                   struct timex *got)
{
    int64_t taken_ns = 0;

    for (int i = 0; i < TRIES_MAX; i++) {
        lessen(order, taken_ns);
        *got = *order;
        int r = adjust(port, got);
        if (r < 0)
            return r;
        struct clock_instant now = clock_instant_of(got);
        taken_ns = clock_trail_pass(&slews->pll, &now);
        clock_trail_set(&slews->pll, order->offset);
        if (taken_ns == 0)
            break;
    }
    return 0;
}

int64_t clock_slew_adjtime_ns(int64_t us)
{
    return timestamp_clamp(us, TIMESTAMP_LIMIT_NS / 2 / NS_PER_US) * NS_PER_US;
}

static bool follow_adjtime(struct clock_trail *trail, const struct timex *timex, bool counted)
{
    struct clock_instant now = clock_instant_of(timex);
    int64_t left_ns = clock_slew_adjtime_ns(timex->offset);
    bool follows = counted ? clock_trail_follow(trail, &now, left_ns)
                           : clock_trail_follow_uncounted(trail, &now, left_ns);

    if (!follows)
        clock_trail_guess_adjtime(trail, &now, left_ns);
    return follows;
}

int clock_slew_adjtime(const struct kernel_port *port, struct clock_slews *slews, int64_t wanted_us,
                       int64_t *left_us, bool *in_force)
{
    struct timex timex;
    bool counted = slews->adjtime.left == 0; /* and thus aligned when maxerror was written */
    int64_t taken_us = 0;

    *in_force = true;
    if (wanted_us == 0 && *left_us == 0)
        return 0;
    for (int i = 0; i < TRIES_MAX; i++) {
        wanted_us -= taken_us;
        timex = (struct timex){.modes = ADJ_OFFSET_SINGLESHOT, .offset = wanted_us};
        int r = adjust(port, &timex);
        if (r < 0)
            return r;
        bool follows = follow_adjtime(&slews->adjtime, &timex, counted);
        taken_us = follows ? *left_us - timex.offset : 0;
        clock_trail_set(&slews->adjtime, wanted_us * NS_PER_US);
        counted = true;
        *left_us = wanted_us;
        if (taken_us == 0)
            break;
    }
    timex = (struct timex){.modes = ADJ_OFFSET_SS_READ};
    int r = adjust(port, &timex);
    if (r < 0)
        return r;
    *in_force = follow_adjtime(&slews->adjtime, &timex, true);
    *left_us = timex.offset;
    return 0;
}

/* At part p of a second of the corrected clock that runs at 1 + f + c, (1 - p) / (1 + f + c)
 * are left of it, in which c delivers c (1 - p) / (1 + f + c); c is the sum of both chunks. */
int64_t clock_slew_underway(const struct clock_slews *slews, const struct clock_instant *pll_at,
                            const struct clock_instant *adjtime_at, double freq_ppb)
{
    double pll = clock_trail_chunk(&slews->pll, pll_at);
    double adjtime = clock_trail_chunk(&slews->adjtime, adjtime_at);
    double pll_ns = pll * (double)(NS_PER_S - pll_at->part_ns);
    double adjtime_ns = adjtime * (double)(NS_PER_S - adjtime_at->part_ns);

    return timestamp_round((pll_ns + adjtime_ns) / (1 + freq_ppb / 1e9 + pll + adjtime));
}

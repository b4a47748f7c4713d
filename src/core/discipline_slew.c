/* SPDX-License-Identifier: BSD-2-Clause */
#include "discipline_slew.h"

#include <math.h>

#define PLL_SECONDS 48              /* after which 10^-6 is left */
#define PLL_LIMIT_NS (NS_PER_S / 2) /* MAXPHASE */
#define ADJTIME_PPM 500.0           /* MAX_TICKADJ: what adjtime delivers in a second, us */

/* Up to here adjtime alone is as fast as against the PLL. */
#define HURRY_LEAST_NS (500 * NS_PER_US * 2)

/* Up to here adjtime's 500 us a second are more than the PLL's quarter. */
#define ADJTIME_LIMIT_NS (500 * NS_PER_US * SLEW_PLL_SHARE)

static int64_t in_us(int64_t ns)
{
    return ns / NS_PER_US * NS_PER_US;
}

/* What is below adjtime's microsecond goes to the PLL fourfold, so that it is there in
 * one second; a daemon killed then leaves the clock 3 us off at most. */
static void order_fine(int64_t left_ns, double rate_ppm, struct order *order)
{
    int64_t second_ns = in_us(timestamp_drift(NS_PER_S, fmin(rate_ppm, ADJTIME_PPM) * 1000));
    int64_t most_ns = rate_ppm < ADJTIME_PPM ? second_ns : ADJTIME_LIMIT_NS;

    order->adjtime_ns = timestamp_clamp(in_us(left_ns), most_ns);
    if (timestamp_abs(order->adjtime_ns) < second_ns)
        order->slew_ns = SLEW_PLL_SHARE * (left_ns - order->adjtime_ns);
}

/* A chunk of c lasts for a second of the corrected clock, which is 1 / (1 + c) long, and
 * so delivers d = c / (1 + c): c = d / (1 - d). */
static int64_t chunk_for(int64_t left_ns, int64_t limit_ns)
{
    double d = (double)timestamp_clamp(left_ns, PLL_LIMIT_NS) / (double)NS_PER_S;

    return timestamp_clamp(timestamp_round(d / (1 - d) * (double)NS_PER_S), limit_ns);
}

/* A second of the corrected clock at frequency f, in which the slews run at c. */
static double delivered(double f, double c)
{
    return c / (1 + f + c);
}

/* What adjtime has to take back of what the PLL would deliver beyond left_ns in chunks of c,
 * 3/4 c ... if nobody ordered again: a in each second until nothing is beyond. */
static int64_t take_back(int64_t left_ns, int64_t chunk_ns, double f)
{
    double left = (double)left_ns / (double)NS_PER_S, beyond = -left, back = 0;
    double c = (double)chunk_ns / (double)NS_PER_S, a = copysign(ADJTIME_PPM / 1e6, -left);
    double c_k = c;

    for (unsigned k = 0; k < PLL_SECONDS; k++, c_k -= c_k / SLEW_PLL_SHARE)
        beyond += delivered(f, c_k);
    for (c_k = c; beyond * left > 0; c_k -= c_k / SLEW_PLL_SHARE) {
        double gain = delivered(f, c_k + a) - delivered(f, c_k);

        back += a * fmin(1, -beyond / gain);
        beyond += gain;
    }
    return in_us(timestamp_round(back * (double)NS_PER_S));
}

static void order_hurry(int64_t left_ns, int64_t limit_ns, struct order *order)
{
    int64_t chunk_ns = chunk_for(left_ns, limit_ns / SLEW_PLL_SHARE);

    order->soon = true;
    order->slew_ns = SLEW_PLL_SHARE * chunk_ns;
    order->adjtime_ns = take_back(left_ns, chunk_ns, order->freq_ppb / 1e9);
}

void slew_order(int64_t left_ns, double rate_ppm, bool hurry, struct order *order)
{
    int64_t limit_ns = SLEW_PLL_SHARE * timestamp_drift(NS_PER_S, rate_ppm * 1000);

    order->slew_ns = order->adjtime_ns = 0;
    order->soon = false;
    if (timestamp_abs(left_ns) <= (hurry ? HURRY_LEAST_NS : ADJTIME_LIMIT_NS) ||
        rate_ppm <= ADJTIME_PPM) {
        order_fine(left_ns, rate_ppm, order);
        return;
    }
    if (limit_ns > PLL_LIMIT_NS)
        limit_ns = PLL_LIMIT_NS;
    if (hurry)
        order_hurry(left_ns, limit_ns, order);
    else
        order->slew_ns = timestamp_clamp(left_ns, limit_ns);
}

int64_t discipline_pause(const struct reading *now, bool soon)
{
    int64_t pause_ns = soon ? DISCIPLINE_SOON_NS : DISCIPLINE_TICK_NS;
    int64_t part_ns = (now->raw_ns % NS_PER_S + now->total_ns % NS_PER_S + pause_ns) % NS_PER_S;
    int64_t after_ns = (part_ns + NS_PER_S + DISCIPLINE_AWAY_NS) % NS_PER_S;

    return after_ns < 2 * DISCIPLINE_AWAY_NS ? pause_ns + 3 * DISCIPLINE_AWAY_NS - after_ns
                                             : pause_ns;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/timestamp.h"

#include <errno.h>
#include <math.h>

bool timestamp_valid(int64_t v_ns)
{
    return v_ns > -TIMESTAMP_LIMIT_NS && v_ns < TIMESTAMP_LIMIT_NS;
}

int timestamp_add(int64_t a_ns, int64_t b_ns, int64_t *out_ns)
{
    int64_t sum;

    if (__builtin_add_overflow(a_ns, b_ns, &sum))
        return -EOVERFLOW;
    *out_ns = sum;
    return 0;
}

int timestamp_sub(int64_t a_ns, int64_t b_ns, int64_t *out_ns)
{
    int64_t difference;

    if (__builtin_sub_overflow(a_ns, b_ns, &difference))
        return -EOVERFLOW;
    *out_ns = difference;
    return 0;
}

int64_t timestamp_abs(int64_t v_ns)
{
    if (v_ns == INT64_MIN)
        return INT64_MAX;
    return v_ns < 0 ? -v_ns : v_ns;
}

int64_t timestamp_clamp(int64_t v_ns, int64_t limit_ns)
{
    if (v_ns > limit_ns)
        return limit_ns;
    if (v_ns < -limit_ns)
        return -limit_ns;
    return v_ns;
}

int64_t timestamp_round(double v_ns)
{
    if (isnan(v_ns))
        return 0;
    if (v_ns >= 0x1p63)
        return INT64_MAX;
    if (v_ns <= -0x1p63)
        return INT64_MIN;
    return (int64_t)round(v_ns);
}

int64_t timestamp_drift(int64_t span_ns, double rate_ppb)
{
    double drift_ns = (double)span_ns * (rate_ppb / 1e9);

    if (!(fabs(drift_ns) < (double)TIMESTAMP_LIMIT_NS))
        return timestamp_round(drift_ns);

    /* span = s + n: whole seconds and the nanoseconds that remain, so
     * span * rate / 10^9 = s * rate + n * rate / 10^9, and fma() gives the part
     * of s * rate after the point without having rounded the product first. */
    int64_t s = span_ns / NS_PER_S;
    int64_t n = span_ns % NS_PER_S;
    double whole = trunc((double)s * rate_ppb);
    double rest = fma((double)s, rate_ppb, -whole) + (double)n * rate_ppb / 1e9;

    return (int64_t)whole + timestamp_round(rest);
}

int64_t map_total_at(const struct map *map, int64_t raw_ns)
{
    int64_t span_ns = 0, total_ns = 0;

    if (timestamp_sub(raw_ns, map->raw_ns, &span_ns) < 0)
        span_ns = raw_ns < 0 ? INT64_MIN : INT64_MAX;

    /* A(R) = A0 + phi * (R - R0) */
    int64_t drift_ns = timestamp_drift(span_ns, map->freq_ppb);

    if (timestamp_add(map->total_ns, drift_ns, &total_ns) < 0)
        total_ns = drift_ns < 0 ? INT64_MIN : INT64_MAX;
    return total_ns;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timestamp: instants and intervals as int64_t nanoseconds, and the map that
 * says what a clock should read.
 *
 * Two time scales exist on every machine.  RAW is the uncorrected oscillator
 * (CLOCK_MONOTONIC_RAW): it never jumps while the machine runs, and nobody can
 * set it.  The corrected clock is what users read (CLOCK_REALTIME).  Their
 * difference is the machine's total correction A = corrected - RAW; it is
 * always measured, never summed up from what was asked for.
 */
#ifndef BERKELEY_CORE_TIMESTAMP_H
#define BERKELEY_CORE_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Stamps and corrections live strictly within +-2^62 ns (CLOCK_REALTIME until
 * 2116), so that the sum or difference of any two of them cannot overflow. */
#define TIMESTAMP_LIMIT_NS (INT64_C(1) << 62)

/* One look at a machine's clock. */
struct reading {
    int64_t raw_ns;   /* RAW at the instant */
    int64_t total_ns; /* A at the instant: corrected clock minus RAW */
};

/* What a clock should read: at RAW time R its total correction shall be
 * A(R) = A0 + phi * (R - R0). */
struct map {
    int64_t raw_ns;   /* R0 */
    int64_t total_ns; /* A0 */
    double freq_ppb;  /* phi, in parts per 10^9 */
};

/* True if v lies strictly within +-TIMESTAMP_LIMIT_NS. */
bool timestamp_valid(int64_t v_ns);

/* Checked arithmetic: 0 and *out set, or -EOVERFLOW and *out untouched. */
int timestamp_add(int64_t a_ns, int64_t b_ns, int64_t *out_ns);
int timestamp_sub(int64_t a_ns, int64_t b_ns, int64_t *out_ns);

/* |v|; INT64_MIN gives INT64_MAX. */
int64_t timestamp_abs(int64_t v_ns);

/* The interval v limited to [-limit, limit]; limit >= 0. */
int64_t timestamp_clamp(int64_t v_ns, int64_t limit_ns);

/* v as int64_t, rounded to nearest; saturates; NaN gives 0. */
int64_t timestamp_round(double v_ns);

/* span * rate: how far a clock that is rate_ppb fast runs ahead in span.
 * Rounded to nearest, saturating. */
int64_t timestamp_drift(int64_t span_ns, double rate_ppb);

/* A(R) of a map at raw_ns. */
int64_t map_total_at(const struct map *map, int64_t raw_ns);

#endif

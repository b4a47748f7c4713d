/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/average.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define GATE_SD 8.0                     /* g and h in units of the median sd */
#define GATE_PHASE_FLOOR_NS 1000.0      /* what agreement better than a microsecond is not asked for */
#define GATE_RATE_FLOOR_PPB 10.0        /* 1e-8: an undisciplined crystal's wander over a minute */
/* References err by what keeps them, however well the links to them are known. */
#define GATE_REFERENCE_PHASE_NS NS_PER_MS
#define GATE_REFERENCE_RATE_PPB 1000.0
#define GATE_COLD_PHASE_NS (10 * NS_PER_S)
#define GATE_COLD_RATE_PPB 500000.0     /* what the kernel can steer */

/* Figures in columns, to be sorted: phases and rates of the voters, sds of all
 * clocks that have one (the clock that all are measured against has none). */
struct columns {
    int64_t *phase_ns; /* exact, however far away a liar is */
    double *rate_ppb;
    double *phase_sd_ns;
    double *rate_sd_ppb;
    double *wander_ppb;
    size_t voters;
    size_t measured;
};

/* NaN counts as the largest: it would leave the others unsorted otherwise. */
static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

static int compare_times(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* The middle value, or the lower of the two middle ones; 0 without any. */
static double lower_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare_doubles);
    return values[(count - 1) / 2];
}

/* The middle value, or the mean of the two middle ones; count > 0. */
static double median(double *values, size_t count)
{
    double low = lower_median(values, count);

    return low / 2 + values[count / 2] / 2;
}

/* The same for instants. */
static int64_t median_time(int64_t *values, size_t count)
{
    int64_t low, high;

    qsort(values, count, sizeof *values, compare_times);
    low = values[(count - 1) / 2];
    high = values[count / 2];
    return low + (high - low) / 2;
}

static bool only_references(const struct average_clock *clocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (clocks[i].votes && clocks[i].reference)
            return true;
    return false;
}

static bool is_voter(const struct average_clock *clock, bool references)
{
    return clock->votes && (clock->reference || !references);
}

/* Exact for clocks within 100 days of each other; phases are within the limits
 * of core/timestamp.h, so nothing overflows. */
static double phase_difference(int64_t a_ns, int64_t b_ns)
{
    return (double)(a_ns - b_ns);
}

enum clock_verdict average_judge(const struct average_clock *clock, int64_t phase_ns,
                                 double rate_ppb, int64_t gate_ns, double gate_ppb)
{
    double phase_off = fabs(phase_difference(clock->phase_ns, phase_ns));
    double rate_off = fabs(clock->rate_ppb - rate_ppb);
    bool near = phase_off <= (double)gate_ns && clock->phase_sd_ns >= 0;
    bool alike = rate_off <= gate_ppb && clock->rate_sd_ppb >= 0;

    if (near && alike)
        return VERDICT_COUNTED;
    if ((near || phase_off <= GATE_SD * clock->phase_sd_ns + GATE_PHASE_FLOOR_NS) &&
        (alike || rate_off <= GATE_SD * clock->rate_sd_ppb + GATE_RATE_FLOOR_PPB))
        return VERDICT_NOISY;
    return alike ? VERDICT_FAR : VERDICT_FAST;
}

static void columns_empty(struct columns *columns)
{
    free(columns->phase_ns);
    free(columns->rate_ppb);
}

static int columns_fill(struct columns *columns, const struct average_clock *clocks, size_t count,
                        bool references)
{
    int64_t *phases = calloc(count, sizeof *phases);
    double *block = calloc(count, 4 * sizeof *block);

    *columns = (struct columns){.phase_ns = phases, .rate_ppb = block};
    if (!phases || !block) {
        columns_empty(columns);
        return -ENOMEM;
    }
    columns->phase_sd_ns = block + count;
    columns->rate_sd_ppb = block + 2 * count;
    columns->wander_ppb = block + 3 * count;
    for (size_t i = 0; i < count; i++) {
        const struct average_clock *clock = &clocks[i];

        if (clock->phase_sd_ns > 0) {
            columns->phase_sd_ns[columns->measured] = clock->phase_sd_ns;
            columns->wander_ppb[columns->measured] = clock->wander_ppb;
            columns->rate_sd_ppb[columns->measured++] = clock->rate_sd_ppb;
        }
        if (!is_voter(clock, references))
            continue;
        columns->phase_ns[columns->voters] = clock->phase_ns;
        columns->rate_ppb[columns->voters++] = clock->rate_ppb;
    }
    return 0;
}

void average_gates(double phase_sd_ns, double rate_sd_ppb, int64_t *gate_ns, double *gate_ppb)
{
    *gate_ns = timestamp_round(GATE_SD * phase_sd_ns + GATE_PHASE_FLOOR_NS);
    *gate_ppb = GATE_SD * rate_sd_ppb + GATE_RATE_FLOOR_PPB;
}

void average_gates_of(const struct average *average, bool reference, int64_t *gate_ns,
                      double *gate_ppb)
{
    *gate_ns = average->gate_ns;
    *gate_ppb = average->gate_ppb;
    if (!reference)
        return;
    if (*gate_ns < GATE_REFERENCE_PHASE_NS)
        *gate_ns = GATE_REFERENCE_PHASE_NS;
    *gate_ppb = fmax(*gate_ppb, GATE_REFERENCE_RATE_PPB);
}

/* g = 8 hypot(median sd, W t^1.5 / sqrt 3) + 1 us,
 * h = 8 hypot(median frequency sd, W sqrt t) + 1e-8:
 * left to themselves for t, rates wander by W sqrt t, and clocks by W t^1.5 / sqrt 3: where
 * they have got to is no fault, however well it is known. */
static void set_gates(struct columns *columns, const struct average_rule *rule,
                      struct average *average)
{
    double apart_s = rule->apart_s;
    double wander_ppb;

    average->gate_ns = GATE_COLD_PHASE_NS;
    average->gate_ppb = GATE_COLD_RATE_PPB;
    if (rule->cold)
        return;
    wander_ppb = lower_median(columns->wander_ppb, columns->measured);
    average_gates(hypot(lower_median(columns->phase_sd_ns, columns->measured),
                        wander_ppb * apart_s * sqrt(apart_s / 3)),
                  hypot(lower_median(columns->rate_sd_ppb, columns->measured),
                        wander_ppb * sqrt(apart_s)),
                  &average->gate_ns, &average->gate_ppb);
}

/* Judges the voters against the medians and takes the mean over the members. */
static void take_mean(struct average_clock *clocks, size_t count, bool references,
                      int64_t median_phase_ns, double median_rate_ppb, struct average *average)
{
    double phase = 0, rate = 0, phase_var = 0, rate_var = 0;
    int64_t lowest = INT64_MAX, highest = INT64_MIN;
    int64_t gate_ns;
    double gate_ppb;

    average_gates_of(average, references, &gate_ns, &gate_ppb);
    for (size_t i = 0; i < count; i++) {
        struct average_clock *clock = &clocks[i];

        if (!is_voter(clock, references))
            continue;
        average->voters++;
        clock->verdict =
            average_judge(clock, median_phase_ns, median_rate_ppb, gate_ns, gate_ppb);
        average->noisy += clock->verdict == VERDICT_NOISY;
        if (clock->verdict != VERDICT_COUNTED)
            continue;
        average->members++;
        phase += (double)(clock->phase_ns - median_phase_ns);
        rate += clock->rate_ppb;
        phase_var += clock->phase_sd_ns * clock->phase_sd_ns;
        rate_var += clock->rate_sd_ppb * clock->rate_sd_ppb;
        lowest = clock->phase_ns < lowest ? clock->phase_ns : lowest;
        highest = clock->phase_ns > highest ? clock->phase_ns : highest;
    }
    if (average->members == 0)
        return;
    average->phase_ns = median_phase_ns + timestamp_round(phase / average->members);
    average->rate_ppb = rate / average->members;
    average->phase_sd_ns = sqrt(phase_var) / average->members;
    average->rate_sd_ppb = sqrt(rate_var) / average->members;
    average->spread_ns = highest - lowest;
}

static bool has_quorum(const struct average *average, const struct average_rule *rule,
                       bool references)
{
    unsigned fewest = references ? 1 : rule->quorum;

    return 2 * average->members > average->voters - average->noisy &&
           average->members >= fewest;
}

/* Followers are measured against the references' mean, which may be known worse than they
 * are. */
static void widen_gates(struct average *average)
{
    average->gate_ns =
        timestamp_round(hypot((double)average->gate_ns, GATE_SD * average->phase_sd_ns));
    average->gate_ppb = hypot(average->gate_ppb, GATE_SD * average->rate_sd_ppb);
}

static void judge_others(struct average_clock *clocks, size_t count, bool references, bool quorum,
                         const struct average *average)
{
    for (size_t i = 0; i < count; i++) {
        struct average_clock *clock = &clocks[i];

        if (is_voter(clock, references)) {
            if (!quorum)
                clock->verdict = VERDICT_NO_QUORUM;
            else if (clock->verdict == VERDICT_COUNTED && clock->reference)
                clock->verdict = VERDICT_REFERENCE;
            continue;
        }
        clock->verdict = VERDICT_NEWCOMER;
        if (quorum && average_judge(clock, average->phase_ns, average->rate_ppb, average->gate_ns,
                                    average->gate_ppb) == VERDICT_COUNTED)
            clock->verdict = VERDICT_COUNTED;
    }
}

int average_compute(struct average_clock *clocks, size_t count, const struct average_rule *rule,
                    struct average *average)
{
    bool references = only_references(clocks, count);
    struct average result = {0};
    struct columns columns;
    bool quorum = false;

    if (count == 0)
        return -EINVAL;
    if (columns_fill(&columns, clocks, count, references) < 0)
        return -ENOMEM;
    set_gates(&columns, rule, &result);
    if (columns.voters > 0) {
        take_mean(clocks, count, references, median_time(columns.phase_ns, columns.voters),
                  median(columns.rate_ppb, columns.voters), &result);
        quorum = has_quorum(&result, rule, references);
        if (references)
            widen_gates(&result);
    }
    columns_empty(&columns);
    judge_others(clocks, count, references, quorum, &result);
    if (!quorum) {
        result.phase_ns = result.spread_ns = 0;
        result.rate_ppb = result.phase_sd_ns = result.rate_sd_ppb = 0;
    }
    *average = result;
    return quorum ? 0 : -EAGAIN;
}

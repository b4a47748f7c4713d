/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From every burst of exchanges (a round) the one with the least delay is kept;
 * offset and frequency are a weighted straight line through the last of them.
 */
#include "core/estimator.h"

#include "core/exchange.h"
#include "core/timestamp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 16                      /* rounds behind a line: a minute at the default interval */
#define BURST_NS (250 * NS_PER_MS)     /* exchanges this close together are one round's */
#define STAMP_SD_NS 1000.0             /* user-space stamps are not better than this */
#define FREQ_PRIOR_PPB 300000.0        /* crystals: nearly all within 100 ppm; some are far worse */
#define WANDER_PPB 10.0                /* random walk of the frequency per square root of a second */
#define JUDGE_POINTS 4                 /* fewer say nothing about the next one */
#define OUTLIER_SD 10.0
#define OUTLIER_FLOOR_NS 50000.0       /* scheduling on a busy machine is not a jump */
#define JUMP_POINTS 3                  /* this many outliers in a row: the clock moved */

struct point {
    int64_t master_raw_ns; /* middle of the exchange */
    int64_t offset_ns;
    int64_t delay_ns;
    bool outlier;
};

struct estimator {
    struct point points[POINTS]; /* oldest first */
    unsigned count;
    int64_t burst_raw_ns; /* when the newest point's burst began */
    bool have_forward;
    int64_t forward_master_ns, forward_slave_ns;
};

/* offset(x) = a + f x around an origin; x in s, offset in ns, so f is in ppb. */
struct line {
    int64_t origin_raw_ns;
    int64_t origin_offset_ns;
    double a_ns, f_ppb;
    double var_a, cov_af, var_f;
    unsigned used;
    int64_t least_delay_ns;
    double unseen_ns; /* what the least delay itself is likely above the base */
    double span_s;
};

/* Weighted sums of a straight line fit. */
struct sums {
    double w, wx, wxx, wy, wxy;
};

struct estimator *estimator_new(void)
{
    return calloc(1, sizeof(struct estimator));
}

void estimator_free(struct estimator *estimator)
{
    free(estimator);
}

void estimator_reset(struct estimator *estimator)
{
    *estimator = (struct estimator){0};
}

static double point_x(const struct line *line, const struct point *point)
{
    return (double)(point->master_raw_ns - line->origin_raw_ns) / 1e9;
}

/* Exact for offsets within 100 days of each other; a liar's may be further apart
 * than int64_t holds. */
static double point_y(const struct line *line, const struct point *point)
{
    int64_t y_ns;

    if (timestamp_sub(point->offset_ns, line->origin_offset_ns, &y_ns) < 0)
        return (double)point->offset_ns - (double)line->origin_offset_ns;
    return (double)y_ns;
}

/* A slow exchange may hide up to half of its extra delay in the offset.  An old
 * one says the less of now the further the frequency has wandered: W x^1.5 / sqrt 3. */
static double point_sd(const struct line *line, const struct point *point)
{
    double extra_ns = (double)(point->delay_ns - line->least_delay_ns) + line->unseen_ns;
    double x = fabs(point_x(line, point));

    return hypot(hypot(STAMP_SD_NS, extra_ns / 2), WANDER_PPB * x * sqrt(x / 3));
}

static void add_point(struct sums *sums, double x, double y, double weight)
{
    sums->w += weight;
    sums->wx += weight * x;
    sums->wxx += weight * x * x;
    sums->wy += weight * y;
    sums->wxy += weight * x * y;
}

/* How much more the points scatter around the line than their sds say; >= 1. */
static double excess_variance(const struct point *points, unsigned count, const struct line *line)
{
    double chi2 = 0;

    if (line->used < 3)
        return 1;
    for (unsigned i = 0; i < count; i++) {
        double x = point_x(line, &points[i]);
        double residual =
            (point_y(line, &points[i]) - line->a_ns - line->f_ppb * x) /
            point_sd(line, &points[i]);

        if (!points[i].outlier)
            chi2 += residual * residual;
    }
    return fmax(1, chi2 / (line->used - 2));
}

/* The extra delay of an exchange is the sum of two queues', so its density starts
 * linearly, and the least of n is on average 1 / sqrt n of the mean.  Known is
 * the mean above the least: m = mean - least = mean (1 - 1 / sqrt n). */
static double unseen_delay(const struct point *points, unsigned count, const struct line *line)
{
    double sum_ns = 0;

    if (line->used < 2)
        return 0;
    for (unsigned i = 0; i < count; i++)
        if (!points[i].outlier)
            sum_ns += (double)(points[i].delay_ns - line->least_delay_ns);
    return sum_ns / line->used / (sqrt(line->used) - 1);
}

static void line_start(struct line *line, const struct point *points, unsigned count)
{
    const struct point *newest = NULL;
    const struct point *oldest = NULL;

    *line = (struct line){.least_delay_ns = INT64_MAX};
    for (unsigned i = 0; i < count; i++) {
        if (points[i].outlier)
            continue;
        oldest = oldest ? oldest : &points[i];
        newest = &points[i];
        line->used++;
        if (points[i].delay_ns < line->least_delay_ns)
            line->least_delay_ns = points[i].delay_ns;
    }
    if (!newest)
        return;
    line->unseen_ns = unseen_delay(points, count, line);
    line->origin_raw_ns = newest->master_raw_ns;
    line->origin_offset_ns = newest->offset_ns;
    line->span_s = (double)(newest->master_raw_ns - oldest->master_raw_ns) / 1e9;
}

/* Least squares with weights 1/sd^2 and the prior f ~ N(0, FREQ_PRIOR_PPB^2). */
static int line_fit(struct line *line, const struct point *points, unsigned count)
{
    struct sums s = {.wxx = 1 / (FREQ_PRIOR_PPB * FREQ_PRIOR_PPB)};
    double det, scale;

    line_start(line, points, count);
    if (line->used < 2)
        return -ENODATA;
    for (unsigned i = 0; i < count; i++) {
        double sd = point_sd(line, &points[i]);

        if (!points[i].outlier)
            add_point(&s, point_x(line, &points[i]), point_y(line, &points[i]), 1 / (sd * sd));
    }
    det = s.w * s.wxx - s.wx * s.wx;
    if (!(det > 0))
        return -ENODATA;
    line->a_ns = (s.wxx * s.wy - s.wx * s.wxy) / det;
    line->f_ppb = (s.w * s.wxy - s.wx * s.wy) / det;
    scale = excess_variance(points, count, line);
    line->var_a = scale * s.wxx / det;
    line->cov_af = -scale * s.wx / det;
    line->var_f = scale * s.w / det + WANDER_PPB * WANDER_PPB * line->span_s / 3;
    return 0;
}

/* Offset in ns and its variance at x seconds from the origin: the line's own
 * uncertainty and the random walk of the frequency, W^2 x^3 / 3. */
static double line_at(const struct line *line, double x, double *variance)
{
    *variance = line->var_a + 2 * x * line->cov_af + x * x * line->var_f +
                WANDER_PPB * WANDER_PPB * fabs(x * x * x) / 3;
    return line->a_ns + line->f_ppb * x;
}

/* Does the newest point contradict all that was before it? */
static bool newest_is_outlier(const struct estimator *estimator)
{
    const struct point *newest = &estimator->points[estimator->count - 1];
    struct line line;
    double residual, variance, sd;

    if (estimator->count <= JUDGE_POINTS)
        return false;
    if (line_fit(&line, estimator->points, estimator->count - 1) < 0 || line.used < JUDGE_POINTS)
        return false;
    residual = point_y(&line, newest) - line_at(&line, point_x(&line, newest), &variance);
    sd = sqrt(variance);
    return fabs(residual) >
           OUTLIER_SD * sd + OUTLIER_FLOOR_NS + point_sd(&line, newest);
}

static void keep_newest(struct estimator *estimator, unsigned count)
{
    memmove(estimator->points, &estimator->points[estimator->count - count],
            count * sizeof estimator->points[0]);
    estimator->count = count;
}

/* A burst is over: is its point an outlier, and one too many? */
static bool close_burst(struct estimator *estimator)
{
    unsigned outliers = 0;

    if (estimator->count == 0)
        return false;
    estimator->points[estimator->count - 1].outlier = newest_is_outlier(estimator);
    while (outliers < estimator->count &&
           estimator->points[estimator->count - 1 - outliers].outlier)
        outliers++;
    if (outliers < JUMP_POINTS)
        return false;
    keep_newest(estimator, JUMP_POINTS);
    for (unsigned i = 0; i < JUMP_POINTS; i++)
        estimator->points[i].outlier = false;
    return true;
}

static bool take_exchange(struct estimator *estimator, const struct exchange *exchange)
{
    struct point point = {.master_raw_ns = exchange->t1_ns / 2 + exchange->t4_ns / 2};
    struct point *newest = &estimator->points[estimator->count ? estimator->count - 1 : 0];
    bool jumped;
    unsigned faults;

    if (exchange_measure(exchange, INT64_MAX, &point.offset_ns, &point.delay_ns, &faults) < 0)
        return false;
    if (estimator->count > 0 && exchange->t1_ns - estimator->burst_raw_ns < BURST_NS) {
        if (point.delay_ns < newest->delay_ns)
            *newest = point;
        return false;
    }
    jumped = close_burst(estimator);
    if (estimator->count == POINTS)
        keep_newest(estimator, POINTS - 1);
    estimator->points[estimator->count++] = point;
    estimator->burst_raw_ns = exchange->t1_ns;
    return jumped;
}

bool estimator_observe(struct estimator *estimator, enum direction direction, int64_t master_raw_ns,
                       int64_t slave_raw_ns)
{
    struct exchange exchange;

    if (direction == FORWARD) {
        estimator->have_forward = true;
        estimator->forward_master_ns = master_raw_ns;
        estimator->forward_slave_ns = slave_raw_ns;
        return false;
    }
    if (!estimator->have_forward)
        return false;
    estimator->have_forward = false;
    exchange = (struct exchange){.t1_ns = estimator->forward_master_ns,
                                 .t2_ns = estimator->forward_slave_ns,
                                 .t3_ns = slave_raw_ns,
                                 .t4_ns = master_raw_ns};
    return take_exchange(estimator, &exchange);
}

static double scatter(const struct estimator *estimator, int64_t least_delay_ns)
{
    double sum = 0;

    for (unsigned i = 0; i < estimator->count; i++) {
        double extra_ns = (double)(estimator->points[i].delay_ns - least_delay_ns) / 2;

        sum += extra_ns * extra_ns;
    }
    return sqrt(sum / estimator->count);
}

int estimator_estimate(const struct estimator *estimator, int64_t master_raw_ns,
                       struct estimate *estimate)
{
    unsigned count = estimator->count;
    struct line line;
    double variance, x;
    int64_t offset_ns;

    if (count > 0 && newest_is_outlier(estimator))
        count--;
    if (line_fit(&line, estimator->points, count) < 0)
        return -ENODATA;
    x = (double)(master_raw_ns - line.origin_raw_ns) / 1e9;
    if (timestamp_add(line.origin_offset_ns, timestamp_round(line_at(&line, x, &variance)),
                      &offset_ns) < 0)
        return -ENODATA;
    *estimate = (struct estimate){.offset_ns = offset_ns,
                                  .freq_ppb = line.f_ppb,
                                  .delay_ns = (double)line.least_delay_ns / 2,
                                  .offset_sd_ns = sqrt(variance),
                                  .freq_sd_ppb = sqrt(line.var_f),
                                  .jitter_ns = scatter(estimator, line.least_delay_ns),
                                  .samples = line.used};
    return 0;
}

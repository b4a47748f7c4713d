/* SPDX-License-Identifier: BSD-2-Clause */
#include "history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096
#define MANTISSA_BITS 52
#define BIN_BITS 6 /* of the mantissa */

bool history_init(struct history *history, size_t nodes)
{
    *history = (struct history){.nodes = nodes, .early = calloc(nodes, sizeof *history->early)};
    return history->early;
}

void history_free(struct history *history)
{
    free(history->rows);
    free(history->early);
}

bool history_add(struct history *history, const struct history_row *row)
{
    if (history->count == history->capacity) {
        size_t capacity = history->capacity ? 2 * history->capacity : CAPACITY_MIN;
        struct history_row *rows = reallocarray(history->rows, capacity, sizeof *rows);

        if (!rows)
            return false;
        history->rows = rows;
        history->capacity = capacity;
    }
    history->rows[history->count++] = *row;
    return true;
}

bool history_line(const struct history *history, size_t from, size_t to,
                  double (*value)(const struct history_row *), struct line *line)
{
    double n = 0, x_mean = 0, y_mean = 0, xx = 0, xy = 0;

    if (to > history->count)
        to = history->count;
    for (size_t i = from; i < to; i++) {
        double y = value(&history->rows[i]);
        double dx = (double)i - x_mean;

        if (!isfinite(y))
            continue;
        n++;
        x_mean += dx / n;
        y_mean += (y - y_mean) / n;
        xx += dx * ((double)i - x_mean);
        xy += dx * (y - y_mean);
    }
    if (!(xx > 0))
        return false;
    line->slope = xy / xx;
    line->at_zero = y_mean - line->slope * x_mean;
    return true;
}

/* A double's bits, taken as an integer, are nearly its logarithm. */
static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits >> (MANTISSA_BITS - BIN_BITS);
}

static double value_of(uint64_t bits)
{
    double value;

    bits = (2 * bits + 1) << (MANTISSA_BITS - BIN_BITS - 1);
    memcpy(&value, &bits, sizeof value);
    return value;
}

void histogram_add(struct histogram *histogram, double value)
{
    uint64_t bin = value > 1 ? bits_of(value) - bits_of(1) : 0;

    histogram->bins[bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1]++;
    histogram->count++;
}

double histogram_quantile(const struct histogram *histogram, double share)
{
    double rank = share * (double)histogram->count, sum = 0;

    if (histogram->count == 0)
        return NAN;
    for (uint64_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        sum += histogram->bins[bin];
        if (sum >= rank)
            return value_of(bin + bits_of(1));
    }
    return INFINITY;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* plot: how far the clock was from its group, and how far at most, in characters. */
#ifndef BERKELEY_CTL_PLOT_H
#define BERKELEY_CTL_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_POINTS_MAX 1024
#define PLOT_UNKNOWN INT64_MAX
#define PLOT_ROWS_LEAST 4

/* The last points, one for each interval. */
struct plot {
    size_t count; /* that were added */
    struct plot_point {
        int64_t offset_ns, bound_ns; /* or PLOT_UNKNOWN */
    } points[PLOT_POINTS_MAX];
};

void plot_add(struct plot *plot, int64_t offset_ns, int64_t bound_ns);

/* That many lines of at most so many columns; the scale is logarithmic, the offset without its
 * sign.  draws: with more than ASCII. */
void plot_print(const struct plot *plot, FILE *out, size_t columns, size_t rows,
                int64_t interval_ns, bool draws);

#endif

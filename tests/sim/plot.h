/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plot: a run for the eye: the spread in text, and every clock's error as a PNG.
 */
#ifndef BERKELEY_SIM_PLOT_H
#define BERKELEY_SIM_PLOT_H

#include "scenario.h"

#include <stdio.h>

struct plot; /* what was drawn so far */

/* NULL when out of memory. */
struct plot *plot_new(int nodes);
void plot_free(struct plot *plot);

/* One instant: the spread (< 0: there is none) and each node's error (PLOT_NO_ERROR: it has
 * none).  0 or -ENOMEM. */
#define PLOT_NO_ERROR INT64_MAX
int plot_sample(struct plot *plot, double seconds, int64_t spread_ns, const int64_t *errors_ns);

/* The spread over time, both logarithmic; in each column the largest. */
void plot_print(const struct plot *plot, FILE *out);

/* 0; -ENOENT: gnuplot is not installed; -EIO: it failed. */
int plot_png(const struct plot *plot, const char *title, const char *path);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* history: a run in few numbers for each instant of the grid, and in how many of
 * what size. */
#ifndef BERKELEY_SIM_HISTORY_H
#define BERKELEY_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_EARLY 480 /* instants for which each clock is kept by itself */

struct history_row {
    float spread_in_ns, spread_all_ns; /* NaN: none */
    double total_ns;                   /* mean total correction of the steady clocks */
    double group_ns;                   /* the group's time against true time; NaN: none */
};

struct history {
    struct history_row *rows;
    size_t count, capacity;
    double (*early)[HISTORY_EARLY]; /* of each node, against true time */
    size_t nodes;
};

bool history_init(struct history *history, size_t nodes);
void history_free(struct history *history);
bool history_add(struct history *history, const struct history_row *row);

/* Least squares through what `value` gives for the rows from..to-1. False: fewer than two. */
struct line {
    double at_zero, slope; /* for the index of a row */
};
bool history_line(const struct history *history, size_t from, size_t to,
                  double (*value)(const struct history_row *), struct line *line);

/* Sizes from 1 ns up in steps of 1.6 %. */
#define HISTOGRAM_BINS 4096
struct histogram {
    uint64_t count;
    uint32_t bins[HISTOGRAM_BINS];
};
void histogram_add(struct histogram *histogram, double value);
/* NaN if it is empty. */
double histogram_quantile(const struct histogram *histogram, double share);

#endif

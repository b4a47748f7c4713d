/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report: what came out of a run, for people, for tables, and against its limits.
 */
#ifndef BERKELEY_SIM_REPORT_H
#define BERKELEY_SIM_REPORT_H

#include "truth.h"

#include <stdio.h>

struct report {
    const struct scenario *scenario;
    uint64_t seed;
    struct truth_results results;
    int64_t converged_ns; /* the good clocks' spread is below 10 x its median for good; -1: never */
};

void report_take(struct report *report, const struct scenario *scenario, uint64_t seed,
                 struct truth *truth);

/* A line for each limit that the run broke; how many. */
unsigned report_broken(const struct report *report, FILE *out);

/* A screenful; a line; the line of --figures. */
void report_print(const struct report *report, FILE *out);
void report_print_line(const struct report *report, bool kept, FILE *out);
void report_print_figures(const struct report *report, bool kept, FILE *out);

void report_csv_header(int nodes, FILE *out);
void report_csv_row(const struct truth_row *row, FILE *out);

#endif

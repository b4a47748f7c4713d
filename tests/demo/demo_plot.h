/* SPDX-License-Identifier: BSD-2-Clause */
/* demo_plot: the spread against time, in text. */
#ifndef BERKELEY_DEMO_PLOT_H
#define BERKELEY_DEMO_PLOT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_SAMPLES_MAX 1000
#define PLOT_MARKS_MAX 4

struct plot {
    size_t count, mark_count;
    struct plot_sample {
        double seconds;
        int64_t spread_ns;
    } samples[PLOT_SAMPLES_MAX];
    struct plot_mark {
        double seconds;
        char letter;
        const char *text;
    } marks[PLOT_MARKS_MAX];
};

void plot_sample(struct plot *plot, double seconds, int64_t spread_ns);
void plot_mark(struct plot *plot, double seconds, char letter, const char *text);
/* From 0 to the given seconds; the goal is a dotted line. */
void plot_print(const struct plot *plot, double seconds, int64_t goal_ns, FILE *out);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo_plot.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define COLUMNS 60
#define ROWS_PER_DECADE 2
#define TOP_DECADE 9   /* 10^9 ns: 1 s */
#define FLOOR_DECADE 3 /* 1 µs */
#define ROWS ((TOP_DECADE - FLOOR_DECADE) * ROWS_PER_DECADE + 1)
#define TICK_SECONDS 10

void plot_sample(struct plot *plot, double seconds, int64_t spread_ns)
{
    if (plot->count < PLOT_SAMPLES_MAX)
        plot->samples[plot->count++] = (struct plot_sample){seconds, spread_ns};
}

void plot_mark(struct plot *plot, double seconds, char letter, const char *text)
{
    if (plot->mark_count < PLOT_MARKS_MAX)
        plot->marks[plot->mark_count++] = (struct plot_mark){seconds, letter, text};
}

static int column_of(double seconds, double end)
{
    int column = (int)(seconds / end * COLUMNS);

    return column < 0 ? 0 : column >= COLUMNS ? COLUMNS - 1 : column;
}

/* 0 is the top row. */
static int row_of(int64_t spread_ns)
{
    double decade = log10(spread_ns < 1 ? 1 : (double)spread_ns);
    long row = lround((TOP_DECADE - decade) * ROWS_PER_DECADE);

    return row < 0 ? 0 : row >= ROWS ? ROWS - 1 : (int)row;
}

/* Each column shows the largest spread of its time. */
static void draw_curve(const struct plot *plot, double end, char grid[ROWS][COLUMNS + 1])
{
    int64_t largest[COLUMNS];

    memset(largest, -1, sizeof(largest));
    for (size_t i = 0; i < plot->count; i++) {
        int64_t *at = &largest[column_of(plot->samples[i].seconds, end)];

        *at = plot->samples[i].spread_ns > *at ? plot->samples[i].spread_ns : *at;
    }
    for (int column = 0; column < COLUMNS; column++)
        if (largest[column] >= 0)
            grid[row_of(largest[column])][column] = '*';
}

/* Without the blanks at its end. */
static void print_line(const char *line, FILE *out)
{
    size_t length = strlen(line);

    while (length > 0 && line[length - 1] == ' ')
        length--;
    fprintf(out, "%.*s\n", (int)length, line);
}

static void print_axis(const struct plot *plot, double end, FILE *out)
{
    char ticks[COLUMNS + 1] = {0}, marks[COLUMNS + 1] = {0}, times[COLUMNS + 8] = {0};

    memset(ticks, '-', COLUMNS);
    memset(marks, ' ', COLUMNS);
    memset(times, ' ', COLUMNS);
    for (int at = 0; at < end; at += TICK_SECONDS) {
        int column = column_of(at, end);
        char text[8];
        int length = snprintf(text, sizeof(text), "%d", at);

        if (at > 0)
            ticks[column] = '+';
        memcpy(times + column, text, (size_t)length);
    }
    for (size_t i = 0; i < plot->mark_count; i++)
        marks[column_of(plot->marks[i].seconds, end)] = plot->marks[i].letter;
    fprintf(out, "         +%s\n          %s s\n          ", ticks, times);
    print_line(marks, out);
    for (size_t i = 0; i < plot->mark_count; i++)
        fprintf(out, "%s%c: %s", i == 0 ? "          " : ", ", plot->marks[i].letter,
                plot->marks[i].text);
    fputc('\n', out);
}

void plot_print(const struct plot *plot, double seconds, int64_t goal_ns, FILE *out)
{
    static const char *const labels[] = {"1 s",    "100 ms", "10 ms", "1 ms",
                                         "100 µs", "10 µs",  "1 µs"};
    char grid[ROWS][COLUMNS + 1] = {{0}};
    double end = seconds > 1 ? seconds : 1;

    for (int row = 0; row < ROWS; row++)
        memset(grid[row], ' ', COLUMNS);
    for (int column = 0; column < COLUMNS; column += 2)
        grid[row_of(goal_ns)][column] = '.';
    draw_curve(plot, end, grid);
    for (int row = 0; row < ROWS; row++) {
        const char *label = row % ROWS_PER_DECADE == 0 ? labels[row / ROWS_PER_DECADE] : "";
        /* printf() pads bytes; µ has two. */
        int width = strstr(label, "µ") ? 8 : 7;

        fprintf(out, " %*s |", width, label);
        print_line(grid[row], out);
    }
    print_axis(plot, end, out);
}

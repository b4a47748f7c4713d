/* SPDX-License-Identifier: BSD-2-Clause */
#include "plot.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define COLUMNS 64
#define ROWS_PER_DECADE 2
#define TOP_DECADE 9   /* 10^9 ns: 1 s */
#define FLOOR_DECADE 1 /* 10 ns */
#define ROWS ((TOP_DECADE - FLOOR_DECADE) * ROWS_PER_DECADE + 1)
#define NOT_INSTALLED 127

struct sample {
    double seconds;
    int64_t spread_ns;
};

struct plot {
    int nodes;
    size_t count, room;
    struct sample *samples;
    int64_t *errors_ns; /* of sample i, node j at i * nodes + j */
};

struct plot *plot_new(int nodes)
{
    struct plot *plot = calloc(1, sizeof(*plot));

    if (plot)
        plot->nodes = nodes;
    return plot;
}

void plot_free(struct plot *plot)
{
    if (!plot)
        return;
    free(plot->samples);
    free(plot->errors_ns);
    free(plot);
}

static int grow(struct plot *plot)
{
    const size_t room = plot->room ? 2 * plot->room : 1024;
    struct sample *samples = reallocarray(plot->samples, room, sizeof(*samples));
    int64_t *errors;

    if (!samples)
        return -ENOMEM;
    plot->samples = samples;
    errors = reallocarray(plot->errors_ns, room * (size_t)plot->nodes, sizeof(*errors));
    if (!errors)
        return -ENOMEM;
    plot->errors_ns = errors;
    plot->room = room;
    return 0;
}

int plot_sample(struct plot *plot, double seconds, int64_t spread_ns, const int64_t *errors_ns)
{
    const size_t nodes = (size_t)plot->nodes;

    if (plot->count == plot->room && grow(plot) < 0)
        return -ENOMEM;
    plot->samples[plot->count] = (struct sample){seconds, spread_ns};
    memcpy(plot->errors_ns + plot->count * nodes, errors_ns, nodes * sizeof(*errors_ns));
    plot->count++;
    return 0;
}

static double log_end(const struct plot *plot)
{
    const double end = plot->count ? plot->samples[plot->count - 1].seconds : 0;

    return end > 10 ? log10(end) : 1;
}

/* From 1 s on. */
static int column_of(const struct plot *plot, double seconds)
{
    const long column = lround(log10(seconds > 1 ? seconds : 1) / log_end(plot) * (COLUMNS - 1));

    return column >= COLUMNS ? COLUMNS - 1 : (int)column;
}

/* 0 is the top row. */
static int row_of(int64_t spread_ns)
{
    const double decade = log10(spread_ns < 1 ? 1 : (double)spread_ns);
    const long row = lround((TOP_DECADE - decade) * ROWS_PER_DECADE);

    return row < 0 ? 0 : row >= ROWS ? ROWS - 1 : (int)row;
}

static void print_axis(const struct plot *plot, FILE *out)
{
    char ticks[COLUMNS + 1] = {0}, times[COLUMNS + 8] = {0};

    memset(ticks, '-', COLUMNS);
    memset(times, ' ', COLUMNS + 7);
    for (int decade = 0; decade <= (int)log_end(plot); decade++) {
        const int column = column_of(plot, pow(10, decade));
        char text[16];
        const int length = snprintf(text, sizeof(text), "%.0f", pow(10, decade));

        ticks[column] = '+';
        memcpy(times + column, text, (size_t)length);
    }
    (void)fprintf(out, "         +%s\n          %s s\n", ticks, times);
}

void plot_print(const struct plot *plot, FILE *out)
{
    static const char *const labels[] = {"1 s",    "100 ms", "10 ms",  "1 ms", "100 us",
                                         "10 us", "1 us",   "100 ns", "10 ns"};
    char grid[ROWS][COLUMNS + 1];
    int64_t largest[COLUMNS];

    for (int row = 0; row < ROWS; row++)
        (void)snprintf(grid[row], COLUMNS + 1, "%*s", COLUMNS, "");
    memset(largest, -1, sizeof(largest));
    for (size_t i = 0; i < plot->count; i++) {
        int64_t *at = &largest[column_of(plot, plot->samples[i].seconds)];

        *at = plot->samples[i].spread_ns > *at ? plot->samples[i].spread_ns : *at;
    }
    for (int column = 0; column < COLUMNS; column++)
        if (largest[column] >= 0)
            grid[row_of(largest[column])][column] = '*';
    for (int row = 0; row < ROWS; row++) {
        size_t length = COLUMNS;

        while (length > 0 && grid[row][length - 1] == ' ')
            length--;
        (void)fprintf(out, " %7s |%.*s\n",
                      row % ROWS_PER_DECADE == 0 ? labels[row / ROWS_PER_DECADE] : "", (int)length,
                      grid[row]);
    }
    print_axis(plot, out);
}

/* In gnuplot's single quotes. */
static void print_quoted(const char *text, FILE *out)
{
    (void)fputc('\'', out);
    for (; *text; text++)
        (void)fprintf(out, *text == '\'' ? "''" : "%c", *text);
    (void)fputc('\'', out);
}

static void print_data(const struct plot *plot, FILE *out)
{
    const size_t nodes = (size_t)plot->nodes;

    (void)fprintf(out, "$run << END\n");
    for (size_t i = 0; i < plot->count; i++) {
        (void)fprintf(out, "%.9g ", plot->samples[i].seconds);
        if (plot->samples[i].spread_ns > 0)
            (void)fprintf(out, "%.6g", (double)plot->samples[i].spread_ns / 1000);
        else
            (void)fprintf(out, "?");
        for (size_t j = 0; j < nodes; j++) {
            const int64_t error = plot->errors_ns[i * nodes + j];

            if (error == PLOT_NO_ERROR)
                (void)fprintf(out, " ?");
            else
                (void)fprintf(out, " %.6g", fabs((double)error) / 1000);
        }
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "END\n");
}

static void print_script(const struct plot *plot, const char *title, const char *path, FILE *out)
{
    (void)fprintf(out, "set terminal pngcairo size 1200,700 noenhanced\nset output ");
    print_quoted(path, out);
    (void)fprintf(out, "\nset title ");
    print_quoted(title, out);
    (void)fprintf(out, "\nset datafile missing '?'\nset logscale y\nset grid\n"
                       "set xlabel 'seconds'\nset ylabel 'us'\nset format y '%%g'\n"
                       "set key outside\n");
    print_data(plot, out);
    (void)fprintf(out, "plot $run using 1:2 with lines lw 2 lc 'black' title 'spread'");
    for (int node = 0; node < plot->nodes; node++)
        (void)fprintf(out, ", $run using 1:%d with lines title '|error| of %d%s'", node + 3, node,
                      node == 0 ? ", the master" : "");
    (void)fprintf(out, "\n");
}

int plot_png(const struct plot *plot, const char *title, const char *path)
{
    FILE *out = popen("command -v gnuplot >/dev/null || { cat >/dev/null; exit 127; }\n"
                      "exec gnuplot",
                      "w");
    int status;

    if (!out)
        return -EIO;
    print_script(plot, title, path, out);
    status = pclose(out);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED)
        return -ENOENT;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

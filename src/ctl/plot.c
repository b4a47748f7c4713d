/* SPDX-License-Identifier: BSD-2-Clause */
#include "plot.h"

#include "core/timestamp.h"
#include "text.h"

#include <math.h>
#include <string.h>

#define LABEL 7 /* columns of "100 µs " */
#define ROWS_MAX 256

enum mark { NOTHING, BOUND, OFFSET };

/* What of the points is seen, and how. */
struct view {
    const struct plot *plot;
    size_t first, count, rows;
    double floor, top; /* decades of ns */
    bool draws;
};

void plot_add(struct plot *plot, int64_t offset_ns, int64_t bound_ns)
{
    plot->points[plot->count++ % PLOT_POINTS_MAX] = (struct plot_point){
        offset_ns == PLOT_UNKNOWN ? PLOT_UNKNOWN : timestamp_abs(offset_ns), bound_ns};
}

static const struct plot_point *point(const struct view *view, size_t column)
{
    return &view->plot->points[(view->first + column) % PLOT_POINTS_MAX];
}

static double decade_of(int64_t ns)
{
    return ns > 1 ? log10((double)ns) : 0;
}

static void widen(int64_t ns, double *least, double *most)
{
    if (ns == PLOT_UNKNOWN)
        return;
    *least = fmin(*least, decade_of(ns));
    *most = fmax(*most, decade_of(ns));
}

/* Whole decades that hold everything. */
static void choose_scale(struct view *view)
{
    double least = 99, most = 0;

    for (size_t i = 0; i < view->count; i++) {
        widen(point(view, i)->offset_ns, &least, &most);
        widen(point(view, i)->bound_ns, &least, &most);
    }
    view->floor = floor(fmin(least, most));
    view->top = fmax(ceil(most), view->floor + 1);
}

/* 0 is the top row. */
static size_t row_of(const struct view *view, double decade)
{
    const double share = (view->top - decade) / (view->top - view->floor);

    return (size_t)lround(fmin(fmax(share, 0), 1) * (double)(view->rows - 1));
}

static enum mark mark_at(const struct view *view, size_t row, size_t column)
{
    const struct plot_point *at = point(view, column);

    if (at->offset_ns != PLOT_UNKNOWN && row_of(view, decade_of(at->offset_ns)) == row)
        return OFFSET;
    if (at->bound_ns != PLOT_UNKNOWN && row_of(view, decade_of(at->bound_ns)) == row)
        return BOUND;
    return NOTHING;
}

static const char *glyph(const struct view *view, enum mark mark)
{
    static const char *const plain[] = {[NOTHING] = " ", [BOUND] = "-", [OFFSET] = "*"};
    static const char *const drawn[] = {[NOTHING] = " ", [BOUND] = "─", [OFFSET] = "●"};

    return (view->draws ? drawn : plain)[mark];
}

static void print_label(const struct view *view, size_t row, FILE *out)
{
    char text[TEXT_SIZE] = "";

    for (int decade = (int)view->top; decade >= (int)view->floor; decade--)
        if (row_of(view, decade) == row) {
            (void)text_time((int64_t)lround(pow(10, decade)), text);
            break;
        }
    (void)fprintf(out, "%*s%s %s", LABEL - 1 - (int)text_width(text), "", text,
                  view->draws ? "│" : "|");
}

static void print_row(const struct view *view, size_t row, FILE *out)
{
    size_t end = view->count;

    print_label(view, row, out);
    while (end > 0 && mark_at(view, row, end - 1) == NOTHING)
        end--;
    for (size_t column = 0; column < end; column++)
        (void)fputs(glyph(view, mark_at(view, row, column)), out);
    (void)fputc('\n', out);
}

/* "59 s ago          now" below the first and the last point. */
static void print_axis(const struct view *view, int64_t interval_ns, FILE *out)
{
    char ago[TEXT_SIZE], text[TEXT_SIZE + 8] = "";
    size_t used = 0;

    if (view->count > 1) {
        (void)snprintf(text, sizeof text, "%s ago ",
                       text_time(timestamp_round((double)interval_ns * (double)(view->count - 1)),
                                 ago));
        used = text_width(text);
    }
    if (used + strlen("now") > view->count)
        (void)fprintf(out, "%*s%s\n", LABEL + 1, "", view->count > 1 ? text : "now");
    else
        (void)fprintf(out, "%*s%s%*s\n", LABEL + 1, "", text, (int)(view->count - used), "now");
}

void plot_print(const struct plot *plot, FILE *out, size_t columns, size_t rows,
                int64_t interval_ns, bool draws)
{
    struct view view = {.plot = plot, .draws = draws};
    size_t known = plot->count < PLOT_POINTS_MAX ? plot->count : PLOT_POINTS_MAX;

    if (columns <= LABEL + 1 || rows < PLOT_ROWS_LEAST)
        return;
    view.count = columns - LABEL - 1 < known ? columns - LABEL - 1 : known;
    view.first = plot->count - view.count;
    view.rows = rows - 2 < ROWS_MAX ? rows - 2 : ROWS_MAX;
    choose_scale(&view);
    (void)fprintf(out, "%*s%s offset   %s bound   q leaves\n", LABEL + 1, "", glyph(&view, OFFSET),
                  glyph(&view, BOUND));
    for (size_t row = 0; row < view.rows; row++)
        print_row(&view, row, out);
    print_axis(&view, interval_ns, out);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include "text.h"

#include <assert.h>
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CUT_LEAST 16 /* columns, or less if nothing is wider */
#define WIDTH_STANDARD 80

struct table {
    const struct table_column *columns;
    size_t count;
    struct libscols_table *lines;
    size_t widths[TABLE_COLUMNS_MAX];
};

struct table *table_new(const struct table_column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof *table);

    assert(count <= TABLE_COLUMNS_MAX);
    if (!table)
        return NULL;
    table->columns = columns;
    table->count = count;
    table->lines = scols_new_table();
    for (size_t i = 0; table->lines && i < count; i++) {
        table->widths[i] = text_width(columns[i].title);
        if (scols_table_new_column(table->lines, columns[i].title, columns[i].cut ? 0.9 : 1,
                                   (columns[i].right ? SCOLS_FL_RIGHT : 0) |
                                       (columns[i].cut ? SCOLS_FL_TRUNC : 0)))
            continue;
        scols_unref_table(table->lines);
        table->lines = NULL;
    }
    if (table->lines)
        return table;
    free(table);
    return NULL;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    scols_unref_table(table->lines);
    free(table);
}

int table_row(struct table *table, const char *const *cells, enum table_tone tone, size_t where)
{
    static const char *const colors[] = {
        [TONE_GOOD] = "\033[32m", [TONE_PENDING] = "\033[33m", [TONE_BAD] = "\033[31m"};
    struct libscols_line *line = scols_table_new_line(table->lines, NULL);
    int r = line ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < table->count; i++) {
        const size_t width = text_width(cells[i]);

        if (width > table->widths[i])
            table->widths[i] = width;
        r = scols_line_set_data(line, i, cells[i]);
    }
    if (r == 0 && tone == TONE_GOOD)
        r = scols_cell_set_color(scols_line_get_cell(line, where), colors[tone]);
    else if (r == 0 && colors[tone])
        r = scols_line_set_color(line, colors[tone]);
    return r;
}

static size_t terminal_width(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return WIDTH_STANDARD;
    return size.ws_col;
}

static bool is_colored(enum ctl_color color)
{
    const char *type = getenv("TERM"), *no_color = getenv("NO_COLOR");

    if (color != COLOR_AUTO)
        return color == COLOR_ALWAYS;
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && type && *type &&
           strcmp(type, "dumb") != 0;
}

static size_t least_width(const struct table *table, const bool *left_out)
{
    size_t width = 0;

    for (size_t i = 0; i < table->count; i++) {
        size_t own = table->widths[i];

        if (table->columns[i].cut && own > CUT_LEAST)
            own = CUT_LEAST;
        width += left_out[i] ? 0 : own + 1;
    }
    return width;
}

/* Columns that can be spared are left out until the others have room. */
static void make_room(const struct table *table, size_t width)
{
    bool left_out[TABLE_COLUMNS_MAX] = {false};

    while (least_width(table, left_out) > width + 1) {
        size_t spare = table->count;

        for (size_t i = 0; i < table->count; i++)
            if (!left_out[i] && table->columns[i].spare > 0 &&
                (spare == table->count || table->columns[i].spare > table->columns[spare].spare))
                spare = i;
        if (spare == table->count)
            return;
        left_out[spare] = true;
        (void)scols_column_set_flags(scols_table_get_column(table->lines, spare),
                                     SCOLS_FL_HIDDEN);
    }
}

int table_print(struct table *table, enum ctl_color color)
{
    const bool live = isatty(STDOUT_FILENO);

    (void)scols_table_enable_colors(table->lines, is_colored(color));
    (void)scols_table_enable_noencoding(table->lines, 1);
    (void)scols_table_enable_minout(table->lines, 1);
    (void)scols_table_set_termforce(table->lines,
                                    live ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
    if (live) {
        (void)scols_table_set_termwidth(table->lines, terminal_width());
        make_room(table, terminal_width());
    }
    return scols_print_table(table->lines);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "clocks.h"

#include "field.h"
#include "query.h"
#include "table.h"
#include "text.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { WORD, TIME, SIGNED_TIME, RATE, SHARE };

static const struct table_column columns[] = {
    {"NAME", false, false, 0},   {"OFFSET", true, false, 0}, {"DELAY", true, false, 3},
    {"JITTER", true, false, 5},  {"FREQ", true, false, 4},   {"BOUND", true, false, 1},
    {"WEIGHT", true, false, 6},  {"SEEN", true, false, 2},   {"VERDICT", false, false, 0},
    {"WHY", false, true, 0},
};

static const struct {
    const char *key;
    enum kind kind;
} cells[] = {
    {"name", WORD},         {"offset_ns", SIGNED_TIME}, {"delay_ns", TIME}, {"jitter_ns", TIME},
    {"frequency_ppb", RATE}, {"bound_ns", TIME},        {"weight", SHARE},  {"heard_ns", TIME},
    {"verdict", WORD},      {"why", WORD},
};

#define COLUMNS (sizeof columns / sizeof columns[0])
#define VERDICT 8

_Static_assert(COLUMNS == sizeof cells / sizeof cells[0], "a value for every column");

/* What decides where a clock stands. */
struct row {
    const struct json_object *clock;
    size_t place; /* in the answer: that of equals */
    bool own, known;
    const char *word;
    double number;
};

struct order {
    size_t column;
    int sign;
    bool standard;
};

static int compare(const void *a, const void *b, void *context)
{
    const struct row *one = a, *other = b;
    const struct order *order = context;
    int result = 0;

    if (order->standard && one->own != other->own)
        return one->own ? -1 : 1;
    if (one->known != other->known)
        return one->known ? -1 : 1;
    if (one->known && cells[order->column].kind == WORD)
        result = strverscmp(one->word, other->word);
    else if (one->known)
        result = (one->number > other->number) - (one->number < other->number);
    if (result == 0)
        return one->place < other->place ? -1 : 1;
    return order->sign * result;
}

static const char *word_of(const struct json_object *clock, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(clock, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

static void row_fill(struct row *row, const struct json_object *clock, size_t place,
                     const struct order *order)
{
    const char *key = cells[order->column].key;

    *row = (struct row){.clock = clock, .place = place};
    (void)field_flag(clock, "own", &row->own);
    if (cells[order->column].kind == WORD) {
        row->word = word_of(clock, key);
        row->known = row->word;
    } else {
        row->known = field_real(clock, key, &row->number);
    }
}

static void cell_fill(const struct json_object *clock, size_t column, char text[FIELD_SIZE])
{
    const char *key = cells[column].key;
    const char *unknown = strcmp(key, "why") == 0 ? "" : "-";
    int64_t ns;
    double number;

    (void)snprintf(text, FIELD_SIZE, "%s", unknown);
    switch (cells[column].kind) {
    case TIME:
    case SIGNED_TIME:
        if (field_number(clock, key, &ns))
            (void)(cells[column].kind == TIME ? text_time : text_signed_time)(ns, text);
        break;
    case RATE:
        if (field_real(clock, key, &number))
            (void)text_rate(number, text);
        break;
    case SHARE:
        if (field_real(clock, key, &number) && number >= 0 && number <= 1)
            (void)snprintf(text, FIELD_SIZE, number > 0 && number < 0.0995 ? "%.1f %%" : "%.0f %%",
                           number * 100);
        break;
    case WORD:
    default:
        if (!field_text(clock, key, text))
            (void)snprintf(text, FIELD_SIZE, "%s", unknown);
    }
}

static bool is_one_of(const char *verdict, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, verdict) == 0)
            return true;
    return false;
}

static enum table_tone tone_of(const char *verdict)
{
    static const char *const good[] = {"counted", "reference", NULL};
    static const char *const bad[] = {"far", "fast", "suspended", "silent", "no-quorum", NULL};
    static const char *const pending[] = {"newcomer", "noisy", NULL};

    return is_one_of(verdict, good)      ? TONE_GOOD
           : is_one_of(verdict, bad)     ? TONE_BAD
           : is_one_of(verdict, pending) ? TONE_PENDING
                                         : TONE_PLAIN;
}

static int row_print(struct table *table, const struct row *row)
{
    char text[COLUMNS][FIELD_SIZE];
    const char *parts[COLUMNS];

    for (size_t i = 0; i < COLUMNS; i++) {
        cell_fill(row->clock, i, text[i]);
        parts[i] = text[i];
    }
    if (row->own) { /* it has no way to itself */
        parts[2] = parts[3] = parts[7] = "-";
    }
    return table_row(table, parts, tone_of(text[VERDICT]), VERDICT);
}

static struct row *rows_new(struct json_object *clocks, struct order *order, size_t *count)
{
    const size_t all = json_object_array_length(clocks);
    struct row *rows = calloc(all + 1, sizeof *rows);

    *count = 0;
    for (size_t i = 0; rows && i < all; i++) {
        const struct json_object *clock = json_object_array_get_idx(clocks, i);

        if (json_object_is_type(clock, json_type_object))
            row_fill(&rows[(*count)++], clock, i, order);
    }
    if (rows)
        qsort_r(rows, *count, sizeof *rows, compare, order);
    return rows;
}

static int print_table(const struct row *rows, size_t count, enum ctl_color color)
{
    struct table *table = table_new(columns, COLUMNS);
    int r = table ? 0 : -1;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = row_print(table, &rows[i]);
    if (r == 0)
        r = table_print(table, color);
    table_free(table);
    return r;
}

static bool order_parse(const char *sort, struct order *order)
{
    *order = (struct order){.column = 0, .sign = 1, .standard = sort == NULL};
    if (!sort)
        return true;
    if (*sort == '-') {
        order->sign = -1;
        sort++;
    }
    for (; order->column < COLUMNS; order->column++)
        if (strcasecmp(columns[order->column].title, sort) == 0)
            return true;
    return false;
}

static void print_head(const struct json_object *answer, size_t count)
{
    char time[TEXT_SIZE];
    int64_t round, gate_ns;

    field_print_head(stdout, answer);
    (void)printf(": %zu clock%s", count, count == 1 ? "" : "s");
    if (field_number(answer, "round", &round))
        (void)printf(", round %lld", (long long)round);
    if (field_number(answer, "gate_ns", &gate_ns) && gate_ns > 0)
        (void)printf("; within %s of the group is allowed", text_time(gate_ns, time));
    puts("\n");
}

static bool show(const struct ctl_options *options, struct json_object *answer)
{
    struct json_object *clocks = field_array(answer, "clocks");
    struct order order;
    struct row *rows;
    size_t count;
    int r;

    if (!clocks || !order_parse(options->sort, &order))
        return false;
    rows = rows_new(clocks, &order, &count);
    if (!rows)
        return false;
    print_head(answer, count);
    r = print_table(rows, count, options->color);
    free(rows);
    return r == 0;
}

enum ctl_exit clocks_run(const struct ctl_options *options)
{
    struct order order;

    if (order_parse(options->sort, &order))
        return query_run(options, "clocks", QUERY_FIRST, show);
    (void)fprintf(stderr, "berkeleyctl: --sort: found \"%s\"; allowed is the name of a column:",
                  options->sort);
    for (size_t i = 0; i < COLUMNS; i++)
        (void)fprintf(stderr, "%s%s", i > 0 ? ", " : " ", columns[i].title);
    (void)fputs(", with - before it for the greatest first\n", stderr);
    return CTL_BAD_USAGE;
}

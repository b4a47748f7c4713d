/* SPDX-License-Identifier: BSD-2-Clause */
#include "rounds.h"

#include "field.h"
#include "query.h"
#include "table.h"
#include "text.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 256 /* that a daemon keeps */

enum kind { CLOCK, NUMBER, TIME, SIGNED_TIME, WORD, SHARE };

/* One list for both roles: what an answer has nothing of is left out. */
static const struct field {
    struct table_column column;
    const char *key;
    enum kind kind;
} fields[] = {
    {{"TIME", false, false, 0}, "time_ns", CLOCK},
    {{"ROUND", true, false, 0}, "round", NUMBER},
    {{"SPREAD", true, false, 1}, "spread_ns", TIME},
    {{"CORRECTION", true, false, 0}, "correction_ns", SIGNED_TIME},
    {{"BOUND", true, false, 0}, "bound_ns", TIME},
    {{"COUNTED", true, false, 2}, "counted", SHARE},
    {{"EXCLUDED", true, false, 3}, "excluded", NUMBER},
    {{"TOOK", true, false, 5}, "duration_ns", TIME},
    {{"VERDICT", false, false, 4}, "verdict", WORD},
};

#define FIELDS (sizeof fields / sizeof fields[0])

static void cell_fill(const struct json_object *round, const struct field *field,
                      char text[FIELD_SIZE])
{
    int64_t number, present;

    (void)snprintf(text, FIELD_SIZE, "-");
    if (field->kind == WORD) {
        if (!field_text(round, field->key, text))
            (void)snprintf(text, FIELD_SIZE, "-");
        return;
    }
    if (!field_number(round, field->key, &number))
        return;
    if (field->kind == CLOCK)
        (void)text_clock(number, text);
    else if (field->kind == TIME)
        (void)text_time(number, text);
    else if (field->kind == SIGNED_TIME)
        (void)text_signed_time(number, text);
    else if (field->kind == SHARE && field_number(round, "present", &present))
        (void)snprintf(text, FIELD_SIZE, "%" PRId64 "/%" PRId64, number, present);
    else
        (void)snprintf(text, FIELD_SIZE, "%" PRId64, number);
}

static size_t choose(struct json_object *rounds, struct table_column *columns, size_t *chosen)
{
    size_t count = 0;

    for (size_t i = 0; i < FIELDS; i++)
        for (size_t n = 0; n < json_object_array_length(rounds); n++) {
            struct json_object *value;

            if (!json_object_object_get_ex(json_object_array_get_idx(rounds, n), fields[i].key,
                                           &value))
                continue;
            columns[count] = fields[i].column;
            chosen[count++] = i;
            break;
        }
    return count;
}

static int row_print(struct table *table, const struct json_object *round, const size_t *chosen,
                     size_t count)
{
    char text[FIELDS][FIELD_SIZE];
    const char *parts[FIELDS];
    int64_t excluded = 0;

    for (size_t i = 0; i < count; i++) {
        cell_fill(round, &fields[chosen[i]], text[i]);
        parts[i] = text[i];
    }
    (void)field_number(round, "excluded", &excluded);
    return table_row(table, parts, excluded > 0 ? TONE_PENDING : TONE_PLAIN, 0);
}

static bool show(const struct ctl_options *options, struct json_object *answer)
{
    struct json_object *rounds = field_array(answer, "rounds");
    struct table_column columns[FIELDS];
    size_t chosen[FIELDS], count;
    struct table *table;
    int r = 0;

    if (!rounds)
        return false;
    field_print_head(stdout, answer);
    count = choose(rounds, columns, chosen);
    if (count == 0) {
        puts(": no round has been decided yet");
        return true;
    }
    puts("\n");
    table = table_new(columns, count);
    for (size_t n = 0; table && r == 0 && n < json_object_array_length(rounds); n++)
        r = row_print(table, json_object_array_get_idx(rounds, n), chosen, count);
    if (table && r == 0)
        r = table_print(table, options->color);
    table_free(table);
    return table && r == 0;
}

enum ctl_exit rounds_run(const struct ctl_options *options)
{
    const char *text = options->argument;
    char question[32] = "rounds";
    unsigned long number = 0;
    char *end = NULL;

    if (text) {
        if (*text >= '1' && *text <= '9')
            number = strtoul(text, &end, 10);
        if (!end || *end || number > ROUNDS_MAX) {
            (void)fprintf(stderr, "berkeleyctl: rounds: found \"%s\"; allowed is 1 to %d\n", text,
                          ROUNDS_MAX);
            return CTL_BAD_USAGE;
        }
        (void)snprintf(question, sizeof question, "rounds %lu", number);
    }
    return query_run(options, question, QUERY_FIRST, show);
}

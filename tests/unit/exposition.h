/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exposition: reads Prometheus' text format 0.0.4 more strictly than Prometheus does.  Whatever
 * berkeleyd writes is of this form:
 *
 *   (HELP line, TYPE line, one sample or more, all of the same name)*
 *
 * Names begin with berkeley_ and each is there once; counters, and nothing else, end in _total;
 * no series is there twice; the samples of a name have the same labels in the same order; numbers
 * are decimal, without NaN and infinity.
 */
#ifndef BERKELEY_TESTS_EXPOSITION_H
#define BERKELEY_TESTS_EXPOSITION_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPOSITION_LINE_MAX 1024
#define EXPOSITION_FAULT_SIZE 256

struct exposition {
    const char *rest; /* of a text with a NUL at the end */
    unsigned line;
    char family[128]; /* "": none yet */
    char labels[256]; /* of its samples, ",a,b," */
    bool typed, counter, sampled;
    char **series; /* all so far */
    size_t series_count, series_room;
    char (*families)[128];
    size_t family_count;
    char fault[EXPOSITION_FAULT_SIZE];
};

static inline bool exposition_fault(struct exposition *e, const char *what, const char *where)
{
    (void)snprintf(e->fault, sizeof e->fault, "line %u: %s: %.160s", e->line, what, where);
    return false;
}

#define EXPOSITION_LOWER "abcdefghijklmnopqrstuvwxyz"
#define EXPOSITION_DIGITS "0123456789"

/* The name at *at, copied and passed over. */
static inline bool exposition_name(const char **at, char *name, size_t size)
{
    const size_t length = strspn(*at, EXPOSITION_LOWER EXPOSITION_DIGITS "_");

    if (length == 0 || length >= size || strchr(EXPOSITION_DIGITS, **at))
        return false;
    memcpy(name, *at, length);
    name[length] = '\0';
    *at += length;
    return true;
}

static inline bool exposition_number(const char *text, bool counter)
{
    size_t digits;

    if (*text == '-') {
        if (counter)
            return false;
        text++;
    }
    digits = strspn(text, EXPOSITION_DIGITS);
    if (digits == 0)
        return false;
    text += digits;
    if (*text == '.') {
        digits = strspn(++text, EXPOSITION_DIGITS);
        if (digits == 0 || text[digits - 1] == '0')
            return false;
        text += digits;
    }
    return *text == '\0';
}

/* NAME="VALUE", the value to its closing quote. */
static inline bool exposition_label(const char **at, char *labels, size_t size)
{
    char name[64], listed[68];
    const size_t used = strlen(labels);

    if (!exposition_name(at, name, sizeof name) || strncmp(*at, "=\"", 2) != 0)
        return false;
    (void)snprintf(listed, sizeof listed, ",%s,", name);
    if (strstr(labels, listed))
        return false;
    if (snprintf(labels + used, size - used, "%s,", name) >= (int)(size - used))
        return false;
    for (*at += 2; **at != '"'; ++*at) {
        if ((unsigned char)**at < ' ')
            return false;
        if (**at == '\\' && !strchr("\\\"n", *++*at))
            return false;
    }
    ++*at;
    return true;
}

static inline bool exposition_labels(const char **at, char *labels, size_t size)
{
    memcpy(labels, ",", 2);
    if (**at != '{')
        return true;
    do {
        ++*at;
        if (!exposition_label(at, labels, size))
            return false;
    } while (**at == ',');
    return *(*at)++ == '}';
}

static inline bool exposition_sample(struct exposition *e, const char *line)
{
    const char *at = line;
    char name[128], labels[256];

    if (!exposition_name(&at, name, sizeof name) || strcmp(name, e->family) != 0 || !e->typed)
        return exposition_fault(e, "a sample outside its family", line);
    if (!exposition_labels(&at, labels, sizeof labels))
        return exposition_fault(e, "bad labels", line);
    if (e->sampled && strcmp(labels, e->labels) != 0)
        return exposition_fault(e, "other labels than the sample before", line);
    if (*at != ' ' || !exposition_number(at + 1, e->counter))
        return exposition_fault(e, "no number", line);
    memcpy(e->labels, labels, sizeof labels);
    e->sampled = true;
    if (e->series_count == e->series_room) {
        e->series_room = e->series_room * 2 + 64;
        e->series = realloc(e->series, e->series_room * sizeof *e->series);
    }
    e->series[e->series_count++] = strndup(line, (size_t)(at - line));
    return true;
}

static inline bool exposition_help(struct exposition *e, const char *line)
{
    const char *at = line;
    char name[128];

    if (e->family[0] && !e->sampled)
        return exposition_fault(e, "nothing in the family before", line);
    if (!exposition_name(&at, name, sizeof name) || strncmp(name, "berkeley_", 9) != 0 ||
        at[0] != ' ' || at[1] <= ' ' || at[strlen(at) - 1] != '.')
        return exposition_fault(e, "a HELP line of another form", line);
    for (size_t i = 0; i < e->family_count; i++)
        if (strcmp(e->families[i], name) == 0)
            return exposition_fault(e, "a family for the second time", line);
    e->families = realloc(e->families, (e->family_count + 1) * sizeof *e->families);
    memcpy(e->families[e->family_count++], name, sizeof name);
    memcpy(e->family, name, sizeof name);
    e->typed = e->sampled = false;
    return true;
}

static inline bool exposition_type(struct exposition *e, const char *line)
{
    const size_t length = strlen(e->family);
    const bool total = length > 6 && strcmp(e->family + length - 6, "_total") == 0;

    if (!e->family[0] || e->typed || strncmp(line, e->family, length) != 0)
        return exposition_fault(e, "a TYPE line that follows no HELP line of its name", line);
    e->counter = strcmp(line + length, " counter") == 0;
    if (!e->counter && strcmp(line + length, " gauge") != 0)
        return exposition_fault(e, "another type", line);
    if (e->counter != total)
        return exposition_fault(e, "_total without a counter, or a counter without", line);
    e->typed = true;
    return true;
}

static inline bool exposition_line(struct exposition *e)
{
    char line[EXPOSITION_LINE_MAX];
    const size_t length = strcspn(e->rest, "\n");

    e->line++;
    if (e->rest[length] != '\n' || length >= sizeof line)
        return exposition_fault(e, "no end", e->rest);
    memcpy(line, e->rest, length);
    line[length] = '\0';
    e->rest += length + 1;
    if (strncmp(line, "# HELP ", 7) == 0)
        return exposition_help(e, line + 7);
    if (strncmp(line, "# TYPE ", 7) == 0)
        return exposition_type(e, line + 7);
    return exposition_sample(e, line);
}

static inline int exposition_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline bool exposition_end(struct exposition *e)
{
    if (!e->sampled)
        return exposition_fault(e, "nothing in the last family", e->family);
    qsort(e->series, e->series_count, sizeof *e->series, exposition_compare);
    for (size_t i = 1; i < e->series_count; i++)
        if (strcmp(e->series[i - 1], e->series[i]) == 0)
            return exposition_fault(e, "a series for the second time", e->series[i]);
    return true;
}

/* What is wrong with the text, into `fault`; true: nothing. */
static inline bool exposition_valid(const char *text, char fault[EXPOSITION_FAULT_SIZE])
{
    struct exposition e = {.rest = text};
    bool valid = true;

    while (valid && *e.rest)
        valid = exposition_line(&e);
    valid = valid && exposition_end(&e);
    memcpy(fault, e.fault, sizeof e.fault);
    for (size_t i = 0; i < e.series_count; i++)
        free(e.series[i]);
    free(e.series);
    free(e.families);
    return valid;
}

/* The number of a series as it is written: "berkeley_state{state=\"holdover\"}"; NULL: not there.
 * Good until the next call. */
static inline const char *exposition_value(const char *text, const char *series)
{
    static char value[64];
    const size_t length = strlen(series);

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, length) == 0 && line[length] == ' ') {
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line + length + 1, "\n"),
                           line + length + 1);
            return value;
        }
    }
    return NULL;
}

#endif

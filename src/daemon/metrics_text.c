/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_LEAST 4096
#define NUMBER_SIZE 24 /* sign, 20 digits, point */

static bool reserve(struct metrics_text *text, size_t more)
{
    size_t capacity = text->capacity > 0 ? text->capacity : CAPACITY_LEAST;
    char *bytes;

    if (more <= text->capacity - text->length)
        return true;
    while (capacity - text->length < more)
        capacity *= 2;
    bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->lost = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

static void put_bytes(struct metrics_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static void put(struct metrics_text *text, const char *words)
{
    put_bytes(text, words, strlen(words));
}

/* In HELP only \ and line breaks are special. */
static void put_escaped(struct metrics_text *text, const char *words, bool quoted)
{
    const char *from = words;

    for (; *words; words++) {
        if (*words != '\\' && *words != '\n' && !(quoted && *words == '"'))
            continue;
        put_bytes(text, from, (size_t)(words - from));
        put(text, "\\");
        from = words;
        if (*words == '\n') {
            put(text, "n");
            from++;
        }
    }
    put_bytes(text, from, (size_t)(words - from));
}

/* Backwards: as many digits behind the point as it takes, at least one before it. */
static void put_number(struct metrics_text *text, struct metrics_number number)
{
    uint64_t rest = number.value < 0 ? -(uint64_t)number.value : (uint64_t)number.value;
    char digits[NUMBER_SIZE];
    size_t at = sizeof digits;
    bool needed = false;

    assert(number.digits <= METRICS_DIGITS_MAX);
    for (unsigned behind = number.digits; behind > 0; behind--, rest /= 10) {
        needed = needed || rest % 10 != 0;
        if (needed)
            digits[--at] = (char)('0' + rest % 10);
    }
    if (needed)
        digits[--at] = '.';
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number.value < 0)
        digits[--at] = '-';
    put_bytes(text, digits + at, sizeof digits - at);
}

void metrics_text_family(struct metrics_text *text, const char *name, const char *type,
                         const char *help)
{
    put(text, "# HELP ");
    put(text, name);
    put(text, " ");
    put_escaped(text, help, false);
    put(text, "\n# TYPE ");
    put(text, name);
    put(text, " ");
    put(text, type);
    put(text, "\n");
}

void metrics_text_sample(struct metrics_text *text, const char *name,
                         const struct metrics_label *labels, size_t count,
                         struct metrics_number number)
{
    put(text, name);
    for (size_t i = 0; i < count; i++) {
        put(text, i > 0 ? "," : "{");
        put(text, labels[i].name);
        put(text, "=\"");
        put_escaped(text, labels[i].value, true);
        put(text, "\"");
    }
    put(text, count > 0 ? "} " : " ");
    put_number(text, number);
    put(text, "\n");
}

void metrics_text_clear(struct metrics_text *text)
{
    text->length = 0;
    text->lost = false;
}

void metrics_text_free(struct metrics_text *text)
{
    free(text->bytes);
    *text = (struct metrics_text){0};
}

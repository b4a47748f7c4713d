/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/control.h"

#include <errno.h>
#include <string.h>

/* Bytes at the beginning that are printable ASCII and no space. */
static size_t token(const char *text, size_t length)
{
    size_t n = 0;

    while (n < length && text[n] > ' ' && text[n] <= '~')
        n++;
    return n;
}

static const struct control_word *find(const struct control_word *words, size_t count,
                                       const char *text, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i].word) == length && memcmp(words[i].word, text, length) == 0)
            return &words[i];
    return NULL;
}

int control_parse(const struct control_word *words, size_t count, const char *line, size_t length,
                  const struct control_word **word, char argument[CONTROL_ARGUMENT_SIZE])
{
    const struct control_word *found;
    size_t first, rest;

    if (length == 0 || length > CONTROL_LINE_MAX || line[--length] != '\n')
        return -EINVAL;
    first = token(line, length);
    rest = length - first;
    if (first == 0)
        return -EINVAL;
    if (rest > 0) {
        rest--;
        if (line[first] != ' ' || rest == 0 || rest >= CONTROL_ARGUMENT_SIZE ||
            token(line + first + 1, rest) != rest)
            return -EINVAL;
    }
    found = find(words, count, line, first);
    if (!found)
        return -ENOENT;
    memcpy(argument, line + length - rest, rest);
    argument[rest] = '\0';
    *word = found;
    return 0;
}

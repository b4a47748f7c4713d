/* SPDX-License-Identifier: BSD-2-Clause */
#include "keygen_text.h"

#include "daemon/keyring.h"
#include "daemon/keyring_memory.h"
#include "daemon/keyring_parse.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define DIGITS (2 * (size_t)KEYRING_SECRET_SIZE)
#define LINE_MOST (2 * (size_t)KEYRING_NAME_SIZE + DIGITS + 2)

static int text_new(size_t size, struct keygen_text *text)
{
    char *bytes = keyring_memory_new(size);

    if (!bytes)
        return -ENOMEM;
    *text = (struct keygen_text){.bytes = bytes, .size = size};
    return 0;
}

void keygen_text_free(struct keygen_text *text)
{
    keyring_memory_free(text->bytes, text->size);
    *text = (struct keygen_text){.bytes = NULL};
}

static void append(struct keygen_text *text, const char *bytes, size_t length)
{
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static void append_secret(struct keygen_text *text, const uint8_t secret[KEYRING_SECRET_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < KEYRING_SECRET_SIZE; i++) {
        append(text, &digits[secret[i] >> 4], 1);
        append(text, &digits[secret[i] & 15], 1);
    }
}

int keygen_text_line(const char *identity, const char *name, struct keygen_text *line)
{
    uint8_t secret[KEYRING_SECRET_SIZE];
    int r;

    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return -errno;
    r = text_new(LINE_MOST, line);
    if (r == 0) {
        append(line, identity, strlen(identity));
        append(line, " ", 1);
        append_secret(line, secret);
        append(line, " ", name ? 1 : 0);
        append(line, name, name ? strlen(name) : 0);
        append(line, "\n", 1);
    }
    explicit_bzero(secret, sizeof secret);
    return r;
}

int keygen_text_insert(const char *text, size_t length, const struct keygen_text *line,
                       struct keygen_text *made)
{
    struct keyring_line at = {.next = 0};
    size_t place = length;
    int r = text_new(length + line->length, made);

    if (r < 0)
        return r;
    while (place == length && keyring_parse_next(text, length, &at)) {
        if (!keyring_parse_is_empty(&at))
            place = at.place;
    }
    append(made, text, place);
    append(made, line->bytes, line->length);
    append(made, text + place, length - place);
    return 0;
}

static bool is_of(const struct keyring_line *line, const char *identity)
{
    struct key key;
    const bool same = !keyring_parse_is_empty(line) && !keyring_parse_line(line, &key) &&
                      strcmp(key.identity, identity) == 0;

    explicit_bzero(&key, sizeof key);
    return same;
}

int keygen_text_remove(const char *text, size_t length, const char *identity,
                       struct keygen_text *made)
{
    struct keyring_line at = {.next = 0};
    int r;

    do {
        if (!keyring_parse_next(text, length, &at))
            return -ENOENT;
    } while (!is_of(&at, identity));
    r = text_new(length, made);
    if (r < 0)
        return r;
    append(made, text, at.place);
    append(made, text + at.next, length - at.next);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keyring_file.h"
#include "daemon/keyring_memory.h"
#include "daemon/keyring_parse.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One blank, one character of an identity. */
#define SHORTEST_LINE (2 + 2 * (size_t)KEYRING_SECRET_SIZE)

struct keyring {
    size_t size; /* of this memory, with what follows keys */
    size_t count;
    const struct key **sorted; /* by identity */
    struct key keys[];
};

static bool equal_secrets(const struct key *a, const struct key *b)
{
    volatile uint8_t difference = 0;

    for (size_t i = 0; i < KEYRING_SECRET_SIZE; i++)
        difference = (uint8_t)(difference | (a->secret[i] ^ b->secret[i]));
    return difference == 0;
}

/* Equals in the order of the file, so that complaints are about the later one. */
static int in_file_order(const struct key *a, const struct key *b)
{
    return (a > b) - (a < b);
}

static int compare_identities(const void *a, const void *b)
{
    const struct key *const *one = a, *const *other = b;
    const int order = strcmp((*one)->identity, (*other)->identity);

    return order != 0 ? order : in_file_order(*one, *other);
}

static int compare_secrets(const void *a, const void *b)
{
    const struct key *const *one = a, *const *other = b;
    const int order = memcmp((*one)->secret, (*other)->secret, KEYRING_SECRET_SIZE);

    return order != 0 ? order : in_file_order(*one, *other);
}

static bool same_identity(const struct key *a, const struct key *b)
{
    return strcmp(a->identity, b->identity) == 0;
}

static struct keyring *keyring_new(const char *text, size_t length)
{
    struct keyring_line line = {.next = 0};
    size_t most = 0, size;
    struct keyring *keyring;

    while (keyring_parse_next(text, length, &line)) {
        if (line.length >= SHORTEST_LINE)
            most++;
    }
    size = sizeof *keyring + most * (sizeof(struct key) + sizeof(struct key *));
    keyring = keyring_memory_new(size);
    if (!keyring)
        return NULL;
    keyring->size = size;
    keyring->sorted = (const struct key **)(void *)(keyring->keys + most);
    return keyring;
}

void keyring_free(struct keyring *keyring)
{
    if (keyring)
        keyring_memory_free(keyring, keyring->size);
}

/* The line of the key at this place of the ring. */
static size_t line_of(const char *text, size_t length, size_t place)
{
    struct keyring_line line = {.next = 0};

    while (keyring_parse_next(text, length, &line)) {
        if (!keyring_parse_is_empty(&line) && place-- == 0)
            break;
    }
    return line.number;
}

static int read_keys(struct keyring *keyring, const char *path, const char *text, size_t length,
                     char error[KEYRING_ERROR_SIZE])
{
    struct keyring_line line = {.next = 0};

    while (keyring_parse_next(text, length, &line)) {
        const bool empty = keyring_parse_is_empty(&line);
        const char *complaint = NULL;

        if (empty && memchr(line.text, '\0', line.length))
            complaint = "found a NUL byte; allowed is text";
        else if (!empty)
            complaint = keyring_parse_line(&line, &keyring->keys[keyring->count]);
        if (complaint) {
            (void)snprintf(error, KEYRING_ERROR_SIZE, "%s:%zu: %s", path, line.number, complaint);
            return -EINVAL;
        }
        keyring->count += empty ? 0 : 1;
    }
    if (keyring->count > 0)
        return 0;
    (void)snprintf(error, KEYRING_ERROR_SIZE,
                   "%s:%zu: found no key up to the end; needed is a line IDENTITY KEY [NAME] "
                   "(`berkeleyctl keygen` writes such a file)",
                   path, line.number > 0 ? line.number : 1);
    return -EINVAL;
}

/* The first one in the order of the file that is the same as one before it. */
static int refuse_twins(struct keyring *keyring, int (*compare)(const void *, const void *),
                        bool (*same)(const struct key *, const struct key *), size_t *twin,
                        size_t *first)
{
    *twin = SIZE_MAX;
    qsort(keyring->sorted, keyring->count, sizeof(const struct key *), compare);
    for (size_t i = 1; i < keyring->count; i++) {
        const struct key *const *pair = keyring->sorted + i - 1;

        if (same(pair[0], pair[1]) && (size_t)(pair[1] - keyring->keys) < *twin) {
            *first = (size_t)(pair[0] - keyring->keys);
            *twin = (size_t)(pair[1] - keyring->keys);
        }
    }
    return *twin == SIZE_MAX ? 0 : -EINVAL;
}

/* Leaves them sorted by identity. */
static int sort_keys(struct keyring *keyring, const char *path, const char *text, size_t length,
                     char error[KEYRING_ERROR_SIZE])
{
    const char *what = "key", *allowed = "one key under each identity";
    size_t twin, first = 0;
    int r;

    for (size_t i = 0; i < keyring->count; i++)
        keyring->sorted[i] = &keyring->keys[i];
    r = refuse_twins(keyring, compare_secrets, equal_secrets, &twin, &first);
    if (r == 0) {
        what = "identity";
        allowed = "each identity once";
        r = refuse_twins(keyring, compare_identities, same_identity, &twin, &first);
    }
    if (r < 0)
        (void)snprintf(error, KEYRING_ERROR_SIZE, "%s:%zu: found the %s of line %zu; allowed is %s",
                       path, line_of(text, length, twin), what, line_of(text, length, first),
                       allowed);
    return r;
}

int keyring_parse(const char *path, const char *text, size_t length, struct keyring **keyring,
                  char error[KEYRING_ERROR_SIZE])
{
    struct keyring *made;
    int r;

    if (length > KEYRING_FILE_MAX) {
        (void)snprintf(error, KEYRING_ERROR_SIZE, "%s: found %zu bytes; allowed are %zu", path,
                       length, KEYRING_FILE_MAX);
        return -EINVAL;
    }
    made = keyring_new(text, length);
    if (!made) {
        (void)snprintf(error, KEYRING_ERROR_SIZE, "%s: out of memory", path);
        return -ENOMEM;
    }
    r = read_keys(made, path, text, length, error);
    if (r == 0)
        r = sort_keys(made, path, text, length, error);
    if (r == 0)
        *keyring = made;
    else
        keyring_free(made);
    return r;
}

int keyring_load(const char *path, struct keyring **keyring, char error[KEYRING_ERROR_SIZE])
{
    struct keyring_file file;
    int r = keyring_file_read(path, &file, error);

    if (r < 0)
        return r;
    r = keyring_parse(path, file.text, file.length, keyring, error);
    keyring_file_free(&file);
    return r;
}

size_t keyring_count(const struct keyring *keyring)
{
    return keyring->count;
}

const struct key *keyring_at(const struct keyring *keyring, size_t n)
{
    return n < keyring->count ? &keyring->keys[n] : NULL;
}

static int compare_with_key(const void *identity, const void *place)
{
    const struct key *const *key = place;

    return strcmp(identity, (*key)->identity);
}

const struct key *keyring_find(const struct keyring *keyring, const char *identity)
{
    const struct key *const *place = bsearch(identity, keyring->sorted, keyring->count,
                                             sizeof(const struct key *), compare_with_key);

    return place ? *place : NULL;
}

const struct key *keyring_usable(const struct keyring *keyring, const char *name, size_t from,
                                 size_t *place)
{
    for (size_t i = from; i < keyring->count; i++) {
        const struct key *key = &keyring->keys[i];

        if (key->name[0] == '\0' || strcmp(key->name, name) == 0) {
            if (place)
                *place = i;
            return key;
        }
    }
    return NULL;
}

bool keyring_agree(const struct keyring *one, const struct keyring *other, const char *identity)
{
    const struct key *a = keyring_find(one, identity), *b = keyring_find(other, identity);

    return a && b && equal_secrets(a, b) && strcmp(a->name, b->name) == 0;
}

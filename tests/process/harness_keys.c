/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRETS_MAX 64
#define BYTES (sizeof((struct secret_key *)0)->secret / 2)
#define TOLD 6 /* bytes of a secret in a row: more than chance */

/* Of all keys made by this program: none of its children may ever print one. */
static struct secret_key made[SECRETS_MAX];
static size_t made_count;

struct secret_key key_make(const char *identity, const char *name)
{
    struct secret_key key = {.secret = ""};
    uint8_t bytes[BYTES];

    if (made_count == SECRETS_MAX)
        harness_die("more than %d keys", SECRETS_MAX);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        harness_die("getrandom: %s", strerror(errno));
    snprintf(key.identity, sizeof(key.identity), "%s", identity);
    snprintf(key.name, sizeof(key.name), "%s", name ? name : "");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(key.secret + 2 * i, 3, "%02x", bytes[i]);
    made[made_count++] = key;
    return key;
}

void key_bytes(const struct secret_key *key, uint8_t bytes[32])
{
    for (size_t i = 0; i < BYTES; i++) {
        unsigned byte;

        if (sscanf(key->secret + 2 * i, "%2x", &byte) != 1)
            harness_die("%s: a key that is none", key->identity);
        bytes[i] = (uint8_t)byte;
    }
}

/* Written beside it and put in its place: a daemon that reads it finds a whole one. */
const char *key_write(struct harness *harness, const char *name, const struct secret_key *keys,
                      size_t count)
{
    const char *path = harness_path(harness, "%s", name);
    const char *fresh = harness_path(harness, "%s.new", name);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        harness_die("%s: %s", fresh, strerror(errno));
    dprintf(fd, "# test\n");
    for (size_t i = 0; i < count; i++)
        dprintf(fd, "%s %s%s%s\n", keys[i].identity, keys[i].secret, keys[i].name[0] ? " " : "",
                keys[i].name);
    if (close(fd) < 0 || rename(fresh, path) < 0)
        harness_die("%s: %s", path, strerror(errno));
    return path;
}

/* The text in lower case holds that much of the secret, as digits or as it is. */
static bool is_told(const char *text, const char *lower, size_t length,
                    const struct secret_key *key)
{
    uint8_t bytes[BYTES];

    key_bytes(key, bytes);
    for (size_t i = 0; i + TOLD <= BYTES; i++)
        if (memmem(lower, length, key->secret + 2 * i, 2 * (size_t)TOLD) ||
            memmem(text, length, bytes + i, TOLD))
            return true;
    return false;
}

const char *key_told(const char *text, size_t length)
{
    char *lower = harness_alloc(length + 1);
    const char *told = NULL;

    for (size_t i = 0; i < length; i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
    for (size_t i = 0; i < made_count && !told; i++)
        if (is_told(text, lower, length, &made[i]))
            told = made[i].identity;
    free(lower);
    return told;
}

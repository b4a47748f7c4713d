/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files: whatever is taken is found again and is the same when written out; and of a
 * key nothing is told: the same file with every letter of its keys changed into another of its
 * kind gets the same answer, word for word.
 */
#include "fuzz.h"

#include "daemon/keyring.h"

#include <ctype.h>
#include <errno.h>

#define PATH "/etc/berkeley.key"

static int parse(const char *text, size_t size, struct keyring **keyring,
                 char error[KEYRING_ERROR_SIZE])
{
    uint8_t *copy = fuzz_copy((const uint8_t *)text, size);
    int r;

    *keyring = NULL;
    memset(error, 0, KEYRING_ERROR_SIZE);
    r = keyring_parse(PATH, (const char *)copy, size, keyring, error);
    must(r == 0 || r == -EINVAL);
    must((r == 0) == (*keyring != NULL));
    must(memchr(error, '\0', KEYRING_ERROR_SIZE));
    must(r == 0 || strncmp(error, PATH, strlen(PATH)) == 0);
    must(!strchr(error, '\n'));
    free(copy);
    return r;
}

/* From one kind of letters to the next of that kind, so that what was equal stays equal. */
static char other(char c)
{
    static const char *const kinds[] = {"0123456789", "abcdef", "ABCDEF", "ghijklmnopqrstuvwxyz",
                                        "GHIJKLMNOPQRSTUVWXYZ"};

    for (size_t i = 0; c && i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *at = strchr(kinds[i], c);

        if (at && at[1])
            return at[1];
        if (at)
            return kinds[i][0];
    }
    return c;
}

/* The second word of each line, and a first one that is no identity, is a key or was meant so. */
static void change_keys(char *text, size_t size)
{
    unsigned word = 0;
    bool inside = false;

    for (size_t i = 0; i < size; i++) {
        size_t length = 0;

        if (text[i] == '\n') {
            word = 0;
            inside = false;
            continue;
        }
        if (isspace((unsigned char)text[i])) {
            inside = false;
            continue;
        }
        if (inside)
            continue;
        inside = true;
        word++;
        while (i + length < size && !isspace((unsigned char)text[i + length]))
            length++;
        if (word == 2 || (word == 1 && length >= KEYRING_NAME_SIZE))
            for (size_t k = i; k < i + length; k++)
                text[k] = other(text[k]);
    }
}

static void check_secrecy(const uint8_t *data, size_t size, int r,
                          const char error[KEYRING_ERROR_SIZE])
{
    char *changed = (char *)fuzz_copy(data, size);
    char same[KEYRING_ERROR_SIZE];
    struct keyring *keyring;

    change_keys(changed, size);
    must(parse(changed, size, &keyring, same) == r);
    must(memcmp(error, same, KEYRING_ERROR_SIZE) == 0);
    keyring_free(keyring);
    free(changed);
}

static void print_key(const struct key *key, FILE *out)
{
    (void)fprintf(out, "%s ", key->identity);
    for (size_t i = 0; i < sizeof key->secret; i++)
        (void)fprintf(out, "%02x", key->secret[i]);
    (void)fprintf(out, "%s%s\n", *key->name ? " " : "", key->name);
}

static void check_key(const struct keyring *keyring, size_t n)
{
    const struct key *key = keyring_at(keyring, n);
    size_t place = SIZE_MAX;

    must(memchr(key->identity, '\0', sizeof key->identity) && *key->identity);
    must(memchr(key->name, '\0', sizeof key->name));
    must(keyring_find(keyring, key->identity) == key);
    must(keyring_agree(keyring, keyring, key->identity));
    must(keyring_usable(keyring, *key->name ? key->name : "anybody", n, &place) == key);
    must(place == n);
}

static void check_keyring(const struct keyring *keyring)
{
    const size_t count = keyring_count(keyring);
    char *text, error[KEYRING_ERROR_SIZE];
    struct keyring *again;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out && count > 0 && !keyring_at(keyring, count));
    for (size_t n = 0; n < count; n++) {
        check_key(keyring, n);
        print_key(keyring_at(keyring, n), out);
    }
    (void)fclose(out);
    must(parse(text, size, &again, error) == 0);
    must(keyring_count(again) == count);
    for (size_t n = 0; n < count; n++)
        must(keyring_agree(keyring, again, keyring_at(keyring, n)->identity));
    keyring_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[KEYRING_ERROR_SIZE];
    struct keyring *keyring;
    int r = parse((const char *)data, size, &keyring, error);

    if (r == 0)
        check_keyring(keyring);
    check_secrecy(data, size, r, error);
    keyring_free(keyring);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keyring_parse.h"

#include <string.h>

#define COLUMNS 3
#define DIGITS (2 * (size_t)KEYRING_SECRET_SIZE)

struct word {
    const char *text;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool keyring_parse_next(const char *text, size_t length, struct keyring_line *line)
{
    const size_t place = line->next;
    const char *end;

    if (place >= length)
        return false;
    end = memchr(text + place, '\n', length - place);
    line->text = text + place;
    line->length = end ? (size_t)(end - line->text) : length - place;
    line->place = place;
    line->next = place + line->length + (end ? 1 : 0);
    line->number++;
    if (line->length > 0 && line->text[line->length - 1] == '\r')
        line->length--;
    return true;
}

bool keyring_parse_is_empty(const struct keyring_line *line)
{
    for (size_t i = 0; i < line->length; i++) {
        if (!is_blank(line->text[i]))
            return line->text[i] == '#';
    }
    return true;
}

static bool is_word(const char *text, size_t length)
{
    if (length == 0 || length >= KEYRING_NAME_SIZE || text[0] == '#')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!(text[i] > ' ' && text[i] <= '~'))
            return false;
    }
    return true;
}

bool keyring_parse_is_word(const char *text)
{
    return is_word(text, strlen(text));
}

/* How many there are, of which the first COLUMNS are put into words. */
static size_t split(const struct keyring_line *line, struct word words[COLUMNS])
{
    size_t count = 0, i = 0;

    for (;;) {
        size_t start;

        while (i < line->length && is_blank(line->text[i]))
            i++;
        if (i == line->length)
            return count;
        start = i;
        while (i < line->length && !is_blank(line->text[i]))
            i++;
        if (count < COLUMNS)
            words[count] = (struct word){line->text + start, i - start};
        count++;
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool read_secret(const struct word *word, uint8_t secret[KEYRING_SECRET_SIZE])
{
    if (word->length != DIGITS)
        return false;
    for (size_t i = 0; i < KEYRING_SECRET_SIZE; i++) {
        const int high = digit(word->text[2 * i]), low = digit(word->text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        secret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_weak(const uint8_t secret[KEYRING_SECRET_SIZE])
{
    return memcmp(secret, secret + 1, KEYRING_SECRET_SIZE - 1) == 0;
}

static void take(char field[KEYRING_NAME_SIZE], const struct word *word)
{
    memset(field, 0, KEYRING_NAME_SIZE);
    memcpy(field, word->text, word->length);
}

static const char *read_line(const struct keyring_line *line, struct key *key)
{
    struct word words[COLUMNS] = {{"", 0}, {"", 0}, {"", 0}};
    const size_t count = split(line, words);

    if (memchr(line->text, '\0', line->length))
        return "found a NUL byte; allowed is text";
    if (count < 2)
        return "found one column; allowed is IDENTITY KEY [NAME]";
    if (count > COLUMNS)
        return "found more than three columns; allowed is IDENTITY KEY [NAME], and comments on "
               "lines of their own";
    if (!is_word(words[0].text, words[0].length))
        return "found no identity in the 1st column; allowed are 1 to 63 printable ASCII "
               "characters, then the key in the 2nd column";
    if (!read_secret(&words[1], key->secret))
        return "found no key in the 2nd column; allowed are 64 hexadecimal digits "
               "(`berkeleyctl keygen --stdout | cat` makes such a line)";
    if (is_weak(key->secret))
        return "found a key of one byte again and again in the 2nd column; allowed are random "
               "ones (`berkeleyctl keygen --stdout | cat` makes such a line)";
    if (count == COLUMNS && !is_word(words[2].text, words[2].length))
        return "found no machine's name in the 3rd column; allowed are 1 to 63 printable ASCII "
               "characters, the first of them no '#', or nothing";
    take(key->identity, &words[0]);
    take(key->name, &words[2]);
    return NULL;
}

const char *keyring_parse_line(const struct keyring_line *line, struct key *key)
{
    struct key read = {.identity = ""};
    const char *complaint = read_line(line, &read);

    if (!complaint)
        *key = read;
    explicit_bzero(&read, sizeof read);
    return complaint;
}

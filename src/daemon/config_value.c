/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_value.h"

#include "daemon/duration.h"
#include "daemon/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *config_number_print(double value, char *buffer)
{
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, "%.*g", digits, value);
        if (!(strtod(buffer, NULL) < value || strtod(buffer, NULL) > value))
            break;
    }
    return buffer;
}

const char *config_value_print(const struct config_entry *entry, const void *field, char *buffer)
{
    char text[CONFIG_VALUE_SIZE];
    int64_t value;
    const char *word;

    if (entry->type == ENTRY_NUMBER)
        return config_number_print(*(const double *)field, buffer);
    value = config_entry_get(entry, field);
    word = entry->words ? config_word_text(entry->words, value) : NULL;
    if (entry->type == ENTRY_BOOL)
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, "%s", value ? "true" : "false");
    else if (word)
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, "\"%s\"", word);
    else if (entry->type == ENTRY_DURATION)
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, "\"%s\"", duration_print(value, text));
    else
        (void)snprintf(buffer, CONFIG_VALUE_SIZE, "%" PRId64, value);
    return buffer;
}

const char *config_quote(const char *text, char *buffer, size_t size)
{
    static const char cut[] = "...\"";
    size_t used = 1;

    buffer[0] = '"';
    for (; *text; text++) {
        const bool printable = *text >= ' ' && *text <= '~';

        if (used + 4 + sizeof(cut) > size) {
            memcpy(buffer + used, cut, sizeof(cut));
            return buffer;
        }
        if (printable)
            buffer[used++] = *text;
        else
            used += (size_t)snprintf(buffer + used, 5, "\\x%02x", (unsigned char)*text);
    }
    memcpy(buffer + used, "\"", sizeof("\""));
    return buffer;
}

const char *config_found(const config_setting_t *setting, char *buffer)
{
    int64_t integer;

    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return "a list";
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_STRING:
        return config_quote(config_setting_get_string(setting), buffer, CONFIG_FOUND_SIZE);
    case CONFIG_TYPE_FLOAT:
        return config_number_print(config_setting_get_float(setting), buffer);
    default:
        integer = config_setting_get_int64(setting);
        if (integer == INT64_MIN || integer == INT64_MAX)
            return "an integer beyond 64 bits";
        (void)snprintf(buffer, CONFIG_FOUND_SIZE, "%" PRId64, integer);
        return buffer;
    }
}

int config_word_find(const struct config_word *words, const char *text, int64_t *value)
{
    for (; words && words->text; words++)
        if (strcmp(words->text, text) == 0) {
            *value = words->value;
            return 0;
        }
    return -ENOENT;
}

const char *config_word_text(const struct config_word *words, int64_t value)
{
    for (; words->text; words++)
        if (words->value == value)
            return words->text;
    return NULL;
}

/* The address without its zone ("%eth0"). 0 or -EINVAL. */
static int parse_address(const char *text, struct in_addr *v4, struct in6_addr *v6, int *family)
{
    char bare[INET6_ADDRSTRLEN];
    const size_t length = strcspn(text, "%");

    if (length >= sizeof(bare))
        return -EINVAL;
    memcpy(bare, text, length);
    bare[length] = '\0';
    *family = AF_INET6;
    if (inet_pton(AF_INET6, bare, v6) == 1)
        return text[length] == '%' && text[length + 1] == '\0' ? -EINVAL : 0;
    *family = AF_INET;
    return text[length] == '\0' && inet_pton(AF_INET, bare, v4) == 1 ? 0 : -EINVAL;
}

bool config_address_is_numeric(const char *text)
{
    struct in6_addr v6;
    struct in_addr v4;
    int family;

    return parse_address(text, &v4, &v6, &family) == 0;
}

bool config_address_is_loopback(const char *text)
{
    struct in6_addr v6;
    struct in_addr v4;
    int family;

    if (parse_address(text, &v4, &v6, &family) < 0)
        return false;
    if (family == AF_INET)
        return ntohl(v4.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool config_prefix_block(const char *text, char *buffer)
{
    char address[CONFIG_PREFIX_SIZE], digits[INET6_ADDRSTRLEN];
    const int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    const unsigned long width = family == AF_INET6 ? 128 : 32;
    const size_t length = strcspn(text, "/");
    uint8_t bytes[sizeof(struct in6_addr)];
    unsigned long bits;

    if (length >= sizeof(address) || text[length] != '/')
        return false;
    (void)snprintf(address, sizeof(address), "%.*s", (int)length, text);
    bits = strtoul(text + length + 1, NULL, 10);
    if (bits > width || inet_pton(family, address, bytes) != 1)
        return false;
    for (unsigned long i = bits; i < width; i++)
        bytes[i / 8] &= (uint8_t)~(0x80U >> i % 8);
    (void)inet_ntop(family, bytes, digits, sizeof(digits));
    (void)snprintf(buffer, CONFIG_PREFIX_SIZE, "%s/%lu", digits, bits);
    return true;
}

int config_text_check(const struct config_entry *entry, const char *text)
{
    const char least = entry->type == ENTRY_FILE ? ' ' : '!';
    const size_t length = strlen(text);

    for (const char *c = text; *c; c++)
        if (*c < least || *c > '~')
            return -EINVAL;
    if (length >= entry->size)
        return -ENAMETOOLONG;
    if (length == 0)
        return entry->least > 0 || entry->items > 0 ? -EINVAL : 0;
    if (entry->type == ENTRY_FILE && *text != '/')
        return config_word_find(entry->words, text, &(int64_t){0}) < 0 ? -EINVAL : 0;
    if (entry->type == ENTRY_PREFIX)
        return prefix_parse(text, &(struct prefix){0});
    return entry->type == ENTRY_ADDRESS && !config_address_is_numeric(text) ? -EINVAL : 0;
}

static void allowed_words(const struct config_word *words, FILE *out)
{
    for (size_t i = 0; words[i].text; i++) {
        const char *before = words[i + 1].text ? ", " : " or ";

        (void)fprintf(out, "%s\"%s\"", i ? before : "", words[i].text);
    }
}

static void allowed_text(const struct config_entry *entry, FILE *out)
{
    const size_t longest = entry->size - 1;

    if (entry->items)
        (void)fprintf(out, "a list [ ... ] of %s%zu ", entry->least ? "1 to " : "up to ",
                      entry->items);
    if (entry->type == ENTRY_ADDRESS)
        (void)fprintf(out, "numeric IPv4 or IPv6 addresses");
    else if (entry->type == ENTRY_PREFIX)
        (void)fprintf(out, "addresses or blocks of them (\"192.0.2.7\", \"2001:db8::/32\")");
    else if (entry->type == ENTRY_FILE)
        (void)fprintf(out, "an absolute path of up to %zu printable characters, %s%s%sor \"\"",
                      longest, entry->words ? "\"" : "", entry->words ? entry->words->text : "",
                      entry->words ? "\", " : "");
    else
        (void)fprintf(out, "%s%s%zu printable characters without spaces",
                      entry->items ? "names of " : "",
                      entry->items || entry->least ? "1 to " : "up to ", longest);
}

static void allowed_range(const struct config_entry *entry, FILE *out)
{
    char least[CONFIG_VALUE_SIZE], most[CONFIG_VALUE_SIZE];

    if (entry->type == ENTRY_DURATION) {
        (void)fprintf(out, "a duration from \"%s\" to \"%s\"",
                      duration_print(entry->least, least),
                      duration_print(entry->most, most));
        if (entry->words)
            (void)fprintf(out, ", or \"%s\"", entry->words->text);
        return;
    }
    (void)fprintf(out, "%s from %" PRId64 " to %" PRId64 "%s%s",
                  entry->type == ENTRY_INTEGER ? "an integer" : "a number", entry->least,
                  entry->most, entry->unit ? " " : "", entry->unit ? entry->unit : "");
}

const char *config_allowed(const struct config_entry *entry, char *buffer)
{
    FILE *out = fmemopen(buffer, CONFIG_ALLOWED_SIZE, "w");

    buffer[0] = '\0';
    if (!out)
        return buffer;
    if (entry->type == ENTRY_WORD)
        allowed_words(entry->words, out);
    else if (entry->type == ENTRY_BOOL)
        (void)fprintf(out, "true or false");
    else if (config_entry_is_text(entry))
        allowed_text(entry, out);
    else
        allowed_range(entry, out);
    (void)fclose(out);
    return buffer;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"

static const struct unit {
    const char *text;
    int64_t ns;
} units[] = {
    {"d", INT64_C(86400000000000)},
    {"h", INT64_C(3600000000000)},
    {"min", INT64_C(60000000000)},
    {"s", INT64_C(1000000000)},
    {"ms", INT64_C(1000000)},
    {"us", INT64_C(1000)},
    {"ns", INT64_C(1)},
};

#define UNITS (sizeof units / sizeof units[0])

static const struct unit *find_unit(const char *text)
{
    text += strspn(text, " ");
    for (size_t i = 0; i < UNITS; i++)
        if (strcmp(units[i].text, text) == 0)
            return &units[i];
    return NULL;
}

/* Adds the digits after the point: each is worth a tenth of the one before, until that is less
 * than 1 ns. */
static int add_fraction(const char *digits, size_t length, int64_t worth_ns, int64_t *ns)
{
    for (size_t i = 0; i < length; i++) {
        worth_ns = worth_ns % 10 == 0 ? worth_ns / 10 : 0;
        if (worth_ns == 0 && digits[i] != '0')
            return -EINVAL;
        if (__builtin_add_overflow(*ns, (digits[i] - '0') * worth_ns, ns))
            return -ERANGE;
    }
    return 0;
}

static int whole_ns(const char *digits, size_t length, int64_t unit_ns, int64_t *ns)
{
    int64_t value = 0;

    for (size_t i = 0; i < length; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digits[i] - '0', &value))
            return -ERANGE;
    return __builtin_mul_overflow(value, unit_ns, ns) ? -ERANGE : 0;
}

int duration_parse(const char *text, int64_t *ns)
{
    const char *whole = text + (*text == '-' || *text == '+');
    const size_t wholes = strspn(whole, DIGITS);
    const bool pointed = whole[wholes] == '.';
    const char *fraction = whole + wholes + pointed;
    const size_t fractions = pointed ? strspn(fraction, DIGITS) : 0;
    const struct unit *unit = find_unit(fraction + fractions);
    int64_t value;
    int r;

    if (wholes == 0 || (pointed && fractions == 0) || !unit)
        return -EINVAL;
    r = whole_ns(whole, wholes, unit->ns, &value);
    if (r == 0)
        r = add_fraction(fraction, fractions, unit->ns, &value);
    if (r < 0)
        return r;
    *ns = *text == '-' ? -value : value;
    return 0;
}

const char *duration_print(int64_t ns, char *buffer)
{
    const struct unit *unit = find_unit("s");

    for (size_t i = 0; ns != 0; i++)
        if (ns % units[i].ns == 0) {
            unit = &units[i];
            break;
        }
    (void)snprintf(buffer, DURATION_SIZE, "%" PRId64 " %s", ns / unit->ns, unit->text);
    return buffer;
}

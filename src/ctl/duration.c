/* SPDX-License-Identifier: BSD-2-Clause */
#include "duration.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct unit {
    const char *text;
    int64_t ns;
} units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"min", INT64_C(60) * 1000000000},
    {"h", INT64_C(3600) * 1000000000},
    {"d", INT64_C(86400) * 1000000000},
};

static const struct unit *find(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].text, text) == 0)
            return &units[i];
    return NULL;
}

static int add_whole(const char *digits, size_t count, int64_t unit_ns, int64_t *ns)
{
    int64_t value = 0;

    for (size_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digits[i] - '0', &value))
            return -ERANGE;
    return __builtin_mul_overflow(value, unit_ns, ns) ? -ERANGE : 0;
}

/* Each digit is worth a tenth of the one before. */
static int add_fraction(const char *digits, size_t count, int64_t worth_ns, int64_t *ns)
{
    for (size_t i = 0; i < count; i++) {
        worth_ns = worth_ns % 10 == 0 ? worth_ns / 10 : 0;
        if (worth_ns == 0 && digits[i] != '0')
            return -ERANGE;
        if (__builtin_add_overflow(*ns, (digits[i] - '0') * worth_ns, ns))
            return -ERANGE;
    }
    return 0;
}

int duration_parse(const char *text, int64_t *ns)
{
    static const char set[] = "0123456789";
    const size_t whole = strspn(text, set);
    const size_t point = text[whole] == '.' ? 1 : 0;
    const char *fraction = text + whole + point;
    const size_t digits = point ? strspn(fraction, set) : 0;
    const char *rest = fraction + digits;
    const struct unit *unit = find(rest + strspn(rest, " "));
    int64_t value = 0;
    int r;

    if (whole == 0 || (point && digits == 0) || !unit)
        return -EINVAL;
    r = add_whole(text, whole, unit->ns, &value);
    if (r == 0)
        r = add_fraction(fraction, digits, unit->ns, &value);
    if (r == 0)
        *ns = value;
    return r;
}

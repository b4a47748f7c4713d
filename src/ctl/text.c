/* SPDX-License-Identifier: BSD-2-Clause */
#include "text.h"

#include "core/timestamp.h"
#include "daemon/journal.h"

#include <inttypes.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

_Static_assert(TEXT_SIZE >= JOURNAL_TIME_SIZE, "the journal's words fit");

static bool draws;

void text_open(void)
{
    const char *locale = setlocale(LC_CTYPE, "");

    draws = locale && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!draws)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

bool text_draws(void)
{
    return draws;
}

/* The next character's bytes, at least one; what cannot be read counts as one column a byte. */
static size_t next(const char *text, size_t *columns)
{
    mbstate_t state = {0};
    wchar_t character;
    size_t bytes = mbrtowc(&character, text, strlen(text), &state);
    int width;

    *columns = 1;
    if (bytes == 0 || bytes > MB_LEN_MAX)
        return 1;
    width = wcwidth(character);
    if (width >= 0)
        *columns = (size_t)width;
    return bytes;
}

size_t text_fit(const char *text, size_t columns)
{
    size_t used = 0, width = 0, more;

    while (text[used]) {
        size_t bytes = next(text + used, &more);

        if (width + more > columns)
            break;
        width += more;
        used += bytes;
    }
    return used;
}

size_t text_width(const char *text)
{
    size_t width = 0, more;

    while (*text) {
        text += next(text, &more);
        width += more;
    }
    return width;
}

const char *text_time(int64_t ns, char buffer[TEXT_SIZE])
{
    return journal_time(ns, buffer);
}

const char *text_signed_time(int64_t ns, char buffer[TEXT_SIZE])
{
    return journal_signed_time(ns, buffer);
}

const char *text_seconds(int64_t seconds, char buffer[TEXT_SIZE])
{
    int64_t ns;

    if (seconds == 0)
        return "0 s";
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns))
        ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    return journal_time(ns, buffer);
}

const char *text_rate(double ppb, char buffer[TEXT_SIZE])
{
    const bool small = fabs(ppb) < 999.5;
    const double value = small ? ppb : ppb / 1e3;
    const double size = fabs(value);
    int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;

    if (small)
        decimals = size < 9.95 ? 1 : 0;
    (void)snprintf(buffer, TEXT_SIZE, "%+.*f %s", decimals, value, small ? "ppb" : "ppm");
    return buffer;
}

const char *text_clock(int64_t unix_ns, char buffer[TEXT_SIZE])
{
    const time_t seconds = unix_ns / NS_PER_S;
    struct tm broken;

    if (!localtime_r(&seconds, &broken) || strftime(buffer, TEXT_SIZE, "%H:%M:%S", &broken) == 0)
        (void)snprintf(buffer, TEXT_SIZE, "-");
    return buffer;
}

const char *text_utc(int64_t unix_ns, unsigned decimals, bool up, char buffer[TEXT_SIZE])
{
    int64_t grain = 1, rest, seconds, fraction;
    struct tm broken;
    time_t time;
    char date[TEXT_SIZE / 2] = "-";

    for (unsigned i = decimals; i < 9; i++)
        grain *= 10;
    rest = unix_ns % grain < 0 ? unix_ns % grain + grain : unix_ns % grain;
    if (__builtin_sub_overflow(unix_ns, rest, &unix_ns) ||
        (up && rest > 0 && __builtin_add_overflow(unix_ns, grain, &unix_ns)))
        return "-";
    fraction = unix_ns % NS_PER_S < 0 ? unix_ns % NS_PER_S + NS_PER_S : unix_ns % NS_PER_S;
    seconds = (unix_ns - fraction) / NS_PER_S;
    time = seconds;
    if (gmtime_r(&time, &broken))
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &broken);
    if (decimals == 0)
        (void)snprintf(buffer, TEXT_SIZE, "%s UTC", date);
    else
        (void)snprintf(buffer, TEXT_SIZE, "%s.%0*" PRId64 " UTC", date, (int)decimals,
                       fraction / grain);
    return buffer;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/journal.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_S UINT64_C(1000000000)

/* Beyond these the smaller unit becomes hard to read. */
#define SECONDS_LIMIT UINT64_C(7200)
#define HOURS_LIMIT UINT64_C(48)
#define DAYS_LIMIT UINT64_C(100)

static void time_long(uint64_t seconds, const char *sign, char *buffer)
{
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    uint64_t days = hours / 24;

    if (seconds < SECONDS_LIMIT)
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 " s", sign, seconds);
    else if (hours < HOURS_LIMIT)
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 " h %" PRIu64 " min", sign, hours,
                 minutes % 60);
    else if (days < DAYS_LIMIT)
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 " d %" PRIu64 " h", sign, days,
                 hours % 24);
    else
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 " d", sign, days);
}

/* ns < 1000 s, to three significant digits, zeros after the point left away. */
static void time_short(uint64_t ns, const char *sign, char *buffer)
{
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    uint64_t grain = 1, unit_ns = 1;
    unsigned unit = 0;
    int decimals = 0;

    while (ns / grain >= 1000)
        grain *= 10;
    ns = (ns + grain / 2) / grain * grain;
    while (unit < 3 && ns / unit_ns >= 1000) {
        unit_ns *= 1000;
        unit++;
    }

    /* The fraction in hundredths: enough for three digits. */
    uint64_t whole = ns / unit_ns, fraction = ns % unit_ns * 100 / unit_ns;

    if (fraction > 0)
        decimals = fraction % 10 > 0 ? 2 : 1;
    if (decimals == 1)
        fraction /= 10;
    if (decimals == 0)
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 " %s", sign, whole, units[unit]);
    else
        snprintf(buffer, JOURNAL_TIME_SIZE, "%s%" PRIu64 ".%0*" PRIu64 " %s", sign, whole, decimals,
                 fraction, units[unit]);
}

static const char *time_say(int64_t ns, const char *plus, char *buffer)
{
    uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    const char *sign = ns < 0 ? "-" : plus;

    if (ns == INT64_MAX)
        snprintf(buffer, JOURNAL_TIME_SIZE, "unknown");
    else if (size >= 1000 * NS_PER_S)
        time_long((size + NS_PER_S / 2) / NS_PER_S, sign, buffer);
    else
        time_short(size, sign, buffer);
    return buffer;
}

const char *journal_time(int64_t ns, char *buffer)
{
    return time_say(ns, "", buffer);
}

const char *journal_signed_time(int64_t ns, char *buffer)
{
    return time_say(ns, "+", buffer);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_meddling.h"

#include "core/timestamp.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAXERROR_GROWTH_US 500
#define MAXERROR_LIMIT_US 16000000
#define PPM_PER_FREQ (1.0 / 65536.0)

#define NAME_SIZE 17 /* TASK_COMM_LEN and a newline */

/* STA_INS and STA_DEL are not ours to defend. */
#define STATUS_OURS \
    (STA_PLL | STA_FLL | STA_FREQHOLD | STA_NANO | STA_UNSYNC | STA_PPSFREQ | STA_PPSTIME)

static const char *const services[] = {
    "chrony.service",  "chronyd.service",           "ntp.service",   "ntpd.service",
    "ntpsec.service",  "openntpd.service",          "ptp4l.service", "phc2sys.service",
    "ntpd-rs.service", "systemd-timesyncd.service",
};

/* As the kernel calls them, of those that may be started by hand. */
static const char *const programs[] = {
    "chronyd", "ntpd", "ntpdate", "ntp-daemon", "ptp4l", "phc2sys", "adjtimex",
};

__attribute__((format(printf, 4, 5))) static void
append(char *text, size_t size, const char *separator, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    if (used > 0) {
        (void)snprintf(text + used, size - used, "%s", separator);
        used = strlen(text);
    }
    va_start(arguments, format);
    (void)vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* Kernels 5.0 to 6.14 take a remainder below zero, in microseconds, for one
 * beyond 2^31 ns: -1 ms is read back as 4293967 us. */
static int64_t remainder_ns(const struct timex *timex)
{
    int64_t ns = (timex->status & STA_NANO) ? timex->offset : timex->offset * NS_PER_US;

    return ns > INT32_MAX ? ns - (INT64_C(1) << 32) : ns;
}

struct clock_settings clock_settings_of(const struct timex *timex)
{
    return (struct clock_settings){
        .second = timex->time.tv_sec,
        .freq_scaled = timex->freq,
        .tick_us = timex->tick,
        .constant = timex->constant,
        .remainder_ns = remainder_ns(timex),
        .maxerror_us = timex->maxerror,
        .status = timex->status,
    };
}

static int64_t grown(int64_t maxerror_us, int64_t seconds)
{
    if (seconds < 0)
        seconds = 0;
    if (seconds > MAXERROR_LIMIT_US / MAXERROR_GROWTH_US)
        return MAXERROR_LIMIT_US;
    maxerror_us += MAXERROR_GROWTH_US * seconds;
    return maxerror_us < MAXERROR_LIMIT_US ? maxerror_us : MAXERROR_LIMIT_US;
}

/* The kernel may be a tick late, at either end, in taking a boundary in. */
static bool maxerror_kept(const struct clock_settings *left, const struct clock_settings *found)
{
    int64_t seconds = found->second - left->second;

    return found->maxerror_us == grown(left->maxerror_us, seconds) ||
           found->maxerror_us == grown(left->maxerror_us, seconds + 1) ||
           found->maxerror_us == grown(left->maxerror_us, seconds - 1);
}

static bool status_kept(const struct clock_settings *left, const struct clock_settings *found)
{
    int changed = (left->status ^ found->status) & STATUS_OURS;

    /* The kernel gives up by itself when maxerror has grown to its limit. */
    if (found->maxerror_us == MAXERROR_LIMIT_US && maxerror_kept(left, found) &&
        (found->status & STA_UNSYNC))
        changed &= ~STA_UNSYNC;
    return changed == 0;
}

/* Setting the time drops slews and synchronisation, and nothing else; that is no news then. */
static bool was_set(const struct clock_settings *left, const struct clock_settings *found)
{
    int status = left->status | STA_UNSYNC;

    return found->second < left->second ||
           (found->maxerror_us == MAXERROR_LIMIT_US && !maxerror_kept(left, found) &&
            ((found->status ^ status) & STATUS_OURS) == 0 && found->remainder_ns == 0);
}

static void describe_rates(const struct clock_settings *left, const struct clock_settings *found,
                           char *text, size_t size)
{
    if (timestamp_abs(found->freq_scaled - left->freq_scaled) > 1)
        append(text, size, ", ", "frequency %+.3f -> %+.3f ppm",
               (double)left->freq_scaled * PPM_PER_FREQ, (double)found->freq_scaled * PPM_PER_FREQ);
    if (found->tick_us != left->tick_us)
        append(text, size, ", ", "tick %" PRId64 " -> %" PRId64 " us", left->tick_us,
               found->tick_us);
    if (found->constant != left->constant)
        append(text, size, ", ", "time constant %" PRId64 " -> %" PRId64, left->constant,
               found->constant);
}

static void describe_slews(const struct clock_settings *left, const struct clock_settings *found,
                           unsigned lost, char *text, size_t size)
{
    if (lost & CLOCK_SLEW_PLL)
        append(text, size, ", ", "slew left %" PRId64 " -> %" PRId64 " ns", left->remainder_ns,
               found->remainder_ns);
    if (lost & CLOCK_SLEW_ADJTIME)
        append(text, size, ", ", "adjtime slew %" PRId64 " -> %" PRId64 " us", left->adjtime_us,
               found->adjtime_us);
}

bool clock_meddling_describe(const struct clock_settings *left, const struct clock_settings *found,
                             unsigned lost, char *text, size_t size)
{
    text[0] = '\0';
    describe_rates(left, found, text, size);
    if (was_set(left, found))
        return text[0] != '\0';
    if (!status_kept(left, found))
        append(text, size, ", ", "status 0x%04x -> 0x%04x", (unsigned)left->status,
               (unsigned)found->status);
    describe_slews(left, found, lost, text, size);
    if (!maxerror_kept(left, found))
        append(text, size, ", ", "maximum error %" PRId64 " -> %" PRId64 " us", left->maxerror_us,
               found->maxerror_us);
    return text[0] != '\0';
}

static void append_services(const char *units, char *text, size_t size)
{
    char path[PATH_MAX];
    struct stat entry;

    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", units, services[i]);
        if (stat(path, &entry) == 0 && S_ISDIR(entry.st_mode))
            append(text, size, " or ", "%s", services[i]);
    }
}

/* What a process is called; false if it is gone. */
static bool read_name(const char *processes, const char *process, char name[NAME_SIZE])
{
    char path[PATH_MAX];
    FILE *file;
    bool read;

    (void)snprintf(path, sizeof path, "%s/%s/comm", processes, process);
    file = fopen(path, "re");
    if (!file)
        return false;
    read = fgets(name, NAME_SIZE, file);
    (void)fclose(file);
    if (read)
        name[strcspn(name, "\n")] = '\0';
    return read;
}

static void append_programs(const char *processes, char *text, size_t size)
{
    DIR *directory = opendir(processes);
    const struct dirent *entry;
    char name[NAME_SIZE];

    while (directory && (entry = readdir(directory))) {
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
            !read_name(processes, entry->d_name, name))
            continue;
        for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
            if (strcmp(name, programs[i]) == 0)
                append(text, size, " or ", "%s (process %s)", name, entry->d_name);
    }
    if (directory)
        (void)closedir(directory);
}

void clock_meddling_culprit(const char *units, const char *processes, char *text, size_t size)
{
    text[0] = '\0';
    if (units)
        append_services(units, text, size);
    if (text[0] == '\0' && processes)
        append_programs(processes, text, size);
    if (text[0] == '\0')
        append(text, size, "", "another program");
}

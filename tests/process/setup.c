/* SPDX-License-Identifier: BSD-2-Clause */
#include "setup.h"

#include "harness_part.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

const char *setup_config(struct harness *harness, const char *name, uint16_t port)
{
    const char *path = harness_path(harness, "%s.conf", name);
    FILE *file = fopen(path, "we");

    if (!file)
        harness_die("%s: %s", path, strerror(errno));
    fprintf(file,
            "name = \"%s\";\n"
            "master: { listen = [\"127.0.0.1\"]; port = %u; interval = \"500 ms\"; };\n"
            "slave: { master = \"127.0.0.1\"; port = %u;\n"
            "         retry_min = \"200 ms\"; retry_max = \"2 s\"; };\n"
            "clock: { kind = \"emulated\"; };\n"
            "emulated: { file = \"%s/%s.clock\"; };\n",
            name, port, port, harness_directory(harness), name);
    if (fclose(file) != 0)
        harness_die("%s: %s", path, strerror(errno));
    return path;
}

void setup_override(const char *config, const char *format, ...)
{
    char path[512];
    va_list args;
    FILE *file;

    snprintf(path, sizeof path, "%s.d", config);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        harness_die("%s: %s", path, strerror(errno));
    snprintf(path, sizeof path, "%s.d/10.conf", config);
    file = fopen(path, "we");
    if (!file)
        harness_die("%s: %s", path, strerror(errno));
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    if (fclose(file) != 0)
        harness_die("%s: %s", path, strerror(errno));
}

struct rounds setup_rounds(struct process *process, size_t from)
{
    struct rounds rounds = {.gapless = true};
    const char *at = process_stderr(process) + from;

    while ((at = strstr(at, "berkeleyd: Round ")) != NULL) {
        unsigned number;

        at += strlen("berkeleyd: Round ");
        number = (unsigned)strtoul(at, NULL, 10);
        if (rounds.count++ == 0)
            rounds.first = number;
        else if (number != rounds.last + 1)
            rounds.gapless = false;
        rounds.last = number;
    }
    return rounds;
}

bool setup_wait_rounds(struct harness *harness, struct process *process, size_t from,
                       unsigned count, double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    while (setup_rounds(process, from).count < count)
        if (!harness_wait(harness, deadline))
            return false;
    return true;
}

size_t setup_said(struct process *process)
{
    return strlen(process_stderr(process));
}

double setup_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

long setup_rss(const struct process *process)
{
    char path[64], line[256];
    long kib = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(process));
    file = fopen(path, "re");
    if (!file)
        harness_die("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    fclose(file);
    return kib;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "setup.h"

#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *setup_config(struct harness *harness, const char *name, uint16_t port)
{
    char file[128];

    snprintf(file, sizeof file, "%s.conf", name);
    return harness_write(harness, file,
                         "name = \"%s\";\n"
                         "master: { listen = [\"127.0.0.1\"]; port = %u;\n"
                         "          interval = \"500 ms\"; };\n"
                         "slave: { master = \"127.0.0.1\"; port = %u;\n"
                         "         retry_min = \"200 ms\"; retry_max = \"2 s\"; };\n"
                         "clock: { kind = \"emulated\"; };\n"
                         "emulated: { file = \"%s/%s.clock\"; };\n",
                         name, port, port, harness_directory(harness), name);
}

const char *setup_override(struct harness *harness, const char *config, const char *text)
{
    const char *name = strrchr(config, '/') + 1;
    char file[128];

    if (mkdir(harness_path(harness, "%s.d", name), 0755) < 0 && errno != EEXIST)
        harness_die("%s.d: %s", config, strerror(errno));
    snprintf(file, sizeof file, "%s.d/10.conf", name);
    return harness_write(harness, file, "%s", text);
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
    char path[64], text[4096] = "";
    const char *found;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process_pid(process));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        harness_die("%s: %s", path, strerror(errno));
    close(fd);
    found = strstr(text, "\nVmRSS:");
    return found ? strtol(found + strlen("\nVmRSS:"), NULL, 10) : 0;
}

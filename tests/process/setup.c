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
                         "authentication = \"loopback\"; control = \"%s/%s.control\";\n"
                         "master: { listen = [\"127.0.0.1\"]; port = %u;\n"
                         "          interval = \"500 ms\"; };\n"
                         "slave: { master = \"127.0.0.1\"; port = %u;\n"
                         "         retry_min = \"200 ms\"; retry_max = \"2 s\"; };\n"
                         "clock: { kind = \"emulated\"; };\n"
                         "emulated: { file = \"%s/%s.clock\"; };\n",
                         name, harness_directory(harness), name, port, port,
                         harness_directory(harness), name);
}

static const char *drop_in(struct harness *harness, const char *config, const char *title,
                           const char *text)
{
    const char *name = strrchr(config, '/') + 1;
    char file[128];

    if (mkdir(harness_path(harness, "%s.d", name), 0755) < 0 && errno != EEXIST)
        harness_die("%s.d: %s", config, strerror(errno));
    snprintf(file, sizeof file, "%s.d/%s.conf", name, title);
    return harness_write(harness, file, "%s", text);
}

const char *setup_keys(struct harness *harness, const char *config, const struct secret_key *keys,
                       size_t count)
{
    const char *name = strrchr(config, '/') + 1;
    char file[128];

    snprintf(file, sizeof file, "%.*s.key", (int)(strrchr(name, '.') - name), name);
    return key_write(harness, file, keys, count);
}

const char *setup_keyed(struct harness *harness, const char *name, uint16_t port,
                        const struct secret_key *keys, size_t count)
{
    const char *config = setup_config(harness, name, port);
    char text[256];

    snprintf(text, sizeof text, "authentication = \"key\"; key_file = \"%s\";\n",
             setup_keys(harness, config, keys, count));
    (void)drop_in(harness, config, "05", text);
    return config;
}

const char *setup_override(struct harness *harness, const char *config, const char *text)
{
    return drop_in(harness, config, "10", text);
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

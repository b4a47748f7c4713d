/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness.h"

#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 20000000

struct harness {
    struct harness *next; /* in living */
    struct harness_part *parts;
    char directory[64];
};

static struct harness *living;

_Noreturn void harness_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "harness: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(EXIT_FAILURE);
}

void *harness_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size > 0 ? size : 1);

    if (!resized)
        harness_die("out of memory");
    return resized;
}

void *harness_alloc(size_t size)
{
    return memset(harness_resize(NULL, size), 0, size);
}

static void living_end(void)
{
    while (living)
        harness_free(living);
}

struct harness *harness_new(void)
{
    static bool registered;
    struct harness *harness = harness_alloc(sizeof(*harness));

    /* Not $TMPDIR: socket addresses hold 107 characters. */
    snprintf(harness->directory, sizeof(harness->directory), "/tmp/berkeley-test-XXXXXX");
    if (!mkdtemp(harness->directory))
        harness_die("%s: %s", harness->directory, strerror(errno));
    if (!registered)
        registered = atexit(living_end) == 0;
    harness->next = living;
    living = harness;
    return harness;
}

static int path_remove(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

bool harness_free(struct harness *harness)
{
    bool clean = true;
    struct harness **at = &living;

    while (*at != harness)
        at = &(*at)->next;
    *at = harness->next;
    for (struct harness_part *part = harness->parts; part; part = part->next)
        if (part->ask)
            part->ask(part);
    for (struct harness_part *part = harness->parts; part; part = part->next)
        if (part->end)
            clean &= part->end(part);
    for (struct harness_part *part = harness->parts; part;) {
        struct harness_part *next = part->next;

        part->release(part);
        part = next;
    }
    nftw(harness->directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(harness);
    return clean;
}

int harness_setup(void **state)
{
    *state = harness_new();
    return 0;
}

int harness_teardown(void **state)
{
    return harness_free(*state) ? 0 : -1;
}

void harness_adopt(struct harness *harness, struct harness_part *part)
{
    part->next = harness->parts;
    harness->parts = part;
}

const char *harness_directory(const struct harness *harness)
{
    return harness->directory;
}

struct name {
    struct harness_part part;
    char *text;
};

static void name_release(struct harness_part *part)
{
    struct name *name = (struct name *)part;

    free(name->text);
    free(name);
}

/* Takes text over. */
static const char *name_keep(struct harness *harness, char *text)
{
    struct name *name = harness_alloc(sizeof(*name));

    name->text = text;
    name->part.release = name_release;
    harness_adopt(harness, &name->part);
    return text;
}

const char *harness_path(struct harness *harness, const char *format, ...)
{
    char *last, *path;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&last, format, args);
    va_end(args);
    if (length < 0 || asprintf(&path, "%s/%s", harness->directory, last) < 0)
        harness_die("out of memory");
    free(last);
    return name_keep(harness, path);
}

const char *harness_write(struct harness *harness, const char *name, const char *format, ...)
{
    const char *path = harness_path(harness, "%s", name);
    FILE *file = fopen(path, "we");
    va_list args;

    if (!file)
        harness_die("%s: %s", path, strerror(errno));
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    if (fclose(file) != 0)
        harness_die("%s: %s", path, strerror(errno));
    return path;
}

const char *harness_built(struct harness *harness, const char *variable, const char *relative)
{
    const char *found = getenv(variable), *build = getenv("BERKELEY_BUILD");
    char *path;

    if (found)
        return found;
    if (asprintf(&path, "%s/%s", build ? build : "build", relative) < 0)
        harness_die("out of memory");
    return name_keep(harness, path);
}

int harness_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        harness_die("%s: too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        harness_die("%s: %s", path, strerror(errno));
    return fd;
}

static bool port_is_free(uint16_t port)
{
    struct sockaddr_in address4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 address6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = bind(fd4, (struct sockaddr *)&address4, sizeof(address4)) < 0;

    /* A machine may do without IPv6. */
    if (fd6 >= 0) {
        taken |=
            bind(fd6, (struct sockaddr *)&address6, sizeof(address6)) < 0 && errno == EADDRINUSE;
        close(fd6);
    }
    close(fd4);
    return !taken;
}

uint16_t harness_port(void)
{
    /* Below the ports that connections start from: a slave that calls again and
     * again while nobody listens would one day connect to itself. */
    enum { FIRST = 10000, COUNT = 22000 };
    static unsigned next;

    if (next == 0)
        next = (unsigned)getpid() * 61U;
    for (int i = 0; i < COUNT; i++) {
        uint16_t port = (uint16_t)(FIRST + next++ % COUNT);

        if (port_is_free(port))
            return port;
    }
    harness_die("no free port");
}

static double scale(void)
{
    const char *text = getenv("BERKELEY_TEST_SCALE");
    double value = text ? strtod(text, NULL) : 1;

    return value > 0 && value < 1e3 ? value : 1;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t harness_deadline(double seconds)
{
    return monotonic_ns() + (int64_t)(seconds * scale() * 1e9);
}

bool harness_wait(struct harness *harness, int64_t deadline)
{
    struct timespec pause = {.tv_nsec = POLL_NS};

    if (monotonic_ns() >= deadline)
        return false;
    nanosleep(&pause, NULL);
    for (struct harness_part *part = harness->parts; part; part = part->next)
        if (part->pump)
            part->pump(part);
    return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/segment.h"

#include "core/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC_0 UINT32_C(0x414D5A4E)
#define MAGIC_1 UINT32_C(0x43420200)
#define VERSION 2
#define FIRST_GENERATION 2
/* For who looks at the interval and not at the status: some 36 years to either side. */
#define NOTHING_NS (INT64_C(1) << 60)

struct layout {
    _Atomic uint32_t magic[2];
    _Atomic uint32_t size;
    _Atomic uint16_t version;
    _Atomic uint16_t generation;
    _Atomic int64_t as_of[2];
    _Atomic int64_t void_after[2];
    _Atomic int64_t bound_ns;
    _Atomic uint64_t disruptions;
    _Atomic uint32_t drift_ppb;
    _Atomic int32_t status;
    _Atomic uint8_t asks_vmclock;
    uint8_t padding[7];
};

_Static_assert(sizeof(struct layout) == 80 && offsetof(struct layout, generation) == 14 &&
                   offsetof(struct layout, bound_ns) == 48 &&
                   offsetof(struct layout, asks_vmclock) == 72,
               "atomic members are laid out like others");

struct segment {
    struct layout *layout;
    uint64_t disruptions;
    int fd;
};

/* None of these can be seen before the odd generation, nor the even one before all of these. */
#define PUT(member, value) atomic_store_explicit(&(member), (value), memory_order_release)
#define GET(member) atomic_load_explicit(&(member), memory_order_relaxed)

static void put_time(_Atomic int64_t time[2], int64_t ns)
{
    PUT(time[0], ns / NS_PER_S);
    PUT(time[1], ns % NS_PER_S);
}

static void put(struct layout *layout, const struct segment_bound *bound)
{
    const uint16_t generation = GET(layout->generation) | 1;

    PUT(layout->generation, generation);
    PUT(layout->magic[0], MAGIC_0);
    PUT(layout->magic[1], MAGIC_1);
    PUT(layout->size, sizeof *layout);
    PUT(layout->version, VERSION);
    put_time(layout->as_of, bound->as_of_ns);
    put_time(layout->void_after, bound->void_after_ns);
    PUT(layout->bound_ns, bound->bound_ns);
    PUT(layout->disruptions, bound->disruptions);
    PUT(layout->drift_ppb, bound->drift_ppb);
    PUT(layout->status, (int32_t)bound->status);
    PUT(layout->asks_vmclock, 0);
    PUT(layout->generation,
        generation == UINT16_MAX ? FIRST_GENERATION : (uint16_t)(generation + 1));
}

static void put_nothing(struct layout *layout, enum segment_status status, uint64_t disruptions)
{
    const int64_t now_ns = segment_now();

    put(layout, &(struct segment_bound){.as_of_ns = now_ns,
                                        .void_after_ns = now_ns,
                                        .bound_ns = NOTHING_NS,
                                        .disruptions = disruptions,
                                        .status = status});
}

int64_t segment_now(void)
{
    struct timespec now = {0}, resolution = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec - resolution.tv_nsec;
}

/* Readers may lock what they can read, and shall keep nobody out: only another writer does. */
static int lock(int fd)
{
    struct flock own = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct flock other = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &own) == 0 || (errno != EAGAIN && errno != EACCES))
        return 0;
    return fcntl(fd, F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK ? -EBUSY : 0;
}

static bool is_zero(const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < size; i++)
        if (byte[i])
            return false;
    return true;
}

/* One that nobody has written to yet, or one of this layout. */
static int examine_content(int fd)
{
    struct layout layout;

    if (pread(fd, &layout, sizeof layout, 0) != sizeof layout)
        return -EIO;
    if (is_zero(&layout, sizeof layout))
        return 0;
    return GET(layout.magic[0]) == MAGIC_0 && GET(layout.magic[1]) == MAGIC_1 &&
                   GET(layout.size) == sizeof layout && GET(layout.version) == VERSION
               ? 0
               : -EEXIST;
}

/* Whoever owns the file may shorten it, and then to write there would be the end of us. */
static int examine(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_uid != geteuid())
        return -EPERM;
    if (status.st_size == 0)
        return 0;
    return status.st_size == sizeof(struct layout) ? examine_content(fd) : -EEXIST;
}

/* With memory or disk behind it, which a hole in the file may find missing too late. */
static int allocate(int fd)
{
    return -posix_fallocate(fd, 0, sizeof(struct layout));
}

static int map(int fd, struct layout **layout)
{
    void *memory;
    int r = lock(fd);

    if (r >= 0)
        r = examine(fd);
    if (r >= 0)
        r = allocate(fd);
    if (r < 0)
        return r;
    if (fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) < 0)
        return -errno;
    memory = mmap(NULL, sizeof **layout, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *layout = memory;
    return 0;
}

int segment_open(const char *path, struct segment **segment)
{
    struct segment *fresh = calloc(1, sizeof *fresh);
    uint16_t generation;
    int r;

    if (!fresh)
        return -ENOMEM;
    fresh->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                     S_IRUSR | S_IWUSR);
    r = fresh->fd < 0 ? -errno : map(fresh->fd, &fresh->layout);
    if (r < 0) {
        if (fresh->fd >= 0)
            (void)close(fresh->fd);
        free(fresh);
        return r;
    }
    fresh->disruptions = GET(fresh->layout->disruptions);
    generation = GET(fresh->layout->generation);
    if (generation == 0 || generation % 2 != 0)
        put_nothing(fresh->layout, SEGMENT_UNKNOWN, fresh->disruptions);
    *segment = fresh;
    return 0;
}

int segment_write(struct segment *segment, const struct segment_bound *bound)
{
    struct stat status;

    if (fstat(segment->fd, &status) < 0)
        return -errno;
    if (status.st_nlink == 0)
        return -ESTALE;
    if (status.st_size < (off_t)sizeof *segment->layout) {
        int r = allocate(segment->fd);

        if (r < 0)
            return r;
    }
    segment->disruptions = bound->disruptions;
    if (bound->status == SEGMENT_SYNCHRONISED || bound->status == SEGMENT_HOLDOVER)
        put(segment->layout, bound);
    else
        put_nothing(segment->layout, bound->status, bound->disruptions);
    return 0;
}

uint64_t segment_disruptions(const struct segment *segment)
{
    return segment->disruptions;
}

void segment_close(struct segment *segment)
{
    if (!segment)
        return;
    (void)segment_write(segment, &(struct segment_bound){.status = SEGMENT_UNKNOWN,
                                                         .disruptions = segment->disruptions});
    (void)munmap(segment->layout, sizeof *segment->layout);
    (void)close(segment->fd);
    free(segment);
}

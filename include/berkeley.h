/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * berkeley.h: the time with its bound, for programs on a machine that berkeleyd(8) synchronises.
 *
 *     #include <berkeley.h>
 *     #include <inttypes.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         const struct berkeley_segment *segment = berkeley_open(BERKELEY_SEGMENT);
 *         int64_t earliest_ns, latest_ns;
 *
 *         if (!segment || !berkeley_holds(berkeley_now(segment, &earliest_ns, &latest_ns)))
 *             return 1;
 *         printf("%" PRId64 " to %" PRId64 " ns\n", earliest_ns, latest_ns);
 *         berkeley_close(segment);
 *         return 0;
 *     }
 *
 * The group's time at the moment of the call is not before earliest nor after latest, both in
 * nanoseconds of UNIX time.  If one machine's latest is before another's earliest, the one event
 * was before the other, wherever in the group they happened.  It is the time the group agrees on,
 * and UTC only as far as the group follows a clock that keeps UTC.
 *
 * clock.bound_file in berkeley.conf(5) makes the daemon publish the bound; BOUNDED TIME in
 * berkeleyd(8) tells what it is worth.  Segments of ClockBound's daemon, version 2, without
 * support of clock disruption, are read likewise.
 *
 * Nothing is allocated but the mapping, nothing is locked, and no file is touched after
 * berkeley_open(): a segment may be used by any number of threads at once, up to
 * berkeley_close(), and goes on being good when the daemon is started anew.  C11 or C++11, with
 * the __atomic operations of GCC and Clang; in strict ISO C define _POSIX_C_SOURCE 200809L.
 */
#ifndef BERKELEY_H
#define BERKELEY_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Where it is if clock.bound_file is "". */
#define BERKELEY_SEGMENT "/run/berkeley/clockbound"

enum berkeley_status {
    BERKELEY_UNKNOWN = 0,      /* nothing is promised */
    BERKELEY_SYNCHRONISED = 1, /* the daemon keeps the clock to the group's time */
    BERKELEY_HOLDOVER = 2,     /* it cannot at present, or does not run; the interval grows */
    BERKELEY_DISRUPTED = 3     /* the clock was set, or stood still: nothing is promised, either */
};

/* In memory; not to be looked at but by the functions below. */
struct berkeley_segment {
    uint32_t magic[2];
    uint32_t size;
    uint16_t version;
    uint16_t generation;
    int64_t as_of[2];
    int64_t void_after[2];
    int64_t bound_ns;
    uint64_t disruptions;
    uint32_t drift_ppb;
    int32_t status;
    uint8_t asks_vmclock;
    uint8_t padding[7];
};

/* NULL, and errno is set: what open(2) says, or EPROTO for what is no segment of this version.
 * The file has to have been written by the daemon once. */
static inline const struct berkeley_segment *berkeley_open(const char *path);
static inline void berkeley_close(const struct berkeley_segment *segment);

/* The interval now: earliest to latest.  When nothing is promised it goes from INT64_MIN to
 * INT64_MAX: true, and of no use.  Takes well below a microsecond; a millisecond or so when the
 * daemon was killed while writing. */
static inline enum berkeley_status berkeley_now(const struct berkeley_segment *segment,
                                                int64_t *earliest_ns, int64_t *latest_ns);

/* Is anything promised? */
static inline int berkeley_holds(enum berkeley_status status);

/* How far CLOCK_REALTIME is from the group's time now, at most; INT64_MAX when nothing is promised.
 * For who waits for a good one: a time read before or after may be farther off. */
static inline enum berkeley_status berkeley_bound(const struct berkeley_segment *segment,
                                                  int64_t *bound_ns);

/* The rest is how. */

static inline int berkeley_holds(enum berkeley_status status)
{
    return status == BERKELEY_SYNCHRONISED || status == BERKELEY_HOLDOVER;
}

#define BERKELEY_TRIES_ 1000
#define BERKELEY_GRACE_NS_ INT64_C(5000000000) /* without news, then it is called holdover */
#define BERKELEY_BLUR_NS_ INT64_C(1000000)     /* by which a coarse clock may seem to go back */
#define BERKELEY_TIME_MAX_S_ INT64_C(4000000000)

#define BERKELEY_GET_(member) __atomic_load_n(&segment->member, __ATOMIC_ACQUIRE)

struct berkeley_snapshot_ {
    int64_t as_of_ns;
    int64_t void_after_ns;
    int64_t bound_ns;
    uint32_t drift_ppb;
    int32_t status;
};

static inline int64_t berkeley_ns_(int64_t s, int64_t ns)
{
    return s >= 0 && s <= BERKELEY_TIME_MAX_S_ && ns >= 0 && ns < INT64_C(1000000000)
               ? s * INT64_C(1000000000) + ns
               : -1;
}

static inline int64_t berkeley_read_(clockid_t id)
{
    struct timespec time;

    return clock_gettime(id, &time) == 0 ? time.tv_sec * INT64_C(1000000000) + time.tv_nsec : -1;
}

/* 1: all from one writing.  The loads are in order, each with all that follow. */
static inline int berkeley_try_(const struct berkeley_segment *segment,
                                struct berkeley_snapshot_ *snapshot)
{
    const uint16_t generation = BERKELEY_GET_(generation);

    if (generation == 0 || generation % 2 != 0)
        return 0;
    snapshot->as_of_ns = berkeley_ns_(BERKELEY_GET_(as_of[0]), BERKELEY_GET_(as_of[1]));
    snapshot->void_after_ns =
        berkeley_ns_(BERKELEY_GET_(void_after[0]), BERKELEY_GET_(void_after[1]));
    snapshot->bound_ns = BERKELEY_GET_(bound_ns);
    snapshot->drift_ppb = BERKELEY_GET_(drift_ppb);
    snapshot->status = BERKELEY_GET_(version) == 2 ? BERKELEY_GET_(status) : BERKELEY_UNKNOWN;
    return BERKELEY_GET_(generation) == generation;
}

static inline int berkeley_snapshot_take_(const struct berkeley_segment *segment,
                                          struct berkeley_snapshot_ *snapshot)
{
    int i;

    for (i = 0; i < BERKELEY_TRIES_; i++) {
        if (berkeley_try_(segment, snapshot))
            return 1;
        (void)sched_yield(); /* the writer may be waiting for this very processor */
    }
    return 0;
}

/* bound + drift (t - as of), t a reading of CLOCK_MONOTONIC_COARSE */
static inline enum berkeley_status berkeley_judge_(const struct berkeley_snapshot_ *snapshot,
                                                   int64_t now_ns, int64_t *bound_ns)
{
    int64_t age_ns = now_ns - snapshot->as_of_ns;
    double grown_ns;

    if (snapshot->status == BERKELEY_DISRUPTED)
        return BERKELEY_DISRUPTED;
    if (snapshot->status != BERKELEY_SYNCHRONISED && snapshot->status != BERKELEY_HOLDOVER)
        return BERKELEY_UNKNOWN;
    if (now_ns < 0 || snapshot->as_of_ns < 0 || age_ns < -BERKELEY_BLUR_NS_ ||
        now_ns >= snapshot->void_after_ns || snapshot->bound_ns < 0 ||
        snapshot->drift_ppb >= UINT32_C(1000000000))
        return BERKELEY_UNKNOWN;
    if (age_ns < 0)
        age_ns = 0;
    grown_ns = (double)age_ns * 1e-9 * (double)snapshot->drift_ppb;
    if (!(grown_ns < 1e18) || snapshot->bound_ns >= INT64_C(1000000000000000000))
        return BERKELEY_UNKNOWN;
    *bound_ns = snapshot->bound_ns + (int64_t)grown_ns + 1;
    return age_ns < BERKELEY_GRACE_NS_ && snapshot->status == BERKELEY_SYNCHRONISED
               ? BERKELEY_SYNCHRONISED
               : BERKELEY_HOLDOVER;
}

static inline enum berkeley_status berkeley_bound(const struct berkeley_segment *segment,
                                                  int64_t *bound_ns)
{
    struct berkeley_snapshot_ snapshot = {0, 0, 0, 0, 0};

    *bound_ns = INT64_MAX;
    if (!berkeley_snapshot_take_(segment, &snapshot))
        return BERKELEY_UNKNOWN;
    return berkeley_judge_(&snapshot, berkeley_read_(CLOCK_MONOTONIC_COARSE), bound_ns);
}

/* The snapshot first: its bound may have come down since.  The age last: it only makes the bound
 * greater. */
static inline enum berkeley_status berkeley_now(const struct berkeley_segment *segment,
                                                int64_t *earliest_ns, int64_t *latest_ns)
{
    struct berkeley_snapshot_ snapshot = {0, 0, 0, 0, 0};
    enum berkeley_status status;
    int64_t real_ns, bound_ns = INT64_MAX;

    *earliest_ns = INT64_MIN;
    *latest_ns = INT64_MAX;
    if (!berkeley_snapshot_take_(segment, &snapshot))
        return BERKELEY_UNKNOWN;
    real_ns = berkeley_read_(CLOCK_REALTIME);
    status = berkeley_judge_(&snapshot, berkeley_read_(CLOCK_MONOTONIC_COARSE), &bound_ns);
    if (bound_ns == INT64_MAX)
        return status;
    *earliest_ns = real_ns - bound_ns;
    *latest_ns = real_ns + bound_ns;
    return status;
}

static inline int berkeley_is_segment_(const struct berkeley_segment *segment)
{
    return BERKELEY_GET_(magic[0]) == UINT32_C(0x414D5A4E) &&
           BERKELEY_GET_(magic[1]) == UINT32_C(0x43420200) &&
           BERKELEY_GET_(size) >= sizeof *segment && BERKELEY_GET_(version) == 2 &&
           BERKELEY_GET_(generation) != 0;
}

static inline const struct berkeley_segment *berkeley_open(const char *path)
{
    const struct berkeley_segment *segment;
    struct stat status;
    void *memory = MAP_FAILED;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int error;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) < 0)
        error = errno;
    else if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof *segment)
        error = EPROTO;
    else {
        memory = mmap(NULL, sizeof *segment, PROT_READ, MAP_SHARED, fd, 0);
        error = errno;
    }
    (void)close(fd);
    segment = (const struct berkeley_segment *)memory;
    if (memory != MAP_FAILED && berkeley_is_segment_(segment))
        return segment;
    if (memory != MAP_FAILED) {
        (void)munmap(memory, sizeof *segment);
        error = EPROTO;
    }
    errno = error;
    return NULL;
}

static inline void berkeley_close(const struct berkeley_segment *segment)
{
    if (segment)
        (void)munmap((void *)(uintptr_t)segment, sizeof *segment);
}

#endif

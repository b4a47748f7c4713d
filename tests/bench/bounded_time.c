/* SPDX-License-Identifier: BSD-2-Clause */
/* What a reading of the bounded time costs: berkeley.h on a segment of our own making. */
#include "berkeley.h"
#include "daemon/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS 10000000
#define PASSES 5
#define SECOND_NS INT64_C(1000000000)

static const struct berkeley_segment *segment;

static void give_up(const char *what, int error)
{
    (void)fprintf(stderr, "bounded_time: %s: %s\n", what, strerror(error));
    exit(1);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* Each returns something that hangs on what was read. */
static int64_t read_now(void)
{
    int64_t earliest_ns, latest_ns;

    if (berkeley_now(segment, &earliest_ns, &latest_ns) == BERKELEY_UNKNOWN)
        give_up("reading", EAGAIN);
    return latest_ns - earliest_ns;
}

static int64_t read_bound(void)
{
    int64_t bound_ns;

    (void)berkeley_bound(segment, &bound_ns);
    return bound_ns;
}

static int64_t read_realtime(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static double measure(int64_t (*read_once)(void))
{
    const int64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    volatile int64_t sink;

    for (long i = 0; i < READS; i++)
        sink = read_once();
    (void)sink;
    return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / READS;
}

static void report(const char *what, int64_t (*read_once)(void))
{
    double best_ns = measure(read_once), worst_ns = best_ns;

    for (int i = 1; i < PASSES; i++) {
        const double ns = measure(read_once);

        best_ns = ns < best_ns ? ns : best_ns;
        worst_ns = ns > worst_ns ? ns : worst_ns;
    }
    printf("%-32s %8.1f %8.1f\n", what, best_ns, worst_ns);
}

static void publish(const char *path, struct segment **writer)
{
    const int64_t now_ns = segment_now();
    const struct segment_bound bound = {.as_of_ns = now_ns,
                                        .void_after_ns = now_ns + 1000 * SECOND_NS,
                                        .bound_ns = 40000,
                                        .drift_ppb = 900,
                                        .status = SEGMENT_SYNCHRONISED};
    int r = segment_open(path, writer);

    if (r >= 0)
        r = segment_write(*writer, &bound);
    if (r < 0)
        give_up(path, -r);
}

int main(void)
{
    char path[] = "/tmp/berkeley-bench-XXXXXX";
    struct segment *writer;
    int fd = mkstemp(path);

    if (fd < 0)
        give_up(path, errno);
    (void)close(fd);
    publish(path, &writer);
    segment = berkeley_open(path);
    if (!segment)
        give_up(path, errno);
    printf("%-32s %8s %8s  (ns of CPU time a call, %d passes of %d)\n", "", "best", "worst", PASSES,
           READS);
    report("berkeley_now", read_now);
    report("berkeley_bound", read_bound);
    report("clock_gettime(CLOCK_REALTIME)", read_realtime);
    berkeley_close(segment);
    segment_close(writer);
    (void)unlink(path);
    return 0;
}

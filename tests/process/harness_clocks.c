/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness_part.h"

#include "daemon/clock_emulated.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct clocks {
    struct harness_part part;
    struct harness *harness;
    size_t count;
    struct emulated_view **views;
    int64_t *real_ns;     /* as last read, all at one instant */
    int64_t *backward_ns; /* largest step back seen from read to read */
    bool was_read;
};

static int64_t raw_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void clocks_look(struct clocks *clocks)
{
    int64_t raw_ns = raw_now_ns();

    for (size_t i = 0; i < clocks->count; i++) {
        int64_t real_ns;
        int r = emulated_view_read(clocks->views[i], raw_ns, &real_ns, NULL);

        if (r < 0)
            harness_die("clock %zu: %s", i, strerror(-r));
        if (clocks->was_read && clocks->real_ns[i] - real_ns > clocks->backward_ns[i])
            clocks->backward_ns[i] = clocks->real_ns[i] - real_ns;
        clocks->real_ns[i] = real_ns;
    }
    clocks->was_read = true;
}

/* While anybody waits for anything, the clocks are watched for steps back. */
static void clocks_pump(struct harness_part *part)
{
    clocks_look((struct clocks *)part);
}

static void clocks_release(struct harness_part *part)
{
    struct clocks *clocks = (struct clocks *)part;

    for (size_t i = 0; i < clocks->count; i++)
        emulated_view_close(clocks->views[i]);
    free(clocks->views);
    free(clocks->real_ns);
    free(clocks->backward_ns);
    free(clocks);
}

struct clocks *clocks_open(struct harness *harness, const char *const *paths, size_t count,
                           double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    struct clocks *clocks = harness_alloc(sizeof(*clocks));

    clocks->harness = harness;
    clocks->views = harness_alloc(count * sizeof(struct emulated_view *));
    clocks->real_ns = harness_alloc(count * sizeof(*clocks->real_ns));
    clocks->backward_ns = harness_alloc(count * sizeof(*clocks->backward_ns));
    clocks->part.release = clocks_release;
    while (clocks->count < count) {
        /* The daemon creates the file when it starts. */
        if (emulated_view_open(paths[clocks->count], &clocks->views[clocks->count]) == 0) {
            clocks->count++;
        } else if (!harness_wait(harness, deadline)) {
            clocks_release(&clocks->part);
            return NULL;
        }
    }
    clocks->part.pump = clocks_pump;
    harness_adopt(harness, &clocks->part);
    return clocks;
}

void clocks_read(struct clocks *clocks, int64_t *real_ns)
{
    clocks_look(clocks);
    memcpy(real_ns, clocks->real_ns, clocks->count * sizeof(*real_ns));
}

static bool subset_has(uint64_t subset, size_t n)
{
    return subset == CLOCKS_ALL || (n < 64 && (subset >> n & 1));
}

int64_t clocks_spread(struct clocks *clocks, uint64_t subset)
{
    int64_t least = INT64_MAX, most = INT64_MIN;

    clocks_look(clocks);
    for (size_t i = 0; i < clocks->count; i++) {
        if (!subset_has(subset, i))
            continue;
        least = clocks->real_ns[i] < least ? clocks->real_ns[i] : least;
        most = clocks->real_ns[i] > most ? clocks->real_ns[i] : most;
    }
    return most > least ? most - least : 0;
}

bool clocks_wait_spread(struct clocks *clocks, uint64_t subset, int64_t limit_ns, double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    do {
        if (clocks_spread(clocks, subset) <= limit_ns)
            return true;
    } while (harness_wait(clocks->harness, deadline));
    return false;
}

int64_t clocks_watch(struct clocks *clocks, uint64_t subset, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    int64_t largest = 0;

    do {
        int64_t spread = clocks_spread(clocks, subset);

        largest = spread > largest ? spread : largest;
    } while (harness_wait(clocks->harness, deadline));
    return largest;
}

int64_t clocks_backward(struct clocks *clocks, size_t n)
{
    int64_t known_ns = emulated_view_backward(clocks->views[n]);

    if (known_ns < 0)
        harness_die("clock %zu: %s", n, strerror((int)-known_ns));
    clocks_look(clocks);
    return known_ns > clocks->backward_ns[n] ? known_ns : clocks->backward_ns[n];
}

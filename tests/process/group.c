/* SPDX-License-Identifier: BSD-2-Clause */
#include "group.h"

#include "daemon/clock_emulated.h"
#include "harness_part.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A daemon looks at its clock and tells the kernel once a second: in this time
 * everything it was told has reached it. */
#define FRESH_SECONDS 1.5
#define GROUP_RATE_PPM 50

struct member {
    struct node node;
    const char *clock_path, *config_path, *key_name;
    struct emulated_view *view;
    int64_t raw_ns, real_ns; /* before anybody touched it: host's RAW, its clock then */
    struct process *process;
};

struct group {
    struct harness_part part;
    struct harness *harness;
    size_t count;
    uint16_t port;
    struct member members[GROUP_MAX];
    struct clocks *clocks;
};

static int64_t raw_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool has(uint64_t subset, size_t n)
{
    return subset >> n & 1;
}

static int64_t read_at(const struct member *member, int64_t raw_ns, struct timex *timex)
{
    int64_t real_ns = 0;
    int r = emulated_view_read(member->view, raw_ns, &real_ns, timex);

    if (r < 0)
        harness_die("%s: %s", member->clock_path, strerror(-r));
    return real_ns;
}

static void group_release(struct harness_part *part)
{
    struct group *group = (struct group *)part;

    for (size_t i = 0; i < group->count; i++)
        emulated_view_close(group->members[i].view);
    free(group);
}

static void make_clock(struct member *member, double wander_ppm, uint64_t seed)
{
    const struct emulated_oscillator oscillator = {.offset_ns = member->node.offset_ns,
                                                   .frequency_ppb =
                                                       member->node.frequency_ppm * 1e3,
                                                   .wander_ppb = wander_ppm * 1e3,
                                                   .seed = seed};
    struct kernel_port port;
    int r = clock_emulated_port(member->clock_path, &oscillator, &port);

    if (r == 0) {
        port.release(port.context);
        r = emulated_view_open(member->clock_path, &member->view);
    }
    if (r < 0)
        harness_die("%s: %s", member->clock_path, strerror(-r));
    member->raw_ns = raw_now_ns();
    member->real_ns = read_at(member, member->raw_ns, NULL);
}

/* The best of eight exchanges is seldom spoilt by what else the machine does. */
static const char *write_config(struct group *group, const struct group_options *options, size_t n,
                                uint16_t port)
{
    struct member *member = &group->members[n];
    const char *key_file = "";
    char name[64];

    if (options->key_count > 0) {
        snprintf(name, sizeof name, "%s%zu.key", options->name, n);
        key_file = key_write(group->harness, name, options->keys, options->key_count);
        member->key_name = strrchr(key_file, '/') + 1;
    }
    snprintf(name, sizeof name, "%s%zu.conf", options->name, n);
    return harness_write(group->harness, name,
                         "name = \"%s%zu\";\n"
                         "authentication = \"%s\"; key_file = \"%s\";\n"
                         "control = \"none\";\n"
                         "master: { listen = [%s]; port = %u; interval = \"500 ms\";\n"
                         "          exchanges = 8; };\n"
                         "slave: { master = \"%s\"; port = %u;\n"
                         "         retry_min = \"200 ms\"; retry_max = \"500 ms\"; };\n"
                         "clock: { kind = \"emulated\"; };\n"
                         "emulated: { file = \"%s\"; };\n",
                         options->name, n, options->key_count > 0 ? "key" : "loopback", key_file,
                         options->listen ? options->listen : "\"127.0.0.1\"", port,
                         member->node.master ? member->node.master : "127.0.0.1", port,
                         member->clock_path);
}

void group_restart(struct group *group, size_t n)
{
    struct member *member = &group->members[n];
    const char *const arguments[] = {n == 0 ? "--master" : "--slave",
                                     "-v",
                                     "-c",
                                     member->config_path,
                                     member->node.observes ? "--observe" : NULL,
                                     NULL};
    const struct process_options options = {.arguments = arguments};

    member->process = process_spawn(group->harness, &options);
}

struct group *group_start(struct harness *harness, const struct group_options *options)
{
    struct group *group = harness_alloc(sizeof(*group));
    const char *paths[GROUP_MAX];
    uint16_t port = harness_port();

    group->harness = harness;
    group->port = port;
    group->part.release = group_release;
    for (size_t i = 0; i < options->count; i++) {
        struct member *member = &group->members[i];

        member->node = options->nodes[i];
        member->clock_path = paths[i] = harness_path(harness, "%s%zu.clock", options->name, i);
        make_clock(member, options->wander_ppm, i);
        member->config_path = write_config(group, options, i, port);
        group->count++;
    }
    harness_adopt(harness, &group->part);
    for (size_t i = 0; i < group->count; i++)
        group_restart(group, i);
    group->clocks = clocks_open(harness, paths, group->count, 1);
    if (!group->clocks)
        harness_die("the clocks of group %s are gone", options->name);
    return group;
}

uint16_t group_port(const struct group *group)
{
    return group->port;
}

void group_rekey(struct group *group, size_t n, const struct secret_key *keys, size_t count)
{
    struct member *member = &group->members[n];

    key_write(group->harness, member->key_name, keys, count);
    process_signal(member->process, SIGHUP);
}

struct process *group_process(struct group *group, size_t n)
{
    return group->members[n].process;
}

struct clocks *group_clocks(struct group *group)
{
    return group->clocks;
}

const char *group_clock_path(struct group *group, size_t n)
{
    return group->members[n].clock_path;
}

void group_mark(struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        process_mark(group->members[i].process);
}

struct timex group_timex(struct group *group, size_t n)
{
    struct timex timex = {.modes = 0};

    read_at(&group->members[n], raw_now_ns(), &timex);
    return timex;
}

bool group_unsynchronised(struct group *group, size_t n)
{
    return group_timex(group, n).status & STA_UNSYNC;
}

static void tell(struct group *group, int64_t raw_ns)
{
    int64_t first_ns = read_at(&group->members[0], raw_ns, NULL);

    for (size_t i = 0; i < group->count; i++) {
        struct timex timex = {.modes = 0};
        int64_t real_ns = read_at(&group->members[i], raw_ns, &timex);

        fprintf(stderr,
                "group: node %zu is %" PRId64
                " ns ahead of the master, maxerror %ld us; it said:\n%s",
                i, real_ns - first_ns, timex.maxerror, process_stderr(group_process(group, i)));
    }
}

bool group_wait_line(struct group *group, uint64_t subset, const char *regex, double seconds)
{
    for (size_t i = 0; i < group->count; i++)
        if (has(subset, i) && !process_wait_line(group_process(group, i), regex, seconds))
            return false;
    return true;
}

static bool are_synchronised(struct group *group, uint64_t subset)
{
    for (size_t i = 0; i < group->count; i++)
        if (has(subset, i) && group_unsynchronised(group, i))
            return false;
    return true;
}

bool group_wait_synchronised(struct group *group, uint64_t subset, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    int64_t steady = harness_deadline(FRESH_SECONDS);

    do {
        if (!are_synchronised(group, subset))
            steady = harness_deadline(FRESH_SECONDS);
        else if (harness_deadline(0) >= steady)
            return true;
    } while (harness_wait(group->harness, deadline));
    tell(group, raw_now_ns());
    return false;
}

bool group_wait_spread(struct group *group, uint64_t subset, int64_t limit_ns, double seconds)
{
    if (clocks_wait_spread(group->clocks, subset, limit_ns, seconds))
        return true;
    tell(group, raw_now_ns());
    return false;
}

/* Of what the clocks show minus the host's RAW, as doubles from a common start
 * that is near enough for them to be exact. */
static double mean_ahead(const struct group *group, uint64_t subset, int64_t raw_ns, bool untouched)
{
    int64_t start_ns = group->members[0].real_ns - group->members[0].raw_ns;
    double sum = 0;
    unsigned count = 0;

    for (size_t i = 0; i < group->count; i++) {
        const struct member *member = &group->members[i];
        double since_ns = (double)(raw_ns - member->raw_ns);

        if (!has(subset, i))
            continue;
        count++;
        if (untouched)
            sum += (double)(member->real_ns - member->raw_ns - start_ns) +
                   since_ns * member->node.frequency_ppm / 1e6;
        else
            sum += (double)(read_at(member, raw_ns, NULL) - raw_ns - start_ns);
    }
    return sum / count;
}

struct course group_course_made(struct group *group, uint64_t clocks)
{
    return (struct course){
        .clocks = clocks, .oscillators = clocks, .raw_ns = group->members[0].raw_ns};
}

struct course group_course(struct group *group, uint64_t clocks, uint64_t oscillators)
{
    int64_t raw_ns = raw_now_ns();

    return (struct course){.clocks = clocks,
                           .oscillators = oscillators,
                           .raw_ns = raw_ns,
                           .lead_ns = llround(mean_ahead(group, clocks, raw_ns, false) -
                                              mean_ahead(group, oscillators, raw_ns, true))};
}

int64_t group_moved(struct group *group, const struct course *course)
{
    struct course now = group_course(group, course->clocks, course->oscillators);
    int64_t own_rate_ns = (now.raw_ns - course->raw_ns) * GROUP_RATE_PPM / 1000000;
    int64_t moved_ns = llabs(now.lead_ns - course->lead_ns);

    return moved_ns > own_rate_ns ? moved_ns - own_rate_ns : 0;
}

bool group_bounds_hold(struct group *group, uint64_t subset, double seconds, int64_t *bound_ns)
{
    int64_t deadline = harness_deadline(seconds);

    *bound_ns = 0;
    do {
        int64_t raw_ns = raw_now_ns();
        int64_t start_ns = group->members[0].real_ns - group->members[0].raw_ns;
        double mean_ns = mean_ahead(group, subset, raw_ns, false);

        for (size_t i = 0; i < group->count; i++) {
            struct timex timex = {.modes = 0};
            int64_t real_ns = read_at(&group->members[i], raw_ns, &timex);
            double error_ns = fabs((double)(real_ns - raw_ns - start_ns) - mean_ns);

            if (!has(subset, i))
                continue;
            if (timex.maxerror * 1000 > *bound_ns)
                *bound_ns = timex.maxerror * 1000;
            if (error_ns <= (double)timex.maxerror * 1e3)
                continue;
            fprintf(stderr, "group: node %zu is %.0f ns from the mean, maxerror is %ld us\n", i,
                    error_ns, timex.maxerror);
            tell(group, raw_ns);
            return false;
        }
    } while (harness_wait(group->harness, deadline));
    return true;
}

int64_t group_bound(struct group *group, size_t n)
{
    int64_t deadline = harness_deadline(FRESH_SECONDS);
    int64_t least_ns = INT64_MAX;

    do {
        int64_t bound_ns = (int64_t)group_timex(group, n).maxerror * 1000;

        least_ns = bound_ns < least_ns ? bound_ns : least_ns;
    } while (harness_wait(group->harness, deadline));
    return least_ns;
}

bool group_never_back(struct group *group, uint64_t subset)
{
    for (size_t i = 0; i < group->count; i++) {
        int64_t back_ns = clocks_backward(group->clocks, i);

        if (!has(subset, i) || back_ns == 0)
            continue;
        fprintf(stderr, "group: the clock of node %zu went back by %" PRId64 " ns\n", i, back_ns);
        tell(group, raw_now_ns());
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "demo_nodes.h"

#include "../process/harness_part.h"
#include "daemon/clock_emulated.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)
#define WANDER_PPM 0.002
#define MAXERROR_GROWTH_US 500
#define STOP_SECONDS 2
#define ASK_SECONDS 10
#define LIVES 2 /* times a daemon may be started */

struct machine {
    struct node node;
    const char *clock_path, *config_path, *socket_path;
    char *config;
    uint32_t seed;
    struct process *lives[LIVES];
    unsigned started;
    bool wanted; /* its daemon should be running */
    struct emulated_view *view;
    int64_t real_ns, maxerror_us;
    bool grew; /* maxerror, since the daemon wrote it */
};

struct nodes {
    struct harness *harness;
    struct machine machines[NODES_COUNT];
    uint16_t port;
    bool seen;
    int64_t spread_ns, backward_ns;
    size_t line_at; /* in what the master said */
    char fault[512];
    char logs[64];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct nodes *nodes, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(nodes->fault, sizeof(nodes->fault), format, args);
    va_end(args);
    return false;
}

/* --- configuration --- */

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void shuffle(unsigned *places, uint64_t *random)
{
    for (unsigned i = 0; i < NODES_COUNT; i++)
        places[i] = i;
    for (unsigned i = NODES_COUNT - 1; i > 0; i--) {
        unsigned j = (unsigned)(draw(random) % (i + 1)), kept = places[i];

        places[i] = places[j];
        places[j] = kept;
    }
}

/* -400 .. 400 ms and -80 .. 80 ppm in five equal parts, a clock in each: far apart
 * whatever the seed is. */
static void draw_clocks(struct nodes *nodes, uint64_t seed)
{
    unsigned offset_places[NODES_COUNT], frequency_places[NODES_COUNT];
    uint64_t random = seed;

    shuffle(offset_places, &random);
    shuffle(frequency_places, &random);
    for (size_t i = 0; i < NODES_COUNT; i++) {
        struct machine *machine = &nodes->machines[i];
        int64_t offset_ms = -400 + 160 * (int64_t)offset_places[i] + (int64_t)(draw(&random) % 161);
        int64_t tenths = -800 + 320 * (int64_t)frequency_places[i] + (int64_t)(draw(&random) % 321);

        machine->node.start_offset_ns = offset_ms * NS_PER_MS;
        machine->node.frequency_ppm = (double)tenths / 10;
        machine->seed = (uint32_t)draw(&random);
    }
}

static void configure(struct nodes *nodes, struct machine *machine, const char *key_file)
{
    const struct node *node = &machine->node;
    char name[32];

    machine->clock_path = harness_path(nodes->harness, "%s.clock", node->name);
    machine->socket_path = harness_path(nodes->harness, "%s.sock", node->name);
    if (asprintf(&machine->config,
                 "name = \"%s\";\n"
                 "group = \"demo\";\n"
                 "authentication = \"key\"; key_file = \"%s\";\n"
                 "control = \"%s\";\n"
                 "master: { listen = [\"127.0.0.1\"]; port = %u; interval = \"1 s\"; };\n"
                 "slave: { master = \"127.0.0.1\"; port = %u; };\n"
                 "clock: { kind = \"emulated\"; };\n"
                 "emulated: { file = \"%s\"; offset = \"%" PRId64 " ms\";\n"
                 "    frequency_ppm = %.1f; wander_ppm = %g; seed = %" PRIu32 "; };\n",
                 node->name, key_file, machine->socket_path, nodes->port, nodes->port, machine->clock_path,
                 node->start_offset_ns / NS_PER_MS, node->frequency_ppm, WANDER_PPM,
                 machine->seed) < 0)
        harness_die("out of memory");
    snprintf(name, sizeof(name), "%s.conf", node->name);
    machine->config_path = harness_write(nodes->harness, name, "%s", machine->config);
}

/* --- daemons --- */

static struct process *newest(const struct machine *machine)
{
    return machine->lives[machine->started - 1];
}

static void start(struct nodes *nodes, size_t n)
{
    struct machine *machine = &nodes->machines[n];

    machine->lives[machine->started++] =
        process_start(nodes->harness, n == 0 ? "--master" : "--slave", "--config",
                      machine->config_path, (const char *)NULL);
    machine->wanted = true;
    machine->node.pid = process_pid(newest(machine));
}

struct nodes *nodes_new(struct harness *harness, uint64_t seed)
{
    const struct secret_key key = key_make("demo", NULL);
    const char *key_file = key_write(harness, "berkeley.key", &key, 1);
    struct nodes *nodes = harness_alloc(sizeof(*nodes));

    nodes->harness = harness;
    nodes->port = harness_port();
    draw_clocks(nodes, seed);
    for (size_t i = 0; i < NODES_COUNT; i++) {
        struct machine *machine = &nodes->machines[i];

        if (i == 0)
            snprintf(machine->node.name, sizeof(machine->node.name), "master");
        else
            snprintf(machine->node.name, sizeof(machine->node.name), "node%zu", i);
        configure(nodes, machine, key_file);
        start(nodes, i);
    }
    return nodes;
}

void nodes_free(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_COUNT; i++) {
        emulated_view_close(nodes->machines[i].view);
        free(nodes->machines[i].config);
    }
    free(nodes);
}

void nodes_kill(struct nodes *nodes, size_t n)
{
    process_kill(newest(&nodes->machines[n]));
    nodes->machines[n].wanted = false;
    nodes->machines[n].node.pid = 0;
}

void nodes_restart(struct nodes *nodes, size_t n)
{
    if (nodes->machines[n].started < LIVES)
        start(nodes, n);
}

bool nodes_follows(const struct nodes *nodes, size_t n)
{
    const struct machine *machine = &nodes->machines[n];

    return machine->wanted && process_count_lines(newest(machine), "Following master") > 0;
}

void nodes_stop(struct nodes *nodes)
{
    int64_t deadline = harness_deadline(STOP_SECONDS);
    bool running;

    for (size_t i = 0; i < NODES_COUNT; i++)
        process_signal(newest(&nodes->machines[i]), SIGTERM);
    do {
        running = false;
        for (size_t i = 0; i < NODES_COUNT; i++)
            running |= process_running(newest(&nodes->machines[i]));
    } while (running && harness_wait(nodes->harness, deadline));
    for (size_t i = 0; i < NODES_COUNT; i++)
        if (process_running(newest(&nodes->machines[i])))
            process_kill(newest(&nodes->machines[i]));
}

/* --- what they said --- */

const char *nodes_ask(struct nodes *nodes, size_t n, const char *word)
{
    const char *const arguments[] = {"-s", nodes->machines[n].socket_path, word, NULL};
    const struct process_options options = {
        .program = harness_built(nodes->harness, "BERKELEYCTL", "berkeleyctl"),
        .arguments = arguments};
    struct process *process = process_spawn(nodes->harness, &options);

    if (process_wait_exit(process, ASK_SECONDS) == 0)
        return process_stdout(process);
    fail(nodes, "berkeleyctl %s failed: %s", word, process_stderr(process));
    return NULL;
}

char *nodes_next_line(struct nodes *nodes)
{
    static const char title[] = "berkeleyd: ";
    const char *line = process_stderr(nodes->machines[0].lives[0]) + nodes->line_at;
    const char *end = strchr(line, '\n');

    if (!end)
        return NULL;
    nodes->line_at += (size_t)(end - line) + 1;
    if (strncmp(line, title, sizeof(title) - 1) == 0)
        line += sizeof(title) - 1;
    return strndup(line, (size_t)(end - line));
}

static void keep(const struct nodes *nodes, const char *name, const char *ending, const char *text,
                 const char *rest)
{
    char *path;
    FILE *file;

    if (asprintf(&path, "%s/%s.%s", nodes->logs, name, ending) < 0)
        return;
    file = fopen(path, "we");
    free(path);
    if (!file)
        return;
    fputs(text, file);
    fputs(rest, file);
    fclose(file);
}

const char *nodes_keep_logs(struct nodes *nodes)
{
    snprintf(nodes->logs, sizeof(nodes->logs), "/tmp/berkeley-demo-XXXXXX");
    if (!mkdtemp(nodes->logs))
        harness_die("%s: %s", nodes->logs, strerror(errno));
    for (size_t i = 0; i < NODES_COUNT; i++) {
        const struct machine *machine = &nodes->machines[i];

        keep(nodes, machine->node.name, "conf", machine->config, "");
        keep(nodes, machine->node.name, "log", process_stderr(machine->lives[0]),
             machine->started > 1 ? process_stderr(machine->lives[1]) : "");
    }
    return nodes->logs;
}

/* --- clocks --- */

/* The last line of a text, without its end. */
static const char *last_line(const char *text, int *length)
{
    size_t end = strlen(text), start_at;

    while (end > 0 && text[end - 1] == '\n')
        end--;
    for (start_at = end; start_at > 0 && text[start_at - 1] != '\n';)
        start_at--;
    *length = (int)(end - start_at);
    return text + start_at;
}

static bool check_daemons(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_COUNT; i++) {
        struct machine *machine = &nodes->machines[i];
        const char *said;
        int length, code;

        if (!machine->wanted || process_running(newest(machine)))
            continue;
        machine->node.pid = 0;
        code = process_wait_exit(newest(machine), 0);
        said = last_line(process_stderr(newest(machine)), &length);
        return fail(nodes, "the daemon of %s ended by itself (exit status %d); it said %s%.*s",
                    machine->node.name, code, length > 0 ? "last: " : "nothing", length, said);
    }
    return true;
}

static bool open_views(struct nodes *nodes)
{
    bool all = true;

    /* A daemon creates its clock when it starts. */
    for (size_t i = 0; i < NODES_COUNT; i++)
        if (!nodes->machines[i].view)
            all &= emulated_view_open(nodes->machines[i].clock_path, &nodes->machines[i].view) == 0;
    return all;
}

static void note_backward(struct nodes *nodes, int64_t step_ns)
{
    if (step_ns > nodes->backward_ns)
        nodes->backward_ns = step_ns;
}

/* Each second the kernel adds to what the daemon then writes anew: shown is what
 * it wrote, unless it stopped doing so. */
static void take_bound(struct machine *machine, int64_t maxerror_us)
{
    bool grew = maxerror_us == machine->maxerror_us + MAXERROR_GROWTH_US;

    if (maxerror_us == machine->maxerror_us)
        return;
    if (!grew || machine->grew || machine->node.pid == 0)
        machine->node.bound_ns = maxerror_us * NS_PER_US;
    machine->grew = grew;
    machine->maxerror_us = maxerror_us;
}

static bool read_clock(struct nodes *nodes, struct machine *machine, int64_t raw_ns)
{
    struct timex timex = {0};
    int64_t real_ns;
    int r = emulated_view_read(machine->view, raw_ns, &real_ns, &timex);

    if (r < 0)
        return fail(nodes, "the clock of %s: %s", machine->node.name, strerror(-r));
    if (nodes->seen)
        note_backward(nodes, machine->real_ns - real_ns);
    note_backward(nodes, emulated_view_backward(machine->view));
    machine->real_ns = real_ns;
    take_bound(machine, timex.maxerror);
    machine->node.synchronised = (timex.status & STA_UNSYNC) == 0;
    return true;
}

static void compare_clocks(struct nodes *nodes)
{
    struct machine *machines = nodes->machines;
    int64_t least = INT64_MAX, most = INT64_MIN, sum_ns = 0;

    for (size_t i = 0; i < NODES_COUNT; i++) {
        int64_t real_ns = machines[i].real_ns;

        least = real_ns < least ? real_ns : least;
        most = real_ns > most ? real_ns : most;
        sum_ns += real_ns - machines[0].real_ns;
    }
    for (size_t i = 0; i < NODES_COUNT; i++)
        machines[i].node.offset_ns =
            machines[i].real_ns - machines[0].real_ns - sum_ns / NODES_COUNT;
    nodes->spread_ns = most - least;
}

bool nodes_look(struct nodes *nodes)
{
    struct timespec now;
    int64_t raw_ns;

    if (!check_daemons(nodes))
        return false;
    if (!open_views(nodes))
        return true;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    raw_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    for (size_t i = 0; i < NODES_COUNT; i++)
        if (!read_clock(nodes, &nodes->machines[i], raw_ns))
            return false;
    compare_clocks(nodes);
    nodes->seen = true;
    return true;
}

/* --- answers --- */

const struct node *nodes_get(const struct nodes *nodes, size_t n)
{
    return &nodes->machines[n].node;
}

uint16_t nodes_port(const struct nodes *nodes)
{
    return nodes->port;
}

/* A bound beyond that has grown by itself since a daemon last said one. */
#define VOUCHED_NS NS_PER_MS

bool nodes_all_synchronised(const struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_COUNT; i++)
        if (nodes->machines[i].node.pid == 0 || !nodes->machines[i].node.synchronised ||
            nodes->machines[i].node.bound_ns > VOUCHED_NS)
            return false;
    return true;
}

const char *nodes_fault(const struct nodes *nodes)
{
    return nodes->fault;
}

bool nodes_seen(const struct nodes *nodes)
{
    return nodes->seen;
}

int64_t nodes_spread(const struct nodes *nodes)
{
    return nodes->spread_ns;
}

int64_t nodes_backward(const struct nodes *nodes)
{
    return nodes->backward_ns;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * demo: a master and four slaves bring their clocks together while one looks
 * on; a slave is killed and started again on the way.
 */
#include "demo_nodes.h"
#include "demo_plot.h"
#include "demo_screen.h"

#include "daemon/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GOAL_NS INT64_C(100000)
#define DEFAULT_SEED 2604
#define USAGE 64
#define INDENT 8 /* of what does not fit the line of an event */

/* When things happen, seconds from the start. */
#define CLOCKS_BY 10 /* all daemons have made their clocks */
#define KILL_FROM 13 /* a slave is killed, when the spread is a tenth of the first */
#define HALVED_BY 25 /* else nobody corrects anything */
#define KILL_BY 30
#define DOWN_FOR 4 /* from there to its restart */
#define HOLD_FOR 5 /* all synchronised within the goal: the end */
#define HURRY_FROM 53
#define HURRY_HOLD_FOR 1
#define END_BY 58

#define SAMPLE_S 0.1
#define TABLE_LIVE_S 0.25
#define TABLE_S 5
#define VICTIM 3

#define TIME(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})
#define SIGNED_TIME(ns) journal_signed_time((ns), (char[JOURNAL_TIME_SIZE]){0})

struct demo {
    struct harness *harness;
    struct nodes *nodes;
    struct screen *screen;
    struct plot plot;
    double start, now, sampled, drawn; /* drawn < 0: not yet */
    double killed, restarted, held;    /* since when; < 0: not (yet) */
    bool rejoined, was_synchronised, was_within;
    int64_t first_ns, last_ns; /* spread; first < 0: never seen */
    char failure[640];
};

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

/* Handlers, not SIG_IGN: the daemons shall not inherit it. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

static double monotonic_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- what is shown --- */

/* Right-aligned; printf() would count the bytes of "µs". */
static int padding(const char *text, unsigned width)
{
    unsigned taken = screen_width(text);

    return taken < width ? (int)(width - taken) : 0;
}

static void show_heading(struct demo *demo)
{
    struct screen *screen = demo->screen;

    screen_say(screen, TONE_STRONG, 0, "Berkeley demo: five machines agree on one time");
    screen_say(
        screen, TONE_PLAIN, 0,
        "One master and four slaves (node1 to node4), each a berkeleyd process, talk over TCP "
        "on 127.0.0.1 port %u. Each keeps an emulated clock, a file in %s, that starts off "
        "and runs fast or slow as configured, and wanders. This machine's own clock is left "
        "alone.",
        (unsigned)nodes_port(demo->nodes), harness_directory(demo->harness));
    screen_say(screen, TONE_PLAIN, 0,
               "All that they tell each other is encrypted (TLS 1.3) with the key in berkeley.key "
               "there; who has not got it takes no part.");
    screen_say(screen, TONE_PLAIN, 0,
               "offset: from group time, the mean of the five clocks, as seen from outside at one "
               "instant. bound: how far off the daemon says its clock can be at most, once it is "
               "synchronised. spread: the largest clock minus the smallest. Ctrl-C ends the demo.");
    if (screen_live(screen))
        screen_say(screen, TONE_PLAIN, 0, "%s", "");
}

static void show_state(struct demo *demo, const struct node *node)
{
    if (node->pid == 0)
        screen_part(demo->screen, TONE_BAD, "not running");
    else if (!nodes_seen(demo->nodes))
        screen_part(demo->screen, TONE_PENDING, "starting");
    else if (node->synchronised)
        screen_part(demo->screen, TONE_GOOD, "synchronised");
    else
        screen_part(demo->screen, TONE_PENDING, "settling");
}

static void show_node(struct demo *demo, const struct node *node)
{
    struct screen *screen = demo->screen;
    bool seen = nodes_seen(demo->nodes);
    const char *start = SIGNED_TIME(node->start_offset_ns);
    const char *offset = seen ? SIGNED_TIME(node->offset_ns) : "-";
    const char *bound = seen && node->synchronised ? TIME(node->bound_ns) : "-";
    char pid[16] = "-";

    if (node->pid > 0)
        snprintf(pid, sizeof(pid), "%d", (int)node->pid);
    screen_part(screen, TONE_PLAIN, "%-7s%8s", node->name, pid);
    screen_part(screen, TONE_QUIET, " %*s%s %+8.1f ppm", padding(start, 9), "", start,
                node->frequency_ppm);
    screen_part(screen, TONE_PLAIN, "  %*s%s %*s%s  ", padding(offset, 10), "", offset,
                padding(bound, 9), "", bound);
    show_state(demo, node);
    screen_line_end(screen);
}

static void show_table(struct demo *demo)
{
    struct screen *screen = demo->screen;
    int64_t backward_ns = nodes_backward(demo->nodes);

    screen_begin(screen);
    screen_line_end(screen);
    screen_part(screen, TONE_QUIET, "%-15s %22s  %20s", "", "----- configured -----",
                "------- now --------");
    screen_line_end(screen);
    screen_part(screen, TONE_QUIET, "%-7s%8s %9s %12s  %10s %9s  %s", "clock", "pid", "offset",
                "rate", "offset", "bound", "state");
    screen_line_end(screen);
    for (size_t i = 0; i < NODES_COUNT; i++)
        show_node(demo, nodes_get(demo->nodes, i));
    screen_part(screen, TONE_STRONG, "t=%.0f s: spread %s", demo->now,
                nodes_seen(demo->nodes) ? TIME(nodes_spread(demo->nodes)) : "-");
    screen_part(screen, backward_ns > 0 ? TONE_BAD : TONE_PLAIN, "; %s",
                backward_ns > 0 ? "a clock ran backwards" : "no clock ever ran backwards");
    screen_line_end(screen);
    screen_end(screen);
    demo->drawn = demo->now;
}

__attribute__((format(printf, 3, 4))) static void tell(struct demo *demo, enum tone tone,
                                                       const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen_say(demo->screen, tone, INDENT, "t=%.0f s: %s", demo->now, text);
}

static void tell_journal(struct demo *demo)
{
    char *line;

    while ((line = nodes_next_line(demo->nodes))) {
        tell(demo, TONE_QUIET, "master's journal: %s", line);
        free(line);
    }
}

static void tell_changes(struct demo *demo)
{
    bool synchronised = nodes_all_synchronised(demo->nodes);
    bool within = demo->last_ns < GOAL_NS;

    if (synchronised && !demo->was_synchronised)
        tell(demo, TONE_GOOD, "all five are synchronised");
    if (within && !demo->was_within)
        tell(demo, TONE_GOOD, "the spread is below %s", TIME(GOAL_NS));
    demo->was_synchronised |= synchronised;
    demo->was_within |= within;
}

/* --- the story --- */

__attribute__((format(printf, 2, 3))) static bool fail(struct demo *demo, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(demo->failure, sizeof(demo->failure), format, args);
    va_end(args);
    return false;
}

static bool look(struct demo *demo)
{
    int64_t backward_ns;

    if (!nodes_look(demo->nodes))
        return fail(demo, "%s", nodes_fault(demo->nodes));
    if (!nodes_seen(demo->nodes))
        return demo->now < CLOCKS_BY ||
               fail(demo, "not all clocks were there after %d s", CLOCKS_BY);
    demo->last_ns = nodes_spread(demo->nodes);
    if (demo->first_ns < 0)
        demo->first_ns = demo->last_ns;
    backward_ns = nodes_backward(demo->nodes);
    if (backward_ns > 0)
        return fail(demo, "a clock ran backwards by %s", TIME(backward_ns));
    if (demo->now > HALVED_BY && demo->killed < 0 && demo->last_ns > demo->first_ns / 2)
        return fail(demo, "the spread has not fallen in %d s: it was %s, it is %s", HALVED_BY,
                    TIME(demo->first_ns), TIME(demo->last_ns));
    return true;
}

static void kill_and_restart(struct demo *demo)
{
    const char *name = nodes_get(demo->nodes, VICTIM)->name;
    bool near = demo->last_ns < demo->first_ns / 10;

    if (demo->killed < 0) {
        if (demo->now < KILL_BY && (demo->now < KILL_FROM || !near))
            return;
        nodes_kill(demo->nodes, VICTIM);
        demo->killed = demo->now;
        plot_mark(&demo->plot, demo->now, 'K', "node3 killed");
        tell(demo, TONE_BAD, "slave %s killed (SIGKILL); its clock runs on", name);
    } else if (demo->restarted < 0) {
        if (demo->now < demo->killed + DOWN_FOR)
            return;
        nodes_restart(demo->nodes, VICTIM);
        demo->restarted = demo->now;
        plot_mark(&demo->plot, demo->now, 'R', "restarted");
        tell(demo, TONE_GOOD, "slave %s restarted", name);
    } else if (!demo->rejoined && nodes_follows(demo->nodes, VICTIM)) {
        demo->rejoined = true;
        tell(demo, TONE_GOOD, "slave %s rejoined the group", name);
    }
}

/* Back together for long enough?  Near the end of its time the demo settles for
 * a moment, and does not ask whether all call themselves synchronised. */
static bool is_over(struct demo *demo)
{
    bool hurry = demo->now > HURRY_FROM;
    bool good =
        demo->rejoined && demo->last_ns < GOAL_NS && (hurry || nodes_all_synchronised(demo->nodes));

    if (!good)
        demo->held = -1;
    else if (demo->held < 0)
        demo->held = demo->now;
    return demo->now >= END_BY ||
           (good && demo->now - demo->held >= (hurry ? HURRY_HOLD_FOR : HOLD_FOR));
}

/* False when it came to a bad end, or was told to end. */
static bool run(struct demo *demo)
{
    do {
        demo->now = monotonic_s() - demo->start;
        tell_journal(demo);
        if (!look(demo))
            return false;
        if (nodes_seen(demo->nodes)) {
            kill_and_restart(demo);
            tell_changes(demo);
            if (demo->now - demo->sampled >= SAMPLE_S) {
                plot_sample(&demo->plot, demo->now, demo->last_ns);
                demo->sampled = demo->now;
            }
        }
        if (demo->drawn < 0 ||
            demo->now - demo->drawn >= (screen_live(demo->screen) ? TABLE_LIVE_S : TABLE_S))
            show_table(demo);
        if (is_over(demo))
            return true;
    } while (!caught && harness_wait(demo->harness, INT64_MAX));
    return false;
}

static bool judge(struct demo *demo)
{
    if (!demo->rejoined)
        return fail(demo, "node%d did not find the group again after its restart", VICTIM);
    if (demo->last_ns >= GOAL_NS)
        return fail(demo, "the spread is %s, not below %s", TIME(demo->last_ns), TIME(GOAL_NS));
    return true;
}

/* --- the end --- */

static void show_plot(const struct demo *demo)
{
    printf("\nThe spread of the five clocks against time (dots: %s)\n\n", TIME(GOAL_NS));
    plot_print(&demo->plot, demo->now, GOAL_NS, stdout);
    printf("\n");
}

/* What an operator sees of it. */
static bool show_answers(struct demo *demo)
{
    static const char *const words[] = {"status", "clocks"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *answer = nodes_ask(demo->nodes, 0, words[i]);

        if (!answer)
            return fail(demo, "%s", nodes_fault(demo->nodes));
        printf("$ berkeleyctl %s\n%s\n", words[i], answer);
    }
    return true;
}

static void show_failure(struct demo *demo)
{
    fflush(stdout);
    fprintf(stderr, "demo: FAILED: %s\n", demo->failure);
    fprintf(stderr, "demo: what the daemons were told and what they said is in %s\n",
            nodes_keep_logs(demo->nodes));
}

/* The line everything ends with comes when everything has ended. */
static int finish(struct demo *demo, bool good)
{
    int code = EXIT_SUCCESS;

    if (caught) {
        code = 128 + caught;
        fprintf(stderr, "demo: told to stop; ending the daemons\n");
    } else {
        show_table(demo);
        if (demo->first_ns >= 0)
            show_plot(demo);
        if (!good || !judge(demo) || !show_answers(demo)) {
            code = EXIT_FAILURE;
            show_failure(demo);
        }
    }
    nodes_stop(demo->nodes);
    nodes_free(demo->nodes);
    if (!harness_free(demo->harness) && code == EXIT_SUCCESS)
        code = EXIT_FAILURE;
    if (!caught && demo->first_ns >= 0)
        printf("demo: spread %s -> %s in %.0f s\n", TIME(demo->first_ns), TIME(demo->last_ns),
               demo->now);
    screen_free(demo->screen);
    if (fflush(stdout) != 0 && code == EXIT_SUCCESS)
        code = EXIT_FAILURE;
    return code;
}

static int read_seed(uint64_t *seed)
{
    const char *text = getenv("DEMO_SEED");
    char *end;

    *seed = DEFAULT_SEED;
    if (!text || !*text)
        return 0;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0)
        return 0;
    fprintf(stderr, "demo: DEMO_SEED: found \"%s\"; allowed is a number from 0 to %" PRIu64 "\n",
            text, UINT64_MAX);
    return USAGE;
}

int main(int argc, char **argv)
{
    struct demo demo = {.drawn = -1, .killed = -1, .restarted = -1, .held = -1, .first_ns = -1};
    uint64_t seed;
    bool good;

    if (argc > 1) {
        fprintf(stderr, "demo: found \"%s\"; it takes no arguments\n", argv[1]);
        return USAGE;
    }
    if (read_seed(&seed) != 0)
        return USAGE;
    catch_signals();
    demo.start = monotonic_s();
    demo.screen = screen_new();
    demo.harness = harness_new();
    demo.nodes = nodes_new(demo.harness, seed);
    show_heading(&demo);
    good = run(&demo);
    return finish(&demo, good);
}

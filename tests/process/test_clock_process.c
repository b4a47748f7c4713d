/* SPDX-License-Identifier: BSD-2-Clause */
/* Daemons that have no right to their clocks, and berkeleyd --clock, which sets them for them. */
#include "core/timestamp.h"
#include "daemon/clock_emulated.h"
#include "setup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECONDS 10
#define SYNCHRONISED_SECONDS 60
#define BLIND_SECONDS 90
#define LATE_SECONDS 12
#define SPREAD_NS (500 * NS_PER_US)

struct node {
    const char *config, *clock, *socket;
    char variable[256], memory[256];
    struct process *server, *daemon;
};

static struct timex look(const char *path)
{
    struct emulated_view *view;
    struct timex timex;
    struct timespec now;
    int64_t real_ns;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    assert_int_equal(emulated_view_open(path, &view), 0);
    assert_int_equal(
        emulated_view_read(view, now.tv_sec * NS_PER_S + now.tv_nsec, &real_ns, &timex), 0);
    emulated_view_close(view);
    return timex;
}

static struct process *spawn(struct harness *harness, const struct node *node, const char *job,
                             struct notify *notify)
{
    const char *const arguments[] = {job, "-c", node->config, NULL};
    bool serves = strcmp(job, "--clock") == 0;
    const char *const environment[] = {node->variable, serves ? node->memory : NULL, NULL};
    const struct process_options options = {
        .arguments = arguments, .environment = environment, .notify = notify};

    return process_spawn(harness, &options);
}

static struct process *serve(struct harness *harness, struct node *node)
{
    int64_t deadline = harness_deadline(SECONDS);
    struct notify *notify = notify_open(harness);
    struct process *process = spawn(harness, node, "--clock", notify);

    while (notify_count(notify, "READY=1") == 0)
        assert_true(process_running(process) && harness_wait(harness, deadline));
    return process;
}

static struct node make_node(struct harness *harness, const char *name, uint16_t port,
                             int64_t offset_ns)
{
    struct node node = {.config = setup_config(harness, name, port),
                        .clock = harness_path(harness, "%s.clock", name),
                        .socket = harness_path(harness, "%s.socket", name)};
    const struct emulated_oscillator oscillator = {.offset_ns = offset_ns, .seed = 1};
    struct kernel_port kernel;

    snprintf(node.variable, sizeof node.variable, "BERKELEY_EMULATED_CLOCK=%s", node.socket);
    snprintf(node.memory, sizeof node.memory, "RUNTIME_DIRECTORY=%s",
             harness_path(harness, "%s.memory", name));
    assert_int_equal(mkdir(strchr(node.memory, '/'), 0700), 0);
    assert_int_equal(clock_emulated_port(node.clock, &oscillator, &kernel), 0);
    kernel.release(kernel.context);
    return node;
}

static bool wait_status(struct harness *harness, const struct node *node, int mask, int status)
{
    int64_t deadline = harness_deadline(SYNCHRONISED_SECONDS);

    do {
        if ((look(node->clock).status & mask) == status)
            return true;
    } while (harness_wait(harness, deadline));
    return false;
}

/* Since the boot: the service manager keeps the directory. */
static bool is_remembered(struct harness *harness, const char *name)
{
    return access(harness_path(harness, "%s.memory/synchronised", name), F_OK) == 0;
}

static void test_group(void **state)
{
    struct harness *harness = *state;
    uint16_t port = harness_port();
    const char *const names[] = {"one", "two"};
    struct node nodes[] = {make_node(harness, names[0], port, 0),
                           make_node(harness, names[1], port, 30 * NS_PER_MS)};
    const char *const paths[] = {nodes[0].clock, nodes[1].clock};
    struct clocks *clocks = clocks_open(harness, paths, 2, SECONDS);

    for (int i = 0; i < 2; i++) {
        nodes[i].server = serve(harness, &nodes[i]);
        assert_false(is_remembered(harness, names[i]));
        nodes[i].daemon = spawn(harness, &nodes[i], i == 0 ? "--master" : "--slave", NULL);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(wait_status(harness, &nodes[i], STA_PLL | STA_UNSYNC, STA_PLL));
        assert_true(is_remembered(harness, names[i]));
    }
    assert_true(clocks_wait_spread(clocks, CLOCKS_ALL, SPREAD_NS, SYNCHRONISED_SECONDS));

    /* A server that dies is missed for a second, not longer. */
    process_kill(nodes[0].server);
    assert_true(process_wait_line(nodes[0].daemon, "Cannot (look at|steer) the clock", SECONDS));
    nodes[0].server = serve(harness, &nodes[0]);
    assert_true(wait_status(harness, &nodes[0], STA_PLL | STA_UNSYNC, STA_PLL));

    /* A daemon that dies leaves a clock that nobody has to tidy up. */
    process_kill(nodes[1].daemon);
    assert_true(wait_status(harness, &nodes[1], STA_PLL | STA_FREQHOLD, 0));
    nodes[1].daemon = spawn(harness, &nodes[1], "--slave", NULL);
    for (int i = 0; i < 2; i++)
        assert_true(wait_status(harness, &nodes[i], STA_PLL | STA_UNSYNC, STA_PLL));
    assert_true(clocks_wait_spread(clocks, CLOCKS_ALL, SPREAD_NS, SYNCHRONISED_SECONDS));

    for (int i = 0; i < 2; i++) {
        assert_int_equal(process_stop(nodes[i].daemon), 0);
        assert_null(strstr(process_stderr(nodes[i].daemon), "was changed by"));
        assert_true(wait_status(harness, &nodes[i], STA_PLL | STA_FREQHOLD, 0));
        assert_int_equal(process_stop(nodes[i].server), 0);
        assert_string_equal(process_stderr(nodes[i].server), "");
        assert_int_equal(clocks_backward(clocks, (size_t)i), 0);
    }
}

static void test_nobody_there(void **state)
{
    struct node node = make_node(*state, "alone", harness_port(), 0);
    struct process *process = spawn(*state, &node, "--slave", NULL);

    assert_int_equal(process_wait_exit(process, SECONDS), 1);
    assert_non_null(
        strstr(process_stderr(process), "Cannot reach the process that sets the clock"));
    assert_non_null(strstr(process_stderr(process), node.socket));
}

static void test_a_second_daemon(void **state)
{
    uint16_t port = harness_port();
    struct node node = make_node(*state, "shared", port, 0);
    struct process *second;

    node.server = serve(*state, &node);
    node.daemon = spawn(*state, &node, "--slave", NULL);
    assert_true(process_wait_line(node.daemon, "started as slave", SECONDS));
    second = spawn(*state, &node, "--slave", NULL);
    assert_int_equal(process_wait_exit(second, SECONDS), 1);
    assert_true(process_wait_line(node.server, "second daemon", SECONDS));
    assert_true(process_running(node.daemon));
}

static void test_no_socket(void **state)
{
    struct node node = make_node(*state, "lost", harness_port(), 0);
    struct process *process;

    *strchr(node.variable, '=') = '\0';
    process = spawn(*state, &node, "--clock", NULL);
    assert_int_equal(process_wait_exit(process, SECONDS), 1);
    assert_non_null(strstr(process_stderr(process), "No socket to serve the clock at"));
}

static void test_reload(void **state)
{
    struct node node = make_node(*state, "changed", harness_port(), 0);

    node.server = serve(*state, &node);
    setup_override(*state, node.config, "clock: { max_slew_ppm = 77; };\n");
    process_signal(node.server, SIGHUP);
    assert_true(process_wait_line(node.server, "clock.max_slew_ppm is changed", SECONDS));
    assert_int_equal(process_stop(node.server), 0);
}

/* It takes 45 s to give up, longer than the units' watchdog gives a server that hangs, and 12 s to
 * be slower than most; meanwhile the other cases run. */
static struct harness *aside;
static struct node blind, patient;
static struct notify *patience;
static int64_t late_ns;

static void begin_late(void)
{
    patient = make_node(aside, "patient", harness_port(), 0);
    patient.server = serve(aside, &patient);
    process_signal(patient.server, SIGSTOP);
    patience = notify_open(aside);
    patient.daemon = spawn(aside, &patient, "--slave", patience);
    late_ns = harness_deadline(LATE_SECONDS);
}

/* A machine that boots may take long to start the server. */
static void test_late_server(void **state)
{
    (void)state;
    while (harness_wait(aside, late_ns))
        assert_int_equal(notify_count(patience, "READY=1"), 0);
    assert_true(process_running(patient.daemon));
    assert_int_equal(notify_count(patience, "STATUS=waiting for the process that sets the clock, "
                                            "berkeleyd --clock"),
                     1);
    process_signal(patient.server, SIGCONT);
    assert_true(process_wait_line(patient.daemon, "started as slave", SECONDS));
    assert_int_equal(process_stop(patient.daemon), 0);
}

static int begin_aside(void **state)
{
    (void)state;
    aside = harness_new();
    begin_late();
    blind = make_node(aside, "blind", harness_port(), 0);
    blind.server = serve(aside, &blind);
    blind.daemon = spawn(aside, &blind, "--slave", NULL);
    if (!process_wait_line(blind.daemon, "started as slave", SECONDS))
        return -1;
    process_kill(blind.server);
    return 0;
}

static void test_blind(void **state)
{
    (void)state;
    assert_int_equal(process_wait_exit(blind.daemon, BLIND_SECONDS), 1);
    assert_int_equal(process_count_lines(blind.daemon, "Cannot look at the clock"), 1);
    assert_int_equal(process_count_lines(blind.daemon, "out of reach for too long"), 1);
}

static int end_aside(void **state)
{
    (void)state;
    return harness_free(aside) ? 0 : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_group),
        TEST(test_nobody_there),
        TEST(test_a_second_daemon),
        TEST(test_no_socket),
        TEST(test_reload),
        cmocka_unit_test(test_late_server),
        cmocka_unit_test(test_blind),
    };

    return cmocka_run_group_tests(tests, begin_aside, end_aside);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl step: a clock that came up hours off is set by hand, once, and only before it was
 * first synchronised. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/timestamp.h"
#include "daemon/message_ids.h"
#include "ctl.h"
#include "pty.h"
#include "setup.h"

#define SECONDS 30
#define NOBODY 65534
#define HOURS_NS (10800 * NS_PER_S)
#define HOURS "(2 h 59|3 h 0) min"
#define SPREAD_NS (5 * NS_PER_MS)
/* It is synchronised soon, and then that is what is in the way. */
#define ONCE "(stepped since the daemon's start already|was synchronised since the daemon's start)"

enum { TIME1, NODE1, FAR, NODES };

struct scene {
    struct process *processes[NODES];
    struct process *server;
    struct journald *journald; /* what FAR says */
    const char *clock_paths[NODES];
    const char *socket; /* FAR's, for berkeleyctl */
    const char *clock_socket;
};

static void skip_unless_root(void)
{
    if (geteuid() != 0)
        skip();
}

static int64_t number(const char *text, const char *key)
{
    struct json_object *object = json_tokener_parse(text), *value = NULL;
    int64_t result = 0;

    assert_true(json_object_is_type(object, json_type_object));
    if (json_object_object_get_ex(object, key, &value))
        result = json_object_get_int64(value);
    (void)json_object_put(object);
    return result;
}

/* Until it knows that it is hours off. */
static void wait_far_off(struct harness *harness, const char *socket)
{
    int64_t deadline = harness_deadline(SECONDS);
    int64_t offset_ns;

    do {
        struct process *process =
            ctl_start(harness, CTL_WORDS("-s", socket, "status", "--json"));

        if (process_wait_exit(process, SECONDS) == 0) {
            offset_ns = number(process_stdout(process), "offset_ns");
            if (timestamp_abs(offset_ns) > HOURS_NS / 2)
                return;
        }
    } while (harness_wait(harness, deadline));
    fail_msg("%s never knows how far off it is", socket);
}

static struct process *serve(struct harness *harness, const char *config, const char *variable)
{
    const int64_t deadline = harness_deadline(SECONDS);
    struct notify *notify = notify_open(harness);
    const char *const arguments[] = {"--clock", "-c", config, NULL};
    const char *const environment[] = {variable, NULL};
    struct process *process =
        process_spawn(harness, &(struct process_options){.arguments = arguments,
                                                         .environment = environment,
                                                         .notify = notify});

    while (notify_count(notify, "READY=1") == 0)
        assert_true(process_running(process) && harness_wait(harness, deadline));
    return process;
}

/* Two that agree, and one whose clock is so far ahead of them: their master, or a third who comes
 * when they are synchronised.  served: it may not set its clock itself. */
static struct scene open_scene(struct harness *harness, int64_t ahead_ns, bool master, bool served)
{
    static const char *const names[] = {"time1", "node1", "far"};
    uint16_t port = harness_port();
    struct scene scene = {.journald = journald_open(harness),
                          .socket = harness_path(harness, "far.control"),
                          .clock_socket = harness_path(harness, "far.socket")};
    char variable[256] = "BERKELEY_EMULATED_CLOCK", text[256];

    skip_unless_root();
    for (int i = 0; i < NODES; i++) {
        const char *config = setup_config(harness, names[i], port);
        bool is_far = i == FAR, leads = is_far ? master : i == TIME1 && !master;
        const char *const arguments[] = {leads ? "--master" : "--slave", "-c", config, NULL};
        const char *const environment[] = {variable, NULL};

        scene.clock_paths[i] = harness_path(harness, "%s.clock", names[i]);
        (void)snprintf(text, sizeof text,
                       "emulated: { offset = \"%lld s\"; };\n",
                       is_far ? (long long)(ahead_ns / NS_PER_S) : 0);
        setup_override(harness, config, text);
        if (is_far && served) {
            (void)snprintf(variable, sizeof variable, "BERKELEY_EMULATED_CLOCK=%s",
                           scene.clock_socket);
            scene.server = serve(harness, config, variable);
        }
        if (is_far && !master)
            assert_true(process_wait_line(scene.processes[NODE1], "Synchronised", SECONDS));
        scene.processes[i] = process_spawn(
            harness, &(struct process_options){.arguments = arguments,
                                               .environment = environment,
                                               .journald = is_far ? scene.journald : NULL});
    }
    wait_far_off(harness, scene.socket);
    return scene;
}

static void expect_told(struct journald *journald, const char *direction)
{
    long n = journald_wait(journald, 0, "MESSAGE_ID", MESSAGE_STEPPED, SECONDS);
    char regex[64];

    assert_true(n >= 0);
    (void)snprintf(regex, sizeof regex, "^Stepped .*%s" HOURS, direction);
    assert_int_equal(journald_find(journald, (size_t)n, "MESSAGE", regex), n);
    assert_int_equal(journald_find(journald, (size_t)n + 1, "MESSAGE_ID", MESSAGE_STEPPED), -1);
}

static void expect_near(int64_t value_ns, int64_t wanted_ns)
{
    /* A minute of slewing. */
    if (timestamp_abs(value_ns - wanted_ns) > 6 * NS_PER_S)
        fail_msg("%lld is not about %lld", (long long)value_ns, (long long)wanted_ns);
}

/* Stepped it was: then it is synchronised soon, and that was all. */
static void expect_done(struct harness *harness, struct scene *scene)
{
    struct clocks *clocks = clocks_open(harness, scene->clock_paths, NODES, SECONDS);
    const char *const words[] = {"-s", scene->socket, "step", "--yes", NULL};

    ctl_refuses(harness, 1, ONCE, words);
    assert_true(clocks_wait_spread(clocks, CLOCKS_ALL, SPREAD_NS, SECONDS));
    (void)ctl_output(harness, CTL_WORDS("-s", scene->socket, "wait", "--timeout", "60 s"));
    ctl_refuses(harness, 1, "was synchronised since the daemon's start", words);
    for (int i = NODES - 1; i >= 0; i--)
        assert_int_equal(process_stop(scene->processes[i]), 0);
}

/* At a terminal. */
static struct pty *answer(struct harness *harness, const struct scene *scene, const char *keys,
                          int code)
{
    struct pty *pty = pty_start(harness, 100, 24, (const char *const[]){NULL},
                                CTL_WORDS("-s", scene->socket, "step"));

    assert_true(pty_wait_text(pty, "Type yes to step: ", SECONDS));
    pty_type(pty, keys);
    assert_int_equal(pty_wait_exit(pty, SECONDS), code);
    return pty;
}

static void test_slave(void **state)
{
    struct scene scene = open_scene(*state, -HOURS_NS, false, false);
    const char *const steps[] = {"-s", scene.socket, "step", "--yes", "--json", NULL};

    ctl_refuses(*state, 64, "no terminal to ask at; --yes", CTL_WORDS("-s", scene.socket, "step"));
    assert_non_null(strstr(pty_output(answer(*state, &scene, "y\n", 1)), "Nothing was stepped."));
    expect_near(number(ctl_output(*state, steps), "step_ns"), HOURS_NS);
    expect_told(scene.journald, "\\+");
    expect_done(*state, &scene);
}

/* It steps itself; the group's time is that of the two others. */
static void test_master(void **state)
{
    static const char *const said[] = {
        "far, master of group berkeley: its clock is " HOURS " ahead of the group\\.",
        "\033\\[1;31mThe time jumps BACKWARDS by " HOURS, "Stepped back by " HOURS};
    struct scene scene = open_scene(*state, HOURS_NS, true, false);
    const char *output = pty_output(answer(*state, &scene, "yes\n", 0));

    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        assert_true(ctl_matches(output, said[i]));
    expect_told(scene.journald, "-");
    expect_done(*state, &scene);
}

/* The daemon alone cannot, and that is no step: afterwards root still may. */
static void test_clock_process(void **state)
{
    struct scene scene = open_scene(*state, HOURS_NS, false, true);
    const char *const alone[] = {"-s", scene.socket, "step", "--yes", "--json", NULL};
    const char *const steps[] = {"-s", scene.socket, "step", "--yes", "--json", "--clock",
                                 scene.clock_socket, NULL};

    ctl_refuses(*state, 1, "no permit from root", alone);
    assert_true(process_wait_line(scene.server, "Refused what was asked of the clock", SECONDS));
    assert_int_equal(journald_find(scene.journald, 0, "MESSAGE_ID", MESSAGE_STEPPED), -1);
    expect_near(number(ctl_output(*state, steps), "step_ns"), -HOURS_NS);
    assert_int_equal(process_count_lines(scene.server, "Root permits one step"), 1);
    expect_told(scene.journald, "-");
    ctl_refuses(*state, 1, ONCE, steps);
    expect_done(*state, &scene);
    assert_int_equal(process_stop(scene.server), 0);
}

/* Who is not root, whatever sockets are open to him. */
static void test_nobody(void **state)
{
    const char *directory = harness_directory(*state);
    struct process *process;
    char command[1024];

    skip_unless_root();
    (void)snprintf(command, sizeof command,
                   "chmod 755 %s && cp %s %s/copy && cd %s && "
                   "exec env GCOV_PREFIX=\"$PWD/counters\" "
                   "setpriv --reuid=%d --regid=%d --clear-groups ./copy step --yes",
                   directory, ctl_program(*state), directory,
                   directory, NOBODY, NOBODY);
    process = process_spawn(*state, &(struct process_options){
                                        .program = "/bin/sh",
                                        .arguments = (const char *const[]){"-c", command, NULL}});
    assert_int_equal(process_wait_exit(process, SECONDS), 77);
    assert_string_equal(process_stdout(process), "");
    assert_int_equal(process_count_lines(process, "step sets this machine's clock: only root may$"),
                     1);
}

static void test_no_daemon(void **state)
{
    skip_unless_root();
    ctl_refuses(*state, 3, "no daemon answers at",
                CTL_WORDS("-s", harness_directory(*state), "step", "--yes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slave),  TEST(test_master),    TEST(test_clock_process),
        TEST(test_nobody), TEST(test_no_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

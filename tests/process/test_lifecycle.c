/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service manager and a person at the console see: sd_notify, signals, reload. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness_part.h"
#include "setup.h"

#define SECONDS 15
#define QUICK 3 /* s: what nobody should wait for longer */

/* A master and a slave with a manager each. */
struct pair {
    struct harness *harness;
    uint16_t port;
    const char *config[2];
    struct notify *notify[2];
    struct process *process[2]; /* the master first */
};

static struct process *start(struct harness *harness, const char *role, const char *config,
                             struct notify *notify, const char *variable)
{
    return process_spawn(harness, &(struct process_options){
                                      .arguments = (const char *const[]){role, "-c", config, NULL},
                                      .environment = (const char *const[]){variable, NULL},
                                      .notify = notify});
}

/* override: of both configurations, may be NULL. */
static struct pair pair_start(struct harness *harness, const char *override)
{
    static const char *const names[] = {"lead", "follow"};
    static const char *const roles[] = {"--master", "--slave"};
    struct pair pair = {.harness = harness, .port = harness_port()};

    for (int i = 0; i < 2; i++) {
        pair.config[i] = setup_config(harness, names[i], pair.port);
        if (override)
            setup_override(harness, pair.config[i], override);
        pair.notify[i] = notify_open(harness);
        pair.process[i] = start(harness, roles[i], pair.config[i], pair.notify[i], NULL);
    }
    return pair;
}

static void pair_ready(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        assert_true(notify_wait(pair->notify[i], "READY=1", SECONDS));
    assert_true(process_wait_line(pair->process[1], "Following master lead", SECONDS));
}

static void test_ready(void **state)
{
    struct notify *master = notify_open(*state), *slave = notify_open(*state);
    uint16_t port = harness_port();
    const char *config = setup_config(*state, "ready", port);
    const char *other = setup_config(*state, "alone", harness_port());
    struct process *process = start(*state, "--master", config, master, NULL);

    assert_true(notify_wait(master, "READY=1", SECONDS));
    assert_non_null(tcp_connect(*state, port));
    assert_non_null(strstr(process_stderr(process), "started as master of group berkeley"));
    /* A machine must come up without its master. */
    process = start(*state, "--slave", other, slave, NULL);
    assert_true(notify_wait(slave, "READY=1", QUICK));
    assert_true(notify_wait(slave, "STATUS=no master; unsynchronised, no group time yet", QUICK));
    assert_true(process_wait_line(process, "Cannot reach the master 127.0.0.1 port", QUICK));
}

/* The sentence changes every second: until it tells this, too. */
static bool status_tells(struct harness *harness, struct notify *notify, const char *text)
{
    int64_t deadline = harness_deadline(SECONDS);

    do {
        const char *status = notify_last(notify, "STATUS");

        if (status && strstr(status, text))
            return true;
    } while (harness_wait(harness, deadline));
    return false;
}

static void test_status(void **state)
{
    struct pair pair = pair_start(*state, NULL);
    struct notify *waiting = notify_open(*state);

    start(*state, "--master", setup_config(*state, "lonely", harness_port()), waiting, NULL);
    assert_true(notify_wait(waiting, "STATUS=waiting for slaves", SECONDS));
    assert_true(notify_wait(pair.notify[1], "STATUS=following lead, synchronised: offset ",
                            SECONDS));
    assert_non_null(strstr(notify_last(pair.notify[1], "STATUS"), ", bound "));
    assert_true(status_tells(*state, pair.notify[1], ", 2 of 2 clocks"));
    assert_true(notify_wait(pair.notify[0], "STATUS=synchronised: offset ", SECONDS));
    assert_true(status_tells(*state, pair.notify[0], "; 1 slave, 2 of 2 clocks"));
    assert_int_equal(process_stop(pair.process[0]), 0);
    assert_true(notify_wait(pair.notify[1], "STATUS=no master; holdover: offset ", SECONDS));
}

static void test_watchdog(void **state)
{
    struct notify *watched = notify_open(*state), *unwatched = notify_open(*state);
    int64_t deadline = harness_deadline(SECONDS);

    start(*state, "--slave", setup_config(*state, "watched", harness_port()), watched,
          "WATCHDOG_USEC=500000");
    start(*state, "--slave", setup_config(*state, "unwatched", harness_port()), unwatched, NULL);
    while (notify_count(watched, "WATCHDOG=1") < 3)
        assert_true(harness_wait(*state, deadline));
    assert_true(notify_wait(unwatched, "READY=1", SECONDS));
    assert_int_equal(notify_count(unwatched, "WATCHDOG=1"), 0);
}

/* RELOADING=1 with its instant, and READY=1 in a later message. */
static void expect_reloaded(struct notify *notify)
{
    const char *message;
    size_t reloading = 0, ready = 0;

    assert_true(notify_wait(notify, "RELOADING=1", SECONDS));
    assert_true(notify_wait(notify, "READY=1", SECONDS));
    for (size_t i = 0; (message = notify_message(notify, i)); i++) {
        if (strstr(message, "RELOADING=1")) {
            const char *instant = strstr(message, "\nMONOTONIC_USEC=");

            reloading = i;
            assert_non_null(instant);
            assert_true(strtod(instant + 16, NULL) / 1e6 <= setup_now());
            assert_true(strtod(instant + 16, NULL) / 1e6 > setup_now() - 60);
        }
        if (strstr(message, "READY=1"))
            ready = i;
    }
    assert_true(ready > reloading);
}

/* Rounds in so many seconds from now. */
static unsigned rounds_in(struct pair *pair, double seconds)
{
    size_t from = setup_said(pair->process[1]);
    int64_t deadline = harness_deadline(seconds);
    double begun = setup_now();

    while (harness_wait(pair->harness, deadline))
        continue;
    return (unsigned)(setup_rounds(pair->process[1], from).count * seconds /
                      (setup_now() - begun));
}

static void reload(struct pair *pair, int n, const char *override)
{
    setup_override(pair->harness, pair->config[n], override);
    notify_mark(pair->notify[n]);
    process_mark(pair->process[n]);
    process_signal(pair->process[n], SIGHUP);
}

static void test_reload(void **state)
{
    struct pair pair = pair_start(*state, "master: { interval = \"2 s\"; };\n");
    unsigned slow, fast;

    pair_ready(&pair);
    assert_true(process_wait_line(pair.process[1], "Synchronised: ", SECONDS));
    /* The slave tells nothing of rounds at level info, then all of it. */
    assert_int_equal(process_count_lines(pair.process[1], "Round "), 0);
    reload(&pair, 1, "log_level = \"debug\";\n");
    expect_reloaded(pair.notify[1]);
    assert_true(process_wait_line(pair.process[1], "^berkeleyd: log_level is changed\\.$", QUICK));
    assert_true(process_wait_line(pair.process[1], "Configuration reloaded from .*follow", QUICK));
    assert_true(process_wait_line(pair.process[1], "Round [0-9]+: correction", SECONDS));
    slow = rounds_in(&pair, 5);
    assert_in_range(slow, 1, 4);

    reload(&pair, 0, "group = \"another\"; master: { interval = \"500 ms\"; port = 1; };\n");
    expect_reloaded(pair.notify[0]);
    assert_true(process_wait_line(pair.process[0], "master\\.interval is changed\\.", QUICK));
    assert_true(process_wait_line(
        pair.process[0],
        "master\\.port is changed in the file, but takes effect only after a restart", QUICK));
    assert_true(process_wait_line(pair.process[0], "group is changed in the file, but", QUICK));
    /* The round that is due already comes at its old time. */
    assert_true(setup_wait_rounds(*state, pair.process[1], setup_said(pair.process[1]), 2,
                                  SECONDS));
    fast = rounds_in(&pair, 4);
    assert_in_range(fast, 5, 9);
    assert_int_equal(process_count_lines(pair.process[1], "is gone"), 0);
}

static void test_reload_of_nonsense(void **state)
{
    struct pair pair = pair_start(*state, "log_level = \"debug\";\n");
    size_t from;

    pair_ready(&pair);
    reload(&pair, 0, "group = \"another\";\nmaster: { interval = \"1 ms\"; };\n");
    expect_reloaded(pair.notify[0]);
    assert_true(process_wait_line(pair.process[0],
                                  "lead\\.conf\\.d/10\\.conf:2: master\\.interval: found \"1 ms\"; "
                                  "allowed is .*; the configuration in force is kept$",
                                  QUICK));
    assert_int_equal(process_count_lines(pair.process[0], "is changed|reloaded"), 0);
    assert_int_equal(unlink(pair.config[1]), 0);
    process_mark(pair.process[1]);
    process_signal(pair.process[1], SIGHUP);
    assert_true(process_wait_line(pair.process[1], "follow\\.conf: found no such file", QUICK));
    from = setup_said(pair.process[1]);
    assert_true(setup_wait_rounds(*state, pair.process[1], from, 4, SECONDS));
    assert_int_equal(process_count_lines(pair.process[1], "is gone"), 0);
}

/* The same port on another loopback address: only slave.master differs. */
static void test_reload_to_another_master(void **state)
{
    struct pair pair = pair_start(*state, NULL);
    const char *config = setup_config(*state, "other", pair.port);
    struct process *other;

    setup_override(*state, config, "master: { listen = [\"127.0.0.9\"]; };\n");
    other = start(*state, "--master", config, NULL, NULL);
    pair_ready(&pair);
    reload(&pair, 1, "slave: { master = \"127.0.0.9\"; };\n");
    expect_reloaded(pair.notify[1]);
    assert_true(process_wait_line(pair.process[1], "slave\\.master is changed\\.", QUICK));
    assert_true(process_wait_line(pair.process[1], "Following master other at 127\\.0\\.0\\.9",
                                  SECONDS));
    assert_true(process_wait_line(pair.process[0], "Slave follow left", SECONDS));
    assert_true(process_wait_line(other, "Slave follow joined", SECONDS));
}

static void expect_stop(struct pair *pair, int n, int number)
{
    process_signal(pair->process[n], number);
    assert_int_equal(process_wait_exit(pair->process[n], QUICK), 0);
    assert_true(notify_wait(pair->notify[n], "STOPPING=1", 0));
    assert_int_equal(process_count_lines(pair->process[n], "Stopped; "), 1);
}

static void test_stop(void **state)
{
    struct pair pair = pair_start(*state, NULL);

    pair_ready(&pair);
    assert_true(process_wait_line(pair.process[0], "Slave follow joined", SECONDS));
    expect_stop(&pair, 1, SIGINT);
    assert_true(process_wait_line(pair.process[0], "Slave follow left: it was stopped", QUICK));
    pair.process[1] = start(*state, "--slave", pair.config[1], pair.notify[1], NULL);
    assert_true(process_wait_line(pair.process[1], "Following master lead", SECONDS));
    notify_mark(pair.notify[1]);
    expect_stop(&pair, 0, SIGTERM);
    assert_true(process_wait_line(pair.process[1], "Master lead is gone: it was stopped", QUICK));
    expect_stop(&pair, 1, SIGTERM);
}

static struct process *start_under_shell(struct harness *harness, const char *redirection,
                                         const char *pipe, const char *config,
                                         struct notify *notify)
{
    const char *program = harness_built(harness, "BERKELEYD", "berkeleyd");
    char script[64], variable[512];

    snprintf(script, sizeof script, "exec \"$0\" \"$@\" %s", redirection);
    snprintf(variable, sizeof variable, "PIPE=%s", pipe);
    return process_spawn(
        harness, &(struct process_options){
                     .program = "/bin/sh",
                     .arguments = (const char *const[]){"-c", script, program, "-v", "-c", config,
                                                        "--slave", NULL},
                     .environment = (const char *const[]){variable, NULL},
                     .notify = notify});
}

/* Whoever read standard error is gone, its file system is full, or there is none. */
static void test_broken_stderr(void **state)
{
    static const char *const ways[] = {"2>\"$PIPE\"", "2>/dev/full", "2>&-", "<&- >&- 2>&-"};
    struct process *processes[4];
    struct notify *notifies[4];
    uint16_t port = harness_port();
    const char *pipe = harness_path(*state, "pipe");
    int fd;

    assert_int_equal(mkfifo(pipe, 0600), 0);
    fd = open(pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    process_start(*state, "--master", "-c", setup_config(*state, "lead", port), NULL);
    for (size_t i = 0; i < 4; i++) {
        char name[8];

        snprintf(name, sizeof name, "mute%zu", i);
        notifies[i] = notify_open(*state);
        processes[i] = start_under_shell(*state, ways[i], pipe,
                                         setup_config(*state, name, port), notifies[i]);
    }
    assert_true(notify_wait(notifies[0], "READY=1", SECONDS));
    close(fd);
    for (size_t i = 0; i < 4; i++) {
        assert_true(notify_wait(notifies[i], "STATUS=following lead, synchronised", 2 * SECONDS));
        assert_int_equal(process_stop(processes[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ready, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_status, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_reload, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_reload_of_nonsense, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_reload_to_another_master, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_stop, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_broken_stderr, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

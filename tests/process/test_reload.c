/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGHUP: what is said of it, and what goes on undisturbed.  And what is not said:
 * the same again and again of a master that cannot be reached. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "frames.h"
#include "setup.h"

#define SECONDS 15
#define FAST_ROUNDS 20 /* after somebody joined, until all are in, and a few */
#define RETRIES 3
#define FAST_RETRIES "slave: { retry_min = \"50 ms\"; retry_max = \"100 ms\"; };\n"
#define SHORT_NS (500 * NS_PER_MS)
#define LONG_NS (5 * NS_PER_S)

#define UNREACHABLE "Cannot reach the master 127.0.0."
#define NEWS "5" /* PRIORITY */
#define DETAIL "7"

struct pair {
    uint16_t port;
    const char *config[2];
    struct process *process[2]; /* the master first */
};

static struct pair pair_start(struct harness *harness)
{
    static const char *const names[] = {"lead", "follow"};
    static const char *const roles[] = {"--master", "--slave"};
    struct pair pair = {.port = harness_port()};

    for (int i = 0; i < 2; i++) {
        pair.config[i] = setup_config(harness, names[i], pair.port);
        pair.process[i] = process_start(harness, "-v", roles[i], "-c", pair.config[i], NULL);
    }
    assert_true(process_wait_line(pair.process[1], "Following master lead", SECONDS));
    return pair;
}

static void reload(struct harness *harness, struct process *process, const char *config,
                   const char *override)
{
    setup_override(harness, config, override);
    process_mark(process);
    process_signal(process, SIGHUP);
    assert_true(process_wait_line(process, "Configuration reloaded from ", SECONDS));
}

static void test_what_is_kept_is_not_called_changed(void **state)
{
    static const char only_kept[] = "group = \"another\"; clock: { step_threshold = \"1 s\"; };\n";
    static const char both[] = "group = \"another\"; master: { quorum = 3; };\n"
                               "clock: { step_threshold = \"1 s\"; };\n";
    const char *config = setup_config(*state, "lead", harness_port());
    struct process *process = process_start(*state, "--master", "-c", config, NULL);

    assert_true(process_wait_line(process, "started as master", SECONDS));
    /* Both are compared with what is in force: said again, and of no use either. */
    for (int i = 0; i < 2; i++) {
        reload(*state, process, config, only_kept);
        assert_int_equal(process_count_lines(process, "is changed\\.$"), 0);
        assert_int_equal(process_count_lines(process, "only after a restart\\.$"), 2);
        assert_int_equal(process_count_lines(process, ": group is changed in the file, but"), 1);
    }
    for (int i = 0; i < 2; i++) {
        reload(*state, process, config, both);
        assert_int_equal(process_count_lines(process, "is changed\\.$"), i == 0);
        assert_int_equal(process_count_lines(process, "master\\.quorum is changed\\.$"), i == 0);
        assert_int_equal(process_count_lines(process, "only after a restart\\.$"), 2);
    }
    reload(*state, process, config, "");
    assert_int_equal(process_count_lines(process, "master\\.quorum is changed\\.$"), 1);
    assert_int_equal(process_count_lines(process, "only after a restart\\.$"), 0);
}

/* Another slave, by hand: it only listens. */
static struct tcp *listen_to(struct harness *harness, uint16_t port, struct hearing *hearing)
{
    const struct wire_frame hello = frames_hello("listener");
    struct tcp *tcp = tcp_connect(harness, port);
    int64_t deadline = harness_deadline(SECONDS);

    assert_non_null(tcp);
    assert_true(frames_send(tcp, &hello));
    do
        frames_hear(tcp, hearing);
    while (hearing->frames[WIRE_POLL] == 0 && harness_wait(harness, deadline));
    assert_int_equal(hearing->frames[WIRE_WELCOME], 1);
    assert_int_equal(hearing->last[WIRE_WELCOME].welcome.interval_ns, SHORT_NS);
    return tcp;
}

static void expect_rounds(struct harness *harness, struct pair *pair, unsigned count)
{
    assert_true(setup_wait_rounds(harness, pair->process[1], setup_said(pair->process[1]), count,
                                  SECONDS));
}

/* When the fast phase, which knows one interval only, is over. */
static void expect_longer_rounds(struct harness *harness, struct pair *pair)
{
    double begun;

    for (int i = 0; i < FAST_ROUNDS; i++) {
        begun = setup_now();
        expect_rounds(harness, pair, 1);
        if (setup_now() - begun > 3)
            return;
    }
    fail_msg("%d rounds, and none of them is longer", FAST_ROUNDS);
}

static void expect_undisturbed(struct pair *pair)
{
    assert_int_equal(process_count_lines(pair->process[0], "Slave follow (left|joined)"), 0);
    assert_int_equal(process_count_lines(pair->process[1], "is gone|Following|Refused|Holdover"),
                     0);
}

/* Neither other waits nor another interval is a reason to part. */
static void test_the_connection_stays(void **state)
{
    struct hearing hearing = {0};
    struct pair pair = pair_start(*state);
    struct tcp *tcp = listen_to(*state, pair.port, &hearing);
    int64_t deadline;

    process_mark(pair.process[0]);
    reload(*state, pair.process[1], pair.config[1], "slave: { retry_max = \"3 s\"; };\n");
    assert_int_equal(process_count_lines(pair.process[1], "is changed"), 1);
    assert_int_equal(process_count_lines(pair.process[1], "slave\\.retry_max is changed\\.$"), 1);
    expect_rounds(*state, &pair, 2);
    expect_undisturbed(&pair);

    frames_hear(tcp, &hearing);
    assert_int_equal(hearing.frames[WIRE_WELCOME], 1);
    reload(*state, pair.process[0], pair.config[0], "master: { interval = \"5 s\"; };\n");
    deadline = harness_deadline(SECONDS);
    do
        frames_hear(tcp, &hearing);
    while (hearing.frames[WIRE_WELCOME] < 2 && harness_wait(*state, deadline));
    assert_int_equal(hearing.last[WIRE_WELCOME].welcome.interval_ns, LONG_NS);
    expect_longer_rounds(*state, &pair);
    expect_undisturbed(&pair);
    frames_hear(tcp, &hearing);
    assert_int_equal(hearing.frames[WIRE_WELCOME], 2);
}

static unsigned count_unreachable(struct journald *journald, const char *priority)
{
    unsigned count = 0;

    for (size_t i = 0; i < journald_count(journald); i++) {
        const char *message = journald_field(journald, i, "MESSAGE", NULL);

        count += message && strncmp(message, UNREACHABLE, strlen(UNREACHABLE)) == 0 &&
                 strcmp(journald_field(journald, i, "PRIORITY", NULL), priority) == 0;
    }
    return count;
}

/* So many times in all it is news; and after that it is tried some times more. */
static void expect_news(struct harness *harness, struct journald *journald, unsigned news)
{
    int64_t deadline = harness_deadline(SECONDS);
    unsigned before;

    while (count_unreachable(journald, NEWS) < news)
        assert_true(harness_wait(harness, deadline));
    before = count_unreachable(journald, DETAIL);
    while (count_unreachable(journald, DETAIL) < before + RETRIES)
        assert_true(harness_wait(harness, deadline));
    assert_int_equal(count_unreachable(journald, NEWS), news);
}

static void test_an_unreachable_master_is_said_once(void **state)
{
    uint16_t port = harness_port();
    struct journald *journald = journald_open(*state);
    const char *config = setup_config(*state, "follow", port);
    const char *const arguments[] = {"-v", "--slave", "-c", config, NULL};
    struct process *process;
    struct tcp *listener, *guest;

    setup_override(*state, config, FAST_RETRIES);
    process = process_spawn(
        *state, &(struct process_options){.arguments = arguments, .journald = journald});
    expect_news(*state, journald, 1);
    /* Once it was there, its absence is news again. */
    listener = tcp_listen(*state, port);
    guest = tcp_accept(listener, SECONDS);
    assert_non_null(guest);
    tcp_close(listener);
    tcp_close(guest);
    expect_news(*state, journald, 2);
    /* Another place to find nobody at. */
    setup_override(*state, config, "slave: { master = \"127.0.0.9\"; "
                                   "retry_min = \"50 ms\"; retry_max = \"100 ms\"; };\n");
    process_signal(process, SIGHUP);
    expect_news(*state, journald, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_not_called_changed, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_the_connection_stays, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_an_unreachable_master_is_said_once, harness_setup,
                                        harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

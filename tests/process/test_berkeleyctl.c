/* SPDX-License-Identifier: BSD-2-Clause */
/* berkeleyctl: what it tells of real daemons, and of what answers in their place. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"
#include "harness_part.h"
#include "setup.h"

#define SECONDS 30
#define NOBODY 65534
#define WORDS_MAX 8

/* Up to WORDS_MAX words, NULL at the end. */
static struct process *ctl(struct harness *harness, const char *const *words)
{
    const char *arguments[WORDS_MAX + 1] = {NULL};

    for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
        arguments[i] = words[i];
    return process_spawn(harness, &(struct process_options){
                                      .program = harness_built(harness, "BERKELEYCTL",
                                                               "berkeleyctl"),
                                      .arguments = arguments});
}

#define CTL(...) ctl(*state, (const char *const[]){__VA_ARGS__, NULL})

static void expect_exit(struct process *process, int code)
{
    assert_int_equal(process_wait_exit(process, SECONDS), code);
    if (code == 0)
        assert_string_equal(process_stderr(process), "");
    else
        assert_string_equal(process_stdout(process), "");
}

/* One line, and nothing else. */
static void expect_failure(struct process *process, int code, const char *regex)
{
    expect_exit(process, code);
    if (process_count_lines(process, regex) != 1)
        fail_msg("\"%s\" is not in: %s", regex, process_stderr(process));
    assert_int_equal(process_count_lines(process, "^"), 1);
}

static struct process *start(struct harness *harness, const char *role, const char *name,
                             uint16_t port)
{
    const char *config = setup_config(harness, name, port);
    char override[256];

    (void)snprintf(override, sizeof override, "control = \"%s/%s.sock\";\n",
                   harness_directory(harness), strcmp(role, "--master") == 0 ? "master" : "slave");
    setup_override(harness, config, override);
    return process_start(harness, role, "-c", config, NULL);
}

/* A master and a slave that are synchronised; their sockets are in the harness' directory. */
static void start_pair(struct harness *harness, struct process **master, struct process **slave)
{
    uint16_t port = harness_port();

    *master = start(harness, "--master", "time1", port);
    *slave = start(harness, "--slave", "node1", port);
    assert_true(process_wait_line(*master, "Synchronised", SECONDS));
    assert_true(process_wait_line(*slave, "Synchronised", SECONDS));
}

static void stop_pair(struct process *master, struct process *slave)
{
    assert_int_equal(process_stop(slave), 0);
    assert_int_equal(process_stop(master), 0);
}

static struct json_object *parse_line(const char *line)
{
    char text[4096];
    struct json_object *object;

    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
    object = json_tokener_parse(text);
    assert_true(json_object_is_type(object, json_type_object));
    return object;
}

static struct json_object *get(struct json_object *object, const char *key, enum json_type type)
{
    struct json_object *value = NULL;

    assert_true(json_object_object_get_ex(object, key, &value));
    assert_true(json_object_is_type(value, type));
    return value;
}

static void expect_text(struct json_object *object, const char *key, const char *expected)
{
    assert_string_equal(json_object_get_string(get(object, key, json_type_string)), expected);
}

#define TIME "[0-9.]+ [nµm]*s"
#define HEAD_LINES                                                     \
    "       State: synchronised for [0-9]+ s\n"                      \
    "      Offset: (none|" TIME " (ahead of|behind) the group)\n"      \
    "       Bound: " TIME "; " TIME " of it in case [a-z ]*\n"         \
    "  Correction: [+-]" TIME ", (just now|[0-9]+ s ago)\n"            \
    "   Slew left: (none|[+-]" TIME ", about " TIME " at 500 ppm)\n"   \
    "   Frequency: corrected by [+-][0-9.]+ ppm\n"                     \
    "  This clock: [a-z].*\n"                                          \
    "       Clock: an emulated one; the machine's own is left alone\n"
#define DAEMON_LINE "      Daemon: berkeleyd " BERKELEY_VERSION ", started [0-9]+ s ago\n"

static void test_status(void **state)
{
    struct process *master, *slave, *process;

    start_pair(*state, &master, &slave);
    process = CTL("-s", harness_directory(*state), "status");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process),
                        "^time1, master of group berkeley\n" HEAD_LINES
                        "      Clocks: 2 of 2 counted, within " TIME " of each other\n"
                        "      Slaves: 1 connected\n"
                        "       Round: [1-9][0-9]*, one every 500 ms\n" DAEMON_LINE
                        "\n"
                        "node1, slave of group berkeley\n" HEAD_LINES
                        "      Master: time1\n"
                        "      Clocks: 2 of 2 counted\n"
                        "       Round: [1-9][0-9]*\n" DAEMON_LINE "$"));
    process = CTL("status", "--socket", harness_path(*state, "slave.sock"));
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process), "^node1, slave"));
    assert_null(strstr(process_stdout(process), "time1, master"));
    stop_pair(master, slave);
}

static void test_json(void **state)
{
    struct process *master, *slave, *process;
    struct json_object *first, *second;

    start_pair(*state, &master, &slave);
    process = CTL("-s", harness_directory(*state), "--json", "status");
    expect_exit(process, 0);
    first = parse_line(process_stdout(process));
    second = parse_line(strchr(process_stdout(process), '\n') + 1);
    expect_text(first, "role", "master");
    expect_text(first, "state", "synchronised");
    assert_int_equal(json_object_get_int(get(first, "slaves", json_type_int)), 1);
    expect_text(second, "role", "slave");
    expect_text(second, "name", "node1");
    expect_text(second, "master", "time1");
    assert_in_range(json_object_get_int64(get(second, "bound_ns", json_type_int)), 1, 1000000000);
    assert_in_range(json_object_get_int64(get(second, "offset_ns", json_type_int)) + 1000000000, 0,
                    2000000000);
    json_object_put(first);
    json_object_put(second);
    stop_pair(master, slave);
}

static void test_counters(void **state)
{
    struct process *master, *slave, *process;
    struct json_object *answer, *network;

    start_pair(*state, &master, &slave);
    process = CTL("-s", harness_path(*state, "master.sock"), "counters", "--json");
    expect_exit(process, 0);
    answer = parse_line(process_stdout(process));
    network = get(answer, "network", json_type_object);
    assert_int_equal(json_object_get_int(get(network, "accepted", json_type_int)), 1);
    assert_int_equal(json_object_get_int(get(network, "garbled", json_type_int)), 0);
    assert_int_equal(
        json_object_get_int(get(get(answer, "frames_refused", json_type_object), "late",
                                json_type_int)), 0);
    json_object_put(answer);
    process = CTL("-s", harness_path(*state, "master.sock"), "counters");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process), "^time1, master of group berkeley\n"
                                                 " +[1-9][0-9]*  rounds\n"));
    assert_true(ctl_matches(process_stdout(process), "\n           1  connections accepted\n"));
    assert_true(ctl_matches(process_stdout(process), "\n           0  frames refused: late\n"));
    stop_pair(master, slave);
}

/* Of the group, by its master; and what a slave knows of it. */
static void test_group(void **state)
{
    struct process *master, *slave, *process;

    start_pair(*state, &master, &slave);
    expect_exit(CTL("-s", harness_directory(*state), "wait", "--max-error", "100 ms"), 0);
    process = CTL("-s", harness_directory(*state), "clocks");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process),
                        "^time1, master of group berkeley: 2 clocks, round [0-9]+; within " TIME
                        " of the group is allowed\n\nNAME [A-Z ]* WHY\ntime1 .*\nnode1 .*\n$"));
    process = CTL("-s", harness_directory(*state), "rounds", "2");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process),
                        "^time1, master of group berkeley\n\nTIME +ROUND +SPREAD [A-Z ]*\n"
                        "([0-2][0-9](:[0-9]{2}){2} +[0-9]+ .*\n){2}$"));
    process = CTL("-s", harness_path(*state, "slave.sock"), "now");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process),
                        "^node1, slave of group berkeley\n"
                        "       State: synchronised\n"
                        "    Earliest: [-0-9]{10} [:0-9]{8}[.][0-9]+ UTC\n"
                        "      Latest: [-0-9]{10} [:0-9]{8}[.][0-9]+ UTC\n"
                        "       Bound: " TIME " to either side\n$"));
    expect_failure(CTL("-s", harness_path(*state, "slave.sock"), "clocks"), 1,
                   "this is a slave; the clocks are known to its master, time1$");
    stop_pair(master, slave);
}

static void test_trace(void **state)
{
    struct process *master, *slave;

    start_pair(*state, &master, &slave);
    process_mark(slave);
    expect_exit(CTL("-s", harness_path(*state, "slave.sock"), "trace", "on"), 0);
    assert_true(process_wait_line(slave, "Round [0-9]+: ", SECONDS));
    expect_exit(CTL("-s", harness_path(*state, "slave.sock"), "trace", "off"), 0);
    stop_pair(master, slave);
}

/* A daemon that was killed leaves its file; the next one takes its place. */
static void test_killed(void **state)
{
    uint16_t port = harness_port();
    struct process *master = start(*state, "--master", "time1", port);
    const char *path = harness_path(*state, "master.sock");

    assert_true(process_wait_line(master, "started as master", SECONDS));
    process_kill(master);
    assert_int_equal(access(path, F_OK), 0);
    expect_failure(CTL("-s", path, "status"), 3, "no daemon answers at .*/master\\.sock; ");
    master = start(*state, "--master", "time1", port);
    assert_true(process_wait_line(master, "started as master", SECONDS));
    expect_exit(CTL("-s", path, "status"), 0);
    assert_int_equal(process_stop(master), 0);
    assert_int_equal(access(path, F_OK), -1);
}

/* Two daemons, one path: the second does its work without. */
static void test_second_on_one_path(void **state)
{
    struct process *master = start(*state, "--master", "time1", harness_port()), *second, *process;

    assert_true(process_wait_line(master, "started as master", SECONDS));
    second = start(*state, "--master", "time2", harness_port());
    assert_true(process_wait_line(second, "started as master", SECONDS));
    assert_int_equal(process_count_lines(second, "Cannot listen on .*/master\\.sock: "), 1);
    assert_int_equal(process_stop(second), 0);
    process = CTL("-s", harness_path(*state, "master.sock"), "status");
    expect_exit(process, 0);
    assert_true(ctl_matches(process_stdout(process), "^time1, master"));
    assert_int_equal(process_stop(master), 0);
}

static void test_nobody_there(void **state)
{
    const char *empty = harness_path(*state, "empty");

    assert_int_equal(mkdir(empty, 0755), 0);
    expect_failure(CTL("-s", empty, "status"), 3, "no daemon answers at .*/empty; ");
    expect_failure(CTL("-s", empty, "--json", "counters"), 3, "no daemon answers at");
    expect_failure(CTL("-s", "/nowhere/x.sock", "status"), 3, "no daemon answers at /nowhere/x");
    expect_failure(CTL("-s", "/dev/null/x.sock", "status"), 3, "no daemon answers at /dev/null/x");
    expect_failure(CTL("-s", "/dev/null", "status"), 3, "no daemon answers at /dev/null");
}

/* The socket is there, for others. */
static void test_not_permitted(void **state)
{
    const char *directory = harness_directory(*state);
    struct process *master, *process;
    char command[512];

    if (geteuid() != 0)
        skip();
    master = start(*state, "--master", "time1", harness_port());
    assert_true(process_wait_line(master, "started as master", SECONDS));
    assert_int_equal(chmod(directory, 0755), 0);
    /* Coverage complains of counters that it cannot write. */
    (void)snprintf(command, sizeof command,
                   "cd '%s' && cp '%s' copy && mkdir -m 777 counters && "
                   "exec env GCOV_PREFIX=\"$PWD/counters\" "
                   "setpriv --reuid=%d --regid=%d --clear-groups "
                   "./copy -s \"$PWD/master.sock\" status",
                   directory, harness_built(*state, "BERKELEYCTL", "berkeleyctl"), NOBODY, NOBODY);
    process = process_spawn(*state, &(struct process_options){
                                        .program = "/bin/sh",
                                        .arguments = (const char *const[]){"-c", command, NULL}});
    expect_failure(process, 77,
                   "not permitted to use .*/master\\.sock; be root or in group berkeley$");
    assert_int_equal(process_stop(master), 0);
}

static void test_usage(void **state)
{
    struct process *help = CTL("--help"), *version = CTL("-V");

    expect_exit(help, 0);
    assert_true(ctl_matches(process_stdout(help), "^berkeleyctl .*Usage: .*  status .*  counters "
                                              ".*  keygen .*--socket PATH.*--json.*77"));
    expect_exit(version, 0);
    assert_string_equal(process_stdout(version), "berkeleyctl " BERKELEY_VERSION "\n");
    expect_failure(CTL("--json"), 64, "a command is needed");
    expect_failure(CTL("stats"), 64, "no such command: stats");
    expect_failure(CTL("status", "now"), 64, "found a word too many: now");
    expect_exit(CTL("--jsn"), 64);
    expect_exit(CTL("status", "-x"), 64);
    expect_exit(CTL("-s"), 64);
}

static void test_full_output(void **state)
{
    struct process *process = process_spawn(
        *state, &(struct process_options){
                    .program = "/bin/sh",
                    .arguments = (const char *const[]){
                        "-c", "exec \"$0\" --help >/dev/full",
                        harness_built(*state, "BERKELEYCTL", "berkeleyctl"), NULL}});

    expect_failure(process, 1, "^berkeleyctl: cannot write to standard output");
}

/* --- what answers is another program, or a daemon of the future --- */

static int impersonate(struct harness *harness)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/fake.sock",
                   harness_directory(harness));
    (void)unlink(address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* berkeleyctl gets this for an answer. */
static struct process *fed(struct harness *harness, const char *word, const char *answer)
{
    int listener = impersonate(harness), fd;
    const char *path = harness_path(harness, "fake.sock");
    struct process *process = ctl(harness, (const char *const[]){"-s", path, word, NULL});
    char question[64] = "";

    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, question, sizeof question - 1, 0), strlen(word) + 1);
    assert_memory_equal(question, word, strlen(word));
    assert_int_equal(question[strlen(word)], '\n');
    assert_int_equal(send(fd, answer, strlen(answer), MSG_NOSIGNAL), strlen(answer));
    close(fd);
    close(listener);
    (void)process_wait_exit(process, SECONDS);
    return process;
}

static void test_strange_answers(void **state)
{
    static const char *const strange[] = {"", "\n", "[1]\n", "\"status\"\n", "{\"role\":\n", "17",
                                          "null\n", "HTTP/1.1 400 Bad Request\r\n\r\n"};

    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        expect_failure(fed(*state, "status", strange[i]), 1, "the answer cannot be understood$");
    expect_failure(fed(*state, "status", "{\"error\":\"only root\\n may \\u001b[2J\"}\n"), 1,
                   "^berkeleyctl: .*/fake.sock: only root\\\\x0a may \\\\x1b\\[2J$");
}

/* It takes the connection and the question, and says nothing. */
static void test_no_answer(void **state)
{
    int listener = impersonate(*state);
    struct process *process = CTL("-s", harness_path(*state, "fake.sock"), "status");
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    expect_failure(process, 1, "no answer in time$");
    close(fd);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_json, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_counters, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_group, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_trace, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_killed, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_second_on_one_path, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_not_permitted, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_usage, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_full_output, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_strange_answers, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of real daemons: over HTTP, and in a file. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/exposition.h"
#include "setup.h"

#define SECONDS 30
#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define CLIENTS 30
#define ROUNDS 6

static char answer[1 << 16];

static struct process *start(struct harness *harness, const char *role, const char *name,
                             uint16_t port, const char *metrics)
{
    const char *config = setup_config(harness, name, port);

    setup_override(harness, config, metrics);
    return process_start(harness, role, "-c", config, NULL);
}

static const char *listening(uint16_t port)
{
    static char text[128];

    (void)snprintf(text, sizeof text,
                   "metrics: { listen = [\"127.0.0.1\", \"127.0.0.2\", \"::1\"]; port = %u; };\n",
                   (unsigned)port);
    return text;
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

static void fetch(struct harness *harness, uint16_t port)
{
    struct tcp *tcp = tcp_connect(harness, port);
    size_t length;

    assert_non_null(tcp);
    assert_true(tcp_send(tcp, GET, strlen(GET)));
    length = tcp_receive(tcp, answer, sizeof answer - 1, SECONDS);
    answer[length] = '\0';
    tcp_close(tcp);
}

/* At the second address. */
static void fetch_second(uint16_t port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t length = 0;
    ssize_t n;

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, GET, strlen(GET), MSG_NOSIGNAL), strlen(GET));
    while ((n = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0)
        length += (size_t)n;
    answer[length] = '\0';
    close(fd);
}

static void expect_valid(const char *text)
{
    char fault[EXPOSITION_FAULT_SIZE];

    if (!exposition_valid(text, fault))
        fail_msg("%s", fault);
}

/* Is there, or will there be, this value? */
static bool wait_value(struct harness *harness, uint16_t port, const char *series,
                       const char *expected)
{
    const int64_t deadline = harness_deadline(SECONDS);
    const char *value;

    do {
        fetch(harness, port);
        value = exposition_value(body(), series);
        if (value && strcmp(value, expected) == 0)
            return true;
    } while (harness_wait(harness, deadline));
    print_error("%s is %s\n", series, value ? value : "not there");
    return false;
}

static double number(const char *series)
{
    const char *value = exposition_value(body(), series);

    if (!value)
        fail_msg("there is no %s", series);
    return value ? strtod(value, NULL) : 0;
}

/* promtool knows conventions that the reader does not; where it is there. */
static void expect_promtool(struct harness *harness, const char *text)
{
    const char *path = harness_path(harness, "promtool.txt");
    FILE *file = fopen(path, "w");
    char command[512];

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(command, sizeof command,
                   "! command -v promtool >/dev/null || promtool check metrics <'%s' >&2", path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void test_group(void **state)
{
    const uint16_t port = harness_port(), of_master = harness_port(), of_slave = harness_port();
    struct process *master, *slave;

    master = start(*state, "--master", "time1", port, listening(of_master));
    slave = start(*state, "--slave", "node1", port, listening(of_slave));
    assert_true(process_wait_line(master, "Metrics are at http://\\[::1\\]:[0-9]+/metrics\\.$|"
                                          "Cannot listen on ::1 ",
                                  SECONDS)); /* a machine may do without IPv6 */
    assert_true(process_wait_line(slave, "Synchronised", SECONDS));
    assert_true(wait_value(*state, of_master, "berkeley_clock_weight_ratio{clock=\"node1\"}",
                           "0.5"));
    assert_int_equal((int)number("berkeley_clocks{verdict=\"counted\"}"), 2);
    expect_valid(body());
    expect_promtool(*state, body());
    assert_true(number("berkeley_clock_delay_seconds{clock=\"node1\"}") > 0);
    assert_true(number("berkeley_rounds_total") > 1);
    assert_true(number("berkeley_frames_received_total") > 1);
    assert_true(number("berkeley_start_time_seconds") > 1.6e9);
    assert_int_equal((int)number("berkeley_slaves"), 1);
    fetch_second(of_slave);
    expect_valid(body());
    expect_promtool(*state, body());
    assert_int_equal((int)number("berkeley_state{state=\"synchronised\"}"), 1);
    assert_int_equal((int)number("berkeley_connected"), 1);
    assert_int_equal((int)number("berkeley_masters_found_total"), 1);
    assert_true(number("berkeley_bound_seconds") > 0);
    assert_int_equal(process_stop(master), 0);
    assert_true(wait_value(*state, of_slave, "berkeley_state{state=\"holdover\"}", "1"));
    assert_int_equal((int)number("berkeley_masters_lost_total"), 1);
    assert_int_equal((int)number("berkeley_connected"), 0);
    assert_int_equal(process_stop(slave), 0);
}

/* Scrapers that do not let go, more than there is room for. */
static void test_no_round_waits(void **state)
{
    const uint16_t metrics = harness_port();
    const uint16_t port = harness_port();
    const char *config = setup_config(*state, "time1", port);
    struct tcp *clients[CLIENTS];
    struct process *master, *slave;
    size_t from;

    setup_override(*state, config, listening(metrics));
    master = process_start(*state, "--master", "-v", "-c", config, NULL);
    slave = start(*state, "--slave", "node1", port, "");
    assert_true(process_wait_line(master, "Synchronised", SECONDS));
    from = setup_said(master);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = tcp_connect(*state, metrics);
        assert_non_null(clients[i]);
        assert_true(tcp_send(clients[i], GET, i % 2 == 0 ? 8 : strlen(GET)));
    }
    assert_true(setup_wait_rounds(*state, master, from, ROUNDS, SECONDS));
    assert_true(setup_rounds(master, from).gapless);
    for (size_t i = 0; i < CLIENTS; i++)
        tcp_close(clients[i]);
    fetch(*state, metrics);
    expect_valid(body());
    assert_int_equal(process_stop(slave), 0);
    assert_int_equal(process_stop(master), 0);
}

/* The clock is kept without. */
static void test_port_taken(void **state)
{
    const uint16_t port = harness_port(), metrics = harness_port();
    struct tcp *taken = tcp_listen(*state, metrics);
    struct process *master;

    assert_non_null(taken);
    master = start(*state, "--master", "time1", port, listening(metrics));
    assert_true(process_wait_line(master, "started as master", SECONDS));
    assert_int_equal(process_count_lines(master, "Cannot listen on 127\\.0\\.0\\.1 port [0-9]+ for "
                                                 "metrics: Address already in use\\. .*kept"), 1);
    fetch_second(metrics);
    expect_valid(body());
    assert_int_equal(process_stop(master), 0);
    tcp_close(taken);
}

static bool wait_file(struct harness *harness, const char *path, bool there)
{
    const int64_t deadline = harness_deadline(SECONDS);

    do {
        if ((access(path, F_OK) == 0) == there)
            return true;
    } while (harness_wait(harness, deadline));
    return false;
}

static const char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    answer[fread(answer, 1, sizeof answer - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return answer;
}

/* First there is no directory for it; 15 s later there is. */
static void test_file(void **state)
{
    const char *directory = harness_path(*state, "collector");
    const char *path = harness_path(*state, "collector/berkeley.prom");
    struct process *master;
    char metrics[512];
    struct stat status;

    (void)snprintf(metrics, sizeof metrics, "metrics: { file = \"%s\"; };\n", path);
    master = start(*state, "--master", "time1", harness_port(), metrics);
    assert_true(process_wait_line(master, "Cannot write the metrics to .*/berkeley\\.prom: No such "
                                          "file or directory\\. .*every 15 s\\.$", SECONDS));
    assert_int_equal(mkdir(directory, 0755), 0);
    assert_true(process_wait_line(master, "The metrics are in .*/berkeley\\.prom again, after 1 "
                                          "failed attempt\\.$", SECONDS));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    expect_valid(read_file(path));
    assert_string_equal(exposition_value(answer, "berkeley_metrics_files_unwritten_total"), "1");
    assert_int_equal(process_stop(master), 0);
    assert_true(wait_file(*state, path, false));
    assert_int_equal(rmdir(directory), 0);
}

/* What a killed daemon left does not disturb the next one. */
static void test_file_of_a_killed_daemon(void **state)
{
    const char *path = harness_path(*state, "berkeley.prom");
    struct process *master;
    char metrics[512];

    harness_write(*state, "berkeley.prom.new", "half a li");
    (void)snprintf(metrics, sizeof metrics, "metrics: { file = \"%s\"; };\n", path);
    master = start(*state, "--master", "time1", harness_port(), metrics);
    assert_true(wait_file(*state, path, true));
    expect_valid(read_file(path));
    process_kill(master);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    master = start(*state, "--master", "time1", harness_port(), metrics);
    assert_true(wait_file(*state, path, true));
    expect_valid(read_file(path));
    assert_int_equal(process_stop(master), 0);
}

/* The alert rules, by what they tell of groups that were made up for it. */
static void test_rules(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null") != 0) /* NOLINT(cert-env33-c) */
        skip();
    assert_int_equal(system("promtool check rules config/prometheus-alerts.yml >&2 && " /* NOLINT */
                            "promtool test rules tests/structure/prometheus-alerts_test.yml >&2"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_group, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_round_waits, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_port_taken, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_file, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_file_of_a_killed_daemon, harness_setup,
                                        harness_teardown),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

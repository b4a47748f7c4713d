/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics: what is answered, to whom, and what a client may cost. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "daemon/metrics_http.h"

#define ANSWER_MAX (32 << 20)
#define PATIENCE_S 40
#define CROWD 40

static sd_event *loop;
static struct metrics_http *http;
static uint16_t port;
static char *answer; /* the last one, with a NUL at its end */
static const char *text;
static unsigned texts; /* asked for */
static int text_error;

static int on_text(void *context, const char **bytes, size_t *length)
{
    assert_ptr_equal(context, &texts);
    texts++;
    *bytes = text;
    *length = strlen(text);
    return text_error;
}

static int64_t now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static socklen_t loopback(int family, uint16_t number, struct sockaddr_storage *address)
{
    *address = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;

        in->sin_port = htons(number);
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *in;
    }
    ((struct sockaddr_in6 *)address)->sin6_port = htons(number);
    ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_loopback;
    return sizeof(struct sockaddr_in6);
}

static uint16_t free_port(void)
{
    struct sockaddr_storage address;
    socklen_t size = loopback(AF_INET, 0, &address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int setup(void **state)
{
    const struct metrics_http_source source = {.text = on_text, .context = &texts};

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    texts = 0;
    text_error = 0;
    text = "x 1\n";
    answer = malloc(ANSWER_MAX + 1);
    assert_non_null(answer);
    assert_true(sd_event_new(&loop) >= 0);
    assert_int_equal(metrics_http_open(loop, &source, &http), 0);
    port = free_port();
    assert_int_equal(metrics_http_listen(http, "127.0.0.1", port), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    metrics_http_close(http);
    sd_event_unref(loop);
    free(answer);
    return 0;
}

static int client(int family)
{
    struct sockaddr_storage address;
    const socklen_t size = loopback(family, port, &address);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
    return fd;
}

static void say(int fd, const char *words)
{
    assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), strlen(words));
}

/* All there is until the other end closes; false: a reset, or not in time. */
static bool take(int fd)
{
    const int64_t deadline = now_s() + PATIENCE_S;
    size_t length = 0;
    ssize_t n = -1;

    while (n != 0 && now_s() < deadline) {
        n = recv(fd, answer + length, ANSWER_MAX - length, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
        length += n > 0 ? (size_t)n : 0;
        if (n < 0)
            assert_true(sd_event_run(loop, 10000) >= 0);
    }
    answer[length] = '\0';
    close(fd);
    return n == 0;
}

static const char *ask(const char *words)
{
    int fd = client(AF_INET);

    say(fd, words);
    assert_true(take(fd));
    return answer;
}

static void expect_head(const char *line)
{
    assert_memory_equal(answer, line, strlen(line));
}

static void expect_header(const char *line)
{
    if (!strcasestr(answer, line))
        fail_msg("%s is not in %s", line, answer);
}

static void expect_body(const char *expected)
{
    const char *body = strstr(answer, "\r\n\r\n");

    assert_non_null(body);
    assert_string_equal(body + 4, expected);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void test_metrics(void **state)
{
    (void)state;
    ask(GET("/metrics"));
    expect_head("HTTP/1.1 200 OK\r\n");
    expect_header("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    expect_header("\r\nContent-Length: 4\r\n");
    expect_header("\r\nConnection: close\r\n");
    expect_body("x 1\n");
    ask("GET /metrics?name[]=x HTTP/1.0\r\n\r\n");
    expect_head("HTTP/1.");
    expect_body("x 1\n");
}

static void test_head(void **state)
{
    (void)state;
    ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_head("HTTP/1.1 200 OK\r\n");
    expect_header("\r\nContent-Length: 4\r\n");
    expect_body("");
}

static void test_other_paths(void **state)
{
    static const char *const others[] = {GET("/metrics/"), GET("/Metrics"), GET("//metrics"),
                                         GET("/../etc/passwd"), GET("/favicon.ico")};

    (void)state;
    ask(GET("/"));
    expect_head("HTTP/1.1 200 OK\r\n");
    expect_body("This is berkeleyd, which keeps this machine's clock.\n"
                "What Prometheus wants to know is at /metrics.\n");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ask(others[i]);
        expect_head("HTTP/1.1 404 Not Found\r\n");
        expect_body("There is nothing but /metrics.\n");
    }
    assert_int_equal(texts, 0);
}

static void test_other_methods(void **state)
{
    (void)state;
    ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    expect_head("HTTP/1.1 405 Method Not Allowed\r\n");
    expect_header("\r\nAllow: GET, HEAD\r\n");
    ask("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_head("HTTP/1.1 405 ");
    ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    expect_head("HTTP/1.1 405 ");
    assert_int_equal(texts, 0);
}

/* Whatever is said of it, the next one is answered. */
static void test_nonsense(void **state)
{
    static char large[1 << 16];
    int fd = client(AF_INET);

    (void)state;
    (void)take((say(fd, "\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n"), fd));
    memset(large, 'a', sizeof large - 1);
    large[3] = ' ';
    large[4] = '/';
    fd = client(AF_INET);
    (void)take((say(fd, large), fd));
    fd = client(AF_INET);
    close(fd);
    ask(GET("/metrics"));
    expect_body("x 1\n");
}

/* A second's worth of scrapes costs one text, and no more. */
static void test_once_a_second(void **state)
{
    const int64_t from = now_s();

    (void)state;
    for (int i = 0; i < 200; i++)
        ask(GET("/metrics"));
    assert_in_range(texts, 1, now_s() - from + 2);
    text = "y 2\n";
    while (!strstr(answer, "y 2"))
        ask(GET("/metrics"));
    assert_in_range(now_s() - from, 0, PATIENCE_S);
}

static void test_no_text(void **state)
{
    (void)state;
    text_error = -ENOMEM;
    ask(GET("/metrics"));
    assert_null(strstr(answer, "x 1"));
    text_error = 0;
    ask(GET("/metrics"));
    expect_body("x 1\n");
}

/* A machine may do without. */
static bool has_ipv6(void)
{
    struct sockaddr_storage address;
    const socklen_t size = loopback(AF_INET6, 0, &address);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0;

    if (fd >= 0)
        close(fd);
    return works;
}

static void test_ipv6(void **state)
{
    int fd;

    (void)state;
    if (!has_ipv6())
        skip();
    assert_int_equal(metrics_http_listen(http, "::1", port), 0);
    fd = client(AF_INET6);
    say(fd, GET("/metrics"));
    assert_true(take(fd));
    expect_body("x 1\n");
    ask(GET("/metrics"));
    expect_body("x 1\n");
}

static void test_addresses(void **state)
{
    (void)state;
    assert_int_equal(metrics_http_listen(http, "127.0.0.1", port), -EADDRINUSE);
    assert_int_equal(metrics_http_listen(http, "localhost", port), -EINVAL);
    assert_int_equal(metrics_http_listen(http, "192.0.2.1", port), 0); /* it may come yet */
    for (unsigned i = 2; i < METRICS_HTTP_LISTEN_MAX; i++)
        assert_int_equal(metrics_http_listen(http, "127.0.0.1", free_port()), 0);
    assert_int_equal(metrics_http_listen(http, "127.0.0.1", free_port()), -ENOBUFS);
}

/* More than are served at a time; the rest waits. */
static void test_crowd(void **state)
{
    int fds[CROWD];

    (void)state;
    for (size_t i = 0; i < CROWD; i++) {
        fds[i] = client(AF_INET);
        say(fds[i], GET("/metrics"));
    }
    for (size_t i = 0; i < CROWD; i++) {
        assert_true(take(fds[i]));
        expect_body("x 1\n");
    }
}

/* Those who do not ask, and those who do not take the answer, lose their place. */
static void test_slow_clients(void **state)
{
    static char large[ANSWER_MAX / 2];
    int fds[METRICS_HTTP_CLIENTS_MAX];
    const int64_t from = now_s();

    (void)state;
    memset(large, 'x', sizeof large - 1);
    text = large;
    for (size_t i = 0; i < METRICS_HTTP_CLIENTS_MAX; i++) {
        fds[i] = client(AF_INET);
        if (i % 2 == 0)
            say(fds[i], GET("/metrics"));
        else if (i % 4 == 1)
            say(fds[i], "GET /metrics HT");
        assert_true(sd_event_run(loop, 100000) >= 0);
    }
    ask(GET("/"));
    expect_head("HTTP/1.1 200 OK\r\n");
    assert_in_range(now_s() - from, METRICS_HTTP_TIME_S - 2, PATIENCE_S);
    assert_false(take(fds[0]) && strlen(answer) > sizeof large);
    for (size_t i = 1; i < METRICS_HTTP_CLIENTS_MAX; i++)
        (void)take(fds[i]);
    ask(GET("/metrics"));
    assert_true(strlen(answer) > sizeof large);
}

/* With clients at every stage. */
static void test_close(void **state)
{
    int silent = client(AF_INET), asking = client(AF_INET);

    (void)state;
    say(asking, "GET /metrics HT");
    ask(GET("/metrics"));
    metrics_http_close(http);
    http = NULL;
    assert_true(take(asking));
    assert_true(take(silent));
    metrics_http_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_metrics),   TEST(test_head),     TEST(test_other_paths),
        TEST(test_other_methods), TEST(test_nonsense), TEST(test_once_a_second),
        TEST(test_no_text),   TEST(test_ipv6),     TEST(test_addresses),
        TEST(test_crowd),     TEST(test_slow_clients), TEST(test_close),
    };

    journal_open(LOG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening, and who is let in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "daemon/journal.h"
#include "transport_side.h"

static const struct transport_limits two = {.max_peers = 2, .frames_per_second = 1000};

static bool from_afar;           /* accepted connections seem to come from 192.0.2.7 */
static int accepted;             /* descriptor of the last one */
static unsigned failing_accepts; /* with ECONNABORTED */

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags)
{
    int (*real)(int, struct sockaddr *, socklen_t *, int);
    int r;

    if (failing_accepts > 0) {
        failing_accepts--;
        errno = ECONNABORTED;
        return -1;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "accept4");
    r = real(fd, address, size, flags);
    if (r >= 0)
        accepted = r;
    if (r >= 0 && from_afar)
        inet_pton(AF_INET, "192.0.2.7", &((struct sockaddr_in *)(void *)address)->sin_addr);
    return r;
}

static int setup(void **state)
{
    (void)state;
    from_afar = false;
    failing_accepts = 0;
    return 0;
}

static void test_loopback_names(void **state)
{
    static const char *const near[] = {"127.0.0.1", "127.255.3.4", "::1"};
    static const char *const far[] = {"128.0.0.1",        "126.0.0.1", "0.0.0.0", "::", "::2",
                                      "::ffff:127.0.0.1", "localhost", "127.1",   "",   "1"};

    (void)state;
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
        assert_true(transport_is_loopback(near[i]));
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
        assert_false(transport_is_loopback(far[i]));
}

static void test_bad_limits(void **state)
{
    const struct transport_limits nobody = {.frames_per_second = 1}, nothing = {.max_peers = 1};
    const struct transport_handler handler = {0};
    struct transport *transport = NULL;

    (void)state;
    assert_int_equal(transport_new(NULL, &handler, &nobody, &transport), -EINVAL);
    assert_int_equal(transport_new(NULL, &handler, &nothing, &transport), -EINVAL);
    assert_null(transport);
    transport_free(NULL);
}

static void test_bad_addresses(void **state)
{
    struct side side;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_port(side.transport), 0);
    assert_int_equal(transport_listen(side.transport, "localhost", 0), -EINVAL);
    assert_int_equal(transport_listen(side.transport, "", 0), -EINVAL);
    assert_int_equal(transport_listen(side.transport, "127.1", 0), -EINVAL);
    assert_int_equal(transport_listen(side.transport, "fe80::1%nosuchlink", 0), -EINVAL);
    assert_int_equal(transport_port(side.transport), 0);
    side_close(&side);
}

static void test_an_address_that_may_come_later(void **state)
{
    struct side side;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "192.0.2.7", 0), 0);
    assert_int_equal(transport_listen(side.transport, "2001:db8::7", 0), 0);
    assert_int_not_equal(transport_port(side.transport), 0);
    side_close(&side);
}

static void test_in_use(void **state)
{
    struct side side, other;
    uint16_t port;

    (void)state;
    side_open(&side, NULL, &two);
    side_open(&other, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    port = transport_port(side.transport);
    assert_int_not_equal(port, 0);
    assert_int_equal(transport_listen(other.transport, "127.0.0.1", port), -EADDRINUSE);
    side_close(&side);
    assert_int_equal(transport_listen(other.transport, "127.0.0.1", port), 0);
    assert_int_equal(transport_port(other.transport), port);
    side_close(&other);
}

/* A connection of the old listener that still lingers must not stand in the way. */
static void test_listen_again(void **state)
{
    struct side side;
    uint16_t port;
    int fd;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    port = transport_port(side.transport);
    fd = dial(port);
    side_wait(&side, &side.ups, 1);
    side_close(&side);
    assert_end(fd);
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", port), 0);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

static void test_ipv6(void **state)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct side side;
    uint8_t frame[20];
    uint16_t port;
    int fd;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "::", 0), 0);
    port = transport_port(side.transport);
    /* V6ONLY: the same port of IPv4 is still free. */
    assert_int_equal(transport_listen(side.transport, "0.0.0.0", port), 0);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin6_port = htons(port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    side_wait(&side, &side.ups, 1);
    assert_int_equal(strncmp(side.address, "::1 port ", 9), 0);
    make_frame(frame, sizeof(frame), 1);
    write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.frames[0], 1);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

static int option(int level, int name)
{
    socklen_t size = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(accepted, level, name, &value, &size), 0);
    return value;
}

static void test_socket_options(void **state)
{
    struct side side;
    int fd;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    fd = dial(transport_port(side.transport));
    side_wait(&side, &side.ups, 1);
    assert_int_equal(strncmp(side.address, "127.0.0.1 port ", 15), 0);
    assert_int_equal(option(IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 10000);
    assert_int_equal(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_true(option(IPPROTO_TCP, TCP_KEEPIDLE) <= 10);
    assert_true(fcntl(accepted, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

static void test_loopback_only(void **state)
{
    const struct transport_limits near = {
        .max_peers = 2, .frames_per_second = 1, .loopback_only = true};
    struct side side;
    int fd;

    (void)state;
    side_open(&side, NULL, &near);
    assert_int_equal(transport_listen(side.transport, "0.0.0.0", 0), -EPERM);
    assert_int_equal(transport_listen(side.transport, "::", 0), -EPERM);
    assert_int_equal(transport_listen(side.transport, "::1", 0), 0);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    from_afar = true;
    fd = dial(transport_port(side.transport));
    assert_true(sd_event_run(side.loop, SIDE_STEP_US) > 0);
    assert_end(fd);
    assert_int_equal(side.ups, 0);
    from_afar = false;
    assert_int_equal(close(fd), 0);
    fd = dial(transport_port(side.transport));
    side_wait(&side, &side.ups, 1);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

static unsigned lines_in(int file)
{
    char text[4096];
    ssize_t length = pread(file, text, sizeof(text), 0);
    unsigned lines = 0;

    for (ssize_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

static void test_full_house(void **state)
{
    struct side side;
    int fd[5], kept = dup(STDERR_FILENO), said = memfd_create("said", MFD_CLOEXEC);

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        fd[i] = dial(transport_port(side.transport));
        side_wait(&side, &side.ups, i + 1);
        assert_int_equal(side.peer, i);
    }
    assert_true(dup2(said, STDERR_FILENO) >= 0);
    for (unsigned i = 2; i < 5; i++) {
        fd[i] = dial(transport_port(side.transport));
        side_settle(&side);
    }
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_int_equal(lines_in(said), 1);
    for (unsigned i = 2; i < 5; i++) {
        assert_end(fd[i]);
        assert_int_equal(close(fd[i]), 0);
    }
    assert_int_equal(side.ups, 2);

    assert_int_equal(close(fd[0]), 0);
    side_wait(&side, &side.downs, 1);
    fd[0] = dial(transport_port(side.transport));
    side_wait(&side, &side.ups, 3);
    assert_int_equal(side.peer, 0);
    side_close(&side);
    assert_int_equal(close(fd[0]) | close(fd[1]) | close(kept) | close(said), 0);
}

static void test_limits_changed(void **state)
{
    struct transport_limits limits = {.max_peers = 1, .frames_per_second = 1000};
    struct side side;
    int fd[4];

    (void)state;
    side_open(&side, NULL, &limits);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    limits.max_peers = 3;
    transport_limit(side.transport, &limits);
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = dial(transport_port(side.transport));
        side_wait(&side, &side.ups, i + 1);
        assert_int_equal(side.peer, i);
    }
    limits.max_peers = 1;
    transport_limit(side.transport, &limits);
    transport_close(side.transport, 0);
    transport_close(side.transport, 1);
    fd[3] = dial(transport_port(side.transport));
    side_settle(&side);
    assert_end(fd[3]);
    assert_int_equal(side.ups, 3);
    assert_int_equal(side.downs, 0);
    side_close(&side);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(close(fd[i]), 0);
}

/* Two hundred slots do not come out of the first allocation. */
static void test_many(void **state)
{
    enum { MANY = 200 };
    const struct transport_limits limits = {.max_peers = MANY, .frames_per_second = 1};
    struct side side;
    int fd[MANY];

    (void)state;
    side_open(&side, NULL, &limits);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    for (unsigned i = 0; i < MANY; i++)
        fd[i] = dial(transport_port(side.transport));
    side_wait(&side, &side.ups, MANY);
    assert_int_equal(side.peer, MANY - 1);
    side_close(&side);
    for (unsigned i = 0; i < MANY; i++) {
        assert_end(fd[i]);
        assert_int_equal(close(fd[i]), 0);
    }
}

/* No descriptor for a connection: the loop must rest, not spin, and then go on. */
static void test_no_descriptors(void **state)
{
    struct rlimit before, none;
    struct side side;
    int fd, next;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    side_settle(&side);
    fd = dial(transport_port(side.transport));
    next = dup(fd);
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(sd_event_run(side.loop, SIDE_STEP_US) > 0);
    assert_int_equal(sd_event_run(side.loop, 50000), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(side.ups, 0);
    side_wait(&side, &side.ups, 1);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

/* A connection that failed in the queue says nothing about the next. */
static void test_aborted_in_queue(void **state)
{
    struct side side;
    int fd;

    (void)state;
    side_open(&side, NULL, &two);
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    failing_accepts = 3;
    fd = dial(transport_port(side.transport));
    side_settle(&side);
    assert_int_equal(side.ups, 1);
    side_close(&side);
    assert_int_equal(close(fd), 0);
}

static void close_at_once(struct side *side)
{
    transport_close(side->transport, side->peer);
}

static void free_at_once(struct side *side)
{
    transport_free(side->transport);
    side->transport = NULL;
}

static void test_close_in_up(void **state)
{
    struct side side;
    int fd[2];

    (void)state;
    side_open(&side, NULL, &two);
    side.on_up = close_at_once;
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        fd[i] = dial(transport_port(side.transport));
        side_wait(&side, &side.ups, i + 1);
        assert_end(fd[i]);
        assert_int_equal(side.peer, 0);
        assert_int_equal(close(fd[i]), 0);
    }
    side_close(&side);
    assert_int_equal(side.downs, 0);
}

static void test_free_in_up(void **state)
{
    struct side side;
    int fd[2];

    (void)state;
    side_open(&side, NULL, &two);
    side.on_up = free_at_once;
    assert_int_equal(transport_listen(side.transport, "127.0.0.1", 0), 0);
    for (unsigned i = 0; i < 2; i++)
        fd[i] = dial(transport_port(side.transport));
    side_settle(&side);
    assert_int_equal(side.ups, 1);
    assert_end(fd[0]);
    side_close(&side);
    assert_int_equal(close(fd[0]) | close(fd[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_loopback_names, setup),
        cmocka_unit_test_setup(test_bad_limits, setup),
        cmocka_unit_test_setup(test_bad_addresses, setup),
        cmocka_unit_test_setup(test_an_address_that_may_come_later, setup),
        cmocka_unit_test_setup(test_in_use, setup),
        cmocka_unit_test_setup(test_listen_again, setup),
        cmocka_unit_test_setup(test_ipv6, setup),
        cmocka_unit_test_setup(test_socket_options, setup),
        cmocka_unit_test_setup(test_loopback_only, setup),
        cmocka_unit_test_setup(test_full_house, setup),
        cmocka_unit_test_setup(test_limits_changed, setup),
        cmocka_unit_test_setup(test_many, setup),
        cmocka_unit_test_setup(test_no_descriptors, setup),
        cmocka_unit_test_setup(test_aborted_in_queue, setup),
        cmocka_unit_test_setup(test_close_in_up, setup),
        cmocka_unit_test_setup(test_free_in_up, setup),
    };

    alarm(SIDE_TEST_S);
    journal_open(LOG_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

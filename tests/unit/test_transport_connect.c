/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection that a slave keeps. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#include "transport_side.h"

#define ATTEMPT_TIMEOUT_US UINT64_C(5000000)
#define RETRY_MIN_NS (10 * NS_PER_MS)
#define RETRY_MAX_NS (60 * NS_PER_MS)

static const struct transport_limits limits = {
    .max_peers = 2, .frames_per_second = 1000, .loopback_only = true};

static uint64_t later_us; /* the loop's clock is that much ahead */
static bool impatient;    /* an attempt times out soon */
static bool mirrored;       /* a connection attempt comes from the port it goes to */
static atomic_bool held;  /* lookups wait for the gate */
static sem_t entered, gate, freed;

int sd_event_now(sd_event *loop, clockid_t clock, uint64_t *usec)
{
    int (*real)(sd_event *, clockid_t, uint64_t *);
    int r;

    *(void **)&real = dlsym(RTLD_NEXT, "sd_event_now");
    r = real(loop, clock, usec);
    *usec += later_us;
    return r;
}

int sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
    int (*real)(sd_event_source *, uint64_t);
    uint64_t ahead_us = later_us;
    int r;

    *(void **)&real = dlsym(RTLD_NEXT, "sd_event_source_set_time_relative");
    later_us = 0; /* it asks sd_event_now() itself */
    r = real(source, impatient && usec == ATTEMPT_TIMEOUT_US ? 20000 : usec);
    later_us = ahead_us;
    return r;
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t);

    *(void **)&real = dlsym(RTLD_NEXT, "connect");
    if (mirrored && address->sa_family == AF_INET)
        assert_int_equal(bind(fd, address, size), 0);
    return real(fd, address, size);
}

/* "both.test" is 127.0.0.1 and then ::1; "far.test" is 192.0.2.7. */
int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict addresses)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int verdict;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (atomic_load(&held)) {
        (void)sem_post(&entered);
        (void)sem_wait(&gate);
    }
    if (strcmp(host, "far.test") == 0)
        return real("192.0.2.7", service, hints, addresses);
    if (strcmp(host, "both.test") != 0)
        return real(host, service, hints, addresses);
    verdict = real("127.0.0.1", service, hints, addresses);
    return verdict == 0 ? real("::1", service, hints, &(*addresses)->ai_next) : verdict;
}

void freeaddrinfo(struct addrinfo *addresses)
{
    void (*real)(struct addrinfo *);

    *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
    real(addresses);
    (void)sem_post(&freed);
}

static int setup(void **state)
{
    (void)state;
    later_us = 0;
    impatient = false;
    mirrored = false;
    atomic_store(&held, false);
    return sem_init(&entered, 0, 0) < 0 || sem_init(&gate, 0, 0) < 0 || sem_init(&freed, 0, 0) < 0;
}

static void connect_to(struct side *slave, const char *host, uint16_t port)
{
    assert_int_equal(transport_connect(slave->transport, host, port, RETRY_MIN_NS, RETRY_MAX_NS),
                     0);
}

/* A master, and a slave on its loop that found it. */
static void start(struct side *master, struct side *slave)
{
    side_open(master, NULL, &limits);
    assert_int_equal(transport_listen(master->transport, "127.0.0.1", 0), 0);
    side_open(slave, master->loop, &limits);
    connect_to(slave, "127.0.0.1", transport_port(master->transport));
    side_wait(slave, &slave->ups, 1);
    side_wait(master, &master->ups, 1);
}

static void assert_wait(int64_t wait_ns, int64_t base_ns)
{
    assert_in_range(wait_ns, base_ns - base_ns / 4, base_ns + base_ns / 4);
}

static void test_bad_arguments(void **state)
{
    struct side side;

    (void)state;
    side_open(&side, NULL, &limits);
    assert_int_equal(transport_connect(side.transport, "127.0.0.1", 0, 1, 2), -EINVAL);
    assert_int_equal(transport_connect(side.transport, "", 1, 1, 2), -EINVAL);
    assert_int_equal(transport_connect(side.transport, "127.0.0.1", 1, 0, 2), -EINVAL);
    assert_int_equal(transport_connect(side.transport, "127.0.0.1", 1, 3, 2), -EINVAL);
    assert_int_equal(transport_connect(side.transport, "127.0.0.1", 1, 1, INT64_MAX), -EINVAL);
    side_settle(&side);
    side_close(&side);
}

static void test_both_ways(void **state)
{
    struct side master, slave;
    uint8_t frame[WIRE_FRAME_MAX];
    char expected[TRANSPORT_ADDRESS_SIZE];

    (void)state;
    start(&master, &slave);
    snprintf(expected, sizeof(expected), "127.0.0.1 port %u", transport_port(master.transport));
    assert_string_equal(slave.address, expected);
    make_frame(frame, sizeof(frame), 1);
    assert_int_equal(transport_send(slave.transport, 0, frame, sizeof(frame), false, NULL), 0);
    side_wait(&master, &master.frames[0], 1);
    assert_memory_equal(master.frame, frame, sizeof(frame));
    make_frame(frame, 30, 2);
    assert_int_equal(transport_send(master.transport, 0, frame, 30, false, NULL), 0);
    side_wait(&slave, &slave.frames[0], 1);
    assert_int_equal(slave.length, 30);
    assert_memory_equal(slave.frame, frame, 30);
    side_close(&slave);
    side_wait(&master, &master.downs, 1);
    assert_int_equal(master.error, 0);
    side_close(&master);
}

static void test_waits_grow(void **state)
{
    struct side slave;
    uint16_t port = unused_port();
    char expected[128];

    (void)state;
    side_open(&slave, NULL, &limits);
    connect_to(&slave, "localhost", port);
    side_wait(&slave, &slave.unreachables, 5);
    assert_wait(slave.retry_ns[0], RETRY_MIN_NS);
    assert_wait(slave.retry_ns[1], 2 * RETRY_MIN_NS);
    assert_wait(slave.retry_ns[2], 4 * RETRY_MIN_NS);
    assert_wait(slave.retry_ns[3], RETRY_MAX_NS);
    assert_wait(slave.retry_ns[4], RETRY_MAX_NS);
    /* Five waits without a difference among their jitters are no jitter. */
    assert_false(slave.retry_ns[1] == 2 * slave.retry_ns[0] &&
                 slave.retry_ns[2] == 4 * slave.retry_ns[0] &&
                 slave.retry_ns[3] == slave.retry_ns[4]);
    snprintf(expected, sizeof(expected), " port %u): Connection refused", port);
    assert_int_equal(strncmp(slave.what, "localhost (", 11), 0);
    assert_non_null(strstr(slave.what, expected));
    side_close(&slave);
}

static void test_master_restarts(void **state)
{
    struct side master, slave;
    uint16_t port;

    (void)state;
    start(&master, &slave);
    port = transport_port(master.transport);
    side_close(&master);
    side_wait(&slave, &slave.downs, 1);
    assert_int_equal(slave.error, 0);
    side_wait(&slave, &slave.unreachables, 2);
    /* The short connection did not start the waits over. */
    assert_wait(slave.retry_ns[0], 2 * RETRY_MIN_NS);
    assert_wait(slave.retry_ns[1], 4 * RETRY_MIN_NS);
    assert_int_equal(strncmp(slave.what, "127.0.0.1 port ", 15), 0);

    side_open(&master, slave.loop, &limits);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", port), 0);
    side_wait(&slave, &slave.ups, 2);
    side_wait(&master, &master.ups, 1);
    side_close(&slave);
    side_close(&master);
}

static void test_steady_connection_starts_over(void **state)
{
    struct side master, slave;
    uint16_t port = unused_port();

    (void)state;
    side_open(&slave, NULL, &limits);
    side_open(&master, slave.loop, &limits);
    connect_to(&slave, "127.0.0.1", port);
    side_wait(&slave, &slave.unreachables, 3);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", port), 0);
    side_wait(&slave, &slave.ups, 1);
    later_us = 10000000;
    side_close(&master);
    side_wait(&slave, &slave.unreachables, 4);
    /* The first wait followed the loss, the second the refusal. */
    assert_wait(slave.retry_ns[3], 2 * RETRY_MIN_NS);
    side_close(&slave);
}

static void test_closed_by_us(void **state)
{
    struct side master, slave;

    (void)state;
    start(&master, &slave);
    transport_close(slave.transport, slave.peer);
    side_wait(&slave, &slave.ups, 2);
    assert_int_equal(slave.downs, 0);
    side_wait(&master, &master.ups, 2);
    side_close(&slave);
    side_close(&master);
}

static void test_elsewhere(void **state)
{
    struct side master, other, slave;

    (void)state;
    start(&master, &slave);
    side_open(&other, slave.loop, &limits);
    assert_int_equal(transport_listen(other.transport, "127.0.0.1", 0), 0);
    connect_to(&slave, "127.0.0.1", transport_port(master.transport));
    side_settle(&slave);
    assert_int_equal(slave.downs, 0);
    /* A wait before the first attempt would be noticed. */
    assert_int_equal(transport_connect(slave.transport, "127.0.0.1",
                                       transport_port(other.transport), 3600 * NS_PER_S,
                                       3600 * NS_PER_S),
                     0);
    assert_int_equal(slave.downs, 1);
    assert_int_equal(slave.error, -ECANCELED);
    side_wait(&other, &other.ups, 1);
    side_wait(&slave, &slave.ups, 2);
    side_wait(&master, &master.downs, 1);
    side_settle(&slave);
    assert_int_equal(master.ups, 1);
    side_close(&slave);
    side_close(&other);
    side_close(&master);
}

/* Other waits are no reason to drop a connection, and hold for a wait under way. */
static void test_other_waits(void **state)
{
    struct side master, slave;
    uint16_t port;

    (void)state;
    start(&master, &slave);
    port = transport_port(master.transport);
    connect_to(&slave, "127.0.0.1", port);
    side_wait(&slave, &slave.ups, 1);
    assert_int_equal(transport_connect(slave.transport, "127.0.0.1", port, 3600 * NS_PER_S,
                                       3600 * NS_PER_S),
                     0);
    side_settle(&slave);
    assert_int_equal(slave.downs, 0);
    transport_close(slave.transport, slave.peer);
    connect_to(&slave, "127.0.0.1", port);
    side_wait(&slave, &slave.ups, 2);
    side_close(&slave);
    side_close(&master);
}

static void test_no_such_host(void **state)
{
    struct side slave;

    (void)state;
    side_open(&slave, NULL, &limits);
    connect_to(&slave, "no-such-host.invalid", 5525);
    side_wait(&slave, &slave.unreachables, 1);
    assert_int_equal(strncmp(slave.what, "no-such-host.invalid: ", 22), 0);
    assert_wait(slave.retry_ns[0], RETRY_MIN_NS);
    side_wait(&slave, &slave.unreachables, 2);
    assert_int_equal(slave.ups, 0);
    side_close(&slave);
}

static void test_loopback_only(void **state)
{
    struct side slave;

    (void)state;
    side_open(&slave, NULL, &limits);
    connect_to(&slave, "far.test", 5525);
    side_wait(&slave, &slave.unreachables, 1);
    assert_non_null(strstr(slave.what, "far.test (192.0.2.7 port 5525): not a loopback address"));
    side_close(&slave);
}

/* The kernel would let a socket talk to itself where nobody listens. */
static void test_not_itself(void **state)
{
    struct side slave;

    (void)state;
    mirrored = true;
    side_open(&slave, NULL, &limits);
    connect_to(&slave, "127.0.0.1", unused_port());
    side_wait(&slave, &slave.unreachables, 1);
    assert_non_null(strstr(slave.what, ": Connection refused"));
    assert_int_equal(slave.ups, 0);
    side_close(&slave);
}

/* A master on ::1 alone, for a name that is 127.0.0.1 first. */
static void start_second_address(struct side *master, struct side *slave, uint16_t port)
{
    side_open(master, NULL, &limits);
    assert_int_equal(transport_listen(master->transport, "::1", port), 0);
    side_open(slave, master->loop, &limits);
    connect_to(slave, "both.test", transport_port(master->transport));
}

static void test_next_address(void **state)
{
    struct side master, slave;

    (void)state;
    start_second_address(&master, &slave, unused_port());
    side_wait(&slave, &slave.ups, 1);
    assert_int_equal(strncmp(slave.address, "::1 port ", 9), 0);
    assert_int_equal(slave.unreachables, 0);
    side_close(&slave);
    side_close(&master);
}

/* The first address answers nothing at all: a listener whose queue is full. The
 * kernel itself would give up after the 10 s of TCP_USER_TIMEOUT. */
static void test_attempt_times_out(void **state)
{
    enum { FILL = 4 };
    struct side master, slave;
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[FILL];

    (void)state;
    impatient = true;
    assert_int_equal(bind(deaf, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(deaf, 0), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&address, &size), 0);
    for (unsigned i = 0; i < FILL; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&address, sizeof(address));
    }
    start_second_address(&master, &slave, ntohs(address.sin_port));
    while (slave.ups == 0)
        assert_true(sd_event_run(slave.loop, 5000000) > 0);
    assert_int_equal(strncmp(slave.address, "::1 port ", 9), 0);
    side_close(&slave);
    side_close(&master);
    for (unsigned i = 0; i < FILL; i++)
        assert_int_equal(close(fill[i]), 0);
    assert_int_equal(close(deaf), 0);
}

static void test_free_while_resolving(void **state)
{
    struct side slave;

    (void)state;
    side_open(&slave, NULL, &limits);
    atomic_store(&held, true);
    connect_to(&slave, "127.0.0.1", 5525);
    assert_true(sd_event_run(slave.loop, SIDE_STEP_US) > 0);
    assert_int_equal(sem_wait(&entered), 0);
    side_close(&slave);
    assert_int_equal(sem_post(&gate), 0);
    assert_int_equal(sem_wait(&freed), 0);
    assert_int_equal(slave.ups + slave.unreachables, 0);
}

static void free_at_once(struct side *side)
{
    transport_free(side->transport);
    side->transport = NULL;
}

static void test_free_in_unreachable(void **state)
{
    struct side slave;

    (void)state;
    side_open(&slave, NULL, &limits);
    slave.on_unreachable = free_at_once;
    connect_to(&slave, "127.0.0.1", unused_port());
    side_wait(&slave, &slave.unreachables, 1);
    side_settle(&slave);
    side_close(&slave);
    assert_int_equal(slave.unreachables, 1);
}

static void test_free_in_up(void **state)
{
    struct side master, slave;

    (void)state;
    side_open(&master, NULL, &limits);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", 0), 0);
    side_open(&slave, master.loop, &limits);
    slave.on_up = free_at_once;
    connect_to(&slave, "127.0.0.1", transport_port(master.transport));
    side_wait(&master, &master.downs, 1);
    assert_int_equal(slave.ups, 1);
    side_close(&slave);
    side_close(&master);
}

static void go_nowhere(struct side *side)
{
    side->on_down = NULL;
    connect_to(side, "no-such-host.invalid", 1);
}

static void test_elsewhere_in_down(void **state)
{
    struct side master, slave;

    (void)state;
    start(&master, &slave);
    slave.on_down = go_nowhere;
    transport_close(master.transport, 0);
    side_wait(&slave, &slave.unreachables, 1);
    assert_int_equal(strncmp(slave.what, "no-such-host.invalid: ", 22), 0);
    assert_int_equal(slave.downs, 1);
    side_close(&slave);
    side_close(&master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bad_arguments, setup),
        cmocka_unit_test_setup(test_both_ways, setup),
        cmocka_unit_test_setup(test_waits_grow, setup),
        cmocka_unit_test_setup(test_master_restarts, setup),
        cmocka_unit_test_setup(test_steady_connection_starts_over, setup),
        cmocka_unit_test_setup(test_closed_by_us, setup),
        cmocka_unit_test_setup(test_elsewhere, setup),
        cmocka_unit_test_setup(test_other_waits, setup),
        cmocka_unit_test_setup(test_no_such_host, setup),
        cmocka_unit_test_setup(test_loopback_only, setup),
        cmocka_unit_test_setup(test_not_itself, setup),
        cmocka_unit_test_setup(test_next_address, setup),
        cmocka_unit_test_setup(test_attempt_times_out, setup),
        cmocka_unit_test_setup(test_free_while_resolving, setup),
        cmocka_unit_test_setup(test_free_in_unreachable, setup),
        cmocka_unit_test_setup(test_free_in_up, setup),
        cmocka_unit_test_setup(test_elsewhere_in_down, setup),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

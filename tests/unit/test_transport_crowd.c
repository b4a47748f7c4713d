/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may knock, how often, and how long he may take at the door. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport_keys.h"

/* Those who take their time make room for others, and go after theirs is over. */
static void slow_handshakes_do_not_keep_others_out(void **state)
{
    const struct transport_limits two = {.max_peers = 6,
                                         .frames_per_second = 1000,
                                         .handshakes = 2,
                                         .handshake_time_ns = 1500 * NS_PER_MS};
    struct side master, slave;
    int slow[3];

    (void)state;
    open_master(&master, &two, "shared " SECRET_A "\n");
    for (size_t i = 0; i < 3; i++)
        slow[i] = dial(transport_port(master.transport));
    while (count(&master).refused_handshakes < 1)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_int_equal(count(&master).accepted, 2);
    assert_end(slow[2]);
    while (count(&master).handshakes_late < 2)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_end(slow[0]);
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(close(slow[i]), 0);
    close_both(&master, &slave);
}

static int dial_from(const char *local, uint16_t port)
{
    struct sockaddr_in from = loopback(0), to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, local, &from.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        assert_int_equal(errno, EINPROGRESS);
    return fd;
}

static void assert_still_open(int fd)
{
    uint8_t byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Neither by holding them nor by asking again at once for what it lost. */
static void one_address_does_not_hold_all_places(void **state)
{
    const struct transport_limits three = {.max_peers = 6,
                                           .frames_per_second = 1000,
                                           .handshakes = 3,
                                           .handshake_time_ns = 60 * NS_PER_S};
    struct side master;
    uint16_t port;
    int greedy[5], other;

    (void)state;
    open_master(&master, &three, "shared " SECRET_A "\n");
    port = transport_port(master.transport);
    for (size_t i = 0; i < 3; i++)
        greedy[i] = dial_from("127.0.0.1", port);
    while (count(&master).accepted < 3)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);

    other = dial_from("127.0.0.2", port);
    while (count(&master).accepted + count(&master).refused_handshakes < 4)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_int_equal(count(&master).accepted, 4);
    assert_end(greedy[0]);
    assert_still_open(other);

    for (size_t i = 3; i < 5; i++)
        greedy[i] = dial_from("127.0.0.1", port);
    while (count(&master).accepted + count(&master).refused_handshakes < 6)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_still_open(other);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(close(greedy[i]), 0);
    assert_int_equal(close(other), 0);
    side_close(&master);
}

static int nap(sd_event_source *source, uint64_t usec, void *context)
{
    unsigned *naps = context;

    (void)source, (void)usec;
    ++*naps;
    return 0;
}

static void the_oldest_makes_room_after_a_second(void **state)
{
    const struct transport_limits one = {
        .max_peers = 6, .frames_per_second = 1000, .handshakes = 1, .handshake_time_ns = 60 * NS_PER_S};
    sd_event_source *timer = NULL;
    struct side master, slave;
    unsigned naps = 0;
    int slow;

    (void)state;
    open_master(&master, &one, "shared " SECRET_A "\n");
    slow = dial(transport_port(master.transport));
    assert_true(sd_event_add_time_relative(master.loop, &timer, CLOCK_MONOTONIC, 1200000, 1, nap,
                                           &naps) >= 0);
    side_wait(&master, &naps, 1);
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    assert_end(slow);
    assert_int_equal(count(&master).handshakes_late, 1);
    sd_event_source_unref(timer);
    assert_int_equal(close(slow), 0);
    close_both(&master, &slave);
}

static void some_addresses_stay_out(void **state)
{
    struct guard_rules rules = {.per_second = 1000};
    struct transport_limits denying = roomy;
    struct side master;
    int fd;

    (void)state;
    denying.rules = &rules;
    side_open(&master, NULL, &denying);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", 0), 0);
    fd = dial(transport_port(master.transport));
    side_wait(&master, &master.ups, 1);

    assert_int_equal(prefix_parse("127.0.0.0/8", &rules.deny[rules.denied++]), 0);
    transport_limit(master.transport, &denying);
    assert_int_equal(master.downs, 1);
    assert_int_equal(master.error, -EACCES);
    assert_int_equal(close(fd), 0);

    fd = dial(transport_port(master.transport));
    while (count(&master).refused_denied == 0)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_end(fd);
    assert_int_equal(master.ups, 1);
    assert_int_equal(close(fd), 0);
    side_close(&master);
}

static void who_knocks_too_often_waits_outside(void **state)
{
    const struct guard_rules rules = {.per_second = 1};
    struct transport_limits slow = roomy;
    struct side master;
    int fds[3];

    (void)state;
    slow.rules = &rules;
    side_open(&master, NULL, &slow);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", 0), 0);
    for (size_t i = 0; i < 3; i++)
        fds[i] = dial(transport_port(master.transport));
    while (count(&master).refused_often == 0)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    assert_int_equal(master.ups, 2);
    assert_end(fds[2]);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(close(fds[i]), 0);
    side_close(&master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_handshakes_do_not_keep_others_out),
        cmocka_unit_test(one_address_does_not_hold_all_places),
        cmocka_unit_test(the_oldest_makes_room_after_a_second),
        cmocka_unit_test(some_addresses_stay_out),
        cmocka_unit_test(who_knocks_too_often_waits_outside),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

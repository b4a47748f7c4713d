/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that need a key: who gets in, who does not, and what becomes of it when keys change. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "transport_side.h"

#define SECRET_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define SECRET_C "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WAIT_NS (50 * NS_PER_MS)
#define TLS_ALERT 21
#define ALERT_SIZE 7

static const struct transport_limits limits = {.max_peers = 6, .frames_per_second = 100000};

static struct keyring *ring(const char *text)
{
    char error[KEYRING_ERROR_SIZE];
    struct keyring *keyring = NULL;

    if (keyring_parse("test", text, strlen(text), &keyring, error) < 0)
        fail_msg("%s", error);
    return keyring;
}

static void open_master(struct side *master, const struct transport_limits *with, const char *keys)
{
    side_open(master, NULL, with);
    assert_int_equal(transport_secure(master->transport, ring(keys), "time1"), 0);
    assert_int_equal(transport_listen(master->transport, "127.0.0.1", 0), 0);
}

static void open_slave(struct side *slave, const struct side *master, const char *keys)
{
    side_open(slave, master->loop, &limits);
    if (keys)
        assert_int_equal(transport_secure(slave->transport, ring(keys), "node1"), 0);
    assert_int_equal(transport_connect(slave->transport, "127.0.0.1",
                                       transport_port(master->transport), WAIT_NS, WAIT_NS),
                     0);
}

static void close_both(struct side *master, struct side *slave)
{
    side_close(slave);
    side_close(master);
}

static struct transport_counters count(const struct side *side)
{
    struct transport_counters counters;

    transport_count(side->transport, &counters);
    return counters;
}

static void send_poll(struct side *side, uint32_t peer, uint32_t sequence)
{
    const struct wire_frame poll = {.type = WIRE_POLL, .sequence = sequence};
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    assert_int_equal(wire_encode(&poll, bytes, &length), 0);
    assert_int_equal(transport_send(side->transport, peer, bytes, length, true, NULL), 0);
}

static void frames_cross(struct side *master, struct side *slave)
{
    for (uint32_t i = 1; i <= 50; i++) {
        send_poll(master, master->peer, i);
        side_wait(master, &slave->frames[slave->peer], i);
        send_poll(slave, slave->peer, i);
        side_wait(master, &master->frames[master->peer], i);
    }
}

static void one_key_lets_both_in(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);
    assert_string_equal(master.owner, "");
    frames_cross(&master, &slave);
    assert_int_equal(count(&master).handshakes_done, 1);
    assert_int_equal(count(&master).accepted, 1);
    assert_int_equal(count(&master).frames_in, 50);
    assert_int_equal(count(&master).frames_out, 50);
    close_both(&master, &slave);
}

static void a_key_of_ones_own_names_its_owner(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\nown " SECRET_B " node1\n");
    open_slave(&slave, &master, "other " SECRET_C " node2\nown " SECRET_B " node1\n");
    side_wait(&master, &master.ups, 1);
    assert_string_equal(master.owner, "node1");
    side_wait(&master, &slave.ups, 1);
    assert_string_equal(slave.owner, "");
    assert_int_equal(count(&master).handshakes_failed, 0);
    close_both(&master, &slave);
}

/* Nothing of the machine behind it is touched, its clock neither. */
static void assert_untouched(const struct side *master)
{
    assert_int_equal(master->ups, 0);
    assert_int_equal(master->downs, 0);
    assert_int_equal(master->stamps, 0);
    assert_int_equal(master->stamped, 0);
}

static void another_secret_is_refused(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "shared " SECRET_B "\n");
    side_wait(&master, &slave.unreachables, 2);
    assert_non_null(strstr(slave.what, "it does not accept the key \"shared\""));
    assert_int_equal(slave.ups, 0);
    assert_untouched(&master);
    assert_true(count(&master).wrong_keys >= 2);
    assert_int_equal(count(&master).unknown_keys, 0);
    close_both(&master, &slave);
}

static void a_key_nobody_knows_is_refused(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "strange " SECRET_A "\n");
    side_wait(&master, &slave.unreachables, 2);
    assert_non_null(strstr(slave.what, "it does not accept the key \"strange\""));
    assert_untouched(&master);
    assert_true(count(&master).unknown_keys >= 2);
    close_both(&master, &slave);
}

/* Who speaks in clear gets an alert and the end. */
static void without_a_key_there_is_only_an_alert(void **state)
{
    uint8_t frame[100], answer[100];
    struct side master;
    ssize_t n;
    int fd;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    fd = dial(transport_port(master.transport));
    make_frame(frame, sizeof(frame), 1);
    write_all(fd, frame, sizeof(frame));
    while (count(&master).handshakes_failed == 0)
        assert_true(sd_event_run(master.loop, SIDE_STEP_US) > 0);
    n = recv(fd, answer, sizeof(answer), MSG_WAITALL);
    assert_int_equal(n, ALERT_SIZE);
    assert_int_equal(answer[0], TLS_ALERT);
    assert_untouched(&master);
    assert_int_equal(close(fd), 0);
    side_close(&master);
}

static void a_master_without_a_key_is_not_followed(void **state)
{
    struct side master, slave;

    (void)state;
    side_open(&master, NULL, &limits);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", 0), 0);
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.unreachables, 1);
    assert_non_null(strstr(slave.what, "no key there?"));
    assert_int_equal(slave.ups, 0);
    assert_int_equal(slave.stamps, 0);
    close_both(&master, &slave);
}

static void after_a_refusal_the_next_key_is_tried(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "old " SECRET_A "\n");
    open_slave(&slave, &master, "new " SECRET_B "\nold " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    assert_int_equal(slave.unreachables, 0);
    side_wait(&master, &master.ups, 1);
    frames_cross(&master, &slave);
    close_both(&master, &slave);
}

/* The master takes the new key in, the slave goes over to it, the old one is taken out. */
static void keys_rotate(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "old " SECRET_A "\n");
    open_slave(&slave, &master, "old " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);

    assert_int_equal(transport_secure(master.transport, ring("new " SECRET_B "\nold " SECRET_A),
                                      "time1"),
                     0);
    assert_int_equal(master.downs, 0);
    assert_int_equal(transport_secure(slave.transport, ring("new " SECRET_B "\nold " SECRET_A),
                                      "node1"),
                     0);
    assert_int_equal(slave.downs, 1);
    assert_int_equal(slave.error, -EKEYREVOKED);
    side_wait(&master, &slave.ups, 2);
    side_wait(&master, &master.ups, 2);
    side_wait(&master, &master.downs, 1);

    assert_int_equal(transport_secure(slave.transport, ring("new " SECRET_B "\nold " SECRET_A),
                                      "node1"),
                     0);
    assert_int_equal(transport_secure(master.transport, ring("new " SECRET_B), "time1"), 0);
    side_settle(&master);
    assert_int_equal(slave.downs, 1);
    assert_int_equal(master.downs, 1);
    close_both(&master, &slave);
}

static void a_withdrawn_key_ends_its_connections_only(void **state)
{
    struct side master, slave, other;

    (void)state;
    open_master(&master, &limits, "a " SECRET_A "\nb " SECRET_B "\n");
    open_slave(&slave, &master, "a " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    open_slave(&other, &master, "b " SECRET_B "\n");
    side_wait(&master, &other.ups, 1);
    side_wait(&master, &master.ups, 2);

    assert_int_equal(transport_secure(master.transport, ring("b " SECRET_B), "time1"), 0);
    assert_int_equal(master.downs, 1);
    assert_int_equal(master.error, -EKEYREVOKED);
    side_wait(&master, &slave.downs, 1);
    side_wait(&master, &slave.unreachables, 1);
    assert_int_equal(other.downs, 0);
    assert_int_equal(count(&master).revoked, 1);

    assert_int_equal(transport_secure(master.transport, ring("b " SECRET_C), "time1"), 0);
    assert_int_equal(master.downs, 2);
    side_close(&other);
    close_both(&master, &slave);
}

static void a_key_for_others_is_no_key(void **state)
{
    struct keyring *keyring = ring("x " SECRET_A " node2\n");
    struct side slave;

    (void)state;
    side_open(&slave, NULL, &limits);
    assert_int_equal(transport_secure(slave.transport, keyring, "node1"), 0);
    assert_int_equal(transport_connect(slave.transport, "127.0.0.1", 1, WAIT_NS, WAIT_NS),
                     -ENOKEY);
    assert_int_equal(transport_secure(slave.transport, ring("y " SECRET_A "\n"), "node1"), 0);
    assert_int_equal(transport_connect(slave.transport, "127.0.0.1", unused_port(), WAIT_NS,
                                       WAIT_NS),
                     0);
    keyring = ring("x " SECRET_A " node2\n");
    assert_int_equal(transport_secure(slave.transport, keyring, "node1"), -ENOKEY);
    keyring_free(keyring);
    side_close(&slave);
}

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

/* The frame's own stamp was taken before it was encrypted: a later one follows. */
static void a_stamp_from_after_the_encryption_follows(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);
    send_poll(&master, master.peer, 7);
    assert_int_equal(master.stamped, 0);
    transport_collect(master.transport, master.peer);
    assert_int_equal(master.stamped, 1);
    assert_int_equal(master.stamped_type, WIRE_POLL);
    assert_int_equal(master.stamped_sequence, 7);
    assert_int_equal(master.stamped_raw_ns, master.stamps);
    transport_collect(master.transport, master.peer);
    assert_int_equal(master.stamped, 1);
    close_both(&master, &slave);
}

/* What does not fit is lost in whole frames; what was begun arrives whole. */
static void a_peer_that_does_not_read_loses_whole_frames(void **state)
{
    struct side master, slave;
    uint8_t frame[200];
    unsigned sent = 0;
    int r;

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);
    do {
        make_frame(frame, sizeof(frame), ++sent);
        r = transport_send(master.transport, master.peer, frame, sizeof(frame), false, NULL);
    } while (r == 0);
    assert_int_equal(r, -EAGAIN);
    assert_true(count(&master).frames_unsent >= 1);
    side_wait(&master, &slave.frames[slave.peer], sent - 1);
    assert_int_equal(slave.frame[WIRE_HEADER_SIZE], (sent - 1) & 0xff);
    frames_cross(&slave, &master);
    close_both(&master, &slave);
}

static void a_farewell_arrives(void **state)
{
    struct side master, slave;
    uint8_t frame[20];

    (void)state;
    open_master(&master, &limits, "shared " SECRET_A "\n");
    open_slave(&slave, &master, "shared " SECRET_A "\n");
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);
    make_frame(frame, sizeof(frame), 9);
    assert_int_equal(
        transport_send(master.transport, master.peer, frame, sizeof(frame), false, NULL), 0);
    transport_close(master.transport, master.peer);
    side_wait(&master, &slave.downs, 1);
    assert_int_equal(slave.error, 0);
    assert_int_equal(slave.frames[slave.peer], 1);
    close_both(&master, &slave);
}

static void some_addresses_stay_out(void **state)
{
    struct guard_rules rules = {.per_second = 1000};
    struct transport_limits denying = limits;
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
    struct transport_limits slow = limits;
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
        cmocka_unit_test(one_key_lets_both_in),
        cmocka_unit_test(a_key_of_ones_own_names_its_owner),
        cmocka_unit_test(another_secret_is_refused),
        cmocka_unit_test(a_key_nobody_knows_is_refused),
        cmocka_unit_test(without_a_key_there_is_only_an_alert),
        cmocka_unit_test(a_master_without_a_key_is_not_followed),
        cmocka_unit_test(after_a_refusal_the_next_key_is_tried),
        cmocka_unit_test(keys_rotate),
        cmocka_unit_test(a_withdrawn_key_ends_its_connections_only),
        cmocka_unit_test(a_key_for_others_is_no_key),
        cmocka_unit_test(slow_handshakes_do_not_keep_others_out),
        cmocka_unit_test(the_oldest_makes_room_after_a_second),
        cmocka_unit_test(a_stamp_from_after_the_encryption_follows),
        cmocka_unit_test(a_peer_that_does_not_read_loses_whole_frames),
        cmocka_unit_test(a_farewell_arrives),
        cmocka_unit_test(some_addresses_stay_out),
        cmocka_unit_test(who_knocks_too_often_waits_outside),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

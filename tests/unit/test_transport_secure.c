/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that need a key: who gets in, who does not, and what becomes of it when keys change. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport_keys.h"

#define TLS_ALERT 21
#define ALERT_SIZE 7

static void one_key_lets_both_in(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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
    open_master(&master, &roomy, "shared " SECRET_A "\nown " SECRET_B " node1\n");
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
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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
    side_open(&master, NULL, &roomy);
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
    open_master(&master, &roomy, "old " SECRET_A "\n");
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
    open_master(&master, &roomy, "old " SECRET_A "\n");
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
    open_master(&master, &roomy, "a " SECRET_A "\nb " SECRET_B "\n");
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
    side_open(&slave, NULL, &roomy);
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

static void a_key_of_its_own_binds_a_name(void **state)
{
    struct side master;

    (void)state;
    side_open(&master, NULL, &roomy);
    assert_false(transport_binds(master.transport, "node1"));
    assert_int_equal(transport_secure(master.transport,
                                      ring("node2 " SECRET_A "\nown " SECRET_B " node1"), "time1"),
                     0);
    assert_true(transport_binds(master.transport, "node1"));
    assert_false(transport_binds(master.transport, "node2"));
    assert_false(transport_binds(master.transport, "own"));
    assert_int_equal(transport_secure(master.transport, ring("node2 " SECRET_A), "time1"), 0);
    assert_false(transport_binds(master.transport, "node1"));
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
        cmocka_unit_test(a_key_of_its_own_binds_a_name),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

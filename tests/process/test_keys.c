/* SPDX-License-Identifier: BSD-2-Clause */
/* Who has the key takes part; who has not gets an alert and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sealed.h"
#include "setup.h"

#define SECONDS 20
#define ALERT_SIZE 7 /* of a record with one alert in clear */
#define FROM "127\\.0\\.0\\.1 port [0-9]+"
#define DISAGREE "No connection with " FROM ": its key was .*is missing on one of the two"

struct intruder {
    const char *name;
    /* What the master sent until it closed, at most `size` bytes. */
    size_t (*knock)(struct harness *harness, uint16_t port, const struct secret_key *key,
                    uint8_t *bytes, size_t size);
    const char *said; /* by the master, after the address */
};

static size_t knock_sealed(struct harness *harness, uint16_t port, const struct secret_key *key,
                           uint8_t *bytes, size_t size)
{
    struct sealed *sealed = sealed_new(sealed_socket(port), key);
    struct hearing hearing = {.closed = false};
    int64_t deadline = harness_deadline(SECONDS);
    const uint8_t *heard;
    size_t length;

    assert_false(sealed_handshake(harness, sealed, SECONDS));
    while (!hearing.closed && harness_wait(harness, deadline))
        sealed_hear(sealed, &hearing);
    assert_true(hearing.closed);
    heard = sealed_heard(sealed, &length);
    assert_in_range(length, 0, size);
    memcpy(bytes, heard, length);
    sealed_close(sealed);
    return length;
}

static size_t knock_unknown(struct harness *harness, uint16_t port, const struct secret_key *key,
                            uint8_t *bytes, size_t size)
{
    struct secret_key stranger = *key;

    snprintf(stranger.identity, sizeof stranger.identity, "stranger");
    return knock_sealed(harness, port, &stranger, bytes, size);
}

static size_t knock_wrong(struct harness *harness, uint16_t port, const struct secret_key *key,
                          uint8_t *bytes, size_t size)
{
    const struct secret_key wrong = key_make(key->identity, NULL);

    return knock_sealed(harness, port, &wrong, bytes, size);
}

static size_t knock_plain(struct harness *harness, uint16_t port, const struct secret_key *key,
                          uint8_t *bytes, size_t size)
{
    const struct wire_frame hello = frames_hello("plain");
    struct tcp *tcp = tcp_connect(harness, port);
    size_t length;

    (void)key;
    assert_non_null(tcp);
    assert_true(frames_send(tcp, &hello));
    length = tcp_receive(tcp, bytes, size, SECONDS);
    tcp_close(tcp);
    return length;
}

/* A good hello, and then what is no TLS. */
static size_t knock_halfway(struct harness *harness, uint16_t port, const struct secret_key *key,
                            uint8_t *bytes, size_t size)
{
    struct tcp *tcp = tcp_connect(harness, port);
    uint8_t hello[1024];
    size_t length;

    assert_non_null(tcp);
    length = sealed_hello(key, hello, sizeof hello);
    hello[length / 2] ^= 1;
    assert_true(tcp_send(tcp, hello, length));
    length = tcp_receive(tcp, bytes, size, SECONDS);
    tcp_close(tcp);
    return length;
}

static const struct intruder intruders[] = {
    {"unknown", knock_unknown, "there is no key \"stranger\" here\\.$"},
    {"wrong", knock_wrong, "its key \"shared\" is another one than ours\\.$"},
    {"plain", knock_plain, "it does not speak TLS with a key as we do"},
    {"spoilt", knock_halfway,
     "its key \"shared\" is another one than ours\\.$|it does not speak TLS"},
};

static void expect_alert(const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return;
    assert_int_equal(length, ALERT_SIZE);
    assert_memory_equal(bytes, ((const uint8_t[]){21, 3, 3, 0, 2, 2}), ALERT_SIZE - 1);
}

static void test_intruder(void **state)
{
    const struct intruder *intruder = *state;
    struct harness *harness = harness_new();
    struct secret_key key = key_make("shared", NULL);
    uint16_t port = harness_port();
    const char *config = setup_keyed(harness, "master", port, &key, 1);
    struct process *master = process_start(harness, "--master", "-v", "-c", config, NULL);
    struct sealed *sealed;
    char line[256];
    uint8_t bytes[64];
    size_t length;

    assert_true(process_wait_line(master, "started as master", SECONDS));
    length = intruder->knock(harness, port, &key, bytes, sizeof bytes);
    expect_alert(bytes, length);
    snprintf(line, sizeof line, "Refused 1 connection, the last from " FROM ": (%s)",
             intruder->said);
    assert_true(process_wait_line(master, line, SECONDS));
    assert_int_equal(process_count_lines(master, "No connection with|joined|left"), 0);
    /* All is well with the key itself. */
    sealed = sealed_connect(harness, port, &key);
    assert_non_null(sealed);
    sealed_close(sealed);
    assert_int_equal(process_stop(master), 0);
    assert_true(harness_free(harness));
}

/* --- two that do not agree --- */

static struct process *start(struct harness *harness, const char *role, const char *name,
                             uint16_t port, const struct secret_key *keys, size_t count)
{
    const char *config = count > 0 ? setup_keyed(harness, name, port, keys, count)
                                   : setup_config(harness, name, port);

    return process_start(harness, role, "-v", "-c", config, NULL);
}

static void expect_disagreement(struct harness *harness, const struct secret_key *masters,
                                const struct secret_key *slaves, const char *master_says,
                                const char *slave_says)
{
    uint16_t port = harness_port();
    struct process *master = start(harness, "--master", "master", port, masters, masters != NULL);
    struct process *slave = start(harness, "--slave", "slave", port, slaves, slaves != NULL);

    assert_true(process_wait_line(master, master_says, SECONDS));
    assert_true(process_wait_line(slave, slave_says, SECONDS));
    assert_int_equal(process_count_lines(slave, "Following master"), 0);
    assert_int_equal(process_count_lines(master, "Slave slave joined"), 0);
}

static void test_slave_without_a_key(void **state)
{
    const struct secret_key key = key_make("shared", NULL);

    expect_disagreement(*state, &key, NULL,
                        "Refused [0-9]+ connections?, the last from " FROM
                        ": it does not speak TLS with a key as we do",
                        DISAGREE);
}

static void test_master_without_a_key(void **state)
{
    const struct secret_key key = key_make("shared", NULL);

    expect_disagreement(*state, NULL, &key, DISAGREE,
                        "Cannot reach the master 127\\.0\\.0\\.1 .*: it (does not speak TLS|closed "
                        "the connection).* \\(no key there\\?");
}

static void test_slave_with_another_key(void **state)
{
    const struct secret_key key = key_make("shared", NULL), other = key_make("shared", NULL);

    expect_disagreement(*state, &key, &other,
                        "Refused [0-9]+ connections?, the last from " FROM
                        ": its key \"shared\" is another one than ours",
                        "Cannot reach the master 127\\.0\\.0\\.1 .*: it does not accept the key "
                        "\"shared\"");
}

/* --- keys of one machine each --- */

/* A key bound to a name on the master, in the hands of a machine of another name. */
static void test_key_of_another(void **state)
{
    const struct secret_key bound = key_make("key-one", "one");
    struct secret_key stolen = bound;
    uint16_t port = harness_port();
    struct process *master, *slave;

    stolen.name[0] = '\0';
    master = start(*state, "--master", "master", port, &bound, 1);
    slave = start(*state, "--slave", "two", port, &stolen, 1);
    assert_true(process_wait_line(master, "No connection with two \\(" FROM "\\): .*key", SECONDS));
    assert_true(process_wait_line(slave, "127\\.0\\.0\\.1.*: .*key", SECONDS));
    assert_int_equal(process_count_lines(master, "Slave .* joined"), 0);
}

/* A reference is believed: nobody with the common key may call itself one, not even before the
 * true one was ever there. */
static void test_name_of_a_reference(void **state)
{
    const struct secret_key keys[] = {key_make("shared", NULL), key_make("key-gps1", "gps1")};
    uint16_t port = harness_port();
    const char *config = setup_keyed(*state, "master", port, keys, 2);
    struct process *master, *thief, *gps;

    setup_override(*state, config, "master: { references = [\"gps1\"]; };\n");
    master = process_start(*state, "--master", "-v", "-c", config, NULL);
    thief = start(*state, "--slave", "gps1", port, &keys[0], 1);
    assert_true(
        process_wait_line(master, "No connection with gps1 \\(" FROM "\\): .*key", SECONDS));
    assert_true(process_wait_line(thief, "127\\.0\\.0\\.1.*: .*key", SECONDS));
    assert_int_equal(process_count_lines(master, "Slave gps1 .*joined"), 0);
    assert_int_equal(process_stop(thief), 0);
    gps = start(*state, "--slave", "gps1", port, &keys[1], 1);
    assert_true(process_wait_line(gps, "Following master", SECONDS));
    assert_true(process_wait_line(master, "Slave gps1 .*joined", SECONDS));
}

/* Its own name in the file: it knows itself that the key is not its own. */
static void test_no_key_for_this_machine(void **state)
{
    const struct secret_key bound = key_make("key-one", "one");
    struct process *slave = start(*state, "--slave", "two", harness_port(), &bound, 1);

    assert_int_equal(process_wait_exit(slave, SECONDS), 78);
    assert_true(process_wait_line(slave, "two\\.key: none of its keys is for this machine", 0));
}

static void test_revocation(void **state)
{
    const struct secret_key keys[] = {key_make("key-one", "one"), key_make("key-two", "two")};
    uint16_t port = harness_port();
    const char *config = setup_keyed(*state, "master", port, keys, 2);
    struct process *master, *one, *two;

    master = process_start(*state, "--master", "-v", "-c", config, NULL);
    one = start(*state, "--slave", "one", port, &keys[0], 1);
    two = start(*state, "--slave", "two", port, &keys[1], 1);
    assert_true(process_wait_line(one, "Following master", SECONDS));
    assert_true(process_wait_line(two, "Following master", SECONDS));
    setup_keys(*state, config, keys, 1);
    process_signal(master, SIGHUP);
    assert_true(process_wait_line(master, "Slave two left: .*key", SECONDS));
    assert_true(process_wait_line(two, "it does not accept the key \"key-two\"", SECONDS));
    assert_true(setup_wait_rounds(*state, one, setup_said(one), 4, SECONDS));
    assert_int_equal(process_count_lines(one, "Master .* is gone"), 0);
    assert_int_equal(process_count_lines(master, "Slave one left"), 0);
}

#define COUNT (sizeof intruders / sizeof intruders[0])
#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest others[] = {
        TEST(test_slave_without_a_key),     TEST(test_master_without_a_key),
        TEST(test_slave_with_another_key),  TEST(test_key_of_another),
        TEST(test_no_key_for_this_machine), TEST(test_revocation),
        TEST(test_name_of_a_reference),
    };
    struct CMUnitTest knocks[COUNT];
    int failed;

    for (size_t i = 0; i < COUNT; i++)
        knocks[i] = (struct CMUnitTest){.name = intruders[i].name,
                                        .test_func = test_intruder,
                                        .initial_state = (void *)&intruders[i]};
    failed = cmocka_run_group_tests_name("intruders", knocks, NULL, NULL);
    return failed + cmocka_run_group_tests_name("keys", others, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What reaches journald, in its own protocol, from a master and its slaves. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/message_ids.h"
#include "frames.h"
#include "setup.h"

#define SECONDS 15
#define NUMBER "^-?[0-9]+$"
/* systemd's SD_MESSAGE_TIME_SYNC, which desktops and monitors look for. */
#define TIME_SYNC "7c8a41f37b764941a0e1780b1be2f037"

static struct process *start(struct harness *harness, const char *role, const char *config,
                             struct journald *journald)
{
    return process_spawn(harness, &(struct process_options){
                                      .arguments = (const char *const[]){role, "-c", config, NULL},
                                      .journald = journald});
}

static void expect_field(struct journald *journald, long n, const char *key, const char *value)
{
    const char *found = journald_field(journald, (size_t)n, key, NULL);

    if (!found || strcmp(found, value) != 0)
        fail_msg("entry %ld: %s=%s instead of %s", n, key, found ? found : "(none)", value);
}

/* Does the same entry have a field like this? */
static void expect_like(struct journald *journald, long n, const char *key, const char *regex)
{
    if (journald_find(journald, (size_t)n, key, regex) != n)
        fail_msg("entry %ld: %s=%s is not like %s", n, key,
                 journald_field(journald, (size_t)n, key, NULL), regex);
}

static long wait_id(struct journald *journald, const char *id)
{
    long n = journald_wait(journald, 0, "MESSAGE_ID", id, SECONDS);

    if (n < 0)
        fail_msg("no entry of MESSAGE_ID=%s", id);
    return n;
}

static void expect_started(struct journald *journald, const char *role, const char *name)
{
    long n = wait_id(journald, MESSAGE_STARTED);
    char message[128];

    snprintf(message, sizeof message, "berkeleyd %s started as %s of group berkeley, as %s.",
             BERKELEY_VERSION, role, name);
    expect_field(journald, n, "MESSAGE", message);
    expect_field(journald, n, "PRIORITY", "5");
    expect_field(journald, n, "SYSLOG_IDENTIFIER", "berkeleyd");
}

static void expect_synchronised(struct journald *journald)
{
    long n = wait_id(journald, TIME_SYNC);

    expect_field(journald, n, "BERKELEY_STATE", "synchronised");
    expect_like(journald, n, "BERKELEY_OFFSET_NS", NUMBER);
    expect_like(journald, n, "BERKELEY_BOUND_NS", "^[1-9][0-9]*$");
    expect_like(journald, n, "MESSAGE", "^Synchronised: offset .*, within .* of the group\\.$");
    expect_field(journald, n, "PRIORITY", "5");
}

static void test_events(void **state)
{
    uint16_t port = harness_port();
    struct journald *master = journald_open(*state), *slave = journald_open(*state);
    const char *lead = setup_config(*state, "lead", port);
    const char *follow = setup_config(*state, "follow", port);
    struct process *process = start(*state, "--master", lead, master);
    long n;

    setup_override(*state, follow, "log_level = \"debug\";\n");
    start(*state, "--slave", follow, slave);
    expect_started(master, "master", "lead");
    expect_started(slave, "slave", "follow");
    n = wait_id(master, MESSAGE_SLAVE_JOINED);
    expect_field(master, n, "BERKELEY_PEER", "follow");
    expect_field(master, n, "PRIORITY", "6");
    n = wait_id(master, MESSAGE_GROUP_FORMED);
    expect_like(master, n, "BERKELEY_ROUND", "^[1-9][0-9]*$");
    expect_like(master, n, "MESSAGE", "2 of 2 clocks");
    n = wait_id(slave, MESSAGE_MASTER_FOUND);
    expect_field(slave, n, "BERKELEY_PEER", "lead");
    expect_synchronised(slave);
    expect_synchronised(master);
    n = wait_id(slave, MESSAGE_CORRECTION);
    expect_field(slave, n, "PRIORITY", "7");
    expect_field(slave, n, "BERKELEY_PEER", "lead");
    expect_like(slave, n, "BERKELEY_ROUND", "^[1-9][0-9]*$");
    expect_like(slave, n, "BERKELEY_OFFSET_NS", NUMBER);
    assert_true(journald_wait(slave, 0, "BERKELEY_DELAY_NS", "^[1-9][0-9]*$", SECONDS) >= 0);
    assert_int_equal(process_stop(process), 0);
    wait_id(master, MESSAGE_STOPPED);
    n = wait_id(slave, MESSAGE_MASTER_LOST);
    expect_field(slave, n, "BERKELEY_PEER", "lead");
    n = wait_id(slave, MESSAGE_STATE);
    expect_field(slave, n, "BERKELEY_STATE", "holdover");
    assert_int_equal(journald_faults(master) + journald_faults(slave), 0);
    assert_string_equal(process_stderr(process), "");
}

/* HELLO of a name that the encoder would not let out. */
static void send_name(struct tcp *tcp, const char *name)
{
    struct wire_frame hello = frames_hello("placeholder");
    uint8_t bytes[WIRE_FRAME_MAX], *at;
    size_t length;

    memset(hello.hello.id, 1, sizeof hello.hello.id);
    length = frames_encode(&hello, bytes);
    at = memmem(bytes, length, "placeholder", strlen("placeholder"));
    assert_non_null(at);
    memset(at, 0, WIRE_NAME_SIZE);
    memcpy(at, name, strlen(name));
    assert_true(tcp_send(tcp, bytes, length));
}

static void test_forgery(void **state)
{
    static const char honest[] = "a=b BERKELEY_STATE=synchronised \"%s%n\" MESSAGE_ID=0";
    uint16_t port = harness_port();
    struct journald *journald = journald_open(*state);
    struct wire_frame hello = frames_hello(honest);
    struct tcp *tcp;
    long n;

    start(*state, "--master", setup_config(*state, "lead", port), journald);
    wait_id(journald, MESSAGE_STARTED);
    tcp = tcp_connect(*state, port);
    send_name(tcp, "x\nPRIORITY=0\nMESSAGE=forged\nMESSAGE_ID=1");
    assert_true(tcp_wait_closed(tcp, SECONDS));
    tcp = tcp_connect(*state, port);
    send_name(tcp, "\x1b[2Jforged\r\n");
    assert_true(tcp_wait_closed(tcp, SECONDS));
    tcp = tcp_connect(*state, port);
    frames_send(tcp, &hello);
    n = wait_id(journald, MESSAGE_SLAVE_JOINED);
    expect_field(journald, n, "BERKELEY_PEER", honest);
    assert_null(journald_field(journald, (size_t)n, "BERKELEY_STATE", NULL));
    n = wait_id(journald, MESSAGE_FRAME_REFUSED);
    expect_field(journald, n, "BERKELEY_PEER", "127.0.0.1");
    expect_like(journald, n, "MESSAGE",
                "^Refused a frame of 127\\.0\\.0\\.1 port [0-9]+: name \\(.*; 1 refused");
    assert_int_equal(journald_find(journald, 0, "MESSAGE", "^forged"), -1);
    assert_int_equal(journald_find(journald, 0, "MESSAGE", "[[:cntrl:]]"), -1);
    assert_int_equal(journald_find(journald, 0, "PRIORITY", "^0$"), -1);
    assert_int_equal(journald_find(journald, 0, "MESSAGE_ID", "^.{0,31}$"), -1);
    assert_int_equal(journald_faults(journald), 0);
}

/* Who is turned away for want of room is told apart from who is refused for other reasons. */
static void test_no_room(void **state)
{
    struct wire_frame first = frames_hello("first"), second = frames_hello("second");
    uint16_t port = harness_port();
    struct journald *journald = journald_open(*state);
    const char *lead = setup_config(*state, "lead", port);
    struct tcp *tcp;
    long n;

    setup_override(*state, lead, "master: { max_slaves = 1; };\n");
    start(*state, "--master", lead, journald);
    wait_id(journald, MESSAGE_STARTED);
    frames_send(tcp_connect(*state, port), &first);
    wait_id(journald, MESSAGE_SLAVE_JOINED);
    tcp = tcp_connect(*state, port);
    frames_send(tcp, &second);
    n = wait_id(journald, MESSAGE_FULL);
    expect_field(journald, n, "BERKELEY_PEER", "second");
    expect_field(journald, n, "PRIORITY", "4");
    assert_true(tcp_wait_closed(tcp, SECONDS));
    assert_int_equal(journald_find(journald, 0, "MESSAGE_ID", MESSAGE_PEER_REFUSED), -1);
}

static void test_denied(void **state)
{
    uint16_t port = harness_port();
    struct journald *journald = journald_open(*state);
    const char *lead = setup_config(*state, "lead", port);
    long n;

    setup_override(*state, lead, "master: { deny = [\"127.0.0.1\"]; };\n");
    start(*state, "--master", lead, journald);
    wait_id(journald, MESSAGE_STARTED);
    assert_true(tcp_wait_closed(tcp_connect(*state, port), SECONDS));
    n = wait_id(journald, MESSAGE_PEER_REFUSED);
    expect_like(journald, n, "MESSAGE", "^Refused 1 connection, the last from 127\\.0\\.0\\.1 ");
}

/* Each of them deserves a line or two; all of them do not deserve a journal. */
static void test_flood(void **state)
{
    enum { PEERS = 300, KINDS = 5 };
    uint16_t port = harness_port();
    struct journald *journald = journald_open(*state);
    struct wire_frame report = frames_report(), stranger = frames_hello("stranger");
    const char *config = setup_config(*state, "lead", port);
    struct process *process = start(*state, "--master", config, journald);
    size_t before;

    strncpy(stranger.hello.group, "elsewhere", sizeof stranger.hello.group - 1);
    wait_id(journald, MESSAGE_STARTED);
    before = journald_count(journald);
    for (unsigned i = 0; i < PEERS; i++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        size_t length = frames_encode(&report, bytes);
        struct tcp *tcp = tcp_connect(*state, port);

        assert_non_null(tcp);
        if (i % KINDS == 0)
            bytes[0]++; /* the version */
        if (i % KINDS == 1)
            bytes[1] = 99; /* the type */
        if (i % KINDS == 2)
            memset(bytes + WIRE_HEADER_SIZE, 0xff, length - WIRE_HEADER_SIZE);
        if (i % KINDS == 3)
            length = frames_encode(&stranger, bytes);
        assert_true(tcp_send(tcp, bytes, length));
        assert_true(tcp_wait_closed(tcp, SECONDS));
        tcp_close(tcp);
    }
    /* Refused frames and refused peers of an address, and of a name: five lines each. */
    assert_in_range(journald_count(journald) - before, 1, 20);
    assert_int_equal(process_stop(process), 0);
    wait_id(journald, MESSAGE_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_forgery, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_denied, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_flood, harness_setup, harness_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

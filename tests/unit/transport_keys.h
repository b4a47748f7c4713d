/* SPDX-License-Identifier: BSD-2-Clause */
/* transport_keys: two sides that need a key of each other. */
#ifndef BERKELEY_TESTS_TRANSPORT_KEYS_H
#define BERKELEY_TESTS_TRANSPORT_KEYS_H

#include "transport_side.h"

#define SECRET_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECRET_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define SECRET_C "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WAIT_NS (50 * NS_PER_MS)

static const struct transport_limits roomy = {.max_peers = 6, .frames_per_second = 100000};

static inline struct keyring *ring(const char *text)
{
    char error[KEYRING_ERROR_SIZE];
    struct keyring *keyring = NULL;

    if (keyring_parse("test", text, strlen(text), &keyring, error) < 0)
        fail_msg("%s", error);
    return keyring;
}

static inline void open_master(struct side *master, const struct transport_limits *with, const char *keys)
{
    side_open(master, NULL, with);
    assert_int_equal(transport_secure(master->transport, ring(keys), "time1"), 0);
    assert_int_equal(transport_listen(master->transport, "127.0.0.1", 0), 0);
}

static inline void open_slave(struct side *slave, const struct side *master, const char *keys)
{
    side_open(slave, master->loop, &roomy);
    if (keys)
        assert_int_equal(transport_secure(slave->transport, ring(keys), "node1"), 0);
    assert_int_equal(transport_connect(slave->transport, "127.0.0.1",
                                       transport_port(master->transport), WAIT_NS, WAIT_NS),
                     0);
}

static inline void close_both(struct side *master, struct side *slave)
{
    side_close(slave);
    side_close(master);
}

static inline struct transport_counters count(const struct side *side)
{
    struct transport_counters counters;

    transport_count(side->transport, &counters);
    return counters;
}

static inline void send_poll(struct side *side, uint32_t peer, uint32_t sequence)
{
    const struct wire_frame poll = {.type = WIRE_POLL, .sequence = sequence};
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    assert_int_equal(wire_encode(&poll, bytes, &length), 0);
    assert_int_equal(transport_send(side->transport, peer, bytes, length, true, NULL), 0);
}

static inline void frames_cross(struct side *master, struct side *slave)
{
    for (uint32_t i = 1; i <= 50; i++) {
        send_poll(master, master->peer, i);
        side_wait(master, &slave->frames[slave->peer], i);
        send_poll(slave, slave->peer, i);
        side_wait(master, &master->frames[master->peer], i);
    }
}

#endif

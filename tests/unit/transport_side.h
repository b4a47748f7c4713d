/* SPDX-License-Identifier: BSD-2-Clause */
/* transport_side: a transport on a loop of its own that writes down every upcall,
 * and plain sockets to talk to it. */
#ifndef BERKELEY_TESTS_TRANSPORT_SIDE_H
#define BERKELEY_TESTS_TRANSPORT_SIDE_H

#include "core/wire.h"
#include "daemon/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SIDE_PEERS 8
#define SIDE_WAITS 16
#define SIDE_STEP_US UINT64_C(20000000)
#define SIDE_TEST_S 90

struct side {
    sd_event *loop;
    struct transport *transport;
    unsigned ups, downs, unreachables, stamps;
    unsigned frames[SIDE_PEERS];
    uint32_t peer; /* of the last upcall */
    int error;     /* of the last down() */
    char address[TRANSPORT_ADDRESS_SIZE], owner[KEYRING_NAME_SIZE];
    uint8_t frame[WIRE_FRAME_MAX];
    size_t length;
    struct reading arrived;
    enum stamp_source source;
    unsigned stamped;            /* by the kernel: frames that left, and the last of them */
    uint8_t stamped_type;
    uint32_t stamped_sequence;
    int64_t stamped_raw_ns;
    char what[512];
    int64_t retry_ns[SIDE_WAITS];
    void (*on_up)(struct side *side); /* after it was written down, if set */
    void (*on_down)(struct side *side);
    void (*on_frame)(struct side *side);
    void (*on_unreachable)(struct side *side);
};

static inline void side_up(void *context, uint32_t peer, const char *address, const char *owner)
{
    struct side *side = context;

    strncpy(side->owner, owner, sizeof(side->owner) - 1);
    side->ups++;
    side->peer = peer;
    strncpy(side->address, address, sizeof(side->address) - 1);
    if (side->on_up)
        side->on_up(side);
}

static inline void side_down(void *context, uint32_t peer, int error)
{
    struct side *side = context;

    side->downs++;
    side->peer = peer;
    side->error = error;
    if (side->on_down)
        side->on_down(side);
}

static inline void side_frame(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                              const struct reading *arrived, enum stamp_source source)
{
    struct side *side = context;

    assert_true(peer < SIDE_PEERS && length <= sizeof(side->frame));
    side->frames[peer]++;
    side->peer = peer;
    side->length = length;
    side->arrived = *arrived;
    side->source = source;
    memcpy(side->frame, bytes, length);
    if (side->on_frame)
        side->on_frame(side);
}

static inline void side_unreachable(void *context, const char *what, int64_t retry_ns)
{
    struct side *side = context;

    assert_true(side->unreachables < SIDE_WAITS);
    side->retry_ns[side->unreachables++] = retry_ns;
    strncpy(side->what, what, sizeof(side->what) - 1);
    if (side->on_unreachable)
        side->on_unreachable(side);
}

/* The n-th look at the clock reads n. */
static inline void side_stamp(void *context, struct reading *reading)
{
    struct side *side = context;

    *reading = (struct reading){.raw_ns = ++side->stamps, .total_ns = 7};
}

static inline int64_t real_now(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Takes REALTIME for its RAW. */
static inline void side_real(void *context, struct reading *reading)
{
    (void)context;
    *reading = (struct reading){.raw_ns = real_now()};
}

/* The kernel's stamps as they are; the side's own readings must then be of REALTIME too. */
static inline int side_convert(void *context, int64_t real_ns, struct reading *reading)
{
    (void)context;
    *reading = (struct reading){.raw_ns = real_ns};
    return 0;
}

static inline void side_stamped(void *context, uint32_t peer, uint8_t type, uint32_t sequence,
                                int64_t raw_ns)
{
    struct side *side = context;

    side->stamped++;
    side->peer = peer;
    side->stamped_type = type;
    side->stamped_sequence = sequence;
    side->stamped_raw_ns = raw_ns;
}

static inline void side_open(struct side *side, sd_event *loop,
                             const struct transport_limits *limits)
{
    struct transport_handler handler = {
        .up = side_up,
        .down = side_down,
        .frame = side_frame,
        .unreachable = side_unreachable,
        .stamp = side_stamp,
        .stamped = side_stamped,
        .context = side,
    };

    memset(side, 0, sizeof(*side));
    if (loop)
        side->loop = sd_event_ref(loop);
    else
        assert_true(sd_event_new(&side->loop) >= 0);
    assert_int_equal(transport_new(side->loop, &handler, limits, &side->transport), 0);
}

static inline void side_close(struct side *side)
{
    transport_free(side->transport);
    sd_event_unref(side->loop);
}

/* Runs the loop until the counter has come that far. */
static inline void side_wait(struct side *side, const unsigned *counter, unsigned count)
{
    while (*counter < count)
        assert_true(sd_event_run(side->loop, SIDE_STEP_US) > 0);
}

/* Runs the loop until there is nothing left to do at once. */
static inline void side_settle(struct side *side)
{
    int r;

    do
        r = sd_event_run(side->loop, 0);
    while (r > 0);
    assert_int_equal(r, 0);
}

static inline struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

/* A blocking socket, connected. */
static inline int dial(uint16_t port)
{
    const struct timeval patience = {.tv_sec = 20};
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A listening side and one client that came in. */
static inline int side_open_with_client(struct side *side, const struct transport_limits *limits)
{
    int fd;

    side_open(side, NULL, limits);
    assert_int_equal(transport_listen(side->transport, "127.0.0.1", 0), 0);
    fd = dial(transport_port(side->transport));
    side_wait(side, &side->ups, 1);
    return fd;
}

static inline void side_close_with_client(struct side *side, int fd)
{
    side_close(side);
    assert_int_equal(close(fd), 0);
}

/* Nobody listens there: it was free a moment ago. */
static inline uint16_t unused_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(close(fd), 0);
    return ntohs(address.sin_port);
}

/* A frame as far as the transport looks at it: a header, and a body told by the sequence. */
static inline void make_frame(uint8_t *bytes, size_t length, uint32_t sequence)
{
    const uint8_t header[WIRE_HEADER_SIZE] = {
        WIRE_VERSION,
        WIRE_BYE,
        (uint8_t)(length >> 8),
        (uint8_t)(length & 0xff),
        (uint8_t)(sequence >> 24),
        (uint8_t)(sequence >> 16 & 0xff),
        (uint8_t)(sequence >> 8 & 0xff),
        (uint8_t)(sequence & 0xff),
    };

    memcpy(bytes, header, sizeof(header));
    memset(bytes + sizeof(header), (int)(sequence & 0xff), length - sizeof(header));
}

static inline void write_all(int fd, const uint8_t *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
}

static inline void assert_read(int fd, const uint8_t *expected, size_t length)
{
    uint8_t bytes[WIRE_FRAME_MAX];

    assert_true(length <= sizeof(bytes));
    assert_int_equal(recv(fd, bytes, length, MSG_WAITALL), length);
    assert_memory_equal(bytes, expected, length);
}

static inline void assert_end(int fd)
{
    uint8_t byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes in over connections that stand, and closing them at any moment. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>

#include "transport_side.h"

#define SLOW_RATE 10u /* frames per second */

static const struct transport_limits generous = {.max_peers = 4, .frames_per_second = 1000000};
static const struct transport_limits narrow = {.max_peers = 4, .frames_per_second = SLOW_RATE};

static uint64_t later_us;   /* the loop's clock is that much ahead */
static bool stopped;        /* it stands at later_us */

int sd_event_now(sd_event *loop, clockid_t clock, uint64_t *usec)
{
    int (*real)(sd_event *, clockid_t, uint64_t *);
    int r;

    *(void **)&real = dlsym(RTLD_NEXT, "sd_event_now");
    r = real(loop, clock, usec);
    *usec = stopped ? later_us : *usec + later_us;
    return r;
}

static int start(struct side *side, const struct transport_limits *limits)
{
    later_us = 0;
    stopped = false;
    return side_open_with_client(side, limits);
}

static void send_back(struct side *side)
{
    int64_t sent_raw_ns = -1;

    assert_int_equal(
        transport_send(side->transport, side->peer, side->frame, side->length, false, &sent_raw_ns),
        0);
    assert_int_equal(sent_raw_ns, -1);
}

static void test_echo(void **state)
{
    static const size_t lengths[] = {WIRE_HEADER_SIZE, 9, 100, WIRE_FRAME_MAX};
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frame[WIRE_FRAME_MAX];

    (void)state;
    side.on_frame = send_back;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        make_frame(frame, lengths[i], i);
        write_all(fd, frame, lengths[i]);
        side_wait(&side, &side.frames[0], i + 1);
        assert_read(fd, frame, lengths[i]);
    }
    assert_int_equal(side.downs, 0);
    side_close_with_client(&side, fd);
}

static void expect_next(struct side *side)
{
    uint8_t expected[WIRE_FRAME_MAX];

    make_frame(expected, side->length, side->frames[0]);
    assert_memory_equal(side->frame, expected, side->length);
}

static void test_coalesced(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frames[3 * 20 + 5];
    unsigned stamps = side.stamps;

    (void)state;
    side.on_frame = expect_next;
    for (uint32_t i = 0; i < 3; i++)
        make_frame(frames + (size_t)20 * i, 20, i + 1);
    memcpy(frames + 60, frames, 5);
    write_all(fd, frames, sizeof(frames));
    side_wait(&side, &side.frames[0], 3);
    assert_int_equal(side.stamps, stamps + 1);
    assert_int_equal(side.arrived.raw_ns, side.stamps);
    assert_int_equal(side.arrived.total_ns, 7);
    side_settle(&side);
    assert_int_equal(side.frames[0], 3);
    side_close_with_client(&side, fd);
}

/* Far more than the buffer holds, so that frames lie across its end in every way. */
static void test_long_stream(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frame[WIRE_FRAME_MAX];
    uint32_t sequence = 0;

    (void)state;
    side.on_frame = expect_next;
    for (unsigned batch = 0; batch < 20; batch++) {
        for (unsigned i = 0; i < 50; i++) {
            size_t length = WIRE_HEADER_SIZE + (size_t)(sequence * 37 % 249);

            make_frame(frame, length, ++sequence);
            write_all(fd, frame, length);
        }
        side_wait(&side, &side.frames[0], sequence);
    }
    side_close_with_client(&side, fd);
}

static void test_byte_by_byte(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frame[40];

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    for (size_t i = 0; i < sizeof(frame); i++) {
        unsigned stamps = side.stamps;

        assert_int_equal(side.frames[0], 0);
        write_all(fd, frame + i, 1);
        side_wait(&side, &side.stamps, stamps + 1);
    }
    assert_int_equal(side.frames[0], 1);
    assert_memory_equal(side.frame, frame, sizeof(frame));
    assert_int_equal(side.arrived.raw_ns, side.stamps);
    side_close_with_client(&side, fd);
}

static void test_garbage(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t bytes[20 + 8];

    (void)state;
    make_frame(bytes, 20, 1);
    memset(bytes + 20, 'G', 8);
    write_all(fd, bytes, sizeof(bytes));
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.frames[0], 1);
    assert_int_equal(side.error, -EBADMSG);
    assert_int_equal(transport_send(side.transport, 0, bytes, 20, false, NULL), -ENOTCONN);
    assert_end(fd);
    side_close_with_client(&side, fd);
}

static void test_closed_by_other_end(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t bytes[20 + 3];

    (void)state;
    make_frame(bytes, 20, 1);
    memcpy(bytes + 20, bytes, 3);
    write_all(fd, bytes, sizeof(bytes));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.frames[0], 1);
    assert_int_equal(side.error, 0);
    side_close_with_client(&side, fd);
}

static void test_reset_by_other_end(void **state)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct side side;
    int fd = start(&side, &generous);

    (void)state;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    assert_int_equal(close(fd), 0);
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.error, -ECONNRESET);
    side_close(&side);
}

/* Silence is no fault, and costs no turn of the loop. */
static void test_silent(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frame[20];

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    write_all(fd, frame, 7);
    side_wait(&side, &side.stamps, 1);
    assert_int_equal(sd_event_run(side.loop, 50000), 0);
    assert_int_equal(side.frames[0] + side.downs, 0);
    write_all(fd, frame + 7, sizeof(frame) - 7);
    side_wait(&side, &side.frames[0], 1);
    side_close_with_client(&side, fd);
}

static void test_rate(void **state)
{
    struct side side;
    int fd = start(&side, &narrow);
    uint8_t frame[20];

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    assert_true(sd_event_now(side.loop, CLOCK_MONOTONIC, &later_us) >= 0);
    stopped = true;
    for (unsigned i = 0; i < 2 * SLOW_RATE; i++)
        write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.frames[0], 2 * SLOW_RATE);
    later_us += 1000000;
    for (unsigned i = 0; i < SLOW_RATE; i++)
        write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.frames[0], 3 * SLOW_RATE);
    later_us += UINT64_MAX / SLOW_RATE + 1; /* the product is beyond 64 bits */
    for (unsigned i = 0; i < 2 * SLOW_RATE; i++)
        write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.frames[0], 5 * SLOW_RATE);
    assert_int_equal(side.downs, 0);
    write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.frames[0], 5 * SLOW_RATE);
    assert_int_equal(side.error, -EBUSY);
    side_close_with_client(&side, fd);
}

/* Frames in crumbs cost as many turns of the loop as crumbs: sixteen of them count as a frame. */
static void test_crumbs(void **state)
{
    struct side side;
    int fd = start(&side, &narrow);
    uint8_t frame[WIRE_FRAME_MAX];
    unsigned crumbs = 0;

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    assert_true(sd_event_now(side.loop, CLOCK_MONOTONIC, &later_us) >= 0);
    stopped = true;
    while (side.downs == 0) {
        write_all(fd, frame + crumbs++ % sizeof(frame), 1);
        assert_true(sd_event_run(side.loop, SIDE_STEP_US) > 0);
    }
    assert_int_equal(side.frames[0], 1);
    assert_int_equal(side.error, -EBUSY);
    assert_in_range(crumbs, 15 * 2 * SLOW_RATE, 16 * 2 * SLOW_RATE + 1);
    side_close_with_client(&side, fd);
}

/* One frame of the honest peer comes after 32 KiB of the other's: what the other
 * is dropped for keeps nobody waiting. */
static void test_flood_beside_honest(void **state)
{
    struct side side;
    int flood = start(&side, &narrow), honest = dial(transport_port(side.transport));
    uint8_t frame[32];

    (void)state;
    side_wait(&side, &side.ups, 2);
    make_frame(frame, sizeof(frame), 1);
    for (unsigned i = 0; i < 1024; i++)
        (void)send(flood, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT);
    write_all(honest, frame, sizeof(frame));
    side_wait(&side, &side.frames[1], 1);
    assert_true(side.frames[0] <= 2 * SLOW_RATE + 1);
    if (side.downs == 0)
        side_wait(&side, &side.downs, 1);
    assert_int_equal(side.error, -EBUSY);
    write_all(honest, frame, sizeof(frame));
    side_wait(&side, &side.frames[1], 2);
    assert_int_equal(side.downs, 1);
    assert_int_equal(close(flood), 0);
    side_close_with_client(&side, honest);
}

/* However much of a peer's input lies there, another one's turn comes next. */
static void test_turns(void **state)
{
    struct side side;
    int busy = start(&side, &generous), other = dial(transport_port(side.transport));
    uint8_t frame[32];

    (void)state;
    side_wait(&side, &side.ups, 2);
    make_frame(frame, sizeof(frame), 1);
    for (unsigned i = 0; i < 256; i++)
        write_all(busy, frame, sizeof(frame));
    write_all(other, frame, sizeof(frame));
    side_wait(&side, &side.frames[1], 1);
    assert_true(side.frames[0] <= (size_t)3 * 1024 / sizeof(frame));
    side_wait(&side, &side.frames[0], 256);
    assert_int_equal(close(other), 0);
    side_close_with_client(&side, busy);
}

static void close_peer(struct side *side)
{
    transport_close(side->transport, side->peer);
}

static void test_close_in_frame(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frames[40];

    (void)state;
    side.on_frame = close_peer;
    make_frame(frames, 20, 1);
    make_frame(frames + 20, 20, 2);
    write_all(fd, frames, sizeof(frames));
    side_wait(&side, &side.frames[0], 1);
    assert_end(fd);
    side_settle(&side);
    assert_int_equal(side.frames[0], 1);
    assert_int_equal(side.downs, 0);
    transport_close(side.transport, 0);
    transport_close(side.transport, 12345);
    side_close_with_client(&side, fd);
}

static void answer_and_close(struct side *side)
{
    send_back(side);
    transport_close(side->transport, side->peer);
}

/* The last word arrives although the other end's own was not read. */
static void test_close_after_last_word(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frame[20];

    (void)state;
    side.on_frame = answer_and_close;
    make_frame(frame, sizeof(frame), 1);
    for (unsigned i = 0; i < 100; i++)
        write_all(fd, frame, sizeof(frame));
    side_wait(&side, &side.frames[0], 1);
    assert_read(fd, frame, sizeof(frame));
    assert_end(fd);
    side_close_with_client(&side, fd);
}

static void close_other(struct side *side)
{
    transport_close(side->transport, 1 - side->peer);
}

/* Both have input; whoever is read first closes the other. */
static void test_close_other_in_frame(void **state)
{
    struct side side;
    int first = start(&side, &generous), second = dial(transport_port(side.transport));
    uint8_t frame[20];

    (void)state;
    side_wait(&side, &side.ups, 2);
    side.on_frame = close_other;
    make_frame(frame, sizeof(frame), 1);
    write_all(first, frame, sizeof(frame));
    write_all(second, frame, sizeof(frame));
    side_settle(&side);
    assert_int_equal(side.frames[0] + side.frames[1], 1);
    assert_int_equal(side.downs, 0);
    assert_int_equal(close(second), 0);
    side_close_with_client(&side, first);
}

static void free_all(struct side *side)
{
    transport_free(side->transport);
    side->transport = NULL;
}

static void test_free_in_frame(void **state)
{
    struct side side;
    int fd = start(&side, &generous);
    uint8_t frames[40];

    (void)state;
    side.on_frame = free_all;
    make_frame(frames, 20, 1);
    make_frame(frames + 20, 20, 2);
    write_all(fd, frames, sizeof(frames));
    side_wait(&side, &side.frames[0], 1);
    assert_end(fd);
    side_close_with_client(&side, fd);
    assert_int_equal(side.frames[0], 1);
}

static void test_free_in_down(void **state)
{
    struct side side;
    int fd = start(&side, &generous);

    (void)state;
    side.on_down = free_all;
    assert_int_equal(close(fd), 0);
    side_wait(&side, &side.downs, 1);
    side_close(&side);
    assert_int_equal(side.error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_coalesced),
        cmocka_unit_test(test_long_stream),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_closed_by_other_end),
        cmocka_unit_test(test_reset_by_other_end),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_crumbs),
        cmocka_unit_test(test_flood_beside_honest),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_close_in_frame),
        cmocka_unit_test(test_close_after_last_word),
        cmocka_unit_test(test_close_other_in_frame),
        cmocka_unit_test(test_free_in_frame),
        cmocka_unit_test(test_free_in_down),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

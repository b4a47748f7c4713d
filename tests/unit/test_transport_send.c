/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames to a peer, whether it reads them or not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>

#include "transport_side.h"

static const struct transport_limits limits = {.max_peers = 4, .frames_per_second = 1000};

static size_t send_at_most; /* bytes in one write; 0: as the kernel likes */

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);

    *(void **)&real = dlsym(RTLD_NEXT, "send");
    return real(fd, bytes, send_at_most > 0 && send_at_most < length ? send_at_most : length,
                flags);
}

static void test_stamped(void **state)
{
    struct side side;
    int fd = side_open_with_client(&side, &limits);
    const struct wire_frame poll = {.type = WIRE_POLL, .sequence = 5, .poll = {.round = 3}};
    struct wire_frame received;
    uint8_t bytes[WIRE_FRAME_MAX];
    unsigned faults;
    size_t length;
    int64_t sent_raw_ns = -1;

    (void)state;
    assert_int_equal(wire_encode(&poll, bytes, &length), 0);
    assert_int_equal(transport_send(side.transport, 0, bytes, length, true, &sent_raw_ns), 0);
    assert_int_equal(sent_raw_ns, side.stamps);
    assert_int_equal(recv(fd, bytes, length, MSG_WAITALL), length);
    assert_int_equal(wire_decode(bytes, length, WIRE_MINOR, &received, &faults), 0);
    assert_int_equal(received.poll.departure.sent.raw_ns, sent_raw_ns);
    assert_int_equal(received.poll.departure.sent.total_ns, 7);
    assert_int_equal(received.poll.departure.source, STAMP_USER);

    make_frame(bytes, 20, 1);
    assert_int_equal(transport_send(side.transport, 0, bytes, 20, true, &sent_raw_ns), -EINVAL);
    side_close_with_client(&side, fd);
}

static void test_partial_write(void **state)
{
    struct side side;
    int fd = side_open_with_client(&side, &limits);
    uint8_t frame[100], answer[20];

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    make_frame(answer, sizeof(answer), 2);
    send_at_most = 30;
    assert_int_equal(transport_send(side.transport, 0, frame, sizeof(frame), false, NULL), 0);
    assert_int_equal(transport_send(side.transport, 0, frame, sizeof(frame), false, NULL), -EAGAIN);
    side_settle(&side);
    send_at_most = 0;
    assert_read(fd, frame, sizeof(frame));
    assert_int_equal(transport_send(side.transport, 0, answer, sizeof(answer), false, NULL), 0);
    assert_read(fd, answer, sizeof(answer));
    assert_int_equal(sd_event_run(side.loop, 0), 0);
    side_close_with_client(&side, fd);
}

/* What is taken for a peer that does not read is bounded, and comes out whole. */
static void test_never_reading(void **state)
{
    struct side side;
    int fd = side_open_with_client(&side, &limits);
    uint8_t frame[WIRE_FRAME_MAX];
    uint32_t taken = 0;
    int r;

    (void)state;
    do {
        make_frame(frame, sizeof(frame), taken);
        r = transport_send(side.transport, 0, frame, sizeof(frame), false, NULL);
        side_settle(&side);
    } while (r == 0 && ++taken < 100000);
    assert_int_equal(r, -EAGAIN);
    assert_true(taken < (size_t)1024 * 1024 / sizeof(frame));
    for (uint32_t i = 0; i < taken; i++) {
        make_frame(frame, sizeof(frame), i);
        assert_read(fd, frame, sizeof(frame));
        side_settle(&side);
    }
    assert_int_equal(transport_send(side.transport, 0, frame, sizeof(frame), false, NULL), 0);
    assert_read(fd, frame, sizeof(frame));
    assert_int_equal(side.downs, 0);
    side_close_with_client(&side, fd);
}

/* The first write provokes the reset, a later one meets it; down() follows once. */
static void test_broken_write(void **state)
{
    struct side side;
    int fd = side_open_with_client(&side, &limits);
    uint8_t frame[20];
    int r = 0;

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    write_all(fd, frame, sizeof(frame));
    assert_int_equal(close(fd), 0);
    for (unsigned i = 0; i < 3 && r == 0; i++)
        r = transport_send(side.transport, 0, frame, sizeof(frame), false, NULL);
    assert_true(r == -EPIPE || r == -ECONNRESET);
    assert_int_equal(transport_send(side.transport, 0, frame, sizeof(frame), false, NULL), r);
    assert_int_equal(side.downs, 0);
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.frames[0], 1);
    assert_int_equal(side.error, r);
    side_settle(&side);
    assert_int_equal(side.downs, 1);
    side_close(&side);
}

/* Whoever asks is told the first reason, not what the kernel says afterwards. */
static void test_write_after_reset(void **state)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct side side;
    int fd = side_open_with_client(&side, &limits);
    uint8_t frame[20];

    (void)state;
    make_frame(frame, sizeof(frame), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    assert_int_equal(close(fd), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            transport_send(side.transport, 0, frame, sizeof(frame), false, NULL), -ECONNRESET);
    side_wait(&side, &side.downs, 1);
    assert_int_equal(side.error, -ECONNRESET);
    side_close(&side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stamped),
        cmocka_unit_test(test_partial_write),
        cmocka_unit_test(test_never_reading),
        cmocka_unit_test(test_broken_write),
        cmocka_unit_test(test_write_after_reset),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

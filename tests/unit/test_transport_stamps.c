/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's stamps: told apart by the byte, over a real connection, or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/transport_stamps.h"
#include "transport_side.h"

#define PATIENCE_MS 20000
#define TRIES 500 /* the kernel begins to stamp a moment after it was first asked to */

static const struct transport_limits limits = {.max_peers = 4, .frames_per_second = 100000};

static size_t send_at_most; /* bytes in one write; 0: as the kernel likes */
static bool unable;         /* the kernel knows no stamps */
static bool silent;         /* it says it does and tells none */
static int asked;           /* the last socket it was asked to stamp */
static unsigned lines;
static char line[256];

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int);

    *(void **)&real = dlsym(RTLD_NEXT, "send");
    return real(fd, bytes, send_at_most > 0 && send_at_most < length ? send_at_most : length,
                flags);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    int (*real)(int, int, int, const void *, socklen_t);

    *(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
    if (level == SOL_SOCKET && name == SO_TIMESTAMPING)
        asked = fd;
    if (level != SOL_SOCKET || name != SO_TIMESTAMPING || (!unable && !silent))
        return real(fd, level, name, value, size);
    errno = ENOPROTOOPT;
    return unable ? -1 : 0;
}

void journal_say(int priority, const struct journal_fields *fields, const char *format, ...)
{
    va_list arguments;

    (void)priority, (void)fields;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    lines += strstr(line, "kernel timestamps") != NULL;
}

int journal_errno(int error, const char *format, ...)
{
    (void)format;
    return error;
}

/* A listening side that takes REALTIME for its RAW, and asks for stamps. */
static int open_stamping(struct side *side)
{
    const struct transport_handler handler = {
        .up = side_up,
        .down = side_down,
        .frame = side_frame,
        .stamped = side_stamped,
        .stamp = side_real,
        .convert = side_convert,
        .context = side,
    };
    int fd;

    memset(side, 0, sizeof(*side));
    lines = 0;
    assert_true(sd_event_new(&side->loop) >= 0);
    assert_int_equal(transport_new(side->loop, &handler, &limits, &side->transport), 0);
    assert_int_equal(transport_listen(side->transport, "127.0.0.1", 0), 0);
    fd = dial(transport_port(side->transport));
    side_wait(side, &side->ups, 1);
    return fd;
}

static void send_poll(struct side *side, uint32_t sequence)
{
    const struct wire_frame poll = {.type = WIRE_POLL, .sequence = sequence};
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    assert_int_equal(wire_encode(&poll, bytes, &length), 0);
    assert_int_equal(transport_send(side->transport, 0, bytes, length, true, NULL), 0);
}

static void expect(struct departures_due *due, size_t length, uint32_t sequence)
{
    departures_written(due, length);
    departures_expect(due, 0, WIRE_POLL, sequence);
}

static void assert_match(struct departures_due *due, uint32_t last_byte, uint32_t sequence)
{
    struct departing frame;

    assert_int_equal(departures_match(due, last_byte, &frame), 0);
    assert_int_equal(frame.sequence, sequence);
    assert_int_equal(frame.type, WIRE_POLL);
}

static void assert_nobody(struct departures_due *due, uint32_t last_byte)
{
    struct departing frame;

    assert_int_equal(departures_match(due, last_byte, &frame), -ENOENT);
}

static void a_stamp_belongs_to_the_frame_that_ends_there(void **state)
{
    struct departures_due due = {0};

    (void)state;
    departures_written(&due, 168); /* HELLO is not waited for */
    expect(&due, 44, 1);
    expect(&due, 44, 2);
    assert_nobody(&due, 167);
    assert_nobody(&due, 200);
    assert_nobody(&due, 212);
    assert_match(&due, 211, 1);
    assert_nobody(&due, 211); /* sent again */
    assert_match(&due, 255, 2);
    assert_nobody(&due, 255);
    assert_int_equal(due.count, 0);
}

/* Both went in one segment; and what comes of the first later is of its repetition. */
static void a_stamp_ends_the_wait_for_earlier_ones(void **state)
{
    struct departures_due due = {0};

    (void)state;
    expect(&due, 44, 1);
    expect(&due, 44, 2);
    expect(&due, 44, 3);
    assert_match(&due, 87, 2);
    assert_nobody(&due, 43);
    assert_match(&due, 131, 3);
}

static void a_frame_in_parts_left_with_its_end(void **state)
{
    struct departures_due due = {0};

    (void)state;
    departures_written(&due, 30);
    departures_expect(&due, 14, WIRE_POLL, 1);
    departures_written(&due, 5);
    departures_written(&due, 9);
    expect(&due, 44, 2);
    assert_nobody(&due, 29);
    assert_nobody(&due, 34);
    assert_match(&due, 43, 1);
    assert_match(&due, 87, 2);
}

static void the_count_of_bytes_wraps(void **state)
{
    struct departures_due due = {.written = UINT32_MAX - 49};

    (void)state;
    expect(&due, 44, 1);
    expect(&due, 44, 2);
    expect(&due, 12, 3);
    assert_match(&due, UINT32_MAX - 6, 1);
    assert_match(&due, 37, 2);
    assert_match(&due, 49, 3);
}

static void no_more_than_some_are_waited_for(void **state)
{
    struct departures_due due = {0};

    (void)state;
    for (uint32_t i = 1; i <= 3 * STAMPS_WAITING_MAX; i++)
        expect(&due, 44, i);
    assert_int_equal(due.count, STAMPS_WAITING_MAX);
    assert_nobody(&due, 44 * 2 * STAMPS_WAITING_MAX - 1);
    for (uint32_t i = 2 * STAMPS_WAITING_MAX + 1; i <= 3 * STAMPS_WAITING_MAX; i++)
        assert_match(&due, 44 * i - 1, i);
}

static void the_loop_tells_a_departure_once_and_rests(void **state)
{
    struct side side;
    int fd = open_stamping(&side);
    int64_t before_ns = real_now();

    (void)state;
    send_poll(&side, 7);
    side_wait(&side, &side.stamped, 1);
    assert_int_equal(side.stamped_type, WIRE_POLL);
    assert_int_equal(side.stamped_sequence, 7);
    assert_true(side.stamped_raw_ns >= before_ns && side.stamped_raw_ns <= real_now());
    side_settle(&side);
    assert_int_equal(side.stamped, 1);
    side_close_with_client(&side, fd);
}

static void what_is_known_already_can_be_collected(void **state)
{
    struct side side;
    int fd = open_stamping(&side);
    uint8_t bytes[44];

    (void)state;
    for (uint32_t i = 1; i <= 40; i++) {
        send_poll(&side, i);
        /* It has left if it is there. */
        assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
        transport_collect(side.transport, 0);
        assert_int_equal(side.stamped, i);
        assert_int_equal(side.stamped_sequence, i);
    }
    transport_collect(side.transport, 0);
    transport_collect(side.transport, 3);
    assert_int_equal(side.stamped, 40);
    side_close_with_client(&side, fd);
}

static void a_frame_written_in_parts_is_stamped_at_its_end(void **state)
{
    struct side side;
    int fd = open_stamping(&side);
    struct pollfd told;
    int64_t before_ns;

    (void)state;
    told = (struct pollfd){.fd = fd, .events = POLLIN};
    send_at_most = 30;
    send_poll(&side, 1);
    send_at_most = 0;
    assert_int_equal(poll(&told, 1, PATIENCE_MS), 1);
    transport_collect(side.transport, 0);
    assert_int_equal(side.stamped, 0);
    before_ns = real_now();
    side_wait(&side, &side.stamped, 1);
    assert_int_equal(side.stamped_sequence, 1);
    assert_true(side.stamped_raw_ns >= before_ns);
    side_close_with_client(&side, fd);
}

/* Frames that come until the kernel has begun to stamp. */
static void receive_stamped(struct side *side, int fd)
{
    uint8_t frame[20];

    for (uint32_t i = 1; i <= TRIES && side->source != STAMP_KERNEL; i++) {
        make_frame(frame, sizeof(frame), i);
        write_all(fd, frame, sizeof(frame));
        side_wait(side, &side->frames[0], side->frames[0] + 1);
    }
    assert_int_equal(side->source, STAMP_KERNEL);
}

/* Until so many wait in the socket. */
static void await_bytes(int count)
{
    int there = 0;

    while (there < count)
        assert_int_equal(ioctl(asked, FIONREAD, &there), 0);
}

static void an_arrival_is_that_of_its_last_byte(void **state)
{
    struct side side;
    int fd = open_stamping(&side);
    uint8_t frame[40];
    unsigned frames;
    int64_t before_ns, between_ns;

    (void)state;
    receive_stamped(&side, fd);
    frames = side.frames[0];
    make_frame(frame, sizeof(frame), 9);
    write_all(fd, frame, 15);
    side_settle(&side);
    before_ns = real_now();
    write_all(fd, frame + 15, sizeof(frame) - 15);
    await_bytes((int)sizeof(frame) - 15);
    between_ns = real_now();
    while (real_now() - between_ns < NS_PER_MS)
        continue;
    side_wait(&side, &side.frames[0], frames + 1);
    assert_int_equal(side.source, STAMP_KERNEL);
    assert_true(side.arrived.raw_ns >= before_ns);
    assert_true(side.arrived.raw_ns < real_now() - NS_PER_MS);
    side_close_with_client(&side, fd);
}

static int64_t first_ns;

static void keep_first(struct side *side)
{
    if (first_ns == 0)
        first_ns = side->arrived.raw_ns;
}

/* Late it may be, but neither early nor later than the read. */
static void frames_that_waited_together_have_the_last_ones_stamp(void **state)
{
    struct side side;
    int fd = open_stamping(&side);
    uint8_t frame[20];
    unsigned frames;
    int64_t before_ns;

    (void)state;
    receive_stamped(&side, fd);
    frames = side.frames[0];
    first_ns = 0;
    side.on_frame = keep_first;
    make_frame(frame, sizeof(frame), 9);
    write_all(fd, frame, sizeof(frame));
    before_ns = real_now();
    write_all(fd, frame, sizeof(frame));
    await_bytes((int)(2 * sizeof(frame)));
    side_wait(&side, &side.frames[0], frames + 2);
    assert_int_equal(side.source, STAMP_KERNEL);
    assert_true(first_ns >= before_ns);
    assert_true(side.arrived.raw_ns >= first_ns && side.arrived.raw_ns <= real_now());
    side_close_with_client(&side, fd);
}

/* A connection with as many frames each way as it takes to judge, and as many again. */
static void exchange_frames(struct side *side, int fd)
{
    uint8_t frame[20], bytes[44];

    for (uint32_t i = 1; i <= 40; i++) {
        send_poll(side, i);
        transport_collect(side->transport, 0);
        assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
        make_frame(frame, sizeof(frame), i);
        write_all(fd, frame, sizeof(frame));
        side_wait(side, &side->frames[0], i);
        if (unable || silent)
            assert_int_equal(side->source, STAMP_USER);
    }
}

static void what_stamps_are_used_is_said_once(void **state)
{
    struct side side;
    int fd = open_stamping(&side);

    (void)state;
    exchange_frames(&side, fd);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(line, side.address));
    assert_non_null(strstr(line, ": kernel timestamps."));
    side_close_with_client(&side, fd);
}

static void a_kernel_without_stamps_is_done_without(void **state)
{
    bool *const lacks[] = {&unable, &silent};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct side side;
        int fd;

        *lacks[i] = true;
        fd = open_stamping(&side);
        exchange_frames(&side, fd);
        *lacks[i] = false;
        assert_int_equal(side.stamped, 0);
        assert_int_equal(lines, 1);
        assert_non_null(strstr(line, ": no kernel timestamps; the daemon's own are used, "));
        side_close_with_client(&side, fd);
    }
}

/* Of bytes that nobody expects by these numbers. */
static void stamps_that_come_too_late_do_not_keep_the_loop_busy(void **state)
{
    struct side side;
    int fd;

    (void)state;
    silent = true;
    fd = open_stamping(&side);
    exchange_frames(&side, fd);
    silent = false;
    assert_int_equal(stamps_enable(asked), 0);
    send_poll(&side, 41);
    transport_collect(side.transport, 0);
    side_settle(&side);
    assert_int_equal(side.stamped, 0);
    assert_int_equal(stamps_depart(asked, &(uint32_t){0}, &(int64_t){0}), -EAGAIN);
    side_close_with_client(&side, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stamp_belongs_to_the_frame_that_ends_there),
        cmocka_unit_test(a_stamp_ends_the_wait_for_earlier_ones),
        cmocka_unit_test(a_frame_in_parts_left_with_its_end),
        cmocka_unit_test(the_count_of_bytes_wraps),
        cmocka_unit_test(no_more_than_some_are_waited_for),
        cmocka_unit_test(the_loop_tells_a_departure_once_and_rests),
        cmocka_unit_test(what_is_known_already_can_be_collected),
        cmocka_unit_test(a_frame_written_in_parts_is_stamped_at_its_end),
        cmocka_unit_test(an_arrival_is_that_of_its_last_byte),
        cmocka_unit_test(frames_that_waited_together_have_the_last_ones_stamp),
        cmocka_unit_test(what_stamps_are_used_is_said_once),
        cmocka_unit_test(a_kernel_without_stamps_is_done_without),
        cmocka_unit_test(stamps_that_come_too_late_do_not_keep_the_loop_busy),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames in records: their stamps, and what becomes of those that nobody reads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "transport_keys.h"

/* The frame's own stamp was taken before it was encrypted: a later one follows. */
static void a_stamp_from_after_the_encryption_follows(void **state)
{
    struct side master, slave;

    (void)state;
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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

/* Takes REALTIME for its RAW, and asks for stamps. */
static void open_stamping(struct side *side, sd_event *loop)
{
    const struct transport_handler handler = {.up = side_up,
                                              .down = side_down,
                                              .frame = side_frame,
                                              .unreachable = side_unreachable,
                                              .stamp = side_real,
                                              .stamped = side_stamped,
                                              .convert = side_convert,
                                              .context = side};

    memset(side, 0, sizeof(*side));
    if (loop)
        side->loop = sd_event_ref(loop);
    else
        assert_true(sd_event_new(&side->loop) >= 0);
    assert_int_equal(transport_new(side->loop, &handler, &roomy, &side->transport), 0);
    assert_int_equal(transport_secure(side->transport, ring("shared " SECRET_A), "node1"), 0);
}

/* The kernel counts bytes from the first of the handshake on; its stamps are those of records. */
static void the_kernel_stamps_records(void **state)
{
    struct side master, slave;
    unsigned checked = 0;

    (void)state;
    open_stamping(&master, NULL);
    assert_int_equal(transport_listen(master.transport, "127.0.0.1", 0), 0);
    open_stamping(&slave, master.loop);
    assert_int_equal(transport_connect(slave.transport, "127.0.0.1",
                                       transport_port(master.transport), WAIT_NS, WAIT_NS),
                     0);
    side_wait(&master, &slave.ups, 1);
    side_wait(&master, &master.ups, 1);
    for (uint32_t i = 1; checked < 20; i++) {
        int64_t before_ns = real_now();

        send_poll(&master, master.peer, i);
        side_wait(&master, &slave.frames[slave.peer], i);
        transport_collect(master.transport, master.peer);
        if (checked == 0 && slave.source != STAMP_KERNEL) /* it begins a moment later */
            continue;
        checked++;
        assert_int_equal(master.stamped_sequence, i);
        assert_true(master.stamped_raw_ns >= before_ns && master.stamped_raw_ns <= real_now());
        assert_int_equal(slave.source, STAMP_KERNEL);
        assert_true(slave.arrived.raw_ns >= before_ns && slave.arrived.raw_ns <= real_now());
    }
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
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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
    open_master(&master, &roomy, "shared " SECRET_A "\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stamp_from_after_the_encryption_follows),
        cmocka_unit_test(the_kernel_stamps_records),
        cmocka_unit_test(a_peer_that_does_not_read_loses_whole_frames),
        cmocka_unit_test(a_farewell_arrives),
    };

    alarm(SIDE_TEST_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

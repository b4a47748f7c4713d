/* SPDX-License-Identifier: BSD-2-Clause */
/* Random events for both machines.  What must never be, the probe asserts.
 * BERKELEY_TEST_EVENTS sets how many. */
#include "machine_probe.h"
#include "wire_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LIVES 4

#define PEERS 6

static uint64_t events(void)
{
    const char *text = getenv("BERKELEY_TEST_EVENTS");

    return text ? strtoull(text, NULL, 10) : 100000;
}

/* What the machine under test is about. */
struct affair {
    uint32_t round;
    uint8_t exchange;
    int64_t t1_ns; /* of the last POLL */
};

/* A slave whose clock started a minute later, and mostly an honest one. */
static void make_reply(struct dice *dice, const struct probe *probe, const struct affair *affair,
                       struct wire_reply *reply)
{
    int64_t t2_ns = affair->t1_ns / 2 + probe->now.raw_ns / 2 - 60 * NS_PER_S;

    reply->round = affair->round;
    reply->exchange = affair->exchange;
    reply->t1_raw_ns = affair->t1_ns;
    reply->epoch = dice_below(dice, 100) == 0;
    if (dice_below(dice, 100) == 0)
        return;
    if (dice_below(dice, 50) == 0)
        t2_ns = dice_between(dice, 1 - TIMESTAMP_LIMIT_NS, TIMESTAMP_LIMIT_NS - 1);
    reply->t2_raw_ns = reply->departure.sent.raw_ns = t2_ns;
    if (dice_below(dice, 50) == 0)
        return;
    reply->freq_fs = dice_between(dice, -100000, 100000);
    reply->departure.sent.total_ns = probe->now.total_ns + 60 * NS_PER_S;
    if (dice_below(dice, 20) == 0)
        reply->departure.sent.total_ns += dice_between(dice, -NS_PER_S, NS_PER_S);
}

/* Near enough to what is under way to be taken at times. */
static void make_likely(struct dice *dice, const struct probe *probe, const struct affair *affair,
                        struct wire_frame *frame)
{
    if (frame->type == WIRE_HELLO) {
        strncpy(frame->hello.group, "test", sizeof frame->hello.group);
        memset(frame->hello.name + 1, 0, sizeof frame->hello.name - 1);
        memset(frame->hello.id, (int)dice_below(dice, 8), sizeof frame->hello.id);
    } else if (frame->type == WIRE_WELCOME) {
        strncpy(frame->welcome.group, "test", sizeof frame->welcome.group);
    } else if (frame->type == WIRE_REPLY) {
        make_reply(dice, probe, affair, &frame->reply);
    } else if (frame->type == WIRE_CORRECT) {
        frame->correct.round = affair->round + (uint32_t)dice_below(dice, 3);
        frame->correct.epoch = (uint32_t)dice_below(dice, 3);
        frame->correct.map.raw_ns = probe->now.raw_ns;
        if (dice_below(dice, 2))
            frame->correct.map.total_ns =
                probe->now.total_ns + dice_between(dice, -NS_PER_S, NS_PER_S);
        frame->correct.map.freq_ppb /= dice_below(dice, 2) ? 1e3 : 1;
    }
}

static void send_any(struct dice *dice, struct probe *probe, const struct affair *affair)
{
    uint32_t peer = (uint32_t)dice_below(dice, PEERS);
    unsigned type = (unsigned)dice_between(dice, WIRE_HELLO, WIRE_BYE);
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame frame;
    size_t length;

    if (type == WIRE_BYE && dice_below(dice, 20))
        type = probe->master ? WIRE_REPLY : WIRE_CORRECT;
    wire_frame_any(dice, type, &frame);
    if (dice_below(dice, 10))
        make_likely(dice, probe, affair, &frame);
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    if (dice_below(dice, 100) == 0)
        bytes[dice_below(dice, length)] ^= (uint8_t)(1 << dice_below(dice, 8));
    if (dice_below(dice, 200) == 0)
        length = dice_below(dice, length);
    if (!probe->open[peer] && dice_below(dice, 20))
        return;
    probe_bytes(probe, peer, bytes, length);
    if (!probe->open[peer])
        return;
    assert_false(probe_closed(probe, peer));
}

static void tick_any(struct dice *dice, struct probe *probe)
{
    struct clock_status status = {.now = probe->now,
                                  .freq_ppb = (double)dice_between(dice, -500000, 500000),
                                  .jumped = dice_below(dice, 200) == 0,
                                  .observed = dice_below(dice, 50) == 0};

    status.underway_ns = dice_between(dice, -NS_PER_MS, NS_PER_MS);
    status.slew_left_ns = status.underway_ns + dice_between(dice, -NS_PER_MS, NS_PER_MS);
    if (dice_below(dice, 300) == 0)
        probe->now.total_ns += dice_between(dice, -NS_PER_S, NS_PER_S);
    probe_tick_status(probe, &status);
}

static void connect_any(struct dice *dice, struct probe *probe)
{
    uint32_t peer = (uint32_t)dice_below(dice, probe->master ? PEERS : 1);

    if (!probe->open[peer])
        probe_up(probe, peer);
    else if (dice_below(dice, 20) == 0)
        probe_down(probe, peer, dice_below(dice, 2) ? BYE_FLOOD : 0);
    else if (dice_below(dice, 1000) == 0)
        probe_stop(probe);
}

static void look(struct dice *dice, const struct probe *probe, struct affair *affair)
{
    struct summary summary;
    struct wire_frame frame;

    if (probe->master)
        master_summary(probe->master, &probe->now, &summary);
    else
        slave_summary(probe->slave, &probe->now, &summary);
    assert_dice(dice, summary.bound_ns >= 0);
    assert_dice(dice, summary.slaves <= PEERS);
    affair->round = summary.round;
    for (uint32_t i = 0; i < PEERS; i++) {
        if (!probe_sent(probe, i, WIRE_POLL, &frame))
            continue;
        affair->exchange = frame.poll.exchange;
        affair->t1_ns = probe->now.raw_ns;
    }
}

static void one_event(struct dice *dice, struct probe *probe, const struct affair *affair)
{
    switch (dice_below(dice, 10)) {
    case 0:
        connect_any(dice, probe);
        break;
    case 1:
        tick_any(dice, probe);
        break;
    case 2:
    case 3:
        if (probe->master) {
            int64_t wait_ns = master_wake_at(probe->master) - probe->now.raw_ns;

            probe_wait(probe, wait_ns > 0 && wait_ns < 10 * NS_PER_S ? wait_ns : 0);
        }
        probe_wake(probe);
        break;
    case 4:
        probe_wait(probe, dice_between(dice, 0, 10 * NS_PER_MS));
        probe->unread = dice_below(dice, 10) == 0;
        break;
    default:
        send_any(dice, probe, affair);
        break;
    }
}

/* By turns one that may speak for itself, and one that needs another: with peers
 * as fickle as these the latter may never come to a group. */
static void begin_master(struct probe *probe, unsigned life)
{
    struct master_config config = probe_master_config();

    config.interval_ns = NS_PER_S;
    config.quorum = 1 + life % 2;
    probe_master(probe, &config);
}

static void begin_slave(struct probe *probe, unsigned life)
{
    const struct slave_config config = probe_slave_config();

    (void)life;
    probe_slave(probe, &config);
}

/* Several machines one after the other: chance may keep one from getting anywhere. */
static void run(void (*begin)(struct probe *probe, unsigned life))
{
    struct dice dice = dice_new();
    unsigned sent = 0, steered = 0;

    for (unsigned life = 0; life < LIVES; life++) {
        struct affair affair = {0};
        struct probe probe;

        begin(&probe, life);
        for (uint64_t i = 0; i < events() / LIVES; i++) {
            one_event(&dice, &probe, &affair);
            sent += probe_count(&probe, ACTION_SEND);
            steered += probe_count(&probe, ACTION_STEER);
            look(&dice, &probe, &affair);
        }
        probe_free(&probe);
    }
    assert_dice(&dice, sent > events() / 100);
    assert_dice(&dice, steered > events() / 1000);
}

static void a_master_survives_anything(void **state)
{
    (void)state;
    run(begin_master);
}

static void a_slave_survives_anything(void **state)
{
    (void)state;
    run(begin_slave);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_master_survives_anything),
        cmocka_unit_test(a_slave_survives_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BOOT_RAW_NS (100 * NS_PER_S)
#define BOOT_TOTAL_NS (INT64_C(1700000000) * NS_PER_S)

static const struct discipline_limits limits = {.max_slew_ppm = 500,
                                                .initial_slew_ppm = 100000,
                                                .panic_threshold_ns = 1000 * NS_PER_S,
                                                .holdover_limit_ns = 600 * NS_PER_S,
                                                .asymmetry_max_ns = -1};

struct master_config probe_master_config(void)
{
    return (struct master_config){.name = "time1",
                                  .group = "test",
                                  .interval_ns = 4 * NS_PER_S,
                                  .exchanges = 2,
                                  .quorum = 1,
                                  .max_slaves = 4,
                                  .discipline = true,
                                  .limits = limits};
}

struct slave_config probe_slave_config(void)
{
    return (struct slave_config){.name = "node1",
                                 .group = "test",
                                 .id = {1},
                                 .kind = CLOCK_KIND_EMULATED,
                                 .precision_ns = 100,
                                 .limits = limits};
}

static void start(struct probe *probe)
{
    *probe = (struct probe){.now = {.raw_ns = BOOT_RAW_NS, .total_ns = BOOT_TOTAL_NS}};
}

void probe_master(struct probe *probe, const struct master_config *config)
{
    start(probe);
    probe->master = master_new(config, &probe->now);
    assert_non_null(probe->master);
}

void probe_slave(struct probe *probe, const struct slave_config *config)
{
    start(probe);
    probe->slave = slave_new(config, &probe->now);
    assert_non_null(probe->slave);
}

void probe_free(struct probe *probe)
{
    master_free(probe->master);
    slave_free(probe->slave);
    actions_free(&probe->actions);
}

static void handle(struct probe *probe, const struct event *event)
{
    if (probe->master)
        master_handle(probe->master, event, &probe->actions);
    else
        slave_handle(probe->slave, event, &probe->actions);
}

static void perform_send(struct probe *probe, const struct action *action)
{
    struct event sent = {.kind = EVENT_SENT, .peer = action->peer, .now = probe->now};
    struct wire_frame frame;
    unsigned faults;

    assert_int_equal(
        wire_decode(action->send.bytes, action->send.length, WIRE_MINOR, &frame, &faults), 0);
    if (!action->send.stamped || probe->unread)
        return;
    sent.sent.sequence = frame.sequence;
    sent.sent.type = frame.type;
    sent.sent.raw_ns = probe->now.raw_ns;
    handle(probe, &sent);
}

/* As a kernel, which refuses to show a time that it cannot. */
static void step(struct probe *probe, int64_t step_ns)
{
    int64_t total_ns;

    if (timestamp_add(probe->now.total_ns, step_ns, &total_ns) == 0 && timestamp_valid(total_ns))
        probe->now.total_ns = total_ns;
}

static void perform(struct probe *probe, const struct action *action)
{
    if (action->kind == ACTION_SEND || action->kind == ACTION_CLOSE) {
        assert_true(action->peer < PROBE_PEERS);
        assert_true(probe->open[action->peer]);
    }
    if (action->kind == ACTION_SEND)
        perform_send(probe, action);
    if (action->kind == ACTION_CLOSE)
        probe->open[action->peer] = false;
    if (action->kind == ACTION_STEP)
        step(probe, action->step_ns);
    probe->panics += action->kind == ACTION_PANIC;
}

static void feed(struct probe *probe, struct event *event)
{
    event->now = probe->now;
    actions_clear(&probe->actions);
    handle(probe, event);
    for (size_t i = 0; i < probe->actions.count; i++) {
        const struct action action = probe->actions.items[i];

        perform(probe, &action);
    }
    assert_false(probe->actions.lost);
}

void probe_wait(struct probe *probe, int64_t span_ns)
{
    probe->now.raw_ns += span_ns;
}

void probe_wake(struct probe *probe)
{
    feed(probe, &(struct event){.kind = EVENT_WAKE});
}

void probe_tick(struct probe *probe)
{
    probe_tick_status(probe, &(struct clock_status){.now = probe->now});
}

void probe_tick_status(struct probe *probe, const struct clock_status *status)
{
    feed(probe, &(struct event){.kind = EVENT_TICK, .tick = *status});
}

void probe_up(struct probe *probe, uint32_t peer)
{
    probe_up_as(probe, peer, "");
}

void probe_up_as(struct probe *probe, uint32_t peer, const char *owner)
{
    struct event event = {.kind = EVENT_UP, .peer = peer};

    memcpy(event.up.address, "192.0.2.1", sizeof "192.0.2.1");
    strncpy(event.up.owner, owner, sizeof event.up.owner - 1);
    probe->open[peer] = true;
    feed(probe, &event);
}

void probe_down(struct probe *probe, uint32_t peer, unsigned reason)
{
    struct event event = {.kind = EVENT_DOWN, .peer = peer};

    event.down.reason = reason;
    probe->open[peer] = false;
    feed(probe, &event);
}

void probe_stop(struct probe *probe)
{
    feed(probe, &(struct event){.kind = EVENT_STOP});
}

void probe_stamped(struct probe *probe, uint32_t peer, uint32_t sequence, unsigned type,
                   int64_t raw_ns)
{
    struct event event = {.kind = EVENT_STAMPED, .peer = peer};

    event.sent.sequence = sequence;
    event.sent.type = (uint8_t)type;
    event.sent.raw_ns = raw_ns;
    feed(probe, &event);
}

void probe_bytes(struct probe *probe, uint32_t peer, const uint8_t *bytes, size_t length)
{
    struct event event = {.kind = EVENT_FRAME, .peer = peer};

    event.frame.bytes = bytes;
    event.frame.length = length;
    event.frame.arrived = probe->now;
    event.frame.source = probe->source;
    feed(probe, &event);
}

void probe_frame(struct probe *probe, uint32_t peer, struct wire_frame frame)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    if (frame.sequence)
        probe->sequence = frame.sequence;
    else
        frame.sequence = ++probe->sequence;
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    probe_bytes(probe, peer, bytes, length);
}

unsigned probe_count(const struct probe *probe, enum action_kind kind)
{
    unsigned count = 0;

    for (size_t i = 0; i < probe->actions.count; i++)
        count += probe->actions.items[i].kind == kind;
    return count;
}

const struct note *probe_note(const struct probe *probe, enum note_kind kind)
{
    for (size_t i = 0; i < probe->actions.count; i++) {
        const struct action *action = &probe->actions.items[i];

        if (action->kind == ACTION_NOTE && action->note.kind == kind)
            return &action->note;
    }
    return NULL;
}

bool probe_closed(const struct probe *probe, uint32_t peer)
{
    for (size_t i = 0; i < probe->actions.count; i++)
        if (probe->actions.items[i].kind == ACTION_CLOSE && probe->actions.items[i].peer == peer)
            return true;
    return false;
}

bool probe_sent(const struct probe *probe, uint32_t peer, unsigned type, struct wire_frame *frame)
{
    for (size_t i = probe->actions.count; i-- > 0;) {
        const struct action *action = &probe->actions.items[i];
        unsigned faults;

        if (action->kind == ACTION_SEND && action->peer == peer &&
            wire_decode(action->send.bytes, action->send.length, WIRE_MINOR, frame, &faults) == 0 &&
            frame->type == type)
            return true;
    }
    return false;
}

void probe_assert_refused(const struct probe *probe, enum refusal refusal)
{
    const struct note *note = probe_note(probe, NOTE_FRAME_REFUSED);

    assert_non_null(note);
    assert_string_equal(refusal_name(note->reason), refusal_name(refusal));
    assert_int_equal(probe->actions.count, 1);
}

void probe_assert_dismissed(const struct probe *probe, uint32_t peer, enum bye_reason reason)
{
    struct wire_frame frame = {0};

    assert_true(probe_sent(probe, peer, WIRE_BYE, &frame));
    assert_string_equal(bye_reason_name(frame.bye.reason), bye_reason_name(reason));
    assert_true(probe_closed(probe, peer));
}

struct wire_frame probe_hello(const char *name, uint8_t id)
{
    struct wire_frame frame = {.type = WIRE_HELLO};

    frame.hello.kind = CLOCK_KIND_EMULATED;
    frame.hello.precision_ns = 100;
    memset(frame.hello.id, id, sizeof frame.hello.id);
    strncpy(frame.hello.name, name, sizeof frame.hello.name - 1);
    memcpy(frame.hello.group, "test", sizeof "test");
    return frame;
}

struct wire_frame probe_welcome(void)
{
    struct wire_frame frame = {.type = WIRE_WELCOME};

    frame.welcome.exchanges = 2;
    frame.welcome.interval_ns = 4 * NS_PER_S;
    memcpy(frame.welcome.name, "time1", sizeof "time1");
    memcpy(frame.welcome.group, "test", sizeof "test");
    return frame;
}

struct wire_frame probe_reply(struct probe *probe, const struct wire_frame *poll, int64_t ahead_ns)
{
    struct wire_frame frame = {.type = WIRE_REPLY};

    frame.reply.round = poll->poll.round;
    frame.reply.exchange = poll->poll.exchange;
    frame.reply.t1_raw_ns = probe->now.raw_ns;
    probe_wait(probe, NS_PER_MS);
    frame.reply.t2_raw_ns = probe->now.raw_ns + ahead_ns - NS_PER_MS / 2;
    frame.reply.departure.sent.raw_ns = frame.reply.t2_raw_ns;
    frame.reply.departure.sent.total_ns = probe->now.total_ns - ahead_ns;
    frame.reply.bound_ns = INT64_MAX;
    return frame;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_life.h"
#include "wire_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LEAST_DELAY_NS (20 * NS_PER_US)
#define STOOP_NS (5 * NS_PER_US) /* from t2 to t3 */

/* Its RAW when ours is raw_ns. */
static int64_t raw_of(const struct life *life, const struct acquaintance *other, int64_t raw_ns)
{
    int64_t drift_ns = timestamp_drift(raw_ns - life->start_raw_ns, other->freq_ppb);

    return raw_ns + other->offset_ns + drift_ns;
}

static void take_poll(struct life *life, struct acquaintance *other, const struct wire_poll *poll)
{
    if (other->poll_count == LIFE_POLLS) {
        memmove(other->polls, other->polls + 1, sizeof other->polls - sizeof other->polls[0]);
        other->poll_count--;
    }
    other->polls[other->poll_count] = *poll;
    other->polls[other->poll_count++].departure.sent = life->probe.now;
}

static void take_correct(struct life *life, struct acquaintance *other,
                         const struct wire_frame *frame)
{
    other->correct_sequence = frame->sequence;
    other->correct_raw_ns = raw_of(life, other, life->raw_ns) + LEAST_DELAY_NS;
    if (frame->correct.has_map)
        other->map = frame->correct.map;
}

static void listen(struct life *life, struct acquaintance *other, const struct wire_frame *frame)
{
    switch (frame->type) {
    case WIRE_WELCOME:
        other->welcomed = true;
        break;
    case WIRE_POLL:
        take_poll(life, other, &frame->poll);
        break;
    case WIRE_CORRECT:
        take_correct(life, other, frame);
        break;
    case WIRE_REPLY:
        other->epoch = frame->reply.epoch;
        break;
    default:
        break;
    }
}

void life_listen(struct life *life)
{
    const struct actions *actions = &life->probe.actions;

    for (size_t i = 0; i < actions->count; i++) {
        const struct action *action = &actions->items[i];
        struct wire_frame frame;
        unsigned faults;

        if (action->kind == ACTION_CLOSE && action->peer < LIFE_PEERS)
            life->others[action->peer].welcomed = false;
        if (action->kind != ACTION_SEND || action->peer >= LIFE_PEERS)
            continue;
        if (wire_decode(action->send.bytes, action->send.length, WIRE_MINOR, &frame, &faults) == 0)
            listen(life, &life->others[action->peer], &frame);
    }
}

/* Which frame it is, when it leaves, and when the one before it left. */
static void depart(struct life *life, struct acquaintance *other, struct wire_frame *frame,
                   int64_t raw_ns)
{
    struct wire_departure *departure = &frame->poll.departure;

    frame->sequence = ++other->sequence;
    departure->sent.raw_ns = raw_ns;
    departure->sent.total_ns = map_total_at(&other->map, raw_ns);
    departure->source = (uint8_t)dice_below(&life->dice, 2);
    if (life_chance(&life->dice, 70)) {
        departure->prev_sequence = other->last.prev_sequence;
        departure->prev_raw_ns = other->last.prev_raw_ns;
    }
    other->last.prev_sequence = frame->sequence;
    other->last.prev_raw_ns = raw_ns + dice_between(&life->dice, 0, 10 * NS_PER_US);
}

static void say(struct life *life, uint32_t peer, const struct wire_frame *frame)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length;

    assert_int_equal(wire_encode(frame, bytes, &length), 0);
    life->probe.source = life_chance(&life->dice, 50) ? STAMP_KERNEL : STAMP_USER;
    probe_bytes(&life->probe, peer, bytes, length);
    life_event(life, NULL);
}

static void say_hello(struct life *life, uint32_t peer)
{
    struct wire_frame frame = {.type = WIRE_HELLO, .sequence = ++life->others[peer].sequence};

    frame.hello.kind = (uint8_t)(life_chance(&life->dice, 95) ? CLOCK_KIND_KERNEL
                                                              : CLOCK_KIND_OBSERVED);
    frame.hello.state = (uint8_t)(life_chance(&life->dice, 80) ? 0 : dice_below(&life->dice, 3));
    frame.hello.precision_ns = 100;
    memset(frame.hello.id, (int)peer + 1, sizeof frame.hello.id);
    snprintf(frame.hello.name, sizeof frame.hello.name, "node%u", peer);
    memcpy(frame.hello.group, "test", sizeof "test");
    say(life, peer, &frame);
}

static void say_reply(struct life *life, uint32_t peer)
{
    struct acquaintance *other = &life->others[peer];
    const struct wire_poll poll = other->polls[0];
    struct wire_frame frame = {.type = WIRE_REPLY};
    struct wire_reply *reply = &frame.reply;
    int64_t delay_ns = LEAST_DELAY_NS + dice_between(&life->dice, 0, 20 * NS_PER_US);

    other->poll_count--;
    memmove(other->polls, other->polls + 1, other->poll_count * sizeof other->polls[0]);
    life_wait(life, poll.departure.sent.raw_ns + 2 * delay_ns + STOOP_NS - life->raw_ns);
    reply->round = poll.round;
    reply->exchange = poll.exchange;
    reply->epoch = other->epoch;
    reply->source = (uint8_t)dice_below(&life->dice, 2);
    reply->t1_raw_ns = poll.departure.sent.raw_ns;
    reply->t2_raw_ns = raw_of(life, other, reply->t1_raw_ns + LEAST_DELAY_NS);
    reply->correct_sequence = other->correct_sequence;
    reply->correct_raw_ns = other->correct_raw_ns;
    reply->freq_fs = wire_fs_from_ppb(other->map.freq_ppb);
    depart(life, other, &frame, raw_of(life, other, life->raw_ns - delay_ns));
    if (life_chance(&life->dice, 1))
        other->liar = !other->liar;
    if (other->liar)
        reply->departure.sent.total_ns += NS_PER_S;
    say(life, peer, &frame);
}

static void say_welcome(struct life *life)
{
    struct wire_frame frame = probe_welcome();

    frame.sequence = ++life->others[0].sequence;
    frame.welcome.interval_ns = dice_between(&life->dice, WIRE_INTERVAL_MIN_NS, 4 * NS_PER_S);
    life->others[0].welcomed = true;
    say(life, 0, &frame);
}

static void say_correct(struct life *life)
{
    struct acquaintance *master = &life->others[0];
    struct wire_frame frame = {.type = WIRE_CORRECT};
    struct wire_correct *correct = &frame.correct;

    correct->round = ++master->round;
    correct->epoch = master->epoch;
    correct->state = SYNC_SYNCHRONISED;
    correct->verdict = master->round > 3 ? VERDICT_COUNTED : VERDICT_NEWCOMER;
    if (life_chance(&life->dice, 5))
        correct->verdict = (uint8_t)dice_below(&life->dice, VERDICT_COUNT_);
    correct->has_map = !life_chance(&life->dice, 10);
    correct->counted = correct->present = 3;
    correct->map.raw_ns = life->raw_ns;
    correct->map.total_ns = map_total_at(&master->map, life->raw_ns) +
                            dice_between(&life->dice, -NS_PER_US, NS_PER_US);
    correct->map.freq_ppb = master->map.freq_ppb;
    correct->offset_sd_ns = dice_between(&life->dice, 0, NS_PER_US);
    correct->freq_sd_fs = dice_between(&life->dice, 0, 1000000000);
    depart(life, master, &frame, life->raw_ns);
    say(life, 0, &frame);
}

static void say_poll(struct life *life)
{
    struct wire_frame frame = {.type = WIRE_POLL};

    frame.poll.round = life->others[0].round + 1;
    depart(life, &life->others[0], &frame, life->raw_ns);
    say(life, 0, &frame);
}

static void say_report(struct life *life, uint32_t peer)
{
    struct wire_frame frame = {.type = WIRE_REPORT};

    frame.report.state = SYNC_SYNCHRONISED;
    frame.report.freq_fs = wire_fs_from_ppb(life->others[peer].map.freq_ppb);
    depart(life, &life->others[peer], &frame, raw_of(life, &life->others[peer], life->raw_ns));
    say(life, peer, &frame);
}

bool life_answer(struct life *life, uint32_t peer)
{
    struct acquaintance *other = &life->others[peer];

    if (!life->probe.open[peer])
        return false;
    if (!life->probe.master) {
        if (!other->welcomed)
            say_welcome(life);
        else if (life_chance(&life->dice, 60))
            say_poll(life);
        else
            say_correct(life);
    } else if (!other->welcomed) {
        say_hello(life, peer);
    } else if (other->poll_count > 0) {
        say_reply(life, peer);
    } else if (life_chance(&life->dice, 2)) {
        say_report(life, peer);
    } else {
        return false;
    }
    return true;
}

/* Near enough to what is under way to be taken at times. */
static void make_likely(struct life *life, const struct acquaintance *other,
                        struct wire_frame *frame)
{
    struct dice *dice = &life->dice;

    if (frame->type == WIRE_HELLO) {
        strncpy(frame->hello.group, "test", sizeof frame->hello.group);
        memset(frame->hello.id, (int)dice_below(dice, 8), sizeof frame->hello.id);
    } else if (frame->type == WIRE_WELCOME) {
        strncpy(frame->welcome.group, "test", sizeof frame->welcome.group);
    } else if (frame->type == WIRE_REPLY && other->poll_count > 0) {
        frame->reply.round = other->polls[0].round;
        frame->reply.exchange = other->polls[0].exchange;
        frame->reply.t1_raw_ns = other->polls[0].departure.sent.raw_ns;
        if (life_chance(dice, 50))
            frame->reply.t2_raw_ns = frame->reply.departure.sent.raw_ns = life->raw_ns;
    } else if (frame->type == WIRE_CORRECT) {
        frame->correct.round = other->round + (uint32_t)dice_below(dice, 3);
        frame->correct.epoch = other->epoch;
        frame->correct.map.raw_ns = life->raw_ns + dice_between(dice, -NS_PER_S, NS_PER_S);
        frame->correct.map.freq_ppb /= life_chance(dice, 50) ? 1e3 : 1;
    }
}

void life_babble(struct life *life)
{
    struct dice *dice = &life->dice;
    uint32_t peer = (uint32_t)dice_below(dice, life->probe.master ? LIFE_PEERS : 1);
    unsigned type = (unsigned)dice_between(dice, WIRE_HELLO, WIRE_BYE);
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame frame;
    size_t length;

    if (life_chance(dice, 50))
        type = life->probe.master ? WIRE_REPLY : WIRE_CORRECT;
    wire_frame_any(dice, type, &frame);
    if (life_chance(dice, 90))
        frame.sequence = ++life->others[peer].sequence;
    if (life_chance(dice, 90))
        make_likely(life, &life->others[peer], &frame);
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    if (life_chance(dice, 2))
        bytes[dice_below(dice, length)] ^= (uint8_t)(1 << dice_below(dice, 8));
    if (life_chance(dice, 1))
        length = dice_below(dice, length);
    probe_bytes(&life->probe, peer, bytes, length);
    life_event(life, NULL);
}

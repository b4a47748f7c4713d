/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slave says to its master. */
#include "slave_state.h"

#include <string.h>

static uint32_t next_sequence(struct slave *slave)
{
    return slave->session.sequence = wire_next_sequence(slave->session.sequence);
}

void slave_say_hello(struct slave *slave, struct actions *actions)
{
    struct wire_frame frame = {.type = WIRE_HELLO, .sequence = next_sequence(slave)};
    struct wire_hello *hello = &frame.hello;

    hello->minor = WIRE_MINOR;
    hello->kind = (uint8_t)slave->config.kind;
    hello->state = (uint8_t)discipline_state(slave->discipline);
    slave->session.told_state = hello->state;
    hello->precision_ns = slave->config.precision_ns;
    hello->freq_fs = wire_fs_from_ppb(slave->freq_ppb);
    memcpy(hello->id, slave->config.id, sizeof hello->id);
    memcpy(hello->name, slave->config.name, sizeof hello->name);
    memcpy(hello->group, slave->config.group, sizeof hello->group);
    actions_send(actions, slave->session.peer, &frame);
}

void slave_say_bye(struct slave *slave, enum bye_reason reason, struct actions *actions)
{
    struct wire_frame frame = {.type = WIRE_BYE, .sequence = next_sequence(slave)};

    frame.bye.reason = (uint8_t)reason;
    actions_send(actions, slave->session.peer, &frame);
}

void slave_say_reply(struct slave *slave, const struct wire_poll *poll,
                     const struct event *event, struct actions *actions)
{
    struct wire_frame frame = {.type = WIRE_REPLY, .sequence = next_sequence(slave)};
    struct wire_reply *reply = &frame.reply;
    int64_t bound_ns = discipline_bound(slave->discipline, &event->now);

    reply->departure.sent = event->now;
    reply->departure.prev_sequence = slave->session.reply_sequence;
    reply->departure.prev_raw_ns = slave->session.reply_raw_ns;
    reply->round = poll->round;
    reply->exchange = poll->exchange;
    reply->state = (uint8_t)discipline_state(slave->discipline);
    slave->session.told_state = reply->state;
    reply->source = (uint8_t)event->frame.source;
    reply->epoch = discipline_epoch(slave->discipline);
    reply->t1_raw_ns = poll->departure.sent.raw_ns;
    reply->t2_raw_ns = event->frame.arrived.raw_ns;
    reply->correct_sequence = slave->session.correct_sequence;
    reply->correct_raw_ns = slave->session.correct_raw_ns;
    reply->freq_fs = wire_fs_from_ppb(slave->freq_ppb);
    reply->bound_ns = bound_ns;
    reply->offset_sd_ns = discipline_sd(slave->discipline, &event->now);
    actions_send(actions, slave->session.peer, &frame);
}

void slave_say_report(struct slave *slave, const struct discipline_outcome *outcome,
                      struct actions *actions)
{
    struct wire_frame frame = {.type = WIRE_REPORT, .sequence = next_sequence(slave)};
    struct wire_report *report = &frame.report;

    report->departure.sent = slave->status.now;
    report->round = slave->session.round;
    report->state = (uint8_t)discipline_state(slave->discipline);
    slave->session.told_state = report->state;
    report->foreign = slave->foreign_due;
    report->applied_ns = timestamp_clamp(slave->status.now.total_ns - slave->followed_total_ns,
                                         TIMESTAMP_LIMIT_NS - 1);
    report->slew_left_ns = slave->status.slew_left_ns;
    report->freq_fs = wire_fs_from_ppb(slave->freq_ppb);
    report->bound_ns = outcome->order.maxerror_ns;
    actions_send(actions, slave->session.peer, &frame);
    slave->report_due = false;
    slave->foreign_due = false;
}

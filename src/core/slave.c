/* SPDX-License-Identifier: BSD-2-Clause */
#include "slave_state.h"

#include <stdlib.h>
#include <string.h>

#define WELCOME_TIMEOUT_NS (5 * NS_PER_S)
#define HOLD_FLOOR_NS (10 * NS_PER_S)
#define HOLD_ROUNDS 3              /* this many rounds without a map: holdover */
#define MAP_AGE_FLOOR_NS (60 * NS_PER_S)
#define MAP_AGE_ROUNDS 10          /* a map older than this was queued behind an outage */
#define MAP_FUTURE_NS NS_PER_S
#define REPORT_CORRECTION_NS NS_PER_MS /* a slew that a round is long for */

struct slave *slave_new(const struct slave_config *config, const struct reading *now)
{
    struct slave *slave = calloc(1, sizeof *slave);

    if (!slave)
        return NULL;
    slave->config = *config;
    slave->discipline = discipline_new(&config->limits);
    if (!slave->discipline) {
        free(slave);
        return NULL;
    }
    slave->status.now = *now;
    return slave;
}

void slave_free(struct slave *slave)
{
    if (!slave)
        return;
    discipline_free(slave->discipline);
    free(slave);
}

void slave_recall(const struct slave *slave, struct discipline_memory *memory)
{
    discipline_recall(slave->discipline, memory);
}

int slave_resume(struct slave *slave, const struct discipline_memory *memory, bool same_raw)
{
    return discipline_resume(slave->discipline, memory, same_raw);
}

int slave_may_step(const struct slave *slave, const struct reading *now, int64_t *correction_ns)
{
    return discipline_may_step(slave->discipline, now, correction_ns);
}

int slave_allow_step(struct slave *slave, int64_t confirmed_ns, const struct reading *now)
{
    return discipline_allow_step(slave->discipline, confirmed_ns, now);
}

void slave_configure(struct slave *slave, const struct slave_config *config)
{
    slave->config.limits = config->limits;
    slave->config.hello_time_ns = config->hello_time_ns;
    slave->config.silence_ns = config->silence_ns;
    discipline_limit(slave->discipline, &config->limits);
}

static struct note *note_master(const struct slave *slave, enum note_kind kind,
                                struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    memcpy(note->name, slave->session.name, sizeof note->name);
    memcpy(note->address, slave->session.address, sizeof note->address);
    return note;
}

/* The connection is over: the clock holds what it learned. */
static void session_end(struct slave *slave, unsigned reason, struct actions *actions)
{
    if (slave->session.welcomed)
        note_master(slave, NOTE_MASTER_LOST, actions)->reason = reason;
    slave->session = (struct session){0};
    slave->verdict = VERDICT_NONE;
    discipline_hold(slave->discipline);
}

/* Says why, closes, and forgets the connection. */
static void session_close(struct slave *slave, enum bye_reason reason, struct actions *actions)
{
    slave_say_bye(slave, reason, actions);
    actions_add(actions, ACTION_CLOSE, slave->session.peer);
    session_end(slave, reason, actions);
}

static void refuse(struct slave *slave, enum refusal refusal, struct actions *actions)
{
    struct note *note = note_master(slave, NOTE_FRAME_REFUSED, actions);

    slave->refused[refusal]++;
    note->reason = refusal;
    note->count = ++slave->session.refused;
}

static void refuse_peer(struct slave *slave, enum bye_reason reason, struct actions *actions)
{
    note_master(slave, NOTE_PEER_REFUSED, actions)->reason = reason;
    session_close(slave, reason, actions);
}

/* It is said again because the interval changed, and nothing else may. */
static void take_change(struct slave *slave, const struct wire_welcome *welcome, int64_t raw_ns,
                        struct actions *actions)
{
    struct session *session = &slave->session;

    if (strcmp(welcome->name, session->name) != 0 ||
        strcmp(welcome->group, slave->config.group) != 0 || welcome->minor != session->minor) {
        refuse(slave, REFUSAL_CHANGED, actions);
        return;
    }
    if (welcome->interval_ns != session->interval_ns)
        slave->mapped_raw_ns = raw_ns; /* the map of a long round is not old in short ones */
    session->interval_ns = welcome->interval_ns;
}

static void take_welcome(struct slave *slave, const struct wire_welcome *welcome, int64_t raw_ns,
                         struct actions *actions)
{
    struct session *session = &slave->session;

    if (session->welcomed) {
        take_change(slave, welcome, raw_ns, actions);
        return;
    }
    memcpy(session->name, welcome->name, sizeof session->name);
    if (strcmp(welcome->group, slave->config.group) != 0) {
        refuse_peer(slave, BYE_GROUP, actions);
        return;
    }
    session->welcomed = true;
    session->heard_raw_ns = raw_ns;
    session->minor = welcome->minor;
    session->interval_ns = welcome->interval_ns;
    note_master(slave, NOTE_MASTER_FOUND, actions);
}

static enum refusal check_correct(const struct slave *slave, const struct wire_correct *correct,
                                  int64_t raw_ns)
{
    int64_t limit_ns = MAP_AGE_ROUNDS * slave->session.interval_ns;
    int64_t age_ns;

    if (correct->round <= slave->session.round)
        return REFUSAL_REPEATED;
    if (correct->epoch != discipline_epoch(slave->discipline))
        return REFUSAL_EPOCH;
    if (!correct->has_map)
        return REFUSAL_NONE;
    if (limit_ns < MAP_AGE_FLOOR_NS)
        limit_ns = MAP_AGE_FLOOR_NS;
    if (timestamp_sub(raw_ns, correct->map.raw_ns, &age_ns) < 0 || age_ns > limit_ns ||
        age_ns < -MAP_FUTURE_NS)
        return REFUSAL_LATE;
    return REFUSAL_NONE;
}

static void note_verdict(struct slave *slave, const struct wire_correct *correct,
                         struct actions *actions)
{
    struct note *note;

    if (correct->verdict == slave->verdict)
        return;
    slave->verdict = correct->verdict;
    note = note_master(slave, NOTE_VERDICT, actions);
    note->verdict = correct->verdict;
    note->round = correct->round;
    note->offset_ns = -correct->correction_ns;
    note->counted = correct->counted;
    note->present = correct->present;
}

static enum refusal follow(struct slave *slave, const struct wire_correct *correct,
                           const struct reading *now)
{
    struct target target = {.map = correct->map,
                            .offset_sd_ns = correct->offset_sd_ns,
                            .freq_sd_ppb = wire_ppb_from_fs(correct->freq_sd_fs),
                            .wander_ppb = wire_ppb_from_fs(correct->wander_fs),
                            .scatter_ns = correct->scatter_ns,
                            .asymmetry_ns = correct->asymmetry_ns,
                            .in = clock_verdict_is_in(correct->verdict),
                            .hands_off = correct->verdict == VERDICT_REFERENCE};

    if (discipline_forbids(slave->discipline, &target, now))
        return REFUSAL_PANIC;
    if (discipline_follow(slave->discipline, &target) < 0)
        return REFUSAL_MAP;
    slave->mapped_raw_ns = now->raw_ns;
    slave->followed_total_ns = now->total_ns;
    slave->report_due |= timestamp_abs(correct->correction_ns) > REPORT_CORRECTION_NS;
    return REFUSAL_NONE;
}

/* How long it took: the map tells the group's time at its arrival, the master that of its
 * departure.  0: unknown. */
static int64_t delay_of(const struct wire_correct *correct, int64_t arrived_raw_ns)
{
    const struct reading *sent = &correct->departure.sent;
    int64_t total_ns = map_total_at(&correct->map, arrived_raw_ns);
    int64_t there_ns, here_ns, delay_ns;

    if (!correct->has_map || correct->state != SYNC_SYNCHRONISED ||
        timestamp_add(sent->raw_ns, sent->total_ns, &there_ns) < 0 ||
        timestamp_add(arrived_raw_ns, total_ns, &here_ns) < 0 ||
        timestamp_sub(here_ns, there_ns, &delay_ns) < 0 || delay_ns < 0)
        return 0;
    return delay_ns;
}

static void note_correction(const struct slave *slave, const struct wire_correct *correct,
                            const struct event *event, struct actions *actions)
{
    struct note *note = note_master(slave, NOTE_CORRECTION, actions);

    note->round = correct->round;
    note->counted = correct->counted;
    note->present = correct->present;
    note->correction_ns = correct->correction_ns;
    note->verdict = correct->verdict;
    note->bound_ns = discipline_bound(slave->discipline, &event->now);
    note->delay_ns = delay_of(correct, event->frame.arrived.raw_ns);
}

static void note_useless(struct slave *slave, int64_t raw_ns)
{
    if (!slave->session.useless)
        slave->session.useless_raw_ns = raw_ns;
    slave->session.useless = true;
}

static void take_correct(struct slave *slave, const struct wire_frame *frame,
                         const struct event *event, struct actions *actions)
{
    const struct wire_correct *correct = &frame->correct;
    enum refusal refusal = check_correct(slave, correct, event->now.raw_ns);

    if (refusal == REFUSAL_NONE && correct->has_map)
        refusal = follow(slave, correct, &event->now);
    if (refusal != REFUSAL_NONE) {
        note_useless(slave, event->now.raw_ns);
        refuse(slave, refusal, actions);
        return;
    }
    slave->session.useless = false;
    slave->session.correct_sequence = frame->sequence;
    slave->session.correct_raw_ns = event->frame.arrived.raw_ns;
    slave->session.round = slave->round = correct->round;
    slave->counted = correct->counted;
    slave->present = correct->present;
    if (!correct->has_map &&
        (correct->verdict == VERDICT_NO_QUORUM || correct->verdict == VERDICT_NEWCOMER ||
         correct->state == SYNC_HOLDOVER))
        discipline_hold(slave->discipline);
    else if (!correct->has_map && !clock_verdict_is_in(correct->verdict))
        discipline_disown(slave->discipline);
    else if (!correct->has_map)
        discipline_keep(slave->discipline, correct->scatter_ns);
    note_verdict(slave, correct, actions);
    note_correction(slave, correct, event, actions);
}

static void take_down(struct slave *slave, unsigned reason, struct actions *actions)
{
    if (!slave->session.welcomed)
        note_master(slave, NOTE_PEER_REFUSED, actions)->reason = reason;
    session_end(slave, reason, actions);
}

static void take_bye(struct slave *slave, const struct wire_bye *bye, struct actions *actions)
{
    if (!slave->session.welcomed)
        note_master(slave, NOTE_PEER_REFUSED, actions)->reason = bye->reason;
    actions_add(actions, ACTION_CLOSE, slave->session.peer);
    session_end(slave, bye->reason, actions);
}

/* What nobody can read.  Of another version it is said what to do about it, in one line. */
static void take_garbage(struct slave *slave, unsigned faults, struct actions *actions)
{
    if (faults & WIRE_FAULT_VERSION && !slave->session.welcomed) {
        slave->refused[refusal_from_faults(faults)]++;
        refuse_peer(slave, BYE_VERSION, actions);
        return;
    }
    refuse(slave, refusal_from_faults(faults), actions);
    session_close(slave, faults & WIRE_FAULT_VERSION ? BYE_VERSION : BYE_PROTOCOL, actions);
}

/* A clock that somebody has just set says nothing before the next tick and the report of that,
 * without which the master would take its word.  While the process that sets the clock is away,
 * there are no ticks. */
static void take_poll(struct slave *slave, const struct wire_poll *poll, const struct event *event,
                      struct actions *actions)
{
    if (discipline_vouches(slave->discipline, &event->now))
        slave_say_reply(slave, poll, event, actions);
}

static void take_frame(struct slave *slave, const struct event *event, struct actions *actions)
{
    struct wire_frame frame;
    unsigned faults;

    if (!slave->session.up || event->peer != slave->session.peer)
        return;
    if (slave->session.welcomed) /* nothing else puts off the end of the wait for WELCOME */
        slave->session.heard_raw_ns = event->now.raw_ns;
    if (wire_decode(event->frame.bytes, event->frame.length, slave->session.minor, &frame,
                    &faults) < 0) {
        take_garbage(slave, faults, actions);
        return;
    }
    if (!wire_sequence_follows(slave->session.heard_sequence, frame.sequence)) {
        refuse(slave, REFUSAL_SEQUENCE, actions);
        return;
    }
    slave->session.heard_sequence = frame.sequence;
    if (frame.type == WIRE_BYE)
        take_bye(slave, &frame.bye, actions);
    else if (frame.type == WIRE_WELCOME)
        take_welcome(slave, &frame.welcome, event->now.raw_ns, actions);
    else if (frame.type == WIRE_POLL && slave->session.welcomed)
        take_poll(slave, &frame.poll, event, actions);
    else if (frame.type == WIRE_CORRECT && slave->session.welcomed)
        take_correct(slave, &frame, event, actions);
    else
        refuse(slave, REFUSAL_TURN, actions);
}

static void take_up(struct slave *slave, const struct event *event, struct actions *actions)
{
    slave->session = (struct session){
        .up = true, .peer = event->peer, .heard_raw_ns = event->now.raw_ns};
    memcpy(slave->session.address, event->up.address, sizeof slave->session.address);
    slave_say_hello(slave, actions);
}

/* Everything else can wait for the next REPLY. */
static bool has_news(const struct slave *slave)
{
    return slave->session.welcomed &&
           (slave->report_due || slave->foreign_due ||
            slave->session.told_state != (uint8_t)discipline_state(slave->discipline));
}

/* No word, or no map, or none of use for too long.  The last is a master whose rounds or samples
 * this connection cannot make sense of any more; the next one begins afresh. */
static void check_silence(struct slave *slave, int64_t raw_ns, struct actions *actions)
{
    const struct session *session = &slave->session;
    int64_t silence_ns = machine_silence(slave->config.silence_ns, session->interval_ns);

    if (session->welcomed && raw_ns - slave->mapped_raw_ns > HOLD_ROUNDS * session->interval_ns &&
        raw_ns - slave->mapped_raw_ns > HOLD_FLOOR_NS)
        discipline_hold(slave->discipline);
    if (session->useless && raw_ns - session->useless_raw_ns > silence_ns) {
        session_close(slave, BYE_PROTOCOL, actions);
        return;
    }
    if (!session->welcomed)
        silence_ns = slave->config.hello_time_ns > 0 ? slave->config.hello_time_ns
                                                     : WELCOME_TIMEOUT_NS;
    if (!session->up || raw_ns - session->heard_raw_ns <= silence_ns)
        return;
    if (!session->welcomed)
        note_master(slave, NOTE_PEER_REFUSED, actions)->reason = BYE_TIMEOUT;
    session_close(slave, BYE_TIMEOUT, actions);
}

static void take_tick(struct slave *slave, const struct event *event, struct actions *actions)
{
    struct discipline_outcome outcome;

    slave->status = event->tick;
    if (event->tick.jumped && slave->session.up) {
        slave->session.heard_raw_ns = event->now.raw_ns;
        slave->session.useless = false;
    }
    check_silence(slave, event->now.raw_ns, actions);
    discipline_tick(slave->discipline, &event->tick, &outcome);
    slave->outstanding_ns = outcome.outstanding_ns;
    slave->freq_ppb = outcome.order.freq_ppb;
    slave->foreign_due |= (outcome.events & DISCIPLINE_FOREIGN) != 0;
    actions_discipline(actions, &outcome, discipline_state(slave->discipline),
                       slave->config.limits.panic_threshold_ns);
    if (has_news(slave))
        slave_say_report(slave, &outcome, actions);
}

/* For the next REPLY to carry. */
static void take_stamp(struct slave *slave, const struct event *event)
{
    if (!slave->session.up || event->peer != slave->session.peer ||
        event->sent.type != WIRE_REPLY || !timestamp_valid(event->sent.raw_ns))
        return;
    slave->session.reply_sequence = event->sent.sequence;
    slave->session.reply_raw_ns = event->sent.raw_ns;
}

/* Our own leaving is no news of the master. */
static void take_stop(struct slave *slave, struct actions *actions)
{
    if (!slave->session.up)
        return;
    slave->session.welcomed = false;
    session_close(slave, BYE_SHUTDOWN, actions);
}

void slave_handle(struct slave *slave, const struct event *event, struct actions *actions)
{
    switch (event->kind) {
    case EVENT_TICK:
        take_tick(slave, event, actions);
        break;
    case EVENT_UP:
        take_up(slave, event, actions);
        break;
    case EVENT_DOWN:
        if (slave->session.up && event->peer == slave->session.peer)
            take_down(slave, event->down.reason, actions);
        break;
    case EVENT_FRAME:
        take_frame(slave, event, actions);
        break;
    case EVENT_STOP:
        take_stop(slave, actions);
        break;
    case EVENT_STAMPED:
        take_stamp(slave, event);
        break;
    case EVENT_SENT:
    case EVENT_WAKE:
        break;
    }
}

void slave_summary(const struct slave *slave, const struct reading *now, struct summary *summary)
{
    *summary = (struct summary){.state = discipline_state(slave->discipline),
                                .offset_ns = -discipline_left(slave->discipline, now),
                                .outstanding_ns = slave->outstanding_ns,
                                .slew_left_ns = timestamp_clamp(
                                    discipline_slew_left(slave->discipline),
                                    timestamp_abs(slave->outstanding_ns)),
                                .max_slew_ppm = discipline_slew_limit_ppm(slave->discipline),
                                .bound_ns = discipline_bound(slave->discipline, now),
                                .asymmetry_ns = discipline_asymmetry(slave->discipline),
                                .late_bound_ns = discipline_late_bound(slave->discipline, now,
                                                                       SUMMARY_LATE_NS),
                                .counted = slave->counted,
                                .present = slave->present,
                                .connected = slave->session.welcomed,
                                .round = slave->round,
                                .freq_ppb = slave->freq_ppb,
                                .verdict = slave->verdict};
    memcpy(summary->name, slave->session.name, sizeof summary->name);
    memcpy(summary->refused, slave->refused, sizeof summary->refused);
}

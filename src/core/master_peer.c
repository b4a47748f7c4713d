/* SPDX-License-Identifier: BSD-2-Clause */
#include "master_state.h"

#include <stdlib.h>
#include <string.h>

#define HELLO_TIMEOUT_NS (5 * NS_PER_S)
#define STAMP_LATE_MAX_NS NS_PER_S

void master_peer_free(struct master *master)
{
    for (size_t i = 0; i < master->peer_count; i++)
        estimator_free(master->peers[i].estimator);
    free(master->peers);
}

static struct peer *find(struct master *master, uint32_t peer)
{
    if (peer >= master->peer_count || !master->peers[peer].up)
        return NULL;
    return &master->peers[peer];
}

static struct note *note_peer(const struct peer *peer, enum note_kind kind, struct actions *actions)
{
    struct note *note = actions_note(actions, kind);

    memcpy(note->name, peer->name, sizeof note->name);
    memcpy(note->address, peer->address, sizeof note->address);
    return note;
}

/* Keeps the estimator's memory for the slot's next tenant. */
static void forget(struct peer *peer)
{
    struct estimator *estimator = peer->estimator;

    if (estimator)
        estimator_reset(estimator);
    *peer = (struct peer){.estimator = estimator};
}

/* Without a note: the callers say it in their own words. */
static void dismiss(struct master *master, uint32_t slot, enum bye_reason reason,
                    struct actions *actions)
{
    struct peer *peer = &master->peers[slot];
    struct wire_frame frame = {.type = WIRE_BYE, .sequence = master_next_sequence(peer)};

    frame.bye.reason = (uint8_t)reason;
    actions_send(actions, slot, &frame);
    actions_add(actions, ACTION_CLOSE, slot);
    forget(peer);
}

void master_peer_close(struct master *master, uint32_t slot, enum bye_reason reason,
                       struct actions *actions)
{
    struct peer *peer = &master->peers[slot];

    if (reason != BYE_SHUTDOWN) /* our own leaving is no news of the slave */
        note_peer(peer, peer->welcomed ? NOTE_SLAVE_LEFT : NOTE_PEER_REFUSED, actions)->reason =
            reason;
    dismiss(master, slot, reason, actions);
}

static bool grow(struct master *master, size_t count)
{
    struct peer *peers = realloc(master->peers, count * sizeof *peers);

    if (!peers)
        return false;
    memset(peers + master->peer_count, 0, (count - master->peer_count) * sizeof *peers);
    master->peers = peers;
    master->peer_count = count;
    return true;
}

/* A machine with a key of its own says who it is on one connection at a time: those that it opened
 * before and said nothing on are not to take the others' places. */
static void dismiss_silent(struct master *master, const struct event *event,
                           struct actions *actions)
{
    for (uint32_t i = 0; event->up.owner[0] && i < master->peer_count; i++) {
        const struct peer *peer = &master->peers[i];

        if (i != event->peer && peer->up && !peer->welcomed &&
            strcmp(peer->owner, event->up.owner) == 0)
            dismiss(master, i, BYE_RESTARTED, actions);
    }
}

void master_peer_up(struct master *master, const struct event *event, struct actions *actions)
{
    struct peer *peer;

    if (event->peer >= master->peer_count && !grow(master, (size_t)event->peer + 1)) {
        actions_add(actions, ACTION_CLOSE, event->peer);
        return;
    }
    dismiss_silent(master, event, actions);
    peer = &master->peers[event->peer];
    forget(peer);
    if (!peer->estimator)
        peer->estimator = estimator_new();
    if (!peer->estimator) {
        actions_add(actions, ACTION_CLOSE, event->peer);
        return;
    }
    peer->up = true;
    peer->heard_raw_ns = event->now.raw_ns;
    memcpy(peer->address, event->up.address, sizeof peer->address);
    memcpy(peer->owner, event->up.owner, sizeof peer->owner);
}

void master_peer_down(struct master *master, const struct event *event, struct actions *actions)
{
    struct peer *peer = find(master, event->peer);

    if (!peer)
        return;
    if (peer->welcomed)
        note_peer(peer, NOTE_SLAVE_LEFT, actions)->reason = event->down.reason;
    else if (event->down.reason)
        note_peer(peer, NOTE_PEER_REFUSED, actions)->reason = event->down.reason;
    master_absent_keep(master, peer, event->now.raw_ns);
    forget(peer);
}

void master_peer_silence(struct master *master, int64_t raw_ns, struct actions *actions)
{
    const struct master_config *config = &master->config;
    int64_t hello_ns = config->hello_time_ns > 0 ? config->hello_time_ns : HELLO_TIMEOUT_NS;
    int64_t limit_ns = machine_silence(config->silence_ns, config->interval_ns);

    for (uint32_t i = 0; i < master->peer_count; i++) {
        const struct peer *peer = &master->peers[i];
        int64_t silent_ns = raw_ns - peer->heard_raw_ns;

        if (peer->up && silent_ns > (peer->welcomed ? limit_ns : hello_ns))
            master_peer_close(master, i, BYE_TIMEOUT, actions);
    }
}

static void refuse(struct master *master, struct peer *peer, enum refusal refusal,
                   struct actions *actions)
{
    struct note *note = note_peer(peer, NOTE_FRAME_REFUSED, actions);

    master->refused[refusal]++;
    note->reason = refusal;
    note->count = ++peer->refused;
}

static unsigned count_welcomed(const struct master *master)
{
    unsigned count = 0;

    for (size_t i = 0; i < master->peer_count; i++)
        count += master->peers[i].welcomed;
    return count;
}

/* An id anybody can claim: it says nothing where a key does. */
static bool is_same_node(const struct peer *peer, const struct wire_hello *hello,
                         const char *owner)
{
    if (peer->owner[0] || owner[0])
        return strcmp(peer->owner, owner) == 0;
    return memcmp(peer->id, hello->id, sizeof hello->id) == 0;
}

static bool is_twin(const struct peer *peer, const struct wire_hello *hello, const char *owner)
{
    return peer->welcomed &&
           (is_same_node(peer, hello, owner) || strcmp(peer->name, hello->name) == 0);
}

/* To a newer connection of the same node, since the older one is most likely dead; and who uses
 * a name without its key, to who has it. */
static bool gives_way(const struct peer *twin, const struct wire_hello *hello, const char *owner)
{
    return is_same_node(twin, hello, owner) || (owner[0] && !twin->owner[0]);
}

static void displace(struct master *master, uint32_t slot, const char *owner, int64_t raw_ns,
                     struct actions *actions)
{
    struct peer *twin = &master->peers[slot];

    if (strcmp(twin->owner, owner) != 0) {
        master_peer_close(master, slot, BYE_KEY, actions);
        return;
    }
    note_peer(twin, NOTE_SLAVE_REPLACED, actions);
    master_absent_keep(master, twin, raw_ns);
    dismiss(master, slot, BYE_RESTARTED, actions);
}

void master_bind(struct master *master, bool (*is_bound)(void *context, const char *name),
                 void *context)
{
    master->is_bound = is_bound;
    master->bound_context = context;
}

/* Why this node cannot be taken in; 0 if it can, and then its older connections are gone. */
static unsigned objection(struct master *master, const struct peer *peer,
                          const struct wire_hello *hello, struct actions *actions)
{
    if (strcmp(hello->group, master->config.group) != 0)
        return BYE_GROUP;
    if (peer->owner[0] && strcmp(peer->owner, hello->name) != 0)
        return BYE_KEY;
    if (!peer->owner[0] && master->is_bound && master->is_bound(master->bound_context, hello->name))
        return BYE_KEY;
    if (strcmp(hello->name, master->config.name) == 0)
        return BYE_NAME;
    for (size_t i = 0; i < master->peer_count; i++)
        if (is_twin(&master->peers[i], hello, peer->owner) &&
            !gives_way(&master->peers[i], hello, peer->owner))
            return BYE_NAME;
    for (uint32_t i = 0; i < master->peer_count; i++)
        if (is_twin(&master->peers[i], hello, peer->owner))
            displace(master, i, peer->owner, peer->heard_raw_ns, actions);
    return count_welcomed(master) >= master->config.max_slaves ? BYE_FULL : 0;
}

void master_peer_welcome(struct master *master, uint32_t slot, struct actions *actions)
{
    struct peer *peer = &master->peers[slot];
    struct wire_frame frame = {.type = WIRE_WELCOME, .sequence = master_next_sequence(peer)};

    frame.welcome.minor = peer->minor;
    frame.welcome.state = (uint8_t)discipline_state(master->discipline);
    frame.welcome.exchanges = (uint8_t)master->config.exchanges;
    frame.welcome.interval_ns = master->config.interval_ns;
    memcpy(frame.welcome.name, master->config.name, sizeof frame.welcome.name);
    memcpy(frame.welcome.group, master->config.group, sizeof frame.welcome.group);
    actions_send(actions, slot, &frame);
}

static uint8_t lower(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static void take_hello(struct master *master, uint32_t slot, const struct wire_hello *hello,
                       int64_t raw_ns, struct actions *actions)
{
    struct peer *peer = &master->peers[slot];
    unsigned reason;

    memcpy(peer->name, hello->name, sizeof peer->name);
    reason = objection(master, peer, hello, actions);
    if (reason) {
        master_peer_close(master, slot, (enum bye_reason)reason, actions);
        return;
    }
    memcpy(peer->id, hello->id, sizeof peer->id);
    peer->kind = hello->kind;
    peer->state = hello->state;
    peer->bound_ns = INT64_MAX;
    peer->minor = lower(hello->minor, WIRE_MINOR);
    peer->freq_ppb = wire_ppb_from_fs(hello->freq_fs);
    peer->reference = master_is_reference(master, hello->name);
    peer->welcomed = true;
    master_absent_return(master, peer, raw_ns);
    master_peer_welcome(master, slot, actions);
    note_peer(peer, NOTE_SLAVE_JOINED, actions);
    master_hurry(master, raw_ns);
}

static enum refusal check_reply(const struct master *master, const struct peer *peer,
                                const struct wire_reply *reply, const struct event *event)
{
    const struct poll *poll = &peer->polls[reply->exchange % WIRE_EXCHANGES_MAX];

    if (reply->round < master->round)
        return REFUSAL_LATE;
    if (reply->round > master->round || reply->exchange >= master->exchanges || !poll->sent)
        return REFUSAL_ROUND;
    if (poll->answered)
        return REFUSAL_REPEATED;
    if (reply->t1_raw_ns != poll->t1_raw_ns)
        return REFUSAL_IMPOSSIBLE;
    if (event->frame.arrived.raw_ns > master->deadline_raw_ns)
        return REFUSAL_LATE;
    return REFUSAL_NONE;
}

/* Nothing older holds if the epoch is another one, or the link of before was another clock's. */
static void note_epoch(struct master *master, struct peer *peer, uint32_t epoch, bool borne_out,
                       int64_t raw_ns, struct actions *actions)
{
    if (peer->epoch_known && (epoch != peer->epoch || !borne_out)) {
        master_link_reset(peer);
        peer->standing.in = peer->standing.coming = false;
        master_note_jump(master, peer, raw_ns, actions);
    }
    peer->epoch = epoch;
    peer->epoch_known = true;
}

static void take_reply(struct master *master, struct peer *peer, const struct wire_frame *frame,
                       const struct event *event, struct actions *actions)
{
    const struct wire_reply *reply = &frame->reply;
    enum refusal refusal = check_reply(master, peer, reply, event);
    const struct exchange exchange = {.t1_ns = peer->polls[reply->exchange].left_raw_ns,
                                      .t2_ns = reply->t2_raw_ns,
                                      .t3_ns = reply->departure.sent.raw_ns,
                                      .t4_ns = event->frame.arrived.raw_ns};
    int64_t offset_ns, delay_ns;
    unsigned faults;

    if (refusal == REFUSAL_NONE &&
        exchange_measure(&exchange, master->deadline_raw_ns, &offset_ns, &delay_ns, &faults) < 0)
        refusal = REFUSAL_IMPOSSIBLE;
    if (refusal != REFUSAL_NONE) {
        refuse(master, peer, refusal, actions);
        return;
    }
    peer->polls[reply->exchange].answered = true;
    peer->answers++;
    peer->state = reply->state;
    peer->claimed_sd_ns = reply->offset_sd_ns;
    peer->bound_ns = reply->bound_ns;
    peer->slave = reply->departure.sent;
    peer->freq_ppb = wire_ppb_from_fs(reply->freq_fs);
    note_epoch(master, peer, reply->epoch,
               master_absent_bears_out(peer, &exchange, offset_ns, delay_ns), event->now.raw_ns,
               actions);
    if (!master_link_reply(master, peer, frame->sequence, reply, &exchange,
                           &event->frame.arrived))
        refuse(master, peer, REFUSAL_IMPOSSIBLE, actions);
}

static void take_welcomed(struct master *master, uint32_t slot, const struct wire_frame *frame,
                          const struct event *event, struct actions *actions)
{
    struct peer *peer = &master->peers[slot];

    switch (frame->type) {
    case WIRE_REPLY:
        take_reply(master, peer, frame, event, actions);
        break;
    case WIRE_REPORT:
        peer->state = frame->report.state;
        peer->bound_ns = frame->report.bound_ns;
        peer->freq_ppb = wire_ppb_from_fs(frame->report.freq_fs);
        if (frame->report.foreign)
            peer->standing.in = peer->standing.coming = false;
        break;
    default:
        refuse(master, peer, REFUSAL_TURN, actions);
        break;
    }
}

void master_peer_frame(struct master *master, const struct event *event, struct actions *actions)
{
    struct peer *peer = find(master, event->peer);
    struct wire_frame frame;
    unsigned faults;

    if (!peer)
        return;
    if (wire_decode(event->frame.bytes, event->frame.length, peer->minor, &frame, &faults) < 0) {
        refuse(master, peer, refusal_from_faults(faults), actions);
        master_peer_close(master, event->peer,
                          faults & WIRE_FAULT_VERSION ? BYE_VERSION : BYE_PROTOCOL, actions);
        return;
    }
    if (!wire_sequence_follows(peer->heard_sequence, frame.sequence)) {
        refuse(master, peer, REFUSAL_SEQUENCE, actions);
        return;
    }
    peer->heard_sequence = frame.sequence;
    if (frame.type == WIRE_BYE) {
        if (peer->welcomed)
            note_peer(peer, NOTE_SLAVE_LEFT, actions)->reason = frame.bye.reason;
        actions_add(actions, ACTION_CLOSE, event->peer);
        master_absent_keep(master, peer, event->now.raw_ns);
        forget(peer);
        return;
    }
    if (peer->welcomed) {
        peer->heard_raw_ns = event->now.raw_ns;
        take_welcomed(master, event->peer, &frame, event, actions);
    } else if (frame.type == WIRE_HELLO) {
        peer->heard_raw_ns = event->now.raw_ns;
        take_hello(master, event->peer, &frame.hello, event->now.raw_ns, actions);
    } else {
        refuse(master, peer, REFUSAL_TURN, actions);
        master_peer_close(master, event->peer, BYE_PROTOCOL, actions);
    }
}

static struct poll *find_poll(struct peer *peer, uint32_t sequence)
{
    for (unsigned i = 0; i < WIRE_EXCHANGES_MAX; i++)
        if (peer->polls[i].sequence == sequence)
            return &peer->polls[i];
    return NULL;
}

void master_peer_sent(struct master *master, const struct event *event)
{
    struct peer *peer = find(master, event->peer);
    struct poll *poll;

    if (!peer)
        return;
    if (event->sent.type == WIRE_CORRECT) {
        peer->correct_sequence = event->sent.sequence;
        peer->correct_raw_ns = event->sent.raw_ns;
    }
    poll = event->sent.type == WIRE_POLL ? find_poll(peer, event->sent.sequence) : NULL;
    if (poll) {
        poll->sent = true;
        poll->t1_raw_ns = poll->left_raw_ns = event->sent.raw_ns;
    }
}

/* The kernel's word replaces ours if it can be true: not before we began to write. */
static void improve(int64_t *left_raw_ns, int64_t stamp_raw_ns)
{
    int64_t late_ns;

    if (timestamp_sub(stamp_raw_ns, *left_raw_ns, &late_ns) == 0 && late_ns >= 0 &&
        late_ns <= STAMP_LATE_MAX_NS)
        *left_raw_ns = stamp_raw_ns;
}

void master_peer_stamped(struct master *master, const struct event *event)
{
    struct peer *peer = find(master, event->peer);
    struct poll *poll;

    if (!peer || !timestamp_valid(event->sent.raw_ns))
        return;
    if (event->sent.type == WIRE_CORRECT && event->sent.sequence == peer->correct_sequence)
        improve(&peer->correct_raw_ns, event->sent.raw_ns);
    if (event->sent.type != WIRE_POLL)
        return;
    peer->poll_sequence = event->sent.sequence;
    peer->poll_raw_ns = event->sent.raw_ns;
    poll = find_poll(peer, event->sent.sequence);
    if (poll && poll->sent)
        improve(&poll->left_raw_ns, event->sent.raw_ns);
}

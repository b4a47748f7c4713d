/* SPDX-License-Identifier: BSD-2-Clause */
#include "master_state.h"

#include <string.h>

#define EXCHANGE_GAP_NS (20 * NS_PER_MS) /* between a round's exchanges: longer than a queue lives */
#define REPLY_TIMEOUT_NS NS_PER_S
#define DEADLINE_MARGIN_NS (100 * NS_PER_MS) /* a round is decided this long before the next one */
#define FAST_ROUNDS 8 /* after somebody joined, or more while somebody is on the way */

static bool is_on_its_way(const struct peer *peer)
{
    return peer->welcomed && !peer->standing.in && peer->standing.suspended == 0 &&
           peer->standing.verdict != VERDICT_OBSERVER && peer->standing.verdict != VERDICT_SILENT;
}

static bool is_fast(const struct master *master)
{
    if (master->quiet_rounds < FAST_ROUNDS)
        return true;
    for (size_t i = 0; i < master->peer_count && master->quiet_rounds < MASTER_FAST_ROUNDS_MAX; i++)
        if (is_on_its_way(&master->peers[i]))
            return true;
    return false;
}

static int64_t round_interval(const struct master *master)
{
    if (is_fast(master) && master->config.interval_ns > MASTER_FAST_INTERVAL_NS)
        return MASTER_FAST_INTERVAL_NS;
    return master->config.interval_ns;
}

static int64_t answer_time(const struct master *master)
{
    return master->config.answer_time_ns > 0 ? master->config.answer_time_ns : REPLY_TIMEOUT_NS;
}

/* The slaves take turns: what left at once would wait for each other at every device that they
 * share, and so would the answers; always the same ones most, which looks like an offset. */
static void begin_turns(struct master *master, enum phase phase, int64_t raw_ns)
{
    int64_t slaves = 0;

    for (size_t i = 0; i < master->peer_count; i++)
        slaves += master->peers[i].welcomed;
    master->phase = phase;
    master->turn = 0;
    master->turn_raw_ns = raw_ns;
    master->turn_ns = slaves > 0 ? EXCHANGE_GAP_NS / slaves : 0;
}

static void begin_exchange(struct master *master)
{
    begin_turns(master, PHASE_POLLING,
                master->start_raw_ns + (int64_t)master->exchange * EXCHANGE_GAP_NS);
}

static void begin(struct master *master, const struct reading *now)
{
    int64_t interval_ns = round_interval(master);
    int64_t wait_ns;

    master->round++;
    master->exchange = 0;
    master->exchanges = master->config.exchanges;
    master->quiet_rounds++;
    for (size_t i = 0; i < master->peer_count; i++) {
        struct peer *peer = &master->peers[i];

        if (peer->polls[0].sequence)
            peer->answered_before = peer->answers > 0;
        peer->answers = 0;
        memset(peer->polls, 0, sizeof peer->polls);
    }
    wait_ns = (int64_t)(master->exchanges - 1) * EXCHANGE_GAP_NS + answer_time(master);
    if (wait_ns > interval_ns - DEADLINE_MARGIN_NS)
        wait_ns = interval_ns - DEADLINE_MARGIN_NS;
    master->start_raw_ns = now->raw_ns;
    master->deadline_raw_ns = now->raw_ns + wait_ns;
    master->next_raw_ns += interval_ns;
    if (master->next_raw_ns <= master->deadline_raw_ns)
        master->next_raw_ns = now->raw_ns + interval_ns;
    begin_exchange(master);
}

static void poll_peer(struct master *master, uint32_t slot, const struct reading *now,
                      struct actions *actions)
{
    struct peer *peer = &master->peers[slot];
    struct wire_frame frame = {.type = WIRE_POLL};

    frame.sequence = master_next_sequence(peer);
    frame.poll.departure.sent = *now;
    frame.poll.departure.prev_sequence = peer->poll_sequence;
    frame.poll.departure.prev_raw_ns = peer->poll_raw_ns;
    frame.poll.round = master->round;
    frame.poll.exchange = (uint8_t)master->exchange;
    peer->polls[master->exchange].sequence = frame.sequence;
    actions_send(actions, slot, &frame);
}

static void tell_interval(struct master *master, struct actions *actions)
{
    for (uint32_t i = 0; i < master->peer_count; i++)
        if (master->peers[i].welcomed)
            master_peer_welcome(master, i, actions);
    master->interval_changed = false;
}

static void correct_peer(struct master *master, uint32_t slot, const struct reading *now,
                         struct actions *actions)
{
    struct peer *peer = &master->peers[slot];
    struct wire_frame frame = {.type = WIRE_CORRECT, .correct = peer->correct};

    if (!peer->correct_due)
        return;
    peer->correct_due = false;
    frame.correct.departure.sent = *now;
    frame.sequence = master_next_sequence(peer);
    actions_send(actions, slot, &frame);
}

/* Everyone whose turn it is; true after the last one. */
static bool take_turns(struct master *master, const struct reading *now, struct actions *actions)
{
    for (; master->turn < master->peer_count; master->turn++) {
        if (!master->peers[master->turn].welcomed)
            continue;
        if (master->turn_raw_ns > now->raw_ns)
            return false;
        if (master->phase == PHASE_POLLING)
            poll_peer(master, master->turn, now, actions);
        else
            correct_peer(master, master->turn, now, actions);
        master->turn_raw_ns += master->turn_ns;
    }
    return true;
}

static void poll_everyone(struct master *master, const struct reading *now, struct actions *actions)
{
    if (master->interval_changed)
        tell_interval(master, actions);
    if (!take_turns(master, now, actions))
        return;
    if (++master->exchange == master->exchanges)
        master->phase = PHASE_WAITING;
    else
        begin_exchange(master);
}

static void correct_everyone(struct master *master, const struct reading *now,
                             struct actions *actions)
{
    if (take_turns(master, now, actions))
        master->phase = PHASE_IDLE;
}

static bool is_waited_for(const struct peer *peer)
{
    if (!peer->welcomed || !peer->answered_before)
        return false;
    for (unsigned i = 0; i < WIRE_EXCHANGES_MAX; i++)
        if (peer->polls[i].sequence && !peer->polls[i].answered)
            return true;
    return false;
}

bool master_round_complete(const struct master *master)
{
    for (size_t i = 0; i < master->peer_count; i++)
        if (is_waited_for(&master->peers[i]))
            return false;
    return true;
}

int64_t master_round_wake_at(const struct master *master)
{
    switch (master->phase) {
    case PHASE_POLLING:
    case PHASE_CORRECTING:
        return master->turn_raw_ns;
    case PHASE_WAITING:
        return master->deadline_raw_ns;
    case PHASE_IDLE:
        break;
    }
    return master->next_raw_ns;
}

void master_round_wake(struct master *master, const struct reading *now, struct actions *actions)
{
    bool complete = master->phase == PHASE_WAITING && master_round_complete(master);

    if (now->raw_ns < master_round_wake_at(master) && !complete)
        return;
    switch (master->phase) {
    case PHASE_IDLE:
        begin(master, now);
        poll_everyone(master, now, actions);
        break;
    case PHASE_POLLING:
        poll_everyone(master, now, actions);
        break;
    case PHASE_WAITING:
        master_decide(master, now, actions);
        begin_turns(master, PHASE_CORRECTING, now->raw_ns);
        correct_everyone(master, now, actions);
        break;
    case PHASE_CORRECTING:
        correct_everyone(master, now, actions);
        break;
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16
#define SILENCE_FLOOR_NS (10 * NS_PER_S)
#define SILENCE_ROUNDS 4
#define SILENCE_ROUNDS_MIN 2 /* less than one round says nothing */

static bool make_room(struct actions *actions)
{
    size_t capacity = actions->capacity ? 2 * actions->capacity : FIRST_CAPACITY;
    struct action *items;

    if (actions->count < actions->capacity)
        return true;
    items = realloc(actions->items, capacity * sizeof *items);
    if (!items)
        return false;
    actions->items = items;
    actions->capacity = capacity;
    return true;
}

struct action *actions_add(struct actions *actions, enum action_kind kind, uint32_t peer)
{
    struct action *action = &actions->scratch;

    if (make_room(actions))
        action = &actions->items[actions->count++];
    else
        actions->lost = true;
    memset(action, 0, sizeof *action);
    action->kind = kind;
    action->peer = peer;
    return action;
}

struct note *actions_note(struct actions *actions, enum note_kind kind)
{
    struct note *note = &actions_add(actions, ACTION_NOTE, MACHINE_NO_PEER)->note;

    note->kind = kind;
    return note;
}

void actions_send(struct actions *actions, uint32_t peer, const struct wire_frame *frame)
{
    struct action *action = actions_add(actions, ACTION_SEND, peer);
    int r = wire_encode(frame, action->send.bytes, &action->send.length);

    assert(r == 0);
    (void)r;
    action->send.stamped = frame->type == WIRE_POLL || frame->type == WIRE_REPLY ||
                           frame->type == WIRE_CORRECT || frame->type == WIRE_REPORT;
}

static void note_events(struct actions *actions, const struct discipline_outcome *outcome,
                        enum sync_state state)
{
    struct note *note;

    if (outcome->events & DISCIPLINE_STEPPED) {
        note = actions_note(actions, NOTE_STEPPED);
        note->correction_ns = outcome->stepped_ns;
        note->state = outcome->by_hand;
    }
    if (outcome->events & DISCIPLINE_FOREIGN)
        actions_note(actions, NOTE_FOREIGN_STEP)->offset_ns = outcome->foreign_ns;
    if (outcome->events & DISCIPLINE_JUMPED)
        actions_note(actions, NOTE_SUSPENDED);
    if (outcome->events & DISCIPLINE_BEYOND)
        actions_note(actions, NOTE_BEYOND)->freq_ppb = outcome->wanted_ppb;
    if (outcome->events & DISCIPLINE_STATE) {
        note = actions_note(actions, NOTE_STATE);
        note->state = (uint8_t)state;
        note->offset_ns = -outcome->outstanding_ns;
        note->bound_ns = outcome->order.maxerror_ns;
    }
}

void actions_discipline(struct actions *actions, const struct discipline_outcome *outcome,
                        enum sync_state state, int64_t panic_threshold_ns)
{
    struct note *note;

    if (outcome->events & DISCIPLINE_STEP)
        actions_add(actions, ACTION_STEP, MACHINE_NO_PEER)->step_ns = outcome->step_ns;
    if (outcome->steer)
        actions_add(actions, ACTION_STEER, MACHINE_NO_PEER)->steer = outcome->order;
    note_events(actions, outcome, state);
    if (outcome->events & DISCIPLINE_PANIC) {
        note = actions_note(actions, NOTE_PANIC);
        note->correction_ns = outcome->outstanding_ns;
        note->limit_ns = panic_threshold_ns;
        actions_add(actions, ACTION_PANIC, MACHINE_NO_PEER);
    }
}

void actions_clear(struct actions *actions)
{
    actions->count = 0;
    actions->lost = false;
}

void actions_free(struct actions *actions)
{
    free(actions->items);
    *actions = (struct actions){0};
}

const char *refusal_name(unsigned refusal)
{
    static const char *const names[REFUSAL_COUNT_] = {
        [REFUSAL_NONE] = "none",
        [REFUSAL_VERSION] = "version",
        [REFUSAL_TYPE] = "type",
        [REFUSAL_LENGTH] = "length",
        [REFUSAL_RANGE] = "range",
        [REFUSAL_NAME] = "name",
        [REFUSAL_TURN] = "out-of-turn",
        [REFUSAL_ROUND] = "wrong-round",
        [REFUSAL_REPEATED] = "repeated",
        [REFUSAL_LATE] = "late",
        [REFUSAL_IMPOSSIBLE] = "impossible-stamps",
        [REFUSAL_EPOCH] = "stale-samples",
        [REFUSAL_MAP] = "impossible-map",
        [REFUSAL_SEQUENCE] = "out-of-sequence",
        [REFUSAL_CHANGED] = "changed-welcome",
        [REFUSAL_PANIC] = "beyond-panic",
    };

    return refusal < REFUSAL_COUNT_ ? names[refusal] : "unknown";
}

int64_t machine_silence(int64_t configured_ns, int64_t interval_ns)
{
    int64_t silence_ns = configured_ns > 0 ? configured_ns : SILENCE_ROUNDS * interval_ns;
    int64_t least_ns = configured_ns > 0 ? SILENCE_ROUNDS_MIN * interval_ns : SILENCE_FLOOR_NS;

    return silence_ns < least_ns ? least_ns : silence_ns;
}

enum refusal refusal_from_faults(unsigned faults)
{
    if (faults & WIRE_FAULT_VERSION)
        return REFUSAL_VERSION;
    if (faults & WIRE_FAULT_TYPE)
        return REFUSAL_TYPE;
    if (faults & WIRE_FAULT_LENGTH)
        return REFUSAL_LENGTH;
    if (faults & WIRE_FAULT_RANGE)
        return REFUSAL_RANGE;
    return REFUSAL_NAME;
}

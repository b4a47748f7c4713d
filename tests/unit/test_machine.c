/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_queue_grows_and_keeps_its_order(void **state)
{
    (void)state;
    struct actions actions = {0};

    for (uint32_t i = 0; i < 1000; i++) {
        const struct action *action = actions_add(&actions, ACTION_CLOSE, i);

        assert_ptr_equal(action, &actions.items[i]);
    }
    assert_int_equal(actions.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(actions.items[i].kind, ACTION_CLOSE);
        assert_int_equal(actions.items[i].peer, i);
    }
    assert_false(actions.lost);
    actions_free(&actions);
    assert_int_equal(actions.capacity, 0);
}

static void a_cleared_queue_gives_empty_actions(void **state)
{
    (void)state;
    struct actions actions = {0};
    struct note *note = actions_note(&actions, NOTE_PANIC);
    size_t capacity = actions.capacity;

    memset(note->name, 'x', sizeof note->name);
    actions.lost = true;
    actions_clear(&actions);
    assert_int_equal(actions.count, 0);
    assert_false(actions.lost);
    assert_int_equal(actions.capacity, capacity);
    note = actions_note(&actions, NOTE_STATE);
    assert_int_equal(note->kind, NOTE_STATE);
    assert_int_equal(note->name[0], 0);
    assert_int_equal(actions.items[0].peer, MACHINE_NO_PEER);
    actions_free(&actions);
}

static void sends_encode_and_say_whether_they_are_stamped(void **state)
{
    (void)state;
    struct wire_frame poll = {.type = WIRE_POLL, .sequence = 7, .poll = {.round = 9}};
    struct wire_frame bye = {.type = WIRE_BYE, .bye = {.reason = BYE_FULL}};
    struct actions actions = {0};
    struct wire_frame frame;
    unsigned faults;

    actions_send(&actions, 3, &poll);
    actions_send(&actions, 4, &bye);
    assert_true(actions.items[0].send.stamped);
    assert_false(actions.items[1].send.stamped);
    assert_int_equal(wire_decode(actions.items[0].send.bytes, actions.items[0].send.length, 0,
                                 &frame, &faults),
                     0);
    assert_int_equal(frame.sequence, 7);
    assert_int_equal(frame.poll.round, 9);
    assert_int_equal(actions.items[1].peer, 4);
    actions_free(&actions);
}

/* The step comes before the order, and both before what is said of them. */
static void a_step_is_done_before_the_order(void **state)
{
    (void)state;
    const struct discipline_outcome outcome = {
        .events = DISCIPLINE_STEP | DISCIPLINE_STEPPED | DISCIPLINE_STATE | DISCIPLINE_BEYOND |
                  DISCIPLINE_JUMPED | DISCIPLINE_FOREIGN,
        .steer = true,
        .order = {.freq_ppb = 5, .maxerror_ns = 77},
        .step_ns = 12,
        .stepped_ns = 16,
        .by_hand = true,
        .foreign_ns = 13,
        .outstanding_ns = 14,
        .wanted_ppb = 15};
    static const enum note_kind kinds[] = {NOTE_STEPPED, NOTE_FOREIGN_STEP, NOTE_SUSPENDED,
                                           NOTE_BEYOND, NOTE_STATE};
    struct actions actions = {0};

    actions_discipline(&actions, &outcome, SYNC_HOLDOVER, 99);
    assert_int_equal(actions.count, 7);
    assert_int_equal(actions.items[0].kind, ACTION_STEP);
    assert_int_equal(actions.items[0].step_ns, 12);
    assert_int_equal(actions.items[1].kind, ACTION_STEER);
    assert_int_equal(actions.items[1].steer.maxerror_ns, 77);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(actions.items[2 + i].note.kind, kinds[i]);
    assert_int_equal(actions.items[2].note.correction_ns, 16);
    assert_int_equal(actions.items[2].note.state, 1);
    assert_int_equal(actions.items[3].note.offset_ns, 13);
    assert_true(actions.items[5].note.freq_ppb == 15);
    assert_int_equal(actions.items[6].note.state, SYNC_HOLDOVER);
    assert_int_equal(actions.items[6].note.offset_ns, -14);
    assert_int_equal(actions.items[6].note.bound_ns, 77);
    actions_free(&actions);
}

static void a_panic_is_said_and_done(void **state)
{
    (void)state;
    const struct discipline_outcome outcome = {.events = DISCIPLINE_PANIC, .outstanding_ns = -21};
    struct actions actions = {0};

    actions_discipline(&actions, &outcome, SYNC_UNSYNCHRONISED, 99);
    assert_int_equal(actions.count, 2);
    assert_int_equal(actions.items[0].note.kind, NOTE_PANIC);
    assert_int_equal(actions.items[0].note.correction_ns, -21);
    assert_int_equal(actions.items[0].note.limit_ns, 99);
    assert_int_equal(actions.items[1].kind, ACTION_PANIC);
    actions_free(&actions);
}

static void nothing_happened_is_no_action(void **state)
{
    (void)state;
    const struct discipline_outcome outcome = {0};
    struct actions actions = {0};

    actions_discipline(&actions, &outcome, SYNC_SYNCHRONISED, 99);
    assert_int_equal(actions.count, 0);
    actions_free(&actions);
}

static void every_refusal_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REFUSAL_COUNT_; i++) {
        assert_string_not_equal(refusal_name(i), "unknown");
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(refusal_name(i), refusal_name(j));
    }
    assert_string_equal(refusal_name(REFUSAL_COUNT_), "unknown");
}

static void faults_are_named_by_the_gravest(void **state)
{
    (void)state;
    assert_int_equal(refusal_from_faults(WIRE_FAULT_VERSION | WIRE_FAULT_NAME), REFUSAL_VERSION);
    assert_int_equal(refusal_from_faults(WIRE_FAULT_TYPE | WIRE_FAULT_LENGTH), REFUSAL_TYPE);
    assert_int_equal(refusal_from_faults(WIRE_FAULT_LENGTH), REFUSAL_LENGTH);
    assert_int_equal(refusal_from_faults(WIRE_FAULT_RANGE | WIRE_FAULT_NAME), REFUSAL_RANGE);
    assert_int_equal(refusal_from_faults(WIRE_FAULT_NAME), REFUSAL_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_grows_and_keeps_its_order),
        cmocka_unit_test(a_cleared_queue_gives_empty_actions),
        cmocka_unit_test(sends_encode_and_say_whether_they_are_stamped),
        cmocka_unit_test(a_step_is_done_before_the_order),
        cmocka_unit_test(a_panic_is_said_and_done),
        cmocka_unit_test(nothing_happened_is_no_action),
        cmocka_unit_test(every_refusal_has_a_name_of_its_own),
        cmocka_unit_test(faults_are_named_by_the_gravest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

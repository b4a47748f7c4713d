/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slave does not take from its master: the old, the changed, and the too much. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void connected(struct probe *probe)
{
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_welcome());
    assert_non_null(probe_note(probe, NOTE_MASTER_FOUND));
}

static void welcomed(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();

    probe_slave(probe, &config);
    connected(probe);
}

static struct wire_frame correct(const struct probe *probe, uint32_t round, int64_t ahead_ns)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};

    frame.correct.round = round;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.counted = frame.correct.present = 3;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns + ahead_ns;
    frame.correct.correction_ns = ahead_ns;
    frame.correct.offset_sd_ns = 1000;
    return frame;
}

static uint64_t refusals(const struct probe *probe, enum refusal refusal)
{
    struct summary summary;

    slave_summary(probe->slave, &probe->now, &summary);
    return summary.refused[refusal];
}

static void say_numbered(struct probe *probe, uint32_t sequence)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame poll = {.type = WIRE_POLL, .sequence = sequence};
    size_t length;

    assert_int_equal(wire_encode(&poll, bytes, &length), 0);
    probe_bytes(probe, 0, bytes, length);
}

static void assert_answered(const struct probe *probe)
{
    struct wire_frame frame;

    assert_true(probe_sent(probe, 0, WIRE_REPLY, &frame));
}

static void a_frame_is_heard_once_and_in_order(void **state)
{
    (void)state;
    static const uint32_t old[] = {100, 99, 2, 1, 0, 100 + UINT32_C(0x80000000)};
    struct probe probe;

    welcomed(&probe);
    say_numbered(&probe, 100); /* what is between was not written: the peer did not read */
    assert_answered(&probe);
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        say_numbered(&probe, old[i]);
        probe_assert_refused(&probe, REFUSAL_SEQUENCE);
    }
    assert_int_equal(refusals(&probe, REFUSAL_SEQUENCE), sizeof old / sizeof old[0]);
    say_numbered(&probe, 101);
    assert_answered(&probe);
    probe_free(&probe);
}

static bool answers(struct probe *probe)
{
    struct wire_frame frame;

    probe_frame(probe, 0, (struct wire_frame){.type = WIRE_POLL});
    return probe_sent(probe, 0, WIRE_REPLY, &frame);
}

static void a_clock_that_somebody_set_says_nothing_before_it_was_looked_at(void **state)
{
    struct probe probe;
    struct wire_frame frame;

    (void)state;
    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, 0));
    probe_tick(&probe);
    probe_wait(&probe, 3 * NS_PER_S);
    assert_true(answers(&probe));
    probe.now.total_ns += 50 * NS_PER_MS;
    assert_false(answers(&probe));
    probe_tick(&probe);
    assert_true(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    assert_true(frame.report.foreign);
    assert_true(answers(&probe));
    probe_free(&probe);
}

static void a_clock_that_is_left_alone_may_be_set(void **state)
{
    struct probe probe;

    (void)state;
    welcomed(&probe);
    probe_tick_status(&probe, &(struct clock_status){.now = probe.now, .observed = true});
    probe.now.total_ns += 50 * NS_PER_MS;
    assert_true(answers(&probe));
    probe_free(&probe);
}

static void numbers_go_round_and_leave_out_0(void **state)
{
    (void)state;
    struct probe probe;

    assert_int_equal(wire_next_sequence(0), 1);
    assert_int_equal(wire_next_sequence(UINT32_MAX - 1), UINT32_MAX);
    assert_int_equal(wire_next_sequence(UINT32_MAX), 1);
    welcomed(&probe);
    for (uint32_t sequence = INT32_MAX; sequence < UINT32_MAX - 5; sequence += INT32_MAX / 2) {
        say_numbered(&probe, sequence);
        assert_answered(&probe);
    }
    say_numbered(&probe, UINT32_MAX);
    assert_answered(&probe);
    say_numbered(&probe, 0);
    probe_assert_refused(&probe, REFUSAL_SEQUENCE);
    say_numbered(&probe, 1);
    assert_answered(&probe);
    say_numbered(&probe, UINT32_MAX);
    probe_assert_refused(&probe, REFUSAL_SEQUENCE);
    probe_free(&probe);
}

/* Not even to go: a recorded BYE is worth nothing. */
static void what_was_said_on_another_connection_counts_for_nothing(void **state)
{
    (void)state;
    struct wire_frame bye = {.type = WIRE_BYE, .sequence = 50, .bye = {.reason = BYE_SHUTDOWN}};
    struct probe probe;

    welcomed(&probe);
    say_numbered(&probe, 50);
    probe_frame(&probe, 0, bye);
    probe_assert_refused(&probe, REFUSAL_SEQUENCE);
    probe_down(&probe, 0, 0);
    probe_up(&probe, 0);
    probe.sequence = 0;
    probe_frame(&probe, 0, probe_welcome());
    assert_non_null(probe_note(&probe, NOTE_MASTER_FOUND));
    assert_int_equal(refusals(&probe, REFUSAL_SEQUENCE), 1);
    probe_free(&probe);
}

static void a_later_welcome_changes_the_interval_only(void **state)
{
    (void)state;
    struct wire_frame changed[3] = {probe_welcome(), probe_welcome(), probe_welcome()};
    struct wire_frame longer = probe_welcome();
    struct probe probe;

    memcpy(changed[0].welcome.name, "time2", sizeof "time2");
    memcpy(changed[1].welcome.group, "other", sizeof "other");
    changed[2].welcome.minor = WIRE_MINOR + 1;
    welcomed(&probe);
    for (size_t i = 0; i < 3; i++) {
        changed[i].welcome.interval_ns = 100 * NS_PER_S;
        probe_frame(&probe, 0, changed[i]);
        probe_assert_refused(&probe, REFUSAL_CHANGED);
    }
    assert_int_equal(refusals(&probe, REFUSAL_CHANGED), 3);
    probe_wait(&probe, 16100 * NS_PER_MS);
    longer.welcome.interval_ns = 100 * NS_PER_S;
    probe_frame(&probe, 0, longer);
    assert_int_equal(probe.actions.count, 0);
    probe_wait(&probe, 399 * NS_PER_S);
    probe_tick(&probe);
    assert_true(probe.open[0]);
    probe_free(&probe);
}

/* Or a master keeps its slaves from holdover by greeting them. */
static void the_same_welcome_is_no_map(void **state)
{
    (void)state;
    struct summary summary;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, 0));
    for (int i = 0; i < 13; i++) {
        probe_wait(&probe, NS_PER_S);
        probe_frame(&probe, 0, probe_welcome());
        probe_tick(&probe);
    }
    slave_summary(probe.slave, &probe.now, &summary);
    assert_int_equal(summary.state, SYNC_HOLDOVER);
    probe_free(&probe);
}

static void a_correction_beyond_panic_is_not_taken_up(void **state)
{
    (void)state;
    int64_t panic_ns = probe_slave_config().limits.panic_threshold_ns;
    struct summary before, after;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, NS_PER_MS));
    probe_tick(&probe);
    slave_summary(probe.slave, &probe.now, &before);
    probe_frame(&probe, 0, correct(&probe, 2, panic_ns)); /* what is allowed */
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_frame(&probe, 0, correct(&probe, 3, NS_PER_MS));
    for (int sign = -1; sign <= 1; sign += 2) {
        probe_frame(&probe, 0, correct(&probe, 4, sign * (panic_ns + 1)));
        probe_assert_refused(&probe, REFUSAL_PANIC);
    }
    slave_summary(probe.slave, &probe.now, &after);
    assert_int_equal(after.refused[REFUSAL_PANIC], 2);
    assert_int_equal(after.bound_ns, before.bound_ns);
    assert_int_equal(after.round, 3);
    probe_tick(&probe);
    assert_int_equal(probe_note(&probe, NOTE_PANIC)->correction_ns, panic_ns + 1);
    assert_int_equal(probe_count(&probe, ACTION_STEP), 0);
    assert_int_equal(probe.actions.items[0].steer.slew_ns, 0);
    assert_int_equal(probe.actions.items[0].steer.adjtime_ns, 0);
    assert_false(probe.actions.items[0].steer.synchronised);
    probe_tick(&probe);
    assert_int_equal(probe.panics, 1);
    probe_free(&probe);
}

/* A machine that slept seems to be far off until the next tick tells why. */
static void what_a_suspend_explains_is_no_panic(void **state)
{
    (void)state;
    int64_t panic_ns = probe_slave_config().limits.panic_threshold_ns;
    struct clock_status status = {.jumped = true};
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, 0));
    probe_tick(&probe);
    probe_frame(&probe, 0, correct(&probe, 2, -2 * panic_ns));
    probe_assert_refused(&probe, REFUSAL_PANIC);
    status.now = probe.now;
    probe_tick_status(&probe, &status);
    assert_null(probe_note(&probe, NOTE_PANIC));
    probe_tick(&probe);
    assert_int_equal(probe.panics, 0);
    probe_free(&probe);
}

/* Whoever else sets a clock that is only observed may do so by days: it is in the group still. */
static void an_observer_may_be_anywhere(void **state)
{
    (void)state;
    int64_t far_ns = 2 * probe_slave_config().limits.panic_threshold_ns;
    struct clock_status status = {.observed = true};
    struct summary summary;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, 0));
    for (uint32_t round = 2; round < 40; round++) {
        status.now = probe.now;
        probe_tick_status(&probe, &status);
        assert_null(probe_note(&probe, NOTE_PANIC));
        assert_null(probe_note(&probe, NOTE_FOREIGN_STEP));
        assert_true(probe.open[0]);
        probe_wait(&probe, NS_PER_S);
        if (round == 5)
            probe.now.total_ns += far_ns;
        probe_frame(&probe, 0, correct(&probe, round, round < 5 ? 0 : -far_ns));
        assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    }
    slave_summary(probe.slave, &probe.now, &summary);
    assert_int_equal(summary.state, SYNC_SYNCHRONISED);
    assert_int_equal(summary.round, 39);
    assert_true(summary.bound_ns >= far_ns && summary.bound_ns < far_ns + NS_PER_MS);
    probe_free(&probe);
}

static void the_last_round_there_is_does_not_end_all(void **state)
{
    (void)state;
    struct probe probe;
    unsigned waited_s = 0;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, UINT32_MAX, 0));
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    for (uint32_t round = 1; probe.open[0]; round++) {
        probe_wait(&probe, NS_PER_S);
        probe_frame(&probe, 0, correct(&probe, round, 0));
        probe_assert_refused(&probe, REFUSAL_REPEATED);
        probe_tick(&probe);
        assert_true(++waited_s < 30);
    }
    probe_assert_dismissed(&probe, 0, BYE_PROTOCOL);
    assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, BYE_PROTOCOL);
    connected(&probe);
    probe_frame(&probe, 0, correct(&probe, 1, 0));
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_free(&probe);
}

/* One that is taken is enough to stay. */
static void some_that_are_of_no_use_are_borne(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    for (uint32_t round = 2; round < 100; round++) {
        probe_wait(&probe, NS_PER_S);
        probe_frame(&probe, 0, correct(&probe, round / 4 * 4, 0));
        probe_tick(&probe);
        assert_true(probe.open[0]);
    }
    assert_true(refusals(&probe, REFUSAL_REPEATED) > 70);
    probe_free(&probe);
}

static void closes_after(struct probe *probe, int64_t span_ns)
{
    probe_wait(probe, span_ns - NS_PER_MS);
    probe_tick(probe);
    assert_true(probe->open[0]);
    probe_wait(probe, 2 * NS_PER_MS);
    probe_tick(probe);
    probe_assert_dismissed(probe, 0, BYE_TIMEOUT);
}

static void patience_can_be_set(void **state)
{
    (void)state;
    struct slave_config config = probe_slave_config();
    struct probe probe;

    config.hello_time_ns = 2 * NS_PER_S;
    config.silence_ns = 9 * NS_PER_S;
    probe_slave(&probe, &config);
    probe_up(&probe, 0);
    closes_after(&probe, config.hello_time_ns);
    connected(&probe);
    closes_after(&probe, config.silence_ns);
    connected(&probe);
    config.silence_ns = NS_PER_S; /* two rounds of 4 s all the same */
    slave_configure(probe.slave, &config);
    closes_after(&probe, 8 * NS_PER_S);
    config.silence_ns = config.hello_time_ns = 0;
    slave_configure(probe.slave, &config);
    probe_up(&probe, 0);
    closes_after(&probe, 5 * NS_PER_S);
    connected(&probe);
    closes_after(&probe, 16 * NS_PER_S);
    probe_free(&probe);
}

/* In one line, which says what to do. */
static void a_master_of_another_version_is_left(void **state)
{
    (void)state;
    const struct slave_config config = probe_slave_config();
    struct wire_frame frame = {.type = WIRE_BYE, .bye = {.reason = BYE_VERSION}};
    uint8_t bytes[WIRE_FRAME_MAX];
    struct probe probe;
    size_t length;

    probe_slave(&probe, &config);
    probe_up(&probe, 0);
    assert_int_equal(wire_encode(&frame, bytes, &length), 0);
    bytes[0] = WIRE_VERSION + 1;
    probe_bytes(&probe, 0, bytes, length);
    probe_assert_dismissed(&probe, 0, BYE_VERSION);
    assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_VERSION);
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_master_of_another_version_is_left),
        cmocka_unit_test(a_frame_is_heard_once_and_in_order),
        cmocka_unit_test(numbers_go_round_and_leave_out_0),
        cmocka_unit_test(what_was_said_on_another_connection_counts_for_nothing),
        cmocka_unit_test(a_clock_that_somebody_set_says_nothing_before_it_was_looked_at),
        cmocka_unit_test(a_clock_that_is_left_alone_may_be_set),
        cmocka_unit_test(a_later_welcome_changes_the_interval_only),
        cmocka_unit_test(the_same_welcome_is_no_map),
        cmocka_unit_test(a_correction_beyond_panic_is_not_taken_up),
        cmocka_unit_test(what_a_suspend_explains_is_no_panic),
        cmocka_unit_test(an_observer_may_be_anywhere),
        cmocka_unit_test(the_last_round_there_is_does_not_end_all),
        cmocka_unit_test(some_that_are_of_no_use_are_borne),
        cmocka_unit_test(patience_can_be_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

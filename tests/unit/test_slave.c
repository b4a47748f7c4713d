/* SPDX-License-Identifier: BSD-2-Clause */
/* The slave machine, a frame at a time. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void connected(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();

    probe_slave(probe, &config);
    probe_up(probe, 0);
}

static void welcomed(struct probe *probe)
{
    connected(probe);
    probe_frame(probe, 0, probe_welcome());
    assert_non_null(probe_note(probe, NOTE_MASTER_FOUND));
}

/* 10 ms to be added, known to a microsecond. */
static struct wire_frame correct(const struct probe *probe, uint32_t round)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};

    frame.correct.round = round;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.counted = 3;
    frame.correct.present = 4;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns + 10 * NS_PER_MS;
    frame.correct.map.freq_ppb = 1000;
    frame.correct.correction_ns = 10 * NS_PER_MS;
    frame.correct.offset_sd_ns = 1000;
    return frame;
}

static enum sync_state state_of(const struct probe *probe)
{
    struct summary summary;

    slave_summary(probe->slave, &probe->now, &summary);
    return summary.state;
}

static void a_connection_begins_with_hello(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    connected(&probe);
    assert_true(probe_sent(&probe, 0, WIRE_HELLO, &frame));
    assert_string_equal(frame.hello.name, "node1");
    assert_string_equal(frame.hello.group, "test");
    assert_int_equal(frame.hello.id[0], 1);
    assert_int_equal(frame.hello.kind, CLOCK_KIND_EMULATED);
    assert_int_equal(frame.hello.state, SYNC_UNSYNCHRONISED);
    probe_free(&probe);
}

static void a_poll_is_answered_with_its_stamps(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame = {.type = WIRE_POLL};

    welcomed(&probe);
    frame.poll.round = 5;
    frame.poll.exchange = 1;
    frame.poll.departure.sent.raw_ns = 4242;
    probe_frame(&probe, 0, frame);
    assert_true(probe_sent(&probe, 0, WIRE_REPLY, &frame));
    assert_int_equal(frame.reply.round, 5);
    assert_int_equal(frame.reply.exchange, 1);
    assert_int_equal(frame.reply.t1_raw_ns, 4242);
    assert_int_equal(frame.reply.t2_raw_ns, probe.now.raw_ns);
    assert_int_equal(frame.reply.state, SYNC_UNSYNCHRONISED);
    assert_int_equal(frame.reply.bound_ns, INT64_MAX);
    probe_free(&probe);
}

static void nothing_is_obeyed_before_welcome(void **state)
{
    (void)state;
    struct probe probe;

    connected(&probe);
    probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_POLL});
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_frame(&probe, 0, correct(&probe, 1));
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 0);
    probe_free(&probe);
}

static void a_masters_words_only(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_REPLY});
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_REPORT});
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_frame(&probe, 0, probe_hello("other", 2));
    probe_assert_refused(&probe, REFUSAL_TURN);
    assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->count, 3);
    probe_free(&probe);
}

static void another_group_is_left(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame = probe_welcome();

    connected(&probe);
    memcpy(frame.welcome.group, "wrong", sizeof "wrong");
    probe_frame(&probe, 0, frame);
    probe_assert_dismissed(&probe, 0, BYE_GROUP);
    assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_GROUP);
    assert_null(probe_note(&probe, NOTE_MASTER_LOST));
    probe_free(&probe);
}

static void a_frame_that_cannot_be_ends_the_connection(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        enum refusal refusal;
        enum bye_reason reason;
    } faults[] = {{0, WIRE_VERSION + 1, REFUSAL_VERSION, BYE_VERSION},
                  {1, 99, REFUSAL_TYPE, BYE_PROTOCOL},
                  {3, 45, REFUSAL_LENGTH, BYE_PROTOCOL},
                  {37, 8, REFUSAL_RANGE, BYE_PROTOCOL}};
    struct wire_frame poll = {.type = WIRE_POLL};

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        uint8_t bytes[WIRE_FRAME_MAX];
        struct probe probe;
        size_t length;

        welcomed(&probe);
        assert_int_equal(wire_encode(&poll, bytes, &length), 0);
        bytes[faults[i].at] = faults[i].value;
        probe_bytes(&probe, 0, bytes, length);
        assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->reason, faults[i].refusal);
        probe_assert_dismissed(&probe, 0, faults[i].reason);
        assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, faults[i].reason);
        probe_frame(&probe, 0, poll);
        assert_int_equal(probe.actions.count, 0);
        probe_free(&probe);
    }
}

static void a_correction_is_obeyed_and_reported(void **state)
{
    (void)state;
    struct clock_status status = {.freq_ppb = 1000, .slew_left_ns = 2 * NS_PER_MS};
    struct probe probe;
    struct wire_frame frame;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    assert_int_equal(probe_note(&probe, NOTE_CORRECTION)->correction_ns, 10 * NS_PER_MS);
    assert_int_equal(probe_note(&probe, NOTE_VERDICT)->verdict, VERDICT_COUNTED);
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 1);
    assert_int_equal(probe.actions.items[0].steer.slew_ns +
                         probe.actions.items[0].steer.adjtime_ns, 2 * NS_PER_MS);
    assert_true(probe.actions.items[0].steer.freq_ppb == 1000);
    assert_true(probe.actions.items[0].steer.synchronised);
    assert_true(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    assert_int_equal(frame.report.round, 1);
    assert_int_equal(frame.report.applied_ns, 0);
    assert_int_equal(frame.report.state, SYNC_SYNCHRONISED);
    status.now = probe.now;
    probe_tick_status(&probe, &status);
    assert_false(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    probe_free(&probe);
}

/* What was applied is measured, whatever was ordered. */
static void what_was_applied_is_measured(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    probe_wait(&probe, NS_PER_S);
    probe.now.total_ns += 123456;
    probe_tick(&probe);
    assert_true(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    assert_int_equal(frame.report.applied_ns, 123456);
    probe_free(&probe);
}

static void the_echo_of_a_correction_is_in_the_next_reply(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;
    int64_t arrived_ns;

    welcomed(&probe);
    frame = correct(&probe, 1);
    frame.sequence = 4711;
    probe_frame(&probe, 0, frame);
    arrived_ns = probe.now.raw_ns;
    probe_wait(&probe, NS_PER_S);
    probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_POLL});
    assert_true(probe_sent(&probe, 0, WIRE_REPLY, &frame));
    assert_int_equal(frame.reply.correct_sequence, 4711);
    assert_int_equal(frame.reply.correct_raw_ns, arrived_ns);
    assert_int_equal(frame.reply.state, SYNC_SYNCHRONISED);
    probe_free(&probe);
}

static void a_round_counts_once_and_in_order(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 7));
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_frame(&probe, 0, correct(&probe, 7));
    probe_assert_refused(&probe, REFUSAL_REPEATED);
    probe_frame(&probe, 0, correct(&probe, 6));
    probe_assert_refused(&probe, REFUSAL_REPEATED);
    probe_frame(&probe, 0, correct(&probe, 8));
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_free(&probe);
}

static void samples_from_before_a_suspend_are_stale(void **state)
{
    (void)state;
    struct clock_status status = {.jumped = true};
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    status.now = probe.now;
    probe_tick_status(&probe, &status);
    assert_non_null(probe_note(&probe, NOTE_SUSPENDED));
    assert_int_equal(state_of(&probe), SYNC_UNSYNCHRONISED);
    probe_frame(&probe, 0, correct(&probe, 2));
    probe_assert_refused(&probe, REFUSAL_EPOCH);
    frame = correct(&probe, 3);
    frame.correct.epoch = 1;
    probe_frame(&probe, 0, frame);
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_free(&probe);
}

/* 100 corrections that waited behind an outage. */
static void a_map_out_of_its_time_is_late(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    frame = correct(&probe, 1);
    probe_wait(&probe, 61 * NS_PER_S);
    for (uint32_t i = 0; i < 100; i++) {
        frame.correct.round = i + 1;
        probe_frame(&probe, 0, frame);
        probe_assert_refused(&probe, REFUSAL_LATE);
    }
    frame = correct(&probe, 200);
    frame.correct.map.raw_ns += 2 * NS_PER_S;
    probe_frame(&probe, 0, frame);
    probe_assert_refused(&probe, REFUSAL_LATE);
    frame.correct.map.raw_ns = TIMESTAMP_LIMIT_NS - 1;
    probe_frame(&probe, 0, frame);
    probe_assert_refused(&probe, REFUSAL_LATE);
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 0);
    probe_free(&probe);
}

static void a_map_no_clock_could_follow_is_refused(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    frame = correct(&probe, 1);
    frame.correct.map.freq_ppb = 2e7;
    probe_frame(&probe, 0, frame);
    probe_assert_refused(&probe, REFUSAL_MAP);
    assert_int_equal(state_of(&probe), SYNC_UNSYNCHRONISED);
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 0);
    probe_frame(&probe, 0, correct(&probe, 1));
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    probe_free(&probe);
}

/* What the verdict makes of a synchronised clock, with a map and without. */
static void a_verdict_is_a_state(void **state)
{
    (void)state;
    static const struct {
        uint8_t verdict, has_map, group;
        enum sync_state expected;
    } cases[] = {{VERDICT_COUNTED, 1, SYNC_SYNCHRONISED, SYNC_SYNCHRONISED},
                 {VERDICT_NOISY, 1, SYNC_SYNCHRONISED, SYNC_SYNCHRONISED},
                 {VERDICT_NEWCOMER, 1, SYNC_SYNCHRONISED, SYNC_UNSYNCHRONISED},
                 {VERDICT_OBSERVER, 1, SYNC_SYNCHRONISED, SYNC_UNSYNCHRONISED},
                 {VERDICT_FAR, 0, SYNC_SYNCHRONISED, SYNC_UNSYNCHRONISED},
                 {VERDICT_FAST, 0, SYNC_SYNCHRONISED, SYNC_UNSYNCHRONISED},
                 {VERDICT_SUSPENDED, 0, SYNC_SYNCHRONISED, SYNC_UNSYNCHRONISED},
                 {VERDICT_NO_QUORUM, 0, SYNC_SYNCHRONISED, SYNC_HOLDOVER},
                 {VERDICT_COUNTED, 0, SYNC_HOLDOVER, SYNC_HOLDOVER},
                 {VERDICT_REFERENCE, 1, SYNC_SYNCHRONISED, SYNC_SYNCHRONISED}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire_frame frame;
        struct probe probe;

        welcomed(&probe);
        probe_frame(&probe, 0, correct(&probe, 1));
        frame = correct(&probe, 2);
        frame.correct.verdict = cases[i].verdict;
        frame.correct.has_map = cases[i].has_map;
        frame.correct.state = cases[i].group;
        probe_frame(&probe, 0, frame);
        assert_int_equal(state_of(&probe), cases[i].expected);
        assert_int_equal(probe_note(&probe, NOTE_VERDICT) != NULL,
                         cases[i].verdict != VERDICT_COUNTED);
        probe_tick(&probe);
        assert_int_equal(probe_count(&probe, ACTION_STEER), cases[i].verdict != VERDICT_REFERENCE);
        probe_free(&probe);
    }
}

static void a_lost_connection_is_holdover(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    probe_down(&probe, 0, 0);
    assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, 0);
    assert_int_equal(state_of(&probe), SYNC_HOLDOVER);
    probe_up(&probe, 0);
    probe_frame(&probe, 0, probe_welcome());
    probe_frame(&probe, 0, correct(&probe, 1)); /* another master counts from 1 again */
    assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    assert_int_equal(state_of(&probe), SYNC_SYNCHRONISED);
    probe_free(&probe);
}

static void byes_are_understood(void **state)
{
    (void)state;
    struct wire_frame bye = {.type = WIRE_BYE, .bye = {.reason = BYE_FULL}};
    struct probe probe;

    connected(&probe);
    probe_frame(&probe, 0, bye);
    assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_FULL);
    assert_true(probe_closed(&probe, 0));
    probe_up(&probe, 0);
    probe_frame(&probe, 0, probe_welcome());
    bye.bye.reason = BYE_SHUTDOWN;
    probe_frame(&probe, 0, bye);
    assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, BYE_SHUTDOWN);
    assert_true(probe_closed(&probe, 0));
    assert_int_equal(probe_count(&probe, ACTION_SEND), 0);
    probe_free(&probe);
}

static void a_master_that_says_nothing_is_left(void **state)
{
    (void)state;
    struct probe probe;

    connected(&probe);
    probe_wait(&probe, 4900 * NS_PER_MS);
    probe_tick(&probe);
    assert_int_equal(probe.actions.count, 0);
    probe_wait(&probe, 200 * NS_PER_MS);
    probe_tick(&probe);
    probe_assert_dismissed(&probe, 0, BYE_TIMEOUT);
    probe_up(&probe, 0);
    probe_frame(&probe, 0, probe_welcome());
    probe_wait(&probe, 15900 * NS_PER_MS);
    probe_tick(&probe);
    assert_false(probe_closed(&probe, 0));
    probe_wait(&probe, 200 * NS_PER_MS);
    probe_tick(&probe);
    probe_assert_dismissed(&probe, 0, BYE_TIMEOUT);
    assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, BYE_TIMEOUT);
    probe_free(&probe);
}

/* It polls but corrects nobody: what is followed grows old. */
static void three_rounds_without_a_map_are_holdover(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    for (int i = 0; i < 13; i++) {
        assert_int_equal(state_of(&probe), SYNC_SYNCHRONISED);
        probe_wait(&probe, NS_PER_S);
        probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_POLL});
        probe_tick(&probe);
    }
    assert_int_equal(state_of(&probe), SYNC_HOLDOVER);
    probe_free(&probe);
}

static void stopping_says_good_bye(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_stop(&probe);
    probe_assert_dismissed(&probe, 0, BYE_SHUTDOWN);
    probe_stop(&probe);
    assert_int_equal(probe.actions.count, 0);
    probe_free(&probe);
}

static void new_limits_count_at_once(void **state)
{
    (void)state;
    struct slave_config config = probe_slave_config();
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, 1));
    config.limits.max_slew_ppm = 1000;
    memcpy(config.name, "renamed", sizeof "renamed");
    slave_configure(probe.slave, &config);
    probe_tick(&probe);
    assert_int_equal(probe.actions.items[0].steer.slew_ns, 4 * NS_PER_MS);
    probe_down(&probe, 0, 0);
    probe_up(&probe, 0);
    assert_true(probe_sent(&probe, 0, WIRE_HELLO, &frame));
    assert_string_equal(frame.hello.name, "node1");
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_begins_with_hello),
        cmocka_unit_test(a_poll_is_answered_with_its_stamps),
        cmocka_unit_test(nothing_is_obeyed_before_welcome),
        cmocka_unit_test(a_masters_words_only),
        cmocka_unit_test(another_group_is_left),
        cmocka_unit_test(a_frame_that_cannot_be_ends_the_connection),
        cmocka_unit_test(a_correction_is_obeyed_and_reported),
        cmocka_unit_test(what_was_applied_is_measured),
        cmocka_unit_test(the_echo_of_a_correction_is_in_the_next_reply),
        cmocka_unit_test(a_round_counts_once_and_in_order),
        cmocka_unit_test(samples_from_before_a_suspend_are_stale),
        cmocka_unit_test(a_map_out_of_its_time_is_late),
        cmocka_unit_test(a_map_no_clock_could_follow_is_refused),
        cmocka_unit_test(a_verdict_is_a_state),
        cmocka_unit_test(a_lost_connection_is_holdover),
        cmocka_unit_test(byes_are_understood),
        cmocka_unit_test(a_master_that_says_nothing_is_left),
        cmocka_unit_test(three_rounds_without_a_map_are_holdover),
        cmocka_unit_test(stopping_says_good_bye),
        cmocka_unit_test(new_limits_count_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

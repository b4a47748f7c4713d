/* SPDX-License-Identifier: BSD-2-Clause */
/* The master machine, a frame at a time: who is let in, and its rounds' frames. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AHEAD_NS (7 * NS_PER_S) /* how much later the slaves' RAW clocks started */

static void started(struct probe *probe)
{
    const struct master_config config = probe_master_config();

    probe_master(probe, &config);
}

static void join(struct probe *probe, uint32_t peer, const char *name, uint8_t id)
{
    probe_up(probe, peer);
    probe_frame(probe, peer, probe_hello(name, id));
    assert_non_null(probe_note(probe, NOTE_SLAVE_JOINED));
}

/* On to the master's next wake, and awake it. */
static void next_wake(struct probe *probe)
{
    int64_t wait_ns = master_wake_at(probe->master) - probe->now.raw_ns;

    probe_wait(probe, wait_ns > 0 ? wait_ns : 0);
    probe_wake(probe);
}

/* On to the first exchange of the next round. */
static struct wire_frame next_round(struct probe *probe, uint32_t peer)
{
    struct wire_frame frame;

    do
        next_wake(probe);
    while (!probe_sent(probe, peer, WIRE_POLL, &frame) || frame.poll.exchange != 0);
    return frame;
}

static void hello_is_welcomed(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    started(&probe);
    probe_up(&probe, 3);
    assert_int_equal(probe.actions.count, 0);
    probe_frame(&probe, 3, probe_hello("node1", 1));
    assert_true(probe_sent(&probe, 3, WIRE_WELCOME, &frame));
    assert_string_equal(frame.welcome.name, "time1");
    assert_string_equal(frame.welcome.group, "test");
    assert_int_equal(frame.welcome.interval_ns, 4 * NS_PER_S);
    assert_int_equal(frame.welcome.exchanges, 2);
    assert_string_equal(probe_note(&probe, NOTE_SLAVE_JOINED)->name, "node1");
    assert_string_equal(probe_note(&probe, NOTE_SLAVE_JOINED)->address, "192.0.2.1");
    probe_free(&probe);
}

static void a_newer_minor_version_is_spoken_down_to(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame = probe_hello("node1", 1);

    started(&probe);
    probe_up(&probe, 0);
    frame.hello.minor = WIRE_MINOR + 3;
    probe_frame(&probe, 0, frame);
    assert_true(probe_sent(&probe, 0, WIRE_WELCOME, &frame));
    assert_int_equal(frame.welcome.minor, WIRE_MINOR);
    probe_free(&probe);
}

static void a_new_configuration_changes_all_but_names(void **state)
{
    (void)state;
    struct master_config config = probe_master_config();
    struct wire_frame frame;
    struct probe probe;

    started(&probe);
    memcpy(config.name, "renamed", sizeof "renamed");
    memcpy(config.group, "other", sizeof "other");
    config.interval_ns = NS_PER_S;
    config.exchanges = 3;
    config.max_slaves = 1;
    master_configure(probe.master, &config);
    join(&probe, 0, "node1", 1);
    assert_true(probe_sent(&probe, 0, WIRE_WELCOME, &frame));
    assert_string_equal(frame.welcome.name, "time1");
    assert_string_equal(frame.welcome.group, "test");
    assert_int_equal(frame.welcome.interval_ns, NS_PER_S);
    assert_int_equal(frame.welcome.exchanges, 3);
    probe_up(&probe, 1);
    probe_frame(&probe, 1, probe_hello("node2", 2));
    probe_assert_dismissed(&probe, 1, BYE_FULL);
    probe_free(&probe);
}

static void is_turned_away(struct probe *probe, struct wire_frame hello, enum bye_reason reason)
{
    struct wire_frame frame;

    probe_up(probe, 9);
    probe_frame(probe, 9, hello);
    probe_assert_dismissed(probe, 9, reason);
    assert_int_equal(probe_note(probe, NOTE_PEER_REFUSED)->reason, reason);
    assert_null(probe_note(probe, NOTE_SLAVE_JOINED));
    assert_false(probe_sent(probe, 9, WIRE_WELCOME, &frame));
}

static void who_does_not_belong_is_turned_away(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame hello = probe_hello("node9", 9);
    struct summary summary;

    started(&probe);
    join(&probe, 0, "node1", 1);
    is_turned_away(&probe, probe_hello("node1", 9), BYE_NAME);
    is_turned_away(&probe, probe_hello("time1", 9), BYE_NAME);
    memcpy(hello.hello.group, "wrong", sizeof "wrong");
    is_turned_away(&probe, hello, BYE_GROUP);
    join(&probe, 1, "node2", 2);
    join(&probe, 2, "node3", 3);
    join(&probe, 3, "node4", 4);
    is_turned_away(&probe, probe_hello("node5", 5), BYE_FULL);
    master_summary(probe.master, &probe.now, &summary);
    assert_int_equal(summary.slaves, 4);
    probe_down(&probe, 1, BYE_FLOOD);
    assert_int_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->reason, BYE_FLOOD);
    probe_up(&probe, 1);
    probe_down(&probe, 1, BYE_FLOOD);
    assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, BYE_FLOOD);
    join(&probe, 9, "node5", 5);
    probe_free(&probe);
}

/* Also when the house is full. */
static void a_newer_connection_takes_over(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    started(&probe);
    for (uint8_t i = 0; i < 4; i++)
        join(&probe, i, (const char[]){'n', (char)('a' + i), 0}, i);
    join(&probe, 7, "nb", 1);
    assert_true(probe_sent(&probe, 1, WIRE_BYE, &frame));
    assert_int_equal(frame.bye.reason, BYE_RESTARTED);
    assert_true(probe_closed(&probe, 1));
    assert_string_equal(probe_note(&probe, NOTE_SLAVE_REPLACED)->name, "nb");
    assert_null(probe_note(&probe, NOTE_SLAVE_LEFT));
    probe_frame(&probe, 1, probe_hello("nb", 1)); /* what was still under way says nothing */
    assert_int_equal(probe.actions.count, 0);
    probe_free(&probe);
}

static void a_taken_name_does_not_disturb_its_owner(void **state)
{
    (void)state;
    struct probe probe;

    started(&probe);
    join(&probe, 0, "node1", 1);
    join(&probe, 1, "node2", 2);
    probe_up(&probe, 9);
    probe_frame(&probe, 9, probe_hello("node2", 1)); /* node1's id under another's name */
    assert_true(probe.open[1]);
    probe_free(&probe);
}

static void frames_have_their_turn(void **state)
{
    (void)state;
    struct wire_frame poll = {.type = WIRE_POLL}, reply = {.type = WIRE_REPLY};
    struct probe probe;

    started(&probe);
    probe_up(&probe, 0);
    probe_frame(&probe, 0, reply);
    assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->reason, REFUSAL_TURN);
    probe_assert_dismissed(&probe, 0, BYE_PROTOCOL);
    join(&probe, 0, "node1", 1);
    probe_frame(&probe, 0, probe_hello("node1", 1));
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_frame(&probe, 0, poll);
    probe_assert_refused(&probe, REFUSAL_TURN);
    probe_frame(&probe, 0, probe_welcome());
    probe_assert_refused(&probe, REFUSAL_TURN);
    assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->count, 3);
    probe_free(&probe);
}

static void a_frame_that_cannot_be_ends_the_connection(void **state)
{
    (void)state;
    uint8_t bytes[WIRE_FRAME_MAX];
    struct wire_frame hello = probe_hello("node1", 1);
    struct probe probe;
    size_t length;

    started(&probe);
    join(&probe, 1, "node2", 2);
    assert_int_equal(wire_encode(&hello, bytes, &length), 0);
    bytes[40] = '\n';
    probe_up(&probe, 0);
    probe_bytes(&probe, 0, bytes, length);
    assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->reason, REFUSAL_NAME);
    probe_assert_dismissed(&probe, 0, BYE_PROTOCOL);
    assert_non_null(probe_note(&probe, NOTE_PEER_REFUSED));
    bytes[0] = WIRE_VERSION + 1;
    probe_bytes(&probe, 1, bytes, length);
    assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->reason, REFUSAL_VERSION);
    probe_assert_dismissed(&probe, 1, BYE_VERSION);
    assert_int_equal(probe_note(&probe, NOTE_SLAVE_LEFT)->reason, BYE_VERSION);
    probe_free(&probe);
}

static void a_reply_counts_once(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame poll, reply;

    started(&probe);
    join(&probe, 0, "node1", 1);
    poll = next_round(&probe, 0);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    probe_frame(&probe, 0, reply);
    assert_int_equal(probe.actions.count, 0);
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_REPEATED);
    probe_free(&probe);
}

static void a_reply_belongs_to_its_poll(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame poll, reply;

    started(&probe);
    join(&probe, 0, "node1", 1);
    poll = next_round(&probe, 0);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    reply.reply.round++;
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_ROUND);
    reply.reply.round--;
    reply.reply.exchange = 1; /* not asked for yet */
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_ROUND);
    reply.reply.exchange = 7; /* never asked for */
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_ROUND);
    reply.reply.exchange = 0;
    reply.reply.t1_raw_ns++;
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_IMPOSSIBLE);
    reply.reply.t1_raw_ns--;
    reply.reply.departure.sent.raw_ns = reply.reply.t2_raw_ns - 1;
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_IMPOSSIBLE);
    reply.reply.departure.sent.raw_ns = reply.reply.t2_raw_ns + 2 * NS_PER_MS;
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_IMPOSSIBLE);
    reply.reply.departure.sent.raw_ns = reply.reply.t2_raw_ns;
    probe_frame(&probe, 0, reply);
    assert_int_equal(probe.actions.count, 0);
    probe_free(&probe);
}

static void a_late_reply_is_refused(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame poll, reply;

    started(&probe);
    join(&probe, 0, "node1", 1);
    poll = next_round(&probe, 0);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    next_wake(&probe);
    next_wake(&probe);
    probe_wait(&probe, 2 * NS_PER_MS);
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_LATE);
    (void)next_round(&probe, 0);
    for (int i = 0; i < 100; i++) {
        probe_frame(&probe, 0, reply);
        probe_assert_refused(&probe, REFUSAL_LATE);
    }
    probe_free(&probe);
}

/* The POLL is still in the queue: an answer to it cannot be. */
static void an_answer_to_what_never_left_is_refused(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame poll;

    started(&probe);
    join(&probe, 0, "node1", 1);
    probe.unread = true;
    poll = next_round(&probe, 0);
    probe_frame(&probe, 0, probe_reply(&probe, &poll, AHEAD_NS));
    probe_assert_refused(&probe, REFUSAL_ROUND);
    probe_free(&probe);
}

/* One node answers all polls at once, the other none: rounds go on, on the beat. */
static void a_slave_that_does_not_read_stalls_nobody(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame poll;
    int64_t start_ns = 0;
    unsigned rounds = 0;

    started(&probe);
    join(&probe, 0, "node1", 1);
    join(&probe, 1, "node2", 2);
    for (int i = 0; i < 300; i++) {
        next_wake(&probe);
        if (!probe_sent(&probe, 0, WIRE_POLL, &poll))
            continue;
        if (poll.poll.exchange == 0) {
            if (rounds++ > 8)
                assert_in_range(probe.now.raw_ns - start_ns, 4 * NS_PER_S, 4 * NS_PER_S);
            start_ns = probe.now.raw_ns;
        }
        probe_frame(&probe, 0, probe_reply(&probe, &poll, AHEAD_NS));
        assert_null(probe_note(&probe, NOTE_FRAME_REFUSED));
    }
    assert_true(rounds > 50);
    probe_free(&probe);
}

static void silence_ends_a_connection(void **state)
{
    (void)state;
    struct probe probe;

    started(&probe);
    probe_up(&probe, 0);
    join(&probe, 1, "node1", 1);
    probe_wait(&probe, 4900 * NS_PER_MS);
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_CLOSE), 0);
    probe_wait(&probe, 200 * NS_PER_MS);
    probe_tick(&probe);
    probe_assert_dismissed(&probe, 0, BYE_TIMEOUT);
    assert_true(probe.open[1]);
    probe_wait(&probe, 10800 * NS_PER_MS);
    probe_tick(&probe);
    assert_true(probe.open[1]);
    probe_wait(&probe, 200 * NS_PER_MS);
    probe_tick(&probe);
    probe_assert_dismissed(&probe, 1, BYE_TIMEOUT);
    probe_free(&probe);
}

static void stopping_says_good_bye_to_all(void **state)
{
    (void)state;
    struct probe probe;
    struct wire_frame frame;

    started(&probe);
    join(&probe, 0, "node1", 1);
    join(&probe, 5, "node2", 2);
    probe_stop(&probe);
    assert_true(probe_sent(&probe, 0, WIRE_BYE, &frame));
    assert_int_equal(frame.bye.reason, BYE_SHUTDOWN);
    assert_true(probe_closed(&probe, 0));
    probe_assert_dismissed(&probe, 5, BYE_SHUTDOWN);
    assert_int_equal(probe_count(&probe, ACTION_CLOSE), 2);
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_is_welcomed),
        cmocka_unit_test(a_newer_minor_version_is_spoken_down_to),
        cmocka_unit_test(a_new_configuration_changes_all_but_names),
        cmocka_unit_test(who_does_not_belong_is_turned_away),
        cmocka_unit_test(a_newer_connection_takes_over),
        cmocka_unit_test(a_taken_name_does_not_disturb_its_owner),
        cmocka_unit_test(frames_have_their_turn),
        cmocka_unit_test(a_frame_that_cannot_be_ends_the_connection),
        cmocka_unit_test(a_reply_counts_once),
        cmocka_unit_test(a_reply_belongs_to_its_poll),
        cmocka_unit_test(a_late_reply_is_refused),
        cmocka_unit_test(an_answer_to_what_never_left_is_refused),
        cmocka_unit_test(a_slave_that_does_not_read_stalls_nobody),
        cmocka_unit_test(silence_ends_a_connection),
        cmocka_unit_test(stopping_says_good_bye_to_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

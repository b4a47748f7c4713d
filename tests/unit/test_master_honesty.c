/* SPDX-License-Identifier: BSD-2-Clause */
/* What a master does not take from its slaves, and how long it waits for them. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AHEAD_NS (7 * NS_PER_S)

static void started(struct probe *probe, const struct master_config *config)
{
    probe_master(probe, config);
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_hello("node1", 1));
    assert_non_null(probe_note(probe, NOTE_SLAVE_JOINED));
}

static void next_wake(struct probe *probe)
{
    int64_t wait_ns = master_wake_at(probe->master) - probe->now.raw_ns;

    probe_wait(probe, wait_ns > 0 ? wait_ns : 0);
    probe_wake(probe);
}

static struct wire_frame next_poll(struct probe *probe)
{
    struct wire_frame frame;

    do
        next_wake(probe);
    while (!probe_sent(probe, 0, WIRE_POLL, &frame));
    return frame;
}

static uint64_t refusals(const struct probe *probe, enum refusal refusal)
{
    struct summary summary;

    master_summary(probe->master, &probe->now, &summary);
    return summary.refused[refusal];
}

static void a_frame_is_heard_once_and_in_order(void **state)
{
    (void)state;
    const struct master_config config = probe_master_config();
    struct wire_frame poll, reply;
    struct probe probe;

    started(&probe, &config);
    poll = next_poll(&probe);
    reply = probe_reply(&probe, &poll, AHEAD_NS);
    reply.sequence = 10;
    probe_frame(&probe, 0, reply);
    assert_int_equal(probe.actions.count, 0);
    for (uint32_t sequence = 10; sequence > 0; sequence--) {
        reply.sequence = sequence;
        probe_frame(&probe, 0, reply);
        probe_assert_refused(&probe, REFUSAL_SEQUENCE);
    }
    reply.sequence = 11;
    probe_frame(&probe, 0, reply);
    probe_assert_refused(&probe, REFUSAL_REPEATED);
    assert_int_equal(refusals(&probe, REFUSAL_SEQUENCE), 10);
    probe_down(&probe, 0, 0);
    probe_up(&probe, 0);
    reply = probe_hello("node1", 1);
    reply.sequence = 1; /* each connection counts anew, and what was counted stays */
    probe_frame(&probe, 0, reply);
    assert_non_null(probe_note(&probe, NOTE_SLAVE_JOINED));
    assert_int_equal(refusals(&probe, REFUSAL_SEQUENCE), 10);
    assert_int_equal(refusals(&probe, REFUSAL_REPEATED), 1);
    probe_free(&probe);
}

/* A whole frame cut short, at each of its bytes. */
static void what_is_cut_short_is_refused(void **state)
{
    (void)state;
    const struct master_config config = probe_master_config();
    const struct wire_frame hello = probe_hello("node1", 1);
    uint8_t bytes[WIRE_FRAME_MAX];
    struct probe probe;
    size_t length;

    assert_int_equal(wire_encode(&hello, bytes, &length), 0);
    probe_master(&probe, &config);
    for (size_t cut = 0; cut < length; cut++) {
        probe_up(&probe, 0);
        probe_bytes(&probe, 0, bytes, cut);
        assert_int_equal(probe_note(&probe, NOTE_FRAME_REFUSED)->reason, REFUSAL_LENGTH);
        probe_assert_dismissed(&probe, 0, BYE_PROTOCOL);
    }
    assert_int_equal(refusals(&probe, REFUSAL_LENGTH), length);
    probe_free(&probe);
}

/* Each round another epoch: nothing of it is used, and nobody reads of it all day. */
static void one_that_always_jumps_is_said_once_in_a_while(void **state)
{
    (void)state;
    const struct master_config config = probe_master_config();
    unsigned said = 0, told = 0, in = 0, rounds = 0;
    struct probe probe;
    int64_t start_ns;

    started(&probe, &config);
    start_ns = probe.now.raw_ns;
    while (probe.now.raw_ns - start_ns < 3600 * NS_PER_S) {
        struct wire_frame poll = next_poll(&probe), reply = probe_reply(&probe, &poll, AHEAD_NS);
        const struct note *note;

        reply.reply.epoch = rounds++;
        reply.reply.state = SYNC_SYNCHRONISED;
        probe_frame(&probe, 0, reply);
        note = probe_note(&probe, NOTE_CLOCK_JUMPED);
        said += note != NULL;
        told += note ? note->count : 0;
        note = probe_note(&probe, NOTE_CLOCK_IN);
        in += note && strcmp(note->name, "node1") == 0;
        probe_tick(&probe);
    }
    assert_true(rounds > 1000);
    assert_in_range(said, 5, 7);
    assert_in_range(told, rounds * 5 / 6, rounds);
    assert_int_equal(in, 0);
    probe_free(&probe);
}

static void closes_after(struct probe *probe, uint32_t peer, int64_t span_ns)
{
    probe_wait(probe, span_ns - NS_PER_MS);
    probe_tick(probe);
    assert_true(probe->open[peer]);
    probe_wait(probe, 2 * NS_PER_MS);
    probe_tick(probe);
    probe_assert_dismissed(probe, peer, BYE_TIMEOUT);
}

static void patience_can_be_set(void **state)
{
    (void)state;
    struct master_config config = probe_master_config();
    struct probe probe;

    config.silence_ns = 9 * NS_PER_S;
    started(&probe, &config);
    closes_after(&probe, 0, config.silence_ns);
    config.hello_time_ns = 2 * NS_PER_S;
    config.silence_ns = NS_PER_S; /* two rounds of 4 s all the same */
    master_configure(probe.master, &config);
    probe_up(&probe, 0);
    closes_after(&probe, 0, 2 * NS_PER_S);
    probe_up(&probe, 0);
    probe_frame(&probe, 0, probe_hello("node1", 1));
    closes_after(&probe, 0, 8 * NS_PER_S);
    probe_free(&probe);
}

/* One answered the first round, and then is silent: how long the next one waits for it. */
static int64_t wait_of(int64_t answer_time_ns, int64_t interval_ns)
{
    struct master_config config = probe_master_config();
    struct wire_frame poll;
    struct probe probe;
    int64_t last_ns;

    config.answer_time_ns = answer_time_ns;
    config.interval_ns = interval_ns;
    config.exchanges = 1;
    started(&probe, &config);
    for (int i = 0; i < 80; i++) { /* past the fast rounds */
        poll = next_poll(&probe);
        probe_frame(&probe, 0, probe_reply(&probe, &poll, AHEAD_NS));
    }
    (void)next_poll(&probe);
    last_ns = probe.now.raw_ns;
    do
        next_wake(&probe);
    while (!probe_note(&probe, NOTE_ROUND));
    probe_free(&probe);
    return probe.now.raw_ns - last_ns;
}

static void a_round_waits_as_long_as_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(wait_of(0, 4 * NS_PER_S), NS_PER_S);
    assert_int_equal(wait_of(300 * NS_PER_MS, 4 * NS_PER_S), 300 * NS_PER_MS);
    assert_int_equal(wait_of(2 * NS_PER_S, 4 * NS_PER_S), 2 * NS_PER_S);
    assert_int_equal(wait_of(60 * NS_PER_S, 4 * NS_PER_S), 3900 * NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_heard_once_and_in_order),
        cmocka_unit_test(what_is_cut_short_is_refused),
        cmocka_unit_test(one_that_always_jumps_is_said_once_in_a_while),
        cmocka_unit_test(patience_can_be_set),
        cmocka_unit_test(a_round_waits_as_long_as_it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

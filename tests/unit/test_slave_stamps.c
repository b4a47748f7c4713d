/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slave tells of its frames' departures, and when it has news. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void welcomed(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();

    probe_slave(probe, &config);
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_welcome());
}

static void stamped(struct probe *probe, uint32_t peer, uint8_t type, uint32_t sequence,
                    int64_t raw_ns)
{
    probe_stamped(probe, peer, sequence, type, raw_ns);
    assert_int_equal(probe->actions.count, 0);
}

static struct wire_frame polled(struct probe *probe)
{
    struct wire_frame frame;

    probe_frame(probe, 0, (struct wire_frame){.type = WIRE_POLL});
    assert_true(probe_sent(probe, 0, WIRE_REPLY, &frame));
    return frame;
}

static void assert_tells(struct probe *probe, uint32_t sequence, int64_t raw_ns)
{
    const struct wire_frame frame = polled(probe);

    assert_int_equal(frame.reply.departure.prev_sequence, sequence);
    assert_int_equal(frame.reply.departure.prev_raw_ns, raw_ns);
}

static void a_reply_tells_when_the_one_before_left(void **state)
{
    struct wire_frame first, second;
    struct probe probe;

    (void)state;
    welcomed(&probe);
    first = polled(&probe);
    assert_int_equal(first.reply.departure.prev_sequence, 0);
    stamped(&probe, 0, WIRE_REPLY, first.sequence, 4711);
    second = polled(&probe);
    assert_int_equal(second.reply.departure.prev_sequence, first.sequence);
    assert_int_equal(second.reply.departure.prev_raw_ns, 4711);
    assert_tells(&probe, first.sequence, 4711); /* the second one's is not known */
    probe_free(&probe);
}

static void other_departures_are_not_told(void **state)
{
    struct probe probe;
    uint32_t sequence;

    (void)state;
    welcomed(&probe);
    sequence = polled(&probe).sequence;
    stamped(&probe, 0, WIRE_REPORT, sequence, 1);
    stamped(&probe, 1, WIRE_REPLY, sequence, 2);
    stamped(&probe, 0, WIRE_REPLY, sequence, TIMESTAMP_LIMIT_NS);
    assert_tells(&probe, 0, 0);
    stamped(&probe, 0, WIRE_REPLY, sequence, 3);
    probe_down(&probe, 0, 0);
    stamped(&probe, 0, WIRE_REPLY, sequence, 4);
    probe_up(&probe, 0);
    probe_frame(&probe, 0, probe_welcome());
    assert_tells(&probe, 0, 0); /* a new connection counts anew */
    probe_free(&probe);
}

static void a_reply_tells_how_the_poll_was_stamped(void **state)
{
    struct probe probe;

    (void)state;
    welcomed(&probe);
    assert_int_equal(polled(&probe).reply.source, STAMP_USER);
    probe.source = STAMP_KERNEL;
    assert_int_equal(polled(&probe).reply.source, STAMP_KERNEL);
    probe_free(&probe);
}

/* A map with so much to be corrected, taken up, and the second after. */
static bool reports(struct probe *probe, uint32_t round, int64_t correction_ns)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};

    frame.correct.round = round;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns + correction_ns;
    frame.correct.correction_ns = correction_ns;
    frame.correct.offset_sd_ns = 1000;
    probe_frame(probe, 0, frame);
    probe_wait(probe, NS_PER_S);
    probe_tick(probe);
    return probe_sent(probe, 0, WIRE_REPORT, &frame);
}

static void a_settled_slave_has_nothing_to_report(void **state)
{
    struct probe probe;

    (void)state;
    welcomed(&probe);
    assert_true(reports(&probe, 1, 0)); /* synchronised */
    assert_false(reports(&probe, 2, 0));
    assert_false(reports(&probe, 3, NS_PER_MS));
    assert_true(reports(&probe, 4, NS_PER_MS + 1));
    assert_false(reports(&probe, 5, -NS_PER_MS));
    assert_true(reports(&probe, 6, -NS_PER_MS - 1));
    probe_tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_SEND), 0);
    probe_free(&probe);
}

static void a_reply_tells_how_well_the_group_is_known(void **state)
{
    struct probe probe;

    (void)state;
    welcomed(&probe);
    assert_int_equal(polled(&probe).reply.offset_sd_ns, INT64_MAX);
    assert_true(reports(&probe, 1, 0));
    assert_true(polled(&probe).reply.offset_sd_ns >= 1000);
    assert_true(polled(&probe).reply.offset_sd_ns < NS_PER_MS);
    probe_free(&probe);
}

/* A REPLY that told it is news enough. */
static void a_state_is_told_once(void **state)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};
    struct probe probe;

    (void)state;
    welcomed(&probe);
    assert_true(reports(&probe, 1, 0));
    frame.correct.round = 2;
    frame.correct.state = SYNC_HOLDOVER;
    frame.correct.verdict = VERDICT_COUNTED;
    probe_frame(&probe, 0, frame);
    assert_int_equal(polled(&probe).reply.state, SYNC_HOLDOVER);
    probe_tick(&probe);
    assert_false(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    probe_free(&probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_tells_when_the_one_before_left),
        cmocka_unit_test(other_departures_are_not_told),
        cmocka_unit_test(a_reply_tells_how_the_poll_was_stamped),
        cmocka_unit_test(a_settled_slave_has_nothing_to_report),
        cmocka_unit_test(a_state_is_told_once),
        cmocka_unit_test(a_reply_tells_how_well_the_group_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

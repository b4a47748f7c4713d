/* SPDX-License-Identifier: BSD-2-Clause */
/* What a slave says of the orders it gave its clock, and why it lost a master. */
#include "bound_sds.h"
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define READ_PPB 777.0
#define ORDERED_PPB 1000.0
#define SD_NS NS_PER_US
#define BOUND_NS (10 * NS_PER_MS + (int64_t)(BOUND_SDS * SD_NS))

static void welcomed(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();

    probe_slave(probe, &config);
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_welcome());
}

/* 10 ms to be added, known to a microsecond. */
static struct wire_frame correct(const struct probe *probe, enum clock_verdict verdict,
                                 double freq_ppb)
{
    struct wire_frame frame = {.type = WIRE_CORRECT};

    frame.correct.round = 1;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = (uint8_t)verdict;
    frame.correct.has_map = 1;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns + 10 * NS_PER_MS;
    frame.correct.map.freq_ppb = freq_ppb;
    frame.correct.correction_ns = 10 * NS_PER_MS;
    frame.correct.offset_sd_ns = SD_NS;
    return frame;
}

/* A tick that finds the clock at READ_PPB. */
static void tick(struct probe *probe)
{
    const struct clock_status status = {.now = probe->now, .freq_ppb = READ_PPB};

    probe_tick_status(probe, &status);
}

static void assert_ppb(int64_t freq_fs, double freq_ppb)
{
    assert_int_equal(freq_fs, wire_fs_from_ppb(freq_ppb));
}

static int64_t replied_fs(struct probe *probe)
{
    struct wire_frame frame;

    probe_frame(probe, 0, (struct wire_frame){.type = WIRE_POLL});
    assert_true(probe_sent(probe, 0, WIRE_REPLY, &frame));
    return frame.reply.freq_fs;
}

static int64_t greeted_fs(struct probe *probe)
{
    struct wire_frame frame;

    probe_down(probe, 0, 0);
    probe_up(probe, 0);
    assert_true(probe_sent(probe, 0, WIRE_HELLO, &frame));
    return frame.hello.freq_fs;
}

static int64_t reported_fs(const struct probe *probe)
{
    struct wire_frame frame;

    assert_true(probe_sent(probe, 0, WIRE_REPORT, &frame));
    return frame.report.freq_fs;
}

/* What was read at the tick ended with it. */
static void the_frequency_told_is_the_one_ordered(void **state)
{
    (void)state;
    struct summary summary;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, VERDICT_COUNTED, ORDERED_PPB));
    tick(&probe);
    assert_ppb(reported_fs(&probe), ORDERED_PPB);
    assert_ppb(replied_fs(&probe), ORDERED_PPB);
    slave_summary(probe.slave, &probe.now, &summary);
    assert_true(summary.freq_ppb == ORDERED_PPB);
    assert_ppb(greeted_fs(&probe), ORDERED_PPB);
    probe_free(&probe);
}

/* A map says what will be in force after the next tick, not what is. */
static void a_map_changes_nothing_before_the_tick(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    tick(&probe);
    assert_ppb(replied_fs(&probe), READ_PPB);
    probe_frame(&probe, 0, correct(&probe, VERDICT_COUNTED, ORDERED_PPB));
    assert_ppb(replied_fs(&probe), READ_PPB);
    tick(&probe);
    assert_ppb(replied_fs(&probe), ORDERED_PPB);
    probe_free(&probe);
}

static void a_frequency_beyond_the_kernel_is_told_as_ordered(void **state)
{
    (void)state;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, VERDICT_NEWCOMER, -2 * DISCIPLINE_FREQ_LIMIT_PPB));
    tick(&probe);
    assert_ppb(reported_fs(&probe), -DISCIPLINE_FREQ_LIMIT_PPB);
    assert_ppb(replied_fs(&probe), -DISCIPLINE_FREQ_LIMIT_PPB);
    assert_ppb(greeted_fs(&probe), -DISCIPLINE_FREQ_LIMIT_PPB);
    probe_free(&probe);
}

/* Somebody else keeps it; what it says is measured. */
static void a_reference_is_not_steered_but_tells_all(void **state)
{
    (void)state;
    struct summary summary;
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, VERDICT_COUNTED, ORDERED_PPB));
    tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 1);
    probe_wait(&probe, NS_PER_S);
    frame = correct(&probe, VERDICT_REFERENCE, ORDERED_PPB);
    frame.correct.round = 2;
    probe_frame(&probe, 0, frame);
    tick(&probe);
    assert_int_equal(probe_count(&probe, ACTION_STEER), 0);
    assert_true(probe_sent(&probe, 0, WIRE_REPORT, &frame));
    assert_int_equal(frame.report.state, SYNC_SYNCHRONISED);
    assert_ppb(frame.report.freq_fs, READ_PPB);
    assert_int_equal(frame.report.bound_ns, BOUND_NS);
    slave_summary(probe.slave, &probe.now, &summary);
    assert_int_equal(summary.state, SYNC_SYNCHRONISED);
    assert_int_equal(summary.outstanding_ns, 10 * NS_PER_MS);
    assert_int_equal(summary.bound_ns, BOUND_NS);
    probe_free(&probe);
}

static int64_t replied_bound(struct probe *probe)
{
    struct wire_frame frame;

    probe_frame(probe, 0, (struct wire_frame){.type = WIRE_POLL});
    assert_true(probe_sent(probe, 0, WIRE_REPLY, &frame));
    return frame.reply.bound_ns;
}

static void an_excluded_clock_replies_no_bound(void **state)
{
    (void)state;
    struct wire_frame frame;
    struct probe probe;

    welcomed(&probe);
    probe_frame(&probe, 0, correct(&probe, VERDICT_COUNTED, ORDERED_PPB));
    assert_true(replied_bound(&probe) < NS_PER_S);
    frame = correct(&probe, VERDICT_FAR, ORDERED_PPB);
    frame.correct.round = 2;
    frame.correct.has_map = 0;
    probe_frame(&probe, 0, frame);
    assert_int_equal(probe_note(&probe, NOTE_CORRECTION)->bound_ns, INT64_MAX);
    assert_int_equal(replied_bound(&probe), INT64_MAX);
    frame = correct(&probe, VERDICT_NEWCOMER, ORDERED_PPB);
    frame.correct.round = 3;
    probe_frame(&probe, 0, frame);
    assert_true(replied_bound(&probe) < NS_PER_S);
    probe_free(&probe);
}

/* Before WELCOME it is a refusal, after it a loss. */
static void a_lost_connection_says_why(void **state)
{
    (void)state;
    static const unsigned reasons[] = {0, BYE_PROTOCOL, BYE_TIMEOUT};

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        const struct slave_config config = probe_slave_config();
        struct probe probe;

        probe_slave(&probe, &config);
        probe_up(&probe, 0);
        probe_down(&probe, 0, reasons[i]);
        assert_int_equal(probe_note(&probe, NOTE_PEER_REFUSED)->reason, reasons[i]);
        assert_string_equal(probe_note(&probe, NOTE_PEER_REFUSED)->address, "192.0.2.1");
        assert_null(probe_note(&probe, NOTE_MASTER_LOST));
        probe_up(&probe, 0);
        probe_frame(&probe, 0, probe_welcome());
        probe_down(&probe, 0, reasons[i]);
        assert_int_equal(probe_note(&probe, NOTE_MASTER_LOST)->reason, reasons[i]);
        assert_string_equal(probe_note(&probe, NOTE_MASTER_LOST)->name, "time1");
        assert_null(probe_note(&probe, NOTE_PEER_REFUSED));
        probe_free(&probe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frequency_told_is_the_one_ordered),
        cmocka_unit_test(a_map_changes_nothing_before_the_tick),
        cmocka_unit_test(a_frequency_beyond_the_kernel_is_told_as_ordered),
        cmocka_unit_test(a_reference_is_not_steered_but_tells_all),
        cmocka_unit_test(an_excluded_clock_replies_no_bound),
        cmocka_unit_test(a_lost_connection_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

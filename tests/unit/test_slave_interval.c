/* SPDX-License-Identifier: BSD-2-Clause */
/* A master that is configured anew tells its slaves another interval. */
#include "machine_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void followed(struct probe *probe)
{
    const struct slave_config config = probe_slave_config();
    struct wire_frame frame = {.type = WIRE_CORRECT};

    probe_slave(probe, &config);
    probe_up(probe, 0);
    probe_frame(probe, 0, probe_welcome());
    frame.correct.round = 1;
    frame.correct.state = SYNC_SYNCHRONISED;
    frame.correct.verdict = VERDICT_COUNTED;
    frame.correct.has_map = 1;
    frame.correct.map.raw_ns = probe->now.raw_ns;
    frame.correct.map.total_ns = probe->now.total_ns;
    probe_frame(probe, 0, frame);
}

static void tell_interval(struct probe *probe, int64_t interval_ns)
{
    struct wire_frame frame = probe_welcome();

    frame.welcome.interval_ns = interval_ns;
    probe_frame(probe, 0, frame);
    assert_int_equal(probe->actions.count, 0);
}

static enum sync_state state_of(const struct probe *probe)
{
    struct summary summary;

    slave_summary(probe->slave, &probe->now, &summary);
    assert_true(summary.connected);
    return summary.state;
}

/* Four rounds, but never less than 10 s. */
static void silence_is_measured_by_the_interval_told_last(void **state)
{
    (void)state;
    static const int64_t intervals_s[] = {60, 4, 1};
    static const int64_t silences_s[] = {240, 16, 10};
    struct probe probe;

    for (size_t i = 0; i < sizeof intervals_s / sizeof intervals_s[0]; i++) {
        followed(&probe);
        tell_interval(&probe, 20 * NS_PER_S);
        tell_interval(&probe, intervals_s[i] * NS_PER_S);
        probe_wait(&probe, silences_s[i] * NS_PER_S);
        probe_tick(&probe);
        assert_false(probe_closed(&probe, 0));
        probe_wait(&probe, 1);
        probe_tick(&probe);
        probe_assert_dismissed(&probe, 0, BYE_TIMEOUT);
        probe_free(&probe);
    }
}

/* It polls, and corrects nobody: three rounds, but never less than 10 s. */
static void holdover_begins_by_the_interval_told_last(void **state)
{
    (void)state;
    static const int64_t intervals_s[] = {60, 4, 1};
    static const int64_t ages_s[] = {180, 12, 10};
    struct probe probe;

    for (size_t i = 0; i < sizeof intervals_s / sizeof intervals_s[0]; i++) {
        followed(&probe);
        tell_interval(&probe, 20 * NS_PER_S);
        tell_interval(&probe, intervals_s[i] * NS_PER_S);
        probe_wait(&probe, ages_s[i] * NS_PER_S);
        probe_frame(&probe, 0, (struct wire_frame){.type = WIRE_POLL});
        probe_tick(&probe);
        assert_int_equal(state_of(&probe), SYNC_SYNCHRONISED);
        probe_wait(&probe, 1);
        probe_tick(&probe);
        assert_int_equal(state_of(&probe), SYNC_HOLDOVER);
        probe_free(&probe);
    }
}

/* Its map is as old as the long rounds made it; the first short one is under way. */
static void a_shorter_interval_does_not_make_the_map_old(void **state)
{
    (void)state;
    struct probe probe;

    followed(&probe);
    tell_interval(&probe, 60 * NS_PER_S);
    probe_wait(&probe, 59 * NS_PER_S);
    tell_interval(&probe, NS_PER_S);
    probe_tick(&probe);
    assert_int_equal(state_of(&probe), SYNC_SYNCHRONISED);
    probe_free(&probe);
}

static void stopping_is_no_news_of_the_master(void **state)
{
    (void)state;
    const struct slave_config config = probe_slave_config();
    struct probe probe;

    for (int welcomed = 0; welcomed < 2; welcomed++) {
        probe_slave(&probe, &config);
        probe_up(&probe, 0);
        if (welcomed)
            probe_frame(&probe, 0, probe_welcome());
        probe_stop(&probe);
        probe_assert_dismissed(&probe, 0, BYE_SHUTDOWN);
        assert_int_equal(probe_count(&probe, ACTION_NOTE), 0);
        probe_free(&probe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_measured_by_the_interval_told_last),
        cmocka_unit_test(holdover_begins_by_the_interval_told_last),
        cmocka_unit_test(a_shorter_interval_does_not_make_the_map_old),
        cmocka_unit_test(stopping_is_no_news_of_the_master),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

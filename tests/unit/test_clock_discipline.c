/* SPDX-License-Identifier: BSD-2-Clause */
/* The discipline and clock_kernel together, on a kernel that takes the beginning of its seconds
 * in as the real one does. */
#include "bench_limits.h"
#include "policed_clock.h"

#define IDLE_TICKS 8
#define TICKS 40
#define SETTLED_NS NS_PER_US

struct group {
    struct policed policed;
    struct clock *clock;
    struct discipline *discipline;
    struct clock_status status;
    struct discipline_outcome outcome;
};

static void tick(struct group *group)
{
    assert_int_equal(clock_look(group->clock, &group->status), 0);
    discipline_tick(group->discipline, &group->status, &group->outcome);
    if (group->outcome.steer)
        assert_int_equal(clock_steer(group->clock, &group->outcome.order), 0);
}

static void wait_for_next(struct group *group)
{
    pass(&group->policed.kernel,
         discipline_pause(&group->status.now, group->outcome.steer && group->outcome.order.soon));
}

/* A daemon before this one left a remainder, of which the kernel hardly takes anything. */
static void begin(struct group *group, int64_t part_ns)
{
    struct timex left = {.modes = ADJ_OFFSET | ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST,
                         .status = STA_PLL | STA_FREQHOLD,
                         .constant = 10,
                         .offset = -300};

    *group = (struct group){.discipline = discipline_new(&bench_limits)};
    assert_non_null(group->discipline);
    police(&group->policed, &usual_limits);
    assert_true(group->policed.port.adjust(group->policed.port.context, &left) >= 0);
    left = (struct timex){.modes = ADJ_STATUS | ADJ_MICRO, .status = STA_UNSYNC};
    assert_true(group->policed.port.adjust(group->policed.port.context, &left) >= 0);
    pass(&group->policed.kernel,
         2 * NS_PER_S - group->policed.kernel.model.real_ns % NS_PER_S + part_ns);
    group->clock = policed_clock(&group->policed);
}

static void end(struct group *group)
{
    discipline_free(group->discipline);
    clock_free(group->clock);
}

/* Found by simulation: who first looked at the clock within the first ms of a second took the
 * chunk under way for one that had run, for hours, and corrected everything twice. */
static void ticks_at_the_beginning_of_a_second_do_no_harm(void **state)
{
    (void)state;
    for (int64_t part_ns = 0; part_ns < 20 * NS_PER_MS; part_ns += 300 * NS_PER_US) {
        for (int idle = 0; idle < IDLE_TICKS; idle++) {
            struct target target = {.in = true, .offset_sd_ns = 100, .freq_sd_ppb = 1};
            struct group group;

            begin(&group, part_ns);
            for (int i = 0; i < idle; i++) {
                tick(&group);
                wait_for_next(&group);
            }
            tick(&group);
            target.map = (struct map){.raw_ns = group.status.now.raw_ns,
                                      .total_ns = group.status.now.total_ns + 14 * NS_PER_US};
            assert_int_equal(discipline_follow(group.discipline, &target), 0);
            for (int i = 0; i < TICKS; i++) {
                tick(&group);
                wait_for_next(&group);
                if (i > TICKS / 2 && timestamp_abs(group.outcome.outstanding_ns) > SETTLED_NS)
                    fail_msg("%" PRId64 " ns outstanding at tick %d; first looked at %" PRId64
                             " ns into a second, %d idle ticks",
                             group.outcome.outstanding_ns, i, part_ns, idle);
            }
            end(&group);
        }
    }
}

static void the_next_tick_is_away_from_a_second(void **state)
{
    const int64_t away_ns = DISCIPLINE_AWAY_NS;

    (void)state;
    for (int64_t total_ns = -2 * NS_PER_S; total_ns < 2 * NS_PER_S; total_ns += 1234567) {
        const struct reading now = {.raw_ns = 987654321 * INT64_C(1000), .total_ns = total_ns};

        for (int soon = 0; soon <= 1; soon++) {
            int64_t least_ns = soon ? DISCIPLINE_SOON_NS : DISCIPLINE_TICK_NS;
            int64_t pause_ns = discipline_pause(&now, soon);
            int64_t part_ns = (now.raw_ns + total_ns + pause_ns) % NS_PER_S;

            assert_in_range(pause_ns, least_ns, least_ns + 3 * away_ns);
            assert_in_range(part_ns, away_ns, NS_PER_S - away_ns);
            /* Where nothing is in the way it is not put off. */
            if (pause_ns > least_ns)
                assert_int_equal(part_ns, 2 * away_ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_at_the_beginning_of_a_second_do_no_harm),
        cmocka_unit_test(the_next_tick_is_away_from_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What a discipline leaves to the next start, and what the next one makes of it. */
#include "core/discipline.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dice.h"
#include "discipline_fixture.h"
#include "slewed_clock.h"

#define LEARNED_PPB 4321.0
#define LEARNED_SD_PPB 100.0 /* known to 0.1 ppm: worth keeping */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct target learnable(void)
{
    struct target target = target_ahead(0, true);

    target.map.freq_ppb = LEARNED_PPB;
    target.freq_sd_ppb = 25;
    target.wander_ppb = 3;
    target.scatter_ns = 100;
    return target;
}

static struct discipline_memory recall(const struct discipline *discipline)
{
    struct discipline_memory memory;

    memset(&memory, 0x5a, sizeof memory);
    discipline_recall(discipline, &memory);
    return memory;
}

/* Of one who followed these maps, up to the last tick. */
static struct discipline_memory recall_after(const struct target *targets, size_t count)
{
    struct discipline *discipline = fresh();
    struct discipline_memory memory;

    for (size_t i = 0; i < count; i++)
        assert_int_equal(discipline_follow(discipline, &targets[i]), 0);
    memory = recall(discipline);
    discipline_free(discipline);
    return memory;
}

static struct discipline *resumed(const struct discipline_memory *memory, bool same_raw)
{
    struct discipline *discipline = fresh();

    assert_int_equal(discipline_resume(discipline, memory, same_raw), 0);
    return discipline;
}

/* A tick of a clock that kept to the map of learnable(), give or take off_ns. */
static struct discipline_outcome tick_on_the_map(struct discipline *discipline, int64_t age_ns,
                                                 int64_t off_ns)
{
    struct clock_status status = status_at(RAW_NS + age_ns);

    status.now.total_ns += timestamp_drift(age_ns, LEARNED_PPB) + off_ns;
    return tick(discipline, status);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    struct discipline_memory memory = recall_after(NULL, 0);

    assert_false(memory.learned);
    assert_false(memory.synchronised);
}

static void only_a_clock_of_the_group_learns(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct target target = learnable();
        struct discipline_memory memory;

        target.in = !(i & 1);
        target.hands_off = i & 2;
        target.freq_sd_ppb = i & 4 ? nextafter(LEARNED_SD_PPB, INFINITY) : LEARNED_SD_PPB;
        memory = recall_after(&target, 1);
        assert_true(memory.learned == (i == 0));
        assert_true(memory.synchronised == (target.in && !target.hands_off));
        if (!memory.learned)
            continue;
        assert_true(memory.freq_ppb == LEARNED_PPB);
        assert_true(memory.freq_sd_ppb == LEARNED_SD_PPB);
    }
}

static void what_was_learned_first_is_kept_until_better_comes(void **state)
{
    (void)state;
    struct target targets[] = {learnable(), learnable(), learnable()};
    struct discipline_memory memory;

    targets[1].map.freq_ppb = 99;
    targets[1].freq_sd_ppb = 1e6;
    memory = recall_after(targets, 2);
    assert_true(memory.learned && memory.freq_ppb == LEARNED_PPB);
    assert_true(memory.target.map.freq_ppb == 99);
    targets[2].map.freq_ppb = 77;
    memory = recall_after(targets, 3);
    assert_true(memory.learned && memory.freq_ppb == 77);
}

/* phi that was ordered, which is what the kernel can hold. */
static void a_frequency_beyond_the_kernel_is_learned_as_ordered(void **state)
{
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        struct target target = learnable();
        struct discipline_memory memory;
        struct discipline *discipline;

        target.map.freq_ppb = sign * 600000.0;
        memory = recall_after(&target, 1);
        assert_true(memory.freq_ppb == sign * DISCIPLINE_FREQ_LIMIT_PPB);
        discipline = resumed(&memory, true);
        discipline_free(discipline);
    }
}

static void what_is_recalled_follows_the_state(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline *discipline = fresh();
    struct discipline_memory memory;
    struct clock_status status;

    assert_int_equal(discipline_follow(discipline, &target), 0);
    discipline_hold(discipline);
    memory = recall(discipline);
    assert_true(memory.synchronised);
    assert_memory_equal(&memory.target.map, &target.map, sizeof target.map);
    tick_on_the_map(discipline, 0, 0);
    tick_on_the_map(discipline, HOLDOVER_NS + 1, 0);
    assert_false(recall(discipline).synchronised);
    assert_int_equal(discipline_follow(discipline, &target), 0);
    assert_true(recall(discipline).synchronised);
    discipline_disown(discipline);
    assert_false(recall(discipline).synchronised);
    assert_int_equal(discipline_follow(discipline, &target), 0);
    status = status_at(RAW_NS + HOLDOVER_NS + NS_PER_S);
    status.now.total_ns += 2 * PANIC_NS;
    assert_true(tick(discipline, status).events & DISCIPLINE_PANIC);
    assert_false(recall(discipline).synchronised);
    assert_true(recall(discipline).learned);
    assert_true(recall(discipline).freq_ppb == LEARNED_PPB);
    discipline_free(discipline);
}

/* The kernel goes on with what it was told last, which is newer than the memory: 2 us off the
 * old map, with a slew under way, and at 12.5 ppb. */
static void a_restart_goes_on_in_holdover(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, true);
    double age_s = 20;
    double sd_ns = 1000 + 25 * age_s + 10 * pow(age_s, 1.5) / sqrt(3);
    double slew_ns = (double)status_at(RAW_NS).slew_left_ns;
    double off_ns = fabs(2000 - slew_ns);
    struct discipline_outcome outcome;

    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    outcome = tick_on_the_map(discipline, 20 * NS_PER_S, -2 * NS_PER_US);
    assert_int_equal(outcome.events, DISCIPLINE_STATE);
    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    assert_true(outcome.steer && outcome.order.synchronised);
    assert_true(outcome.order.freq_ppb == 12.5);
    assert_int_equal(outcome.outstanding_ns, (int64_t)slew_ns);
    assert_true(slews_towards(&outcome, 500));
    assert_true(fabs((double)outcome.order.maxerror_ns -
                     (slew_ns + 100 + 50000 + BOUND_SDS * (sd_ns + off_ns))) <= 3);
    assert_true(recall(discipline).synchronised);
    assert_int_equal(discipline_epoch(discipline), 0);
    discipline_free(discipline);
}

/* 10 ppm: no crystal's doing, but that of another service or its leavings. */
static void a_foreign_frequency_is_not_gone_on_with(void **state)
{
    (void)state;
    static const double offs_ppb[] = {-9999, 9999, -10001, 10001, 400000};
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);

    for (size_t i = 0; i < COUNT(offs_ppb); i++) {
        bool foreign = fabs(offs_ppb[i]) > 10000;
        struct discipline *discipline = resumed(&memory, true);
        struct clock_status status = status_at(RAW_NS + NS_PER_S);
        struct discipline_outcome outcome;

        status.freq_ppb = LEARNED_PPB + offs_ppb[i];
        outcome = tick(discipline, status);
        assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
        assert_true(outcome.order.freq_ppb == (foreign ? LEARNED_PPB : status.freq_ppb));
        discipline_free(discipline);
    }
}

/* The time of the restart counts, too. */
static void holdover_ages_from_the_map_on(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, true);

    tick_on_the_map(discipline, HOLDOVER_NS, 0);
    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    discipline_hold(discipline);
    assert_int_equal(tick_on_the_map(discipline, HOLDOVER_NS + 1, 0).events, DISCIPLINE_STATE);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    discipline_free(discipline);

    discipline = resumed(&memory, true);
    assert_false(tick_on_the_map(discipline, HOLDOVER_NS + 1, 0).order.synchronised);
    discipline_free(discipline);
}

/* The first synchronisation was before the restart. */
static void a_resumed_clock_does_not_step_again(void **state)
{
    (void)state;
    struct discipline_limits stepping = limits;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline;
    struct discipline_outcome outcome;

    stepping.step_threshold_ns = 10 * MS;
    discipline = discipline_new(&stepping);
    assert_int_equal(discipline_resume(discipline, &memory, true), 0);
    tick_on_the_map(discipline, NS_PER_S, 0);
    follow(discipline, 50 * MS, false);
    outcome = rest(discipline, RAW_NS + 2 * NS_PER_S);
    assert_false(outcome.events & DISCIPLINE_STEP);
    assert_true(slews_towards(&outcome, 500));
    discipline_free(discipline);
}

static void assert_starts_with_the_frequency_alone(struct discipline *discipline, int64_t age_ns,
                                                   int64_t off_ns)
{
    struct discipline_outcome outcome = tick_on_the_map(discipline, age_ns, off_ns);
    struct reading now = {RAW_NS + age_ns, TOTAL_NS + off_ns};

    assert_int_equal(outcome.events, 0);
    assert_true(outcome.steer);
    assert_true(outcome.order.freq_ppb == LEARNED_PPB);
    assert_int_equal(outcome.order.slew_ns, 400);
    assert_int_equal(outcome.order.adjtime_ns, 3000);
    assert_false(outcome.order.synchronised);
    assert_int_equal(outcome.order.maxerror_ns, INT64_MAX);
    assert_int_equal(discipline_bound(discipline, &now), INT64_MAX);
    assert_int_equal(discipline_sd(discipline, &now), INT64_MAX);
    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    assert_true(recall(discipline).learned && !recall(discipline).synchronised);
}

/* A millisecond and the slew still to come are what nobody needs to have done. */
static void a_clock_set_meanwhile_keeps_its_frequency_alone(void **state)
{
    (void)state;
    static const int64_t offs_ns[] = {MS + 3601, -MS - 3601, NS_PER_S, -3600 * NS_PER_S};
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline;

    for (size_t i = 0; i < COUNT(offs_ns); i++) {
        discipline = resumed(&memory, true);
        assert_starts_with_the_frequency_alone(discipline, NS_PER_S, offs_ns[i]);
        discipline_free(discipline);
    }
    discipline = resumed(&memory, true);
    tick_on_the_map(discipline, NS_PER_S, MS + 3600);
    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    discipline_free(discipline);
}

static void a_map_yet_to_come_says_nothing(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, true);

    assert_starts_with_the_frequency_alone(discipline, -NS_PER_S - 1, 0);
    discipline_free(discipline);
    discipline = resumed(&memory, true);
    tick_on_the_map(discipline, -NS_PER_S, 0);
    assert_int_equal(discipline_state(discipline), SYNC_HOLDOVER);
    discipline_free(discipline);
}

static void another_boot_keeps_the_frequency_alone(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, false);

    assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
    assert_starts_with_the_frequency_alone(discipline, NS_PER_S, 0);
    discipline_free(discipline);
}

/* Its map is gone, but not that the first synchronisation is behind it. */
static void a_suspend_before_the_first_tick_forgets_the_map(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, true);
    struct clock_status status = status_at(RAW_NS + NS_PER_S);
    struct discipline_outcome outcome;

    status.jumped = true;
    status.now.total_ns += 3600 * NS_PER_S;
    outcome = tick(discipline, status);
    assert_true(outcome.events & DISCIPLINE_JUMPED);
    assert_true(outcome.order.freq_ppb == LEARNED_PPB);
    assert_false(outcome.order.synchronised);
    follow(discipline, 50 * MS, false);
    outcome = rest(discipline, RAW_NS + 2 * NS_PER_S);
    assert_true(slews_towards(&outcome, 500));
    discipline_free(discipline);
}

static void an_observed_clock_is_not_given_its_old_frequency(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory memory = recall_after(&target, 1);
    struct discipline *discipline = resumed(&memory, false);
    struct clock_status status = status_at(RAW_NS);

    status.observed = true;
    assert_false(tick(discipline, status).steer);
    assert_true(tick(discipline, status).order.freq_ppb == 12.5);
    discipline_free(discipline);
}

/* Each field with what no run leaves behind. */
static void nonsense_is_refused_whole(void **state)
{
    (void)state;
    struct target target = learnable();
    struct discipline_memory bad[20];

    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = recall_after(&target, 1);
    bad[0].freq_ppb = NAN;
    bad[1].freq_ppb = nextafter(DISCIPLINE_FREQ_LIMIT_PPB, INFINITY);
    bad[2].freq_ppb = -INFINITY;
    bad[3].freq_sd_ppb = NAN;
    bad[4].freq_sd_ppb = -1;
    bad[5].freq_sd_ppb = INFINITY;
    bad[6].target.map.freq_ppb = NAN;
    bad[7].target.map.freq_ppb = 2e7;
    bad[8].target.map.raw_ns = TIMESTAMP_LIMIT_NS;
    bad[9].target.map.raw_ns = INT64_MIN;
    bad[10].target.map.total_ns = INT64_MAX;
    bad[11].target.offset_sd_ns = -1;
    bad[12].target.freq_sd_ppb = NAN;
    bad[13].target.freq_sd_ppb = -1;
    bad[14].target.wander_ppb = NAN;
    bad[15].target.wander_ppb = -1;
    bad[16].target.scatter_ns = -1;
    bad[17].target.asymmetry_ns = -1;
    bad[18].target.in = false;
    bad[19].target.hands_off = true;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct discipline *discipline = fresh();

        assert_int_equal(discipline_resume(discipline, &bad[i], i % 2), -ERANGE);
        assert_int_equal(discipline_state(discipline), SYNC_UNSYNCHRONISED);
        assert_false(recall(discipline).learned);
        assert_false(recall(discipline).synchronised);
        assert_false(tick_on_the_map(discipline, 0, 0).steer);
        discipline_free(discipline);
    }
}

/* What is not claimed may be anything. */
static void unclaimed_fields_do_not_matter(void **state)
{
    (void)state;
    struct discipline_memory memory = {.freq_ppb = NAN, .freq_sd_ppb = -1};
    struct discipline *discipline;

    memory.target.map.freq_ppb = NAN;
    discipline = resumed(&memory, true);
    assert_false(tick_on_the_map(discipline, 0, 0).steer);
    assert_false(recall(discipline).learned);
    discipline_free(discipline);
}

/* The daemon is killed and started again on a clock that is on its way: it arrives as if
 * nothing had happened, and nobody is taken for having set it. */
static void a_restart_under_way_arrives(void **state)
{
    (void)state;
    struct dice dice = dice_new();

    for (unsigned i = 0; i < 100; i++) {
        struct slewed_clock clock = slewed_clock(TOTAL_NS, (double)dice_below(&dice, NS_PER_S));
        struct target target = target_ahead(dice_between(&dice, -3 * MS, 3 * MS), true);
        struct discipline *discipline = fresh();
        struct discipline_memory memory;

        target.map.freq_ppb = clock.freq_ppb = LEARNED_PPB;
        assert_int_equal(discipline_follow(discipline, &target), 0);
        for (uint64_t ticks = 1 + dice_below(&dice, 10); ticks > 0; ticks--)
            slewed_clock_tick(&clock, discipline, slewed_clock_pause(&clock));
        memory = recall(discipline);
        discipline_free(discipline);
        slewed_clock_run(&clock, 1e9 * (double)dice_below(&dice, 4));
        discipline = resumed(&memory, true);
        for (unsigned ticks = 0; ticks < 10; ticks++) {
            struct discipline_outcome outcome = slewed_clock_tick(&clock, discipline, 1e9);

            assert_dice(&dice, !(outcome.events & DISCIPLINE_FOREIGN));
            assert_dice(&dice, outcome.order.synchronised);
            assert_dice(&dice, ticks < 9 || timestamp_abs(outcome.outstanding_ns) < NS_PER_US);
        }
        discipline_free(discipline);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(only_a_clock_of_the_group_learns),
        cmocka_unit_test(what_was_learned_first_is_kept_until_better_comes),
        cmocka_unit_test(a_frequency_beyond_the_kernel_is_learned_as_ordered),
        cmocka_unit_test(what_is_recalled_follows_the_state),
        cmocka_unit_test(a_restart_goes_on_in_holdover),
        cmocka_unit_test(a_foreign_frequency_is_not_gone_on_with),
        cmocka_unit_test(holdover_ages_from_the_map_on),
        cmocka_unit_test(a_resumed_clock_does_not_step_again),
        cmocka_unit_test(a_clock_set_meanwhile_keeps_its_frequency_alone),
        cmocka_unit_test(a_map_yet_to_come_says_nothing),
        cmocka_unit_test(another_boot_keeps_the_frequency_alone),
        cmocka_unit_test(a_suspend_before_the_first_tick_forgets_the_map),
        cmocka_unit_test(an_observed_clock_is_not_given_its_old_frequency),
        cmocka_unit_test(nonsense_is_refused_whole),
        cmocka_unit_test(unclaimed_fields_do_not_matter),
        cmocka_unit_test(a_restart_under_way_arrives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "connection.h"
#include "crystal.h"
#include "heap.h"
#include "path.h"
#include "world_state.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed_of_run(void)
{
    const char *text = getenv("BERKELEY_TEST_SEED");

    return text ? strtoull(text, NULL, 10) : 1989;
}

static struct scenario five(int64_t length_s)
{
    return (struct scenario){
        .name = "five",
        .nodes = 5,
        .length_ns = length_s * NS_PER_S,
        .settle_ns = length_s / 2 * NS_PER_S,
        .interval_ns = 1500 * NS_PER_MS,
        .exchanges = 1,
        .clock = {.offset_ns = 50 * NS_PER_MS, .frequency_ppm = 50, .wander = 1e-9},
        .path = {.up = {.base_ns = 50 * NS_PER_US, .queue_ns = 5 * NS_PER_US},
                 .down = {.base_ns = 50 * NS_PER_US, .queue_ns = 5 * NS_PER_US},
                 .turnaround_ns = 20 * NS_PER_US},
        .max_slew_ppm = 500,
        .initial_slew_ppm = 100000,
        .asymmetry_max_ns = -1,
    };
}

static void add(struct scenario *scenario, struct scenario_event event)
{
    scenario->events[scenario->event_count++] = event;
}

static struct truth_results run(const struct scenario *scenario, uint64_t seed,
                                truth_watcher *watcher, void *context)
{
    struct world *world = world_new(scenario, seed);
    struct truth_results results;

    assert_non_null(world);
    if (watcher)
        world_watch(world, watcher, context);
    assert_int_equal(world_run_until(world, scenario->length_ns), 0);
    truth_results(world_truth(world), &results);
    world_free(world);
    return results;
}

static void see_first(const struct truth_row *row, void *context)
{
    if (row->at_ns == 0)
        *(struct truth_row *)context = *row;
}

/* The last node's offset and frequency are drawn. */
static void chosen_clocks_start_where_they_were_put(void **state)
{
    struct scenario scenario = five(2);
    struct truth_row first = {.count = 0};

    (void)state;
    scenario.clock.offsets_ns = (struct scenario_list){4, {4e8, -4e8, 2e8, 0}};
    (void)run(&scenario, seed_of_run(), see_first, &first);
    assert_int_equal(first.count, 5);
    assert_int_equal(first.nodes[0].error_ns, 400000000);
    assert_int_equal(first.nodes[1].error_ns, -400000000);
    assert_int_equal(first.nodes[2].error_ns, 200000000);
    assert_int_equal(first.nodes[3].error_ns, 0);
    assert_int_not_equal(first.nodes[4].error_ns, 0);
    assert_true(fabs(first.nodes[4].error_ns) <= 5e7);
}

static void a_chosen_frequency_is_the_crystals(void **state)
{
    struct scenario scenario = five(2);
    struct world *world;

    (void)state;
    scenario.clock.frequencies_ppm = (struct scenario_list){2, {100, -100}};
    scenario.clock.wander = 0;
    world = world_new(&scenario, seed_of_run());
    assert_non_null(world);
    for (unsigned i = 0; i < 2; i++) {
        struct crystal *crystal = &world->nodes[i].crystal;
        int64_t begun_ns = crystal_raw(crystal, 0);

        assert_int_equal(crystal_raw(crystal, NS_PER_S) - begun_ns - NS_PER_S,
                         i == 0 ? 100000 : -100000);
    }
    world_free(world);
}

static void earliest_first_and_in_order_of_planning(void **state)
{
    struct dice dice = dice_new(seed_of_run(), DICE_TIMER, 0);
    struct happening before = {.at_ns = -1}, next;
    struct heap heap = {0};
    unsigned popped = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        next = (struct happening){.at_ns = (int64_t)(dice_u64(&dice) % 50)};
        assert_int_equal(heap_push(&heap, next), 0);
    }
    for (; heap_pop(&heap, &next); before = next, popped++) {
        assert_true(next.at_ns >= before.at_ns);
        assert_true(next.at_ns > before.at_ns || next.order > before.order);
    }
    assert_int_equal(popped, 1000);
    heap_free(&heap);
}

static void looking_often_does_not_change_a_crystal(void **state)
{
    struct crystal often, seldom;

    (void)state;
    crystal_init(&often, 12345, 30e-6, 1e-6, dice_new(7, DICE_CRYSTAL, 0));
    seldom = often;
    for (int64_t now_ns = 0; now_ns < 100 * NS_PER_S; now_ns += 7777777)
        (void)crystal_raw(&often, now_ns);
    assert_int_equal(crystal_raw(&often, 100 * NS_PER_S), crystal_raw(&seldom, 100 * NS_PER_S));
}

static void a_crystal_shows_what_it_was_asked_for(void **state)
{
    struct crystal crystal;

    (void)state;
    crystal_init(&crystal, 987654321, -80e-6, 0, dice_new(7, DICE_CRYSTAL, 0));
    for (int64_t now_ns = 1; now_ns < 50 * NS_PER_S; now_ns += 333333333) {
        int64_t raw_ns = crystal_raw(&crystal, now_ns) + 123456789;
        int64_t at_ns = crystal_true(&crystal, raw_ns);
        struct crystal ahead = crystal;

        assert_true(labs(crystal_raw(&ahead, at_ns) - raw_ns) <= 1);
    }
}

static void a_sleeping_crystal_stands_still(void **state)
{
    struct crystal crystal;
    int64_t raw_ns;

    (void)state;
    crystal_init(&crystal, 0, 10e-6, 1e-9, dice_new(7, DICE_CRYSTAL, 0));
    crystal_sleep(&crystal, NS_PER_S, true);
    raw_ns = crystal_raw(&crystal, NS_PER_S);
    assert_int_equal(crystal_raw(&crystal, 9 * NS_PER_S), raw_ns);
    crystal_sleep(&crystal, 9 * NS_PER_S, false);
    assert_true(labs(crystal_raw(&crystal, 10 * NS_PER_S) - raw_ns - NS_PER_S) < 20000);
}

static void what_is_cut_off_comes_with_a_backoff_or_never(void **state)
{
    struct scenario_delay delay = {.base_ns = NS_PER_MS};
    struct path path;

    (void)state;
    path_init(&path, &delay, dice_new(7, DICE_UP, 0));
    assert_int_equal(path_cross(&path, NS_PER_S), NS_PER_S + NS_PER_MS);
    path.cut_end_ns = NS_PER_S + 500 * NS_PER_MS; /* sent again after 200, 600 ms */
    assert_int_equal(path_cross(&path, NS_PER_S), NS_PER_S + 601 * NS_PER_MS);
    path.cut_end_ns = 12 * NS_PER_S;
    assert_true(path_cross(&path, NS_PER_S) == PATH_NEVER);
}

static void a_channel_keeps_the_order(void **state)
{
    struct channel channel = {0};
    struct item item;

    (void)state;
    for (size_t i = 0, taken = 0; i < 100; i++) {
        struct item *fresh = channel_add(&channel);

        assert_non_null(fresh);
        fresh->length = i;
        (void)channel_arrive(&channel);
        if (i % 3 == 0)
            continue;
        channel_take(&channel, &item);
        assert_int_equal(item.length, taken++);
    }
    free(channel.items);
}

static void count_rows(const struct truth_row *row, void *context)
{
    (void)row;
    ++*(unsigned *)context;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    struct scenario scenario = five(60);
    unsigned rows = 0;
    struct truth_results first = run(&scenario, 3, NULL, NULL);
    struct truth_results again = run(&scenario, 3, count_rows, &rows);
    struct truth_results other = run(&scenario, 4, NULL, NULL);

    (void)state;
    assert_int_equal(rows, 241);
    assert_true(first.fingerprint == again.fingerprint);
    assert_true(first.spread_rms_ns == again.spread_rms_ns);
    assert_true(first.fingerprint != other.fingerprint);
}

static void a_group_forms_and_its_bounds_are_looked_at(void **state)
{
    struct scenario scenario = five(120);
    struct truth_results results = run(&scenario, seed_of_run(), NULL, NULL);

    (void)state;
    assert_int_equal(results.in_at_end, 5);
    assert_true(results.all_in_ns > 0);
    assert_true(results.bound.checks > 2000 && results.maxerror.checks > 2000);
    assert_true(results.spread_p99_ns < 20000);
    assert_int_equal(results.interference, 0);
    assert_int_equal(results.kernel_refusals, 0);
}

/* 200 us on one way only, and the configuration swears that there is no such thing. */
static void a_bound_that_is_wrong_is_caught(void **state)
{
    struct scenario scenario = five(120);
    struct truth_results results;

    (void)state;
    scenario.path.up.base_ns += 200 * NS_PER_US;
    results = run(&scenario, seed_of_run(), NULL, NULL);
    assert_int_equal(results.bound.violations, 0);
    scenario.asymmetry_max_ns = 0;
    results = run(&scenario, seed_of_run(), NULL, NULL);
    assert_true(results.bound.violations > 100);
    assert_true(results.maxerror.violations > 100);
    assert_true(results.bound.worst_ratio > 2);
}

static void slews_come_near_the_limit_and_not_beyond(void **state)
{
    struct scenario scenario = five(60);
    struct truth_results results = run(&scenario, seed_of_run(), NULL, NULL);

    (void)state;
    assert_true(results.slew_share > 0.1 && results.slew_share < 1.01);
    assert_int_equal(results.too_fast, 0);
}

static void a_liar_is_excluded_and_no_part_of_the_groups_time(void **state)
{
    struct scenario scenario = five(200);
    struct truth_results results;

    (void)state;
    add(&scenario, (struct scenario_event){.at_ns = 120 * NS_PER_S,
                                           .what = SCENARIO_LIE,
                                           .first = 2,
                                           .last = 2,
                                           .by_ns = 10 * NS_PER_MS});
    results = run(&scenario, seed_of_run(), NULL, NULL);
    assert_true(results.excluded_ns[2] > 120 * NS_PER_S);
    assert_true(results.shift_ns < 100000);
    assert_int_equal(results.in_at_end, 4);
}

static void a_step_is_news_only_where_nobody_stepped(void **state)
{
    struct scenario scenario = five(200);
    struct truth_results results;

    (void)state;
    add(&scenario, (struct scenario_event){.at_ns = 120 * NS_PER_S,
                                           .what = SCENARIO_STEP,
                                           .first = 1,
                                           .last = 1,
                                           .by_ns = -20 * NS_PER_MS});
    results = run(&scenario, seed_of_run(), NULL, NULL);
    assert_int_equal(results.backward, 0);
    assert_int_equal(results.interference, 0);
    assert_int_equal(results.in_at_end, 5);
}

static void what_is_cut_off_or_killed_comes_back(void **state)
{
    static const enum scenario_what whats[] = {SCENARIO_PARTITION, SCENARIO_RESTART,
                                               SCENARIO_SUSPEND, SCENARIO_DEAF, SCENARIO_BREAK};

    (void)state;
    for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++) {
        struct scenario scenario = five(400);
        struct truth_results results;

        add(&scenario, (struct scenario_event){.at_ns = 120 * NS_PER_S,
                                               .what = whats[i],
                                               .first = 3,
                                               .last = 3,
                                               .length_ns = 30 * NS_PER_S,
                                               .known = true});
        results = run(&scenario, seed_of_run(), NULL, NULL);
        assert_int_equal(results.in_at_end, 5);
        assert_int_equal(results.backward, 0);
    }
}

struct glimpse {
    int64_t at_ns;
    uint8_t state;
};

static void look_at_third(const struct truth_row *row, void *context)
{
    struct glimpse *glimpse = context;

    if (row->at_ns == glimpse->at_ns)
        glimpse->state = row->nodes[3].state;
}

static uint8_t state_after_restart(bool known)
{
    struct glimpse glimpse = {.at_ns = 130 * NS_PER_S + 250 * NS_PER_MS};
    struct scenario scenario = five(140);

    add(&scenario, (struct scenario_event){
                       .at_ns = 120 * NS_PER_S, .what = SCENARIO_STOP, .first = 3, .last = 3});
    add(&scenario, (struct scenario_event){.at_ns = 120 * NS_PER_S + 1,
                                           .what = SCENARIO_RESTART,
                                           .first = 3,
                                           .last = 3,
                                           .length_ns = 10 * NS_PER_S,
                                           .known = known});
    (void)run(&scenario, seed_of_run(), look_at_third, &glimpse);
    return glimpse.state;
}

static void a_daemon_finds_what_it_saved_if_it_is_to(void **state)
{
    (void)state;
    assert_int_not_equal(state_after_restart(true), SYNC_UNSYNCHRONISED);
    assert_int_equal(state_after_restart(false), SYNC_UNSYNCHRONISED);
}

static void a_killed_master_leaves_slaves_in_holdover(void **state)
{
    struct scenario scenario = five(200);
    struct truth_results results;

    (void)state;
    add(&scenario, (struct scenario_event){.at_ns = 120 * NS_PER_S, .what = SCENARIO_KILL});
    results = run(&scenario, seed_of_run(), NULL, NULL);
    assert_int_equal(results.in_at_end, 4);
    assert_int_equal(results.bound.violations, 0);
}

static double spread_of(bool sealed, bool own_stamps, bool inside)
{
    struct scenario scenario = five(600);

    scenario.path.seal_ns = sealed ? 30 * NS_PER_US : 0;
    scenario.path.seal_jitter_ns = sealed ? 10 * NS_PER_US : 0;
    scenario.path.own_stamps = own_stamps;
    scenario.path.inside = inside;
    return run(&scenario, seed_of_run(), NULL, NULL).spread_rms_ns;
}

/* The kernel's, or the program's that nothing delays, are as good as if there were none. */
static void stamps_outside_the_encryption_do_not_see_it(void **state)
{
    double plain_ns = spread_of(false, false, false);

    (void)state;
    assert_true(spread_of(true, false, false) < 1.3 * plain_ns);
    assert_true(spread_of(true, true, false) < 1.3 * plain_ns);
    assert_true(spread_of(true, false, true) > 2 * plain_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_clocks_start_where_they_were_put),
        cmocka_unit_test(a_chosen_frequency_is_the_crystals),
        cmocka_unit_test(earliest_first_and_in_order_of_planning),
        cmocka_unit_test(looking_often_does_not_change_a_crystal),
        cmocka_unit_test(a_crystal_shows_what_it_was_asked_for),
        cmocka_unit_test(a_sleeping_crystal_stands_still),
        cmocka_unit_test(what_is_cut_off_comes_with_a_backoff_or_never),
        cmocka_unit_test(a_channel_keeps_the_order),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(a_group_forms_and_its_bounds_are_looked_at),
        cmocka_unit_test(a_bound_that_is_wrong_is_caught),
        cmocka_unit_test(slews_come_near_the_limit_and_not_beyond),
        cmocka_unit_test(a_liar_is_excluded_and_no_part_of_the_groups_time),
        cmocka_unit_test(a_step_is_news_only_where_nobody_stepped),
        cmocka_unit_test(what_is_cut_off_or_killed_comes_back),
        cmocka_unit_test(a_daemon_finds_what_it_saved_if_it_is_to),
        cmocka_unit_test(a_killed_master_leaves_slaves_in_holdover),
        cmocka_unit_test(stamps_outside_the_encryption_do_not_see_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

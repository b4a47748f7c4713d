/* SPDX-License-Identifier: BSD-2-Clause */
/* Before the first synchronisation more is ordered than shall be delivered: what comes of
 * it, and what is left behind by a daemon that is killed then. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/dice.h"
#include "core/timestamp.h"
#include "daemon/emulated_file.h"
#include "group.h"

#define MS NS_PER_MS

/* Two clocks twice as far apart: both go half of the way. */
#define WAY_NS (300 * MS)
#define PAST_NS (WAY_NS / 20)
#define MOVING_NS (2 * MS)
#define NEAR_NS MS
#define START_SECONDS 30
#define SLEW_SECONDS 15
#define WATCH_SECONDS 3
#define TIDY_SECONDS 10

/* The slew takes 3 s. */
#define KILLED 6
#define LIFE_MAX_MS 3500
#define ALONE_PAST_NS (305 * MS) /* 302 ms from 111 ms away, backward */
/* On the model it is microseconds. */
#define ALONE_REST_NS MS
/* One of 100 ms, backward. */
#define CHUNK_NS (112 * MS)
#define REST_SECONDS 1000
/* Once it was synchronised: 2 ms left to adjtime, and 0.5 ms under way. */
#define LEFT_NS (5 * MS / 2)

struct victim {
    struct group *group;
    int64_t start_ns;  /* REAL - RAW before anybody touched its clock */
    int64_t target_ns; /* how far it is to be moved */
    int64_t life_ms;   /* after its slew has begun */
    int64_t end;       /* when that is over; 0: it has not begun */
    bool dead;
};

/* Where a clock is, and what its slews alone will make of it. */
struct course_alone {
    int64_t now_ns, rest_ns; /* moved so far, and in the end */
    int64_t past_ns;         /* beyond the target, at most */
    bool ended;
};

static struct harness *harness;
static struct dice dice;
static struct victim quick, victims[KILLED];

static struct timex_model model_of(const struct victim *victim)
{
    struct emulated_file *file = NULL;
    struct emulated_state state = {0};
    uint64_t generation;

    assert_return_code(emulated_file_open(group_clock_path(victim->group, 1), false, &file), 0);
    assert_return_code(emulated_file_load(file, &state, &generation), 0);
    emulated_file_close(file);
    return state.model;
}

static struct victim start_victim(const char *name, int64_t way_ns)
{
    const struct group_options options = {
        .name = name, .nodes = {{.offset_ns = way_ns}, {.offset_ns = -way_ns}}, .count = 2};
    struct victim victim = {.group = group_start(harness, &options),
                            .target_ns = way_ns,
                            .life_ms = dice_between(&dice, 0, LIFE_MAX_MS)};
    struct timex_model model = model_of(&victim);

    victim.start_ns = model.real_ns - model.raw_ns;
    return victim;
}

static int64_t moved_ns(struct group *group, size_t n)
{
    return group_course(group, NODE(n), NODE(n)).lead_ns;
}

static bool wait_moving(struct group *group)
{
    int64_t deadline = harness_deadline(START_SECONDS);

    while (llabs(moved_ns(group, 0)) < MOVING_NS && llabs(moved_ns(group, 1)) < MOVING_NS)
        if (!harness_wait(harness, deadline))
            return false;
    return true;
}

static void test_fast_and_not_too_far(void **state)
{
    struct group *group;

    (void)state;
    quick = start_victim("quick", -WAY_NS);
    group = quick.group;
    assert_true(wait_moving(group));

    int64_t deadline = harness_deadline(SLEW_SECONDS), watched = 0;
    do {
        assert_in_range(WAY_NS + PAST_NS - moved_ns(group, 0), 0, WAY_NS + 2 * PAST_NS);
        assert_in_range(WAY_NS + PAST_NS + moved_ns(group, 1), 0, WAY_NS + 2 * PAST_NS);
        if (watched == 0 && clocks_spread(group_clocks(group), CLOCKS_ALL) < NEAR_NS)
            watched = deadline = harness_deadline(WATCH_SECONDS);
    } while (harness_wait(harness, deadline));
    assert_true(watched != 0);
    assert_true(clocks_spread(group_clocks(group), CLOCKS_ALL) < NEAR_NS);
    assert_true(group_never_back(group, NODES(0, 1)));
}

/* The clock's oscillator is perfect; not counted is the frequency the daemon left. */
static struct course_alone course_of(const struct victim *victim)
{
    struct timex_model model = model_of(victim);
    int64_t raw_ns = model.raw_ns, forth = victim->target_ns < 0 ? -1 : 1;
    double freq_ppb = (double)model.freq_scaled / (double)(INT64_C(1) << 32);
    struct course_alone course = {.now_ns = model.real_ns - model.raw_ns - victim->start_ns,
                                  .past_ns = INT64_MIN};

    for (int i = 0; i <= REST_SECONDS * 10; i++) {
        timex_model_advance(&model, raw_ns + 100 * MS * i);
        course.rest_ns = model.real_ns - model.raw_ns - victim->start_ns -
                         timestamp_drift(model.raw_ns - raw_ns, freq_ppb);
        int64_t past_ns = forth * (course.rest_ns - victim->target_ns);
        course.past_ns = past_ns > course.past_ns ? past_ns : course.past_ns;
    }
    course.ended = model.singleshot_us == 0 && model.chunk_scaled == 0;
    return course;
}

static bool kill_in_time(struct victim *victim)
{
    if (victim->dead)
        return true;
    if (victim->end == 0 && llabs(moved_ns(victim->group, 1)) >= MOVING_NS)
        victim->end = harness_deadline(0) + victim->life_ms * MS;
    victim->dead = victim->end != 0 && harness_deadline(0) >= victim->end;
    if (victim->dead)
        process_kill(group_process(victim->group, 1));
    return victim->dead;
}

static void test_killed_in_the_first_slew(void **state)
{
    int64_t deadline;
    char name[32];
    int dead;

    (void)state;
    for (int i = 0; i < KILLED; i++) {
        snprintf(name, sizeof name, "hasty%d", i);
        victims[i] = start_victim(name, i % 2 ? WAY_NS : -WAY_NS);
    }
    deadline = harness_deadline(START_SECONDS);
    do {
        dead = 0;
        for (int i = 0; i < KILLED; i++)
            dead += kill_in_time(&victims[i]);
    } while (dead < KILLED && harness_wait(harness, deadline));
    assert_int_equal(dead, KILLED);
}

static void test_the_kernel_alone_comes_to_rest(void **state)
{
    int farther = 0;

    (void)state;
    for (int i = 0; i < KILLED; i++) {
        struct course_alone course = course_of(&victims[i]);

        assert_dice(&dice, course.ended);
        assert_dice(&dice, llabs(course.rest_ns - victims[i].target_ns) <= ALONE_REST_NS);
        assert_dice(&dice, course.past_ns <= ALONE_PAST_NS);
        farther += course.past_ns > PAST_NS;
    }
    /* Or nobody was killed when it matters, and there is nothing to tidy up. */
    assert_dice(&dice, farther > 0);
}

/* After the first synchronisation. */
static void test_killed_when_synchronised(void **state)
{
    (void)state;
    assert_true(group_wait_line(quick.group, NODES(0, 1), "Synchronised: ", START_SECONDS));
    process_kill(group_process(quick.group, 1));

    struct course_alone course = course_of(&quick);
    assert_true(course.ended);
    assert_in_range(llabs(course.rest_ns - course.now_ns), 0, LEFT_NS);
}

/* As ExecStopPost does. */
static void test_tidying_ends_it(void **state)
{
    (void)state;
    for (int i = 0; i < KILLED; i++) {
        const char *config = harness_path(harness, "hasty%d1.conf", i);
        struct process *process = process_start(harness, "--tidy", "-c", config, NULL);

        assert_int_equal(process_wait_exit(process, TIDY_SECONDS), 0);

        struct course_alone course = course_of(&victims[i]);
        assert_dice(&dice, course.ended);
        assert_dice(&dice, llabs(course.rest_ns - course.now_ns) <= CHUNK_NS);
    }
}

static int setup(void **state)
{
    dice = dice_new();
    harness_setup(state);
    harness = *state;
    return 0;
}

static int teardown(void **state)
{
    return harness_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast_and_not_too_far),
        cmocka_unit_test(test_killed_when_synchronised),
        cmocka_unit_test(test_killed_in_the_first_slew),
        cmocka_unit_test(test_the_kernel_alone_comes_to_rest),
        cmocka_unit_test(test_tidying_ends_it),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

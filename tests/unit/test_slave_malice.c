/* SPDX-License-Identifier: BSD-2-Clause */
/* A slave whose master says whatever well-formed frames can say: its clock stays within the
 * limits of its own configuration.  BERKELEY_TEST_SEED is the first run's seed. */
#include "dice.h"
#include "machine_guard.h"
#include "model_clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RUNS 400
#define SECONDS 120
#define GRACE_S 3 /* what was ordered before the first synchronisation has ended */
#define KERNEL_PPM 500.0 /* the frequency that may be in force besides the slew */

#define PICK(dice, ...)                                                   \
    ((const int64_t[]){__VA_ARGS__}[dice_below(                           \
        (dice), sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

struct scene {
    struct dice dice;
    struct probe probe;
    struct guard guard;
    struct model_clock clock;
    struct discipline_limits limits;
    int64_t corrected_ns;
    uint32_t round;
    unsigned in_s; /* orders since the first synchronisation, one a second */
    unsigned steps, orders, refused;
    bool patient; /* the master calls it a newcomer for long */
    bool ended;
};

static void look(struct scene *scene)
{
    model_clock_advance(&scene->clock, scene->probe.now.raw_ns);
    scene->probe.now.total_ns = scene->clock.total_ns;
}

static void obey(struct scene *scene, const struct action *action)
{
    struct model_clock *clock = &scene->clock;

    if (action->kind == ACTION_STEP) {
        clock->total_ns += action->step_ns;
        clock->slew_ns = clock->adjtime_ns = clock->chunk_ns = clock->chunk_left_ns = 0;
        scene->corrected_ns += action->step_ns;
        scene->steps++;
    } else if (action->kind == ACTION_STEER) {
        clock->freq_ppb = action->steer.freq_ppb;
        clock->slew_ns = (double)action->steer.slew_ns;
        clock->adjtime_ns = (double)action->steer.adjtime_ns;
        scene->orders++;
    }
    scene->ended |= action->kind == ACTION_PANIC;
}

static void follow(struct scene *scene, const struct clock_status *tick)
{
    guard_check(&scene->guard, &scene->probe, tick);
    for (size_t i = 0; i < scene->probe.actions.count; i++)
        obey(scene, &scene->probe.actions.items[i]);
    scene->refused += probe_note(&scene->probe, NOTE_FRAME_REFUSED) != NULL;
    look(scene);
}

static void say(struct scene *scene, struct wire_frame frame)
{
    if (!scene->probe.open[0]) {
        probe_up(&scene->probe, 0);
        follow(scene, NULL);
        frame = probe_welcome();
        scene->round = 0;
    }
    probe_frame(&scene->probe, 0, frame);
    follow(scene, NULL);
}

static struct wire_frame welcome(struct scene *scene)
{
    struct wire_frame frame = probe_welcome();

    frame.welcome.interval_ns =
        dice_between(&scene->dice, WIRE_INTERVAL_MIN_NS, WIRE_INTERVAL_MAX_NS);
    if (dice_below(&scene->dice, 4) == 0)
        memcpy(frame.welcome.name, "another", sizeof "another");
    return frame;
}

static struct wire_frame correct(struct scene *scene)
{
    struct dice *dice = &scene->dice;
    struct wire_frame frame = {.type = WIRE_CORRECT};
    struct wire_correct *correct = &frame.correct;
    const int64_t panic_ns = scene->limits.panic_threshold_ns;
    int64_t off_ns = PICK(dice, 0, NS_PER_MS, 100 * NS_PER_MS, panic_ns / 2, panic_ns - NS_PER_S);

    if (dice_below(dice, 200) == 0)
        off_ns = PICK(dice, 2 * panic_ns, TIMESTAMP_LIMIT_NS / 2);

    correct->round = dice_below(dice, 500) ? ++scene->round : (uint32_t)dice_u64(dice);
    correct->state = (uint8_t)dice_below(dice, 3);
    correct->verdict = (uint8_t)dice_below(dice, VERDICT_COUNT_);
    if (dice_below(dice, 3))
        correct->verdict = scene->patient ? VERDICT_NEWCOMER : VERDICT_COUNTED;
    scene->patient &= dice_below(dice, 30) != 0;
    correct->has_map = dice_below(dice, 8) != 0;
    correct->map.raw_ns = scene->probe.now.raw_ns + dice_between(dice, -NS_PER_S, NS_PER_S);
    correct->map.total_ns =
        scene->probe.now.total_ns + (dice_below(dice, 2) ? off_ns : -off_ns);
    correct->map.freq_ppb = (double)PICK(dice, 0, 10000000, -10000000, 500000, -500000, 33333);
    correct->correction_ns = PICK(dice, 0, TIMESTAMP_LIMIT_NS - 1, 1 - TIMESTAMP_LIMIT_NS);
    correct->offset_sd_ns = PICK(dice, 0, 0, NS_PER_US, INT64_MAX);
    correct->freq_sd_fs = PICK(dice, 0, 0, 1000000, INT64_MAX);
    correct->wander_fs = PICK(dice, 0, 0, 1000000, INT64_MAX);
    correct->scatter_ns = PICK(dice, 0, 0, NS_PER_US, INT64_MAX);
    correct->asymmetry_ns = PICK(dice, 0, 0, NS_PER_US, INT64_MAX);
    return frame;
}

static void torment(struct scene *scene)
{
    struct wire_frame poll = {.type = WIRE_POLL};

    poll.poll.round = (uint32_t)dice_u64(&scene->dice);
    poll.poll.departure.sent.raw_ns =
        dice_between(&scene->dice, 1 - TIMESTAMP_LIMIT_NS, TIMESTAMP_LIMIT_NS - 1);
    if (dice_below(&scene->dice, 10) == 0)
        say(scene, welcome(scene));
    if (dice_below(&scene->dice, 2))
        say(scene, poll);
    for (uint64_t n = dice_below(&scene->dice, 4); n > 0; n--)
        say(scene, correct(scene));
}

static void tick(struct scene *scene)
{
    const struct model_clock *clock = &scene->clock;
    struct clock_status status = {.now = scene->probe.now,
                                  .freq_ppb = clock->freq_ppb,
                                  .underway_ns = timestamp_round(clock->chunk_left_ns),
                                  .adjtime_left_ns = timestamp_round(clock->adjtime_ns)};
    struct summary summary;

    status.slew_left_ns =
        timestamp_round(clock->slew_ns) + status.adjtime_left_ns + status.underway_ns;
    probe_tick_status(&scene->probe, &status);
    follow(scene, &status);
    slave_summary(scene->probe.slave, &scene->probe.now, &summary);
    /* A reference is left alone: what was ordered before ends by itself. */
    if (probe_count(&scene->probe, ACTION_STEER) > 0)
        scene->in_s += scene->in_s > 0 || summary.state == SYNC_SYNCHRONISED;
}

/* What its users see of it since the last second. */
static void check_clock(struct scene *scene)
{
    struct dice *dice = &scene->dice;
    bool settled = scene->in_s > GRACE_S;
    double rate_ppm = settled ? scene->limits.max_slew_ppm
                              : fmax(scene->limits.initial_slew_ppm, scene->limits.max_slew_ppm);
    int64_t corrected_ns = scene->probe.now.raw_ns + scene->probe.now.total_ns;
    int64_t gone_ns = corrected_ns - scene->corrected_ns;

    assert_dice(dice, gone_ns > 0);
    assert_dice(dice, fabs((double)(gone_ns - NS_PER_S)) <=
                          (KERNEL_PPM + rate_ppm) * (settled ? 1e3 : 1.2e3) + 10);
    assert_dice(dice, scene->steps <= (scene->limits.step_threshold_ns > 0));
    if (settled)
        assert_dice(dice, scene->clock.steepest_ppm <= rate_ppm + 0.01);
    else
        scene->clock.steepest_ppm = 0;
    scene->corrected_ns = corrected_ns;
}

static void begin(struct scene *scene, uint64_t seed)
{
    struct slave_config config = probe_slave_config();
    struct dice *dice = &scene->dice;

    *scene = (struct scene){.dice = {.seed = seed, .state = seed}, .limits = config.limits};
    scene->limits.max_slew_ppm = (double)PICK(dice, 1, 50, 500, 5000);
    scene->limits.initial_slew_ppm = (double)PICK(dice, 100, 500, 100000);
    scene->limits.step_threshold_ns = PICK(dice, 0, 0, NS_PER_MS, NS_PER_S);
    scene->limits.panic_threshold_ns = PICK(dice, 2 * NS_PER_S, 1000 * NS_PER_S);
    scene->patient = dice_below(dice, 2);
    config.limits = scene->limits;
    probe_slave(&scene->probe, &config);
    guard_begin(&scene->guard, &scene->limits, false);
    scene->clock = (struct model_clock){.total_raw_ns = scene->probe.now.raw_ns,
                                        .total_ns = scene->probe.now.total_ns,
                                        .second_raw_ns = scene->probe.now.raw_ns + NS_PER_S / 3};
    scene->corrected_ns = scene->probe.now.raw_ns + scene->probe.now.total_ns;
}

static void a_slave_keeps_to_its_own_limits(void **state)
{
    (void)state;
    uint64_t first = dice_new().seed;
    unsigned panics = 0, steps = 0, orders = 0, refused = 0;

    for (unsigned run = 0; run < RUNS; run++) {
        struct scene scene;

        begin(&scene, first + run);
        for (unsigned second = 0; second < SECONDS && !scene.ended; second++) {
            torment(&scene);
            probe_wait(&scene.probe, NS_PER_S);
            look(&scene);
            check_clock(&scene);
            tick(&scene);
        }
        panics += scene.ended;
        steps += scene.steps;
        orders += scene.orders;
        refused += scene.refused;
        probe_free(&scene.probe);
    }
    print_message("# %u panics, %u steps, %u orders, %u frames refused\n", panics, steps, orders,
                  refused);
    assert_true(panics > RUNS / 10 && steps > RUNS / 10 && orders > RUNS && refused > RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slave_keeps_to_its_own_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

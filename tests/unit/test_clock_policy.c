/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/discipline.h"
#include "dice.h"
#include "policed_clock.h"

#include <math.h>

#define ROUNDS 200
#define TICKS 60
#define ATTACKS 300
#define ATTACK_CALLS 400

static void reading_is_free(void **state)
{
    struct clock_limits limits = {.adjust = false};
    struct policed policed;

    (void)state;
    police(&policed, &limits);
    assert_int_equal(policed_call(&policed, (struct timex){.modes = 0}), TIME_ERROR);
    assert_int_equal(policed_call(&policed, (struct timex){.modes = ADJ_OFFSET_SS_READ}),
                     TIME_ERROR);
    assert_int_equal(policed.kernel.writes, 0);
    assert_int_equal(policed.objections, 0);
    policed_refuses(&policed, steer_call(1, false));
    policed_refuses(&policed, (struct timex){.modes = ADJ_STATUS, .status = STA_UNSYNC});
}

static void other_kinds_are_refused(void **state)
{
    static const unsigned kinds[] = {ADJ_OFFSET,
                                     ADJ_FREQUENCY,
                                     ADJ_TICK,
                                     ADJ_TAI,
                                     ADJ_SETOFFSET,
                                     ADJ_MICRO,
                                     ADJ_NANO,
                                     ADJ_MAXERROR,
                                     STEER & ~(unsigned)ADJ_NANO,
                                     STEER | ADJ_MICRO,
                                     STEER | ADJ_SETOFFSET,
                                     STEER | ADJ_TAI,
                                     STEER | 0x0800,
                                     ADJ_OFFSET_SINGLESHOT | ADJ_FREQUENCY,
                                     0x8000,
                                     UINT32_MAX};
    struct policed policed;

    (void)state;
    police(&policed, &usual_limits);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        policed_refuses(&policed, (struct timex){.modes = kinds[i],
                                                .status = STA_PLL | STA_FREQHOLD | STA_UNSYNC,
                                                .tick = 10000});
    assert_int_equal(policed.kernel.writes, 0);
}

static void values_are_refused(void **state)
{
    struct policed policed;
    struct timex timex;

    (void)state;
    police(&policed, &usual_limits);
    timex = steer_call(0, false);
    timex.freq = 500 * PPM + 1;
    policed_refuses(&policed, timex);
    timex.freq = -timex.freq;
    policed_refuses(&policed, timex);
    timex = steer_call(0, false);
    timex.constant = 1;
    policed_refuses(&policed, timex);
    timex = steer_call(0, false);
    timex.modes |= ADJ_TICK;
    timex.tick = 10001;
    policed_refuses(&policed, timex);
    timex.tick = 10000;
    timex.freq = -500 * PPM;
    assert_int_equal(policed_call(&policed, timex), TIME_ERROR);
    timex = (struct timex){.modes = ADJ_MAXERROR | ADJ_ESTERROR, .maxerror = -1};
    policed_refuses(&policed, timex);
    timex.maxerror = 16000001;
    policed_refuses(&policed, timex);
    timex.maxerror = 16000000;
    assert_int_equal(policed_call(&policed, timex), TIME_ERROR);
    timex.esterror = -1;
    policed_refuses(&policed, timex);
}

/* Besides its own the daemon leaves bits as they are, or takes away those of other daemons. */
static void status_bits_are_refused(void **state)
{
    static const int bits[] = {STA_PPSFREQ, STA_PPSTIME, STA_FLL, STA_INS, STA_DEL, 0x10000};
    struct policed policed;
    struct timex timex;

    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        police(&policed, &usual_limits);
        timex = steer_call(0, false);
        timex.status |= bits[i];
        policed_refuses(&policed, timex);
        policed_refuses(&policed, (struct timex){.modes = ADJ_STATUS, .status = timex.status});
    }
    police(&policed, &usual_limits);
    policed.kernel.model.status |= STA_INS | STA_FLL;
    policed_refuses(&policed, steer_call(0, false));
    timex = steer_call(0, false);
    timex.status |= STA_INS;
    assert_int_equal(policed_call(&policed, timex), TIME_ERROR);
    assert_int_equal(policed.kernel.model.status,
                     STA_PLL | STA_FREQHOLD | STA_UNSYNC | STA_NANO | STA_INS);
    timex = steer_call(0, false);
    timex.status &= ~STA_FREQHOLD;
    policed_refuses(&policed, timex);
}

static void only_the_same_status_alone(void **state)
{
    struct policed policed;

    (void)state;
    police(&policed, &usual_limits);
    assert_int_equal(
        policed_call(&policed, (struct timex){.modes = ADJ_STATUS, .status = STA_UNSYNC}),
        TIME_ERROR);
    policed_refuses(&policed, (struct timex){.modes = ADJ_STATUS, .status = 0});
}

static void slews_are_limited(void **state)
{
    struct policed policed;

    (void)state;
    police(&policed, &usual_limits);
    assert_int_equal(policed_call(&policed, steer_call(-400 * NS_PER_MS, false)), TIME_ERROR);
    assert_int_equal(policed_call(&policed, adjtime_call(500000)), TIME_ERROR);
    assert_int_equal(policed.objections, 0);
    assert_int_equal(policed_call(&policed, steer_call(-400 * NS_PER_MS - 1, false)), TIME_ERROR);
    assert_int_equal(policed.objections, 1);
    assert_int_equal(policed_call(&policed, adjtime_call(-500001)), TIME_ERROR);
    assert_int_equal(policed.objections, 2);
    assert_int_equal(policed.kernel.model.singleshot_us, -500000);

    /* From the first order that calls it synchronised on. */
    assert_int_equal(policed_call(&policed, steer_call(-3 * NS_PER_MS, true)), TIME_OK);
    assert_int_equal(policed.objections, 3);
    assert_int_equal(policed_call(&policed, adjtime_call(2001)), TIME_OK);
    assert_int_equal(policed.objections, 4);
    assert_int_equal(policed.kernel.model.singleshot_us, 2000);
    assert_int_equal(policed_call(&policed, steer_call(3 * NS_PER_MS, false)), TIME_ERROR);
    assert_int_equal(policed.objections, 5);
}

/* Everything that the discipline orders, under all limits, is let pass as it is. */
struct drive {
    struct policed policed;
    struct clock *clock;
    struct discipline *discipline;
    struct target target;
    bool synchronised;
};

static void follow(struct drive *drive, struct dice *dice, const struct clock_status *status)
{
    int64_t ahead_ns = map_total_at(&drive->target.map, status->now.raw_ns) - status->now.total_ns;
    bool near_ns = timestamp_abs(ahead_ns) < NS_PER_MS;

    if (drive->target.in || !(near_ns || dice_below(dice, 20) == 0))
        return;
    drive->target.in = true;
    assert_int_equal(discipline_follow(drive->discipline, &drive->target), 0);
}

static void tick(struct drive *drive, struct dice *dice)
{
    struct clock_status status;
    struct discipline_outcome outcome;

    assert_int_equal(clock_look(drive->clock, &status), 0);
    follow(drive, dice, &status);
    /* A boundary may pass between the look and the order, and between two calls. */
    if (dice_below(dice, 4) == 0)
        pass_boundary(&drive->policed.kernel, -dice_between(dice, 1, 1000));
    drive->policed.call_ns = dice_between(dice, 0, 100 * NS_PER_US);
    discipline_tick(drive->discipline, &status, &outcome);
    if (outcome.events & DISCIPLINE_STEP)
        assert_int_equal(clock_step(drive->clock, outcome.step_ns), 0);
    if (outcome.steer)
        assert_int_equal(clock_steer(drive->clock, &outcome.order), 0);
    drive->synchronised |= outcome.order.synchronised;
    pass(&drive->policed.kernel,
         outcome.order.soon ? DISCIPLINE_SOON_NS : NS_PER_S + dice_between(dice, 0, 3 * NS_PER_MS));
}

static double pick_ppm(struct dice *dice)
{
    static const double ppm[] = {1, 1.5, 20, 499, 500, 501, 1000, 20000, 100000};

    return ppm[dice_below(dice, sizeof ppm / sizeof ppm[0])];
}

static void drive_once(struct drive *drive, struct dice *dice)
{
    struct discipline_limits limits = {.max_slew_ppm = pick_ppm(dice),
                                       .initial_slew_ppm = pick_ppm(dice),
                                       .step_threshold_ns =
                                           dice_below(dice, 2) ? 0 : 100 * NS_PER_MS,
                                       .panic_threshold_ns = 1000 * NS_PER_S,
                                       .holdover_limit_ns = 3600 * NS_PER_S,
                                       .asymmetry_max_ns = -1};
    const struct clock_limits allowed = {.adjust = true,
                                         .max_slew_ppm = limits.max_slew_ppm,
                                         .initial_slew_ppm = limits.initial_slew_ppm,
                                         .step_threshold_ns = limits.step_threshold_ns};
    int64_t reach_ns = dice_below(dice, 2) ? 2 * NS_PER_S : 5 * NS_PER_MS;

    police(&drive->policed, &allowed);
    pass(&drive->policed.kernel, dice_between(dice, 0, NS_PER_S));
    drive->clock = policed_clock(&drive->policed);
    drive->discipline = discipline_new(&limits);
    assert_non_null(drive->discipline);
    drive->target =
        (struct target){.map = {.raw_ns = RAW0,
                                .total_ns = REAL0 - RAW0 + dice_between(dice, -reach_ns, reach_ns),
                                .freq_ppb = (double)dice_between(dice, -100000, 100000)},
                        .offset_sd_ns = 1000,
                        .freq_sd_ppb = 1};
    assert_int_equal(discipline_follow(drive->discipline, &drive->target), 0);
    for (int i = 0; i < TICKS; i++)
        tick(drive, dice);
    discipline_free(drive->discipline);
    clock_free(drive->clock);
}

static void the_discipline_is_let_pass(void **state)
{
    struct dice dice = dice_new();
    unsigned synchronised = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct drive drive = {.synchronised = false};

        drive_once(&drive, &dice);
        if (drive.policed.objections > 0)
            fail_msg("%s, round %d (BERKELEY_TEST_SEED=%" PRIu64 ")", drive.policed.why, i,
                     dice.seed);
        synchronised += drive.synchronised;
    }
    assert_true(synchronised > ROUNDS / 2);
}

/* Whoever asks for whatever: from the first synchronisation on the clock is not faster for long than
 * both slews at the limit make it, and it is not set. */
static struct timex random_call(struct dice *dice)
{
    struct timex timex = steer_call(dice_between(dice, -NS_PER_S, NS_PER_S), dice_below(dice, 2));

    switch (dice_below(dice, 6)) {
    case 0:
        return adjtime_call(dice_between(dice, -1000000, 1000000));
    case 1:
        return step_call(dice_between(dice, -NS_PER_S, NS_PER_S));
    case 2:
        timex.modes = (unsigned)dice_u64(dice) & 0xffff;
        timex.tick = dice_between(dice, 9000, 11000);
        return timex;
    default:
        if (dice_below(dice, 2))
            timex.offset = dice_between(dice, -10, 10) * NS_PER_MS;
        return timex;
    }
}

/* The same again and again, in one direction, is what moves a clock farthest. */
static struct timex push_call(struct dice *dice, bool forward)
{
    struct timex timex =
        dice_below(dice, 2) ? steer_call(500 * NS_PER_MS, true) : adjtime_call(500000);

    if (!forward)
        timex.offset = -timex.offset;
    return timex;
}

static void nobody_gets_beyond_the_limits(void **state)
{
    struct dice dice = dice_new();

    (void)state;
    for (int i = 0; i < ATTACKS; i++) {
        const struct clock_limits limits = {
            .adjust = true, .max_slew_ppm = pick_ppm(&dice), .initial_slew_ppm = 100000};
        bool pushes = dice_below(&dice, 2), forward = dice_below(&dice, 2);
        struct policed policed;
        int64_t ns, begun_ns, raw_ns;

        police(&policed, &limits);
        assert_int_equal(policed_call(&policed, steer_call(0, true)), TIME_OK);
        begun_ns = policed.kernel.model.real_ns;
        raw_ns = policed.kernel.model.raw_ns;
        for (int k = 0; k < ATTACK_CALLS; k++) {
            struct timex timex = pushes ? push_call(&dice, forward) : random_call(&dice);

            (void)policed_adjust(&policed, &timex);
            pass(&policed.kernel, dice_between(&dice, 0, 1500 * NS_PER_MS));
        }
        raw_ns = policed.kernel.model.raw_ns - raw_ns;
        ns = policed.kernel.model.real_ns - begun_ns - raw_ns;
        /* Two slews. */
        assert_dice(&dice, (double)timestamp_abs(ns) <=
                               (limits.max_slew_ppm * 1.02 + fmin(limits.max_slew_ppm, 500)) *
                                       (double)raw_ns / 1e6 +
                                   1e6);
        assert_int_equal(policed.kernel.model.backward_ns, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_is_free),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(values_are_refused),
        cmocka_unit_test(status_bits_are_refused),
        cmocka_unit_test(only_the_same_status_alone),
        cmocka_unit_test(slews_are_limited),
        cmocka_unit_test(the_discipline_is_let_pass),
        cmocka_unit_test(nobody_gets_beyond_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

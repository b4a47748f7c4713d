/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_life.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define BOOT_RAW_NS (100 * NS_PER_S)
#define BOOT_TOTAL_NS (INT64_C(1700000000) * NS_PER_S)
#define LAST_NS (TIMESTAMP_LIMIT_NS / 2)
#define LENGTH 100
#define LONG_LENGTH 5000
#define LONG_OF_1000 10 /* sequences that are long */
#define WAKES_MAX 12    /* all exchanges of a round, its decision, and the next round's */

bool life_chance(struct dice *dice, unsigned of_100)
{
    return dice_below(dice, 100) < of_100;
}

static void look_at_clock(struct life *life)
{
    model_clock_advance(&life->clock, life->raw_ns);
    life->probe.now = (struct reading){life->raw_ns, life->clock.total_ns};
}

void life_wait(struct life *life, int64_t span_ns)
{
    if (span_ns > 0)
        life->raw_ns += span_ns;
    look_at_clock(life);
}

/* A kernel refuses to be set to before 1970 or to the far future. */
static void step(struct life *life, int64_t step_ns)
{
    int64_t clock_ns = life->raw_ns + life->clock.total_ns, set_ns;

    if (timestamp_add(clock_ns, step_ns, &set_ns) < 0 || set_ns < 0 || set_ns > LAST_NS)
        return;
    life->clock.total_ns += step_ns;
    life->clock.slew_ns = life->clock.adjtime_ns = 0;
    life->clock.chunk_ns = life->clock.chunk_left_ns = 0;
}

/* The clock carries out what was ordered. */
static void obey(struct life *life)
{
    for (size_t i = 0; i < life->probe.actions.count; i++) {
        const struct action *action = &life->probe.actions.items[i];

        if (action->kind == ACTION_STEP) {
            step(life, action->step_ns);
        } else if (action->kind == ACTION_STEER) {
            life->soon = action->steer.soon;
            life->clock.freq_ppb = action->steer.freq_ppb;
            life->clock.slew_ns = (double)action->steer.slew_ns;
            life->clock.adjtime_ns = (double)action->steer.adjtime_ns;
        } else if (action->kind == ACTION_PANIC) {
            life->ended = true;
        }
    }
}

void life_event(struct life *life, const struct clock_status *tick)
{
    life->events++;
    guard_check(&life->guard, &life->probe, tick);
    obey(life);
    life_listen(life);
    look_at_clock(life);
}

static void tick_status(struct life *life, struct clock_status *status)
{
    probe_tick_status(&life->probe, status);
    life_event(life, status);
}

static void tick(struct life *life, bool jumped)
{
    const struct model_clock *clock = &life->clock;
    struct clock_status status = {.freq_ppb = clock->freq_ppb,
                                  .underway_ns = timestamp_round(clock->chunk_left_ns),
                                  .adjtime_left_ns = timestamp_round(clock->adjtime_ns),
                                  .jumped = jumped};

    status.slew_left_ns =
        timestamp_round(clock->slew_ns) + status.adjtime_left_ns + status.underway_ns;
    status.now = life->probe.now;
    tick_status(life, &status);
    life->next_tick_ns = life->raw_ns + discipline_pause(&status.now, life->soon);
}

/* As no kernel would tell it. */
static void tick_wild(struct life *life)
{
    struct dice *dice = &life->dice;
    struct clock_status status = {.now = life->probe.now,
                                  .freq_ppb = (double)dice_between(dice, -500000, 500000),
                                  .jumped = life_chance(dice, 10),
                                  .observed = life_chance(dice, 30)};

    if (life_chance(dice, 10))
        status.now.total_ns = dice_between(dice, 1 - TIMESTAMP_LIMIT_NS, TIMESTAMP_LIMIT_NS - 1);
    status.underway_ns = dice_between(dice, -NS_PER_MS, NS_PER_MS);
    status.adjtime_left_ns = dice_between(dice, -1000, 1000) * NS_PER_US;
    status.slew_left_ns = status.underway_ns + status.adjtime_left_ns +
                          dice_between(dice, -NS_PER_MS, NS_PER_MS);
    tick_status(life, &status);
}

static void wake(struct life *life)
{
    probe_wake(&life->probe);
    life_event(life, NULL);
}

/* The wakes that follow at the same instant lead to a later one: the daemon never spins. */
static void wake_until_idle(struct life *life)
{
    for (unsigned wakes = 0; wakes < WAKES_MAX; wakes++) {
        if (master_wake_at(life->probe.master) > life->raw_ns)
            return;
        wake(life);
    }
    fail_msg("%s", "EVENT_WAKE does not move the next one on");
}

static void up(struct life *life, uint32_t peer)
{
    struct acquaintance *other = &life->others[peer];
    char owner[WIRE_NAME_SIZE];

    other->welcomed = false;
    other->poll_count = 0;
    snprintf(owner, sizeof owner, "node%" PRIu64, dice_below(&life->dice, LIFE_PEERS));
    probe_up_as(&life->probe, peer, life_chance(&life->dice, 20) ? owner : "");
    life_event(life, NULL);
}

static void down(struct life *life, uint32_t peer, unsigned reason)
{
    life->others[peer].welcomed = false;
    probe_down(&life->probe, peer, reason);
    life_event(life, NULL);
}

/* Time goes on to what is due next: a tick, or the wake of a master. */
static void go_on(struct life *life)
{
    int64_t wake_at_ns = INT64_MAX;

    if (life->probe.master)
        wake_at_ns = master_wake_at(life->probe.master);
    else if (life_chance(&life->dice, 50))
        wake_at_ns = life->raw_ns + dice_between(&life->dice, 0, NS_PER_S);
    if (wake_at_ns < life->next_tick_ns)
        life_wait(life, wake_at_ns - life->raw_ns);
    else
        life_wait(life, life->next_tick_ns - life->raw_ns);
    if (life->raw_ns >= life->next_tick_ns)
        tick(life, false);
    else if (life->probe.master)
        wake_until_idle(life);
}

/* What a real group would see next. */
static void event_likely(struct life *life)
{
    for (uint32_t peer = 0; peer < life->wanted; peer++) {
        if (!life->probe.open[peer]) {
            up(life, peer);
            return;
        }
    }
    if (life->raw_ns < life->next_tick_ns)
        for (uint32_t peer = 0; peer < life->wanted; peer++)
            if ((life->probe.master || life_chance(&life->dice, 50)) && life_answer(life, peer))
                return;
    go_on(life);
}

/* RAW itself is not what it was: a suspend that nobody noticed, or worse. */
static void leap(struct life *life)
{
    struct dice *dice = &life->dice;
    int64_t most_ns = life_chance(dice, 70) ? 10 * NS_PER_MS : 7200 * NS_PER_S;
    int64_t leap_ns = dice_between(dice, -most_ns, most_ns);

    if (life_chance(dice, 1))
        leap_ns = TIMESTAMP_LIMIT_NS / 16;
    if (!timestamp_valid(life->raw_ns + leap_ns) || !timestamp_valid(life->raw_ns + 2 * leap_ns))
        return;
    life->raw_ns += leap_ns;
    life->clock.total_raw_ns += leap_ns;
    life->clock.second_raw_ns += leap_ns;
    life->next_tick_ns += life_chance(dice, 50) ? leap_ns : 0;
    if (leap_ns < 0)
        life->guard.interval_ns = 0;
    look_at_clock(life);
    if (life_chance(dice, 30))
        tick(life, true);
}

static void configure(struct life *life)
{
    if (life->probe.master) {
        life_configure(&life->dice, &life->master_config);
        master_configure(life->probe.master, &life->master_config);
        guard_limit(&life->guard, &life->master_config.limits);
        life->guard.interval_ns = 0;
    } else {
        life_limits(&life->dice, &life->slave_config.limits);
        slave_configure(life->probe.slave, &life->slave_config);
        guard_limit(&life->guard, &life->slave_config.limits);
    }
}

static void begin(struct life *life)
{
    struct probe *probe = &life->probe;

    if (life->dice.seed % 2)
        probe_master(probe, &life->master_config);
    else
        probe_slave(probe, &life->slave_config);
    for (unsigned i = 0; i < LIFE_PEERS; i++)
        life->others[i].welcomed = false;
    look_at_clock(life);
}

/* What no run left behind changes nothing; what one did is always taken. */
static void resume(struct life *life, const struct discipline_memory *memory, bool of_a_run)
{
    bool same_raw = life_chance(&life->dice, 70);
    bool master = life->probe.master != NULL;
    int r = master ? master_resume(life->probe.master, memory, same_raw)
                   : slave_resume(life->probe.slave, memory, same_raw);

    assert_true(r == 0 || (r == -ERANGE && !of_a_run));
    guard_begin(&life->guard, master ? &life->master_config.limits : &life->slave_config.limits,
                r == 0 && memory->synchronised && same_raw);
}

static void restart(struct life *life)
{
    struct discipline_memory memory;

    if (life->probe.master)
        master_recall(life->probe.master, &memory);
    else
        slave_recall(life->probe.slave, &memory);
    probe_free(&life->probe);
    life_wait(life, dice_between(&life->dice, 0, 10 * NS_PER_S));
    begin(life);
    resume(life, &memory, true);
}

static void stamped(struct life *life)
{
    struct dice *dice = &life->dice;
    unsigned type = life_chance(dice, 90) ? (life->probe.master ? WIRE_POLL : WIRE_REPLY)
                                          : (unsigned)dice_below(dice, 256);
    int64_t raw_ns = life->raw_ns + dice_between(dice, -NS_PER_MS, NS_PER_MS);

    if (life_chance(dice, 5))
        raw_ns = dice_between(dice, 1 - TIMESTAMP_LIMIT_NS, TIMESTAMP_LIMIT_NS - 1);
    probe_stamped(&life->probe, (uint32_t)dice_below(dice, LIFE_PEERS + 1),
                  (uint32_t)dice_below(dice, 50), type, raw_ns);
    life_event(life, NULL);
}

static void connect_wild(struct life *life)
{
    struct dice *dice = &life->dice;
    uint32_t peer = (uint32_t)dice_below(dice, life->probe.master ? LIFE_PEERS : 1);

    if (!life->probe.open[peer]) {
        up(life, peer);
    } else if (life_chance(dice, 50)) {
        down(life, peer, life_chance(dice, 50) ? BYE_FLOOD : 0);
    } else if (life_chance(dice, 5)) {
        probe_stop(&life->probe);
        life_event(life, NULL);
    }
}

/* What a person confirms is what was shown, as a rule. */
static void ask_step(struct life *life)
{
    const struct probe *probe = &life->probe;
    int64_t shown_ns, confirmed_ns;
    int r = probe->master ? master_may_step(probe->master, &probe->now, &shown_ns)
                          : slave_may_step(probe->slave, &probe->now, &shown_ns);

    confirmed_ns = (int64_t)dice_u64(&life->dice);
    if (r == 0 && life_chance(&life->dice, 80))
        confirmed_ns = shown_ns;
    r = probe->master ? master_allow_step(probe->master, confirmed_ns, &probe->now)
                      : slave_allow_step(probe->slave, confirmed_ns, &probe->now);
    assert_true(r == 0 || !life->guard.was_in || r == -EALREADY || r == -EROFS);
    if (r == 0)
        life->guard.asked_ns = confirmed_ns;
}

static void event_wild(struct life *life)
{
    switch (dice_below(&life->dice, 16)) {
    case 0:
        connect_wild(life);
        break;
    case 1:
        tick_wild(life);
        break;
    case 2: /* late for everything */
        life_wait(life, dice_between(&life->dice, 0, 5 * NS_PER_S));
        break;
    case 3: /* early */
        wake(life);
        break;
    case 4:
        leap(life);
        break;
    case 5:
        step(life, dice_between(&life->dice, -NS_PER_S, NS_PER_S));
        look_at_clock(life);
        break;
    case 6:
        configure(life);
        break;
    case 7:
        if (life_chance(&life->dice, 30))
            restart(life);
        break;
    case 8:
        life->probe.unread = !life->probe.unread;
        break;
    case 9:
    case 10:
        stamped(life);
        break;
    case 11:
        life->others[dice_below(&life->dice, LIFE_PEERS)].epoch++;
        break;
    case 12:
        ask_step(life);
        return;
    default:
        life_babble(life);
        break;
    }
}

static void meet(struct life *life)
{
    struct dice *dice = &life->dice;
    int64_t most_ns = life_chance(dice, 80) ? NS_PER_MS : 2000 * NS_PER_S;

    for (unsigned i = 0; i < LIFE_PEERS; i++) {
        struct acquaintance *other = &life->others[i];

        other->freq_ppb = (double)dice_between(dice, -50000, 50000);
        other->map = (struct map){life->raw_ns, life->clock.total_ns, 0};
        other->map.total_ns += dice_between(dice, -most_ns, most_ns);
        other->liar = life_chance(dice, 10);
        if (!life->probe.master) {
            other->map.freq_ppb = other->freq_ppb;
            continue;
        }
        other->offset_ns = dice_between(dice, -3600 * NS_PER_S, 3600 * NS_PER_S);
        other->map.raw_ns += other->offset_ns;
        other->map.total_ns -= other->offset_ns;
    }
}

static void life_begin(struct life *life, const struct dice *thrown)
{
    static const unsigned honesties[] = {0, 50, 80, 95, 99, 100};
    struct dice *dice = &life->dice;
    uint64_t seed = thrown->seed;

    *life = (struct life){.dice = *thrown, .raw_ns = BOOT_RAW_NS};
    life->start_raw_ns = life->next_tick_ns = life->raw_ns;
    life->clock = (struct model_clock){.total_raw_ns = life->raw_ns,
                                       .total_ns = BOOT_TOTAL_NS,
                                       .second_raw_ns = life->raw_ns + NS_PER_S / 3};
    life->master_config = probe_master_config();
    life->slave_config = probe_slave_config();
    life_configure(dice, &life->master_config);
    life_limits(dice, &life->slave_config.limits);
    life->honesty = honesties[dice_below(dice, sizeof honesties / sizeof honesties[0])];
    life->wanted = seed % 2 ? (unsigned)dice_below(dice, LIFE_PEERS) : 1;
    begin(life);
    meet(life);
    guard_begin(&life->guard,
                seed % 2 ? &life->master_config.limits : &life->slave_config.limits, false);
    life->guard.interval_ns = seed % 2 ? life->master_config.interval_ns : 0;
}

/* As many events as the dice want, or as a fuzzer's bytes make. */
static bool goes_on(const struct life *life, uint64_t lived, uint64_t length)
{
    if (life->ended)
        return false;
    return life->dice.bytes ? life->dice.left > 0 : lived < length;
}

unsigned life_run(const struct dice *dice, uint64_t *events)
{
    struct discipline_memory memory;
    struct life life;
    uint64_t length;

    life_begin(&life, dice);
    length = 1 + dice_below(&life.dice, dice_below(&life.dice, 1000) < LONG_OF_1000 ? LONG_LENGTH
                                                                                   : LENGTH);
    if (life_chance(&life.dice, 30)) {
        life_memory(&life.dice, &life.probe.now, &memory);
        resume(&life, &memory, false);
    }
    for (uint64_t i = 0; goes_on(&life, i, length); i++) {
        if (life_chance(&life.dice, life.honesty))
            event_likely(&life);
        else
            event_wild(&life);
    }
    probe_free(&life.probe);
    *events += life.events;
    return life.guard.deeds;
}

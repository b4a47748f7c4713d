/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine_guard.h"
#include "core/view.h"
#include "slewed_clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KERNEL_SLEW_NS (NS_PER_S / 2)
#define KERNEL_ADJTIME_NS (500 * NS_PER_US)
#define ACTIONS_MAX (16 + 8 * PROBE_PEERS) /* that one event may lead to */
#define FINE_NS (3 * NS_PER_US) /* the last microsecond is ordered fourfold */

void guard_begin(struct guard *guard, const struct discipline_limits *limits, bool resumed)
{
    *guard = (struct guard){.limits = *limits, .unsure = resumed, .deeds = guard->deeds};
}

void guard_limit(struct guard *guard, const struct discipline_limits *limits)
{
    guard->limits = *limits;
    guard->tried = false;
}

static const struct action *find(const struct probe *probe, enum action_kind kind)
{
    for (size_t i = 0; i < probe->actions.count; i++)
        if (probe->actions.items[i].kind == kind)
            return &probe->actions.items[i];
    return NULL;
}

static void summarise(const struct probe *probe, struct summary *summary)
{
    if (probe->master)
        master_summary(probe->master, &probe->now, summary);
    else
        slave_summary(probe->slave, &probe->now, summary);
}

static void check_order(const struct order *order)
{
    assert_true(fabs(order->freq_ppb) <= DISCIPLINE_FREQ_LIMIT_PPB);
    assert_true(timestamp_abs(order->slew_ns) <= KERNEL_SLEW_NS);
    assert_int_equal(order->adjtime_ns % NS_PER_US, 0);
    assert_true(order->maxerror_ns >= 0 && order->esterror_ns >= 0);
    assert_true(!order->synchronised || order->maxerror_ns < INT64_MAX);
}

/* As it was: no map says anything else. */
static bool leaves_alone(const struct order *order, const struct clock_status *tick)
{
    return order->adjtime_ns == tick->adjtime_left_ns &&
           order->slew_ns == tick->slew_left_ns - tick->underway_ns - tick->adjtime_left_ns;
}

/* All that will come, in the hurry by what the kernel delivers of it, leads from what comes
 * anyway to what is outstanding, no faster than the limit. */
static void check_slew(const struct guard *guard, const struct order *order,
                       const struct clock_status *tick, int64_t outstanding_ns)
{
    int64_t sum_ns = order->soon ? timestamp_round(slewed_clock_delivers(order))
                                 : order->slew_ns + order->adjtime_ns;
    int64_t left_ns = timestamp_clamp(outstanding_ns, NS_PER_S) - tick->underway_ns;
    int64_t rate_ns = order->slew_ns / 4 + timestamp_clamp(order->adjtime_ns, KERNEL_ADJTIME_NS);
    double rate_ppm = guard->limits.initial_slew_ppm;

    if (leaves_alone(order, tick))
        return;
    assert_false(order->soon && guard->was_in);
    if (guard->was_in)
        rate_ppm = guard->limits.max_slew_ppm;
    else if (guard->unsure)
        rate_ppm = fmax(rate_ppm, guard->limits.max_slew_ppm);
    assert_true(fabs((double)rate_ns) <= rate_ppm * 1e3 + 1);
    assert_true(sum_ns >= (left_ns < 0 ? left_ns : 0) - FINE_NS);
    assert_true(sum_ns <= (left_ns > 0 ? left_ns : 0) + FINE_NS);
}

static void check_step(struct guard *guard, const struct probe *probe,
                       const struct clock_status *tick)
{
    const struct action *step = find(probe, ACTION_STEP);
    int64_t asked_ns = guard->asked_ns;

    if (tick)
        guard->asked_ns = 0;
    assert_true(probe_count(probe, ACTION_STEP) <= 1);
    assert_false(guard->stepped && probe_note(probe, NOTE_STEPPED));
    guard->stepped |= probe_note(probe, NOTE_STEPPED) != NULL;
    if (!step)
        return;
    assert_true(step == probe->actions.items || step[-1].kind != ACTION_STEER);
    assert_true(tick && !tick->observed);
    assert_false(guard->was_in);
    assert_false(guard->stepped);
    if (discipline_step_confirmed(asked_ns, step->step_ns))
        return;
    assert_true(guard->limits.step_threshold_ns > 0);
    assert_true(timestamp_abs(step->step_ns) > guard->limits.step_threshold_ns);
    assert_false(guard->tried);
    guard->tried = true;
}

/* With its tick a master may have decided a round, too: its state is from after that. */
static bool is_later(const struct probe *probe)
{
    return probe->master && probe_note(probe, NOTE_ROUND);
}

static void check_panic(const struct guard *guard, const struct probe *probe,
                        const struct summary *summary)
{
    if (!find(probe, ACTION_PANIC))
        return;
    assert_true(guard->was_in || guard->unsure);
    assert_true(timestamp_abs(summary->outstanding_ns) > guard->limits.panic_threshold_ns);
    assert_true(is_later(probe) || summary->state == SYNC_UNSYNCHRONISED);
}

static void check_orders(struct guard *guard, const struct probe *probe,
                         const struct clock_status *tick, const struct summary *summary)
{
    const struct action *steer = find(probe, ACTION_STEER);

    assert_true(probe_count(probe, ACTION_STEER) <= 1);
    check_step(guard, probe, tick);
    check_panic(guard, probe, summary);
    if (!steer)
        return;
    assert_non_null(tick);
    assert_false(tick->observed);
    check_order(&steer->steer);
    assert_true(is_later(probe) || steer->steer.maxerror_ns == INT64_MAX ||
                steer->steer.synchronised == (summary->state != SYNC_UNSYNCHRONISED));
    check_slew(guard, &steer->steer, tick, summary->outstanding_ns);
}

static void check_summary(const struct probe *probe, const struct summary *summary)
{
    assert_true(summary->state <= SYNC_HOLDOVER);
    assert_true(summary->bound_ns >= 0);
    assert_true(summary->late_bound_ns >= summary->bound_ns || summary->bound_ns == INT64_MAX);
    assert_true(timestamp_abs(summary->offset_ns) <= summary->bound_ns);
    assert_true(summary->asymmetry_ns >= 0);
    assert_true(summary->spread_ns >= 0);
    assert_true(timestamp_abs(summary->slew_left_ns) <= timestamp_abs(summary->outstanding_ns));
    assert_true(summary->counted <= summary->present);
    assert_true(summary->slaves <= PROBE_PEERS);
    assert_true(isfinite(summary->freq_ppb));
    assert_true(summary->verdict < VERDICT_COUNT_);
    assert_true(memchr(summary->name, 0, sizeof summary->name) != NULL);
    assert_true(summary->connected || !probe->master);
}

static void check_views(const struct probe *probe)
{
    double weights = 0;
    size_t count = probe->master ? master_views(probe->master) : 0;

    for (size_t i = 0; i < count; i++) {
        struct clock_view view = {.weight = 0};

        if (!master_view(probe->master, i, &probe->now, &view))
            continue;
        assert_true(view.verdict < VERDICT_COUNT_ && view.state <= SYNC_HOLDOVER);
        assert_true(view.bound_ns >= 0 && view.sd_ns >= 0 && view.delay_ns >= 0);
        assert_true(view.gate_ns >= 0 && view.gate_ppb >= 0);
        assert_true(isfinite(view.rate_ppb) && isfinite(view.freq_ppb));
        weights += view.weight;
    }
    assert_true(weights >= 0 && weights < 1.000001);
}

static void note_deeds(struct guard *guard, const struct probe *probe,
                       const struct summary *summary)
{
    static const struct {
        enum note_kind note;
        enum deed deed;
    } notes[] = {
        {NOTE_GROUP_FORMED, DEED_FORMED},    {NOTE_CLOCK_IN, DEED_CLOCK_IN},
        {NOTE_CLOCK_EXCLUDED, DEED_EXCLUDED}, {NOTE_CORRECTION, DEED_FOLLOWED},
        {NOTE_FOREIGN_STEP, DEED_FOREIGN},   {NOTE_PANIC, DEED_PANICKED},
        {NOTE_STEPPED, DEED_STEPPED},
    };

    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++)
        if (probe_note(probe, notes[i].note))
            guard->deeds |= notes[i].deed;
    if (probe_note(probe, NOTE_STEPPED) && probe_note(probe, NOTE_STEPPED)->state == 1)
        guard->deeds |= DEED_STEPPED_BY_HAND;
    if (find(probe, ACTION_STEER))
        guard->deeds |= DEED_STEERED;
    if (summary->state == SYNC_SYNCHRONISED)
        guard->deeds |= DEED_SYNCHRONISED;
    if (summary->state == SYNC_HOLDOVER)
        guard->deeds |= guard->unsure ? DEED_RESUMED : DEED_HELD;
}

static void check_wake_at(const struct guard *guard, const struct probe *probe)
{
    if (probe->master && guard->interval_ns > 0)
        assert_true(master_wake_at(probe->master) - probe->now.raw_ns <=
                    guard->interval_ns + NS_PER_S);
}

void guard_check(struct guard *guard, const struct probe *probe, const struct clock_status *tick)
{
    struct summary summary;

    summarise(probe, &summary);
    assert_true(probe->actions.count <= ACTIONS_MAX);
    check_summary(probe, &summary);
    check_views(probe);
    check_orders(guard, probe, tick, &summary);
    check_wake_at(guard, probe);
    note_deeds(guard, probe, &summary);
    guard->was_in |= summary.state == SYNC_SYNCHRONISED;
}

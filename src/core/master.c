/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/master.h"

#include "master_state.h"

#include <stdlib.h>
#include <string.h>

struct master *master_new(const struct master_config *config, const struct reading *now)
{
    struct master *master = calloc(1, sizeof *master);

    if (!master)
        return NULL;
    master->discipline = discipline_new(&config->limits);
    if (!master->discipline) {
        free(master);
        return NULL;
    }
    master->config = *config;
    master->status.now = *now;
    master->next_raw_ns = now->raw_ns;
    master->quiet_rounds = MASTER_FAST_ROUNDS_MAX;
    return master;
}

void master_free(struct master *master)
{
    if (!master)
        return;
    master_peer_free(master);
    master_absent_free(master);
    discipline_free(master->discipline);
    free(master);
}

void master_recall(const struct master *master, struct discipline_memory *memory)
{
    discipline_recall(master->discipline, memory);
}

int master_resume(struct master *master, const struct discipline_memory *memory, bool same_raw)
{
    return discipline_resume(master->discipline, memory, same_raw);
}

int master_may_step(const struct master *master, const struct reading *now, int64_t *correction_ns)
{
    return discipline_may_step(master->discipline, now, correction_ns);
}

int master_allow_step(struct master *master, int64_t confirmed_ns, const struct reading *now)
{
    return discipline_allow_step(master->discipline, confirmed_ns, now);
}

void master_configure(struct master *master, const struct master_config *config)
{
    struct master_config fresh = *config;
    int64_t now_ns = master->status.now.raw_ns;

    memcpy(fresh.name, master->config.name, sizeof fresh.name);
    memcpy(fresh.group, master->config.group, sizeof fresh.group);
    master->interval_changed |= fresh.interval_ns != master->config.interval_ns;
    master->config = fresh;
    discipline_limit(master->discipline, &fresh.limits);
    /* In rounds of the new length neither a slave is silent yet nor a round far away. */
    if (master->next_raw_ns > now_ns + fresh.interval_ns)
        master->next_raw_ns = now_ns + fresh.interval_ns;
    for (size_t i = 0; i < master->peer_count; i++) {
        master->peers[i].reference = master_is_reference(master, master->peers[i].name);
        if (master->peers[i].welcomed)
            master->peers[i].heard_raw_ns = now_ns;
    }
}

/* The master was suspended: everything known was relative to its RAW clock. */
static void forget_group(struct master *master)
{
    master->formed = false;
    master->forming_rounds = 0;
    master->disputed_rounds = master->short_rounds = 0;
    master->own = (struct standing){0};
    for (size_t i = 0; i < master->peer_count; i++) {
        if (!master->peers[i].up)
            continue;
        master_link_reset(&master->peers[i]);
        master->peers[i].standing = (struct standing){0};
        master->peers[i].heard_raw_ns = master->status.now.raw_ns;
    }
    master_hurry(master, master->status.now.raw_ns);
}

static void take_tick(struct master *master, const struct event *event, struct actions *actions)
{
    struct discipline_outcome outcome;

    master->status = event->tick;
    if (event->tick.jumped)
        forget_group(master);
    discipline_tick(master->discipline, &event->tick, &outcome);
    master->outstanding_ns = outcome.outstanding_ns;
    master->freq_ppb = outcome.order.freq_ppb;
    if (outcome.events & DISCIPLINE_FOREIGN)
        master->own.in = false;
    actions_discipline(actions, &outcome, discipline_state(master->discipline),
                       master->config.limits.panic_threshold_ns);
    master_peer_silence(master, event->now.raw_ns, actions);
}

static void take_stop(struct master *master, struct actions *actions)
{
    for (uint32_t i = 0; i < master->peer_count; i++)
        if (master->peers[i].up)
            master_peer_close(master, i, BYE_SHUTDOWN, actions);
}

void master_handle(struct master *master, const struct event *event, struct actions *actions)
{
    switch (event->kind) {
    case EVENT_WAKE:
        master_round_wake(master, &event->now, actions);
        break;
    case EVENT_TICK:
        take_tick(master, event, actions);
        break;
    case EVENT_UP:
        master_peer_up(master, event, actions);
        break;
    case EVENT_DOWN:
        master_peer_down(master, event, actions);
        break;
    case EVENT_FRAME:
        master_peer_frame(master, event, actions);
        break;
    case EVENT_SENT:
        master_peer_sent(master, event);
        break;
    case EVENT_STAMPED:
        master_peer_stamped(master, event);
        break;
    case EVENT_STOP:
        take_stop(master, actions);
        break;
    }
    if (event->kind != EVENT_STOP && master->phase == PHASE_WAITING &&
        master_round_complete(master))
        master_round_wake(master, &event->now, actions);
}

int64_t master_wake_at(const struct master *master)
{
    return master_round_wake_at(master);
}

void master_summary(const struct master *master, const struct reading *now, struct summary *summary)
{
    *summary = (struct summary){.state = discipline_state(master->discipline),
                                .offset_ns = -discipline_left(master->discipline, now),
                                .outstanding_ns = master->outstanding_ns,
                                .slew_left_ns = timestamp_clamp(
                                    discipline_slew_left(master->discipline),
                                    timestamp_abs(master->outstanding_ns)),
                                .max_slew_ppm = discipline_slew_limit_ppm(master->discipline),
                                .bound_ns = discipline_bound(master->discipline, now),
                                .asymmetry_ns = discipline_asymmetry(master->discipline),
                                .late_bound_ns = discipline_late_bound(master->discipline, now,
                                                                       SUMMARY_LATE_NS),
                                .spread_ns = master->spread_ns,
                                .counted = master->counted,
                                .present = master->present,
                                .connected = true,
                                .round = master->round,
                                .freq_ppb = master->freq_ppb,
                                .verdict = (uint8_t)master->own.verdict};
    memcpy(summary->name, master->config.name, sizeof summary->name);
    memcpy(summary->refused, master->refused, sizeof summary->refused);
    for (size_t i = 0; i < master->peer_count; i++)
        summary->slaves += master->peers[i].welcomed;
}

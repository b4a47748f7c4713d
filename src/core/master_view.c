/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/view.h"

#include "master_state.h"

#include <string.h>

size_t master_views(const struct master *master)
{
    return master->peer_count + 1;
}

static void view_gates(const struct master *master, struct clock_view *view)
{
    if (master->formed)
        average_gates_of(&master->average, view->reference, &view->gate_ns, &view->gate_ppb);
}

static void view_sight(const struct master *master, const struct sight *sight,
                       struct clock_view *view)
{
    view->measured = sight->taken && master->formed;
    if (!view->measured)
        return;
    view->offset_ns = sight->phase_ns - map_total_at(&master->group, master->seen_raw_ns);
    view->rate_ppb = sight->rate_ppb - master->group.freq_ppb;
    view->weight = sight->weight;
}

static void view_own(const struct master *master, const struct reading *now,
                     struct clock_view *view)
{
    *view = (struct clock_view){
        .own = true,
        .reference = master_is_reference(master, master->config.name),
        .kind = (uint8_t)(master->config.discipline ? master->config.kind : CLOCK_KIND_OBSERVED),
        .state = (uint8_t)discipline_state(master->discipline),
        .verdict = (uint8_t)master->own.verdict,
        .suspended = master->own.suspended,
        .freq_ppb = master->freq_ppb,
        .bound_ns = discipline_bound(master->discipline, now)};
    memcpy(view->name, master->config.name, sizeof view->name);
    view_gates(master, view);
    view_sight(master, &master->own_sight, view);
    if (view->measured)
        view->sd_ns = timestamp_round(master->mean.phase_sd_ns);
}

static void view_peer(const struct master *master, const struct peer *peer,
                      const struct reading *now, struct clock_view *view)
{
    *view = (struct clock_view){.reference = peer->reference,
                                .kind = peer->kind,
                                .state = peer->state,
                                .verdict = (uint8_t)peer->standing.verdict,
                                .suspended = peer->standing.suspended,
                                .freq_ppb = peer->freq_ppb,
                                .bound_ns = peer->bound_ns,
                                .heard_ns = now->raw_ns - peer->heard_raw_ns,
                                .refused = peer->refused};
    memcpy(view->name, peer->name, sizeof view->name);
    memcpy(view->address, peer->address, sizeof view->address);
    view_gates(master, view);
    view_sight(master, &peer->sight, view);
    if (!view->measured)
        return;
    view->sd_ns = timestamp_round(master_offset_sd(master, peer));
    view->delay_ns = timestamp_round(peer->estimate.delay_ns);
    view->jitter_ns = timestamp_round(peer->estimate.jitter_ns);
}

bool master_view(const struct master *master, size_t i, const struct reading *now,
                 struct clock_view *view)
{
    if (i > master->peer_count)
        return false;
    if (i == 0) {
        view_own(master, now, view);
        return true;
    }
    if (!master->peers[i - 1].welcomed)
        return false;
    view_peer(master, &master->peers[i - 1], now, view);
    return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "world_state.h"

#include "core/view.h"

#include <math.h>
#include <string.h>

#define HEAL_NS (60 * NS_PER_S) /* a fault that the group never noticed is over then ... */
#define HEALED_NS 1000.0        /* ... if the clock is so near, ... */
#define HEALED_SPREADS 3        /* ... or within the group's own spread */

static bool makes_wild(enum scenario_what what)
{
    return what == SCENARIO_FREQUENCY || what == SCENARIO_STUCK || what == SCENARIO_LIE ||
           what == SCENARIO_LIE_RANDOM;
}

static bool makes_faulty(const struct scenario_event *event)
{
    return makes_wild(event->what) || event->what == SCENARIO_STEP ||
           event->what == SCENARIO_SUSPEND || event->what == SCENARIO_START ||
           (event->what == SCENARIO_RESTART && event->by_ns != 0);
}

void truth_fault(struct truth *truth, unsigned node, const struct scenario_event *event,
                 int64_t end_ns)
{
    struct fortune *fortune = &truth->fortunes[node];
    bool lasts = makes_wild(event->what) || event->what == SCENARIO_SUSPEND ||
                 event->what == SCENARIO_RESTART;

    if (!makes_faulty(event))
        return;
    if (!fortune->faulty)
        fortune->fault_end_ns = 0;
    fortune->faulty = true;
    fortune->wild |= makes_wild(event->what);
    fortune->was_out = !fortune->counted;
    if (!lasts || event->what == SCENARIO_FREQUENCY)
        end_ns = truth->world->now_ns;
    if (end_ns > fortune->fault_end_ns)
        fortune->fault_end_ns = end_ns;
}

static void clear(struct fortune *fortune)
{
    fortune->faulty = false;
    fortune->wild = false;
}

/* After a decision: dealt with is what was counted, then put out, then counted again.  A
 * clock that only looked noisy was not. */
static void settle(struct truth *truth, struct fortune *fortune)
{
    if (!fortune->faulty)
        return;
    if (!fortune->counted)
        fortune->was_out |= fortune->verdict != VERDICT_NOISY;
    else if (fortune->was_out && truth->world->now_ns >= fortune->fault_end_ns)
        clear(fortune);
}

void truth_heal(struct truth *truth, unsigned node)
{
    struct fortune *fortune = &truth->fortunes[node];
    double near_ns = fmax(HEALED_NS, HEALED_SPREADS * truth->spread_ns);

    if (fortune->faulty && fortune->counted && truth->has_group &&
        truth->world->now_ns - HEAL_NS >= fortune->fault_end_ns &&
        fabs(truth_sample(truth, node)->off_ns - truth->group_ns) <= near_ns)
        clear(fortune);
}

/* NULL: none is called so. */
static struct fortune *fortune_named(struct truth *truth, const char *name)
{
    for (unsigned i = 0; i < truth->world->count; i++)
        if (strcmp(truth->world->nodes[i].name, name) == 0)
            return &truth->fortunes[i];
    return NULL;
}

/* Of this round, about this clock. */
static void take_verdict(struct truth *truth, uint32_t round, const struct clock_view *view)
{
    struct fortune *fortune = fortune_named(truth, view->name);

    if (!fortune || view->verdict == VERDICT_NONE || view->verdict == VERDICT_SILENT)
        return;
    fortune->verdict = view->verdict;
    fortune->round = round;
}

static bool counts(uint8_t verdict)
{
    return verdict == VERDICT_COUNTED || verdict == VERDICT_REFERENCE;
}

static void take_round(struct truth *truth, const struct note *note)
{
    struct world *world = truth->world;
    const struct master *master = world->nodes[0].master;
    struct reading now = node_read(&world->nodes[0], world->now_ns);
    struct clock_view view;
    bool any = false;

    for (size_t i = 0; i < master_views(master); i++)
        if (master_view(master, i, &now, &view))
            take_verdict(truth, note->round, &view);
    for (unsigned i = 0; i < world->count; i++) {
        const struct fortune *fortune = &truth->fortunes[i];

        any |= fortune->round == note->round && counts(fortune->verdict);
    }
    for (unsigned i = 0; i < world->count; i++) {
        struct fortune *fortune = &truth->fortunes[i];

        /* Without a quorum the group's time is that of those who were counted last. */
        if (any)
            fortune->counted = fortune->round == note->round && counts(fortune->verdict);
        if (fortune->round == note->round)
            fortune->in = clock_verdict_is_in(fortune->verdict);
        settle(truth, fortune);
    }
    truth->formed |= any;
}

static void take_exclusion(struct truth *truth, const struct note *note)
{
    struct fortune *fortune = fortune_named(truth, note->name);

    if (fortune && fortune->excluded_ns < 0)
        fortune->excluded_ns = truth->world->now_ns;
}

void truth_note(struct truth *truth, unsigned node, const struct note *note)
{
    struct truth_results *results = &truth->results;

    switch (note->kind) {
    case NOTE_ROUND:
        take_round(truth, note);
        break;
    case NOTE_CLOCK_EXCLUDED:
    case NOTE_CLOCK_JUMPED:
        take_exclusion(truth, note);
        break;
    case NOTE_GROUP_FORMED:
        results->formed++;
        break;
    case NOTE_FRAME_REFUSED:
        results->refusals[note->reason < REFUSAL_COUNT_ ? note->reason : REFUSAL_NONE]++;
        break;
    case NOTE_PANIC:
        results->panics++;
        break;
    default:
        break;
    }
    (void)node;
}

void truth_started(struct truth *truth, unsigned node)
{
    struct fortune *fortune = &truth->fortunes[node];

    fortune->in_since_ns = INT64_MAX;
    fortune->verdict = VERDICT_NONE;
    fortune->round = 0;
    if (fortune->was_born)
        return;
    fortune->was_born = true;
    fortune->born = truth->history.count;
    fortune->start_ns = truth->has_group ? truth_sample(truth, node)->off_ns - truth->group_ns : 0;
}

void truth_ended(struct truth *truth, unsigned node)
{
    truth->fortunes[node].in = false;
    truth->row.nodes[node].state = SYNC_UNSYNCHRONISED;
    truth->row.nodes[node].bound_ns = INT64_MAX;
    if (node > 0)
        return;
    /* A new master counts its rounds anew. */
    for (unsigned i = 0; i < truth->world->count; i++)
        truth->fortunes[i].round = 0;
}

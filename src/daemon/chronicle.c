/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/chronicle.h"

#include <stdlib.h>
#include <string.h>

struct chronicle {
    int64_t started_raw_ns, since_raw_ns;
    enum sync_state state; /* since then */
    bool corrected;
    int64_t correction_ns, corrected_raw_ns;
    struct chronicle_tally tally;
    struct chronicle_round rounds[CHRONICLE_ROUNDS]; /* that of tally.rounds = n at n - 1 */
};

struct chronicle *chronicle_new(const struct reading *now)
{
    struct chronicle *chronicle = calloc(1, sizeof *chronicle);

    if (chronicle)
        chronicle->started_raw_ns = chronicle->since_raw_ns = now->raw_ns;
    return chronicle;
}

void chronicle_free(struct chronicle *chronicle)
{
    free(chronicle);
}

/* Of the other verdicts it is known only how far the clock is. */
static bool is_corrected(unsigned verdict)
{
    return verdict == VERDICT_COUNTED || verdict == VERDICT_NEWCOMER || verdict == VERDICT_NOISY;
}

static void take_round(struct chronicle *chronicle, const struct note *note,
                       const struct reading *now)
{
    chronicle->rounds[chronicle->tally.rounds++ % CHRONICLE_ROUNDS] =
        (struct chronicle_round){.round = note->round,
                                 .verdict = note->verdict,
                                 .real_ns = now->raw_ns + now->total_ns,
                                 .correction_ns = note->correction_ns,
                                 .bound_ns = note->bound_ns,
                                 .counted = note->counted,
                                 .present = note->present,
                                 .excluded = note->count,
                                 .spread_ns = note->offset_ns,
                                 .duration_ns = note->duration_ns};
    if (!is_corrected(note->verdict))
        return;
    chronicle->tally.corrections++;
    chronicle->corrected = true;
    chronicle->correction_ns = note->correction_ns;
    chronicle->corrected_raw_ns = now->raw_ns;
}

#define MEMBER(name) (offsetof(struct chronicle_tally, name) + 1)

/* Kinds that need no more than to be counted. */
static void count(struct chronicle_tally *tally, enum note_kind kind, unsigned times)
{
    static const size_t members[NOTE_COUNT_] = {
        [NOTE_STEPPED] = MEMBER(steps),
        [NOTE_FOREIGN_STEP] = MEMBER(foreign_steps),
        [NOTE_SUSPENDED] = MEMBER(suspensions),
        [NOTE_PANIC] = MEMBER(panics),
        [NOTE_QUORUM_LOST] = MEMBER(quorums_lost),
        [NOTE_CLOCK_EXCLUDED] = MEMBER(exclusions),
        [NOTE_CLOCK_JUMPED] = MEMBER(jumps),
        [NOTE_SLAVE_JOINED] = MEMBER(slaves_joined),
        [NOTE_SLAVE_LEFT] = MEMBER(slaves_left),
        [NOTE_SLAVE_REPLACED] = MEMBER(slaves_left),
        [NOTE_MASTER_FOUND] = MEMBER(masters_found),
        [NOTE_MASTER_LOST] = MEMBER(masters_lost),
    };

    if (members[kind])
        *(uint64_t *)(void *)((char *)tally + members[kind] - 1) += times;
}

void chronicle_take(struct chronicle *chronicle, const struct note *note,
                    const struct reading *now)
{
    switch (note->kind) {
    case NOTE_ROUND:
    case NOTE_CORRECTION:
        take_round(chronicle, note, now);
        break;
    case NOTE_STATE:
        chronicle->since_raw_ns = now->raw_ns;
        chronicle->state = note->state;
        chronicle->tally.holdovers += note->state == SYNC_HOLDOVER;
        break;
    case NOTE_CLOCK_JUMPED:
        count(&chronicle->tally, note->kind, note->count);
        break;
    default:
        count(&chronicle->tally, note->kind, 1);
        break;
    }
}

const struct chronicle_tally *chronicle_tally(const struct chronicle *chronicle)
{
    return &chronicle->tally;
}

int64_t chronicle_started(const struct chronicle *chronicle)
{
    return chronicle->started_raw_ns;
}

int64_t chronicle_since(const struct chronicle *chronicle, enum sync_state state,
                        const struct reading *now)
{
    return state == chronicle->state ? chronicle->since_raw_ns : now->raw_ns;
}

size_t chronicle_rounds(const struct chronicle *chronicle, struct chronicle_round *rounds,
                        size_t most)
{
    const uint64_t kept = chronicle->tally.rounds < CHRONICLE_ROUNDS ? chronicle->tally.rounds
                                                                     : CHRONICLE_ROUNDS;
    const size_t told = most < kept ? most : (size_t)kept;
    const uint64_t first = chronicle->tally.rounds - told;

    for (size_t i = 0; i < told; i++)
        rounds[i] = chronicle->rounds[(first + i) % CHRONICLE_ROUNDS];
    return told;
}

bool chronicle_correction(const struct chronicle *chronicle, int64_t *correction_ns,
                          int64_t *raw_ns)
{
    if (!chronicle->corrected)
        return false;
    *correction_ns = chronicle->correction_ns;
    *raw_ns = chronicle->corrected_raw_ns;
    return true;
}

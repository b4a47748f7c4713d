/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/narrator_group.h"

#include "daemon/message_ids.h"
#include "daemon/narrator_words.h"

#include <math.h>

void narrator_tell_slave(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_SLAVE_JOINED:
        fields = narrator_fields(note, MESSAGE_SLAVE_JOINED);
        journal_say(LOG_INFO, &fields,
                    "Slave %s joined from %s; its clock is measured before it counts.", note->name,
                    note->address);
        break;
    case NOTE_SLAVE_LEFT:
        fields = narrator_fields(note, MESSAGE_SLAVE_LEFT);
        journal_say(LOG_NOTICE, &fields, "Slave %s left: %s. The group goes on without its clock.",
                    note->name, narrator_reason(note->reason));
        break;
    case NOTE_SLAVE_REPLACED:
        fields = narrator_fields(note, MESSAGE_SLAVE_REPLACED);
        journal_say(LOG_NOTICE, &fields,
                    "Slave %s connected again; its older connection from %s is closed. If two "
                    "machines are called so, set a different `name` on one.",
                    note->name, note->address);
        break;
    default:
        break;
    }
}

static void tell_quorum_lost(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_QUORUM_LOST);

    if (note->state == 2)
        journal_say(LOG_WARNING, &fields,
                    "Too few clocks: %u of %u can be counted, master.quorum asks for %u. Nobody is "
                    "corrected until there are more; those that were synchronised are in holdover.",
                    note->counted, note->present, note->count);
    else if (note->state)
        journal_say(LOG_WARNING, &fields,
                    "No group yet: of %u clocks only %u are within 10 s and 500 ppm of their "
                    "medians, no majority. Nobody is corrected: set the clocks that are wrong, or "
                    "name one that is right in master.references.",
                    note->present, note->counted);
    else
        journal_say(LOG_WARNING, &fields,
                    "The clocks disagree: only %u of %u are near each other, no majority. "
                    "Nobody is corrected; if it stays so for 4 rounds, all start afresh.",
                    note->counted, note->present);
}

void narrator_tell_group(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_GROUP_FORMED:
        fields = narrator_fields(note, MESSAGE_GROUP_FORMED);
        journal_say(
            LOG_NOTICE, &fields,
            "The group has its time: the average of %u of %u clocks%s, which were within %s "
            "of each other.",
            note->counted, note->present,
            note->state ? " (those that were synchronised before)" : "", T(note->offset_ns));
        break;
    case NOTE_QUORUM_LOST:
        tell_quorum_lost(note);
        break;
    case NOTE_QUORUM_BACK:
        fields = narrator_fields(note, MESSAGE_QUORUM_BACK);
        journal_say(LOG_NOTICE, &fields,
                    "Enough clocks agree again: %u of %u are counted, and all are corrected.",
                    note->counted, note->present);
        break;
    case NOTE_ROUND:
        fields = narrator_fields(note, MESSAGE_ROUND);
        journal_say(LOG_DEBUG, &fields,
                    "Round %u: %u of %u clocks counted, spread %s, own correction %s.", note->round,
                    note->counted, note->present, T(note->offset_ns), ST(note->correction_ns));
        break;
    default:
        break;
    }
}

static void tell_excluded(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_CLOCK_EXCLUDED);

    fields.has_offset = true;
    fields.offset_ns = note->offset_ns;
    if (note->verdict == VERDICT_FAST)
        journal_say(
            LOG_WARNING, &fields,
            "Clock %s is excluded: it runs %.1f ppm %s than the group. It is left alone for "
            "%u rounds, then brought in like a newcomer.",
            note->name, fabs(note->freq_ppb) / 1e3, note->freq_ppb < 0 ? "slower" : "faster",
            note->count);
    else
        journal_say(LOG_WARNING, &fields,
                    "Clock %s is excluded: it is %s the group, %s is allowed. It is left alone for "
                    "%u rounds, then brought in like a newcomer.",
                    note->name, APART(note->offset_ns), T(note->limit_ns), note->count);
}

static void tell_jumped(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_CLOCK_JUMPED);

    if (note->count > 1)
        journal_say(LOG_WARNING, &fields,
                    "The oscillator of %s, the hardware that its clock counts by, jumped %u times "
                    "since that was said last. It is measured anew each time, and does not count "
                    "meanwhile.",
                    note->name, note->count);
    else
        journal_say(LOG_WARNING, &fields,
                    "The oscillator of %s, the hardware that its clock counts by, jumped: was the "
                    "machine suspended or paused? It is measured anew, and does not count "
                    "meanwhile.",
                    note->name);
}

void narrator_tell_clock(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_CLOCK_EXCLUDED:
        tell_excluded(note);
        break;
    case NOTE_CLOCK_IN:
        fields = narrator_fields(note, MESSAGE_CLOCK_IN);
        fields.has_offset = true;
        fields.offset_ns = note->offset_ns;
        journal_say(LOG_INFO, &fields, "Clock %s is in the group: %s its time, and counted.",
                    note->name, APART(note->offset_ns));
        break;
    case NOTE_CLOCK_JUMPED:
        tell_jumped(note);
        break;
    default:
        break;
    }
}

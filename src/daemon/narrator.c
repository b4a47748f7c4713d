/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/narrator.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"
#include "daemon/narrator_group.h"
#include "daemon/narrator_words.h"

#include <stdio.h>

/* What no honest peer sends; the rest comes of an outage or a restart. */
static int level_of_refusal(unsigned refusal)
{
    return refusal <= REFUSAL_TURN || refusal >= REFUSAL_SEQUENCE ? LOG_WARNING : LOG_DEBUG;
}

static void tell_no_connection(const struct note *note)
{
    bool full = note->reason == BYE_FULL;
    struct journal_fields fields =
        narrator_fields(note, full ? MESSAGE_FULL : MESSAGE_PEER_REFUSED);

    if (note->name[0])
        journal_say(LOG_WARNING, &fields, "No connection with %s (%s): %s.", note->name,
                    note->address, narrator_reason(note->reason));
    else
        journal_say(full ? LOG_WARNING : LOG_INFO, &fields, "No connection with %s: %s.",
                    note->address, narrator_reason(note->reason));
}

static void tell_refused(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_FRAME_REFUSED);

    journal_say(
        level_of_refusal(note->reason), &fields,
        "Refused a frame of %s%s%s%s: %s (%s). Nothing was done with it; %u refused on this "
        "connection so far.",
        narrator_who(note), note->name[0] ? " (" : "", note->name[0] ? note->address : "",
        note->name[0] ? ")" : "", refusal_name(note->reason), narrator_refusal(note->reason),
        note->count);
}

static void tell_correction(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_CORRECTION);

    fields.has_offset = fields.has_bound = true;
    fields.offset_ns = -note->correction_ns;
    fields.bound_ns = note->bound_ns;
    fields.has_delay = note->delay_ns > 0;
    fields.delay_ns = note->delay_ns;
    journal_say(LOG_DEBUG, &fields, "Round %u: correction %s (%s), bound %s, delay %s.",
                note->round, ST(note->correction_ns), clock_verdict_name(note->verdict),
                T(note->bound_ns), fields.has_delay ? T(note->delay_ns) : "unknown");
}

static void tell_master(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_MASTER_FOUND:
        fields = narrator_fields(note, MESSAGE_MASTER_FOUND);
        journal_say(LOG_INFO, &fields, "Following master %s at %s.", note->name, note->address);
        break;
    case NOTE_MASTER_LOST:
        fields = narrator_fields(note, MESSAGE_MASTER_LOST);
        journal_say(LOG_NOTICE, &fields,
                    "Master %s is gone: %s. The clock keeps the frequency it learned, and the "
                    "master is tried again until it answers.",
                    note->name, narrator_reason(note->reason));
        break;
    case NOTE_CORRECTION:
        tell_correction(note);
        break;
    default:
        break;
    }
}

static void tell_excluded(const struct note *note, const struct journal_fields *fields)
{
    if (note->verdict == VERDICT_FAST)
        journal_say(LOG_WARNING, fields,
                    "The master excludes this clock: it runs too fast or too slowly, and is %s the "
                    "group. It is left alone for some rounds, then brought in like a newcomer.",
                    APART(note->offset_ns));
    else
        journal_say(LOG_WARNING, fields,
                    "The master excludes this clock: it is %s the group. It is left alone for some "
                    "rounds, then brought in like a newcomer.",
                    APART(note->offset_ns));
}

static void tell_verdict(const struct note *note)
{
    struct journal_fields fields = narrator_fields(note, MESSAGE_VERDICT);

    fields.has_offset = true;
    fields.offset_ns = note->offset_ns;
    switch (note->verdict) {
    case VERDICT_COUNTED:
        journal_say(LOG_INFO, &fields, "The master counts this clock, as it does %u of %u clocks.",
                    note->counted, note->present);
        break;
    case VERDICT_REFERENCE:
        journal_say(LOG_NOTICE, &fields,
                    "This clock is a reference: the group follows it, and it is left alone.");
        break;
    case VERDICT_NEWCOMER:
        journal_say(LOG_INFO, &fields,
                    "This clock is %s the group: it is being brought in, and does not count yet.",
                    APART(note->offset_ns));
        break;
    case VERDICT_NOISY:
        journal_say(LOG_DEBUG, &fields, "The path to the master is too noisy to count this clock.");
        break;
    case VERDICT_FAR:
    case VERDICT_FAST:
        tell_excluded(note, &fields);
        break;
    case VERDICT_NO_QUORUM:
        journal_say(
            LOG_WARNING, &fields,
            "The clocks of the group disagree without a majority: nobody is corrected until "
            "they agree.");
        break;
    default:
        journal_say(LOG_DEBUG, &fields, "The master's verdict on this clock: %s.",
                    clock_verdict_name(note->verdict));
        break;
    }
}

static void tell_unsynchronised(const struct note *note, struct journal_fields *fields)
{
    fields->has_offset = note->bound_ns != INT64_MAX;
    if (fields->has_offset)
        journal_say(LOG_WARNING, fields, "Unsynchronised: this clock is %s the group's time.",
                    APART(note->offset_ns));
    else
        journal_say(LOG_WARNING, fields, "Unsynchronised: the group's time is not known.");
}

static void tell_state(const struct note *note)
{
    bool synchronised = note->state == SYNC_SYNCHRONISED;
    struct journal_fields fields =
        narrator_fields(note, synchronised ? MESSAGE_SYNCHRONISED : MESSAGE_STATE);

    fields.state = sync_state_name(note->state);
    fields.has_offset = fields.has_bound = true;
    fields.offset_ns = note->offset_ns;
    fields.bound_ns = note->bound_ns;
    if (synchronised)
        journal_say(LOG_NOTICE, &fields, "Synchronised: offset %s, within %s of the group.",
                    ST(note->offset_ns), T(note->bound_ns));
    else if (note->state == SYNC_HOLDOVER)
        journal_say(
            LOG_NOTICE, &fields,
            "Holdover: nothing is heard of the group's time. The clock goes on at the frequency it "
            "learned, within %s of the group, growing.",
            T(note->bound_ns));
    else
        tell_unsynchronised(note, &fields);
}

static void tell_own_clock(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_STEPPED:
        fields = narrator_fields(note, MESSAGE_STEPPED);
        if (note->state)
            journal_say(LOG_NOTICE, &fields,
                        "Stepped the clock once by %s, as a person asked with berkeleyctl step.",
                        ST(note->correction_ns));
        else
            journal_say(LOG_NOTICE, &fields,
                        "Stepped the clock once by %s, as clock.step_threshold allows at start.",
                        ST(note->correction_ns));
        break;
    case NOTE_FOREIGN_STEP:
        fields = narrator_fields(note, MESSAGE_FOREIGN_STEP);
        fields.has_offset = true;
        fields.offset_ns = note->offset_ns;
        journal_say(
            LOG_WARNING, &fields,
            "Somebody else set this clock by %s, a person or another program. It is brought "
            "back gradually and does not count for the group until then.",
            ST(note->offset_ns));
        break;
    case NOTE_SUSPENDED:
        fields = narrator_fields(note, MESSAGE_SUSPENDED);
        journal_say(LOG_NOTICE, &fields,
                    "This machine was suspended: its clock is measured anew, and does not count "
                    "meanwhile.");
        break;
    case NOTE_BEYOND:
        fields = narrator_fields(note, MESSAGE_BEYOND);
        journal_say(LOG_WARNING, &fields,
                    "This clock needs its frequency corrected by %+.1f ppm, the kernel can do 500: "
                    "it drifts away from the group.",
                    note->freq_ppb / 1e3);
        break;
    case NOTE_PANIC:
        fields = narrator_fields(note, MESSAGE_PANIC);
        fields.has_offset = true;
        fields.offset_ns = -note->correction_ns;
        journal_say(
            LOG_CRIT, &fields,
            "Panic: a correction of %s is asked for, clock.panic_threshold is %s. The clock "
            "is not touched, and this daemon stops: find out which clock is wrong, then "
            "start it again.",
            ST(note->correction_ns), T(note->limit_ns));
        break;
    default:
        break;
    }
}

void narrator_tell(const struct note *note)
{
    static void (*const tellers[NOTE_COUNT_])(const struct note *) = {
        [NOTE_SLAVE_JOINED] = narrator_tell_slave,
        [NOTE_SLAVE_LEFT] = narrator_tell_slave,
        [NOTE_SLAVE_REPLACED] = narrator_tell_slave,
        [NOTE_PEER_REFUSED] = tell_no_connection,
        [NOTE_FRAME_REFUSED] = tell_refused,
        [NOTE_GROUP_FORMED] = narrator_tell_group,
        [NOTE_QUORUM_LOST] = narrator_tell_group,
        [NOTE_QUORUM_BACK] = narrator_tell_group,
        [NOTE_ROUND] = narrator_tell_group,
        [NOTE_CLOCK_EXCLUDED] = narrator_tell_clock,
        [NOTE_CLOCK_IN] = narrator_tell_clock,
        [NOTE_CLOCK_JUMPED] = narrator_tell_clock,
        [NOTE_MASTER_FOUND] = tell_master,
        [NOTE_MASTER_LOST] = tell_master,
        [NOTE_CORRECTION] = tell_master,
        [NOTE_VERDICT] = tell_verdict,
        [NOTE_STATE] = tell_state,
        [NOTE_STEPPED] = tell_own_clock,
        [NOTE_FOREIGN_STEP] = tell_own_clock,
        [NOTE_SUSPENDED] = tell_own_clock,
        [NOTE_BEYOND] = tell_own_clock,
        [NOTE_PANIC] = tell_own_clock,
    };

    if (note->kind < NOTE_COUNT_ && tellers[note->kind])
        tellers[note->kind](note);
}

static bool is_excluded(unsigned verdict)
{
    return verdict == VERDICT_FAR || verdict == VERDICT_FAST || verdict == VERDICT_SUSPENDED;
}

/* What the clock does, as far as anything is known of it. */
static const char *course(const struct summary *summary, char text[NARRATOR_STATUS_SIZE])
{
    if (summary->verdict == VERDICT_REFERENCE)
        snprintf(text, NARRATOR_STATUS_SIZE, "a reference, left alone");
    else if (summary->bound_ns == INT64_MAX)
        snprintf(text, NARRATOR_STATUS_SIZE, "%s, %s", sync_state_name(summary->state),
                 is_excluded(summary->verdict) ? "excluded from the group" : "no group time yet");
    else
        snprintf(text, NARRATOR_STATUS_SIZE, "%s%s: offset %s, bound %s",
                 sync_state_name(summary->state),
                 summary->verdict == VERDICT_OBSERVER ? ", observing only" : "",
                 ST(summary->offset_ns), T(summary->bound_ns));
    return text;
}

void narrator_status(const struct summary *summary, bool master,
                     char sentence[NARRATOR_STATUS_SIZE])
{
    char text[NARRATOR_STATUS_SIZE] = "";
    char clocks[64] = "";

    if (summary->present > 0)
        snprintf(clocks, sizeof clocks, ", %u of %u clocks", summary->counted, summary->present);
    if (master && summary->slaves == 0 && summary->state == SYNC_UNSYNCHRONISED)
        snprintf(sentence, NARRATOR_STATUS_SIZE, "waiting for slaves");
    else if (master)
        snprintf(sentence, NARRATOR_STATUS_SIZE, "%.150s; %u slave%s%s", course(summary, text),
                 summary->slaves, summary->slaves == 1 ? "" : "s", clocks);
    else if (summary->connected)
        snprintf(sentence, NARRATOR_STATUS_SIZE, "following %s, %.150s%s", summary->name,
                 course(summary, text), clocks);
    else
        snprintf(sentence, NARRATOR_STATUS_SIZE, "no master; %.150s", course(summary, text));
}

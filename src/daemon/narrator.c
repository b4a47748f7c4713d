/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/narrator.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <stdio.h>
#include <string.h>

#define T(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})
#define ST(ns) journal_signed_time((ns), (char[JOURNAL_TIME_SIZE]){0})

/* A peer by its name, and where it connects from until it has told one. */
static const char *who(const struct note *note)
{
    if (note->name[0])
        return note->name;
    return note->address[0] ? note->address : "somebody";
}

/* The same, but without the port: it is another one at each connection, and what
 * repeats has to be known for the journal to count it. */
static const char *peer_of(const struct note *note)
{
    static char host[MACHINE_ADDRESS_SIZE];

    if (note->name[0])
        return note->name;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(note->address, " "), note->address);
    return host;
}

static struct journal_fields fields_of(const struct note *note, const char *message_id)
{
    struct journal_fields fields = {.message_id = message_id, .round = note->round};

    if (note->name[0] || note->address[0])
        fields.peer = peer_of(note);
    fields.has_round = note->round > 0;
    return fields;
}

static const char *reason_clause(unsigned reason)
{
    switch (reason) {
    case BYE_SHUTDOWN:
        return "it was stopped";
    case BYE_RESTARTED:
        return "a newer connection of the same node took over";
    case BYE_FULL:
        return "the master has no room for another slave; raise master.max_slaves there";
    case BYE_VERSION:
        return "the two speak different versions of the protocol";
    case BYE_GROUP:
        return "it belongs to another group; set the same `group` on both";
    case BYE_PROTOCOL:
        return "what came is not the berkeley protocol";
    case BYE_TIMEOUT:
        return "nothing was heard for too long";
    case BYE_FLOOD:
        return "it sent far more frames than the protocol needs";
    case BYE_NAME:
        return "another machine of the group has the same name; set a different `name`";
    case BYE_KEY:
        return "its key was replaced or withdrawn, is missing on one of the two, or is not for a "
               "machine of that name";
    default:
        return "the connection broke";
    }
}

static void tell_slave(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_SLAVE_JOINED:
        fields = fields_of(note, MESSAGE_SLAVE_JOINED);
        journal_say(LOG_INFO, &fields, "Slave %s joined from %s.", note->name, note->address);
        break;
    case NOTE_SLAVE_LEFT:
        fields = fields_of(note, MESSAGE_SLAVE_LEFT);
        journal_say(LOG_NOTICE, &fields, "Slave %s left: %s.", note->name,
                    reason_clause(note->reason));
        break;
    case NOTE_SLAVE_REPLACED:
        fields = fields_of(note, MESSAGE_SLAVE_REPLACED);
        journal_say(LOG_NOTICE, &fields,
                    "Slave %s connected again; its older connection from %s is closed. If two "
                    "machines are called so, set a different `name` on one.",
                    note->name, note->address);
        break;
    default:
        break;
    }
}

/* What no honest peer sends; the rest comes of an outage or a restart. */
static int level_of_refusal(unsigned refusal)
{
    return refusal <= REFUSAL_TURN || refusal >= REFUSAL_SEQUENCE ? LOG_WARNING : LOG_DEBUG;
}

static void tell_refused(const struct note *note)
{
    struct journal_fields fields;

    if (note->kind == NOTE_PEER_REFUSED) {
        fields = fields_of(note, MESSAGE_PEER_REFUSED);
        if (note->name[0])
            journal_say(LOG_WARNING, &fields, "No connection with %s (%s): %s.", note->name,
                        note->address, reason_clause(note->reason));
        else
            journal_say(LOG_INFO, &fields, "No connection with %s: %s.", note->address,
                        reason_clause(note->reason));
        return;
    }
    fields = fields_of(note, MESSAGE_FRAME_REFUSED);
    journal_say(level_of_refusal(note->reason), &fields,
                "Refused a frame of %s%s%s%s: %s; %u refused on this connection so far.", who(note),
                note->name[0] ? " (" : "", note->name[0] ? note->address : "",
                note->name[0] ? ")" : "", refusal_name(note->reason), note->count);
}

static void tell_group(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_GROUP_FORMED:
        fields = fields_of(note, MESSAGE_GROUP_FORMED);
        journal_say(LOG_NOTICE, &fields,
                    "The group has its time: the average of %u of %u clocks%s, which were within %s "
                    "of each other.",
                    note->counted, note->present,
                    note->state ? " (those that were synchronised before)" : "",
                    T(note->offset_ns));
        break;
    case NOTE_QUORUM_LOST:
        fields = fields_of(note, MESSAGE_QUORUM_LOST);
        if (note->state)
            journal_say(LOG_WARNING, &fields,
                        "No group yet: of %u clocks only %u are within 10 s of their median, no "
                        "majority. Set the clocks that are wrong, or name a reference.",
                        note->present, note->counted);
        else
            journal_say(LOG_WARNING, &fields,
                        "The clocks disagree: only %u of %u are near each other, no majority. "
                        "Nobody is corrected; if it stays so for 4 rounds, all start afresh.",
                        note->counted, note->present);
        break;
    case NOTE_QUORUM_BACK:
        fields = fields_of(note, MESSAGE_QUORUM_BACK);
        journal_say(LOG_NOTICE, &fields, "The clocks agree again: %u of %u are counted.",
                    note->counted, note->present);
        break;
    case NOTE_ROUND:
        fields = fields_of(note, MESSAGE_ROUND);
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
    struct journal_fields fields = fields_of(note, MESSAGE_CLOCK_EXCLUDED);

    fields.has_offset = true;
    fields.offset_ns = note->offset_ns;
    if (note->verdict == VERDICT_FAST)
        journal_say(LOG_WARNING, &fields,
                    "Clock %s is excluded: it runs %+.1f ppm against the group. It is left alone for "
                    "%u rounds, then brought in like a newcomer.",
                    note->name, note->freq_ppb / 1e3, note->count);
    else
        journal_say(LOG_WARNING, &fields,
                    "Clock %s is excluded: it is %s from the group, %s is allowed. It is left alone "
                    "for %u rounds, then brought in like a newcomer.",
                    note->name, ST(note->offset_ns), T(note->limit_ns), note->count);
}

static void tell_jumped(const struct note *note)
{
    struct journal_fields fields = fields_of(note, MESSAGE_CLOCK_JUMPED);

    if (note->count > 1)
        journal_say(LOG_WARNING, &fields,
                    "The oscillator of %s jumped %u times since that was said last: it is measured "
                    "anew each time, and does not count meanwhile.",
                    note->name, note->count);
    else
        journal_say(LOG_WARNING, &fields,
                    "The oscillator of %s jumped (suspended or paused?): it is measured anew.",
                    note->name);
}

static void tell_clock(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_CLOCK_EXCLUDED:
        tell_excluded(note);
        break;
    case NOTE_CLOCK_IN:
        fields = fields_of(note, MESSAGE_CLOCK_IN);
        fields.has_offset = true;
        fields.offset_ns = note->offset_ns;
        journal_say(LOG_INFO, &fields, "Clock %s is in the group: %s from its time, counted.",
                    note->name, ST(note->offset_ns));
        break;
    case NOTE_CLOCK_JUMPED:
        tell_jumped(note);
        break;
    default:
        break;
    }
}

static void tell_master(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_MASTER_FOUND:
        fields = fields_of(note, MESSAGE_MASTER_FOUND);
        journal_say(LOG_INFO, &fields, "Following master %s at %s.", note->name, note->address);
        break;
    case NOTE_MASTER_LOST:
        fields = fields_of(note, MESSAGE_MASTER_LOST);
        journal_say(LOG_NOTICE, &fields,
                    "Master %s is gone: %s. The clock keeps the frequency it learned.", note->name,
                    reason_clause(note->reason));
        break;
    case NOTE_CORRECTION:
        fields = fields_of(note, MESSAGE_CORRECTION);
        fields.has_offset = fields.has_bound = true;
        fields.offset_ns = -note->correction_ns;
        fields.bound_ns = note->bound_ns;
        journal_say(LOG_DEBUG, &fields, "Round %u: correction %s (%s), bound %s.", note->round,
                    ST(note->correction_ns), clock_verdict_name(note->verdict), T(note->bound_ns));
        break;
    default:
        break;
    }
}

static void tell_verdict(const struct note *note)
{
    struct journal_fields fields = fields_of(note, MESSAGE_VERDICT);

    fields.has_offset = true;
    fields.offset_ns = note->offset_ns;
    switch (note->verdict) {
    case VERDICT_COUNTED:
        journal_say(LOG_INFO, &fields, "The master counts this clock: one of %u of %u.",
                    note->counted, note->present);
        break;
    case VERDICT_REFERENCE:
        journal_say(LOG_NOTICE, &fields,
                    "This clock is a reference: the group follows it, and it is left alone.");
        break;
    case VERDICT_NEWCOMER:
        journal_say(LOG_INFO, &fields,
                    "This clock is %s from the group: it is being brought in, and does not vote yet.",
                    ST(note->offset_ns));
        break;
    case VERDICT_NOISY:
        journal_say(LOG_DEBUG, &fields, "The path to the master is too noisy to count this clock.");
        break;
    case VERDICT_FAR:
    case VERDICT_FAST:
        journal_say(LOG_WARNING, &fields,
                    "The master excludes this clock (%s), %s from the group: it is left alone for "
                    "some rounds.",
                    clock_verdict_name(note->verdict), ST(note->offset_ns));
        break;
    case VERDICT_NO_QUORUM:
        journal_say(LOG_WARNING, &fields,
                    "The clocks of the group disagree without a majority: nobody is corrected.");
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
        journal_say(LOG_WARNING, fields, "Unsynchronised: offset %s.", ST(note->offset_ns));
    else
        journal_say(LOG_WARNING, fields, "Unsynchronised: the group's time is not known.");
}

static void tell_state(const struct note *note)
{
    bool synchronised = note->state == SYNC_SYNCHRONISED;
    struct journal_fields fields =
        fields_of(note, synchronised ? MESSAGE_SYNCHRONISED : MESSAGE_STATE);

    fields.state = sync_state_name(note->state);
    fields.has_offset = fields.has_bound = true;
    fields.offset_ns = note->offset_ns;
    fields.bound_ns = note->bound_ns;
    if (synchronised)
        journal_say(LOG_NOTICE, &fields, "Synchronised: offset %s, within %s of the group.",
                    ST(note->offset_ns), T(note->bound_ns));
    else if (note->state == SYNC_HOLDOVER)
        journal_say(LOG_NOTICE, &fields,
                    "Holdover: nobody tells the group's time; running on the frequency learned, "
                    "within %s, growing.",
                    T(note->bound_ns));
    else
        tell_unsynchronised(note, &fields);
}

static void tell_own_clock(const struct note *note)
{
    struct journal_fields fields;

    switch (note->kind) {
    case NOTE_STEPPED:
        fields = fields_of(note, MESSAGE_STEPPED);
        journal_say(LOG_NOTICE, &fields,
                    "Stepped the clock once by %s, as clock.step_threshold allows at start.",
                    ST(note->correction_ns));
        break;
    case NOTE_FOREIGN_STEP:
        fields = fields_of(note, MESSAGE_FOREIGN_STEP);
        fields.has_offset = true;
        fields.offset_ns = note->offset_ns;
        journal_say(LOG_WARNING, &fields,
                    "Somebody else set this clock by %s. It is brought back gradually and does not "
                    "count for the group until then.",
                    ST(note->offset_ns));
        break;
    case NOTE_SUSPENDED:
        fields = fields_of(note, MESSAGE_SUSPENDED);
        journal_say(LOG_NOTICE, &fields,
                    "This machine was suspended: what was known of its clock is measured anew.");
        break;
    case NOTE_BEYOND:
        fields = fields_of(note, MESSAGE_BEYOND);
        journal_say(LOG_WARNING, &fields,
                    "This clock needs its frequency corrected by %+.1f ppm, the kernel can do 500: "
                    "it cannot keep with the group.",
                    note->freq_ppb / 1e3);
        break;
    case NOTE_PANIC:
        fields = fields_of(note, MESSAGE_PANIC);
        fields.has_offset = true;
        fields.offset_ns = -note->correction_ns;
        journal_say(LOG_CRIT, &fields,
                    "Panic: a correction of %s is asked for, clock.panic_threshold is %s. The clock "
                    "is not touched; find out which clock is wrong, then start again.",
                    ST(note->correction_ns), T(note->limit_ns));
        break;
    default:
        break;
    }
}

void narrator_tell(const struct note *note)
{
    static void (*const tellers[NOTE_COUNT_])(const struct note *) = {
        [NOTE_SLAVE_JOINED] = tell_slave,      [NOTE_SLAVE_LEFT] = tell_slave,
        [NOTE_SLAVE_REPLACED] = tell_slave,    [NOTE_PEER_REFUSED] = tell_refused,
        [NOTE_FRAME_REFUSED] = tell_refused,   [NOTE_GROUP_FORMED] = tell_group,
        [NOTE_QUORUM_LOST] = tell_group,       [NOTE_QUORUM_BACK] = tell_group,
        [NOTE_ROUND] = tell_group,             [NOTE_CLOCK_EXCLUDED] = tell_clock,
        [NOTE_CLOCK_IN] = tell_clock,          [NOTE_CLOCK_JUMPED] = tell_clock,
        [NOTE_MASTER_FOUND] = tell_master,     [NOTE_MASTER_LOST] = tell_master,
        [NOTE_CORRECTION] = tell_master,       [NOTE_VERDICT] = tell_verdict,
        [NOTE_STATE] = tell_state,             [NOTE_STEPPED] = tell_own_clock,
        [NOTE_FOREIGN_STEP] = tell_own_clock,  [NOTE_SUSPENDED] = tell_own_clock,
        [NOTE_BEYOND] = tell_own_clock,        [NOTE_PANIC] = tell_own_clock,
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
                 ST(-summary->outstanding_ns), T(summary->bound_ns));
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

/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/narrator_words.h"

#include <stdio.h>
#include <string.h>

const char *narrator_apart(int64_t offset_ns, char buffer[NARRATOR_APART_SIZE])
{
    snprintf(buffer, NARRATOR_APART_SIZE, "%s %s", T(timestamp_abs(offset_ns)),
             offset_ns < 0 ? "behind" : "ahead of");
    return buffer;
}

const char *narrator_who(const struct note *note)
{
    if (note->name[0])
        return note->name;
    return note->address[0] ? note->address : "somebody";
}

/* Without the port: it is another one at each connection, and what repeats has to be known for the
 * journal to count it. */
static const char *peer_of(const struct note *note)
{
    static char host[MACHINE_ADDRESS_SIZE];

    if (note->name[0])
        return note->name;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(note->address, " "), note->address);
    return host;
}

struct journal_fields narrator_fields(const struct note *note, const char *message_id)
{
    struct journal_fields fields = {.message_id = message_id, .round = note->round};

    if (note->name[0] || note->address[0])
        fields.peer = peer_of(note);
    fields.has_round = note->round > 0;
    return fields;
}

const char *narrator_reason(unsigned reason)
{
    switch (reason) {
    case BYE_SHUTDOWN:
        return "it was stopped";
    case BYE_RESTARTED:
        return "a newer connection of the same node took over";
    case BYE_FULL:
        return "the master has no room for another slave; raise its master.max_slaves, or stop a "
               "slave";
    case BYE_VERSION:
        return "the two speak different versions of the protocol; install the same berkeleyd on "
               "both";
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

const char *narrator_refusal(unsigned refusal)
{
    static const char *const clauses[REFUSAL_COUNT_] = {
        [REFUSAL_VERSION] = "of another version of the protocol",
        [REFUSAL_TYPE] = "of a kind that is not known",
        [REFUSAL_LENGTH] = "too long or too short for its kind",
        [REFUSAL_RANGE] = "it holds a value out of its range",
        [REFUSAL_NAME] = "it holds no name that a machine or group can have",
        [REFUSAL_TURN] = "not what this end may send, or not at this time",
        [REFUSAL_ROUND] = "of a round or an exchange that is not under way",
        [REFUSAL_REPEATED] = "the same was there before",
        [REFUSAL_LATE] = "it came after its round had ended",
        [REFUSAL_IMPOSSIBLE] = "its timestamps contradict each other",
        [REFUSAL_EPOCH] = "computed from what was measured before the clock was set",
        [REFUSAL_MAP] = "it asks for a time that no clock could follow",
        [REFUSAL_SEQUENCE] = "its number is not above that of the frame before",
        [REFUSAL_CHANGED] = "the master suddenly goes by another name or group",
        [REFUSAL_PANIC] = "it asks for a correction beyond clock.panic_threshold",
    };

    return refusal < REFUSAL_COUNT_ && clauses[refusal] ? clauses[refusal] : "for no known reason";
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/wire.h"

#define COUNT(words) (sizeof(words) / sizeof((words)[0]))

static const char *word(const char *const *words, size_t count, unsigned value)
{
    return value < count && words[value] != NULL ? words[value] : "unknown";
}

const char *wire_type_name(unsigned type)
{
    static const char *const words[] = {
        [WIRE_HELLO] = "hello", [WIRE_WELCOME] = "welcome", [WIRE_POLL] = "poll",
        [WIRE_REPLY] = "reply", [WIRE_CORRECT] = "correct", [WIRE_REPORT] = "report",
        [WIRE_BYE] = "bye",
    };

    return word(words, COUNT(words), type);
}

const char *wire_fault_name(unsigned faults)
{
    static const char *const words[] = {"version", "type", "length", "range", "name"};

    for (unsigned bit = 0; bit < COUNT(words); bit++) {
        if (faults & (1U << bit))
            return words[bit];
    }
    return "unknown";
}

const char *sync_state_name(unsigned state)
{
    static const char *const words[] = {
        [SYNC_UNSYNCHRONISED] = "unsynchronised",
        [SYNC_SYNCHRONISED] = "synchronised",
        [SYNC_HOLDOVER] = "holdover",
    };

    return word(words, COUNT(words), state);
}

const char *clock_verdict_name(unsigned verdict)
{
    static const char *const words[] = {
        [VERDICT_NONE] = "none",           [VERDICT_COUNTED] = "counted",
        [VERDICT_REFERENCE] = "reference", [VERDICT_NEWCOMER] = "newcomer",
        [VERDICT_NOISY] = "noisy",         [VERDICT_FAR] = "far",
        [VERDICT_FAST] = "fast",           [VERDICT_SUSPENDED] = "suspended",
        [VERDICT_SILENT] = "silent",       [VERDICT_OBSERVER] = "observer",
        [VERDICT_NO_QUORUM] = "no-quorum",
    };

    _Static_assert(COUNT(words) == VERDICT_COUNT_, "a word for every verdict");
    return word(words, COUNT(words), verdict);
}

const char *bye_reason_name(unsigned reason)
{
    static const char *const words[] = {
        [BYE_SHUTDOWN] = "shutdown", [BYE_RESTARTED] = "restarted", [BYE_FULL] = "full",
        [BYE_VERSION] = "version",   [BYE_GROUP] = "group",         [BYE_PROTOCOL] = "protocol",
        [BYE_TIMEOUT] = "timeout",   [BYE_FLOOD] = "flood",         [BYE_NAME] = "name",
        [BYE_KEY] = "key",
    };

    _Static_assert(COUNT(words) == BYE_COUNT_, "a word for every reason");
    return word(words, COUNT(words), reason);
}

bool clock_verdict_is_in(unsigned verdict)
{
    return verdict == VERDICT_COUNTED || verdict == VERDICT_REFERENCE || verdict == VERDICT_NOISY;
}

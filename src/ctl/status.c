/* SPDX-License-Identifier: BSD-2-Clause */
#include "status.h"

#include "daemon/journal.h"
#include "field.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define T(ns) journal_time((ns), (char[JOURNAL_TIME_SIZE]){0})

/* A word that is not here is a newer daemon's, and told as it is. */
static const char *explain(const char *verdict)
{
    static const struct {
        const char *verdict, *text;
    } table[] = {
        {"none", "not judged yet"},
        {"counted", "counted in the group's average"},
        {"reference", "a reference: the group follows it"},
        {"newcomer", "a newcomer: corrected, not yet counted"},
        {"noisy", "measured too poorly to be counted now"},
        {"far", "excluded: too far from the others"},
        {"fast", "excluded: runs too unlike the others"},
        {"suspended", "excluded a moment ago, and left alone for some rounds"},
        {"silent", "did not answer in the last round"},
        {"observer", "only observes: neither corrected nor counted"},
        {"no-quorum", "the clocks disagree: nobody is corrected"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].verdict, verdict) == 0)
            return table[i].text;
    return verdict;
}

static void show_words(const struct json_object *answer)
{
    char text[FIELD_SIZE];
    bool connected;

    if (field_text(answer, "state", text))
        field_print("State", "%s", text);
    if (field_text(answer, "verdict", text))
        field_print("This clock", "%s", explain(text));
    if (field_text(answer, "master", text))
        field_print("Master", "%s", text);
    else if (field_flag(answer, "connected", &connected) && !connected)
        field_print("Master", "none: not connected");
}

static void show_clock(const struct json_object *answer)
{
    int64_t offset_ns, bound_ns;
    double frequency_ppb;

    if (!field_number(answer, "offset_ns", &offset_ns) || offset_ns == INT64_MIN)
        field_print("Offset", "unknown");
    else if (offset_ns == 0)
        field_print("Offset", "none");
    else
        field_print("Offset", "%s %s the group", T(offset_ns < 0 ? -offset_ns : offset_ns),
                    offset_ns < 0 ? "behind" : "ahead of");
    if (field_number(answer, "bound_ns", &bound_ns))
        field_print("Bound", "%s", T(bound_ns));
    else
        field_print("Bound", "unknown");
    if (field_real(answer, "frequency_ppb", &frequency_ppb))
        field_print("Frequency", "corrected by %+.3f ppm", frequency_ppb / 1e3);
}

static void show_group(const struct json_object *answer)
{
    int64_t counted, present, slaves, round;

    if (field_number(answer, "counted", &counted) && field_number(answer, "present", &present) &&
        present > 0)
        field_print("Clocks", "%" PRId64 " of %" PRId64 " counted", counted, present);
    if (field_number(answer, "slaves", &slaves))
        field_print("Slaves", "%" PRId64 " connected", slaves);
    if (field_number(answer, "round", &round))
        field_print("Round", "%" PRId64, round);
}

void status_show(struct json_object *answer)
{
    field_print_head(answer);
    show_words(answer);
    show_clock(answer);
    show_group(answer);
}

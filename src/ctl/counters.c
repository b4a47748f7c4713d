/* SPDX-License-Identifier: BSD-2-Clause */
#include "counters.h"

#include "daemon/journal_escape.h"
#include "field.h"
#include "query.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A counter that is not here is a newer daemon's, and told by its own name. */
static const char *explain(const char *key)
{
    static const struct {
        const char *key, *text;
    } table[] = {
        {"rounds", "rounds"},
        {"corrections", "corrections of this clock"},
        {"steps", "steps of this clock, by the daemon"},
        {"foreign_steps", "steps of this clock, by somebody else"},
        {"suspensions", "times that the machine slept"},
        {"panics", "corrections refused as beyond belief"},
        {"holdovers", "times that corrections stopped coming"},
        {"quorums_lost", "times that too few clocks agreed"},
        {"exclusions", "exclusions of clocks"},
        {"jumps", "jumps of oscillators"},
        {"slaves_joined", "slaves that joined"},
        {"slaves_left", "slaves that left"},
        {"masters_found", "masters found"},
        {"masters_lost", "masters lost"},
        {"accepted", "connections accepted"},
        {"refused_loopback", "refused: not from this machine"},
        {"refused_denied", "refused: address not allowed"},
        {"refused_often", "refused: too often from one address"},
        {"refused_full", "refused: no room"},
        {"refused_handshakes", "refused: too many handshakes"},
        {"handshakes_done", "handshakes done"},
        {"handshakes_failed", "handshakes failed"},
        {"handshakes_late", "handshakes given up as too slow"},
        {"unknown_keys", "failed: unknown key"},
        {"wrong_keys", "failed: wrong key"},
        {"frames_in", "frames received"},
        {"frames_out", "frames sent"},
        {"frames_unsent", "frames the other side did not read"},
        {"floods", "dropped: too many frames"},
        {"garbled", "dropped: sent what is no frame"},
        {"revoked", "dropped: key revoked"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].key, key) == 0)
            return table[i].text;
    return key;
}

static void show(const char *text, struct json_object *value)
{
    char name[FIELD_SIZE];

    if (json_object_is_type(value, json_type_int))
        (void)printf("%12" PRIu64 "  %s\n", json_object_get_uint64(value),
                     journal_escape(text, name, sizeof name));
}

/* prefix: of what has no text of its own. */
static void show_all(struct json_object *object, const char *prefix)
{
    char text[FIELD_SIZE];

    if (!object)
        return;
    json_object_object_foreach(object, key, value)
    {
        (void)snprintf(text, sizeof text, "%s%s", prefix, explain(key));
        show(text, value);
    }
}

static bool show_answer(const struct ctl_options *options, struct json_object *answer)
{
    (void)options;
    field_print_head(stdout, answer);
    (void)putchar('\n');
    show_all(field_object(answer, "events"), "");
    show_all(field_object(answer, "network"), "");
    show_all(field_object(answer, "frames_refused"), "frames refused: ");
    return true;
}

enum ctl_exit counters_run(const struct ctl_options *options)
{
    return query_run(options, "counters", QUERY_EACH, show_answer);
}

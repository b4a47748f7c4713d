/* SPDX-License-Identifier: BSD-2-Clause */
#include "counters.h"

#include "daemon/journal_escape.h"
#include "field.h"

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

void counters_show(struct json_object *answer)
{
    struct json_object *network = field_object(answer, "network");
    struct json_object *refused = field_object(answer, "frames_refused");
    char text[FIELD_SIZE];

    field_print_head(answer);
    if (network) {
        json_object_object_foreach(network, key, value)
        {
            show(explain(key), value);
        }
    }
    if (refused) {
        json_object_object_foreach(refused, key, value)
        {
            (void)snprintf(text, sizeof text, "frames refused: %s", key);
            show(text, value);
        }
    }
}

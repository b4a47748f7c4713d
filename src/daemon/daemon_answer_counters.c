/* SPDX-License-Identifier: BSD-2-Clause */
/* How often what happened. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COUNTER(name) {#name, offsetof(struct transport_counters, name)}
#define EVENT(name) {#name, offsetof(struct chronicle_tally, name)}

struct counter {
    const char *key;
    size_t offset; /* of a uint64_t */
};

static const struct counter network[] = {
    COUNTER(accepted), COUNTER(refused_loopback), COUNTER(refused_denied), COUNTER(refused_often),
    COUNTER(refused_full), COUNTER(refused_handshakes), COUNTER(handshakes_done),
    COUNTER(handshakes_failed), COUNTER(handshakes_late), COUNTER(unknown_keys),
    COUNTER(wrong_keys), COUNTER(frames_in), COUNTER(frames_out), COUNTER(frames_unsent),
    COUNTER(floods), COUNTER(garbled), COUNTER(revoked),
};

static const struct counter events[] = {
    EVENT(rounds), EVENT(corrections), EVENT(steps), EVENT(foreign_steps), EVENT(suspensions),
    EVENT(panics), EVENT(holdovers), EVENT(quorums_lost), EVENT(exclusions), EVENT(jumps),
    EVENT(slaves_joined), EVENT(slaves_left), EVENT(masters_found), EVENT(masters_lost),
};

_Static_assert(COUNT(network) * sizeof(uint64_t) == sizeof(struct transport_counters) &&
                   COUNT(events) * sizeof(uint64_t) == sizeof(struct chronicle_tally),
               "every counter is told");

static struct json_object *tell(const struct counter *table, size_t count, const void *counters)
{
    struct json_object *object = json_object_new_object();

    for (size_t i = 0; object && i < count; i++) {
        uint64_t value;

        memcpy(&value, (const char *)counters + table[i].offset, sizeof value);
        answer_add(object, table[i].key, json_object_new_uint64(value));
    }
    return object;
}

static struct json_object *tell_refusals(const uint64_t refused[REFUSAL_COUNT_])
{
    struct json_object *object = json_object_new_object();

    for (unsigned i = REFUSAL_NONE + 1; object && i < REFUSAL_COUNT_; i++)
        answer_add(object, refusal_name(i), json_object_new_uint64(refused[i]));
    return object;
}

struct json_object *answer_counters(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    struct json_object *answer = answer_begin(control);
    struct transport_counters counters = {0};
    struct summary summary = {0};

    (void)argument;
    if (!answer)
        return NULL;
    control->source.summarise(control->source.context, &summary);
    control->source.count(control->source.context, &counters);
    answer_add(answer, "network", tell(network, COUNT(network), &counters));
    answer_add(answer, "frames_refused", tell_refusals(summary.refused));
    answer_add(answer, "events",
               tell(events, COUNT(events), chronicle_tally(control->source.chronicle)));
    return answer;
}

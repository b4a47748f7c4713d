/* SPDX-License-Identifier: BSD-2-Clause */
/* The last rounds. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>

#define USUAL 20

static struct json_object *tell(const struct chronicle_round *round, bool master)
{
    struct json_object *object = json_object_new_object();

    if (!object)
        return NULL;
    answer_number(object, "round", round->round);
    answer_number(object, "time_ns", round->real_ns);
    answer_number(object, "correction_ns", round->correction_ns);
    answer_if(object, "bound_ns", round->bound_ns != INT64_MAX, round->bound_ns);
    answer_text(object, "verdict", clock_verdict_name(round->verdict));
    answer_number(object, "counted", round->counted);
    answer_number(object, "present", round->present);
    if (!master)
        return object;
    answer_number(object, "excluded", round->excluded);
    answer_if(object, "spread_ns", round->counted > 0, round->spread_ns);
    answer_number(object, "duration_ns", round->duration_ns);
    return object;
}

/* 0 if it is no such number. */
static size_t parse(const char *argument)
{
    size_t most = 0;

    if (!*argument)
        return USUAL;
    for (; *argument >= '0' && *argument <= '9' && most <= CHRONICLE_ROUNDS; argument++)
        most = most * 10 + (size_t)(*argument - '0');
    return *argument || most > CHRONICLE_ROUNDS ? 0 : most;
}

struct json_object *answer_rounds(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    struct chronicle_round rounds[CHRONICLE_ROUNDS];
    const size_t most = parse(argument);
    struct json_object *answer, *list;
    size_t count;

    if (most == 0)
        return control_complain("found the argument \"%s\"; rounds takes a number from 1 to %d, "
                                "or none for the last %d",
                                argument, CHRONICLE_ROUNDS, USUAL);
    answer = answer_begin(control);
    list = answer ? json_object_new_array() : NULL;
    if (!list)
        return answer;
    count = chronicle_rounds(control->source.chronicle, rounds, most);
    for (size_t i = 0; i < count; i++)
        (void)json_object_array_add(list, tell(&rounds[i], control->master));
    answer_add(answer, "rounds", list);
    return answer;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether every round is logged. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>
#include <string.h>

struct json_object *answer_trace(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    const struct daemon_source *source = &control->source;
    const bool on = strcmp(argument, "on") == 0;
    struct json_object *answer;

    if (!on && strcmp(argument, "off") != 0)
        return control_complain("found %s%s%s; trace takes on or off",
                                *argument ? "the argument \"" : "no argument", argument,
                                *argument ? "\"" : "");
    source->trace(source->context, on);
    if (!on && source->traces(source->context))
        return control_complain("the configuration (log_level) or the option -v says that every "
                                "round is logged; that stays so");
    answer = answer_begin(control);
    if (answer)
        answer_bool(answer, "trace", on);
    return answer;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The time as the daemon knows it. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>

struct json_object *answer_now(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    struct json_object *answer = answer_begin(control);
    struct summary summary = {0};
    struct reading now;
    int64_t time_ns;
    bool known;

    (void)argument;
    if (!answer)
        return NULL;
    control->source.summarise(control->source.context, &summary);
    control->source.read(control->source.context, &now);
    time_ns = now.raw_ns + now.total_ns;
    known = summary.state != SYNC_UNSYNCHRONISED && summary.bound_ns < TIMESTAMP_LIMIT_NS;
    answer_text(answer, "state", sync_state_name(summary.state));
    answer_number(answer, "time_ns", time_ns);
    answer_if(answer, "earliest_ns", known, time_ns - (known ? summary.bound_ns : 0));
    answer_if(answer, "latest_ns", known, time_ns + (known ? summary.bound_ns : 0));
    answer_if(answer, "bound_ns", known, summary.bound_ns);
    return answer;
}

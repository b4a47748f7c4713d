/* SPDX-License-Identifier: BSD-2-Clause */
/* The step that a person asks for. */
#include "daemon/daemon_answer.h"

#include "daemon/step.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

static int parse(const char *text, int64_t *ns)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || !timestamp_valid(value))
        return -EINVAL;
    *ns = value;
    return 0;
}

/* What there is to confirm. */
static struct json_object *offer(const struct daemon_control *control)
{
    int64_t correction_ns, slewing_ns;
    struct json_object *answer;
    int r = control->source.step_offer(control->source.context, &correction_ns, &slewing_ns);

    if (r < 0)
        return control_complain("%s", step_error(r));
    answer = answer_begin(control);
    if (!answer)
        return NULL;
    answer_number(answer, "correction_ns", correction_ns);
    answer_number(answer, "slewing_ns", slewing_ns);
    return answer;
}

struct json_object *answer_step(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    int64_t confirmed_ns, stepped_ns;
    struct json_object *answer;
    int r;

    if (!*argument)
        return offer(control);
    if (parse(argument, &confirmed_ns) < 0)
        return control_complain("found the argument \"%s\"; step takes the correction that was "
                                "confirmed, in nanoseconds, or none to be told it",
                                argument);
    r = control->source.step(control->source.context, confirmed_ns, &stepped_ns);
    if (r < 0)
        return control_complain("%s", step_error(r));
    answer = answer_begin(control);
    if (answer)
        answer_number(answer, "step_ns", stepped_ns);
    return answer;
}

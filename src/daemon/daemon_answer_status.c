/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's own state. */
#include "daemon/daemon_answer.h"

#include <json-c/json.h>

static void add_other_side(struct json_object *answer, const struct summary *summary, bool master)
{
    if (master) {
        answer_number(answer, "slaves", summary->slaves);
        return;
    }
    answer_bool(answer, "connected", summary->connected);
    answer_add(answer, "master",
               summary->connected ? json_object_new_string(summary->name) : NULL);
}

static void add_clock(struct json_object *answer, const struct summary *summary)
{
    const bool known = summary->bound_ns != INT64_MAX;

    answer_if(answer, "offset_ns", known, summary->offset_ns);
    answer_if(answer, "bound_ns", known, summary->bound_ns);
    answer_if(answer, "bound_asymmetry_ns", known, summary->asymmetry_ns);
    answer_real(answer, "frequency_ppb", summary->freq_ppb);
    answer_number(answer, "slew_left_ns", summary->slew_left_ns);
    answer_real(answer, "max_slew_ppm", summary->max_slew_ppm);
}

static void add_history(struct json_object *answer, const struct summary *summary,
                        const struct daemon_control *control)
{
    const struct chronicle *chronicle = control->source.chronicle;
    int64_t correction_ns = 0, corrected_raw_ns = 0;
    bool corrected = chronicle_correction(chronicle, &correction_ns, &corrected_raw_ns);
    struct reading now;

    control->source.read(control->source.context, &now);
    answer_number(answer, "uptime_s", answer_seconds(now.raw_ns - chronicle_started(chronicle)));
    answer_number(answer, "state_since_s",
                  answer_seconds(now.raw_ns - chronicle_since(chronicle, summary->state, &now)));
    answer_if(answer, "correction_ns", corrected, correction_ns);
    answer_if(answer, "correction_age_s", corrected,
              answer_seconds(now.raw_ns - corrected_raw_ns));
}

static void add_round(struct json_object *answer, const struct summary *summary,
                      const struct daemon_control *control)
{
    answer_number(answer, "round", summary->round);
    answer_number(answer, "counted", summary->counted);
    answer_number(answer, "present", summary->present);
    if (!control->master)
        return;
    answer_if(answer, "spread_ns", summary->counted > 0, summary->spread_ns);
    answer_number(answer, "interval_ns", control->config->master.interval_ns);
    answer_number(answer, "quorum", control->config->master.quorum);
}

struct json_object *answer_status(void *context, const char *argument)
{
    const struct daemon_control *control = context;
    const struct daemon_source *source = &control->source;
    const bool emulated = control->config->clock.kind == CONFIG_CLOCK_EMULATED;
    struct json_object *answer = answer_begin(control);
    struct summary summary = {0};

    (void)argument;
    if (!answer)
        return NULL;
    source->summarise(source->context, &summary);
    answer_text(answer, "version", BERKELEY_VERSION);
    answer_text(answer, "state", sync_state_name(summary.state));
    answer_text(answer, "verdict", clock_verdict_name(summary.verdict));
    add_other_side(answer, &summary, control->master);
    add_clock(answer, &summary);
    add_history(answer, &summary, control);
    add_round(answer, &summary, control);
    answer_text(answer, "clock", emulated ? "emulated" : "kernel");
    answer_bool(answer, "adjusts", source->adjusts(source->context));
    answer_bool(answer, "trace", source->traces(source->context));
    return answer;
}
